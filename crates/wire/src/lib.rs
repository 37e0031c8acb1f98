//! MCP's JSON: envelopes, headers, server-sent events, both eras. Pure, borrowed, byte-faithful.
//!
//! One parse decides: [`Message::parse`] takes the bytes of one message, refuses whatever two parsers could
//! read differently (duplicate keys at any depth, case variants of protocol keys, batches, lone surrogates,
//! byte order marks, numbers nobody can hold), and borrows everything else from them. Ids and progress tokens
//! go back out as the very bytes that came in.

mod asks;
mod canonical;
mod client;
mod content;
mod cursor;
mod envelope;
mod era;
mod error;
mod forward;
mod headers;
mod listed;
mod methods;
mod notices;
mod params;
mod question;
mod results;
mod scan;
mod sse;
mod theirs;
mod version;

pub use asks::{
    AskedFor, NoQuestion, asking, question_method, read_question, with_asker, write_refused, write_said,
};
pub use canonical::{canonical, statements};
pub use client::{
    CallHead, ToolHead, ToolsPage, discover_params, initialize_params, is_about_session, is_method_not_found,
    level_of, level_params, list_params, listen_params, progress_of, read_discovered, read_error_code,
    read_initialized, renamed, updated_uri, uri_params, with_progress_token, with_result_type,
    write_cancelled, write_forwarded, write_initialized, write_not_offered, write_pong, write_request,
    write_told,
};
pub use content::{ContentBlock, ResourceContents};
pub use cursor::Cursor;
pub use envelope::{Message, Notification, ProgressToken, Refusal, Request, RequestId, Response};
pub use era::{decide_http, decide_stream};
pub use error::{ErrorData, RpcError, code, error_message, status_of};
pub use forward::{
    InputOn, ModernMeta, NotAnObject, Onward, send_on, wants_progress, with_meta, without_meta,
};
pub use headers::{
    Field, StandardHeaders, check_standard_headers, decode_header_value, encode_header_value, name,
};
pub use listed::{ListedTool, Verbatim};
pub use methods::Method;
pub use notices::{
    Changed, ListenEnded, Progress, write_changed, write_listening, write_log, write_notification,
};
pub use params::{
    CallParams, Cancelled, ClientName, CompleteParams, CompletionOf, InitializeParams, InputParams,
    ListParams, ListenParams, Params, ReadParams, RequestMeta, WATCHED_MAX,
};
pub use question::{InputRequired, write_question};
pub use results::{
    Annotations, CacheScope, Caching, CallResult, Capabilities, Complete, Discover, Dress, EmptyResult,
    GetPrompt, Initialize, ListPrompts, ListResourceTemplates, ListResources, ListTools, ListingCapability,
    PlainCapability, Prompt, PromptArgument, PromptMessage, ReadResource, Resource, ResourceTemplate,
    ServerInfo, Tool, write_result,
};
pub use scan::{Malformed, ScanLimits, scan};
pub use sse::{SseEvent, SseReader, SseTooLong, write_comment, write_event};
pub use theirs::{TheirCapabilities, never_kept, only_listed};
pub use version::{Era, LATEST, LATEST_LEGACY, ProtocolVersion};

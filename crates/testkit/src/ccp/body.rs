//! Answers, well-behaved and not.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use hyper::body::{Body, Frame, SizeHint};
use serde_json::Value;
use tokio::time::Sleep;

/// A way to answer that no CCP should have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CcpMischief {
    /// A page instead of JSON.
    Page(u16),
    /// Somewhere else.
    Redirect(String),
    /// This body, called JSON.
    Json {
        /// The status.
        status: u16,
        /// The body.
        body: String,
    },
    /// This body, called something else.
    Typed {
        /// The content type.
        content_type: String,
        /// The body.
        body: String,
    },
    /// These bytes, called JSON that was compressed with gzip.
    Compressed(Vec<u8>),
    /// A body without end.
    Endless,
    /// A length of a gigabyte.
    Announced,
    /// One byte at a time, for ever.
    Slow,
    /// A head with too many lines.
    Headers(usize),
    /// Nothing, for ever.
    Silent,
    /// The beginning of a body, then the end of the connection.
    Cut,
    /// The end of the connection, without an answer.
    Hangup,
}

/// What is done with a request.
pub(super) enum Reply {
    Answer(Box<Response<CcpBody>>),
    Silent,
    Hangup,
}

impl Reply {
    pub(super) fn json(status: u16, value: &Value) -> Self {
        Self::typed(status, "application/json; charset=utf-8", value.to_string())
    }

    pub(super) fn page(status: u16, title: &str) -> Self {
        let text = format!("<!DOCTYPE html><html><head><title>{title}</title></head><body>IIS</body></html>");
        Self::typed(status, "text/html", text)
    }

    fn typed(status: u16, content_type: &str, text: String) -> Self {
        Self::with(status, content_type, CcpBody::Whole(Some(text.into())))
    }

    fn with(status: u16, content_type: &str, body: CcpBody) -> Self {
        let response = Response::builder().status(status).header("content-type", content_type);
        Self::Answer(Box::new(response.body(body).expect("a response")))
    }

    pub(super) fn of(mischief: CcpMischief) -> Self {
        const JSON: &str = "application/json";
        let begun = || Bytes::from_static(b"{\"UserName\":\"");
        match mischief {
            CcpMischief::Page(status) => Self::page(status, "Server Error"),
            CcpMischief::Redirect(to) => {
                let response = Response::builder().status(302).header("location", to);
                Self::Answer(Box::new(response.body(CcpBody::Whole(None)).expect("a response")))
            }
            CcpMischief::Json { status, body } => Self::typed(status, JSON, body),
            CcpMischief::Typed { content_type, body } => Self::typed(200, &content_type, body),
            CcpMischief::Compressed(bytes) => {
                let response =
                    Response::builder().header("content-type", JSON).header("content-encoding", "gzip");
                let body = CcpBody::Whole(Some(bytes.into()));
                Self::Answer(Box::new(response.body(body).expect("a response")))
            }
            CcpMischief::Endless => Self::with(200, JSON, CcpBody::Endless),
            CcpMischief::Announced => Self::with(200, JSON, CcpBody::Announced),
            CcpMischief::Slow => Self::with(200, JSON, CcpBody::Slow(Box::pin(tokio::time::sleep(PAUSE)))),
            CcpMischief::Headers(count) => {
                let mut response = Response::builder().header("content-type", JSON);
                for number in 0..count {
                    response = response.header(format!("x-{number}"), "filler");
                }
                Self::Answer(Box::new(response.body(CcpBody::Whole(None)).expect("a response")))
            }
            CcpMischief::Silent => Self::Silent,
            CcpMischief::Cut => {
                Self::with(200, JSON, CcpBody::Cut(Some(begun()), Box::pin(tokio::time::sleep(PAUSE))))
            }
            CcpMischief::Hangup => Self::Hangup,
        }
    }
}

const PAUSE: Duration = Duration::from_millis(50);

pub(super) enum CcpBody {
    Whole(Option<Bytes>),
    Endless,
    Announced,
    Slow(Pin<Box<Sleep>>),
    /// The pause lets the head and the first bytes go out.
    Cut(Option<Bytes>, Pin<Box<Sleep>>),
}

impl Body for CcpBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let frame = |bytes: &'static [u8]| Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(bytes)))));
        match &mut *self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Endless | Self::Announced => frame(&[b' '; 8192]),
            Self::Slow(sleep) => match sleep.as_mut().poll(context) {
                Poll::Ready(()) => {
                    *sleep = Box::pin(tokio::time::sleep(PAUSE));
                    frame(b" ")
                }
                Poll::Pending => Poll::Pending,
            },
            Self::Cut(bytes, pause) => match bytes.take() {
                Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                None => pause.as_mut().poll(context).map(|()| Some(Err(io::Error::other("cut")))),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Announced => SizeHint::with_exact(1 << 30),
            Self::Cut(..) => SizeHint::with_exact(1000),
            Self::Endless | Self::Slow(_) => SizeHint::default(),
        }
    }
}

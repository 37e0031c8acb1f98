//! Resources and prompts that come with tools, beside the gateway's own.

use model::{ClientInput, Outcome, ResourceContent};
use serde_json::{Map, Value};

/// What there is to read and to ask for beside tools. Everything in it is for every principal.
pub trait Offer: Send + Sync {
    /// The resources that are listed.
    fn resources(&self) -> Vec<ResourceListing>;
    /// The shapes of addresses that resources beside the listed ones have.
    fn templates(&self) -> Vec<TemplateListing>;
    /// The resource of this address.
    fn read(&self, uri: &str) -> Option<ResourceContent>;
    /// The prompts that are listed.
    fn prompts(&self) -> Vec<PromptListing>;
    /// A prompt with its arguments filled in: the contents of the outcome are its messages. It may ask the client first.
    fn prompt(&self, name: &str, arguments: &Map<String, Value>, input: &ClientInput) -> Option<Outcome>;
    /// How what is written of an argument could go on, best first.
    fn complete(&self, of: &CompletionOf, argument: &str, written: &str) -> Vec<String>;
}

/// A resource as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceListing {
    /// Its address.
    pub uri: String,
    /// Its name.
    pub name: String,
    /// A short title for people.
    pub title: String,
    /// One sentence.
    pub description: String,
    /// Its media type.
    pub mime_type: &'static str,
}

/// A shape of resource addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TemplateListing {
    /// The shape, as RFC 6570 writes it.
    pub uri_template: &'static str,
    /// Its name.
    pub name: &'static str,
    /// What such resources hold.
    pub description: &'static str,
    /// Their media type.
    pub mime_type: &'static str,
}

/// A prompt as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptListing {
    /// Its name.
    pub name: String,
    /// A short title for people.
    pub title: String,
    /// One sentence.
    pub description: String,
    /// What is filled in.
    pub arguments: Vec<PromptArgument>,
}

/// What is filled into a prompt: always a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptArgument {
    /// Its name.
    pub name: String,
    /// What it means.
    pub description: String,
    /// Whether it must be given.
    pub required: bool,
}

/// What a completed argument belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CompletionOf {
    /// A prompt, by its name.
    Prompt(String),
    /// A template, as it is listed.
    Template(String),
}

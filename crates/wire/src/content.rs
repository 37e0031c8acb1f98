//! The parts that results are made of.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use model::{Content, ResourceBody, ResourceContent};
use serde::Serialize;

/// One piece of a result or of a prompt.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename_all = "lowercase", rename_all_fields = "camelCase")]
pub enum ContentBlock<'a> {
    /// A text.
    Text {
        /// The text.
        text: &'a str,
    },
    /// A picture.
    Image {
        /// Its bytes in base64.
        data: String,
        /// Its media type.
        mime_type: &'a str,
    },
    /// A sound.
    Audio {
        /// Its bytes in base64.
        data: String,
        /// Its media type.
        mime_type: &'a str,
    },
    /// A resource that comes along.
    Resource {
        /// What it holds.
        resource: ResourceContents<'a>,
    },
}

/// The contents of a resource: a text or bytes.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceContents<'a> {
    uri: &'a str,
    mime_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blob: Option<String>,
}

impl<'a> ContentBlock<'a> {
    /// The pieces of an answer: its text, if there is one or nothing else, and what comes after it.
    pub fn list(text: &'a str, content: &'a [Content]) -> Vec<Self> {
        let text = (!text.is_empty() || content.is_empty()).then_some(Self::Text { text });
        text.into_iter().chain(content.iter().map(Self::from)).collect()
    }
}

impl<'a> From<&'a Content> for ContentBlock<'a> {
    fn from(content: &'a Content) -> Self {
        match content {
            Content::Text(text) => Self::Text { text },
            Content::Image(media) => {
                Self::Image { data: BASE64_STANDARD.encode(&media.bytes), mime_type: &media.mime_type }
            }
            Content::Audio(media) => {
                Self::Audio { data: BASE64_STANDARD.encode(&media.bytes), mime_type: &media.mime_type }
            }
            Content::Resource(resource) => Self::Resource { resource: ResourceContents::from(resource) },
        }
    }
}

impl<'a> From<&'a ResourceContent> for ResourceContents<'a> {
    fn from(resource: &'a ResourceContent) -> Self {
        let (text, blob) = match &resource.body {
            ResourceBody::Text(text) => (Some(text.as_str()), None),
            ResourceBody::Bytes(bytes) => (None, Some(BASE64_STANDARD.encode(bytes))),
        };
        Self { uri: &resource.uri, mime_type: &resource.mime_type, text, blob }
    }
}

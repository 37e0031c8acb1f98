//! What an answer can hold beside text and fields.

/// One piece of an answer, in the order it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A text.
    Text(String),
    /// A picture.
    Image(Media),
    /// A sound.
    Audio(Media),
    /// A resource that comes along.
    Resource(ResourceContent),
}

/// Bytes that are no text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// What they are.
    pub mime_type: String,
}

/// A resource with what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceContent {
    /// Its address.
    pub uri: String,
    /// Its media type.
    pub mime_type: String,
    /// What it holds.
    pub body: ResourceBody,
}

/// What a resource holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResourceBody {
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

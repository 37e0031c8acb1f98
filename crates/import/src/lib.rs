//! Files of other programs: text in, what they mean out, every mistake in the words that their users know.
//!
//! Nothing here reads a file or decides anything. What a file means to Portcullis is the application's to say.

pub mod protector;

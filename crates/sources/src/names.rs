//! Checks that every source makes on names, and where their blocking work runs.

use model::{CredentialRef, ErrorCode, Failure};

/// The parts of an object's name, if each can be one file's name: not empty, not hidden, no `.` and no `..`.
pub(crate) fn components(name: &CredentialRef) -> Result<(&str, Vec<&str>), Failure> {
    let objects: Vec<&str> = name.object().split('/').collect();
    if objects
        .iter()
        .chain(std::iter::once(&name.safe()))
        .any(|part| part.is_empty() || part.starts_with('.'))
    {
        return Err(invalid(name, "no part of it may be empty or begin with a dot"));
    }
    Ok((name.safe(), objects))
}

pub(crate) fn invalid(name: &CredentialRef, why: &str) -> Failure {
    Failure::new(ErrorCode::InputInvalid, format!("source `{}` has no name `{name}`: {why}", name.source()))
}

pub(crate) fn not_found(name: &CredentialRef) -> Failure {
    Failure::new(ErrorCode::CredentialNotFound, format!("there is no credential `{name}`"))
}

pub(crate) fn refused(name: &CredentialRef, why: impl std::fmt::Display) -> Failure {
    Failure::new(ErrorCode::CredentialRefused, format!("credential `{name}` cannot be used"))
        .with_internal(why.to_string())
}

/// A user name or address from a source: one line of printable text, or nothing.
pub(crate) fn plain_text(name: &CredentialRef, what: &str, bytes: &[u8]) -> Result<Option<String>, Failure> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| refused(name, format!("its {what} is not UTF-8 text")))?
        .trim();
    if text.len() > 256 || text.chars().any(char::is_control) {
        return Err(refused(name, format!("its {what} is too long or has control characters")));
    }
    Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
}

/// Runs what waits for the disk where that holds nobody up.
pub(crate) async fn blocking<T: Send + 'static>(
    operation: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(operation).await.unwrap_or_else(|error| {
        Err(Failure::new(ErrorCode::Internal, "the credential source ended inside the gateway")
            .with_internal(error.to_string()))
    })
}

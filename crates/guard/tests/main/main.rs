//! The guard from outside: canary forms, streams, answers, and properties.

#[cfg(test)]
mod admit;
#[cfg(test)]
mod canary;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod stream;

use guard::Scanner;
use model::Secret;

/// A scanner for these secrets.
fn scanner(secrets: &[&str]) -> Scanner {
    let secrets: Vec<Secret<String>> = secrets.iter().map(|text| Secret::new((*text).to_owned())).collect();
    Scanner::new(&secrets)
}

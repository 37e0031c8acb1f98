//! Every key of the three kinds of file.

mod ccp;
pub(crate) mod configuration;
pub(crate) mod inventory;
pub(crate) mod rules;
mod upstream;

use crate::shape::{Key, Kind, key};

/// Where a secret is taken: a literal, or where it is written down.
pub(crate) const SECRET: Kind = Kind::Either(&[Kind::Literal, Kind::Choice(&[ENV, FILE, STORED])]);

/// Where a key comes from that must lie outside the state folder.
pub(crate) const OUTSIDE_KEY: Kind = Kind::Choice(&[FILE, ENV, SYSTEMD]);

pub(crate) const ENV: &[Key] =
    &[key("env", Kind::Text, "Name of an environment variable of the gateway that holds the secret.")
        .required()];
pub(crate) const FILE: &[Key] =
    &[key("file", Kind::Path, "File that holds the secret; one newline at its end is dropped.").required()];
pub(crate) const STORED: &[Key] = &[key(
    "secret",
    Kind::Text,
    "`SOURCE:SAFE/OBJECT`: an object of a credential source declared in `[[credential_source]]`.",
)
.required()];
pub(crate) const SYSTEMD: &[Key] = &[key(
    "systemd",
    Kind::Text,
    "Name of a systemd credential (`LoadCredential=` in the unit), read from `$CREDENTIALS_DIRECTORY`.",
)
.required()];

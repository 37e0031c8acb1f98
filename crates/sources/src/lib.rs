//! Where credentials come from: keystore, folder, environment, command, CyberArk.
//!
//! Every source checks names before it looks anything up, bounds what it reads, and never puts any part of a secret
//! into a failure. One credential has one name: names that would lead to the same secret are refused, because
//! rules are about names.

mod assemble;
mod beneath;
mod build;
mod ccp;
mod command;
mod environment;
mod examine;
mod folder;
mod keystore;
mod names;

#[cfg(test)]
mod tests;

pub use build::{SourceKind, SourceSpec, Surroundings, build};
pub use ccp::{
    CcpAccount, CcpIdentity, CcpQuery, CcpSettings, CcpSource, CcpTrust, CertificateFault,
    CertificateFinding, PasswordChange, examine_certificates,
};
pub use command::CommandSource;
pub use environment::{Environment, EnvironmentSource, process_environment};
pub use examine::{Examination, Strength, examine, strength};
pub use folder::FolderSource;
pub use keystore::{
    Entry, KEYSTORE_DAMAGED, Keystore, KeystoreError, KeystoreSource, Listed, MasterKey, MasterKeyError,
    MasterKeyLocation, Unlock, create_located, open_located, rotate_master_file,
};

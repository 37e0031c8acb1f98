//! The files that `init` writes: small, commented, and accepted by [`crate::load`] as they are.

use crate::configuration::ApiKeyHash;

/// Name of the file that the starter configuration takes the keystore's master key from.
pub const MASTER_KEY: &str = "keystore.key";
/// Name of the file that the starter configuration takes the journal's signing key from.
pub const SIGNING_KEY: &str = "audit.key";
/// Name of the file that the starter configuration takes the key of sealed command lines from.
pub const SEAL_KEY: &str = "audit-seal.key";
/// Name of the keystore's own file.
pub const KEYSTORE: &str = "keystore";

/// A file to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StarterFile {
    /// Where, below the folder of the configuration.
    pub path: &'static str,
    /// What.
    pub text: String,
}

/// The starter configuration with the schemas that its first lines name, for an agent that has this key and an operator who
/// is this user of the machine.
pub fn starter_files(agent_key: &ApiKeyHash, os_user: &str) -> Vec<StarterFile> {
    let quoted = |text: &str| toml::Value::from(text).to_string();
    let configuration = include_str!("templates/portcullis.toml")
        .replace("{KEY_HASH}", &quoted(agent_key.as_str()))
        .replace("{OS_USER}", &quoted(os_user));
    let schema = |path, schema: serde_json::Value| StarterFile { path, text: format!("{schema:#}\n") };
    vec![
        StarterFile { path: "portcullis.toml", text: configuration },
        StarterFile { path: "inventory.toml", text: include_str!("templates/inventory.toml").to_owned() },
        StarterFile { path: "policy/ops.toml", text: include_str!("templates/ops.toml").to_owned() },
        schema("schema/portcullis.schema.json", crate::schema::configuration()),
        schema("schema/inventory.schema.json", crate::schema::inventory()),
        schema("schema/policy.schema.json", crate::schema::rules()),
    ]
}

//! The names that one host can have in known hosts files.

/// What a host's key is looked up under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownAs {
    /// In lower case.
    address: String,
    port: u16,
    /// The jump host it lies behind.
    behind: Option<String>,
}

impl KnownAs {
    /// A host at this address, as the inventory writes it, and port; behind the jump host of this alias, if any.
    pub fn new(address: &str, port: u16, behind: Option<&str>) -> Self {
        Self { address: address.to_ascii_lowercase(), port, behind: behind.map(str::to_ascii_lowercase) }
    }

    /// The address.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The name with its port, and without: what everybody calls it.
    pub(super) fn plain(&self) -> (String, String) {
        self.with_port(self.address.clone())
    }

    /// The same behind its jump host, `ADDRESS%ALIAS`: two networks behind two jump hosts may use one address for two
    /// machines.
    pub(super) fn scoped(&self) -> Option<(String, String)> {
        let behind = self.behind.as_deref()?;
        Some(self.with_port(format!("{}%{behind}", self.address)))
    }

    /// Every form in which a line can name this host.
    pub fn every_name(&self) -> Vec<String> {
        let both = self.scoped().into_iter().chain([self.plain()]);
        // OpenSSH writes the ordinary port nowhere. Who did and meant to revoke a key is understood.
        both.flat_map(|(_, bare)| [format!("[{bare}]:{}", self.port), bare]).collect()
    }

    fn with_port(&self, bare: String) -> (String, String) {
        let name = if self.port == 22 { bare.clone() } else { format!("[{bare}]:{}", self.port) };
        (name, bare)
    }
}

//! HTTP paths that serve some sets of tools.

/// Which tools a client sees and can call where it is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `/mcp`, stdio and the agent socket: every set.
    All,
    /// `/mcp/credentials`, also called `/mcp/cyberark`.
    Credentials,
    /// `/mcp/ssh`.
    Ssh,
    /// `/mcp/gateway`.
    Gateway,
}

impl Endpoint {
    /// The endpoint of this path segment behind `/mcp/`.
    pub fn parse(segment: &str) -> Option<Self> {
        match segment {
            "credentials" | "cyberark" => Some(Self::Credentials),
            "ssh" => Some(Self::Ssh),
            "gateway" => Some(Self::Gateway),
            _ => None,
        }
    }

    /// Whether tools of this set are served here.
    pub fn serves(self, set: &str) -> bool {
        match self {
            Self::All => true,
            Self::Credentials => set == "credentials",
            Self::Ssh => matches!(
                set,
                "host"
                    | "session"
                    | "sftp-read"
                    | "file-ops"
                    | "exec"
                    | "sudo"
                    | "shell"
                    | "docker"
                    | "systemctl"
                    | "pkg"
            ),
            Self::Gateway => set == "gateway",
        }
    }
}

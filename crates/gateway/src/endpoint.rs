//! HTTP paths that serve some sets of tools.

use model::UpstreamName;

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
    /// `/mcp/UPSTREAM`: one upstream, its tools under their own names.
    Upstream(UpstreamName),
}

impl Endpoint {
    /// The endpoint of this path segment behind `/mcp/`.
    pub fn parse(segment: &str) -> Option<Self> {
        match segment {
            "credentials" | "cyberark" => Some(Self::Credentials),
            "ssh" => Some(Self::Ssh),
            "gateway" => Some(Self::Gateway),
            _ if LATER.contains(&segment) => None,
            _ => UpstreamName::parse(segment).ok().map(Self::Upstream),
        }
    }

    /// Whether our tools of this set are served here.
    pub fn serves(self, set: &str) -> bool {
        match self {
            Self::All => true,
            Self::Upstream(_) => false,
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

/// Endpoints of sets whose tools are not built yet: no upstream has such a name.
const LATER: [&str; 4] = ["database", "fleet", "powershell", "console"];

//! The methods that the front knows, and the era each is spoken in.

use crate::Era;

/// A method of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// The legacy handshake.
    Initialize,
    /// Legacy: is anybody there.
    Ping,
    /// Legacy: from which level on the client wants to be told.
    SetLevel,
    /// Modern: versions and capabilities.
    Discover,
    /// Which tools there are.
    ListTools,
    /// Run one.
    CallTool,
    /// Which resources there are.
    ListResources,
    /// Which shapes of resource addresses there are.
    ListResourceTemplates,
    /// Read one.
    ReadResource,
    /// Which prompts there are.
    ListPrompts,
    /// One of them, with its arguments filled in.
    GetPrompt,
    /// How an argument could go on.
    Complete,
    /// Legacy: tell of changes of a resource.
    Subscribe,
    /// Legacy: do so no more.
    Unsubscribe,
    /// Modern: tell of changes for as long as the answer's stream is open.
    Listen,
}

impl Method {
    /// Every method.
    pub const ALL: &'static [Self] = &[
        Self::Initialize,
        Self::Ping,
        Self::SetLevel,
        Self::Discover,
        Self::ListTools,
        Self::CallTool,
        Self::ListResources,
        Self::ListResourceTemplates,
        Self::ReadResource,
        Self::ListPrompts,
        Self::GetPrompt,
        Self::Complete,
        Self::Subscribe,
        Self::Unsubscribe,
        Self::Listen,
    ];

    /// Reads a method's name, if this era speaks it.
    pub fn parse(text: &str, era: Era) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|method| method.as_str() == text)
            .filter(|method| method.spoken_in(era))
    }

    /// The method's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Initialize => "initialize",
            Self::Ping => "ping",
            Self::SetLevel => "logging/setLevel",
            Self::Discover => "server/discover",
            Self::ListTools => "tools/list",
            Self::CallTool => "tools/call",
            Self::ListResources => "resources/list",
            Self::ListResourceTemplates => "resources/templates/list",
            Self::ReadResource => "resources/read",
            Self::ListPrompts => "prompts/list",
            Self::GetPrompt => "prompts/get",
            Self::Complete => "completion/complete",
            Self::Subscribe => "resources/subscribe",
            Self::Unsubscribe => "resources/unsubscribe",
            Self::Listen => "subscriptions/listen",
        }
    }

    fn spoken_in(self, era: Era) -> bool {
        match self {
            Self::Initialize | Self::Ping | Self::SetLevel | Self::Subscribe | Self::Unsubscribe => {
                era == Era::Legacy
            }
            Self::Discover | Self::Listen => era == Era::Modern,
            Self::ListTools
            | Self::CallTool
            | Self::ListResources
            | Self::ListResourceTemplates
            | Self::ReadResource
            | Self::ListPrompts
            | Self::GetPrompt
            | Self::Complete => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Method;
    use crate::Era;

    #[test]
    fn each_era_speaks_its_own_methods() {
        for method in Method::ALL {
            let eras = [Era::Legacy, Era::Modern].map(|era| Method::parse(method.as_str(), era));
            assert!(eras.contains(&Some(*method)));
        }
        assert_eq!(Method::parse("initialize", Era::Modern), None);
        assert_eq!(Method::parse("ping", Era::Modern), None);
        assert_eq!(Method::parse("server/discover", Era::Legacy), None);
        assert_eq!(Method::parse("Tools/call", Era::Modern), None);
    }
}

//! The names that warnings go by, in what is printed and in `docs/policy.md`.

use std::fmt;

/// Each code once: what it is about, its variant, its name.
macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)*) => {
        /// What kind of doubt a [`crate::LintWarning`] is. Scripts rely on the names: one that was given stays.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum LintCode {
            $($(#[$doc])* $variant,)*
        }

        impl LintCode {
            /// Every code, in the order of `docs/policy.md`.
            pub const ALL: &'static [LintCode] = &[$(LintCode::$variant,)*];

            /// The code as it is printed.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(LintCode::$variant => $text,)*
                }
            }
        }
    };
}

codes! {
    /// No principal has this name.
    UnknownPrincipal = "unknown-principal",
    /// No principal is in this group.
    UnknownGroup = "unknown-group",
    /// No target has this name.
    UnknownTarget = "unknown-target",
    /// No target has this tag.
    UnknownTag = "unknown-tag",
    /// No target of the inventory matches.
    NoTarget = "no-target",
    /// Commands or files like this are refused before rules are asked.
    NeverMatches = "never-matches",
    /// A pattern of `commands` is opaque.
    Opaque = "opaque",
    /// An entry of `opaque` is understood.
    NotOpaque = "not-opaque",
    /// The tools need a key that is missing.
    PermitsNothing = "permits-nothing",
    /// `name:` that no network bounds.
    NameUnbounded = "name-unbounded",
    /// No upstream has this name.
    UnknownUpstream = "unknown-upstream",
    /// The upstream's `tools` does not list the tool.
    UnlistedTool = "unlisted-tool",
    /// A key without a tool that it binds.
    UnusedKey = "unused-key",
    /// A `forbid` names an option, which may have another spelling.
    OptionSpelling = "option-spelling",
    /// Another rule permits, or forbids, all that this one does.
    Shadowed = "shadowed",
    /// A `forbid` takes all that this rule permits.
    Forbidden = "forbidden",
    /// Another rule permits the same act without the approval.
    ApprovalAvoidable = "approval-avoidable",
    /// `**` beside a rule that narrows.
    AnyCommand = "any-command",
    /// A program that runs others, beside a rule that narrows.
    AnyOpaque = "any-opaque",
    /// There are too many rules to compare them.
    NotCompared = "not-compared",
}

impl fmt::Display for LintCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

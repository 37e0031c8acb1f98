//! What rules say of upstreams that the configuration does not know, and `arguments` where there are none.

use super::{Found, LintCode};
use crate::Vocabulary;
use crate::rule::{Rule, ToolSelector};

pub(super) fn lint(rule: &Rule, vocabulary: &Vocabulary, found: &mut Found) {
    for (index, selector) in rule.tools.iter().enumerate() {
        let at = (rule.tools_key(), Some(index));
        let (upstream, tool) = match selector {
            ToolSelector::Upstream(upstream) => (*upstream, None),
            ToolSelector::Things(things) => (things.upstream, None),
            ToolSelector::One(name) => match name.upstream() {
                Some((upstream, tool)) => (upstream, Some(tool)),
                None => continue,
            },
            ToolSelector::Any | ToolSelector::Set(_) | ToolSelector::Tier(_) | ToolSelector::AnyOperator => {
                continue;
            }
        };
        match (vocabulary.upstreams.get(&upstream), tool) {
            (None, _) => {
                let message = format!("no upstream is called `{upstream}`");
                found.warn(
                    rule,
                    LintCode::UnknownUpstream,
                    at,
                    message,
                    "upstreams are written as `[[upstream]]`",
                );
            }
            (Some(Some(listed)), Some(tool)) if !listed.contains(tool) => {
                let message = format!("`tools` of the upstream `{upstream}` does not list `{tool}`");
                let hint = "only tools in that list are ever offered";
                found.warn(rule, LintCode::UnlistedTool, at, message, hint);
            }
            (Some(_), _) => {}
        }
    }
    if rule.arguments.is_some()
        && !rule.tools.iter().any(|selector| names(selector) || *selector == ToolSelector::Any)
    {
        let message = "`arguments` is about tools of upstreams, of which the rule names none".to_owned();
        found.warn(
            rule,
            LintCode::UnusedKey,
            ("arguments", None),
            message,
            "name one as `UPSTREAM__TOOL`, or leave the key out",
        );
    }
}

/// Whether this names something of an upstream.
pub(super) fn names(selector: &ToolSelector) -> bool {
    match selector {
        ToolSelector::Upstream(_) | ToolSelector::Things(_) => true,
        ToolSelector::One(name) => name.upstream().is_some(),
        ToolSelector::Any | ToolSelector::Set(_) | ToolSelector::Tier(_) | ToolSelector::AnyOperator => false,
    }
}

//! How arguments of prompts and of resource addresses could go on.

use model::Principal;
use tools::CompletionOf;

use crate::gateway::Gateway;
use crate::live::Live;
use crate::resources::TEMPLATES;
use crate::{Completing, Endpoint};

/// What begins as written, and that this principal may know of; sorted.
pub(crate) fn completions(
    gateway: &Gateway,
    live: &Live,
    principal: &Principal,
    asked: &Completing,
) -> Vec<String> {
    let Completing { of, argument, written } = asked;
    let own = match of {
        CompletionOf::Template(template) => TEMPLATES.iter().find(|own| own.uri_template == template),
        CompletionOf::Prompt(_) => None,
    };
    let mut values: Vec<String> = match (own.map(|own| own.name), argument.as_str()) {
        (Some("host"), "alias") => {
            let seen = live.inventory.hosts().filter(|host| live.snapshot.sees(principal, &host.target()));
            seen.map(|host| host.name.to_string()).collect()
        }
        (Some("skill"), "tool") => gateway
            .visible_tools(live, principal, Endpoint::All)
            .iter()
            .filter(|tool| tool.definition().is_none())
            .map(|tool| tool.spec().name.to_string())
            .collect(),
        (Some(_), _) => Vec::new(),
        (None, _) => return gateway.offered(of, argument, written),
    };
    values.retain(|value| value.starts_with(written.as_str()));
    values.sort_unstable();
    values
}

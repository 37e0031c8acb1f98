//! Networks as rules write them.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_spanned::Spanned;

use super::RawNetworks;
use super::parse::list;
use super::selectors::Refused;
use crate::{NetworkFence, RuleProblem};

/// A network that is written as one: `10.0.0.0/8`, with no bits set behind its prefix.
pub(super) fn network(text: &str) -> Result<IpNet, Refused> {
    let Ok(network) = text.parse::<IpNet>() else {
        let hint = match text.parse::<IpAddr>() {
            Ok(address) => format!("for this address alone write `{}`", IpNet::from(address)),
            Err(_) => "write an address and a prefix length, such as `10.0.0.0/8`".to_owned(),
        };
        return Err((format!("`{text}` is not a network"), Some(hint)));
    };
    if network.trunc() != network {
        let hint = format!("the network is `{}`", network.trunc());
        return Err((format!("`{text}` has bits set behind its prefix"), Some(hint)));
    }
    match network {
        IpNet::V6(v6) if v6.addr().to_ipv4_mapped().is_some() => {
            let message = format!("`{text}` would never match: such addresses are seen as IPv4");
            Err((message, Some("write the IPv4 network".to_owned())))
        }
        IpNet::V4(_) | IpNet::V6(_) => Ok(network),
    }
}

/// `networks = { allow = [...], block = [...] }`
pub(super) fn read(raw: &Spanned<RawNetworks>, problems: &mut Vec<RuleProblem>) -> NetworkFence {
    let RawNetworks { allow, block } = raw.get_ref();
    if allow.is_none() && block.is_none() {
        let problem = RuleProblem::new("networks", "`networks` has neither `allow` nor `block`");
        problems.push(problem.span(Some(raw.span())).hint("leave it out, or say which networks"));
    }
    NetworkFence {
        allow: list(allow.as_ref(), "networks.allow", problems, network),
        block: list(block.as_ref(), "networks.block", problems, network),
    }
}

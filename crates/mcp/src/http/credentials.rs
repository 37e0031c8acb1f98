//! What a request presents to prove who it is from.

use std::net::IpAddr;

use gateway::{Authenticated, Presented};
use http::HeaderMap;
use http::header::{AUTHORIZATION, USER_AGENT};

use super::Shared;
use super::peer::Peer;
use super::refuse::Refused;
use crate::{Admission, measure};

const API_KEY: &str = "x-api-key";
/// Stands for keys that cannot be read: two that differ, which is a failure that the gateway counts like any other.
const UNREADABLE: &[&str] = &["", "?"];
/// Nobody needs more; the gateway refuses two that differ.
const MOST_KEYS: usize = 4;

/// Authenticates a request. Whatever cannot be read is a failure, never "no key".
pub(super) fn authenticate(
    shared: &Shared,
    peer: &Peer,
    client: IpAddr,
    headers: &HeaderMap,
) -> Result<Authenticated<()>, Refused> {
    let admission = shared.alone.as_ref().map_or(Admission::Key, |alone| alone.admission());
    let mut keys = [""; MOST_KEYS];
    let count = match admission {
        Admission::Key => present(headers, &mut keys),
        Admission::Anybody | Admission::Address => Some(0),
    };
    let api_keys = count.and_then(|count| keys.get(..count)).unwrap_or(UNREADABLE);
    let agent = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok());
    let presented = Presented {
        api_keys,
        certificate_names: &peer.certificate_names,
        os_user: None,
        client_ip: Some(client),
        transport: "http",
        agent: agent.map(|agent| agent.get(..128).unwrap_or(agent)),
    };
    let known = shared.gate.authenticate(&presented).ok();
    // The gateway has refused what could not be read; this does not rest on how.
    known.filter(|_| count.is_some()).ok_or_else(|| {
        measure::unauthenticated("http");
        match (shared.strangers.failed(client), admission) {
            (true, _) => Refused::TooManyFailures,
            (false, Admission::Key) => Refused::Unauthenticated,
            (false, Admission::Anybody | Admission::Address) => Refused::Address,
        }
    })
}

/// Whether the request presents anything at all.
pub(super) fn presents_anything(peer: &Peer, headers: &HeaderMap) -> bool {
    headers.contains_key(API_KEY) || headers.contains_key(AUTHORIZATION) || !peer.certificate_names.is_empty()
}

/// Collects the keys, and returns how many there are; `None` if one of the headers cannot be read as a key.
fn present<'h>(headers: &'h HeaderMap, keys: &mut [&'h str; MOST_KEYS]) -> Option<usize> {
    let mut count = 0;
    let plain = headers.get_all(API_KEY).iter().map(|value| value.to_str().ok());
    let bearer = headers.get_all(AUTHORIZATION).iter().map(|value| bearer(value.to_str().ok()?));
    for key in plain.chain(bearer) {
        *keys.get_mut(count)? = key?;
        count += 1;
    }
    Some(count)
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim_matches(' '))
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::{MOST_KEYS, present};

    fn keys(lines: &[(&str, &str)]) -> Option<Vec<String>> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let mut keys = [""; MOST_KEYS];
        let count = present(&headers, &mut keys)?;
        Some(keys[..count].iter().map(|key| (*key).to_owned()).collect())
    }

    #[test]
    fn every_key_is_presented() {
        let list = |keys: &[&str]| Some(keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>());
        assert_eq!(keys(&[]), list(&[]));
        assert_eq!(keys(&[("x-api-key", "k")]), list(&["k"]));
        assert_eq!(keys(&[("Authorization", "bearer  k")]), list(&["k"]));
        assert_eq!(
            keys(&[("x-api-key", "a"), ("authorization", "Bearer b"), ("x-api-key", "c")]),
            list(&["a", "c", "b"])
        );
    }

    #[test]
    fn what_is_no_key_is_a_failure() {
        for wrong in ["Basic YTpi", "Bearer", "k", "", "Bearer\u{e9} x"] {
            assert_eq!(keys(&[("authorization", wrong)]), None, "{wrong}");
            assert_eq!(keys(&[("x-api-key", "k"), ("authorization", wrong)]), None, "{wrong}");
        }
        assert_eq!(keys(&[("x-api-key", "k\u{e9}")]), None);
        assert_eq!(keys(&[("x-api-key", "k"); 5]), None);
    }
}

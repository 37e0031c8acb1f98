//! Who is at the other end of a connection, and behind a proxy, who is at the end of that.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::HeaderMap;
use ipnet::IpNet;

use super::accept::Listener;
use super::refuse::Refused;

/// The other end of a connection.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) address: IpAddr,
    /// Names of the verified client certificate.
    pub(super) certificate_names: Arc<[String]>,
    pub(super) listener: Listener,
}

const FORWARDED: &str = "x-forwarded-for";
/// More hops than anybody has; the header's size is bounded with the head.
const MOST_HOPS: usize = 32;

/// The address a request comes from. Behind proxies that is the last hop that is none of them; a header that anybody
/// else sends says nothing.
pub(super) fn client_address(
    peer: IpAddr,
    trusted: Option<&[IpNet]>,
    headers: &HeaderMap,
) -> Result<IpAddr, Refused> {
    let Some(trusted) = trusted else { return Ok(peer) };
    let is_trusted = |address: IpAddr| trusted.iter().any(|net| net.contains(&address));
    if !is_trusted(peer) {
        return Err(Refused::Proxy);
    }
    let mut client = peer;
    let lines: Vec<_> = headers.get_all(FORWARDED).iter().collect();
    let mut hops = 0;
    for line in lines.iter().rev() {
        let line = line.to_str().map_err(|_| Refused::Proxy)?;
        for hop in line.rsplit(',') {
            hops += 1;
            client = hop_address(hop.trim()).filter(|_| hops <= MOST_HOPS).ok_or(Refused::Proxy)?;
            if !is_trusted(client) {
                return Ok(client);
            }
        }
    }
    Ok(client)
}

fn hop_address(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(hop);
    let address = bare.parse().ok().or_else(|| hop.parse::<SocketAddr>().ok().map(|socket| socket.ip()))?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::{FORWARDED, client_address};
    use crate::http::refuse::Refused;

    fn client(peer: &str, proxies: Option<&[&str]>, forwarded: &[&str]) -> Result<String, Refused> {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(FORWARDED, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        let nets: Option<Vec<_>> =
            proxies.map(|proxies| proxies.iter().map(|net| net.parse().unwrap()).collect());
        client_address(peer.parse().unwrap(), nets.as_deref(), &headers).map(|address| address.to_string())
    }

    #[test]
    fn without_proxies_only_the_connection_counts() {
        assert_eq!(client("192.0.2.1", None, &["10.0.0.1", "127.0.0.1"]).as_deref(), Ok("192.0.2.1"));
    }

    #[test]
    fn only_trusted_proxies_may_connect() {
        assert_eq!(client("192.0.2.1", Some(&["127.0.0.1/32"]), &["127.0.0.1"]), Err(Refused::Proxy));
        assert_eq!(client("192.0.2.1", Some(&[]), &[]), Err(Refused::Proxy));
    }

    #[test]
    fn the_last_hop_that_is_no_proxy_is_the_client() {
        let proxies: Option<&[&str]> = Some(&["10.0.0.0/8", "127.0.0.1/32", "fd00::/8"]);
        for (forwarded, expected) in [
            (&["192.0.2.1"] as &[&str], "192.0.2.1"),
            (&["198.51.100.9, 192.0.2.1"], "192.0.2.1"),
            (&["10.9.9.9, 192.0.2.1, 10.0.0.2"], "192.0.2.1"),
            (&["198.51.100.9", "192.0.2.1,10.0.0.2"], "192.0.2.1"),
            (&["192.0.2.1:4711"], "192.0.2.1"),
            (&["[2001:db8::1]:4711"], "2001:db8::1"),
            (&["[2001:db8::1]"], "2001:db8::1"),
            (&["::ffff:192.0.2.1"], "192.0.2.1"),
            (&["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            (&[], "127.0.0.1"),
        ] {
            assert_eq!(client("127.0.0.1", proxies, forwarded).as_deref(), Ok(expected), "{forwarded:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        let proxies: Option<&[&str]> = Some(&["127.0.0.1/32"]);
        let many = vec!["127.0.0.1"; 40].join(",");
        for forwarded in ["", "unknown", "192.0.2.1,", "a.example", "192.0.2.1 192.0.2.2", "\u{e9}", &many] {
            assert_eq!(client("127.0.0.1", proxies, &[forwarded]), Err(Refused::Proxy), "{forwarded}");
        }
    }
}

//! Where an upstream may lie: decided on the address that is dialled, not on the name that led there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::settings::Networks;

/// Of the addresses that look public, those that are not anybody's server: the IANA registries, and what clouds keep for
/// themselves.
const RESERVED_V4: &[(Ipv4Addr, u8)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(168, 63, 129, 16), 32),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 3),
];
/// The only IPv6 addresses that are public at all.
const GLOBAL_V6: (Ipv6Addr, u8) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
/// Of them those that are not, or that hide an IPv4 address.
const RESERVED_V6: &[(Ipv6Addr, u8)] = &[
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];
/// Where clouds answer questions about the machine: never meant by who only writes an address.
const LINK_LOCAL_V4: (Ipv4Addr, u8) = (Ipv4Addr::new(169, 254, 0, 0), 16);
const AZURE: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);
const ALIBABA: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 200);
const AWS_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

impl Networks {
    /// Whether this address may be dialled. `written`: the operator wrote the address itself, so no name server chose it.
    pub(crate) fn permit(&self, address: IpAddr, written: bool) -> bool {
        let address = address.to_canonical();
        if self.block.iter().any(|network| network.contains(&address)) {
            return false;
        }
        match &self.allow {
            Some(allow) => allow.iter().any(|network| network.contains(&address)),
            None => is_public(address) || (written && !is_metadata(address)),
        }
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !RESERVED_V4.iter().any(|network| holds_v4(*network, v4)),
        IpAddr::V6(v6) => {
            holds_v6(GLOBAL_V6, v6) && !RESERVED_V6.iter().any(|network| holds_v6(*network, v6))
        }
    }
}

fn is_metadata(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => holds_v4(LINK_LOCAL_V4, v4) || v4 == AZURE || v4 == ALIBABA,
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6 == AWS_V6,
    }
}

fn holds_v4((network, prefix): (Ipv4Addr, u8), address: Ipv4Addr) -> bool {
    Ipv4Net::new(network, prefix).is_ok_and(|network| IpNet::V4(network).contains(&IpAddr::V4(address)))
}

fn holds_v6((network, prefix): (Ipv6Addr, u8), address: Ipv6Addr) -> bool {
    Ipv6Net::new(network, prefix).is_ok_and(|network| IpNet::V6(network).contains(&IpAddr::V6(address)))
}

#[cfg(test)]
mod tests {
    use super::Networks;

    fn permits(networks: &Networks, address: &str, written: bool) -> bool {
        networks.permit(address.parse().unwrap(), written)
    }

    #[test]
    fn what_a_name_leads_to_must_be_public_unless_its_network_is_named() {
        let default = Networks::default();
        for public in ["1.1.1.1", "140.82.121.4", "172.32.0.1", "2606:4700::1111", "::ffff:1.1.1.1"] {
            assert!(permits(&default, public, false), "{public}");
        }
        for other in [
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "192.168.1.1",
            "192.0.0.192",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "2001::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "ff02::1",
        ] {
            assert!(!permits(&default, other, false), "{other}");
        }
        let named = Networks {
            allow: Some(vec!["10.1.0.0/16".parse().unwrap(), "169.254.0.0/16".parse().unwrap()]),
            block: vec!["10.1.9.0/24".parse().unwrap()],
        };
        for (address, expected) in [
            ("10.1.0.1", true),
            ("::ffff:10.1.0.1", true),
            ("169.254.169.254", true),
            ("10.1.9.1", false),
            ("10.2.0.1", false),
            ("1.1.1.1", false),
        ] {
            assert_eq!(permits(&named, address, false), expected, "{address}");
            assert_eq!(permits(&named, address, true), expected, "{address}, written");
        }
    }

    #[test]
    fn an_address_that_is_written_names_itself_unless_clouds_answer_there() {
        let default = Networks::default();
        for address in ["127.0.0.1", "10.0.0.1", "::1", "192.168.1.1"] {
            assert!(permits(&default, address, true), "{address}");
        }
        for address in ["169.254.169.254", "168.63.129.16", "100.100.100.200", "fd00:ec2::254", "fe80::1"] {
            assert!(!permits(&default, address, true), "{address}");
        }
        let blocked = Networks { block: vec!["127.0.0.0/8".parse().unwrap()], ..Networks::default() };
        assert!(!permits(&blocked, "127.0.0.1", true));
    }
}

//! What an address leads to. Modules reach public addresses; any other has to be granted by itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Networks of IPv4 that are not public, with what they lead to.
const NOT_PUBLIC_V4: [(Ipv4Addr, u32, &str); 17] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8, "unspecified"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, "private"),
    (Ipv4Addr::new(100, 64, 0, 0), 10, "shared by a provider's customers"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "loopback"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "link-local"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, "private"),
    // Oracle's cloud has its metadata in it.
    (Ipv4Addr::new(192, 0, 0, 0), 24, "reserved"),
    (Ipv4Addr::new(192, 0, 2, 0), 24, "documentation"),
    (Ipv4Addr::new(192, 88, 99, 0), 24, "reserved"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, "private"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "benchmarking"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, "documentation"),
    (Ipv4Addr::new(203, 0, 113, 0), 24, "documentation"),
    // Looks public, and is Azure's metadata for whoever asks from inside of it.
    (Ipv4Addr::new(168, 63, 129, 16), 32, "metadata"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "multicast"),
    (Ipv4Addr::new(255, 255, 255, 255), 32, "broadcast"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "reserved"),
];

/// The one network of IPv6 whose addresses are handed out to be reached.
const PUBLIC_V6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// What in it is not public after all. Addresses of 6to4 and Teredo hold IPv4 addresses that somebody else's relay
/// unpacks, and no service lives there; so all of them are refused, whichever they hold.
const NOT_PUBLIC_V6: [(Ipv6Addr, u32, &str); 5] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 32, "Teredo"),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, "reserved"),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, "documentation"),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, "6to4"),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, "documentation"),
];

/// Words for what lies outside of it.
const OTHER_V6: [(Ipv6Addr, u32, &str); 8] = [
    (Ipv6Addr::UNSPECIFIED, 128, "unspecified"),
    (Ipv6Addr::LOCALHOST, 128, "loopback"),
    (Ipv6Addr::UNSPECIFIED, 96, "an IPv4 address in an old form"),
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48, "translated to IPv4 by this network"),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, "private"),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, "link-local"),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10, "private"),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, "multicast"),
];

/// What translators of NAT64 put in front of an IPv4 address. On hosts without IPv4 all of its servers look like this.
const NAT64: (Ipv6Addr, u32) = (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);

/// What an address leads to if it is not public.
pub fn kind(address: IpAddr) -> Option<&'static str> {
    match canonical(address) {
        IpAddr::V4(address) => kind_v4(address),
        IpAddr::V6(address) => kind_v6(address),
    }
}

/// An IPv4 address in the clothes of IPv6 is one of IPv4 for the kernel, and so it is here.
pub fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// Whether an address is in a network.
pub(super) fn is_in(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => is_in_v4(address, network, bits),
        (IpAddr::V6(address), IpAddr::V6(network)) => is_in_v6(address, network, bits),
        _ => false,
    }
}

/// Whether a connection to a public address would stay in this machine, behind the firewall that guards it from others.
/// The kernel says which way it would go; nothing is sent.
pub fn is_this_machine(address: IpAddr) -> bool {
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let from = UdpSocket::bind(SocketAddr::new(any, 0)).and_then(|socket| {
        // Any port will do.
        socket.connect(SocketAddr::new(address, 9))?;
        socket.local_addr()
    });
    from.is_ok_and(|from| from.ip() == address)
}

fn kind_v4(address: Ipv4Addr) -> Option<&'static str> {
    NOT_PUBLIC_V4.iter().find(|(network, bits, _)| is_in_v4(address, *network, *bits)).map(|(.., kind)| *kind)
}

fn kind_v6(address: Ipv6Addr) -> Option<&'static str> {
    let found = |networks: &[(Ipv6Addr, u32, &'static str)]| {
        networks.iter().find(|(network, bits, _)| is_in_v6(address, *network, *bits)).map(|(.., kind)| *kind)
    };
    if is_in_v6(address, NAT64.0, NAT64.1) {
        let [.., a, b, c, d] = address.octets();
        return kind_v4(Ipv4Addr::new(a, b, c, d));
    }
    if is_in_v6(address, PUBLIC_V6.0, PUBLIC_V6.1) {
        return found(&NOT_PUBLIC_V6);
    }
    Some(found(&OTHER_V6).unwrap_or("reserved"))
}

fn is_in_v4(address: Ipv4Addr, network: Ipv4Addr, bits: u32) -> bool {
    let mask = u32::MAX.checked_shl(32u32.saturating_sub(bits)).unwrap_or(0);
    address.to_bits() & mask == network.to_bits() & mask
}

fn is_in_v6(address: Ipv6Addr, network: Ipv6Addr, bits: u32) -> bool {
    let mask = u128::MAX.checked_shl(128u32.saturating_sub(bits)).unwrap_or(0);
    address.to_bits() & mask == network.to_bits() & mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lead_where_they_lead() {
        let cases = [
            ("1.1.1.1", None),
            ("8.8.8.8", None),
            ("9.255.255.255", None),
            ("11.0.0.0", None),
            ("100.63.255.255", None),
            ("100.128.0.0", None),
            ("126.255.255.255", None),
            ("128.0.0.0", None),
            ("169.253.255.255", None),
            ("169.255.0.0", None),
            ("172.15.255.255", None),
            ("172.32.0.0", None),
            ("192.0.1.0", None),
            ("192.167.255.255", None),
            ("192.169.0.0", None),
            ("198.17.255.255", None),
            ("198.20.0.0", None),
            ("223.255.255.255", None),
            ("168.63.129.15", None),
            ("2606:4700::1111", None),
            ("2001:200::1", None),
            ("2001:db7:ffff::1", None),
            ("2001:db9::1", None),
            ("2003::1", None),
            ("3fff:1000::1", None),
            ("::ffff:8.8.8.8", None),
            ("64:ff9b::8.8.8.8", None),
            ("0.0.0.0", Some("unspecified")),
            ("0.1.2.3", Some("unspecified")),
            ("10.0.0.0", Some("private")),
            ("10.255.255.255", Some("private")),
            ("100.64.0.0", Some("shared by a provider's customers")),
            ("100.100.100.200", Some("shared by a provider's customers")),
            ("100.127.255.255", Some("shared by a provider's customers")),
            ("127.0.0.1", Some("loopback")),
            ("127.255.255.254", Some("loopback")),
            ("169.254.0.0", Some("link-local")),
            ("169.254.169.254", Some("link-local")),
            ("168.63.129.16", Some("metadata")),
            ("172.16.0.0", Some("private")),
            ("172.31.255.255", Some("private")),
            ("192.0.0.192", Some("reserved")),
            ("192.0.2.1", Some("documentation")),
            ("192.88.99.1", Some("reserved")),
            ("192.168.0.1", Some("private")),
            ("198.18.0.1", Some("benchmarking")),
            ("198.19.255.255", Some("benchmarking")),
            ("198.51.100.7", Some("documentation")),
            ("203.0.113.7", Some("documentation")),
            ("224.0.0.1", Some("multicast")),
            ("239.255.255.255", Some("multicast")),
            ("240.0.0.1", Some("reserved")),
            ("255.255.255.255", Some("broadcast")),
            ("::", Some("unspecified")),
            ("::1", Some("loopback")),
            ("::127.0.0.1", Some("an IPv4 address in an old form")),
            ("::8.8.8.8", Some("an IPv4 address in an old form")),
            ("::ffff:0.0.0.0", Some("unspecified")),
            ("::ffff:10.0.0.1", Some("private")),
            ("::ffff:127.0.0.1", Some("loopback")),
            ("::ffff:169.254.169.254", Some("link-local")),
            ("::ffff:100.64.0.1", Some("shared by a provider's customers")),
            ("::ffff:0:127.0.0.1", Some("reserved")),
            ("64:ff9b::10.0.0.1", Some("private")),
            ("64:ff9b::127.0.0.1", Some("loopback")),
            ("64:ff9b::169.254.169.254", Some("link-local")),
            ("64:ff9b::255.255.255.255", Some("broadcast")),
            ("64:ff9b:1::8.8.8.8", Some("translated to IPv4 by this network")),
            ("64:ff9b:2::1", Some("reserved")),
            ("100::1", Some("reserved")),
            ("1fff:ffff::1", Some("reserved")),
            ("2001::1", Some("Teredo")),
            ("2001:0:4136:e378:8000:63bf:3fff:fdd2", Some("Teredo")),
            ("2001:2::1", Some("reserved")),
            ("2001:10::1", Some("reserved")),
            ("2001:db8::1", Some("documentation")),
            ("2002:7f00:1::1", Some("6to4")),
            ("2002:808:808::1", Some("6to4")),
            ("3fff::1", Some("documentation")),
            ("4000::1", Some("reserved")),
            ("5f00::1", Some("reserved")),
            ("fc00::1", Some("private")),
            ("fd00:ec2::254", Some("private")),
            ("fd20:ce::254", Some("private")),
            ("fe80::1", Some("link-local")),
            ("febf:ffff::1", Some("link-local")),
            ("fec0::1", Some("private")),
            ("ff02::1", Some("multicast")),
            ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Some("multicast")),
        ];
        for (address, expected) in cases {
            assert_eq!(kind(address.parse().unwrap()), expected, "{address}");
        }
    }

    /// The standard library knows some of them too; whatever it refuses is refused here.
    #[test]
    fn nothing_is_public_that_the_standard_library_knows_not_to_be() {
        for high in 0..=u16::MAX {
            for low in [0, 1, 0x7fff, 0x8000, 0xffff] {
                let address = Ipv4Addr::from_bits(u32::from(high) << 16 | low);
                let known = address.is_loopback()
                    || address.is_private()
                    || address.is_link_local()
                    || address.is_multicast()
                    || address.is_broadcast()
                    || address.is_documentation()
                    || address.is_unspecified();
                let refused = kind(address.into()).is_some();
                assert!(refused || !known, "{address}");
                for embedded in [address.to_ipv6_mapped(), nat64(address)] {
                    assert_eq!(kind(embedded.into()).is_some(), refused, "{embedded}");
                }
            }
        }
    }

    fn nat64(address: Ipv4Addr) -> Ipv6Addr {
        Ipv6Addr::from_bits(NAT64.0.to_bits() | u128::from(address.to_bits()))
    }

    #[test]
    fn this_machine_knows_itself() {
        assert!(is_this_machine(Ipv4Addr::LOCALHOST.into()));
        assert!(!is_this_machine("192.0.2.1".parse().unwrap()));
        assert!(!is_this_machine("2001:db8::1".parse().unwrap()));
    }
}

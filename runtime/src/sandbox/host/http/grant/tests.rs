use proptest::prelude::*;

use super::*;

fn grant(text: &str) -> Grant {
    text.parse().unwrap()
}

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

#[test]
fn a_grant_covers_its_prefix_and_nothing_beside_it() {
    let path = "https://metrics.example:9100/path";
    for (text, request, covered) in [
        (path, "https://metrics.example:9100/path", true),
        (path, "https://METRICS.example:9100/path/", true),
        (path, "https://metrics.example:9100/path/x?y", true),
        (path, "https://metrics.example:9100/path?q=/", true),
        (path, "https://metrics.example:9100/pathology", false),
        (path, "https://metrics.example:9100/path;x", false),
        (path, "https://metrics.example:9100/path%20", false),
        (path, "https://metrics.example:9100/Path", false),
        (path, "https://metrics.example:9100/p%61th", false),
        (path, "https://metrics.example:9100//path", false),
        (path, "https://metrics.example:9100/", false),
        (path, "https://metrics.example:9101/path", false),
        (path, "https://metrics.example/path", false),
        (path, "http://metrics.example:9100/path", false),
        (path, "https://x.metrics.example:9100/path", false),
        (path, "https://metrics.example.x:9100/path", false),
        ("http://a.example/api/", "http://a.example/api/", true),
        ("http://a.example/api/", "http://a.example/api/x", true),
        ("http://a.example/api/", "http://a.example/api", false),
        ("http://a.example/api/", "http://a.example/api?x", false),
        ("http://a.example", "http://a.example:80/anything?x", true),
        ("http://a.example:443/", "https://a.example/", false),
        ("http://10.1.2.3/", "http://10.1.2.3/x", true),
        ("http://10.1.2.3/", "http://[::ffff:10.1.2.3]/x", false),
        ("http://[fd00::1]/", "http://[FD00:0:0::1]/x", true),
    ] {
        assert_eq!(grant(text).covers(Method::Get, &url(request)), covered, "{text} {request}");
    }
}

#[test]
fn methods_are_granted_by_name() {
    let (plain, named) = (grant("http://a/"), grant("POST,GET,POST http://a/"));
    assert_eq!(grant("GET   http://a/"), grant("GET http://a/"));
    let covered = |grant: &Grant| {
        Method::ALL.into_iter().filter(|method| grant.covers(*method, &url("http://a/"))).collect::<Vec<_>>()
    };
    assert_eq!(covered(&plain), [Method::Get, Method::Head]);
    assert_eq!(covered(&named), [Method::Get, Method::Post]);
    assert_eq!(named.to_string(), "GET,POST http://a/");
    assert_eq!(grant("HEAD,GET http://a/").to_string(), "http://a/");
    assert_eq!(Grant::needed(Method::Head, &url("http://a/x?secret")).to_string(), "HEAD http://a/x");
    assert_eq!(Grant::needed(Method::Put, &url("http://a/x?secret")).to_string(), "PUT http://a/x");
}

#[test]
fn what_grants_nothing_says_why() {
    for (text, problem) in [
        ("", "character 1: a URL begins with http:// or https://"),
        ("a.example", "character 1: a URL begins with http:// or https://"),
        ("http//a.example", "character 1: a URL begins with http:// or https://"),
        (
            "get http://a/",
            "character 1: no method that can be granted; write GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS",
        ),
        (
            "GET,CONNECT http://a/",
            "character 5: no method that can be granted; write GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS",
        ),
        (
            "GET, http://a/",
            "character 5: no method that can be granted; write GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS",
        ),
        ("GET ftp://a/", "character 5: a URL begins with http:// or https://"),
        ("GET http://a/../b", "character 14: a dot segment; write the path that is meant"),
        ("http://user:hunter2@a/", "character 8: no user and no password in a URL; put a secret into a header"),
        ("POST http://a/x?y", "character 16: a grant has no query, which it covers whatever it is; end it at the path"),
        ("http://a/#y?x", "character 10: a fragment is never sent; leave it out"),
    ] {
        assert_eq!(text.parse::<Grant>().unwrap_err().to_string(), problem, "{text}");
    }
}

#[test]
fn addresses_are_granted_by_network() {
    let covers = |grant: &str, address: &str| grant.parse::<AddressGrant>().unwrap().covers(address.parse().unwrap());
    assert!(covers("10.1.2.3", "10.1.2.3") && covers("10.1.2.3", "::ffff:10.1.2.3"));
    assert!(!covers("10.1.2.3", "10.1.2.4") && !covers("10.1.2.3", "64:ff9b::10.1.2.3"));
    assert!(covers("10.1.0.0/16", "10.1.255.255") && !covers("10.1.0.0/16", "10.2.0.0"));
    assert!(covers("fd00::/8", "fdff::1") && !covers("fd00::/8", "fc00::1") && !covers("fd00::/8", "10.0.0.1"));
    for (text, problem) in [
        ("", "write an address or a network, such as 10.1.2.3, 10.1.0.0/16 or fd00::/8"),
        ("10.1.2", "write an address or a network, such as 10.1.2.3, 10.1.0.0/16 or fd00::/8"),
        ("localhost", "write an address or a network, such as 10.1.2.3, 10.1.0.0/16 or fd00::/8"),
        ("10.0.0.0/33", "write an address or a network, such as 10.1.2.3, 10.1.0.0/16 or fd00::/8"),
        ("10.0.0.0/", "write an address or a network, such as 10.1.2.3, 10.1.0.0/16 or fd00::/8"),
        ("10.0.0.0/+8", "write an address or a network, such as 10.1.2.3, 10.1.0.0/16 or fd00::/8"),
        ("10.0.0.0/08", "write an address or a network, such as 10.1.2.3, 10.1.0.0/16 or fd00::/8"),
        (
            "10.1.2.3/16",
            "the address has bits behind /16; for the network write 10.1.0.0/16, for the address leave /16 out",
        ),
        ("0.0.0.0/0", "/0 is nearly everything, the addresses of metadata among it; write /8 or longer"),
        ("::/0", "/0 is nearly everything, the addresses of metadata among it; write /7 or longer"),
        ("::ffff:10.0.0.1", "write the address as IPv4"),
    ] {
        assert_eq!(text.parse::<AddressGrant>().unwrap_err().to_string(), problem, "{text}");
    }
}

fn grants() -> impl Strategy<Value = String> {
    let methods = proptest::sample::subsequence(Method::ALL.map(Method::word).to_vec(), 0..Method::ALL.len());
    let host = prop_oneof![
        "[a-z][a-zA-Z0-9]{0,8}(\\.[a-z]{1,5}){0,2}",
        any::<std::net::Ipv4Addr>().prop_map(|a| a.to_string()),
        any::<std::net::Ipv6Addr>().prop_map(|a| format!("[{a}]"))
    ];
    let port = proptest::option::of(1u16..);
    (methods, "https?", host, port, "(/[a-z0-9~!$&'()*+,=:@-]{0,4}(%4[1-9])?){0,4}").prop_map(
        |(methods, scheme, host, port, path)| {
            let methods = if methods.is_empty() { String::new() } else { format!("{} ", methods.join(",")) };
            let port = port.map(|port| format!(":{port}")).unwrap_or_default();
            format!("{methods}{scheme}://{host}{port}{path}")
        },
    )
}

proptest! {
    #[test]
    fn grants_read_as_they_are_shown(text in grants()) {
        let grant = grant(&text);
        prop_assert_eq!(&grant.to_string().parse::<Grant>().unwrap(), &grant);
        let json = serde_json::to_string(&grant).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Grant>(&json).unwrap(), &grant);
    }

    /// A grant covers itself, whatever is below it, and nothing that only begins like it.
    #[test]
    fn prefixes_end_at_segments(text in grants(), tail in "[a-z]{1,4}") {
        let grant = grant(&text);
        let method = grant.methods[0];
        let own = grant.url().to_string();
        let covers = |text: String| grant.covers(method, &url(&text));
        prop_assert!(covers(own.clone()));
        let (asked, below) = (format!("{own}?{tail}"), format!("{own}/{tail}"));
        prop_assert!(covers(asked) && covers(below));
        prop_assert_eq!(covers(format!("{own}{tail}")), own.ends_with('/'));
        for method in Method::ALL {
            prop_assert_eq!(grant.covers(method, grant.url()), grant.methods.contains(&method));
        }
    }

    #[test]
    fn address_grants_read_as_they_are_shown(address in any::<std::net::IpAddr>(), bits in 8u8..=128) {
        let bits = if address.is_ipv4() { bits.min(32) } else { bits };
        if let Ok(grant) = format!("{}/{bits}", first(address, bits)).parse::<AddressGrant>() {
            prop_assert_eq!(grant.to_string().parse::<AddressGrant>().unwrap(), grant);
            // IPv4 in the clothes of IPv6 is granted as IPv4 only.
            prop_assert_eq!(grant.covers(address), addresses::canonical(address) == address);
        }
    }

    #[test]
    fn nothing_makes_them_panic(text in "\\PC*") {
        let _ = text.parse::<Grant>();
        let _ = text.parse::<AddressGrant>();
    }
}

use proptest::prelude::*;

use super::*;

#[test]
fn urls_are_taken_as_they_stand() {
    for (text, shown) in [
        ("http://a", "http://a/"),
        ("HTTP://A.Example:80", "http://a.example/"),
        ("https://a.example:443/x?y=/../%2e%00", "https://a.example/x?y=/../%2e%00"),
        ("https://a.example:80?q", "https://a.example:80/?q"),
        ("http://10.1.2.3:8080/api/", "http://10.1.2.3:8080/api/"),
        ("http://[FD00:0::1]:9100/m", "http://[fd00::1]:9100/m"),
        ("http://[::1]", "http://[::1]/"),
        ("http://xn--bcher-kva.example/%C3%BC//a;b=c/...", "http://xn--bcher-kva.example/%C3%BC//a;b=c/..."),
        ("http://a_b.example/.well-known/x..y", "http://a_b.example/.well-known/x..y"),
        ("http://1.example/", "http://1.example/"),
    ] {
        let url = Url::parse(text).unwrap();
        assert_eq!(url.to_string(), shown);
        assert_eq!(Url::parse(shown).unwrap(), url);
    }
}

#[test]
fn what_is_ambiguous_is_refused_with_its_place() {
    for (text, at, problem) in [
        ("", 1, "begins with"),
        ("a.example/x", 1, "begins with"),
        ("ftp://a.example/", 1, "begins with"),
        ("file:///etc/passwd", 1, "begins with"),
        ("http:/a.example", 1, "begins with"),
        (" http://a.example", 1, "space"),
        ("http://", 8, "host is missing"),
        ("http:///x", 8, "host is missing"),
        ("http://:80/", 8, "host is missing"),
        ("http://me:pw@a.example/", 8, "no user"),
        ("http://a.example@evil.example/", 8, "no user"),
        ("http://a.example\\@evil.example/", 17, "backslash"),
        ("http://a.example/x\\..\\y", 19, "backslash"),
        ("http://a.example/x#y", 19, "fragment"),
        ("http://a.example/x y", 19, "space"),
        ("http://a.example/x\ty", 19, "control"),
        ("http://a.example/x\r\nHost: b", 19, "control"),
        ("http://a.example/x\0", 19, "control"),
        ("http://a.example/x\u{7f}", 19, "control"),
        ("http://bücher.example/", 9, "ASCII"),
        ("http://a.example/ü", 18, "ASCII"),
        ("http://a。example/", 9, "ASCII"),
        ("http://a.example/{x}", 18, "percent-encoded"),
        ("http://a.example/[x]", 18, "percent-encoded"),
        ("http://a.example/?[x]", 19, "percent-encoded"),
        ("http://a.example/..", 18, "dot segment"),
        ("http://a.example/x/../y", 20, "dot segment"),
        ("http://a.example/./y", 18, "dot segment"),
        ("http://a.example/x/..;p=1/y", 20, "dot segment"),
        ("http://a.example/x/%2e%2E/y", 20, "encoded dot"),
        ("http://a.example/x/.%2e/y", 21, "encoded dot"),
        ("http://a.example/x%2Fy", 19, "encoded slash"),
        ("http://a.example/x%5cy", 19, "encoded slash"),
        ("http://a.example/x%252e", 19, "encoded percent"),
        ("http://a.example/..%3bx/y", 20, "encoded semicolon"),
        ("http://a.example/x%0d%0a", 19, "encoded control"),
        ("http://a.example/x%00", 19, "encoded control"),
        ("http://a.example/x%7f", 19, "encoded control"),
        ("http://a.example/x%", 19, "two hexadecimal"),
        ("http://a.example/x%4", 19, "two hexadecimal"),
        ("http://a.example/x%+4", 19, "two hexadecimal"),
        ("http://a.example/?x=%zz", 21, "two hexadecimal"),
        ("http://a.example:/", 18, "port"),
        ("http://a.example:0/", 18, "port"),
        ("http://a.example:080/", 18, "port"),
        ("http://a.example:65536/", 18, "port"),
        ("http://a.example:+80/", 18, "port"),
        ("http://a.example:80:80/", 18, "port"),
        ("http://a.example./", 18, "between the dots"),
        ("http://a..example/", 10, "between the dots"),
        ("http://-a.example/", 8, "between the dots"),
        ("http://a%2eexample/", 9, "letters"),
        ("http://a,b/", 9, "letters"),
        ("http://127.1/", 8, "IPv4"),
        ("http://2130706433/", 8, "IPv4"),
        ("http://0x7f.0.0.0x1/", 8, "IPv4"),
        ("http://0177.0.0.1/", 8, "IPv4"),
        ("http://256.0.0.1/", 8, "IPv4"),
        ("http://a.1/", 8, "IPv4"),
        ("http://[::1/", 8, "bracket"),
        ("http://[::1]x/", 13, "colon"),
        ("http://[fe80::1%25eth0]/", 8, "IPv6"),
        ("http://[127.0.0.1]/", 8, "IPv6"),
        ("http://[]/", 8, "IPv6"),
    ] {
        let error = Url::parse(text).unwrap_err();
        assert!(error.at == at && error.problem.contains(problem), "{text:?}: {error}");
    }
    assert!(Url::parse(&format!("http://a/{}", "x".repeat(URL_BYTES))).is_err());
    assert!(Url::parse(&format!("http://{}.example/", "x".repeat(64))).is_err());
    assert!(Url::parse(&format!("http://{}example/", "x.".repeat(124))).is_err());
}

#[test]
fn redirects_lead_where_they_lead() {
    let base = Url::parse("https://a.example:8443/x/y?z").unwrap();
    for (location, to) in [
        ("", Some("https://a.example:8443/x/y?z")),
        ("#there", Some("https://a.example:8443/x/y?z")),
        ("/b#there", Some("https://a.example:8443/b")),
        ("b", Some("https://a.example:8443/x/b")),
        ("b/", Some("https://a.example:8443/x/b/")),
        ("?q", Some("https://a.example:8443/x/y?q")),
        ("//b.example/c", Some("https://b.example/c")),
        ("http://b.example", Some("http://b.example/")),
        ("HTTP://b.example", Some("http://b.example/")),
        ("x?http://b.example", Some("https://a.example:8443/x/x?http://b.example")),
        ("../b", None),
        ("./b", None),
        ("/\\b.example", None),
        ("\\\\b.example", None),
        ("///b.example", None),
        ("http:b.example", None),
        ("http:/b.example", None),
        ("javascript:alert(1)", None),
        ("gopher://b.example/", None),
        ("//me@b.example/", None),
        ("/a b", None),
    ] {
        assert_eq!(base.join(location).ok().map(|url| url.to_string()).as_deref(), to, "{location}");
    }
}

#[test]
fn an_origin_has_no_path() {
    assert_eq!("HTTPS://A.example:443/".parse::<Origin>().unwrap().to_string(), "https://a.example");
    assert_eq!("https://a.example/x".parse::<Origin>().unwrap_err().at, 18);
    assert_eq!("https://a.example?x".parse::<Origin>().unwrap_err().at, 18);
}

proptest! {
    /// Whatever passes is read alike by whoever reads it next, and its path stays where it is.
    #[test]
    fn what_passes_reads_alike(
        text in "(http|https)://([a-zA-Z0-9.:@%_\\[\\]-]{0,12})([/.%2eE5cCfF;?#\\\\ a\u{1}ü-]{0,12})",
    ) {
        if let Ok(url) = Url::parse(&text) {
            let shown = url.to_string();
            prop_assert_eq!(&Url::parse(&shown).unwrap(), &url);
            prop_assert!(shown.bytes().all(|byte| byte.is_ascii_graphic() && !b"\\#@\"<>".contains(&byte)));
            let mut decoded = url.path().to_owned();
            for _ in 0..3 {
                decoded = percent_encoding::percent_decode_str(&decoded).decode_utf8_lossy().into_owned();
                prop_assert!(!decoded.split(['/', '\\']).any(|segment| segment == "." || segment == ".."), "{}", shown);
            }
            let uri: hyper::Uri = shown.parse().unwrap();
            prop_assert_eq!(uri.path(), url.path());
            prop_assert_eq!(uri.query(), url.query());
            prop_assert_eq!(uri.host().unwrap(), url.origin().host().to_string());
        }
    }

    #[test]
    fn nothing_makes_it_panic(text in "\\PC*", location in "\\PC*") {
        let _ = Url::parse(&text);
        let _ = Url::parse(&format!("http://{text}"));
        let _ = Url::parse("http://a.example/x").unwrap().join(&location);
    }
}

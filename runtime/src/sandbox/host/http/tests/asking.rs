//! What a module may ask.

use std::sync::Arc;
use std::time::Duration;

use super::lab::{Lab, Server, get, text, with_header};
use crate::sandbox::host::http::limits::REQUEST_HEAD_BYTES;
use crate::sandbox::host::http::{Allowance, Method, Rate, Request, Usage, price};

#[tokio::test]
async fn only_what_was_granted_is_asked() {
    let server = Server::http("127.0.0.1", |_| text("ok")).await;
    let mut lab = Lab::new();
    lab.names.set("a.example", [&["127.0.0.1"]]);
    let origin = format!("http://a.example:{}", server.address.port());
    lab.grants = vec![format!("{origin}/path"), "https://secret.example/other".to_owned()];
    assert_eq!(lab.get(&format!("{origin}/path/x?q")).await.unwrap().status, 200);
    let (word, said) = lab.refused(get(&format!("{origin}/pathology?token=1"))).await;
    let expected = |request: &str| {
        format!("{request} is not granted; `grants: {{http: [{request}]}}` (`--grant 'http={request}'`) would allow it")
    };
    let wanted = expected(&format!("GET {origin}/pathology"));
    assert_eq!((word, said), ("denied", wanted));
    let (word, said) = lab.refused(Request { method: Method::Post, ..get(&format!("{origin}/path")) }).await;
    assert_eq!((word, said), ("denied", expected(&format!("POST {origin}/path"))));
    // Whoever copies what to do runs nothing else, and grants nothing else.
    let (_, said) = lab.refused(get("http://h/x';id;'")).await;
    let both = r"`grants: {http: ['GET http://h/x'';id;''']}` (`--grant 'http=GET http://h/x'\'';id;'\'''`)";
    assert!(said.contains(both), "{said}");
    let (_, said) = lab.refused(get("http://h/x,GET")).await;
    assert!(said.contains("`grants: {http: ['GET http://h/x,GET']}`"), "{said}");
    for url in [
        format!("{origin}/path/../x"),
        format!("{origin}/path/%2e%2e/x"),
        format!("{origin}/path#x"),
        "a.example".to_owned(),
    ] {
        let (word, said) = lab.refused(get(&url)).await;
        assert!(word == "malformed" && said.starts_with("url: character "), "{said}");
    }
    assert_eq!(server.requests().len(), 1);
    assert_eq!(lab.names.asked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn requests_arrive_as_they_were_made() {
    let server = Server::http("::1", |_| text("ok")).await;
    let mut lab = Lab::new();
    let url = lab.name("a.example", &server);
    let headers = [("X-Key", "a\tb"), ("accept", "text/plain"), ("User-Agent", "mine")]
        .map(|(n, v)| (n.to_owned(), v.to_owned()));
    let request = Request { method: Method::Post, headers: headers.into(), body: b"body".to_vec(), ..get(&url) };
    lab.send(request).await.unwrap();
    lab.send(Request { method: Method::Head, ..get(&url) }).await.unwrap();
    let [post, head] = &server.requests()[..] else { panic!("two requests") };
    assert_eq!((post.line.as_str(), &post.body[..]), ("POST /", &b"body"[..]));
    let host = format!("a.example:{}", server.address.port());
    let expected = [
        ("accept", "text/plain"),
        ("accept-encoding", "identity"),
        ("connection", "close"),
        ("content-length", "4"),
        ("host", &host),
        ("user-agent", "mine"),
        ("x-key", "a\tb"),
    ];
    assert_eq!(post.headers, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    assert_eq!(head.line, "HEAD /");
    assert_eq!(head.headers["user-agent"], "wasmeter/0.1.0");
}

#[tokio::test]
async fn headers_of_the_host_and_injections_are_refused() {
    let server = Server::http("127.0.0.1", |_| text("ok")).await;
    let mut lab = Lab::new();
    let url = lab.name("a.example", &server);
    for (name, value, problem) in [
        ("Host", "b.example", "header host: the host writes it; leave it out"),
        ("CONTENT-LENGTH", "0", "header content-length: the host writes it; leave it out"),
        ("Transfer-Encoding", "chunked", "header transfer-encoding: the host writes it; leave it out"),
        ("Connection", "keep-alive", "header connection: the host writes it; leave it out"),
        ("Keep-Alive", "5", "header keep-alive: the host writes it; leave it out"),
        ("Proxy-Authorization", "x", "header proxy-authorization: the host writes it; leave it out"),
        ("Proxy-Connection", "x", "header proxy-connection: the host writes it; leave it out"),
        ("Upgrade", "h2c", "header upgrade: the host writes it; leave it out"),
        ("HTTP2-Settings", "x", "header http2-settings: the host writes it; leave it out"),
        ("TE", "trailers", "header te: the host writes it; leave it out"),
        ("Trailer", "x", "header trailer: the host writes it; leave it out"),
        ("Expect", "100-continue", "header expect: the host writes it; leave it out"),
        ("X-Forwarded-For", "127.0.0.1", "header x-forwarded-for: a module asks for nobody but itself; leave it out"),
        ("Forwarded", "for=127.0.0.1", "header forwarded: a module asks for nobody but itself; leave it out"),
        (
            "X-HTTP-Method-Override",
            "DELETE",
            "header x-http-method-override: some servers take the request for another one by it; ask that one",
        ),
        (
            "X-Original-URL",
            "/admin",
            "header x-original-url: some servers take the request for another one by it; ask that one",
        ),
        ("Accept-Encoding", "gzip", "header accept-encoding: answers are not decoded; leave it out"),
        ("X", "a\r\nHost: b", "header x: a value has no control characters, ends of lines above all"),
        ("X", "a\nb", "header x: a value has no control characters, ends of lines above all"),
        ("X", "a\rb", "header x: a value has no control characters, ends of lines above all"),
        ("X", "a\0b", "header x: a value has no control characters, ends of lines above all"),
        ("X", "a\u{7f}b", "header x: a value has no control characters, ends of lines above all"),
        ("X\r\nHost", "b", "headers: \"X\\r\\nHost\" is no name of a header"),
        ("X: y", "b", "headers: \"X: y\" is no name of a header"),
        ("X ", "b", "headers: \"X \" is no name of a header"),
        ("", "b", "headers: \"\" is no name of a header"),
    ] {
        assert_eq!(lab.refused(with_header(&url, name, value)).await, ("malformed", problem.to_owned()));
    }
    assert_eq!(server.requests().len(), 0);
}

#[tokio::test]
async fn requests_have_bounds() {
    let server = Server::http("127.0.0.1", |seen| text(&seen.body.len().to_string())).await;
    let mut lab = Lab::new();
    let url = lab.name("a.example", &server);
    let body = |bytes: usize| Request { method: Method::Put, body: vec![b'x'; bytes], ..get(&url) };
    assert_eq!(lab.send(body(1 << 20)).await.unwrap().body, b"1048576");
    let said = "the body of the request is longer than 1048576 bytes";
    assert_eq!(lab.refused(body((1 << 20) + 1)).await, ("too-large", said.to_owned()));
    let said = "the head of the request is longer than 16384 bytes";
    assert_eq!(lab.refused(with_header(&url, "x", &"y".repeat(16 << 10))).await, ("too-large", said.to_owned()));
    assert_eq!(lab.refused(with_header(&url, "x", &"y".repeat((16 << 10) - 9))).await, ("too-large", said.to_owned()));
    assert_eq!(lab.get(&format!("{url}/{}", "x".repeat(7_000))).await.unwrap().status, 200);
    let many = vec![("x".to_owned(), "y".to_owned()); 65];
    let said = "headers: there are 65 of them, and may be 64";
    assert_eq!(lab.refused(Request { headers: many, ..get(&url) }).await, ("malformed", said.to_owned()));
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn requests_are_counted_by_the_minute() {
    let server = Server::http("127.0.0.1", |_| text("ok")).await;
    let mut lab = Lab::new();
    lab.rate = Arc::new(Rate::per_minute(2));
    let url = lab.name("a.example", &server);
    let permissions = lab.permissions();
    let mut usage = Usage::default();
    // What is not granted does not count.
    assert_eq!(lab.refused(get("http://b.example/")).await.0, "denied");
    for _ in 0..2 {
        lab.client.send(&permissions, get(&url), lab.allowance(), &mut usage).await.unwrap();
    }
    let refused = lab.client.send(&permissions, get(&url), lab.allowance(), &mut usage).await.unwrap_err();
    assert_eq!(refused.word(), "rate-limited");
    assert_eq!(refused.to_string(), "there were more than 2 requests a minute; the next one is possible in 30s");
    lab.clock.pass(Duration::from_secs(30).as_nanos().try_into().unwrap());
    // New permissions have the same bucket.
    assert_eq!(lab.get(&url).await.unwrap().status, 200);
    assert_eq!(lab.refused(get(&url)).await.0, "rate-limited");
    assert_eq!((server.requests().len(), usage.requests), (3, 2));
}

/// What cannot be paid for is not asked; and nobody sends more than can be paid for.
#[tokio::test]
async fn requests_are_paid_for_beforehand() {
    let server = Server::http("127.0.0.1", |_| text(&"x".repeat(100_000))).await;
    let mut lab = Lab::new();
    let url = lab.name("a.example", &server);
    let (permissions, time) = (lab.permissions(), lab.limits.deadline);
    let made = price::REQUEST + price::LOOKUP + price::BYTE_OUT * REQUEST_HEAD_BYTES as u64;
    for (fuel, asked, word) in [
        (made - 1, 0, Some("out-of-fuel")),
        (made, 1, Some("out-of-fuel")),
        (made + price::BYTE_IN * 20_000, 2, Some("out-of-fuel")),
        (made + price::BYTE_IN * 120_000, 3, None),
    ] {
        let mut usage = Usage::default();
        let sent = lab.client.send(&permissions, get(&url), Allowance { time, fuel }, &mut usage).await;
        assert_eq!(
            (server.seen.lock().unwrap().len(), sent.err().map(|refused| refused.word())),
            (asked, word),
            "{fuel}"
        );
        assert_eq!(usage.requests, u64::from(asked > 0));
    }
    // What was used before counts, and so does the time that is left.
    let mut usage = Usage { handshakes: 1, ..Usage::default() };
    let allowance = Allowance { time, fuel: price::HANDSHAKE + made - 1 };
    let refused = lab.client.send(&permissions, get(&url), allowance, &mut usage).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "a request to a.example costs more fuel than is left; the operator can grant more (`fuel_base`)"
    );
    let late = Allowance { time: Duration::ZERO, fuel: u64::MAX };
    assert_eq!(lab.client.send(&permissions, get(&url), late, &mut usage).await.unwrap_err().word(), "timeout");
}

#[tokio::test]
async fn what_a_request_takes_is_counted() {
    let server = Server::http("127.0.0.1", |_| text(&"x".repeat(10_000))).await;
    let mut lab = Lab::new();
    let url = lab.name("a.example", &server);
    let mut usage = Usage::default();
    lab.client.send(&lab.permissions(), get(&url), lab.allowance(), &mut usage).await.unwrap();
    assert_eq!((usage.requests, usage.lookups, usage.handshakes), (1, 1, 0));
    assert!((80..500).contains(&usage.bytes_out) && (10_000..10_500).contains(&usage.bytes_in), "{usage:?}");
}

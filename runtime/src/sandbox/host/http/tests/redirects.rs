//! Where servers lead.

use super::lab::{Lab, Server, get, redirect, text, with_header};
use crate::sandbox::host::http::{Method, Request, Usage};

#[tokio::test]
async fn redirects_are_followed_as_far_as_grants_reach() {
    let server = Server::http("127.0.0.1", |seen| match seen.line.as_str() {
        "GET /relative" => redirect(302, "there#part"),
        "GET /metadata" => redirect(302, "http://169.254.169.254/latest/meta-data/?x"),
        "GET /name" => redirect(307, "http://metadata.example/"),
        "GET /port" => redirect(308, "//a.example:1/"),
        "GET /scheme" => redirect(301, "https://a.example/"),
        "GET /file" => redirect(301, "file:///etc/passwd"),
        "GET /dots" => redirect(301, "/x/../y"),
        "GET /nothing" => hyper::Response::builder().status(302).body(b"nothing".to_vec()).unwrap(),
        "GET /loop" => redirect(302, "/loop"),
        other => text(other),
    })
    .await;
    let mut lab = Lab::new();
    let url = lab.name("a.example", &server);
    lab.names.set("metadata.example", [&["169.254.169.254"]]);
    lab.grants.push("http://metadata.example".to_owned());

    assert_eq!(lab.get(&format!("{url}/relative")).await.unwrap().body, b"GET /there");
    assert_eq!(lab.get(&format!("{url}/nothing")).await.unwrap().body, b"nothing");
    let unfollowed = lab.send(Request { follow: false, ..get(&format!("{url}/metadata")) }).await.unwrap();
    assert_eq!((unfollowed.status, unfollowed.body), (302, b"gone".to_vec()));

    for (path, word, said) in [
        (
            "metadata",
            "denied",
            "GET http://169.254.169.254/latest/meta-data/, where a redirect leads, is not granted; \
             `grants: {http: [GET http://169.254.169.254/latest/meta-data/]}` (`--grant 'http=GET http://169.254.169.254/latest/meta-data/'`) would allow it",
        ),
        (
            "name",
            "denied",
            "metadata.example has an address that is not public, so no connection is made; if it is meant, the \
             operator has to grant the address too (`grants.addresses`, `--grant address`)",
        ),
        (
            "port",
            "denied",
            "GET http://a.example:1/, where a redirect leads, is not granted; \
             `grants: {http: [GET http://a.example:1/]}` (`--grant 'http=GET http://a.example:1/'`) would allow it",
        ),
        (
            "scheme",
            "denied",
            "GET https://a.example/, where a redirect leads, is not granted; \
             `grants: {http: [GET https://a.example/]}` (`--grant 'http=GET https://a.example/'`) would allow it",
        ),
        (
            "file",
            "bad-answer",
            "the answer of a.example cannot be used: it redirects to what is no URL, character 1: a URL begins with \
             http:// or https://",
        ),
        ("loop", "too-many-redirects", "a.example redirects once more after 5 redirects"),
    ] {
        assert_eq!(lab.refused(get(&format!("{url}/{path}"))).await, (word, said.to_owned()));
    }
    let (word, said) = lab.refused(get(&format!("{url}/dots"))).await;
    assert!(word == "bad-answer" && said.contains("a dot segment"), "{said}");
    assert_eq!(server.requests().iter().filter(|seen| seen.line == "GET /loop").count(), 6);
}

#[tokio::test]
async fn each_redirect_is_looked_up_and_counted() {
    let server = Server::http("127.0.0.1", |seen| match seen.line.as_str() {
        "GET /a" => redirect(302, "/b"),
        other => text(other),
    })
    .await;
    let mut lab = Lab::new();
    let url = lab.name("a.example", &server);
    let mut usage = Usage::default();
    lab.client.send(&lab.permissions(), get(&format!("{url}/a")), lab.allowance(), &mut usage).await.unwrap();
    assert_eq!((usage.requests, usage.lookups), (2, 2));
    lab.names.set("a.example", [&["127.0.0.1"], &["10.0.0.1"]]);
    assert_eq!(lab.refused(get(&format!("{url}/a"))).await.0, "denied");
}

#[tokio::test]
async fn methods_change_as_they_do_everywhere() {
    let server = Server::http("127.0.0.1", |seen| {
        let path = seen.line.split(' ').nth(1).unwrap();
        match path.strip_prefix("/to/") {
            Some(status) => redirect(status.parse().unwrap(), "/end"),
            None => {
                text(&format!("{} {:?}", seen.line, seen.headers.contains_key("content-type") && !seen.body.is_empty()))
            }
        }
    })
    .await;
    let mut lab = Lab::new();
    let url = lab.name("a.example", &server);
    for (method, status, arrives) in [
        (Method::Get, 301, "GET /end false"),
        (Method::Post, 301, "GET /end false"),
        (Method::Post, 302, "GET /end false"),
        (Method::Post, 303, "GET /end false"),
        (Method::Post, 307, "POST /end true"),
        (Method::Post, 308, "POST /end true"),
        (Method::Put, 301, "PUT /end true"),
        (Method::Put, 302, "PUT /end true"),
        (Method::Put, 303, "GET /end false"),
    ] {
        let body = if method == Method::Get { Vec::new() } else { b"body".to_vec() };
        let request = Request { method, body, ..with_header(&format!("{url}/to/{status}"), "content-type", "x") };
        let response = lab.send(request).await.unwrap();
        assert_eq!(String::from_utf8(response.body).unwrap(), arrives, "{method} {status}");
    }
    lab.send(Request { method: Method::Head, ..get(&format!("{url}/to/303")) }).await.unwrap();
    assert_eq!(server.requests().last().unwrap().line, "HEAD /end");

    // What it becomes has to be granted too.
    lab.grants = vec![format!("POST {url}")];
    let request = Request { method: Method::Post, ..get(&format!("{url}/to/303")) };
    let said = format!(
        "GET {url}/end, where a redirect leads, is not granted; `grants: {{http: [GET {url}/end]}}` (`--grant 'http=GET {url}/end'`) would allow it"
    );
    assert_eq!(lab.refused(request).await, ("denied", said));
}

#[tokio::test]
async fn credentials_stay_with_their_origin() {
    let other = Server::http("127.0.0.1", |_| text("other")).await;
    let port = other.address.port();
    let server = Server::http("127.0.0.1", move |seen| match seen.line.as_str() {
        "GET /away" => redirect(302, &format!("http://b.example:{port}/")),
        "GET /here" => redirect(302, "/end"),
        _ => text("end"),
    })
    .await;
    let mut lab = Lab::new();
    let (url, to) = (lab.name("a.example", &server), lab.name("b.example", &other));
    lab.secret("key", "hunter2hunter2", &[&url, &to]);
    let headers = [
        ("authorization", "Bearer mine"),
        ("cookie", "a=b"),
        ("x-key", "{{secret:key}}"),
        ("x-own-key", "mine"),
        ("accept", "text/plain"),
        ("user-agent", "{{secret:key}}"),
    ];
    let headers: Vec<_> = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    lab.send(Request { headers: headers.clone(), ..get(&format!("{url}/away")) }).await.unwrap();
    let names: Vec<_> = other.requests()[0].headers.keys().cloned().collect();
    assert_eq!(names, ["accept", "accept-encoding", "connection", "host", "user-agent"]);
    assert_eq!(other.requests()[0].headers["user-agent"], "wasmeter/0.1.0");
    lab.send(Request { headers, ..get(&format!("{url}/here")) }).await.unwrap();
    let last = server.requests().pop().unwrap();
    assert_eq!(
        (last.headers["x-key"].as_str(), last.headers["authorization"].as_str()),
        ("hunter2hunter2", "Bearer mine")
    );
}

/// A body may be a login. So whoever is led to another origin with one gets the redirect as an answer.
#[tokio::test]
async fn bodies_stay_with_their_origin() {
    let other = Server::http("127.0.0.1", |seen| text(&format!("{} {}", seen.line, seen.body.len()))).await;
    let port = other.address.port();
    let server = Server::http("127.0.0.1", move |seen| {
        let status = seen.line.split('/').nth(1).unwrap();
        redirect(status.parse().unwrap(), &format!("http://b.example:{port}/end"))
    })
    .await;
    let mut lab = Lab::new();
    let (url, to) = (lab.name("a.example", &server), lab.name("b.example", &other));
    for (method, status, body, says) in [
        (Method::Post, 307, "password", None),
        (Method::Post, 308, "password", None),
        (Method::Put, 302, "password", None),
        (Method::Post, 307, "", Some("POST /end 0")),
        (Method::Post, 303, "password", Some("GET /end 0")),
        (Method::Post, 302, "password", Some("GET /end 0")),
    ] {
        let before = other.requests().len();
        let request = Request { method, body: body.into(), ..get(&format!("{url}/{status}")) };
        let answer = lab.send(request).await.unwrap();
        let asked = other.requests().len() - before;
        match says {
            Some(says) => {
                assert_eq!((answer.status, String::from_utf8(answer.body).unwrap().as_str(), asked), (200, says, 1));
            }
            None => {
                assert_eq!((answer.status, asked), (status, 0), "{method} {status}");
                assert!(answer.headers.contains(&("location".to_owned(), format!("{to}/end"))), "{answer:?}");
            }
        }
    }
}

//! Answers that were written beforehand, beside servers that say the same.

use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use hyper::header::{HeaderName, HeaderValue};

use super::lab::{Lab, Server, get, with_header};
use crate::sandbox::host::http::answers::{Answer, Answers, Failing, Question, Said};
use crate::sandbox::host::http::url::Url;
use crate::sandbox::host::http::{Allowance, Client, Limits, Method, Rate, Refused, Request, Response, Usage, price};

/// A client that asks nobody.
struct Written {
    lab: Lab,
    answers: Answers,
}

impl Written {
    /// Requests to a.example are granted.
    fn new() -> Self {
        let mut lab = Lab::new();
        lab.grants.push("GET,HEAD,POST http://a.example".to_owned());
        lab.grants.push("https://a.example".to_owned());
        Self { lab, answers: Answers::default() }
    }

    fn says(&mut self, method: Method, url: &str, status: u16, headers: &[(&'static str, &'static str)], body: &str) {
        let headers =
            headers.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let status = StatusCode::from_u16(status).unwrap();
        let said = Said { status, headers: headers.collect(), body: body.to_owned().into() };
        self.answers.add(method, &Url::parse(url).unwrap(), Answer::Said(said));
    }

    fn fails(&mut self, url: &str, failing: Failing) {
        self.answers.add(Method::Get, &Url::parse(url).unwrap(), Answer::Fails(failing));
    }

    /// Makes these requests one after the other, with what each came to and took.
    async fn asks(self, requests: Vec<Request>) -> (Vec<(Result<Response, Refused>, Usage)>, Vec<Question>) {
        let answers = Arc::new(self.answers);
        let client = Client::answered_by(&answers, self.lab.clock.clone());
        let (permissions, allowance) = (self.lab.permissions(), self.lab.allowance());
        let mut came = Vec::new();
        for request in requests {
            let mut usage = Usage::default();
            let sent = client.send(&permissions, request, allowance, &mut usage).await;
            came.push((sent, usage));
        }
        (came, answers.unwritten())
    }
}

/// What comes of a request is the same, and so is what it takes, to the last byte.
#[tokio::test]
async fn an_answer_takes_what_a_server_takes_that_says_the_same() {
    let long = "x".repeat(100_000);
    for (method, status, headers, body) in [
        (Method::Get, 200, &[("x-a", "1"), ("content-type", "text/plain")][..], &*long),
        (Method::Post, 404, &[], "not here"),
        (Method::Head, 200, &[], ""),
        (Method::Get, 204, &[], ""),
        (Method::Get, 503, &[("retry-after", "5")], ""),
    ] {
        let mut written = Written::new();
        let reason = StatusCode::from_u16(status).unwrap().canonical_reason().unwrap();
        let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let length = if status == 204 { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let server =
            Server::saying("127.0.0.1", format!("HTTP/1.1 {status} {reason}\r\n{lines}{length}\r\n{body}")).await;
        let url = written.lab.name("a.example", &server);
        let request = || Request {
            method,
            body: if method == Method::Post { vec![b'y'; 50_000] } else { Vec::new() },
            ..get(&url)
        };
        let (client, permissions) = (&written.lab.client, written.lab.permissions());
        let mut real = Usage::default();
        let answered = client.send(&permissions, request(), written.lab.allowance(), &mut real).await.unwrap();
        written.says(method, &url, status, headers, body);
        let (came, _) = written.asks(vec![request()]).await;
        assert_eq!(came[0].0.as_ref().unwrap(), &answered);
        assert_eq!(came[0].1, real, "{method} {status}");
    }
}

#[tokio::test]
async fn redirects_and_secrets_are_as_ever() {
    let mut written = Written::new();
    written.lab.secret("token", "s3cret-0f-acme", &["http://a.example"]);
    written.says(Method::Get, "http://a.example/old", 302, &[("location", "/new")], "gone");
    written.says(Method::Get, "http://a.example/new", 200, &[("x-echo", "s3cret-0f-acme")], "<s3cret-0f-acme>");
    written.says(Method::Get, "http://a.example/out", 302, &[("location", "http://b.example/")], "");
    written.says(Method::Get, "http://a.example/round", 307, &[("location", "/round")], "");
    let secret = with_header("http://a.example/old", "x-key", "{{secret:token}}");
    let requests = ["out", "round"].map(|path| get(&format!("http://a.example/{path}")));
    let (came, unwritten) = written.asks([vec![secret], requests.into()].concat()).await;
    let masked = came[0].0.as_ref().unwrap();
    assert_eq!((masked.status, &masked.body[..]), (200, &b"<***>"[..]));
    assert_eq!(masked.headers, [("x-echo".to_owned(), "***".to_owned())]);
    assert_eq!(came[0].1.requests, 2);
    let words: Vec<_> = came[1..].iter().map(|(sent, _)| sent.as_ref().unwrap_err().word()).collect();
    assert_eq!(words, ["denied", "too-many-redirects"]);
    assert_eq!(unwritten, []);
}

#[tokio::test]
async fn answers_come_one_after_the_other_and_the_last_for_ever() {
    let mut written = Written::new();
    let url = "http://a.example/x";
    written.says(Method::Get, url, 200, &[], "");
    written.fails(url, Failing::BadAnswer);
    written.says(Method::Get, url, 500, &[], "");
    let asked = |method, url: &str| Request { method, ..get(url) };
    let mut requests = vec![get(url); 4];
    // With a query, or by another method, it is another request; said once, however often it is made.
    requests.extend([get("http://a.example/x?q"), asked(Method::Head, url), asked(Method::Head, url)]);
    let (came, unwritten) = written.asks(requests).await;
    let status = |came: &(Result<Response, Refused>, Usage)| came.0.as_ref().map(|response| response.status).ok();
    assert_eq!(came.iter().map(status).collect::<Vec<_>>(), [Some(200), None, Some(500), Some(500), None, None, None]);
    let unwritten: Vec<_> = unwritten.iter().map(ToString::to_string).collect();
    assert_eq!(unwritten, ["GET http://a.example/x?q", "HEAD http://a.example/x"]);
}

/// Each error has its word, and is paid for as far as the request went.
#[tokio::test]
async fn what_fails_fails_as_it_would() {
    let mut written = Written::new();
    for failing in Failing::ALL {
        written.fails(&format!("https://a.example/{}", failing.word()), failing);
    }
    written.says(Method::Get, "https://a.example/ok", 200, &[], "");
    let urls = Failing::ALL.map(|failing| get(&format!("https://a.example/{}", failing.word())));
    let (came, _) = written.asks([&urls[..], &[get("https://a.example/ok")]].concat()).await;
    for (failing, (sent, usage)) in Failing::ALL.into_iter().zip(&came) {
        assert_eq!(sent.as_ref().unwrap_err().word(), failing.word());
        assert_eq!((usage.requests, usage.lookups), (1, 1));
        let shakes = !matches!(failing, Failing::Unresolved | Failing::Unreachable);
        assert_eq!(usage.handshakes, u64::from(shakes), "{failing:?}");
        let speaks = matches!(failing, Failing::Timeout | Failing::BadAnswer);
        assert_eq!(usage.bytes_out > 450, speaks, "{failing:?}: {usage:?}");
    }
    let timeout = came[3].0.as_ref().unwrap_err().to_string();
    assert!(timeout.starts_with("a.example took too long, waiting for the head of its answer: "), "{timeout}");
    let (sent, usage) = &came[5];
    assert_eq!(sent.as_ref().unwrap().status, 200);
    assert!((3_000..3_100).contains(&usage.bytes_in), "{usage:?}");
}

#[tokio::test]
async fn bounds_hold() {
    let mut written = Written::new();
    written.lab.limits = Limits { body: 10, ..Limits::default() };
    written.lab.rate = Arc::new(Rate::per_minute(3));
    let url = "http://a.example/";
    written.says(Method::Get, url, 200, &[], "ten bytes.");
    written.says(Method::Get, url, 200, &[], "eleven byte");
    let (came, _) = written.asks(vec![get(url), get(url), get(url), get(url), get("http://b.example/")]).await;
    let word = |came: &(Result<Response, Refused>, Usage)| came.0.as_ref().map_or_else(Refused::word, |_| "ok");
    let words: Vec<_> = came.iter().map(word).collect();
    assert_eq!(words, ["ok", "too-large", "too-large", "rate-limited", "denied"]);

    // Fuel, and time of which there is none left; what there is of it does not pass.
    let mut written = Written::new();
    written.says(Method::Get, url, 200, &[], &"x".repeat(100_000));
    let answers = Arc::new(written.answers);
    let client = Client::answered_by(&answers, written.lab.clock.clone());
    let fuel = price::REQUEST + price::LOOKUP + price::BYTE_OUT * 20_000 + price::BYTE_IN * 50_000;
    let nanosecond = Duration::from_nanos(1);
    for (time, fuel, word) in
        [(nanosecond, fuel, "out-of-fuel"), (nanosecond, u64::MAX, "ok"), (Duration::ZERO, u64::MAX, "timeout")]
    {
        let allowance = Allowance { time, fuel };
        let sent = client.send(&written.lab.permissions(), get(url), allowance, &mut Usage::default()).await;
        assert_eq!(sent.map_or_else(|refused| refused.word(), |_| "ok"), word);
    }
}

/// A name has the addresses that are written for it, and may have none that was not granted.
#[tokio::test]
async fn addresses_have_to_be_granted() {
    for (address, word) in [("10.20.0.17", "denied"), ("127.0.0.1", "ok"), ("8.8.8.8", "ok")] {
        let mut written = Written::new();
        let url = "http://a.example/";
        written.says(Method::Get, url, 200, &[], "");
        written.answers.name(&Url::parse(url).unwrap(), address.parse().unwrap());
        let (came, _) = written.asks(vec![get(url)]).await;
        assert_eq!(came[0].0.as_ref().map_or_else(Refused::word, |_| "ok"), word, "{address}");
    }
}

//! What servers answer, and how they can go wrong.

use std::time::Duration;

use tokio::io::AsyncWriteExt;

use super::lab::{Lab, Server, get, head};
use crate::sandbox::host::http::{Limits, Method, Refused, Request, Response, Usage};

const TIMEOUT: &str = "a.example took too long, waiting for the head of its answer: the requests of a call have 5s together; \
     the operator can grant more (`grants.requests.time`)";

async fn refused_of(server: &Server) -> (&'static str, String) {
    refused_within(Limits::default().deadline, server).await
}

async fn refused_within(deadline: Duration, server: &Server) -> (&'static str, String) {
    let mut lab = Lab::new();
    lab.limits = Limits { deadline, ..lab.limits };
    let url = lab.name("a.example", server);
    lab.refused(get(&url)).await
}

/// The word and the text after what all of them begin with.
async fn refused_after(said: impl Into<Vec<u8>>) -> (&'static str, String) {
    let (word, text) = refused_of(&Server::saying("127.0.0.1", said).await).await;
    (word, text.strip_prefix("the answer of a.example cannot be used: ").unwrap_or(&text).to_owned())
}

async fn get_from(lab: &mut Lab, server: &Server) -> Result<Response, Refused> {
    let url = lab.name("a.example", server);
    lab.get(&url).await
}

#[tokio::test]
async fn answers_come_without_what_concerns_the_connection() {
    let said = "HTTP/1.1 404 Not Found\r\nX-A: 1\r\nx-a: 2\r\nConnection: close, x\r\nKeep-Alive: 5\r\nUpgrade: h2c\r\n\
                Proxy-Authenticate: x\r\nTransfer-Encoding: chunked\r\nTrailer: t\r\nX-Latin: \u{e9}\r\n\r\n\
                3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\nt: 1\r\n\r\n";
    let server = Server::saying("127.0.0.1", said).await;
    let mut lab = Lab::new();
    let url = lab.name("a.example", &server);
    let response = lab.get(&url).await.unwrap();
    assert_eq!((response.status, response.body), (404, b"abcde".to_vec()));
    let expected = [("x-a", "1"), ("x-a", "2"), ("x-latin", "\u{e9}")];
    assert_eq!(response.headers, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));

    // Bodies that end with their connection, and answers without any.
    let server = Server::saying("127.0.0.1", "HTTP/1.0 200 OK\r\n\r\nto the end").await;
    assert_eq!(get_from(&mut lab, &server).await.unwrap().body, b"to the end");
    let server = Server::saying("127.0.0.1", "HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n").await;
    let url = lab.name("a.example", &server);
    let response = lab.send(Request { method: Method::Head, ..get(&url) }).await.unwrap();
    assert_eq!(response.headers, [("content-length".to_owned(), "999999999".to_owned())]);
    let server = Server::saying("127.0.0.1", "HTTP/1.1 103 Early Hints\r\nx: y\r\n\r\nHTTP/1.1 204 No\r\n\r\n").await;
    assert_eq!(get_from(&mut lab, &server).await.unwrap().status, 204);
}

#[tokio::test]
async fn what_is_no_answer_is_none() {
    for (said, problem) in [
        ("", "it breaks off"),
        ("HTTP/1.1 200 OK\r\nContent-Len", "it breaks off"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfive!", "it breaks off"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfive!\r\n", "it breaks off"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfi", "it breaks off"),
        ("SSH-2.0-OpenSSH_9.6\r\n\r\n", "it is not HTTP/1"),
        ("just text\r\n\r\n", "it is not HTTP/1"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "it is not HTTP/1"),
        ("HTTP/1.1 200 OK\r\nbad header\r\n\r\n", "it is not HTTP/1"),
    ] {
        assert_eq!(refused_after(said).await, ("bad-answer", problem.to_owned()), "{said}");
    }
}

#[tokio::test]
async fn answers_have_bounds() {
    let long = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(32 << 10));
    let said = "the head of the answer is longer than 32768 bytes";
    assert_eq!(refused_after(long).await, ("too-large", said.to_owned()));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(101));
    assert_eq!(refused_after(many).await, ("too-large", said.to_owned()));

    let said =
        "the body of the answer is longer than 1048576 bytes; the operator can grant more (`grants.requests.body`)";
    // One that says so, one that ends, and one that goes on for ever.
    assert_eq!(
        refused_after("HTTP/1.1 200 OK\r\nContent-Length: 1048577\r\n\r\n").await,
        ("too-large", said.to_owned())
    );
    let whole = |bytes: usize| [b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'x'; bytes]].concat();
    assert_eq!(refused_after(whole((1 << 20) + 1)).await, ("too-large", said.to_owned()));
    for (chunk, word) in [("400\r\n", "too-large"), ("1\r\n", "too-large")] {
        let bytes = usize::from_str_radix(chunk.trim(), 16).unwrap();
        let chunk = format!("{chunk}{}\r\n", "x".repeat(bytes)).repeat(4096 / bytes);
        let server = endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", chunk).await;
        // However long a million chunks take here.
        assert_eq!(refused_within(Duration::from_secs(3600), &server).await, (word, said.to_owned()));
    }
    let server = endless("", "HTTP/1.1 103 Early Hints\r\nx: y\r\n\r\n".repeat(100)).await;
    let said = "the answer of a.example cannot be used: much more came than an answer needs";
    assert_eq!(refused_of(&server).await, ("bad-answer", said.to_owned()));

    let mut lab = Lab::new();
    let server = Server::saying("127.0.0.1", whole(8 << 20)).await;
    let url = lab.name("a.example", &server);
    lab.limits = Limits { body: usize::MAX, ..lab.limits };
    assert_eq!(lab.get(&url).await.unwrap().body.len(), 8 << 20);
    let server = Server::saying("127.0.0.1", whole((8 << 20) + 1)).await;
    let url = lab.name("a.example", &server);
    assert_eq!(lab.refused(get(&url)).await.0, "too-large");
}

/// A server that never stops.
async fn endless(start: &'static str, again: String) -> Server {
    let again = std::sync::Arc::new(again);
    Server::raw("127.0.0.1", move |mut stream| {
        let again = std::sync::Arc::clone(&again);
        async move {
            head(&mut stream).await;
            let _ = stream.write_all(start.as_bytes()).await;
            while stream.write_all(again.as_bytes()).await.is_ok() {}
        }
    })
    .await
}

/// When the request has arrived, time stands still unless all wait for it: so the deadline comes next, at once.
async fn slow(start: &'static str, again: &'static str) -> Server {
    Server::raw("127.0.0.1", move |mut stream| async move {
        head(&mut stream).await;
        tokio::time::pause();
        let _ = stream.write_all(start.as_bytes()).await;
        while stream.write_all(again.as_bytes()).await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    })
    .await
}

#[tokio::test]
async fn servers_that_never_answer_are_left_at_the_deadline() {
    assert_eq!(refused_of(&slow("", "").await).await, ("timeout", TIMEOUT.to_owned()));
}

#[tokio::test]
async fn heads_that_come_byte_by_byte_are_left_at_the_deadline() {
    assert_eq!(refused_of(&slow("HTTP/1.1 200 OK\r\nx: ", "y").await).await, ("timeout", TIMEOUT.to_owned()));
}

#[tokio::test]
async fn bodies_that_come_byte_by_byte_are_left_at_the_deadline() {
    for (start, again) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", "x"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n"),
        ("HTTP/1.1 200 OK\r\n\r\n", "x"),
    ] {
        let server = slow(start, again).await;
        let (word, said) = refused_of(&server).await;
        assert_eq!((word, said.contains(" have 5s together; ")), ("timeout", true), "{said}");
        tokio::time::resume();
    }
}

#[tokio::test]
async fn interim_answers_without_end_are_left_at_the_deadline() {
    let server = slow("", "HTTP/1.1 100 Continue\r\n\r\n").await;
    assert_eq!(refused_of(&server).await, ("timeout", TIMEOUT.to_owned()));
}

/// Six answers take longer than the deadline together, and none of them does alone.
#[tokio::test]
async fn a_deadline_is_for_all_redirects_together() {
    let server = Server::raw("127.0.0.1", |mut stream| async move {
        head(&mut stream).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        let _ = stream.write_all(b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n").await;
    })
    .await;
    let mut lab = Lab::new();
    lab.limits.deadline = Duration::from_millis(400);
    let url = lab.name("a.example", &server);
    assert_eq!(lab.refused(get(&url)).await.0, "timeout");
}

#[tokio::test]
async fn a_request_that_is_dropped_is_paid_for_and_its_connection_ends() {
    let (came, mut comes) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::raw("127.0.0.1", move |mut stream| {
        let came = came.clone();
        async move {
            head(&mut stream).await;
            came.send("request").unwrap();
            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
            came.send("end").unwrap();
        }
    })
    .await;
    let mut lab = Lab::new();
    let url = lab.name("a.example", &server);
    let (permissions, mut usage) = (lab.permissions(), Usage::default());
    tokio::select! {
        answer = lab.client.send(&permissions, get(&url), lab.allowance(), &mut usage) => panic!("{answer:?}"),
        came = comes.recv() => assert_eq!(came, Some("request")),
    }
    assert_eq!(tokio::time::timeout(Duration::from_secs(30), comes.recv()).await, Ok(Some("end")));
    assert_eq!(usage.requests, 1);
    assert!(usage.bytes_out > 50, "{usage:?}");
}

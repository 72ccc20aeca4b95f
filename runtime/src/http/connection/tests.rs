use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;
use crate::http::{client::Client, reply};

const LIMITS: Limits = Limits { head: 1000, body: 10, ..Limits::USUAL };

/// Says what was asked.
async fn echo(request: Request) -> Reply {
    let body = String::from_utf8(request.body().to_vec()).unwrap();
    line(StatusCode::OK, &format!("{} {} {body}", request.method(), request.uri()))
}

fn connect(limits: Limits) -> DuplexStream {
    let (client, server) = duplex(1 << 20);
    tokio::spawn(serve(server, limits, echo));
    client
}

/// All that comes after this is sent, until the connection is closed.
async fn answers(mut client: DuplexStream, sent: &str) -> String {
    client.write_all(sent.as_bytes()).await.unwrap();
    let mut answers = String::new();
    client.read_to_string(&mut answers).await.unwrap();
    answers
}

#[tokio::test]
async fn requests_follow_each_other() {
    let two = "GET /a HTTP/1.1\r\nhost: x\r\n\r\nPOST /b HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
               content-length: 2\r\n\r\nhi";
    let answers = answers(connect(LIMITS), two).await;
    assert_eq!(answers.matches("HTTP/1.1 200 OK\r\n").count(), 2);
    assert!(answers.contains("GET /a \n") && answers.ends_with("POST /b hi\n"), "{answers}");
}

#[tokio::test]
async fn what_is_too_long_is_refused() {
    let long = "x".repeat(1001);
    for (sent, status) in [
        (format!("GET / HTTP/1.1\r\nhost: {long}\r\n\r\n"), "431"),
        (format!("GET /{long} HTTP/1.1\r\nhost: x\r\n\r\n"), "431"),
        (format!("GET / HTTP/1.1\r\nhost: {}\r\n\r\n", "x".repeat(1 << 18)), "431"),
        ("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 11\r\n\r\n12345678901".to_owned(), "413"),
        (
            "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nb\r\n12345678901\r\n0\r\n\r\n".to_owned(),
            "413",
        ),
        ("nonsense\r\n\r\n".to_owned(), "400"),
    ] {
        let answer = answers(connect(LIMITS), &sent).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{sent:.60}: {answer}");
    }
}

#[tokio::test]
async fn nobody_is_waited_for() {
    let within = Duration::from_millis(50);
    let hasty = Limits { head_within: within, body_within: within, stalled: within, ..LIMITS };
    // Nothing at all, half a head, and nothing after an answer.
    assert_eq!(answers(connect(hasty), "").await, "");
    let half = answers(connect(hasty), "GET / HTTP/1.1\r\nhost").await;
    assert!(half.is_empty() || half.starts_with("HTTP/1.1 408 "), "{half}");
    assert!(answers(connect(hasty), "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.ends_with("GET / \n"));
    // A body that does not come.
    let answer = answers(connect(hasty), "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n1").await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    // An answer that is not taken.
    let (mut client, server) = duplex(64);
    client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    serve(server, hasty, |_| async { reply(StatusCode::OK, "text/plain", vec![b'x'; 1 << 20]) }).await;
    drop(client);
}

#[tokio::test]
async fn the_client_asks_over_a_socket() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let client = Client::new(&socket, Duration::from_secs(60));
    let error = client.get("/").await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("nobody answers at {}: ", socket.display())), "{error}");

    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    let server = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(stream, Limits::USUAL, |request: Request| async move {
                match request.uri().path() {
                    "/echo" => reply(StatusCode::OK, "application/json", request.into_body()),
                    _ => line(StatusCode::NOT_FOUND, "There is nothing here."),
                }
            }));
        }
    });
    let asked = serde_json::json!({"a": [1, "ü"]});
    assert_eq!(client.post("/echo", asked.to_string()).await.unwrap(), (StatusCode::OK, asked));
    assert_eq!(client.get("/").await.unwrap(), (StatusCode::NOT_FOUND, "There is nothing here.".into()));
    server.abort();
}

/// What many send at once is read one after the other where there is no room for all of it.
#[tokio::test(start_paused = true)]
async fn bodies_wait_for_room() {
    let room = Room::of(1);
    let connect = || {
        let ((client, server), room) = (duplex(1 << 20), room.clone());
        tokio::spawn(async move { serve_in(server, LIMITS, Some(&room), echo).await });
        client
    };
    let (mut first, mut second) = (connect(), connect());
    let head = "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n\r\n";
    first.write_all(format!("{head}h").as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    second.write_all(format!("{head}hi").as_bytes()).await.unwrap();
    assert!(timeout(Duration::from_secs(5), second.read_u8()).await.is_err());
    // Those without a body are no matter.
    let third = answers(connect(), "GET /a HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(third.ends_with("GET /a \n"), "{third}");
    assert!(answers(first, "i").await.ends_with("POST / hi\n"));
    assert!(answers(second, "").await.ends_with("POST / hi\n"));
}

/// What did not say how long it is takes no more room than it needs once it is there, and none once it was read.
#[tokio::test(start_paused = true)]
async fn room_is_given_back() {
    const LONG: usize = 4 * PIECE;
    let room = Room::of(LONG);
    let connect = || {
        let ((client, server), room) = (duplex(1 << 20), room.clone());
        let handler = async |request: Request| match request.uri().path() {
            "/kept" => {
                let _kept = request.into_body().slice(1..);
                std::future::pending().await
            }
            "/read" => {
                drop(request);
                std::future::pending().await
            }
            _ => echo(request).await,
        };
        tokio::spawn(async move { serve_in(server, Limits { body: LONG, ..LIMITS }, Some(&room), handler).await });
        client
    };
    let mut clients = Vec::new();
    for (path, body, left) in [("/read", "x".repeat(LONG), 4), ("/kept", "hi".to_owned(), 3)] {
        let mut client = connect();
        let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n");
        client.write_all(format!("{head}{:x}\r\n{body}\r\n0\r\n\r\n", body.len()).as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(room.0.available_permits(), left, "{path}");
        clients.push(client);
    }
}

//! Secrets on their way out, and on no way back.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::AsyncWriteExt;

use super::lab::{Lab, Server, get, head, redirect, text, with_header};

const SECRET: &str = "s3cr\"t/and+more";

async fn lab_with(server: &Server) -> (Lab, String) {
    let mut lab = Lab::new();
    let url = lab.name("a.example", server);
    lab.secret("key", SECRET, &[&url]);
    (lab, url)
}

#[tokio::test]
async fn a_server_that_repeats_a_secret_repeats_nothing() {
    let server = Server::http("127.0.0.1", |seen| {
        let secret = seen.headers.get("x-key").cloned().unwrap_or_default();
        let percent: String = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let body = format!(
            "plain {secret} percent {percent} base64 {} json {}",
            STANDARD.encode(format!("user:{secret}")),
            serde_json::json!(secret)
        );
        let mut response = text(&body);
        response.headers_mut().insert("x-echo", format!("<{secret}>").parse().unwrap());
        response.headers_mut().insert("x-percent", percent.parse().unwrap());
        response
    })
    .await;
    let (lab, url) = lab_with(&server).await;
    let response = lab.send(with_header(&url, "x-key", "{{secret:key}}")).await.unwrap();
    assert_eq!(server.requests()[0].headers["x-key"], SECRET);
    let header = |name: &str| response.headers.iter().find(|header| header.0 == name).map(|header| header.1.clone());
    assert_eq!((header("x-echo").unwrap(), header("x-percent").unwrap()), ("<***>".to_owned(), "***".to_owned()));
    assert_eq!(header("content-length"), None);
    let body = String::from_utf8(response.body).unwrap();
    assert_eq!(body, "plain *** percent *** base64 dXNlcj***= json \"***\"");
}

/// What was sent once may come back much later, to a request without secrets.
#[tokio::test]
async fn secrets_are_masked_in_every_answer_and_over_chunks() {
    let server = Server::raw("127.0.0.1", |mut stream| async move {
        head(&mut stream).await;
        let mut said = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
        for byte in format!("<{SECRET}>").chars() {
            said.push_str(&format!("1\r\n{byte}\r\n"));
        }
        let _ = stream.write_all(said.as_bytes()).await;
        let _ = stream.write_all(b"0\r\n\r\n").await;
    })
    .await;
    let (lab, url) = lab_with(&server).await;
    assert_eq!(lab.get(&url).await.unwrap().body, b"<***>");
}

#[tokio::test]
async fn errors_show_no_secrets() {
    let server = Server::http("127.0.0.1", |seen| {
        let key: String =
            seen.headers["x-key"].bytes().map(|byte| format!("%{byte:02x}").replace("%2f", "/")).collect();
        redirect(302, &format!("http://b.example/{key}"))
    })
    .await;
    let (lab, url) = lab_with(&server).await;
    let (word, said) = lab.refused(with_header(&url, "x-key", "{{secret:key}}")).await;
    let expected = "GET http://b.example/***, where a redirect leads, is not granted; \
    `grants: {http: [GET http://b.example/***]}` (`--grant 'http=GET http://b.example/***'`) would allow it";
    assert_eq!((word, said.as_str()), ("denied", expected));
}

#[tokio::test]
async fn secrets_go_to_their_origins_only() {
    let server = Server::http("127.0.0.1", |_| text("ok")).await;
    let (mut lab, url) = lab_with(&server).await;
    let other = lab.name("b.example", &server);
    let (word, said) = lab.refused(with_header(&other, "x-key", "{{secret:key}}")).await;
    let expected =
        format!("the secret key is not granted for {other}; `grants.secrets.key.origins` says for which it is");
    assert_eq!((word, said), ("denied", expected));
    let (word, said) = lab.refused(with_header(&url, "x-key", "{{secret:kez}}")).await;
    assert_eq!(
        (word, said.as_str()),
        (
            "unknown-secret",
            "header x-key: there is no secret kez; `grants.secrets` has to name it, or --secret kez=@FILE"
        )
    );
    assert_eq!(server.requests().len(), 0);
    assert!(!format!("{:?}", lab.permissions()).contains(SECRET));
}

#[tokio::test]
async fn what_cannot_be_searched_is_refused() {
    let server = Server::http("127.0.0.1", |_| {
        let mut response = text("compressed");
        response.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
        response
    })
    .await;
    let (mut lab, url) = lab_with(&server).await;
    assert_eq!(lab.refused(get(&url)).await.0, "bad-answer");
    assert_eq!(lab.refused(with_header(&url, "Range", "bytes=0-3")).await.0, "malformed");
    // Without secrets there is nothing to search for.
    lab.secrets.clear();
    assert_eq!(lab.send(with_header(&url, "Range", "bytes=0-3")).await.unwrap().body, b"compressed");
}

//! Asking as plainly as can be.

use std::io::{Read, Write};
use std::net::TcpStream;

/// The answer for `/metrics`, with these headers in the request; nothing if the connection is closed before.
pub fn get(address: &str, headers: &str) -> String {
    ask(address, &format!("GET /metrics HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}\r\n"))
}

/// All that is answered to these bytes.
pub fn ask(address: &str, bytes: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(bytes.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // What was not read when it is closed may make the end an error.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

/// The body of an answer, put together from its pieces.
pub fn body(answer: &str) -> String {
    let (head, mut rest) = answer.split_once("\r\n\r\n").unwrap();
    if !head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        return rest.to_owned();
    }
    let mut body = String::new();
    loop {
        let (size, after) = rest.split_once("\r\n").unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return body;
        }
        body.push_str(&after[..size]);
        rest = &after[size + 2..];
    }
}

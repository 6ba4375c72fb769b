//! Servers that send canned bytes and close the connection.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Starts a server and returns its address. After `response` it sends `filler` until the client disconnects.
pub(crate) async fn server(response: impl Into<Vec<u8>>, filler: &'static [u8]) -> String {
    let response = response.into();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            request(&mut stream).await;
            if stream.write_all(&response).await.is_err() {
                continue;
            }
            while !filler.is_empty() && stream.write_all(filler).await.is_ok() {}
        }
    });
    address
}

/// The requests that a server received, as text.
pub(crate) type Requests = Arc<Mutex<Vec<String>>>;

/// Starts a server that sends `answers` in order, and repeats the last one. Returns its address and the requests.
pub(crate) async fn script(answers: Vec<String>) -> (String, Requests) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let requests = Requests::default();
    let received = Arc::clone(&requests);
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let text = request(&mut stream).await;
            let index = {
                let mut received = received.lock().unwrap();
                received.push(text);
                received.len() - 1
            };
            let answer = answers.get(index).or(answers.last()).unwrap();
            for piece in answer.trim_end_matches(HANG).split(CUT) {
                let _ = stream.write_all(piece.as_bytes()).await;
                let _ = stream.flush().await;
                if answer.contains(CUT) {
                    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                }
            }
            if answer.ends_with(HANG) {
                open.push(stream);
            }
        }
    });
    (address, requests)
}

/// Starts a server whose first response hangs after `first`; further responses are `others`.
pub(crate) async fn hanging(first: String, others: String) -> (String, Requests) {
    script(vec![format!("{first}{HANG}"), others]).await
}

/// Marks the place where a response hangs with an open connection.
pub(crate) const HANG: char = '\u{2}';

/// Marks the places where a response is split into pieces.
pub(crate) const CUT: char = '\u{1}';

async fn request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut block = [0; 1024];
        match stream.read(&mut block).await {
            Ok(len @ 1..) => request.extend_from_slice(&block[..len]),
            _ => break,
        }
    }
    String::from_utf8_lossy(&request).into_owned()
}

/// Returns the value of a request's header.
pub(crate) fn header(request: &str, name: &str) -> Option<String> {
    let mut lines = request.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
}

/// Returns a request's method and path.
pub(crate) fn line(request: &str) -> String {
    request.split(" HTTP/1.1").next().unwrap().to_owned()
}

/// Returns a response with the right `Content-Length`.
pub(crate) fn answer(status: &str, content_type: &str, body: &str) -> String {
    answer_with(status, &format!("Content-Type: {content_type}\r\n"), body)
}

/// Returns a response with these header lines and the right `Content-Length`.
pub(crate) fn answer_with(status: &str, headers: &str, body: &str) -> String {
    let len = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {len}\r\nConnection: close\r\n\r\n{body}")
}

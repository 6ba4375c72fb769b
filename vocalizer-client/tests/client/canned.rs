//! A server that says what it was told to, byte by byte, and then closes the connection.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Its address. After `said` it sends `filler` for as long as the client listens.
pub(crate) async fn server(said: impl Into<Vec<u8>>, filler: &'static [u8]) -> String {
    let said = said.into();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            request(&mut stream).await;
            if stream.write_all(&said).await.is_err() {
                continue;
            }
            while !filler.is_empty() && stream.write_all(filler).await.is_ok() {}
        }
    });
    address
}

/// The requests that a script was asked, as text.
pub(crate) type Requests = Arc<Mutex<Vec<String>>>;

/// Its address, and what it is asked: the first request gets the first of `answers`, and those after the last one the last.
pub(crate) async fn script(answers: Vec<String>) -> (String, Requests) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let requests = Requests::default();
    let asked = Arc::clone(&requests);
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let text = request(&mut stream).await;
            let index = {
                let mut asked = asked.lock().unwrap();
                asked.push(text);
                asked.len() - 1
            };
            let said = answers.get(index).or(answers.last()).unwrap();
            for piece in said.trim_end_matches(HANG).split(CUT) {
                let _ = stream.write_all(piece.as_bytes()).await;
                let _ = stream.flush().await;
                if said.contains(CUT) {
                    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                }
            }
            if said.ends_with(HANG) {
                open.push(stream);
            }
        }
    });
    (address, requests)
}

/// A server whose first answer does not go on, and whose others are this one.
pub(crate) async fn hanging(first: String, others: String) -> (String, Requests) {
    script(vec![format!("{first}{HANG}"), others]).await
}

/// Where a scripted answer does not go on, and stays open.
const HANG: char = '\u{2}';

/// Where a scripted answer is to be sent in pieces.
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

/// The bytes of an answer with the right `Content-Length`.
pub(crate) fn answer(status: &str, content_type: &str, body: &str) -> String {
    answer_with(status, &format!("Content-Type: {content_type}\r\n"), body)
}

/// The bytes of an answer with these headers, each with its line's end, and the right `Content-Length`.
pub(crate) fn answer_with(status: &str, headers: &str, body: &str) -> String {
    let len = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {len}\r\nConnection: close\r\n\r\n{body}")
}

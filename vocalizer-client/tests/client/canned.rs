//! A server that says what it was told to, byte by byte, and then closes the connection.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Its address. After `said` it sends `filler` for as long as the client listens.
pub(crate) async fn server(said: impl Into<Vec<u8>>, filler: &'static [u8]) -> String {
    let said = said.into();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                let mut block = [0; 1024];
                match stream.read(&mut block).await {
                    Ok(len @ 1..) => request.extend_from_slice(&block[..len]),
                    _ => break,
                }
            }
            if stream.write_all(&said).await.is_err() {
                continue;
            }
            while !filler.is_empty() && stream.write_all(filler).await.is_ok() {}
        }
    });
    address
}

/// The bytes of an answer with the right `Content-Length`.
pub(crate) fn answer(status: &str, content_type: &str, body: &str) -> String {
    let len = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len}\r\nConnection: close\r\n\r\n{body}"
    )
}

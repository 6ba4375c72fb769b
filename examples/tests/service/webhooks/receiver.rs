//! A receiver of webhooks.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// How a receiver answers.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    Status(u16),
    Redirect(String),
    /// Nothing, while the connection stays open.
    Hang,
    /// A body without an end.
    Endless,
}

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// A real HTTP server on loopback. Dropping it closes it.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    connections: Arc<AtomicUsize>,
    sent_bytes: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Receiver {
    /// Starts a receiver that answers with these replies in turn, the last one again and again.
    pub(crate) async fn start(replies: &[Reply]) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), replies)
    }

    pub(crate) fn on(listener: TcpListener, replies: &[Reply]) -> Self {
        let (received, sent_bytes) = (Arc::<Mutex<Vec<Received>>>::default(), Arc::<AtomicUsize>::default());
        let (address, connections) = (listener.local_addr().unwrap(), Arc::<AtomicUsize>::default());
        let mut tasks = JoinSet::new();
        let (log, sent, counter, replies) =
            (Arc::clone(&received), Arc::clone(&sent_bytes), Arc::clone(&connections), replies.to_vec());
        tasks.spawn(async move {
            let mut open = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counter.fetch_add(1, Ordering::SeqCst);
                let (log, sent, replies) = (Arc::clone(&log), Arc::clone(&sent), replies.clone());
                open.spawn(async move {
                    // The sender may close the connection at any time.
                    let _ = serve(stream, &log, &sent, &replies).await;
                });
            }
        });
        Self { address, received, connections, sent_bytes, _tasks: tasks }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/songs?key=hidden-in-the-address", self.address)
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// The bytes of endless bodies that were sent.
    pub(crate) fn sent_bytes(&self) -> usize {
        self.sent_bytes.load(Ordering::SeqCst)
    }

    /// Waits until this many requests have arrived.
    pub(crate) async fn until(&self, count: usize) -> Vec<Received> {
        for _ in 0..3000 {
            let received = self.received();
            if received.len() >= count {
                return received;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{count} requests did not arrive: {:?}", self.received());
    }
}

async fn serve(
    stream: TcpStream,
    log: &Mutex<Vec<Received>>,
    sent_bytes: &AtomicUsize,
    replies: &[Reply],
) -> std::io::Result<()> {
    let (mut stream, mut headers) = (BufReader::new(stream), HeaderMap::new());
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    assert!(line.starts_with("POST /songs?key=hidden-in-the-address HTTP/1.1"), "{line}");
    loop {
        line.clear();
        stream.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        let name = HeaderName::try_from(name.to_owned()).unwrap();
        headers.append(name, HeaderValue::try_from(value.to_owned()).unwrap());
    }
    let length = headers.get("content-length").unwrap().to_str().unwrap().parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let number = {
        let mut log = log.lock().unwrap();
        log.push(Received { headers, body });
        log.len() - 1
    };
    let head = match replies.get(number).or(replies.last()).unwrap() {
        Reply::Status(status) => format!("HTTP/1.1 {status} x\r\ncontent-length: 2\r\n\r\nok"),
        Reply::Redirect(to) => format!("HTTP/1.1 307 x\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n"),
        Reply::Hang => {
            tokio::time::sleep(Duration::from_secs(600)).await;
            return Ok(());
        }
        Reply::Endless => "HTTP/1.1 200 x\r\n\r\n".to_owned(),
    };
    let is_endless = !head.contains("content-length");
    stream.write_all(head.as_bytes()).await?;
    stream.flush().await?;
    if !is_endless {
        return Ok(());
    }
    loop {
        stream.write_all(&[b'x'; 65_536]).await?;
        sent_bytes.fetch_add(65_536, Ordering::SeqCst);
    }
}

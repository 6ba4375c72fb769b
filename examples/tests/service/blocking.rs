//! Clients that neither read nor send. No blocking thread may wait for such a client or for another blocking thread:
//! with a small blocking pool, everything else still works.

use std::future::Future;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use vocalizer_core::ports::Stems;
use vocalizer_http::settings::{Caps, Timeouts};

use super::support::{Browser, Service, Settings, WORKER_TOKEN, archive, id, song, stems};

/// Exceeded only by a hang.
const HANG: Duration = Duration::from_secs(300);

/// Runs a test on its own runtime with `threads` blocking threads. A hanging runtime is leaked, since it cannot be shut
/// down.
fn with_blocking_threads<F: Future<Output = ()>>(threads: usize, test: impl FnOnce() -> F + Send + 'static) {
    let (done, ended) = channel();
    std::thread::spawn(move || {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(2).max_blocking_threads(threads).enable_all().build().unwrap();
        runtime.block_on(test());
        runtime.shutdown_background();
        done.send(()).unwrap();
    });
    match ended.recv_timeout(HANG) {
        Ok(()) => {}
        Err(RecvTimeoutError::Timeout) => panic!("the test hangs"),
        Err(RecvTimeoutError::Disconnected) => panic!("the test failed"),
    }
}

/// A service without workers and with long timeouts: only the clients decide when to continue.
async fn patient() -> Service {
    let timeouts = Timeouts { body_silence: HANG, body_grace: HANG, write: HANG, ..Timeouts::default() };
    // Every test client has the same address.
    let caps = Caps { archives_per_client: 256, ..Caps::default() };
    Service::with(Settings { workers: 0, timeouts, caps, background: true, ..Settings::default() }).await
}

/// Stems of 1 MiB each, more than socket buffers hold while the client does not read.
pub(super) fn large_stems() -> Stems {
    let Stems { drums, bass, other, vocals } = stems();
    let large = |stem: Bytes| Bytes::from(stem.repeat(1 + (1 << 20) / stem.len()));
    Stems { drums: large(drums), bass: large(bass), other: large(other), vocals: large(vocals) }
}

/// An anonymous song with such stems.
pub(super) async fn large_song(service: &Service) -> Value {
    let other = Browser::new(service);
    let uploaded = other.upload("x", &song(1)).await;
    let archive = vocalizer_store::archive::write(&large_stems(), Vec::new()).unwrap();
    other.result(&uploaded, archive).await.data();
    uploaded
}

/// A client that has read only the first bytes of a response.
pub(super) struct Slow {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Slow {
    pub(super) async fn ask(service: &Service, path: &str) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(16 * 1024).unwrap();
        let mut stream = socket.connect(service.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut received = vec![0; 12];
        stream.read_exact(&mut received).await.unwrap();
        assert_eq!(received, b"HTTP/1.1 200", "{path}");
        Self { stream, received }
    }

    /// Reads the rest and returns the complete response.
    pub(super) async fn read_to_end(mut self) -> Vec<u8> {
        self.stream.read_to_end(&mut self.received).await.unwrap();
        self.received
    }
}

#[test]
fn hundreds_of_unread_archives_do_not_block_others() {
    // Each client needs four files and a connection at both ends: more than a shell's limit of 1,024 open files.
    rlimit::increase_nofile_limit(u64::MAX).unwrap();
    with_blocking_threads(64, || async {
        let service = patient().await;
        let open = large_song(&service).await;
        let path = format!("/songs/{}/stems.zip", id(&open));
        let clients = join_all((0..200).map(|_| Slow::ask(&service, &path))).await;

        let other = Browser::new(&service);
        assert_eq!(other.get("/readyz").await.status, 200);
        let vocals = other.get(&format!("/songs/{}/vocals.mp3", id(&open))).await;
        assert_eq!((vocals.status, vocals.bytes), (200, large_stems().vocals));

        for client in clients {
            let answer = client.read_to_end().await;
            assert!(answer.len() > 4 << 20 && answer.ends_with(b"0\r\n\r\n"), "{} bytes", answer.len());
        }
    });
}

#[test]
fn two_blocking_threads_suffice_for_concurrent_work() {
    with_blocking_threads(2, || async {
        let service = Arc::new(patient().await);
        let open = large_song(&service).await;
        let other = Browser::registered(&service, "ada").await;
        let part = |name: &str| format!("/songs/{}/{name}", id(&open));

        // Clients that stall in the middle of a transfer.
        let mut readers = Vec::new();
        for name in ["stems.zip", "stems.tar", "vocals.mp3", "song.mp3", "stems.zip", "stems.tar"] {
            readers.push(Slow::ask(&service, &part(name)).await);
        }
        let archive = archive();
        let (first, second) = archive.split_at(archive.len() / 2);
        let mut senders = Vec::new();
        for number in 10..14 {
            let waiting = Browser::new(&service).upload("x", &song(number)).await;
            let mut sender = TcpStream::connect(service.address).await.unwrap();
            let hash = waiting["hash"].as_str().unwrap();
            let head = format!(
                "POST /songs/{hash}/upload_result HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
                 Authorization: Bearer {WORKER_TOKEN}\r\nContent-Length: {}\r\n\r\n",
                archive.len(),
            );
            sender.write_all(head.as_bytes()).await.unwrap();
            sender.write_all(first).await.unwrap();
            senders.push((sender, waiting));
        }

        // Other clients, concurrently.
        let mut others = JoinSet::new();
        for number in 20..24 {
            let (service, open, vocals) = (Arc::clone(&service), open.clone(), part("vocals.mp3"));
            let (mix, peaks) = (part("mix.flac?drums=0.5"), part("peaks/vocals"));
            others.spawn(async move {
                let browser = Browser::new(&service);
                let uploaded = browser.upload("y", &song(number)).await;
                let split = browser.result(&uploaded, super::support::archive()).await;
                split.data();
                browser.login("ada", "correct horse").await.data();
                assert_eq!(browser.get(&vocals).await.bytes, large_stems().vocals);
                assert_eq!(browser.get(&mix).await.status, 200);
                browser.get(&peaks).await.data();
                let flac = browser.get(&format!("/songs/{}/stems.tar?format=flac", id(&open))).await;
                assert_eq!(flac.status, 200);
                assert_eq!(browser.get("/readyz").await.status, 200);
            });
        }
        while let Some(ended) = others.join_next().await {
            ended.unwrap();
        }
        other.get("/auth/me").await.data();

        for (mut sender, waiting) in senders {
            sender.write_all(second).await.unwrap();
            let mut answer = String::new();
            sender.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            other.until(&waiting, "SPLIT").await;
        }
        for reader in readers {
            reader.read_to_end().await;
        }
    });
}

//! An in-memory service and a connection to it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio::runtime::Runtime;
use vocalizer_core::limits::Limits;
use vocalizer_core::memory::{MemoryAccounts, MemoryBlobs, MemorySongs, PlainPasswords};
use vocalizer_core::part::Format;
use vocalizer_core::ports::{AudioError, Blob, Peaks, Renderer, Track};
use vocalizer_core::secret::Secret;
use vocalizer_core::service::{AccountService, SongService, SongSettings};
use vocalizer_http::server::Server;
use vocalizer_http::settings::{HttpSettings, Timeouts};
use vocalizer_queue::MemoryQueue;
use vocalizer_store::archive::TarResults;

/// The worker token.
pub const WORKER_TOKEN: &str = "the-token-of-the-fuzzers-worker";

/// An in-memory service, created for each input, so that findings are reproducible.
pub struct Service {
    server: Server,
    /// The song service.
    pub songs: SongService,
    runtime: Runtime,
}

impl Default for Service {
    fn default() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let limits = Limits { max_upload_bytes: 4096, max_stem_bytes: 4096, ..Limits::default() };
        let songs = SongService::builder(
            Arc::new(MemorySongs::default()),
            Arc::new(MemoryBlobs::default()),
            Arc::new(MemoryQueue::new(Duration::from_secs(60))),
        )
        .with_renderer(Arc::new(Anything))
        .with_results(Arc::new(TarResults::new(limits)))
        .with_settings(SongSettings { limits, ..SongSettings::default() })
        .build();
        let accounts = AccountService::builder(Arc::new(MemoryAccounts::default()), Arc::new(PlainPasswords)).build();
        let settings = HttpSettings {
            worker_tokens: vec![Secret::new(WORKER_TOKEN.to_owned())],
            timeouts: Timeouts {
                head: Duration::from_millis(200),
                body_silence: Duration::from_millis(200),
                ..Timeouts::default()
            },
            ..HttpSettings::default()
        };
        let server = Server::new(songs.clone(), accounts, settings).expect("a server");
        Self { server, songs, runtime }
    }
}

impl Service {
    /// Sends these bytes over a connection and returns the response. A client that hangs up after sending may get no
    /// response.
    pub fn exchange(&self, bytes: &[u8], hangs_up: bool) -> Vec<u8> {
        self.runtime.block_on(async {
            let (client, server) = duplex(64 * 1024);
            let (mut from, mut to) = tokio::io::split(client);
            let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
            let sent = async {
                let _ = to.write_all(bytes).await;
                if hangs_up {
                    let _ = to.shutdown().await;
                }
            };
            let mut answer = Vec::new();
            let received = from.read_to_end(&mut answer);
            let (_, _, served) = tokio::join!(sent, received, self.server.serve(server, peer));
            // An error is expected if the connection ends in garbage.
            drop(served);
            answer
        })
    }

    /// Runs a future of the service to completion.
    pub fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }
}

/// Whether a connection's responses include a 500.
pub fn has_internal_error(answer: &[u8]) -> bool {
    answer.windows(12).any(|window| window == b"HTTP/1.1 500")
}

/// A fake renderer that accepts everything.
struct Anything;

#[async_trait]
impl Renderer for Anything {
    async fn mix(&self, _: Vec<Track>, _: Format) -> Result<Blob, AudioError> {
        Ok(Blob::from(Bytes::from_static(b"rendered")))
    }

    async fn peaks(&self, _: Vec<Blob>) -> Result<Peaks, AudioError> {
        Ok(Peaks::new(44_100))
    }
}

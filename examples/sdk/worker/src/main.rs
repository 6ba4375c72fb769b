//! A worker with a separator of its own: `worker URL TOKEN`.

use std::sync::Arc;

use bytes::Bytes;
use vocalizer_client::worker::{RemoteBackend, RemoteQueue, RemoteSettings};
use vocalizer_core::limits::Limits;
use vocalizer_core::ports::{AudioError, Blob, BoxError, Progress, Separator, StemSet, Stems};
use vocalizer_core::worker::{Worker, WorkerPorts, WorkerSettings};
use vocalizer_store::archive::TarResults;
use vocalizer_store::system::SystemClock;

/// Takes the whole song, an MP3 file, for each stem.
struct Copies;

#[async_trait::async_trait]
impl Separator for Copies {
    async fn separate(&self, mut song: Blob, progress: Arc<dyn Progress>) -> Result<Box<dyn StemSet>, AudioError> {
        let mut bytes = Vec::new();
        while let Some(chunk) = song.next_chunk().await.map_err(|error| AudioError::Failed(error.into()))? {
            bytes.extend_from_slice(&chunk);
        }
        progress.report(100);
        let stem = Bytes::from(bytes);
        Ok(Box::new(Stems { drums: stem.clone(), bass: stem.clone(), other: stem.clone(), vocals: stem }))
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut args = std::env::args().skip(1);
    let (Some(url), Some(token)) = (args.next(), args.next()) else { return Err("usage: worker URL TOKEN".into()) };
    let settings = RemoteSettings { url: url.parse()?, token: Some(token.into()), ca: None };
    let ports = WorkerPorts {
        queue: Arc::new(RemoteQueue::new(settings.clone())?),
        backend: Arc::new(RemoteBackend::new(settings, Arc::new(TarResults::new(Limits::default())))?),
        separator: Arc::new(Copies),
        clock: Arc::new(SystemClock::new()),
    };
    Worker::new(ports, WorkerSettings::default()).run(async { drop(tokio::signal::ctrl_c().await) }).await;
    Ok(())
}

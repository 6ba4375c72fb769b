//! A worker with a separator of its own: `worker URL TOKEN`.

use std::error::Error;
use std::sync::Arc;

use bytes::Bytes;
use vocalizer_client::worker::RemoteSettings;
use vocalizer_core::ports::{AudioError, Blob, Progress, Separator, StemSet, Stems};
use vocalizer_store::archive::TarResults;
use vocalizer_store::system::stop_signal;

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
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(url), Some(token)) = (args.next(), args.next()) else { return Err("usage: worker URL TOKEN".into()) };
    let worker = RemoteSettings::new(url, token).worker(Arc::new(TarResults::default()), Arc::new(Copies))?.build();
    worker.run(stop_signal()?).await;
    Ok(())
}

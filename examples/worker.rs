//! The smallest worker: fetches songs from a server over HTTP, splits them and uploads the stems.
//!
//! `WORKER_TOKEN=… cargo run --release -p vocalizer --example worker [URL] [MODEL]`

use std::path::Path;
use std::sync::Arc;

use vocalizer_client::Secret;
use vocalizer_client::worker::{RemoteBackend, RemoteQueue, RemoteSettings};
use vocalizer_core::limits::Limits;
use vocalizer_core::ports::BoxError;
use vocalizer_core::worker::{Worker, WorkerPorts, WorkerSettings};
use vocalizer_model::ports::ModelSeparator;
use vocalizer_model::{ComputeOptions, Model, SplitOptions};
use vocalizer_store::archive::TarResults;
use vocalizer_store::system::SystemClock;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut args = std::env::args().skip(1);
    let url = args.next().unwrap_or_else(|| "http://127.0.0.1:8000".to_owned()).parse()?;
    let name = args.next().unwrap_or_else(|| "htdemucs".to_owned());
    let token = std::env::var("WORKER_TOKEN").map_err(|_| "set WORKER_TOKEN to the server's token")?;
    let settings = RemoteSettings { url, token: Some(Secret::new(token)), ca: None };
    // Loading blocks this thread, which has nothing else to do yet.
    let model = match Path::new(&name) {
        file if file.exists() => Model::from_file(file, &ComputeOptions::default())?,
        _ => Model::named(&name)?,
    };
    let work = tempfile::tempdir()?;
    let ports = WorkerPorts {
        queue: Arc::new(RemoteQueue::new(settings.clone())?),
        backend: Arc::new(RemoteBackend::new(settings, Arc::new(TarResults::new(Limits::default())))?),
        separator: Arc::new(ModelSeparator::new(Arc::new(model), SplitOptions::default(), work.path())?),
        clock: Arc::new(SystemClock::new()),
    };
    println!("worker ready");
    let stop = async { drop(tokio::signal::ctrl_c().await) };
    Worker::new(ports, WorkerSettings::default()).run(stop).await;
    Ok(())
}

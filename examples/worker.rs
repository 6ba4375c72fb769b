//! The smallest worker: fetches songs from a server over HTTP, splits them and uploads the stems.
//!
//! `WORKER_TOKEN=… cargo run --release -p vocalizer --example worker [URL] [MODEL]`

use std::path::Path;
use std::sync::Arc;

use vocalizer_client::worker::RemoteSettings;
use vocalizer_core::ports::BoxError;
use vocalizer_model::ports::ModelSeparator;
use vocalizer_model::{ComputeOptions, Model, SplitOptions};
use vocalizer_store::archive::TarResults;
use vocalizer_store::system::stop_signal;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut args = std::env::args().skip(1);
    let url = args.next().unwrap_or_else(|| "http://127.0.0.1:8000".to_owned());
    let name = args.next().unwrap_or_else(|| "htdemucs".to_owned());
    let token = std::env::var("WORKER_TOKEN").map_err(|_| "set WORKER_TOKEN to the server's token")?;
    let stop = stop_signal()?;
    // Loading blocks this thread, which has nothing else to do yet.
    let model = match Path::new(&name) {
        file if file.exists() => Model::from_file(file, &ComputeOptions::default())?,
        _ => Model::named(&name)?,
    };
    let work = tempfile::tempdir()?;
    let separator = ModelSeparator::new(Arc::new(model), SplitOptions::default(), work.path())?;
    let settings = RemoteSettings::new(url, token);
    let worker = settings.worker(Arc::new(TarResults::default()), Arc::new(separator))?.build();
    println!("worker ready");
    worker.run(stop).await;
    Ok(())
}

//! The smallest server: SQLite, files and a queue in one folder. Workers fetch their jobs over HTTP, with the token in
//! `FOLDER/worker-token`.
//!
//! `cargo run -p vocalizer --example server [FOLDER] [ADDRESS]`

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use vocalizer_core::ports::BoxError;
use vocalizer_core::service::{AccountService, SongService};
use vocalizer_http::server::Server;
use vocalizer_http::settings::HttpSettings;
use vocalizer_model::audio::AudioLimits;
use vocalizer_model::ports::{AudioRenderer, FileProbe};
use vocalizer_queue::SqliteQueue;
use vocalizer_store::archive::TarResults;
use vocalizer_store::files::FileBlobs;
use vocalizer_store::sqlite::SqliteStore;
use vocalizer_store::system::{Argon2Passwords, FolderLock, load_or_generate_secret, stop_signal};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut args = std::env::args().skip(1);
    let data = PathBuf::from(args.next().unwrap_or_else(|| "vocalizer-data".to_owned()));
    let address = args.next().unwrap_or_else(|| "127.0.0.1:8000".to_owned());
    let _lock = FolderLock::lock(&data)?;
    let token = load_or_generate_secret(&data.join("worker-token"))?;
    let database = data.join("vocalizer.db");
    let store = Arc::new(SqliteStore::open(&database).await?);
    let blobs = FileBlobs::open(&data.join("blobs")).await?;
    let queue = SqliteQueue::open(&database, Duration::from_secs(60)).await?;
    let songs = SongService::builder(store.clone(), Arc::new(blobs), Arc::new(queue))
        .with_probe(Arc::new(FileProbe::new(AudioLimits::default())))
        .with_renderer(Arc::new(AudioRenderer::new(data.join("work"), AudioLimits::default())))
        .with_results(Arc::new(TarResults::default()))
        .build();
    let accounts = AccountService::builder(store, Arc::new(Argon2Passwords::new(1)?)).build();
    let settings = HttpSettings { worker_tokens: vec![token], ..HttpSettings::default() };
    let server = Server::new(songs, accounts, settings)?;
    let listener = TcpListener::bind(address).await?;
    println!("Vocalizer listens on http://{}", listener.local_addr()?);
    Ok(server.run(listener, stop_signal()?).await?)
}

//! The smallest server: SQLite, files and a queue in one folder. Workers fetch their jobs over HTTP.
//!
//! `cargo run -p vocalizer --example server [FOLDER] [ADDRESS]`

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use vocalizer_core::ports::BoxError;
use vocalizer_core::secret::Secret;
use vocalizer_core::service::{
    AccountPorts, AccountService, AccountSettings, LocalCoordination, SongPorts, SongService, SongSettings, Throttle,
};
use vocalizer_http::server::Server;
use vocalizer_http::settings::HttpSettings;
use vocalizer_model::audio::AudioLimits;
use vocalizer_model::ports::{AudioRenderer, FileProbe};
use vocalizer_queue::SqliteQueue;
use vocalizer_store::archive::TarResults;
use vocalizer_store::files::FileBlobs;
use vocalizer_store::sqlite::SqliteStore;
use vocalizer_store::system::Argon2Passwords;
use vocalizer_store::system::SystemClock;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut args = std::env::args().skip(1);
    let data = PathBuf::from(args.next().unwrap_or_else(|| "vocalizer-data".to_owned()));
    let address = args.next().unwrap_or_else(|| "127.0.0.1:8000".to_owned());
    std::fs::create_dir_all(data.join("work"))?;
    let (settings, clock) = (SongSettings::default(), Arc::new(SystemClock::new()));
    let store = Arc::new(SqliteStore::open(&data.join("vocalizer.db")).await?);
    let ports = SongPorts {
        songs: store.clone(),
        coordination: Arc::<LocalCoordination>::default(),
        blobs: Arc::new(FileBlobs::open(&data.join("blobs")).await?),
        queue: Arc::new(SqliteQueue::open(&data.join("vocalizer.db"), Duration::from_secs(60)).await?),
        probe: Arc::new(FileProbe::new(AudioLimits::default())),
        renderer: Arc::new(AudioRenderer::new(data.join("work"), AudioLimits::default())),
        results: Arc::new(TarResults::new(settings.limits)),
        clock: clock.clone(),
    };
    let (songs, passwords) = (SongService::new(ports, settings), Arc::new(Argon2Passwords::new(1)?));
    let ports = AccountPorts { accounts: store, attempts: Arc::<Throttle>::default(), passwords, clock };
    let accounts = AccountService::new(ports, AccountSettings::default());
    let token = std::env::var("WORKER_TOKEN").map_err(|_| "set WORKER_TOKEN to a secret that workers present")?;
    let settings = HttpSettings { worker_tokens: vec![Secret::new(token)], ..HttpSettings::default() };
    let server = Server::new(songs, accounts, settings)?;
    let listener = TcpListener::bind(address).await?;
    println!("Vocalizer listens on http://{}", listener.local_addr()?);
    Ok(server.run(listener, async { drop(tokio::signal::ctrl_c().await) }).await?)
}

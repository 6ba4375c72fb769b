//! A server in one folder, for workers elsewhere: `server FOLDER`. It prints its address and the file with the worker token.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use vocalizer_core::service::{AccountService, SongService};
use vocalizer_http::server::Server;
use vocalizer_http::settings::HttpSettings;
use vocalizer_queue::SqliteQueue;
use vocalizer_store::archive::TarResults;
use vocalizer_store::files::FileBlobs;
use vocalizer_store::sqlite::SqliteStore;
use vocalizer_store::system::{Argon2Passwords, FolderLock, load_or_generate_secret, stop_signal};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let data = PathBuf::from(std::env::args().nth(1).ok_or("usage: server FOLDER")?);
    let _lock = FolderLock::lock(&data)?;
    let token = load_or_generate_secret(&data.join("worker-token"))?;
    let database = data.join("vocalizer.db");
    let store = Arc::new(SqliteStore::open(&database).await?);
    let blobs = FileBlobs::open(&data.join("blobs")).await?;
    let queue = SqliteQueue::open(&database, Duration::from_secs(60)).await?;
    let songs = SongService::builder(store.clone(), Arc::new(blobs), Arc::new(queue))
        .with_results(Arc::new(TarResults::default()))
        .build();
    let accounts = AccountService::builder(store, Arc::new(Argon2Passwords::new(1)?)).build();
    let settings = HttpSettings { worker_tokens: vec![token], ..HttpSettings::default() };
    let server = Server::new(songs, accounts, settings)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    Ok(server.run(listener, stop_signal()?).await?)
}

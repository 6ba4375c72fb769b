//! A simulated network for the tests of stores and queues.

#![allow(dead_code, reason = "each crate uses a part of it")]

use std::future::pending;
use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use vocalizer_core::secret::Secret;

use super::database::TestDatabase;

/// State of the simulated network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NetworkState {
    /// Connections work.
    Open,
    /// Existing and new connections are closed.
    Cut,
    /// No data gets through, without an error. Existing connections stay silent.
    Silent,
}

/// A TCP proxy in front of the database.
pub(super) struct Proxy {
    at: SocketAddr,
    state: watch::Sender<NetworkState>,
}

impl Proxy {
    pub(super) async fn to(database: &TestDatabase) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let (state, watched) = watch::channel(NetworkState::Open);
        let options = database.options();
        let there = format!("{}:{}", options.get_host(), options.get_port());
        tokio::spawn(async move {
            loop {
                let (here, _) = listener.accept().await.unwrap();
                tokio::spawn(carry(here, there.clone(), watched.clone()));
            }
        });
        Self { at, state }
    }

    /// The database URL through the proxy.
    pub(super) fn url(&self, database: &TestDatabase) -> Secret<String> {
        let port = database.options().get_port().to_string();
        Secret::new(database.url().expose().replace(&port, &self.at.port().to_string()))
    }

    pub(super) fn set(&self, state: NetworkState) {
        self.state.send_replace(state);
    }
}

async fn carry(mut here: TcpStream, there: String, mut state: watch::Receiver<NetworkState>) {
    let Ok(mut there) = TcpStream::connect(there).await else { return };
    let changed = async { state.wait_for(|state| *state != NetworkState::Open).await.map(|state| *state) };
    let changed = tokio::select! {
        changed = changed => changed,
        _ = copy_bidirectional(&mut here, &mut there) => return,
    };
    if matches!(changed, Ok(NetworkState::Silent)) {
        pending::<()>().await;
    }
}

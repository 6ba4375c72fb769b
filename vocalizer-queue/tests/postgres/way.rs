use std::future::pending;
use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use vocalizer_core::secret::Secret;

use super::support::Place;

/// State of the simulated network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
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
    state: watch::Sender<State>,
}

impl Proxy {
    pub(super) async fn to(place: &Place) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let (state, watched) = watch::channel(State::Open);
        let options = place.options();
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
    pub(super) fn url(&self, place: &Place) -> Secret<String> {
        let port = place.options().get_port().to_string();
        Secret::new(place.url().expose().replace(&port, &self.at.port().to_string()))
    }

    pub(super) fn set(&self, state: State) {
        self.state.send_replace(state);
    }
}

async fn carry(mut here: TcpStream, there: String, mut state: watch::Receiver<State>) {
    let Ok(mut there) = TcpStream::connect(there).await else { return };
    let changed = async { state.wait_for(|state| *state != State::Open).await.map(|state| *state) };
    let changed = tokio::select! {
        changed = changed => changed,
        _ = copy_bidirectional(&mut here, &mut there) => return,
    };
    if matches!(changed, Ok(State::Silent)) {
        pending::<()>().await;
    }
}

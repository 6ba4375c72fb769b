use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// State of the simulated network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NetworkState {
    Normal,
    /// A few bytes at a time.
    Slices,
    /// No data gets through, without an error.
    Stalled,
    /// New connections fail.
    Closed,
}

/// A TCP proxy in front of a broker.
pub(super) struct Proxy {
    pub(super) at: String,
    state: watch::Sender<NetworkState>,
    pumps: Arc<Mutex<Vec<AbortHandle>>>,
}

impl Proxy {
    pub(super) async fn before(at: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (state, receiver) = watch::channel(NetworkState::Normal);
        let (pumps, to) = (Arc::<Mutex<Vec<AbortHandle>>>::default(), at.to_owned());
        let at = listener.local_addr().unwrap().to_string();
        let started = Arc::clone(&pumps);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if *receiver.borrow() != NetworkState::Closed
                    && let Ok(broker) = TcpStream::connect(&to).await
                {
                    let pump = tokio::spawn(carry(client, broker, receiver.clone()));
                    started.lock().unwrap().push(pump.abort_handle());
                }
            }
        });
        Self { at, state, pumps }
    }

    pub(super) fn set(&self, state: NetworkState) {
        self.state.send_replace(state);
    }

    /// Number of open connections.
    pub(super) fn connections(&self) -> usize {
        self.pumps.lock().unwrap().iter().filter(|pump| !pump.is_finished()).count()
    }

    /// Cuts all connections.
    pub(super) fn cut(&self) {
        for pump in self.pumps.lock().unwrap().drain(..) {
            pump.abort();
        }
    }
}

async fn carry(client: TcpStream, broker: TcpStream, state: watch::Receiver<NetworkState>) {
    let (from_client, to_client) = client.into_split();
    let (from_broker, to_broker) = broker.into_split();
    // When one direction ends, the other ends too.
    tokio::select! {
        () = pump(from_client, to_broker, state.clone()) => {}
        () = pump(from_broker, to_client, state) => {}
    }
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut state: watch::Receiver<NetworkState>,
) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let slices = *state.borrow() == NetworkState::Slices;
        let room = if slices { 7 } else { buffer.len() };
        let Ok(read @ 1..) = from.read(&mut buffer[..room]).await else { return };
        if state.wait_for(|state| *state != NetworkState::Stalled).await.is_err() {
            return;
        }
        if slices {
            tokio::time::sleep(Duration::from_micros(100)).await;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

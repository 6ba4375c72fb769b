//! The network between the processes and the broker, for the worse.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What becomes of bytes on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weather {
    /// They arrive.
    Clear,
    /// They arrive a few at a time.
    Sliced,
    /// They wait.
    Stalled,
    /// Their connections end, and new ones, too.
    Cut,
}

/// A proxy in front of a port. It ends with the value.
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    weather: Arc<watch::Sender<Weather>>,
    _task: JoinSet<()>,
}

impl Proxy {
    pub(super) async fn start(to: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let weather = Arc::new(watch::Sender::new(Weather::Clear));
        let mut task = JoinSet::new();
        let watched = weather.subscribe();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let Ok((client, _)) = listener.accept().await else { continue };
                let (to, mut watched) = (to.clone(), watched.clone());
                connections.spawn(async move {
                    let Ok(server) = TcpStream::connect(&to).await else { return };
                    let (client, server) = (client.into_split(), server.into_split());
                    tokio::select! {
                        () = carry(client.0, server.1, watched.clone()) => {}
                        () = carry(server.0, client.1, watched.clone()) => {}
                        _ = watched.wait_for(|weather| *weather == Weather::Cut) => {}
                    }
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Self { address, weather, _task: task }
    }

    pub(super) fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut weather: watch::Receiver<Weather>) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let most = if *weather.borrow() == Weather::Sliced { 7 } else { buffer.len() };
        let Ok(read) = from.read(&mut buffer[..most]).await else { return };
        if read == 0 || weather.wait_for(|weather| *weather != Weather::Stalled).await.is_err() {
            return;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
        if most == 7 {
            tokio::time::sleep(Duration::from_micros(100)).await;
        }
    }
}

//! A proxy between the processes and the queue that can disturb connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How the proxy forwards bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Traffic {
    /// Without changes.
    Normal,
    /// A few bytes at a time.
    Sliced,
    /// Not at all, with open connections.
    Stalled,
    /// Not at all: open and new connections are closed.
    Cut,
}

/// A proxy in front of a port. Dropping it stops it.
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    traffic: Arc<watch::Sender<Traffic>>,
    _task: JoinSet<()>,
}

impl Proxy {
    pub(super) async fn start(to: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let traffic = Arc::new(watch::Sender::new(Traffic::Normal));
        let mut task = JoinSet::new();
        let watched = traffic.subscribe();
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
                        _ = watched.wait_for(|traffic| *traffic == Traffic::Cut) => {}
                    }
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Self { address, traffic, _task: task }
    }

    pub(super) fn set(&self, traffic: Traffic) {
        self.traffic.send_replace(traffic);
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut traffic: watch::Receiver<Traffic>) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let most = if *traffic.borrow() == Traffic::Sliced { 7 } else { buffer.len() };
        let Ok(read) = from.read(&mut buffer[..most]).await else { return };
        if read == 0 || traffic.wait_for(|traffic| *traffic != Traffic::Stalled).await.is_err() {
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

use std::future::pending;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use vocalizer_core::ports::{HashLocks, SongRepository};
use vocalizer_core::secret::Secret;
use vocalizer_core::song::{SongHash, SongId};
use vocalizer_store::postgres::{PostgresError, PostgresSettings, PostgresStore};

use super::faults::{HANGS, is_unavailable};
use super::support::{Place, settings};

/// A TCP proxy in front of the database that can drop all data without an error.
struct Proxy {
    at: SocketAddr,
    is_cut: watch::Sender<bool>,
}

impl Proxy {
    async fn to(place: &Place) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let (is_cut, cut) = watch::channel(false);
        let options = place.options();
        let there = format!("{}:{}", options.get_host(), options.get_port());
        tokio::spawn(async move {
            loop {
                let (here, _) = listener.accept().await.unwrap();
                tokio::spawn(carry(here, there.clone(), cut.clone()));
            }
        });
        Self { at, is_cut }
    }
}

/// Forwards data until the proxy is cut. Existing connections stay silent after that.
async fn carry(mut here: TcpStream, there: String, mut cut: watch::Receiver<bool>) {
    let mut there = TcpStream::connect(there).await.unwrap();
    let cut = async { cut.wait_for(|is_cut| *is_cut).await.map(|_| ()) };
    let is_cut = tokio::select! {
        _ = cut => true,
        _ = copy_bidirectional(&mut here, &mut there) => false,
    };
    if is_cut {
        pending::<()>().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_database_times_out_and_old_connections_are_dropped() {
    let place = Place::new().await;
    let proxy = Proxy::to(&place).await;
    let url = Secret::new(
        place.url().expose().replace(&place.options().get_port().to_string(), &proxy.at.port().to_string()),
    );
    let patience = Duration::from_millis(500);
    let settings = PostgresSettings { acquire_timeout: patience, statement_timeout: patience, ..settings() };
    let store = PostgresStore::open(&url, settings).await.unwrap();
    let held = store.lock(&SongHash::of(b"held")).await.unwrap();
    // Use all connections.
    let find = || SongRepository::find(&store, SongId::random());
    for found in [tokio::join!(find(), find(), find(), find())].map(|(a, b, c, d)| [a, b, c, d]).as_flattened() {
        assert!(found.as_ref().unwrap().is_none());
    }

    proxy.is_cut.send(true).unwrap();
    let silent = async {
        let (one, other) = tokio::join!(find(), find());
        assert!(is_unavailable(&one) && is_unavailable(&other), "{one:?} {other:?}");
        let locking: Vec<_> = (0..100)
            .map(|name| {
                let store = store.clone();
                tokio::spawn(async move { store.lock(&SongHash::of(&[name])).await.map(drop) })
            })
            .collect();
        for locked in locking {
            let locked = locked.await.unwrap();
            assert!(is_unavailable(&locked), "{locked:?}");
        }
        let refused = PostgresStore::open(&url, settings).await;
        assert!(matches!(refused, Err(PostgresError::Unreachable { .. })), "{refused:?}");
    };
    // In sequence the calls would take longer than this.
    timeout(HANGS / 3, silent).await.expect("the calls hang");

    proxy.is_cut.send(false).unwrap();
    let recovered = async {
        while find().await.is_err() {}
        for name in 0..100 {
            while store.lock(&SongHash::of(&[name])).await.is_err() {}
        }
    };
    timeout(HANGS, recovered).await.expect("the store does not recover");
    drop(held);
}

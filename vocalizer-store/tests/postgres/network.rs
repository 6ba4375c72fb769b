use std::time::Duration;

use tokio::time::timeout;
use vocalizer_core::ports::{HashLocks, SongRepository};
use vocalizer_core::song::{SongHash, SongId};
use vocalizer_store::postgres::{PostgresError, PostgresSettings, PostgresStore};

use super::faults::{HANGS, is_unavailable};
use super::proxy::{NetworkState, Proxy};
use super::support::{TestDatabase, settings};

#[tokio::test(flavor = "multi_thread")]
async fn silent_database_times_out_and_old_connections_are_dropped() {
    let place = TestDatabase::new().await;
    let proxy = Proxy::to(&place).await;
    let url = proxy.url(&place);
    let patience = Duration::from_millis(1_500);
    let settings = PostgresSettings { acquire_timeout: patience, statement_timeout: patience, ..settings() };
    let store = PostgresStore::open(&url, settings).await.unwrap();
    let held = store.lock(&SongHash::of(b"held")).await.unwrap();
    // Use all connections.
    let find = || SongRepository::find(&store, SongId::random());
    for found in [tokio::join!(find(), find(), find(), find())].map(|(a, b, c, d)| [a, b, c, d]).as_flattened() {
        assert!(found.as_ref().unwrap().is_none());
    }

    proxy.set(NetworkState::Silent);
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

    proxy.set(NetworkState::Open);
    let recovered = async {
        while find().await.is_err() {}
        for name in 0..100 {
            while store.lock(&SongHash::of(&[name])).await.is_err() {}
        }
    };
    timeout(HANGS, recovered).await.expect("the store does not recover");
    drop(held);
}

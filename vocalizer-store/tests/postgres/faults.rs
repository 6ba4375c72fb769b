use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use time::OffsetDateTime;
use tokio::time::timeout;
use vocalizer_core::ports::{HashLocks, RepositoryError, SongRepository};
use vocalizer_core::song::{SongHash, SongId};
use vocalizer_store::postgres::{PostgresError, PostgresSettings, PostgresStore};

use super::server::Server;
use super::support::{TestDatabase, execute, settings};
use crate::sqlite::support::song;

/// Timeout after which a test counts as hanging.
pub(super) const HANGS: Duration = Duration::from_secs(120);

fn short_timeouts() -> PostgresSettings {
    PostgresSettings { acquire_timeout: Duration::from_millis(500), ..settings() }
}

pub(super) fn is_unavailable<T>(result: &Result<T, RepositoryError>) -> bool {
    matches!(result, Err(RepositoryError::Unavailable(_)))
}

#[tokio::test(flavor = "multi_thread")]
async fn exhausted_connection_limit_is_unavailable_and_recovers() {
    let place = TestDatabase::new().await;
    let mut admin = place.connect().await;
    let name = &place.name;
    execute(&mut admin, &format!("CREATE ROLE {name} LOGIN PASSWORD 'sesame' CONNECTION LIMIT 2")).await;
    execute(&mut admin, &format!("ALTER DATABASE {name} OWNER TO {name}")).await;
    let url = place.url_for(name, "sesame");
    let store = PostgresStore::open(&url, short_timeouts()).await.unwrap();

    let mut others = Vec::new();
    while others.len() < 2 {
        // The store's connection for the migrations may still be closing.
        if let Ok(other) = PgConnection::connect(url.expose()).await {
            others.push(other);
        }
    }
    let refused = timeout(HANGS, SongRepository::find(&store, SongId::random())).await.expect("the call hangs");
    assert!(is_unavailable(&refused), "{refused:?}");
    let refused = timeout(HANGS, store.lock(&SongHash::of(b"a"))).await.expect("the call hangs").map(drop);
    assert!(is_unavailable(&refused), "{refused:?}");
    let refused = timeout(HANGS, PostgresStore::open(&url, short_timeouts())).await.expect("the call hangs");
    assert!(matches!(refused, Err(PostgresError::TooManyConnections { .. })), "{refused:?}");

    for other in others {
        other.close().await.unwrap();
    }
    let recovered = async {
        while SongRepository::find(&store, SongId::random()).await.is_err() {}
        while store.lock(&SongHash::of(b"a")).await.is_err() {}
    };
    timeout(HANGS, recovered).await.expect("the store does not recover");
}

#[tokio::test(flavor = "multi_thread")]
async fn read_only_database_is_not_ready() {
    let place = TestDatabase::new().await;
    place.open().await.check().await.unwrap();
    let alter = format!("ALTER DATABASE {} SET default_transaction_read_only = on", place.name);
    execute(&mut place.connect().await, &alter).await;
    let store = PostgresStore::open_without_migrating(&place.url(), settings()).await.unwrap();
    store.count().await.unwrap();
    let refused = store.check().await;
    assert!(is_unavailable(&refused), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn busy_connections_and_slow_statements_time_out() {
    let place = TestDatabase::new().await;
    let statement_timeout = Duration::from_secs(3);
    let settings = PostgresSettings { max_connections: 1, statement_timeout, ..short_timeouts() };
    let store = PostgresStore::open(&place.url(), settings).await.unwrap();
    let mut other = place.connect().await;
    execute(&mut other, "BEGIN; LOCK TABLE songs IN ACCESS EXCLUSIVE MODE").await;
    let both = timeout(HANGS, async { tokio::join!(store.count(), store.count()) }).await.expect("the call hangs");
    assert!(is_unavailable(&both.0) && is_unavailable(&both.1), "{both:?}");
    execute(&mut other, "ROLLBACK").await;
    let recovered = async { while store.count().await.is_err() {} };
    timeout(HANGS, recovered).await.expect("the store does not recover");
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_database_is_unavailable_and_recovers() {
    let server = Server::start(&[]);
    let place = TestDatabase::on(server.url()).await;
    let store = place.open().await;
    let fast = PostgresStore::open(&place.url(), short_timeouts()).await.unwrap();
    let kept = store.admit(&song("a", None, OffsetDateTime::UNIX_EPOCH)).await.unwrap();
    for _ in 0..3 {
        for store in [&store, &fast] {
            let found = async { while SongRepository::find(store, kept.id()).await.is_err() {} };
            timeout(HANGS, found).await.expect("the store does not recover");
        }
        drop(store.lock(kept.hash()).await.unwrap());

        server.kill();
        let outcome = timeout(HANGS, SongRepository::find(&fast, kept.id())).await.expect("the call hangs");
        assert!(is_unavailable(&outcome), "{outcome:?}");
        for store in [&store, &fast] {
            let outcome = timeout(HANGS, store.lock(kept.hash())).await.expect("the call hangs").map(drop);
            assert!(is_unavailable(&outcome), "{outcome:?}");
        }
        let outcome =
            timeout(HANGS, PostgresStore::open(&place.url(), short_timeouts())).await.expect("the call hangs");
        assert!(matches!(outcome, Err(PostgresError::Unreachable { .. })), "{outcome:?}");

        server.restart();
        assert_eq!(SongRepository::find(&store, kept.id()).await.unwrap().as_ref(), Some(&kept));
        drop(store.lock(kept.hash()).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn database_restart_under_load_leaves_no_partial_writes() {
    let server = Server::start(&[]);
    let place = TestDatabase::on(server.url()).await;
    let stores = [place.open().await, place.open().await];
    let over = Arc::new(AtomicBool::new(false));
    let uploading: Vec<_> = (0..8)
        .map(|worker| {
            let (store, over) = (stores[worker % stores.len()].clone(), Arc::clone(&over));
            tokio::spawn(async move {
                let mut stored = Vec::new();
                for round in 0.. {
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    let new = song(&format!("{worker} {round}"), None, OffsetDateTime::UNIX_EPOCH);
                    match store.admit(&new).await {
                        Ok(song) => stored.push(song),
                        Err(error) => assert!(matches!(error, RepositoryError::Unavailable(_)), "{error:?}"),
                    }
                }
                stored
            })
        })
        .collect();
    for _ in 0..3 {
        let so_far = stores[0].count().await.unwrap();
        // Wait until uploads are in progress.
        while stores[0].count().await.unwrap() == so_far {}
        server.restart();
        // Idle and busy connections alike recover at once.
        for store in &stores {
            store.count().await.unwrap();
            drop(store.lock(&SongHash::of(b"a")).await.unwrap());
        }
    }
    over.store(true, Ordering::Relaxed);
    let mut hashes = BTreeSet::new();
    for uploaded in uploading {
        for song in uploaded.await.unwrap() {
            assert_eq!(
                SongRepository::find(&stores[0], song.id()).await.unwrap().as_ref(),
                Some(&song),
                "a stored song was lost"
            );
            hashes.insert(song.hash().to_string());
        }
    }
    let songs: Vec<(String,)> =
        sqlx::query_as("SELECT hash FROM songs").fetch_all(&mut place.connect().await).await.unwrap();
    let entries = stores[1].pending(u32::MAX).await.unwrap();
    let songs: BTreeSet<_> = songs.into_iter().map(|(hash,)| hash).collect();
    assert_eq!(songs, entries.iter().map(|entry| entry.hash.to_string()).collect(), "songs and outbox entries differ");
    assert!(songs.is_superset(&hashes));
}

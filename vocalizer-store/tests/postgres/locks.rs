use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::{PgConnection, Row as _, query};
use time::OffsetDateTime;
use tokio::time::sleep;
use vocalizer_core::dedupe::Advance;
use vocalizer_core::ports::{AccountRepository, Clock, HashLocks, RepositoryError, SongRepository, Tombstones};
use vocalizer_core::song::{FailureReason, SongHash};
use vocalizer_store::postgres::{PostgresSettings, PostgresStore};

use super::faults::is_unavailable;
use super::support::{TestDatabase, execute, settings};
use crate::sqlite::support::song;

const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

async fn lock_count(watch: &mut PgConnection) -> i64 {
    query("SELECT count(*) FROM locks").fetch_one(watch).await.unwrap().get(0)
}

/// Waits until this many locks are held.
async fn wait_for_lock_count(watch: &mut PgConnection, count: i64) {
    while lock_count(watch).await != count {
        sleep(Duration::from_millis(5)).await;
    }
}

/// Expires all locks, as if their servers had been suspended.
async fn expire(watch: &mut PgConnection) {
    execute(watch, "UPDATE locks SET expires_at = clock_timestamp() - interval '1 second'").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn held_and_awaited_locks_use_no_connection() {
    let place = TestDatabase::new().await;
    let settings = PostgresSettings { max_connections: 1, ..settings() };
    let one = PostgresStore::open(&place.url(), settings).await.unwrap();
    let other = PostgresStore::open(&place.url(), settings).await.unwrap();
    let mut kept = Vec::new();
    for name in 0..50 {
        kept.push(one.lock(&SongHash::of(&[name])).await.unwrap());
    }
    let waiting: Vec<_> = (0..50)
        .map(|name| {
            let other = other.clone();
            tokio::spawn(async move { other.lock(&SongHash::of(&[name])).await.map(drop) })
        })
        .collect();
    let mut watch = place.connect().await;
    assert_eq!(lock_count(&mut watch).await, 50);
    for store in [&one, &other] {
        assert!(!store.was_deleted(&SongHash::of(&[0])).await.unwrap());
    }
    kept.clear();
    for waited in waiting {
        waited.await.unwrap().unwrap();
    }
    wait_for_lock_count(&mut watch, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_work_while_songs_wait_for_the_database() {
    let place = TestDatabase::new().await;
    let settings = PostgresSettings { max_connections: 2, acquire_timeout: Duration::from_secs(2), ..settings() };
    let store = PostgresStore::open(&place.url(), settings).await.unwrap();
    let mut other = place.connect().await;
    execute(&mut other, "BEGIN; LOCK TABLE songs IN ACCESS EXCLUSIVE MODE").await;
    let uploads: Vec<_> = (0..10)
        .map(|name: u8| {
            let store = store.clone();
            tokio::spawn(async move { store.admit(&song(&name.to_string(), None, NOW)).await.map(|_| ()) })
        })
        .collect();
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let mut watch = place.connect().await;
    while query(waiting).fetch_one(&mut watch).await.unwrap().get::<i64, _>(0) < 2 {
        sleep(Duration::from_millis(5)).await;
    }
    assert!(store.find_by_username(&"ada".parse().unwrap()).await.unwrap().is_none());
    drop(store.lock(&SongHash::of(b"a")).await.unwrap());
    execute(&mut other, "ROLLBACK").await;
    for upload in uploads {
        // Uploads that waited for a connection have timed out.
        let _ = upload.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_of_a_suspended_server_are_rejected_after_losing_its_lock() {
    let place = TestDatabase::new().await;
    let (stopped, other) = (place.open().await, place.open().await);
    let stored = other.admit(&song("a", None, NOW)).await.unwrap();
    let hash = *stored.hash();
    let mut watch = place.connect().await;

    let lost = stopped.lock(&hash).await.unwrap();
    assert!(stopped.renew(&hash).await.unwrap());
    expire(&mut watch).await;
    let found = other.lock(&hash).await.unwrap();

    assert!(!stopped.renew(&hash).await.unwrap(), "a server without the lock must not delete bytes");
    let refused = stopped.admit(&song("a", None, NOW)).await;
    assert!(is_unavailable(&refused), "{refused:?}");
    for advance in [Advance::FINISH_MP3, Advance::Fail(FailureReason::new("x"))] {
        let refused = stopped.advance(&hash, &advance).await;
        assert!(is_unavailable(&refused), "{refused:?}");
    }
    let refused = stopped.remove(stored.id()).await;
    assert!(is_unavailable(&refused), "{refused:?}");
    assert_eq!(
        other.with_hash(&hash).await.unwrap(),
        std::slice::from_ref(&stored),
        "a rejected write changed the songs"
    );

    // The new holder may write, and dropping the lost lock does not affect it.
    drop(lost);
    let another = stopped.lock(&SongHash::of(b"b")).await.unwrap();
    assert!(other.renew(&hash).await.unwrap());
    other.admit(&song("a", None, NOW)).await.unwrap();
    drop((found, another));
    wait_for_lock_count(&mut watch, 0).await;
    stopped.admit(&song("a", None, NOW)).await.unwrap();
    assert_eq!(other.with_hash(&hash).await.unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_lock_blocks_its_own_server_until_it_is_dropped() {
    let place = TestDatabase::new().await;
    let (one, other) = (place.open().await, place.open().await);
    let hash = SongHash::of(b"a");
    let lost = one.lock(&hash).await.unwrap();
    expire(&mut place.connect().await).await;
    drop(other.lock(&hash).await.unwrap());
    let next = tokio::spawn({
        let one = one.clone();
        async move { one.lock(&hash).await.map(drop) }
    });
    drop(one.lock(&SongHash::of(b"b")).await.unwrap());
    assert!(!next.is_finished());
    drop(lost);
    next.await.unwrap().unwrap();
}

/// A dead server does not renew its locks.
#[tokio::test(flavor = "multi_thread")]
async fn locks_of_a_dead_server_expire() {
    let place = TestDatabase::new().await;
    let other = place.open().await;
    let hash = SongHash::of(b"a");
    let mut watch = place.connect().await;
    let left = format!(
        "INSERT INTO locks VALUES ('{hash}', nextval('lock_terms'), clock_timestamp() + interval '2 seconds'), \
         ('sweep', nextval('lock_terms'), clock_timestamp() + interval '2 seconds')"
    );
    execute(&mut watch, &left).await;
    assert!(other.lock_sweep().await.unwrap().is_none());
    drop(other.lock(&hash).await.unwrap());
    assert!(other.lock_sweep().await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_for_a_held_lock_times_out() {
    let place = TestDatabase::new().await;
    let (one, other) = (place.open().await, place.open().await);
    let hash = SongHash::of(b"a");
    let kept = one.lock(&hash).await.unwrap();
    // On another server, on this one, and behind another waiting caller.
    let waits = [&other, &one, &other].map(|store| {
        let store = store.clone();
        tokio::spawn(async move { store.lock(&hash).await.map(drop) })
    });
    for waited in waits {
        let waited = waited.await.unwrap();
        assert!(matches!(waited, Err(RepositoryError::Unavailable(_))), "{waited:?}");
    }
    // It was renewed meanwhile.
    assert!(one.renew(&hash).await.unwrap());
    drop(kept);
    drop(other.lock(&hash).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_one_caller_on_one_server_sweeps() {
    let place = TestDatabase::new().await;
    let (one, other) = (place.open().await, place.open().await);
    let held = one.lock_sweep().await.unwrap();
    assert!(held.is_some());
    assert!(one.lock_sweep().await.unwrap().is_none());
    assert!(other.lock_sweep().await.unwrap().is_none());
    drop(held);
    wait_for_lock_count(&mut place.connect().await, 0).await;
    assert!(other.lock_sweep().await.unwrap().is_some());
}

/// The clock of a machine with a wrong time.
struct WrongClock(time::Duration);

#[async_trait]
impl Clock for WrongClock {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc() + self.0
    }

    fn elapsed(&self) -> Duration {
        static BEGAN: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
        BEGAN.get_or_init(std::time::Instant::now).elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        sleep(duration).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_with_different_clocks_agree_on_the_database_clock() {
    let place = TestDatabase::new().await;
    let (one, other) = (place.open().await, place.open().await);
    let mut watch = place.connect().await;
    let now = async |watch: &mut PgConnection| -> i64 {
        let statement = query("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT");
        statement.fetch_one(watch).await.unwrap().get(0)
    };
    let us = |clock: &dyn Clock| i64::try_from(clock.now().unix_timestamp_nanos() / 1000).unwrap();
    let ahead = one.clock(Arc::new(WrongClock(time::Duration::hours(1)))).await.unwrap();
    let behind = other.clock(Arc::new(WrongClock(-time::Duration::seconds(30)))).await.unwrap();
    for clock in [&ahead, &behind] {
        let before = now(&mut watch).await;
        let shown = us(clock.as_ref());
        let after = now(&mut watch).await;
        // Allow for the duration of the requests, including those that set the clock.
        let tolerance = 5_000_000;
        assert!((before - tolerance..=after + tolerance).contains(&shown), "{before} {shown} {after}");
    }
    // A claim by the server that is ahead expires at the same time for the other one.
    other.request(&SongHash::of(b"a")).await.unwrap();
    let claimed = one.claim(1, Duration::from_secs(60), ahead.now()).await.unwrap();
    assert_eq!(claimed.len(), 1);
    let later = behind.now() + Duration::from_secs(70);
    assert_eq!(other.claim(1, Duration::from_secs(60), later).await.unwrap(), claimed);
}

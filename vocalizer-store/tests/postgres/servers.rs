//! Concurrent servers.

use std::collections::BTreeSet;
use std::time::Duration;

use sqlx::Row as _;
use time::OffsetDateTime;
use vocalizer_core::dedupe::Advance;
use vocalizer_core::ports::{Attempts, ProgressReport, ProgressStore, SongRepository, ThrottleSettings, Tombstones};
use vocalizer_core::song::{SongHash, StatusKind, Title};
use vocalizer_store::postgres::PostgresStore;

use super::support::{TestDatabase, execute};
use crate::sqlite::support::song;

const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

async fn servers(place: &TestDatabase) -> Vec<PostgresStore> {
    let mut servers = Vec::new();
    for _ in 0..4 {
        servers.push(place.open().await);
    }
    servers
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_servers_claim_each_outbox_entry_once_at_any_isolation() {
    let place = TestDatabase::new().await;
    let name = &place.name;
    let serializable = format!("ALTER DATABASE {name} SET default_transaction_isolation TO 'serializable'");
    execute(&mut place.connect().await, &serializable).await;
    let servers = servers(&place).await;
    for name in 0..40 {
        servers[0].request(&SongHash::of(&[name])).await.unwrap();
    }
    let claiming: Vec<_> = (0..20)
        .map(|at| {
            let server = servers[at % servers.len()].clone();
            tokio::spawn(async move { server.claim(3, Duration::from_secs(60), NOW).await })
        })
        .collect();
    let mut numbers = Vec::new();
    for claimed in claiming {
        let claimed: Vec<_> = claimed.await.unwrap().unwrap().iter().map(|entry| entry.number).collect();
        assert!(claimed.is_sorted(), "{claimed:?}");
        numbers.extend(claimed);
    }
    assert_eq!(numbers.iter().collect::<BTreeSet<_>>().len(), numbers.len(), "an outbox entry was claimed twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn claim_skips_locked_outbox_entries() {
    let place = TestDatabase::new().await;
    let store = place.open().await;
    for name in 0..2 {
        store.request(&SongHash::of(&[name])).await.unwrap();
    }
    let mut other = place.connect().await;
    execute(&mut other, "BEGIN; SELECT * FROM outbox ORDER BY number LIMIT 1 FOR UPDATE").await;
    let claimed = store.claim(10, Duration::from_secs(60), NOW).await.unwrap();
    assert_eq!(claimed.iter().map(|entry| entry.hash).collect::<Vec<_>>(), [SongHash::of(&[1])]);
}

#[tokio::test(flavor = "multi_thread")]
async fn login_attempts_are_limited_across_concurrent_servers() {
    const SETTINGS: ThrottleSettings = ThrottleSettings { free: 3, ..ThrottleSettings::per_account() };
    let place = TestDatabase::new().await;
    let servers = servers(&place).await;
    // Once with a new key, once with one that was just forgotten.
    for _ in 0..2 {
        let trying: Vec<_> = (0..24)
            .map(|at| {
                let server = servers[at % servers.len()].clone();
                tokio::spawn(async move { Attempts::attempt(&server, "login ada", &SETTINGS, NOW).await })
            })
            .collect();
        let mut free = 0;
        for tried in trying {
            free += usize::from(tried.await.unwrap().unwrap().is_none());
        }
        assert_eq!(free, 4);
        servers[0].succeed("login ada").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_changes_to_one_hash_leave_consistent_songs() {
    let place = TestDatabase::new().await;
    let servers = servers(&place).await;
    let doing: Vec<_> = (0..8)
        .map(|at| {
            let server = servers[at % servers.len()].clone();
            tokio::spawn(async move {
                let new = song("a", None, NOW + Duration::from_micros(at as u64));
                server.admit(&new).await.unwrap();
                server.advance(new.hash(), &Advance::Begin).await.unwrap();
                server.rename(new.id(), &Title::parse("another", 100).unwrap()).await.unwrap().unwrap();
                server.advance(new.hash(), &Advance::HandBack).await.unwrap();
                if at % 2 == 0 {
                    server.remove(new.id()).await.unwrap().unwrap();
                }
            })
        })
        .collect();
    for done in doing {
        done.await.unwrap();
    }
    let hash = SongHash::of(b"a");
    let left = servers[0].with_hash(&hash).await.unwrap();
    assert_eq!(left.len(), 4);
    assert_eq!(left.iter().map(|song| song.status().kind()).collect::<BTreeSet<_>>().len(), 1, "{left:?}");
    assert!(left.iter().all(|song| song.title().as_str() == "another"));
    let entries: Vec<_> = servers[1].pending(10).await.unwrap().iter().map(|entry| entry.hash).collect();
    assert_eq!(entries, [hash]);
    servers[2].advance(&hash, &Advance::FINISH_MP3).await.unwrap();
    assert_eq!(servers[3].hashes_in(StatusKind::Split).await.unwrap(), [hash]);
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_shared_when_it_changes_or_the_last_report_is_old() {
    let place = TestDatabase::new().await;
    let (one, other) = (place.open().await, place.open().await);
    let hash = SongHash::of(b"a");
    let at = |seconds| NOW + Duration::from_secs(seconds);
    for (percent, reported, written) in [(0, 0, 0), (0, 1, 0), (0, 4, 0), (0, 6, 6), (3, 7, 7), (3, 8, 7), (0, 9, 9)] {
        one.record_progress(&hash, ProgressReport { percent, at: at(reported) }).await.unwrap();
        assert_eq!(one.progress(&hash).await.unwrap(), Some(ProgressReport { percent, at: at(reported) }));
        assert_eq!(
            other.progress(&hash).await.unwrap(),
            Some(ProgressReport { percent, at: at(written) }),
            "at {reported} s"
        );
    }
    one.record_progress(&hash, ProgressReport { percent: 0, at: at(10) }).await.unwrap();
    other.clear_progress(&hash).await.unwrap();
    assert_eq!(one.progress(&hash).await.unwrap(), None);
    other.record_progress(&hash, ProgressReport { percent: 9, at: at(9) }).await.unwrap();
    assert_eq!(one.progress(&hash).await.unwrap(), Some(ProgressReport { percent: 9, at: at(9) }));
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_songs_are_forgotten_after_a_week() {
    let place = TestDatabase::new().await;
    let (one, other) = (place.open().await, place.open().await);
    let hash = SongHash::of(b"a");
    let day = |days: u32| NOW + Duration::from_secs(24 * 60 * 60) * days;
    one.record_deletion(&hash, day(0)).await.unwrap();
    one.record_progress(&hash, ProgressReport { percent: 1, at: day(0) }).await.unwrap();
    other.forget_old_progress(day(6)).await.unwrap();
    other.forget_old_deletions(day(6)).await.unwrap();
    assert!(other.was_deleted(&hash).await.unwrap());
    assert!(other.progress(&hash).await.unwrap().is_some());
    other.forget_old_progress(day(8)).await.unwrap();
    other.forget_old_deletions(day(8)).await.unwrap();
    assert!(!one.was_deleted(&hash).await.unwrap());
    assert_eq!(one.progress(&hash).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn transaction_aborted_by_a_deadlock_is_retried() {
    let place = TestDatabase::new().await;
    let store = place.open().await;
    let songs = [song("a", None, NOW), song("a", None, NOW)];
    for song in &songs {
        store.admit(song).await.unwrap();
    }
    let mut other = place.connect().await;
    // This connection never detects the deadlock, so the store's transaction is aborted.
    execute(&mut other, "SET deadlock_timeout = '1h'").await;
    // The store locks rows in insertion order.
    execute(&mut other, &format!("BEGIN; SELECT * FROM songs WHERE id = '{}' FOR UPDATE", songs[1].id())).await;
    let advancing = tokio::spawn({
        let (store, hash) = (store.clone(), *songs[0].hash());
        async move { store.advance(&hash, &Advance::Begin).await }
    });
    let mut watch = place.connect().await;
    let waiting = "SELECT count(*) FROM pg_stat_activity \
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while sqlx::query(waiting).fetch_one(&mut watch).await.unwrap().get::<i64, _>(0) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    execute(&mut other, &format!("SELECT * FROM songs WHERE id = '{}' FOR UPDATE; COMMIT", songs[0].id())).await;
    assert_eq!(advancing.await.unwrap().unwrap().len(), 2);
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    while sqlx::query(deadlocks).fetch_one(&mut watch).await.unwrap().get::<i64, _>(0) == 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

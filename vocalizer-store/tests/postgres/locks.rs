use std::time::Duration;

use sqlx::{PgConnection, Row as _, query};
use tokio::time::sleep;
use vocalizer_core::ports::Commons;
use vocalizer_core::song::SongHash;

use super::support::{Place, settings};
use vocalizer_store::postgres::{PostgresSettings, PostgresStore};

/// The sessions that hold such locks.
const HOLDERS: &str = "SELECT DISTINCT pid FROM pg_locks JOIN pg_database ON pg_database.oid = database \
                       WHERE locktype = 'advisory' AND granted AND datname = current_database()";

async fn holders(watch: &mut PgConnection) -> Vec<i32> {
    query(HOLDERS).fetch_all(watch).await.unwrap().iter().map(|row| row.get(0)).collect()
}

/// Waits until so many sessions hold locks.
async fn until(watch: &mut PgConnection, count: usize) {
    while holders(watch).await.len() != count {
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn locks_take_one_connection_however_many_are_held_and_waited_for() {
    let place = Place::new().await;
    // What waits for locks takes nothing from others: there is a single connection for them.
    let settings = PostgresSettings { max_connections: 1, ..settings() };
    let one = PostgresStore::open(&place.url(), settings).await.unwrap();
    let other = PostgresStore::open(&place.url(), settings).await.unwrap();
    let mut held = Vec::new();
    for name in 0..50 {
        held.push(one.lock(&SongHash::of(&[name])).await.unwrap());
    }
    let waiting: Vec<_> = (0..50)
        .map(|name| {
            let other = other.clone();
            tokio::spawn(async move { other.lock(&SongHash::of(&[name])).await.map(drop) })
        })
        .collect();
    let mut watch = place.connect().await;
    assert_eq!(holders(&mut watch).await.len(), 1);
    for store in [&one, &other] {
        assert!(!store.was_there(&SongHash::of(&[0])).await.unwrap());
    }
    held.clear();
    for waited in waiting {
        waited.await.unwrap().unwrap();
    }
    until(&mut watch, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_whose_connection_was_ended_is_lost_and_the_next_is_as_good_as_ever() {
    let place = Place::new().await;
    let (one, other) = (place.open().await, place.open().await);
    let hash = SongHash::of(b"a");
    let lost = one.lock(&hash).await.unwrap();
    let mut watch = place.connect().await;
    let holder = holders(&mut watch).await[0];
    query("SELECT pg_terminate_backend($1)").bind(holder).execute(&mut watch).await.unwrap();
    let found = other.lock(&hash).await.unwrap();

    // To the server that lost it, it is held until its holder is done.
    let next = tokio::spawn({
        let one = one.clone();
        async move { one.lock(&hash).await.map(drop) }
    });
    let another = one.lock(&SongHash::of(b"b")).await.unwrap();
    drop(another);
    assert!(!next.is_finished());
    // What was lost takes nothing from whoever has it now.
    drop(lost);
    let sweep = one.lock_sweep().await.unwrap();
    assert!(sweep.is_some());
    assert!(!next.is_finished());
    drop(found);
    next.await.unwrap().unwrap();
    assert!(other.lock_sweep().await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_locks_of_a_server_that_is_gone_are_free() {
    let place = Place::new().await;
    let (one, other) = (place.open().await, place.open().await);
    let hash = SongHash::of(b"a");
    let held = one.lock(&hash).await.unwrap();
    drop(one);
    let mut watch = place.connect().await;
    assert_eq!(holders(&mut watch).await.len(), 1, "its holder is there still");
    drop(held);
    drop(other.lock(&hash).await.unwrap());
    let connections = "SELECT count(*) FROM pg_stat_activity \
                       WHERE datname = current_database() AND application_name = 'vocalizer locks'";
    while query(connections).fetch_one(&mut watch).await.unwrap().get::<i64, _>(0) != 1 {
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_server_at_a_time_sweeps_and_within_it_one() {
    let place = Place::new().await;
    let (one, other) = (place.open().await, place.open().await);
    let held = one.lock_sweep().await.unwrap();
    assert!(held.is_some());
    assert!(one.lock_sweep().await.unwrap().is_none());
    assert!(other.lock_sweep().await.unwrap().is_none());
    drop(held);
    until(&mut place.connect().await, 0).await;
    assert!(other.lock_sweep().await.unwrap().is_some());
}

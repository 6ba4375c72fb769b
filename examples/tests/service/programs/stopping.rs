//! Shutdown of workers and kills of servers during a split.

use std::time::Duration;

use super::broker::Broker;
use super::place::{Place, until_splitting};
use crate::postgres::Postgres;
use crate::support::song;

/// Longer than any test.
const ENDLESS: Duration = Duration::from_secs(600);

const NO_TIME: Duration = Duration::ZERO;

/// Time a program may take beyond its grace period on a busy machine.
const LEEWAY: Duration = Duration::from_secs(15);

async fn worker_finishes_song(broker: Option<Broker>) {
    let place = Place::new(broker).await;
    let browser = place.browser();
    let worker = place.worker("worker", Duration::from_secs(4), Duration::from_secs(60));
    let uploaded = browser.upload("x", &song(1)).await;
    until_splitting(&browser, &uploaded).await;
    let second = browser.upload("y", &song(2)).await;
    let (status, took) = worker.terminate().await;
    assert!(status.success(), "{status:?}");
    assert!(took < Duration::from_secs(60), "it took {took:?}");
    browser.until(&uploaded, "SPLIT").await;
    // It did not start another song.
    browser.until(&second, "UPLOADED").await;
}

/// Stops more workers during the split than the song has attempts, one after the other.
async fn worker_requeues_song(place: Place) {
    let browser = place.browser();
    let uploaded = browser.upload("x", &song(1)).await;
    let grace = Duration::from_secs(1);
    for number in 0..4 {
        let worker = place.worker(&format!("worker-{number}"), ENDLESS, grace);
        until_splitting(&browser, &uploaded).await;
        let (status, took) = worker.terminate().await;
        assert!(status.success(), "{status:?}");
        assert!(grace <= took && took < grace + LEEWAY, "it took {took:?}");
        browser.until(&uploaded, "UPLOADED").await;
    }
    let _another = place.worker("another", NO_TIME, grace);
    browser.until(&uploaded, "SPLIT").await;
}

/// A lost device costs one song one attempt and leaves the other queued songs alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worker_with_lost_device_exits_without_taking_more_songs() {
    let place = Place::new(None).await;
    let browser = place.browser();
    let songs = [browser.upload("x", &song(1)).await, browser.upload("y", &song(2)).await];
    let mut lost = place.lost_worker("lost");
    assert!(!lost.wait_for_exit().await.success());
    let log = lost.log();
    assert!(
        log.contains("it has fallen off the bus; the current song is retried, and this worker takes no more songs"),
        "{log}"
    );
    assert_eq!(log.matches("job started").count(), 1, "{log}");
    let _another = place.worker("another", NO_TIME, Duration::from_secs(1));
    for song in &songs {
        browser.until(song, "SPLIT").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broker_worker_finishes_song_on_shutdown() {
    worker_finishes_song(Some(Broker::start(&[]))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_worker_finishes_song_on_shutdown() {
    worker_finishes_song(None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broker_worker_requeues_song_after_grace_at_no_attempt() {
    worker_requeues_song(Place::new(Some(Broker::start(&[]))).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_worker_requeues_song_after_grace_at_no_attempt() {
    worker_requeues_song(Place::new(None).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn database_worker_requeues_song_after_grace_at_no_attempt() {
    worker_requeues_song(Place::on(Postgres::start()).await).await;
}

/// The lease is a row in SQLite or PostgreSQL.
async fn lease_survives_server_kill(mut place: Place) {
    let browser = place.browser();
    let worker = place.worker("worker", Duration::from_secs(6), Duration::from_secs(5));
    let uploaded = browser.upload("x", &song(1)).await;
    until_splitting(&browser, &uploaded).await;
    place.replace_server().await;
    let mut another = place.worker("another", NO_TIME, Duration::from_secs(5));
    another.wait_for_log("model loaded").await;
    browser.until(&uploaded, "SPLIT").await;
    assert!(!another.log().contains("job started"), "the job was leased again: {}", another.log());
    // The first worker settled the job.
    let (status, _) = worker.terminate().await;
    assert!(status.success(), "{status:?}");
    let second = browser.upload("y", &song(2)).await;
    browser.until(&second, "SPLIT").await;
    another.wait_for_log("job started").await;
    assert_eq!(another.log().matches("job started").count(), 1, "{}", another.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_lease_survives_server_kill() {
    lease_survives_server_kill(Place::new(None).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn database_lease_survives_server_kill() {
    lease_survives_server_kill(Place::on(Postgres::start()).await).await;
}

//! A worker is told to stop while it splits a song.

use std::time::Duration;

use super::broker::Broker;
use super::place::{Place, until_in_hand};
use crate::postgres::Postgres;
use crate::support::song;

/// Longer than any test.
const FOR_EVER: Duration = Duration::from_secs(600);

const AT_ONCE: Duration = Duration::ZERO;

/// What a program may take beyond its grace, on a machine that has other things to do.
const LEEWAY: Duration = Duration::from_secs(15);

async fn finishes_its_song(broker: Option<Broker>) {
    let place = Place::new(broker).await;
    let browser = place.browser();
    let worker = place.worker("worker", Duration::from_secs(4), Duration::from_secs(60));
    let uploaded = browser.upload("x", &song(1)).await;
    until_in_hand(&browser, &uploaded).await;
    let second = browser.upload("y", &song(2)).await;
    let (status, took) = worker.terminated().await;
    assert!(status.success(), "{status:?}");
    assert!(took < Duration::from_secs(60), "it took {took:?}");
    browser.until(&uploaded, "SPLIT").await;
    // It has begun nothing more.
    browser.until(&second, "UPLOADED").await;
}

/// More workers than a song has attempts are stopped over it, one after the other.
async fn hands_its_song_back(place: Place) {
    let browser = place.browser();
    let uploaded = browser.upload("x", &song(1)).await;
    let grace = Duration::from_secs(1);
    for number in 0..4 {
        let worker = place.worker(&format!("worker-{number}"), FOR_EVER, grace);
        until_in_hand(&browser, &uploaded).await;
        let (status, took) = worker.terminated().await;
        assert!(status.success(), "{status:?}");
        assert!(grace <= took && took < grace + LEEWAY, "it took {took:?}");
        browser.until(&uploaded, "UPLOADED").await;
    }
    let _another = place.worker("another", AT_ONCE, grace);
    browser.until(&uploaded, "SPLIT").await;
}

/// One song pays for a device that is lost, with one of its attempts, and not every song that waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_whose_device_is_lost_ends_and_takes_no_other_song() {
    let place = Place::new(None).await;
    let browser = place.browser();
    let songs = [browser.upload("x", &song(1)).await, browser.upload("y", &song(2)).await];
    let mut lost = place.lost_worker("lost");
    assert!(!lost.ended().await.success());
    let log = lost.log();
    assert!(
        log.contains("it has fallen off the bus; the current song is retried, and this worker takes no more songs"),
        "{log}"
    );
    assert_eq!(log.matches("began").count(), 1, "{log}");
    let _another = place.worker("another", AT_ONCE, Duration::from_secs(1));
    for song in &songs {
        browser.until(song, "SPLIT").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_a_broker_a_worker_that_is_stopped_finishes_its_song() {
    finishes_its_song(Some(Broker::start(&[]))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_http_a_worker_that_is_stopped_finishes_its_song() {
    finishes_its_song(None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_a_broker_a_worker_that_must_stop_hands_its_song_back_and_that_costs_no_attempt() {
    hands_its_song_back(Place::new(Some(Broker::start(&[]))).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_http_a_worker_that_must_stop_hands_its_song_back_and_that_costs_no_attempt() {
    hands_its_song_back(Place::new(None).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_a_database_a_worker_that_must_stop_hands_its_song_back_and_that_costs_no_attempt() {
    hands_its_song_back(Place::on(Postgres::start()).await).await;
}

/// In SQLite or in PostgreSQL, the lease is a row.
async fn goes_on_over_a_killed_server(mut place: Place) {
    let browser = place.browser();
    let worker = place.worker("worker", Duration::from_secs(6), Duration::from_secs(5));
    let uploaded = browser.upload("x", &song(1)).await;
    until_in_hand(&browser, &uploaded).await;
    place.replace_server().await;
    let mut another = place.worker("another", AT_ONCE, Duration::from_secs(5));
    another.says("model loaded").await;
    browser.until(&uploaded, "SPLIT").await;
    assert!(!another.log().contains("began"), "it was given out again: {}", another.log());
    // It is settled by the one who has it.
    let (status, _) = worker.terminated().await;
    assert!(status.success(), "{status:?}");
    let second = browser.upload("y", &song(2)).await;
    browser.until(&second, "SPLIT").await;
    another.says("began").await;
    assert_eq!(another.log().matches("began").count(), 1, "{}", another.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_http_a_server_that_is_killed_takes_no_lease_along() {
    goes_on_over_a_killed_server(Place::new(None).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_a_database_a_server_that_is_killed_takes_no_lease_along() {
    goes_on_over_a_killed_server(Place::on(Postgres::start()).await).await;
}

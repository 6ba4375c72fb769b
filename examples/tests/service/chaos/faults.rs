//! What goes wrong, one after the other.

use std::time::Duration;

use super::place::{Carrier, Place};
use super::proxy::Weather;

/// How often each fault comes.
pub(super) fn rounds() -> u32 {
    std::env::var("VOCALIZER_CHAOS_ROUNDS").map_or(2, |rounds| rounds.parse().unwrap())
}

/// A worker that dies at a step, again and again, with a server that does not.
pub(super) async fn worker_killed(carrier: Carrier, step: &str) {
    let mut place = Place::new(carrier).await;
    let _server = place.start("server", "never", 1);
    place.up().await;
    for round in 0..rounds() {
        let mut worker = place.start("worker", step, 1 + round % 3);
        place.until_died(&mut worker).await;
    }
    let _worker = place.start("worker", "never", 1);
    place.settle(&format!("{}worker killed {step}", prefix(carrier))).await;
}

/// A server that dies at a step, again and again, with a worker that does not.
pub(super) async fn server_killed(carrier: Carrier, step: &str) {
    let mut place = Place::new(carrier).await;
    let _worker = place.start("worker", "never", 1);
    for round in 0..rounds() {
        let mut server = place.start("server", step, 1 + round % 3);
        place.until_died(&mut server).await;
    }
    let _server = place.start("server", "never", 1);
    place.up().await;
    // A sweep keeps bytes that are younger than the newest song, so there must be one.
    place.upload().await;
    place.settle(&format!("{}server killed {step}", prefix(carrier))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worker_killed_after_lease_loses_nothing() {
    worker_killed(Carrier::Broker, "after lease").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worker_killed_during_inference_loses_nothing() {
    worker_killed(Carrier::Broker, "in mid-inference").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worker_killed_during_result_upload_loses_nothing() {
    worker_killed(Carrier::Broker, "in mid-post").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worker_killed_before_acknowledging_loses_nothing() {
    worker_killed(Carrier::Broker, "after the result is stored").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_killed_after_blob_write_loses_nothing() {
    server_killed(Carrier::Broker, "after the blob is written").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_killed_after_commit_loses_nothing() {
    server_killed(Carrier::Broker, "after commit").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_killed_before_broker_confirms_loses_nothing() {
    server_killed(Carrier::Broker, "before the confirmation").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_killed_after_broker_confirms_loses_nothing() {
    server_killed(Carrier::Broker, "after the confirmation").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_killed_while_storing_result_loses_nothing() {
    server_killed(Carrier::Broker, "in mid-result").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broker_killed_under_load_loses_nothing() {
    queue_killed(Carrier::Broker).await;
}

/// What carries jobs is killed, again and again, while songs come in.
pub(super) async fn queue_killed(carrier: Carrier) {
    let mut place = Place::new(carrier).await;
    let _server = place.start("server", "never", 1);
    let _workers = [place.start("worker", "never", 1), place.start("worker", "never", 1)];
    place.up().await;
    for _ in 0..rounds().min(20) {
        for _ in 0..5 {
            place.upload().await;
        }
        place.restart_queue();
        place.look().await;
    }
    let what = if carrier == Carrier::Broker { "broker" } else { "database" };
    place.settle(&format!("{}{what} killed and restarted", prefix(carrier))).await;
}

/// Bad weather before what carries jobs, in which songs come in, and then good weather.
pub(super) async fn weather(carrier: Carrier, weather: Weather, lasts: Duration) {
    let mut place = Place::new(carrier).await;
    let _server = place.start("server", "never", 1);
    let _workers = [place.start("worker", "never", 1), place.start("worker", "never", 1)];
    place.up().await;
    for _ in 0..rounds() {
        place.upload().await;
        place.proxy.set(weather);
        for _ in 0..3 {
            place.upload().await;
        }
        tokio::time::sleep(lasts).await;
        place.proxy.set(Weather::Clear);
        place.kills += 1;
        place.look().await;
    }
    place.settle(&format!("{}{weather:?} connections", prefix(carrier)).to_lowercase()).await;
}

fn prefix(carrier: Carrier) -> &'static str {
    match carrier {
        Carrier::Broker => "",
        Carrier::Database => "queue in postgresql, ",
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_connections_lose_nothing() {
    weather(Carrier::Broker, Weather::Cut, Duration::from_millis(300)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stalled_connections_lose_nothing() {
    weather(Carrier::Broker, Weather::Stalled, Duration::from_secs(2)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sliced_connections_lose_nothing() {
    weather(Carrier::Broker, Weather::Sliced, Duration::from_secs(1)).await;
}

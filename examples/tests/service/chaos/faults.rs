//! What goes wrong, one after the other.

use std::time::Duration;

use super::place::Place;
use super::proxy::Weather;

/// How often each fault comes.
pub(super) fn rounds() -> u32 {
    std::env::var("VOCALIZER_CHAOS_ROUNDS").map_or(2, |rounds| rounds.parse().unwrap())
}

/// A worker that dies at a step, again and again, with a server that does not.
async fn worker_killed(step: &str) {
    let mut place = Place::new().await;
    let _server = place.start("server", "never", 1);
    place.up().await;
    for round in 0..rounds() {
        let mut worker = place.start("worker", step, 1 + round % 3);
        place.until_died(&mut worker).await;
    }
    let _worker = place.start("worker", "never", 1);
    place.settle(&format!("worker killed {step}")).await;
}

/// A server that dies at a step, again and again, with a worker that does not.
async fn server_killed(step: &str) {
    let mut place = Place::new().await;
    let _worker = place.start("worker", "never", 1);
    for round in 0..rounds() {
        let mut server = place.start("server", step, 1 + round % 3);
        place.until_died(&mut server).await;
    }
    let _server = place.start("server", "never", 1);
    place.up().await;
    // A sweep keeps bytes that are younger than the newest song, so there must be one.
    place.upload().await;
    place.settle(&format!("server killed {step}")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_killed_after_it_received_a_job_loses_nothing() {
    worker_killed("after lease").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_killed_in_mid_inference_loses_nothing() {
    worker_killed("in mid-inference").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_killed_in_mid_post_loses_nothing() {
    worker_killed("in mid-post").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_killed_after_the_post_and_before_the_acknowledgement_loses_nothing() {
    worker_killed("after the result is stored").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_after_the_blob_is_written_loses_nothing() {
    server_killed("after the blob is written").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_after_commit_loses_nothing() {
    server_killed("after commit").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_before_the_broker_confirms_loses_nothing() {
    server_killed("before the confirmation").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_after_the_broker_confirmed_loses_nothing() {
    server_killed("after the confirmation").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_in_mid_result_loses_nothing() {
    server_killed("in mid-result").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_killed_and_restarted_under_load_loses_nothing() {
    let mut place = Place::new().await;
    let _server = place.start("server", "never", 1);
    let _workers = [place.start("worker", "never", 1), place.start("worker", "never", 1)];
    place.up().await;
    for _ in 0..rounds().min(20) {
        for _ in 0..5 {
            place.upload().await;
        }
        place.restart_broker();
        place.look().await;
    }
    place.settle("broker killed and restarted").await;
}

/// Bad weather between everybody and the broker, in which songs come in, and then good weather.
async fn weather(weather: Weather, lasts: Duration) {
    let mut place = Place::new().await;
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
    place.settle(&format!("{weather:?} connections").to_lowercase()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_cut_lose_nothing() {
    weather(Weather::Cut, Duration::from_millis(300)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_stall_lose_nothing() {
    weather(Weather::Stalled, Duration::from_secs(2)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_pass_a_few_bytes_at_a_time_lose_nothing() {
    weather(Weather::Sliced, Duration::from_secs(1)).await;
}

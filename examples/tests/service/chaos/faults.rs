//! One test per fault.

use std::time::Duration;

use super::place::{Place, QueueKind};
use super::proxy::Traffic;

/// Number of times each fault is injected.
pub(super) fn rounds() -> u32 {
    std::env::var("VOCALIZER_CHAOS_ROUNDS").map_or(2, |rounds| rounds.parse().unwrap())
}

/// Kills a worker at a step, once per round. The server keeps running.
pub(super) async fn worker_killed(queue_kind: QueueKind, step: &str) {
    let mut place = Place::new(queue_kind).await;
    let _server = place.start("server", "never", 1);
    place.up().await;
    for round in 0..rounds() {
        let mut worker = place.start("worker", step, 1 + round % 3);
        place.until_died(&mut worker).await;
    }
    let _worker = place.start("worker", "never", 1);
    place.settle(&format!("{}worker killed {step}", prefix(queue_kind))).await;
}

/// Kills a server at a step, once per round. The worker keeps running.
pub(super) async fn server_killed(queue_kind: QueueKind, step: &str) {
    let mut place = Place::new(queue_kind).await;
    let _worker = place.start("worker", "never", 1);
    for round in 0..rounds() {
        let mut server = place.start("server", step, 1 + round % 3);
        place.until_died(&mut server).await;
    }
    let _server = place.start("server", "never", 1);
    place.up().await;
    // A sweep keeps files newer than the newest song, so upload one.
    place.upload().await;
    place.settle(&format!("{}server killed {step}", prefix(queue_kind))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worker_killed_after_lease_loses_nothing() {
    worker_killed(QueueKind::Broker, "after lease").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worker_killed_during_inference_loses_nothing() {
    worker_killed(QueueKind::Broker, "in mid-inference").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worker_killed_during_result_upload_loses_nothing() {
    worker_killed(QueueKind::Broker, "in mid-post").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worker_killed_before_acknowledging_loses_nothing() {
    worker_killed(QueueKind::Broker, "after the result is stored").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_killed_after_blob_write_loses_nothing() {
    server_killed(QueueKind::Broker, "after the blob is written").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_killed_after_commit_loses_nothing() {
    server_killed(QueueKind::Broker, "after commit").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_killed_before_broker_confirms_loses_nothing() {
    server_killed(QueueKind::Broker, "before the confirmation").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_killed_after_broker_confirms_loses_nothing() {
    server_killed(QueueKind::Broker, "after the confirmation").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_killed_while_storing_result_loses_nothing() {
    server_killed(QueueKind::Broker, "in mid-result").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broker_killed_under_load_loses_nothing() {
    queue_killed(QueueKind::Broker).await;
}

/// Kills the queue's server repeatedly while songs are uploaded.
pub(super) async fn queue_killed(queue_kind: QueueKind) {
    let mut place = Place::new(queue_kind).await;
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
    let server = if queue_kind == QueueKind::Broker { "broker" } else { "database" };
    place.settle(&format!("{}{server} killed and restarted", prefix(queue_kind))).await;
}

/// Disturbs connections to the queue during uploads, then restores them.
pub(super) async fn connection_fault(queue_kind: QueueKind, traffic: Traffic, lasts: Duration) {
    let mut place = Place::new(queue_kind).await;
    let _server = place.start("server", "never", 1);
    let _workers = [place.start("worker", "never", 1), place.start("worker", "never", 1)];
    place.up().await;
    for _ in 0..rounds() {
        place.upload().await;
        place.proxy.set(traffic);
        for _ in 0..3 {
            place.upload().await;
        }
        tokio::time::sleep(lasts).await;
        place.proxy.set(Traffic::Normal);
        place.kills += 1;
        place.look().await;
    }
    place.settle(&format!("{}{traffic:?} connections", prefix(queue_kind)).to_lowercase()).await;
}

fn prefix(queue_kind: QueueKind) -> &'static str {
    match queue_kind {
        QueueKind::Broker => "",
        QueueKind::Database => "queue in postgresql, ",
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_connections_lose_nothing() {
    connection_fault(QueueKind::Broker, Traffic::Cut, Duration::from_millis(300)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stalled_connections_lose_nothing() {
    connection_fault(QueueKind::Broker, Traffic::Stalled, Duration::from_secs(2)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sliced_connections_lose_nothing() {
    connection_fault(QueueKind::Broker, Traffic::Sliced, Duration::from_secs(1)).await;
}

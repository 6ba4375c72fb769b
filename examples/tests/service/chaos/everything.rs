//! Faults while songs have different models, owners, share links and webhooks whose receiver often fails.

use super::faults::rounds;
use super::guests::Guests;
use super::place::{Place, QueueKind};

const MODELS: &[&str] = &["htdemucs", "best", "fast"];

const OF_WORKERS: [&str; 4] = ["while loading best", "in mid-post", "in mid-inference", "after the result is stored"];

const OF_SERVERS: [&str; 3] = ["in mid-result", "after commit", "after the blob is written"];

/// Kills a worker at another step in each round.
pub(super) async fn workers_killed(queue_kind: QueueKind) {
    let mut place = Place::with_models(queue_kind, MODELS).await;
    let _server = place.start("server", "never", 1);
    place.up().await;
    let address = place.address().to_owned();
    let mut guests = Guests::new(&mut place, &address).await;
    for (round, step) in (0..rounds()).zip(OF_WORKERS.into_iter().cycle()) {
        let mut worker = place.start("worker", step, 1 + round % 3);
        guests.act(&mut place, round).await;
        place.until_died(&mut worker).await;
    }
    let _worker = place.start("worker", "never", 1);
    guests.settle(&mut place, &fault(queue_kind, "workers killed")).await;
}

/// Kills a server at another step in each round. The users are at another server.
pub(super) async fn servers_killed(queue_kind: QueueKind) {
    let mut place = Place::with_models(queue_kind, MODELS).await;
    let _other = place.start_other(&[]);
    let other = place.other.clone();
    place.up_at(&other).await;
    let _workers = [place.start("worker", "never", 1), place.start("worker", "never", 1)];
    let mut guests = Guests::new(&mut place, &other).await;
    for (round, step) in (0..rounds()).zip(OF_SERVERS.into_iter().cycle()) {
        let mut server = place.start("server", step, 1 + round % 3);
        place.until_died(&mut server).await;
        let server = place.start("server", "never", 1);
        place.up().await;
        guests.act(&mut place, round).await;
        drop(server);
    }
    let _server = place.start("server", "never", 1);
    place.up().await;
    // A sweep keeps files newer than the newest song, so upload one.
    place.upload().await;
    guests.settle(&mut place, &fault(queue_kind, "servers killed")).await;
}

fn fault(queue_kind: QueueKind, what: &str) -> String {
    let queue = if queue_kind == QueueKind::Broker { "" } else { "queue in postgresql, " };
    format!("{queue}{what} with models, shares and webhooks")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_workers_lose_no_song_share_or_call() {
    workers_killed(QueueKind::Broker).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_servers_lose_no_song_share_or_call() {
    servers_killed(QueueKind::Broker).await;
}

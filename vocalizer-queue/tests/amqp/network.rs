use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};
use vocalizer_core::causes::chain;
use vocalizer_core::ports::{JobQueue, Lease, QueueError};
use vocalizer_queue::{AmqpQueue, AmqpSettings};

use super::broker::shared;
use super::proxy::{NetworkState, Proxy};
use super::raw::Raw;
use super::support::{PATIENCE, fresh_name, hash, job, leased, queue};

/// A queue behind its own proxy, with short timeouts.
async fn queue_behind_proxy(name: &str) -> (Proxy, AmqpQueue) {
    let proxy = Proxy::before(shared().at()).await;
    let short = Duration::from_secs(3);
    let settings = AmqpSettings::new(&format!("amqp://guest:guest@{}", proxy.at)).unwrap().with_queue(name);
    (proxy, queue(settings.with_connect_timeout(short).with_confirm_timeout(short)))
}

async fn publish(queue: &AmqpQueue, name: &str) {
    let began = Instant::now();
    while let Err(error) = queue.publish(job(name)).await {
        assert!(began.elapsed() < PATIENCE, "{}", chain(&error));
        sleep(Duration::from_millis(100)).await;
    }
}

/// Leases a job, and retries on errors.
async fn worker(queue: Arc<AmqpQueue>) -> Box<dyn Lease> {
    loop {
        match queue.lease().await {
            Ok(lease) => return lease,
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_connection_is_reestablished() {
    let (proxy, queue) = queue_behind_proxy(&fresh_name()).await;
    publish(&queue, "a").await;
    let mut held = leased(&queue, "a").await;
    let queue = Arc::new(queue);
    let waiting = tokio::spawn(worker(Arc::clone(&queue)));
    proxy.cut();
    // The waiting worker gets the leased job.
    let again = timeout(PATIENCE, waiting).await.expect("no job arrived").unwrap();
    assert_eq!((again.job().hash, again.attempt()), (hash("a"), 2));
    assert!(matches!(held.extend().await, Err(QueueError::LeaseLost)));
    assert!(matches!(held.acknowledge().await, Err(QueueError::LeaseLost)));
    again.acknowledge().await.unwrap();
    publish(&queue, "b").await;
    leased(&queue, "b").await.acknowledge().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn stalled_network_times_out_and_recovers() {
    let (proxy, queue) = queue_behind_proxy(&fresh_name()).await;
    publish(&queue, "a").await;
    let held = leased(&queue, "a").await;
    proxy.set(NetworkState::Stalled);
    for _ in 0..2 {
        let outcome = timeout(Duration::from_secs(20), queue.publish(job("b"))).await.expect("publish hangs");
        assert!(matches!(outcome, Err(QueueError::Unavailable(_))), "{outcome:?}");
    }
    let outcome = timeout(Duration::from_secs(20), held.acknowledge()).await.expect("acknowledge hangs");
    assert!(outcome.is_err(), "the acknowledgement cannot have arrived");
    proxy.set(NetworkState::Normal);
    publish(&queue, "c").await;
    let queue = Arc::new(queue);
    let mut found = Vec::new();
    while !found.contains(&hash("c")) {
        let lease = timeout(PATIENCE, worker(Arc::clone(&queue))).await.expect("no job arrived");
        found.push(lease.job().hash);
        lease.acknowledge().await.unwrap();
    }
}

/// Takes about 30 s, until the heartbeats time out.
#[tokio::test(flavor = "multi_thread")]
async fn waiting_worker_gets_an_error_from_a_silent_broker() {
    let (proxy, queue) = queue_behind_proxy(&fresh_name()).await;
    queue.check().await.unwrap();
    let waiting = tokio::spawn(async move { queue.lease().await.map(drop) });
    sleep(Duration::from_millis(500)).await;
    proxy.set(NetworkState::Stalled);
    let outcome = timeout(PATIENCE, waiting).await.expect("lease hangs").unwrap();
    assert!(matches!(outcome, Err(QueueError::Unavailable(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn tiny_network_reads_do_no_harm() {
    let (proxy, queue) = queue_behind_proxy(&fresh_name()).await;
    proxy.set(NetworkState::Slices);
    let (queue, song) = (Arc::new(queue), "la ".repeat(2_000));
    publish(&queue, &song).await;
    let lease = timeout(PATIENCE, worker(Arc::clone(&queue))).await.expect("no job arrived");
    assert_eq!(lease.job().hash, hash(&song));
    lease.fail(super::support::never("no")).await.unwrap();
    assert_eq!(queue.dead_letters(10).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_job_is_lost_or_stuck_when_connections_are_cut_repeatedly() {
    let (name, names) = (fresh_name(), (0..30).map(|number| format!("song {number}")).collect::<Vec<_>>());
    let (proxy, publisher) = queue_behind_proxy(&name).await;
    let (bad, consumer) = queue_behind_proxy(&name).await;
    let cutting = tokio::spawn(async move {
        for _ in 0..15 {
            sleep(Duration::from_millis(300)).await;
            proxy.cut();
            bad.cut();
        }
        (proxy, bad)
    });
    let publishing = async {
        for name in &names {
            publish(&publisher, name).await;
        }
    };
    let consumer = Arc::new(consumer);
    let mut missing: std::collections::BTreeSet<_> = names.iter().map(|name| hash(name)).collect();
    let consuming = async {
        while !missing.is_empty() {
            let lease = timeout(PATIENCE, worker(Arc::clone(&consumer))).await.expect("a job was lost");
            missing.remove(&lease.job().hash);
            // If this is cut off, its outcome is unknown.
            let _ = lease.acknowledge().await;
        }
    };
    tokio::join!(publishing, consuming);
    cutting.await.unwrap();
    // Only duplicates are left, and none is stuck in a lease.
    while queue_is_not_empty(&consumer).await {
        timeout(PATIENCE, worker(Arc::clone(&consumer))).await.expect("a job is stuck").acknowledge().await.unwrap();
    }
}

async fn queue_is_not_empty(queue: &AmqpQueue) -> bool {
    queue.depth().await.unwrap().waiting > 0
}

#[tokio::test(flavor = "multi_thread")]
async fn job_published_after_consumer_cancellation_arrives() {
    let (name, other) = (fresh_name(), Raw::connect(shared()).await);
    let (_proxy, queue) = queue_behind_proxy(&name).await;
    queue.check().await.unwrap();
    let queue = Arc::new(queue);
    let waiting = tokio::spawn(worker(Arc::clone(&queue)));
    sleep(Duration::from_millis(500)).await;
    // This cancels the consumers without an error.
    other.delete(&name).await;
    publish(&queue, "a").await;
    let lease = timeout(PATIENCE, waiting).await.expect("no job arrived").unwrap();
    assert_eq!(lease.job().hash, hash("a"));
    lease.acknowledge().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_queue_closes_its_connections() {
    let (proxy, queue) = queue_behind_proxy(&fresh_name()).await;
    publish(&queue, "a").await;
    let lease = leased(&queue, "a").await;
    assert_eq!(proxy.connections(), 2);
    drop(queue);
    // The lease was the last user of the connections.
    lease.acknowledge().await.unwrap();
    let began = Instant::now();
    while proxy.connections() > 0 {
        assert!(began.elapsed() < PATIENCE, "{} connections are left", proxy.connections());
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_peer_is_unreachable() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = AmqpSettings::new(&silent.local_addr().unwrap().to_string()).unwrap();
    let queue = queue(settings.with_connect_timeout(Duration::from_secs(1)));
    let message = chain(&timeout(PATIENCE, queue.check()).await.expect("check hangs").unwrap_err());
    assert!(message.contains("cannot be reached") && message.contains("no response within 1 s"), "{message}");
    // The client has disconnected and leaves no waiting thread.
    let (mut stream, _) = silent.accept().await.unwrap();
    let mut rest = Vec::new();
    let reading = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut rest);
    timeout(PATIENCE, reading).await.expect("the connection stays open").unwrap();
}

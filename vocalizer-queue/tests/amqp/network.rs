use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};
use vocalizer_core::causes::chain;
use vocalizer_core::ports::{JobQueue, Lease, QueueError};
use vocalizer_queue::{AmqpQueue, AmqpSettings};

use super::broker::shared;
use super::proxy::{Proxy, Weather};
use super::raw::Raw;
use super::support::{PATIENCE, fresh_name, hash, job, leased, queue};

/// A queue behind a network of its own. Its answers are waited for only briefly.
async fn behind(name: &str) -> (Proxy, AmqpQueue) {
    let proxy = Proxy::before(shared().at()).await;
    let brief = Duration::from_secs(3);
    let settings = AmqpSettings::new(&format!("amqp://guest:guest@{}", proxy.at)).unwrap().with_queue(name);
    (proxy, queue(settings.with_connect_timeout(brief).with_confirm_timeout(brief)))
}

async fn publish(queue: &AmqpQueue, name: &str) {
    let began = Instant::now();
    while let Err(error) = queue.publish(job(name)).await {
        assert!(began.elapsed() < PATIENCE, "{}", chain(&error));
        sleep(Duration::from_millis(100)).await;
    }
}

/// A worker that asks again whenever it fails.
async fn worker(queue: Arc<AmqpQueue>) -> Box<dyn Lease> {
    loop {
        match queue.lease().await {
            Ok(lease) => return lease,
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_cut_is_made_anew() {
    let (proxy, queue) = behind(&fresh_name()).await;
    publish(&queue, "a").await;
    let mut in_hand = leased(&queue, "a").await;
    let queue = Arc::new(queue);
    let waiting = tokio::spawn(worker(Arc::clone(&queue)));
    proxy.cut();
    // The job in hand is somebody else's, who was waiting all the time.
    let again = timeout(PATIENCE, waiting).await.expect("no job came").unwrap();
    assert_eq!((again.job().hash, again.attempt()), (hash("a"), 2));
    assert!(matches!(in_hand.extend().await, Err(QueueError::LeaseLost)));
    assert!(matches!(in_hand.acknowledge().await, Err(QueueError::LeaseLost)));
    again.acknowledge().await.unwrap();
    publish(&queue, "b").await;
    leased(&queue, "b").await.acknowledge().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_stalls_is_told_in_time_and_used_when_it_moves() {
    let (proxy, queue) = behind(&fresh_name()).await;
    publish(&queue, "a").await;
    let in_hand = leased(&queue, "a").await;
    proxy.set(Weather::Stalled);
    for _ in 0..2 {
        let outcome = timeout(Duration::from_secs(20), queue.publish(job("b"))).await.expect("it hangs");
        assert!(matches!(outcome, Err(QueueError::Unavailable(_))), "{outcome:?}");
    }
    let outcome = timeout(Duration::from_secs(20), in_hand.acknowledge()).await.expect("it hangs");
    assert!(outcome.is_err(), "nobody can have heard of it");
    proxy.set(Weather::Fair);
    publish(&queue, "c").await;
    let queue = Arc::new(queue);
    let mut found = Vec::new();
    while !found.contains(&hash("c")) {
        let lease = timeout(PATIENCE, worker(Arc::clone(&queue))).await.expect("no job came");
        found.push(lease.job().hash);
        lease.acknowledge().await.unwrap();
    }
}

/// Takes half a minute: that long a broker may be silent.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_waits_at_a_silent_broker_hears_of_it() {
    let (proxy, queue) = behind(&fresh_name()).await;
    queue.check().await.unwrap();
    let waiting = tokio::spawn(async move { queue.lease().await.map(drop) });
    sleep(Duration::from_millis(500)).await;
    proxy.set(Weather::Stalled);
    let outcome = timeout(PATIENCE, waiting).await.expect("it waits for ever").unwrap();
    assert!(matches!(outcome, Err(QueueError::Unavailable(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_of_single_bytes_harms_nothing() {
    let (proxy, queue) = behind(&fresh_name()).await;
    proxy.set(Weather::Slices);
    let song = "la ".repeat(2_000);
    publish(&queue, &song).await;
    leased(&queue, &song).await.fail(super::support::never("no")).await.unwrap();
    assert_eq!(queue.dead_letters(10).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_kept_for_ever_in_a_network_that_is_cut_again_and_again() {
    let (name, names) = (fresh_name(), (0..30).map(|number| format!("song {number}")).collect::<Vec<_>>());
    let (proxy, publisher) = behind(&name).await;
    let (bad, consumer) = behind(&name).await;
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
            // Where that is cut off, nobody knows whether it got through.
            let _ = lease.acknowledge().await;
        }
    };
    tokio::join!(publishing, consuming);
    cutting.await.unwrap();
    // What came twice is all that is left, and nobody holds on to it.
    while queue_is_not_empty(&consumer).await {
        timeout(PATIENCE, worker(Arc::clone(&consumer))).await.expect("a job is kept").acknowledge().await.unwrap();
    }
}

async fn queue_is_not_empty(queue: &AmqpQueue) -> bool {
    queue.depth().await.unwrap().waiting > 0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_published_after_the_broker_ended_the_consumer_comes() {
    let (name, other) = (fresh_name(), Raw::connect(shared()).await);
    let (_proxy, queue) = behind(&name).await;
    queue.check().await.unwrap();
    let queue = Arc::new(queue);
    let waiting = tokio::spawn(worker(Arc::clone(&queue)));
    sleep(Duration::from_millis(500)).await;
    // Which ends its consumers, with no error.
    other.delete(&name).await;
    publish(&queue, "a").await;
    let lease = timeout(PATIENCE, waiting).await.expect("no job came").unwrap();
    assert_eq!(lease.job().hash, hash("a"));
    lease.acknowledge().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_nobody_uses_any_more_leaves_no_connection() {
    let (proxy, queue) = behind(&fresh_name()).await;
    publish(&queue, "a").await;
    let lease = leased(&queue, "a").await;
    assert_eq!(proxy.connections(), 2);
    drop(queue);
    // With the lease goes the last who needs them.
    lease.acknowledge().await.unwrap();
    let began = Instant::now();
    while proxy.connections() > 0 {
        assert!(began.elapsed() < PATIENCE, "{} connections are left", proxy.connections());
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_says_nothing_is_no_broker() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = AmqpSettings::new(&silent.local_addr().unwrap().to_string()).unwrap();
    let queue = queue(settings.with_connect_timeout(Duration::from_secs(1)));
    let said = chain(&timeout(PATIENCE, queue.check()).await.expect("it hangs").unwrap_err());
    assert!(said.contains("cannot be reached") && said.contains("no answer within 1 s"), "{said}");
    // It has hung up, rather than leave a thread that waits.
    let (mut stream, _) = silent.accept().await.unwrap();
    let mut rest = Vec::new();
    let reading = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut rest);
    timeout(PATIENCE, reading).await.expect("the connection stays").unwrap();
}

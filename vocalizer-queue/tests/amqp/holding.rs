use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};
use vocalizer_core::ports::{Failure, JobQueue, Lease, QueueError};
use vocalizer_queue::{AmqpQueue, AmqpQueueKind, AmqpSettings};

use super::broker::Broker;
use super::proxy::{NetworkState, Proxy};
use super::support::{PATIENCE, fresh_name, job, leased, queue};

/// The `consumer_timeout` of the broker.
const CONSUMER_TIMEOUT: Duration = Duration::from_secs(8);

/// Long enough for a loaded machine to extend a lease in time.
const VISIBILITY: Duration = Duration::from_secs(2);

fn broker() -> Arc<Broker> {
    Arc::new(Broker::start(&["consumer_timeout=8000"]))
}

fn settings(address: &str, name: &str) -> AmqpSettings {
    let settings = AmqpSettings::new(address).unwrap().with_queue(name);
    settings.with_visibility(VISIBILITY).with_consumer_timeout(CONSUMER_TIMEOUT)
}

/// Extends the lease like a worker while a future runs.
async fn keep_through<T>(lease: &mut Box<dyn Lease>, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    loop {
        lease.extend().await.unwrap();
        if let Ok(done) = timeout(VISIBILITY / 4, work.as_mut()).await {
            lease.extend().await.unwrap();
            return done;
        }
    }
}

async fn keep(lease: &mut Box<dyn Lease>, span: Duration) {
    keep_through(lease, sleep(span)).await;
}

async fn assert_no_job_waits(queue: &AmqpQueue) {
    if let Ok(lease) = timeout(Duration::from_millis(500), queue.lease()).await {
        panic!("unexpected job: {:?}", lease.unwrap().job());
    }
    assert_eq!(queue.depth().await.unwrap().waiting, 0);
}

async fn private_queues(broker: &Arc<Broker>, name: &str) -> usize {
    let (broker, start) = (Arc::clone(broker), format!("{name}.lease."));
    let listed = spawn_blocking(move || broker.ctl(&["list_queues", "name"])).await.unwrap();
    listed.lines().filter(|line| line.starts_with(&start)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn job_may_take_longer_than_consumer_timeout() {
    let broker = broker();
    for kind in [AmqpQueueKind::Quorum, AmqpQueueKind::Classic] {
        let name = fresh_name();
        let queue = queue(settings(&broker.address, &name).with_kind(kind));
        queue.publish(job("a")).await.unwrap();
        let mut lease = leased(&queue, "a").await;
        keep(&mut lease, CONSUMER_TIMEOUT * 3).await;
        assert_eq!(keep_through(&mut lease, private_queues(&broker, &name)).await, 1, "{kind}");
        keep_through(&mut lease, assert_no_job_waits(&queue)).await;
        lease.acknowledge().await.unwrap();
        assert_eq!(private_queues(&broker, &name).await, 0, "{kind}");
        assert_no_job_waits(&queue).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn long_job_is_settled_like_any_other() {
    let broker = broker();
    let name = fresh_name();
    let queue = queue(settings(&broker.address, &name));
    queue.publish(job("a")).await.unwrap();

    let mut lease = leased(&queue, "a").await;
    keep(&mut lease, CONSUMER_TIMEOUT).await;
    drop(lease);
    let mut lease = leased(&queue, "a").await;
    assert_eq!(lease.attempt(), 2, "a dropped lease counts as an attempt");

    keep(&mut lease, CONSUMER_TIMEOUT).await;
    lease.fail(Failure::Later { after: Duration::ZERO }).await.unwrap();
    let mut lease = leased(&queue, "a").await;
    assert_eq!(lease.attempt(), 2, "a postponed job does not count");

    keep(&mut lease, CONSUMER_TIMEOUT).await;
    // Without an extension the lease expires.
    let mut again = leased(&queue, "a").await;
    assert_eq!(again.attempt(), 3);
    assert!(matches!(lease.extend().await, Err(QueueError::LeaseLost)));
    assert!(matches!(lease.acknowledge().await, Err(QueueError::LeaseLost)));

    keep(&mut again, CONSUMER_TIMEOUT).await;
    again.fail(super::support::never("no")).await.unwrap();
    let letters = queue.dead_letters(10).await.unwrap();
    assert_eq!((letters.len(), letters[0].attempts), (1, 3));
    assert_no_job_waits(&queue).await;
    assert_eq!(private_queues(&broker, &name).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn long_job_is_redelivered_when_its_worker_dies() {
    let broker = broker();
    let name = fresh_name();
    let proxy = Proxy::before(broker.at()).await;
    let dying = queue(settings(&format!("amqp://guest:guest@{}", proxy.at), &name));
    dying.publish(job("a")).await.unwrap();
    let mut lease = leased(&dying, "a").await;
    keep(&mut lease, CONSUMER_TIMEOUT).await;
    proxy.set(NetworkState::Closed);
    proxy.cut();

    let survivor = queue(settings(&broker.address, &name));
    let again = leased(&survivor, "a").await;
    assert_eq!(again.attempt(), 2);
    again.acknowledge().await.unwrap();

    // If the worker comes back, its lease is lost.
    proxy.set(NetworkState::Normal);
    let outcome = timeout(PATIENCE, lease.acknowledge()).await.expect("acknowledge hangs");
    assert!(matches!(outcome, Err(QueueError::LeaseLost)), "{outcome:?}");
    assert_no_job_waits(&survivor).await;
}

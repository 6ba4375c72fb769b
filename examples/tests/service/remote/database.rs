//! Several servers share jobs in PostgreSQL, and workers may use any of them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use vocalizer_core::ports::{Failure, Job, JobPayload, JobQueue, JobState, QueueError};
use vocalizer_core::secret::Secret;
use vocalizer_core::song::SongHash;
use vocalizer_queue::{PostgresQueue, PostgresQueueSettings};

use super::place::{Relay, RemoteWorker, SmallService, queue, until, upload};
use crate::postgres::Postgres;
use crate::support::{fast_worker, song};

async fn database_queue(database: &Postgres) -> Arc<dyn JobQueue> {
    let settings = PostgresQueueSettings { visibility: LEASE, ..PostgresQueueSettings::default() };
    Arc::new(PostgresQueue::open(&Secret::new(database.url.clone()), settings).await.unwrap())
}

const LEASE: Duration = Duration::from_secs(600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lease_can_be_extended_and_settled_at_another_server() {
    let database = Postgres::start();
    let (one, other) = (
        SmallService::over(database_queue(&database).await).await,
        SmallService::over(database_queue(&database).await).await,
    );
    let relay = Relay::start(one.address).await;
    let remote = queue(relay.address);
    let publish = async |name: &str| {
        let job = Job::new(SongHash::of(name.as_bytes()), JobPayload::Stored);
        one.queue.publish(job).await.unwrap();
    };
    publish("a").await;
    publish("b").await;
    let (mut a, b) = (remote.lease().await.unwrap(), remote.lease().await.unwrap());
    relay.forward_to(Some(other.address));
    // The first try may fail because the connection to the first server closes.
    while let Err(error) = a.extend().await {
        assert!(matches!(error, QueueError::Unavailable(_)), "{error}");
    }
    assert_eq!(one.queue.state(&a.job().hash).await.unwrap(), JobState::Leased);
    a.acknowledge().await.unwrap();
    b.fail(Failure::Retry { after: Duration::ZERO }).await.unwrap();
    let again = remote.lease().await.unwrap();
    assert_eq!((again.job().hash, again.attempt()), (SongHash::of(b"b"), 2));
    again.acknowledge().await.unwrap();
    let depth = one.queue.depth().await.unwrap();
    assert_eq!((depth.waiting, depth.leased, depth.dead), (0, Some(0), 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn song_is_split_once_after_its_server_is_gone() {
    let database = Postgres::start();
    let (first, second) = (database_queue(&database).await, database_queue(&database).await);
    let one = SmallService::over(first).await;
    let other = one.beside(second).await;
    let relay = Relay::start(one.address).await;
    let worker = RemoteWorker::start(relay.address, fast_worker());
    worker.separator.takes_ms.store(600_000, Ordering::SeqCst);
    upload(&one, &song(1)).await;
    until("the split has started", || async { worker.separator.begun.load(Ordering::SeqCst) == 1 }).await;
    relay.forward_to(Some(other.address));
    drop(one);
    worker.separator.takes_ms.store(0, Ordering::SeqCst);
    until("the song is split", || async { worker.counts.done() == 1 }).await;
    until("the job is off the queue", || async {
        let depth = other.queue.depth().await.unwrap();
        (depth.waiting, depth.leased) == (0, Some(0))
    })
    .await;
    assert_eq!(worker.separator.begun.load(Ordering::SeqCst), 1);
}

//! Durable leases continue in the next process.

use std::collections::HashMap;
use std::time::Duration;

use vocalizer_core::ports::{DurableLeases as _, Failure, JobQueue, JobState, QueueError};
use vocalizer_queue::SqliteQueue;

use super::support::{TestFile, hash, job, never};

#[tokio::test]
async fn restart_keeps_durable_leases_and_their_counts() {
    let place = TestFile::new();
    let queue = place.open().await;
    for name in ["a", "b", "c", "d"] {
        queue.publish(job(name)).await.unwrap();
    }
    let mut leases = Vec::new();
    for _ in 0..4 {
        leases.push(queue.grant().await.unwrap());
    }
    queue.extend(leases[1].lease).await.unwrap();
    queue.extend(leases[2].lease).await.unwrap();
    drop(queue);

    let queue = place.open().await;
    for name in ["a", "b", "c", "d"] {
        assert_eq!(queue.state(&hash(name)).await.unwrap(), JobState::Leased, "{name}");
    }
    queue.settle(leases[0].lease, None).await.unwrap();
    queue.settle(leases[1].lease, Some(Failure::Retry { after: Duration::ZERO })).await.unwrap();
    queue.settle(leases[2].lease, Some(Failure::Later { after: Duration::ZERO })).await.unwrap();
    queue.settle(leases[3].lease, Some(never("no"))).await.unwrap();
    assert!(matches!(queue.extend(leases[1].lease).await, Err(QueueError::LeaseLost)));
    drop(queue);

    let queue = place.open().await;
    assert_eq!(queue.state(&hash("a")).await.unwrap(), JobState::Absent);
    assert_eq!(queue.dead_letters(10).await.unwrap()[0].attempts, 1);
    // Both are ready in the same millisecond, or one after the other.
    let mut attempts = HashMap::new();
    let mut held = Vec::new();
    for _ in 0..2 {
        let lease = queue.lease().await.unwrap();
        attempts.insert(lease.job().hash, lease.attempt());
        held.push(lease);
    }
    assert_eq!((attempts[&hash("b")], attempts[&hash("c")]), (2, 1));
}

#[tokio::test]
async fn restored_lease_expires_and_keeps_its_count() {
    let place = TestFile::new();
    let short = Duration::from_secs(1);
    let open = async || SqliteQueue::open(&place.path(), short).await.unwrap();
    let queue = open().await;
    queue.publish(job("silent")).await.unwrap();
    queue.publish(job("begun")).await.unwrap();
    let (_silent, begun) = (queue.grant().await.unwrap(), queue.grant().await.unwrap());
    // If the machine stalled for longer than the lease, there is nothing to test.
    if queue.extend(begun.lease).await.is_err() {
        return;
    }
    drop(queue);
    let queue = open().await;
    for _ in 0..2 {
        let lease = queue.lease().await.unwrap();
        let expected = if lease.job().hash == hash("silent") { 1 } else { 2 };
        assert_eq!(lease.attempt(), expected);
        lease.acknowledge().await.unwrap();
    }
    assert_eq!(queue.depth().await.unwrap().waiting, 0);
}

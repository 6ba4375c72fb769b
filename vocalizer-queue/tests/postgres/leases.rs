//! Leases outlive the server that granted them.

use std::time::Duration;

use tokio::time::timeout;
use vocalizer_core::ports::{DurableLeases as _, Failure, JobQueue, JobState, QueueError};

use super::support::{HANGS, LONG, TestDatabase, hash, job, leased};

#[tokio::test(flavor = "multi_thread")]
async fn another_server_can_extend_and_settle_a_lease() {
    let place = TestDatabase::new().await;
    let (one, other) = (place.open(LONG).await, place.open(LONG).await);
    for name in ["a", "b"] {
        one.publish(job(name)).await.unwrap();
    }
    let (a, b) = (one.grant().await.unwrap(), one.grant().await.unwrap());
    drop(one);
    assert_eq!(other.state(&hash("a")).await.unwrap(), JobState::Leased);
    other.extend(a.lease).await.unwrap();
    other.settle(a.lease, None).await.unwrap();
    assert!(matches!(other.settle(a.lease, None).await, Err(QueueError::LeaseLost)));
    other.settle(b.lease, Some(Failure::Retry { after: Duration::ZERO })).await.unwrap();
    assert_eq!(leased(&other, "b").await.attempt(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_lease_call_returns_its_job_without_an_attempt() {
    let place = TestDatabase::new().await;
    let queue = place.open(LONG).await;
    queue.publish(job("a")).await.unwrap();
    for _ in 0..10 {
        // Cancels the call during a statement.
        let _ = timeout(Duration::from_millis(1), async {
            match queue.lease().await {
                Ok(lease) => lease.fail(Failure::Later { after: Duration::ZERO }).await,
                Err(error) => Err(error),
            }
        })
        .await;
    }
    let lease = timeout(HANGS, queue.lease()).await.expect("a cancelled call still holds the lease").unwrap();
    assert_eq!(lease.attempt(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn job_with_expired_lease_comes_after_the_others() {
    let place = TestDatabase::new().await;
    let queue = place.open(Duration::from_secs(2)).await;
    for name in ["killer", "b"] {
        queue.publish(job(name)).await.unwrap();
    }
    std::mem::forget(leased(&queue, "killer").await);
    leased(&queue, "b").await.acknowledge().await.unwrap();
    assert_eq!(leased(&queue, "killer").await.attempt(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_and_delays_beyond_the_clock_range_are_capped() {
    let place = TestDatabase::new().await;
    let queue = place.open(Duration::MAX).await;
    queue.publish(job("a")).await.unwrap();
    let mut lease = leased(&queue, "a").await;
    lease.extend().await.unwrap();
    lease.fail(Failure::Retry { after: Duration::MAX }).await.unwrap();
    assert_eq!(queue.state(&hash("a")).await.unwrap(), JobState::Waiting { before: 0 });
}

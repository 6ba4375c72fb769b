use std::time::Duration;

use tokio::time::{Instant, advance, sleep};
use vocalizer_core::ports::{JobQueue, QueueError};
use vocalizer_queue::MemoryQueue;

use super::support::{MOMENT, VISIBILITY, assert_no_job_for, depth, job, leased, queue_of};

#[tokio::test(start_paused = true)]
async fn expired_lease_passes_its_job_on_at_once() {
    let queue = queue_of(&["a"]).await;
    let lost = leased(&queue, "a").await;
    let start = Instant::now();
    let again = queue.lease().await.unwrap();
    let waited = start.elapsed();
    assert!(waited >= VISIBILITY - MOMENT && waited <= VISIBILITY + MOMENT, "{waited:?}");
    assert_eq!(again.attempt(), 2);
    // The late worker gets an error without side effects.
    assert!(matches!(lost.acknowledge().await, Err(QueueError::LeaseLost)));
    again.acknowledge().await.unwrap();
    assert_no_job_for(&queue, 3 * VISIBILITY).await;
}

#[tokio::test(start_paused = true)]
async fn lease_is_lost_at_expiry_without_another_worker() {
    let queue = queue_of(&["a"]).await;
    let mut lease = leased(&queue, "a").await;
    advance(VISIBILITY).await;
    assert!(matches!(lease.extend().await, Err(QueueError::LeaseLost)));
    drop(lease);
    assert_eq!(depth(&queue).await, (1, 0, 0), "expected one job, not two");
}

#[tokio::test(start_paused = true)]
async fn extension_grants_exactly_the_full_time() {
    let queue = queue_of(&["a"]).await;
    let mut lease = leased(&queue, "a").await;
    for _ in 0..5 {
        advance(VISIBILITY - MOMENT).await;
        lease.extend().await.unwrap();
        lease.extend().await.unwrap();
    }
    assert_no_job_for(&queue, VISIBILITY - MOMENT).await;
    sleep(2 * MOMENT).await;
    assert_eq!(leased(&queue, "a").await.attempt(), 2);
}

#[tokio::test(start_paused = true)]
async fn job_that_kills_workers_does_not_block_others() {
    let queue = queue_of(&["killer", "b"]).await;
    let _dead = leased(&queue, "killer").await;
    advance(VISIBILITY).await;
    leased(&queue, "b").await.acknowledge().await.unwrap();
    leased(&queue, "killer").await.acknowledge().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn waiting_workers_wake_up_for_new_jobs() {
    let queue = queue_of(&[]).await;
    let workers: Vec<_> = (0..3)
        .map(|_| {
            let queue = queue.clone();
            tokio::spawn(async move { queue.lease().await.unwrap().acknowledge().await.unwrap() })
        })
        .collect();
    sleep(MOMENT).await;
    for name in ["a", "b", "c"] {
        queue.publish(job(name)).await.unwrap();
    }
    for worker in workers {
        tokio::time::timeout(MOMENT, worker).await.expect("a worker did not wake up").unwrap();
    }
    assert_eq!(depth(&queue).await, (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn lease_longer_than_the_clock_range_is_capped() {
    let queue = MemoryQueue::new(Duration::MAX);
    queue.publish(job("a")).await.unwrap();
    let mut lease = leased(&queue, "a").await;
    lease.extend().await.unwrap();
    lease.acknowledge().await.unwrap();
}

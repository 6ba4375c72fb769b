use std::time::Duration;

use tokio::time::{Instant, advance, sleep};
use vocalizer_core::ports::{JobQueue, QueueError};
use vocalizer_queue::MemoryQueue;

use super::support::{MOMENT, VISIBILITY, depth, job, leased, nothing_for, queue_of};

#[tokio::test(start_paused = true)]
async fn a_lease_that_runs_out_gives_its_job_to_the_next_at_that_moment() {
    let queue = queue_of(&["a"]).await;
    let lost = leased(&queue, "a").await;
    let start = Instant::now();
    let again = queue.lease().await.unwrap();
    let waited = start.elapsed();
    assert!(waited >= VISIBILITY - MOMENT && waited <= VISIBILITY + MOMENT, "{waited:?}");
    assert_eq!(again.attempt(), 2);
    // The late worker notices, and harms nobody.
    assert!(matches!(lost.acknowledge().await, Err(QueueError::LeaseLost)));
    again.acknowledge().await.unwrap();
    nothing_for(&queue, 3 * VISIBILITY).await;
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_lost_the_moment_it_runs_out_even_if_nobody_else_came() {
    let queue = queue_of(&["a"]).await;
    let mut lease = leased(&queue, "a").await;
    advance(VISIBILITY).await;
    assert!(matches!(lease.extend().await, Err(QueueError::LeaseLost)));
    drop(lease);
    assert_eq!(depth(&queue).await, (1, 0, 0), "one job, not two");
}

#[tokio::test(start_paused = true)]
async fn extending_grants_the_whole_time_again_and_no_more() {
    let queue = queue_of(&["a"]).await;
    let mut lease = leased(&queue, "a").await;
    for _ in 0..5 {
        advance(VISIBILITY - MOMENT).await;
        lease.extend().await.unwrap();
        lease.extend().await.unwrap();
    }
    nothing_for(&queue, VISIBILITY - MOMENT).await;
    sleep(2 * MOMENT).await;
    assert_eq!(leased(&queue, "a").await.attempt(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_kills_its_workers_does_not_hold_up_the_rest() {
    let queue = queue_of(&["killer", "b"]).await;
    let _dead = leased(&queue, "killer").await;
    advance(VISIBILITY).await;
    leased(&queue, "b").await.acknowledge().await.unwrap();
    leased(&queue, "killer").await.acknowledge().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn waiting_workers_wake_when_jobs_come() {
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
        tokio::time::timeout(MOMENT, worker).await.expect("a worker slept on").unwrap();
    }
    assert_eq!(depth(&queue).await, (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_lease_may_be_granted_for_longer_than_clocks_go() {
    let queue = MemoryQueue::new(Duration::MAX);
    queue.publish(job("a")).await.unwrap();
    let mut lease = leased(&queue, "a").await;
    lease.extend().await.unwrap();
    lease.acknowledge().await.unwrap();
}

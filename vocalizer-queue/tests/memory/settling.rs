use std::time::Duration;

use tokio::time::{advance, sleep};
use vocalizer_core::ports::{Failure, JobQueue, JobState, QueueError};

use super::support::{MOMENT, VISIBILITY, assert_no_job_for, depth, hash, leased, never, queue_of};

#[tokio::test(start_paused = true)]
async fn delayed_job_returns_after_its_delay_without_blocking_others() {
    let queue = queue_of(&["a", "b"]).await;
    let after = Duration::from_secs(5);
    leased(&queue, "a").await.fail(Failure::Retry { after }).await.unwrap();
    assert_eq!(queue.state(&hash("a")).await.unwrap(), JobState::Waiting { before: 1 });
    leased(&queue, "b").await.acknowledge().await.unwrap();
    assert_no_job_for(&queue, after - MOMENT).await;
    sleep(2 * MOMENT).await;
    assert_eq!(leased(&queue, "a").await.attempt(), 2);
}

#[tokio::test(start_paused = true)]
async fn settling_a_lost_lease_fails_without_effect() {
    let queue = queue_of(&["a"]).await;
    for case in 0..4 {
        let lost = leased(&queue, "a").await;
        advance(VISIBILITY).await;
        let holder = leased(&queue, "a").await;
        let outcome = match case {
            0 => lost.acknowledge().await,
            1 => lost.fail(Failure::Retry { after: Duration::ZERO }).await,
            2 => lost.fail(Failure::Later { after: Duration::ZERO }).await,
            _ => lost.fail(never()).await,
        };
        assert!(matches!(outcome, Err(QueueError::LeaseLost)), "case {case}: {outcome:?}");
        assert_eq!(depth(&queue).await, (0, 1, 0), "the job belongs to the holder");
        drop(holder);
    }
}

#[tokio::test(start_paused = true)]
async fn delay_longer_than_the_clock_range_is_capped() {
    let queue = queue_of(&["a"]).await;
    leased(&queue, "a").await.fail(Failure::Retry { after: Duration::MAX }).await.unwrap();
    assert_eq!(depth(&queue).await, (1, 0, 0));
    assert_no_job_for(&queue, VISIBILITY).await;
}

#[tokio::test(start_paused = true)]
async fn oldest_age_counts_from_publishing() {
    let queue = queue_of(&["a"]).await;
    advance(VISIBILITY).await;
    queue.publish(super::support::job("b")).await.unwrap();
    let lease = leased(&queue, "a").await;
    assert_eq!(queue.depth().await.unwrap().oldest, Some(Duration::ZERO), "a leased job is not waiting");
    drop(lease);
    assert_eq!(queue.depth().await.unwrap().oldest, Some(VISIBILITY), "its age includes the time in the lease");
}

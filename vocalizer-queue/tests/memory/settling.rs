use std::time::Duration;

use tokio::time::{advance, sleep};
use vocalizer_core::ports::{Failure, JobQueue, JobState, QueueError};

use super::support::{MOMENT, VISIBILITY, depth, hash, leased, never, nothing_for, queue_of};

#[tokio::test(start_paused = true)]
async fn a_job_handed_back_comes_at_the_end_of_its_delay_and_lets_others_by() {
    let queue = queue_of(&["a", "b"]).await;
    let after = Duration::from_secs(5);
    leased(&queue, "a").await.fail(Failure::Retry { after }).await.unwrap();
    assert_eq!(queue.state(&hash("a")).await.unwrap(), JobState::Waiting { before: 1 });
    leased(&queue, "b").await.acknowledge().await.unwrap();
    nothing_for(&queue, after - MOMENT).await;
    sleep(2 * MOMENT).await;
    assert_eq!(leased(&queue, "a").await.attempt(), 2);
}

#[tokio::test(start_paused = true)]
async fn settling_a_lost_lease_says_so_and_changes_nothing() {
    let queue = queue_of(&["a"]).await;
    for way in 0..4 {
        let lost = leased(&queue, "a").await;
        advance(VISIBILITY).await;
        let holder = leased(&queue, "a").await;
        let outcome = match way {
            0 => lost.acknowledge().await,
            1 => lost.fail(Failure::Retry { after: Duration::ZERO }).await,
            2 => lost.fail(Failure::Later { after: Duration::ZERO }).await,
            _ => lost.fail(never()).await,
        };
        assert!(matches!(outcome, Err(QueueError::LeaseLost)), "way {way}: {outcome:?}");
        assert_eq!(depth(&queue).await, (0, 1, 0), "the job is the holder's");
        drop(holder);
    }
}

#[tokio::test(start_paused = true)]
async fn a_delay_longer_than_clocks_go_is_only_long() {
    let queue = queue_of(&["a"]).await;
    leased(&queue, "a").await.fail(Failure::Retry { after: Duration::MAX }).await.unwrap();
    assert_eq!(depth(&queue).await, (1, 0, 0));
    nothing_for(&queue, VISIBILITY).await;
}

#[tokio::test(start_paused = true)]
async fn the_age_of_the_oldest_job_is_what_it_has_waited() {
    let queue = queue_of(&["a"]).await;
    advance(VISIBILITY).await;
    queue.publish(super::support::job("b")).await.unwrap();
    let lease = leased(&queue, "a").await;
    assert_eq!(queue.depth().await.unwrap().oldest, Some(Duration::ZERO), "a leased job does not wait");
    drop(lease);
    assert_eq!(queue.depth().await.unwrap().oldest, Some(VISIBILITY), "it has been here all the time");
}

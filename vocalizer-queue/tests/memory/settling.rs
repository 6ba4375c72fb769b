use std::time::Duration;

use tokio::time::{advance, sleep};
use vocalizer_core::ports::{JobQueue, QueueError};

use super::support::{MOMENT, VISIBILITY, hash, leased, nothing_for, queue_of};

#[tokio::test(start_paused = true)]
async fn an_acknowledged_job_never_comes_again() {
    let queue = queue_of(&["a"]).await;
    leased(&queue, "a").await.acknowledge().await.unwrap();
    nothing_for(&queue, 10 * VISIBILITY).await;
    assert!(queue.dead_letters().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_job_handed_back_comes_after_its_delay_and_lets_others_by() {
    let queue = queue_of(&["a", "b"]).await;
    let delay = Duration::from_secs(5);
    leased(&queue, "a").await.hand_back(delay).await.unwrap();
    assert_eq!(queue.position(&hash("a")).await.unwrap(), Some(1));
    leased(&queue, "b").await.acknowledge().await.unwrap();
    nothing_for(&queue, delay - MOMENT).await;
    sleep(2 * MOMENT).await;
    assert_eq!(leased(&queue, "a").await.delivery(), Some(2));
}

#[tokio::test(start_paused = true)]
async fn a_rejected_job_is_a_dead_letter_and_never_comes_again() {
    let queue = queue_of(&["a", "b"]).await;
    leased(&queue, "a").await.reject().await.unwrap();
    leased(&queue, "b").await.reject().await.unwrap();
    let dead: Vec<_> = queue.dead_letters().iter().map(|job| job.hash).collect();
    assert_eq!(dead, [hash("a"), hash("b")]);
    nothing_for(&queue, 10 * VISIBILITY).await;
}

#[tokio::test(start_paused = true)]
async fn settling_a_lost_lease_says_so_and_changes_nothing() {
    let queue = queue_of(&["a"]).await;
    for way in 0..3 {
        let lost = leased(&queue, "a").await;
        advance(VISIBILITY).await;
        let holder = leased(&queue, "a").await;
        let outcome = match way {
            0 => lost.acknowledge().await,
            1 => lost.hand_back(Duration::ZERO).await,
            _ => lost.reject().await,
        };
        assert!(matches!(outcome, Err(QueueError::LeaseLost)), "way {way}: {outcome:?}");
        assert_eq!(queue.waiting(), 0, "the job is the holder's");
        assert!(queue.dead_letters().is_empty());
        drop(holder);
    }
}

#[tokio::test(start_paused = true)]
async fn a_delay_longer_than_clocks_go_is_only_long() {
    let queue = queue_of(&["a"]).await;
    leased(&queue, "a").await.hand_back(Duration::MAX).await.unwrap();
    assert_eq!(queue.waiting(), 1);
    nothing_for(&queue, VISIBILITY).await;
}

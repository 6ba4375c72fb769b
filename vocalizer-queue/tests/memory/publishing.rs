use bytes::Bytes;
use vocalizer_core::ports::{Job, JobPayload, JobQueue, QueueError};
use vocalizer_core::secret::Secret;
use vocalizer_queue::MemoryQueue;

use super::support::{VISIBILITY, depth, hash, job, leased, queue_of};

#[tokio::test(start_paused = true)]
async fn jobs_come_whole_and_in_the_order_of_publishing() {
    let queue = queue_of(&["a", "b", "c"]).await;
    for name in ["a", "b", "c"] {
        let lease = leased(&queue, name).await;
        assert!(matches!(&lease.job().payload, JobPayload::Inline(bytes) if bytes == name));
        assert_eq!(lease.attempt(), 1);
        lease.acknowledge().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn an_inline_payload_above_the_cap_is_refused_and_one_at_it_is_not() {
    let queue = MemoryQueue::new(VISIBILITY).with_max_inline_bytes(4);
    let of = |len: usize| Job { hash: hash("x"), payload: JobPayload::Inline(Bytes::from(vec![0; len])) };
    let error = queue.publish(of(5)).await.unwrap_err();
    assert!(matches!(error, QueueError::TooLarge { max_bytes: 4 }));
    assert_eq!(depth(&queue).await, (0, 0, 0));
    queue.publish(of(4)).await.unwrap();
    assert_eq!(depth(&queue).await, (1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_claim_is_not_held_to_the_cap() {
    let queue = MemoryQueue::new(VISIBILITY).with_max_inline_bytes(1);
    let claim = JobPayload::Claim(Secret::new("a location longer than the cap".to_owned()));
    queue.publish(Job { hash: hash("x"), payload: claim }).await.unwrap();
    assert!(matches!(leased(&queue, "x").await.job().payload, JobPayload::Claim(_)));
}

#[tokio::test(start_paused = true)]
async fn a_repeat_of_a_waiting_job_is_dropped() {
    let queue = queue_of(&["a", "b", "a"]).await;
    assert_eq!(depth(&queue).await, (2, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_repeat_of_a_leased_job_is_kept() {
    let queue = queue_of(&["a"]).await;
    let first = leased(&queue, "a").await;
    queue.publish(job("a")).await.unwrap();
    first.acknowledge().await.unwrap();
    leased(&queue, "a").await.acknowledge().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn clones_are_the_same_queue() {
    let queue = queue_of(&[]).await;
    queue.clone().publish(job("a")).await.unwrap();
    leased(&queue, "a").await.acknowledge().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_printed_says_nothing_of_the_songs() {
    let queue = queue_of(&["a secret song"]).await;
    assert_eq!(format!("{queue:?}"), "MemoryQueue { waiting: 1, leased: 0, dead_letters: 0 }");
}

use bytes::Bytes;
use vocalizer_core::ports::{Job, JobPayload, JobQueue, QueueError};
use vocalizer_core::secret::Secret;
use vocalizer_queue::MemoryQueue;

use super::support::{VISIBILITY, depth, hash, job, leased, queue_of};

#[tokio::test(start_paused = true)]
async fn jobs_arrive_complete_in_publishing_order() {
    let queue = queue_of(&["a", "b", "c"]).await;
    for name in ["a", "b", "c"] {
        let lease = leased(&queue, name).await;
        assert!(matches!(&lease.job().payload, JobPayload::Inline(bytes) if bytes == name));
        assert_eq!(lease.attempt(), 1);
        lease.acknowledge().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn inline_payload_above_the_limit_is_rejected() {
    let queue = MemoryQueue::new(VISIBILITY).with_max_inline_bytes(4);
    let of = |len: usize| Job::new(hash("x"), JobPayload::Inline(Bytes::from(vec![0; len])));
    let error = queue.publish(of(5)).await.unwrap_err();
    assert!(matches!(error, QueueError::TooLarge { max_bytes: 4 }));
    assert_eq!(depth(&queue).await, (0, 0, 0));
    queue.publish(of(4)).await.unwrap();
    assert_eq!(depth(&queue).await, (1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn claim_ignores_the_inline_limit() {
    let queue = MemoryQueue::new(VISIBILITY).with_max_inline_bytes(1);
    let claim = JobPayload::Claim(Secret::new("a location longer than the limit".to_owned()));
    queue.publish(Job::new(hash("x"), claim)).await.unwrap();
    assert!(matches!(leased(&queue, "x").await.job().payload, JobPayload::Claim(_)));
}

#[tokio::test(start_paused = true)]
async fn repeat_of_waiting_job_is_dropped() {
    let queue = queue_of(&["a", "b", "a"]).await;
    assert_eq!(depth(&queue).await, (2, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn repeat_of_leased_job_is_kept() {
    let queue = queue_of(&["a"]).await;
    let first = leased(&queue, "a").await;
    queue.publish(job("a")).await.unwrap();
    first.acknowledge().await.unwrap();
    leased(&queue, "a").await.acknowledge().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn clones_share_one_queue() {
    let queue = queue_of(&[]).await;
    queue.clone().publish(job("a")).await.unwrap();
    leased(&queue, "a").await.acknowledge().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn debug_output_contains_no_songs() {
    let queue = queue_of(&["a secret song"]).await;
    assert_eq!(format!("{queue:?}"), "MemoryQueue { waiting: 1, leased: 0, dead_letters: 0 }");
}

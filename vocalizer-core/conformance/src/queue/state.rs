#![expect(missing_docs, reason = "each check is named after the guarantee it tests")]

use std::time::Duration;

use super::place::{LONG_LEASE, QueuePlace, SHORT_WAIT, job, lease_job, queue_with};
use crate::support::hash;
use vocalizer_core::ports::{Depth, Failure, JobState};
use vocalizer_core::song::FailureReason;

pub async fn state_reports_waiting_leased_and_absent(place: &impl QueuePlace) {
    let queue = queue_with(place, LONG_LEASE, &["a", "b", "c"]).await;
    if queue.state(&hash("a")).await.unwrap() == JobState::Unknown {
        return;
    }
    let at = async |name: &str| queue.state(&hash(name)).await.unwrap();
    for (before, name) in ["a", "b", "c"].into_iter().enumerate() {
        assert_eq!(at(name).await, JobState::Waiting { before: before as u64 });
    }
    assert_eq!(at("unknown").await, JobState::Absent);

    let a = lease_job(place, &queue, "a").await;
    assert_eq!((at("a").await, at("b").await), (JobState::Leased, JobState::Waiting { before: 0 }));
    a.acknowledge().await.unwrap();
    assert_eq!(at("a").await, JobState::Absent);

    lease_job(place, &queue, "b").await.fail(Failure::Retry { after: LONG_LEASE }).await.unwrap();
    assert_eq!((at("b").await, at("c").await), (JobState::Waiting { before: 1 }, JobState::Waiting { before: 0 }));
    // A job published later is still ahead of the delayed one.
    queue.publish(job(place, "d")).await.unwrap();
    assert_eq!((at("b").await, at("d").await), (JobState::Waiting { before: 2 }, JobState::Waiting { before: 1 }));

    let several = ["d", "unknown", "b", "d", "c"].map(hash);
    let mut each = Vec::new();
    for hash in &several {
        each.push(queue.state(hash).await.unwrap());
    }
    assert_eq!(queue.states(&several).await.unwrap(), each, "several hashes in one call");

    let reason = FailureReason::new("no");
    lease_job(place, &queue, "c").await.fail(Failure::Never { reason }).await.unwrap();
    assert_eq!(at("c").await, JobState::Absent);
}

pub async fn depth_counts_waiting_leased_and_dead_jobs(place: &impl QueuePlace) {
    let queue = queue_with(place, LONG_LEASE, &[]).await;
    let Depth { waiting, leased, dead, oldest } = queue.depth().await.unwrap();
    assert_eq!((waiting, leased.unwrap_or(0), dead, oldest), (0, 0, 0, None));
    let before = place.elapsed();
    for name in ["a", "b", "c", "d"] {
        queue.publish(job(place, name)).await.unwrap();
    }
    let _a = lease_job(place, &queue, "a").await;
    lease_job(place, &queue, "b").await.fail(Failure::Later { after: LONG_LEASE }).await.unwrap();
    let reason = FailureReason::new("no");
    lease_job(place, &queue, "c").await.fail(Failure::Never { reason }).await.unwrap();
    place.pass(SHORT_WAIT).await;
    let Depth { waiting, leased, dead, oldest } = queue.depth().await.unwrap();
    assert_eq!((waiting, leased.unwrap_or(1), dead), (2, 1, 1), "delayed jobs count as waiting");
    assert_eq!(oldest.is_some(), leased.is_some(), "a queue that knows its jobs reports both");
    let Some(oldest) = oldest else { return };
    // Tolerance: clocks are read at different times, and some are coarse.
    let tolerance = Duration::from_millis(50);
    assert!(oldest + tolerance >= SHORT_WAIT && oldest <= place.elapsed() - before + tolerance, "{oldest:?}");
}

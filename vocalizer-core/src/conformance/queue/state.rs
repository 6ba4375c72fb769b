#![expect(missing_docs, reason = "each is named for the promise that it holds the queue to")]

use std::time::Duration;

use super::place::{LONG, MOMENT, QueuePlace, job, leased_as, queue_of};
use crate::conformance::support::hash;
use crate::ports::{Depth, Failure, JobState};
use crate::song::FailureReason;

pub async fn state_says_where_a_job_is(place: &impl QueuePlace) {
    let queue = queue_of(place, LONG, &["a", "b", "c"]).await;
    if queue.state(&hash("a")).await.unwrap() == JobState::Unknown {
        return;
    }
    let at = async |name: &str| queue.state(&hash(name)).await.unwrap();
    for (before, name) in ["a", "b", "c"].into_iter().enumerate() {
        assert_eq!(at(name).await, JobState::Waiting { before: before as u64 });
    }
    assert_eq!(at("unheard of").await, JobState::Absent);

    let a = leased_as(place, &queue, "a").await;
    assert_eq!((at("a").await, at("b").await), (JobState::Leased, JobState::Waiting { before: 0 }));
    a.acknowledge().await.unwrap();
    assert_eq!(at("a").await, JobState::Absent);

    leased_as(place, &queue, "b").await.fail(Failure::Retry { after: LONG }).await.unwrap();
    assert_eq!((at("b").await, at("c").await), (JobState::Waiting { before: 1 }, JobState::Waiting { before: 0 }));
    // One that is published after it comes before it all the same.
    queue.publish(job(place, "d")).await.unwrap();
    assert_eq!((at("b").await, at("d").await), (JobState::Waiting { before: 2 }, JobState::Waiting { before: 1 }));

    let several = ["d", "unheard of", "b", "d", "c"].map(hash);
    let mut each = Vec::new();
    for hash in &several {
        each.push(queue.state(hash).await.unwrap());
    }
    assert_eq!(queue.states(&several).await.unwrap(), each, "several at once");

    let reason = FailureReason::new("no");
    leased_as(place, &queue, "c").await.fail(Failure::Never { reason }).await.unwrap();
    assert_eq!(at("c").await, JobState::Absent);
}

pub async fn depth_counts_what_waits_is_leased_and_was_set_aside(place: &impl QueuePlace) {
    let queue = queue_of(place, LONG, &[]).await;
    let Depth { waiting, leased, dead, oldest } = queue.depth().await.unwrap();
    assert_eq!((waiting, leased.unwrap_or(0), dead, oldest), (0, 0, 0, None));
    let before = place.elapsed();
    for name in ["a", "b", "c", "d"] {
        queue.publish(job(place, name)).await.unwrap();
    }
    let _a = leased_as(place, &queue, "a").await;
    leased_as(place, &queue, "b").await.fail(Failure::Later { after: LONG }).await.unwrap();
    let reason = FailureReason::new("no");
    leased_as(place, &queue, "c").await.fail(Failure::Never { reason }).await.unwrap();
    place.pass(MOMENT).await;
    let Depth { waiting, leased, dead, oldest } = queue.depth().await.unwrap();
    assert_eq!((waiting, leased.unwrap_or(1), dead), (2, 1, 1), "those with a delay wait, too");
    assert_eq!(oldest.is_some(), leased.is_some(), "a queue that knows its jobs knows both");
    let Some(oldest) = oldest else { return };
    // Some slack: clocks are read at different moments, and some are coarse.
    let slack = Duration::from_millis(50);
    assert!(oldest + slack >= MOMENT && oldest <= place.elapsed() - before + slack, "{oldest:?}");
}

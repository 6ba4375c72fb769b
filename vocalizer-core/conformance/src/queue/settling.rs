#![expect(missing_docs, reason = "each check is named after the guarantee it tests")]

use std::sync::Arc;
use std::time::Duration;

use super::place::{
    LONG_LEASE, QueuePlace, SHORT_LEASE, SHORT_WAIT, assert_no_job, job, lease_job, lease_next, queue_with, try_lease,
};
use crate::support::hash;
use vocalizer_core::ports::{DeadLetter, Failure, GivenUp, JobQueue};
use vocalizer_core::song::FailureReason;

/// More worker crashes than any queue tolerates for one job, with time for it to notice.
const MAX_CRASHES: u32 = 60;

fn never(reason: &str) -> Failure {
    Failure::Never { reason: FailureReason::new(reason) }
}

pub async fn failed_job_is_redelivered_after_its_delay(place: &impl QueuePlace) {
    let queue = queue_with(place, LONG_LEASE, &["a"]).await;
    for attempt in 1..=3 {
        let lease = lease_job(place, &queue, "a").await;
        assert_eq!(lease.attempt(), attempt, "a failed attempt counts");
        let began = place.elapsed();
        lease.fail(Failure::Retry { after: SHORT_WAIT }).await.unwrap();
        let again = lease_job(place, &queue, "a").await;
        assert!(place.elapsed() - began >= SHORT_WAIT, "the job was redelivered too early");
        again.fail(Failure::Later { after: Duration::ZERO }).await.unwrap();
    }
}

pub async fn postponed_job_counts_no_attempt_and_does_not_block_others(place: &impl QueuePlace) {
    let queue = queue_with(place, LONG_LEASE, &["a"]).await;
    for _ in 0..3 {
        let lease = lease_job(place, &queue, "a").await;
        assert_eq!(lease.attempt(), 1, "a postponed job counts no attempt");
        lease.fail(Failure::Later { after: Duration::ZERO }).await.unwrap();
    }
    lease_job(place, &queue, "a").await.fail(Failure::Later { after: LONG_LEASE }).await.unwrap();
    queue.publish(job(place, "b")).await.unwrap();
    lease_job(place, &queue, "b").await.acknowledge().await.unwrap();
    assert_no_job(place, &queue).await;
}

pub async fn job_given_up_becomes_dead_letter(place: &impl QueuePlace) {
    let queue = queue_with(place, LONG_LEASE, &["a"]).await;
    lease_next(place, &queue).await.fail(Failure::Retry { after: Duration::ZERO }).await.unwrap();
    lease_next(place, &queue).await.fail(never("not an audio file")).await.unwrap();
    let letter = DeadLetter { hash: hash("a"), reason: FailureReason::new("not an audio file"), attempts: 2 };
    assert_eq!(place.dead_letters(10).await, [letter]);
    assert_no_job(place, &queue).await;
}

pub async fn dead_letters_are_newest_first_and_limited(place: &impl QueuePlace) {
    let names = ["a", "b", "c"];
    let queue = queue_with(place, LONG_LEASE, &[]).await;
    for name in names {
        queue.publish(job(place, name)).await.unwrap();
        lease_job(place, &queue, name).await.fail(never(name)).await.unwrap();
    }
    for limit in 0..=4 {
        let found: Vec<_> = place.dead_letters(limit).await.iter().map(|letter| letter.reason.to_string()).collect();
        let expected: Vec<_> = names.iter().rev().take(limit as usize).map(ToString::to_string).collect();
        assert_eq!(found, expected);
    }
}

pub async fn republished_dead_letter_is_a_new_job(place: &impl QueuePlace) {
    let queue = queue_with(place, LONG_LEASE, &["a"]).await;
    lease_next(place, &queue).await.fail(never("no")).await.unwrap();
    queue.publish(job(place, "a")).await.unwrap();
    let kept = usize::from(!place.forgets_dead_letters());
    assert_eq!(place.dead_letters(10).await.len(), kept);
    assert_eq!(queue.depth().await.unwrap().dead, kept as u64);
    let lease = lease_job(place, &queue, "a").await;
    assert_eq!(lease.attempt(), 1);
    lease.fail(never("still no")).await.unwrap();
    assert_eq!(place.dead_letters(10).await.len(), kept + 1);
}

pub async fn job_given_up_by_queue_is_reported_until_filed(place: &impl QueuePlace) {
    let queue = queue_with(place, LONG_LEASE, &["a"]).await;
    assert!(queue.given_up().await.unwrap().is_none(), "a job was given up without an attempt");
    let (mut crashes, mut given_up) = (0, None);
    for _ in 0..MAX_CRASHES {
        crashes += u32::from(try_lease(place, &queue).await.is_some());
        given_up = queue.given_up().await.unwrap();
        if given_up.is_some() {
            break;
        }
    }
    // Otherwise only workers give up jobs on this queue.
    let Some(given_up) = given_up else { return };
    let letter = given_up.letter().clone();
    assert_eq!(letter.hash, hash("a"));
    assert_eq!(given_up.repeated_since(), None, "the first report is not a repeat");
    assert!(letter.attempts >= crashes, "{} attempts after {crashes} crashes", letter.attempts);
    assert!(queue.given_up().await.unwrap().is_none(), "only one caller has it at a time");

    drop(given_up);
    let given_up = wait_for_given_up(place, &queue).await;
    assert_eq!(*given_up.letter(), letter, "a dropped report is repeated unchanged");
    assert!(given_up.repeated_since().is_some());
    given_up.file().await.unwrap();
    assert!(queue.given_up().await.unwrap().is_none());
    assert_eq!(place.dead_letters(10).await, [letter]);
    // Uses the depth instead of a lease call: a dropped call may hold a job for a moment, which counts as an attempt.
    let depth = queue.depth().await.unwrap();
    assert_eq!((depth.waiting, depth.dead), (0, 1));

    // Published again, it is a new job, and the old one is not reported.
    queue.publish(job(place, "a")).await.unwrap();
    let again = lease_job(place, &queue, "a").await;
    assert_eq!(again.attempt(), 1);
    again.acknowledge().await.unwrap();
    assert!(queue.given_up().await.unwrap().is_none());
}

/// Waits until the queue reports a job it gave up.
async fn wait_for_given_up(place: &impl QueuePlace, queue: &Arc<dyn JobQueue>) -> Box<dyn GivenUp> {
    for _ in 0..100 {
        if let Some(given_up) = queue.given_up().await.unwrap() {
            return given_up;
        }
        place.pass(SHORT_WAIT).await;
    }
    panic!("the queue did not report the job it gave up")
}

pub async fn unpolled_settlement_is_a_dropped_lease(place: &impl QueuePlace) {
    let queue = queue_with(place, SHORT_LEASE, &["a"]).await;
    drop(lease_next(place, &queue).await.acknowledge());
    drop(lease_next(place, &queue).await.fail(never("no")));
    lease_job(place, &queue, "a").await.acknowledge().await.unwrap();
    assert!(place.dead_letters(10).await.is_empty());
}

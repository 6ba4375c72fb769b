#![expect(missing_docs, reason = "each check is named after the guarantee it tests")]

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};

use super::place::{LONG_LEASE, LONG_WAIT, QueuePlace, SHORT_LEASE, SHORT_WAIT, assert_no_job, lease_job, queue_with};
use crate::support::{POLLS, hash, interrupt};
use vocalizer_core::ports::{Failure, JobQueue, JobState, LeaseId, LeasedJob, QueueError};
use vocalizer_core::song::FailureReason;

/// Grants a durable lease on the next job; `None` for a queue without durable leases.
async fn grant_next(place: &impl QueuePlace, queue: &Arc<dyn JobQueue>) -> Option<LeasedJob> {
    match select(queue.durable_leases()?.grant(), pin!(place.pass(LONG_WAIT))).await {
        Either::Left((job, _)) => Some(job.unwrap()),
        Either::Right(_) => panic!("no job was delivered"),
    }
}

fn is_lost(outcome: &Result<(), QueueError>) -> bool {
    matches!(outcome, Err(QueueError::LeaseLost))
}

pub async fn granted_lease_stays_valid_while_extended_by_id(place: &impl QueuePlace) {
    let queue = queue_with(place, SHORT_LEASE, &["a"]).await;
    let Some(leases) = queue.durable_leases() else { return };
    let began = place.elapsed();
    let Some(job) = grant_next(place, &queue).await else { return };
    assert_eq!((job.hash, job.attempt, job.visibility), (hash("a"), 1, SHORT_LEASE));
    let mut extended = began;
    while place.elapsed() - began < SHORT_LEASE * 3 {
        assert_no_job(place, &queue).await;
        let now = place.elapsed();
        match leases.extend(job.lease).await {
            Ok(()) => extended = now,
            // The machine stalled for longer than the lease: nothing to check.
            Err(QueueError::LeaseLost) if place.elapsed() - extended >= SHORT_LEASE => return,
            Err(error) => panic!("the lease was lost after {:?}: {error}", place.elapsed() - extended),
        }
    }
    let outcome = leases.settle(job.lease, None).await;
    assert!(outcome.is_ok() || place.elapsed() - extended >= SHORT_LEASE, "{outcome:?}");
}

pub async fn granted_lease_without_extension_counts_no_attempt(place: &impl QueuePlace) {
    let queue = queue_with(place, SHORT_LEASE, &["a"]).await;
    let Some(leases) = queue.durable_leases() else { return };
    let mut last = None;
    for _ in 0..3 {
        let began = place.elapsed();
        let Some(job) = grant_next(place, &queue).await else { return };
        assert_eq!(job.attempt, 1, "a lease without extension is not an attempt");
        if let Some((lost, since)) = last.replace((job.lease, began)) {
            assert!(place.elapsed() - since >= SHORT_LEASE, "the lease expired too early");
            assert!(is_lost(&leases.extend(lost).await));
        }
        if queue.state(&hash("a")).await.unwrap() != JobState::Leased {
            assert!(place.elapsed() - began >= SHORT_LEASE, "the job is not leased");
        }
    }
    let Some(job) = grant_next(place, &queue).await else { return };
    // Fails if the machine stalled for longer than the lease: nothing to check.
    if leases.extend(job.lease).await.is_err() {
        return;
    }
    assert_eq!(lease_job(place, &queue, "a").await.attempt(), 2, "an extended lease is an attempt");
}

pub async fn granted_lease_is_settled_by_id(place: &impl QueuePlace) {
    let queue = queue_with(place, LONG_LEASE, &["a"]).await;
    let Some(leases) = queue.durable_leases() else { return };
    let retry = || Some(Failure::Retry { after: Duration::ZERO });
    let later = || Some(Failure::Later { after: Duration::ZERO });
    // Whether the lease is extended, how it is settled, and the expected attempt number.
    for (is_extended, failure, attempt) in
        [(false, later(), 1), (true, later(), 1), (true, retry(), 1), (false, retry(), 2), (true, later(), 3)]
    {
        let Some(job) = grant_next(place, &queue).await else { return };
        assert_eq!(job.attempt, attempt);
        if is_extended {
            leases.extend(job.lease).await.unwrap();
        }
        leases.settle(job.lease, failure).await.unwrap();
        assert!(is_lost(&leases.settle(job.lease, None).await), "a settled lease is lost");
    }
    let Some(job) = grant_next(place, &queue).await else { return };
    leases.settle(job.lease, Some(Failure::Retry { after: LONG_LEASE })).await.unwrap();
    assert_no_job(place, &queue).await;

    queue.publish(super::place::job(place, "b")).await.unwrap();
    let Some(job) = grant_next(place, &queue).await else { return };
    leases.settle(job.lease, Some(Failure::Never { reason: FailureReason::new("no") })).await.unwrap();
    let letters = place.dead_letters(10).await;
    assert_eq!(letters.iter().map(|letter| (letter.hash, letter.attempts)).collect::<Vec<_>>(), [(hash("b"), 1)]);

    queue.publish(super::place::job(place, "c")).await.unwrap();
    let Some(job) = grant_next(place, &queue).await else { return };
    leases.settle(job.lease, None).await.unwrap();
    assert_eq!(queue.state(&hash("c")).await.unwrap(), JobState::Absent);
}

pub async fn expired_granted_lease_is_lost(place: &impl QueuePlace) {
    let queue = queue_with(place, SHORT_LEASE, &["a"]).await;
    let Some(leases) = queue.durable_leases() else { return };
    assert!(is_lost(&leases.extend(LeaseId::random()).await), "the lease never existed");
    assert!(is_lost(&leases.settle(LeaseId::random(), None).await), "the lease never existed");
    for case in 0..4 {
        let Some(job) = grant_next(place, &queue).await else { return };
        place.pass(SHORT_LEASE + SHORT_WAIT).await;
        let outcome = match case {
            0 => leases.extend(job.lease).await,
            1 => leases.settle(job.lease, None).await,
            2 => leases.settle(job.lease, Some(Failure::Retry { after: LONG_LEASE })).await,
            _ => leases.settle(job.lease, Some(Failure::Never { reason: FailureReason::new("no") })).await,
        };
        assert!(is_lost(&outcome), "case {case}: {outcome:?}");
        assert!(place.dead_letters(10).await.is_empty(), "case {case}");
    }
    lease_job(place, &queue, "a").await.acknowledge().await.unwrap();
}

pub async fn dropped_grant_call_loses_no_job(place: &impl QueuePlace) {
    let queue = queue_with(place, SHORT_LEASE, &["a"]).await;
    let Some(leases) = queue.durable_leases() else { return };
    for polls in POLLS {
        interrupt(leases.grant(), polls).await;
    }
    let Some(job) = grant_next(place, &queue).await else { return };
    assert_eq!((job.hash, job.attempt), (hash("a"), 1));
}

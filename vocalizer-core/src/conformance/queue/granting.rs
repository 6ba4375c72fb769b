#![expect(missing_docs, reason = "each is named for the promise that it holds queues with durable leases to")]

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};

use super::place::{LONG, MOMENT, PATIENCE, QueuePlace, SHORT, leased_as, nothing_comes, queue_of};
use crate::conformance::support::{POLLS, hash, interrupt};
use crate::ports::{Failure, JobQueue, JobState, LeaseId, LeasedJob, QueueError};
use crate::song::FailureReason;

/// The next job, granted by its identifier; `None` at a queue without durable leases.
async fn granted(place: &impl QueuePlace, queue: &Arc<dyn JobQueue>) -> Option<LeasedJob> {
    match select(queue.durable_leases()?.grant(), pin!(place.pass(PATIENCE))).await {
        Either::Left((granted, _)) => Some(granted.unwrap()),
        Either::Right(_) => panic!("no job came"),
    }
}

fn is_lost(outcome: &Result<(), QueueError>) -> bool {
    matches!(outcome, Err(QueueError::LeaseLost))
}

pub async fn a_granted_lease_holds_while_it_is_extended_by_its_identifier(place: &impl QueuePlace) {
    let queue = queue_of(place, SHORT, &["a"]).await;
    let Some(leases) = queue.durable_leases() else { return };
    let began = place.elapsed();
    let Some(job) = granted(place, &queue).await else { return };
    assert_eq!((job.hash, job.attempt, job.visibility), (hash("a"), 1, SHORT));
    let mut extended = began;
    while place.elapsed() - began < SHORT * 3 {
        nothing_comes(place, &queue).await;
        let now = place.elapsed();
        match leases.extend(job.lease).await {
            Ok(()) => extended = now,
            // On a machine that stood still for longer than the lease holds there is nothing to see.
            Err(QueueError::LeaseLost) if place.elapsed() - extended >= SHORT => return,
            Err(error) => panic!("the lease was lost after {:?}: {error}", place.elapsed() - extended),
        }
    }
    let outcome = leases.settle(job.lease, None).await;
    assert!(outcome.is_ok() || place.elapsed() - extended >= SHORT, "{outcome:?}");
}

pub async fn a_granted_lease_that_nobody_extends_was_no_attempt(place: &impl QueuePlace) {
    let queue = queue_of(place, SHORT, &["a"]).await;
    let Some(leases) = queue.durable_leases() else { return };
    let mut last = None;
    for _ in 0..3 {
        let began = place.elapsed();
        let Some(job) = granted(place, &queue).await else { return };
        assert_eq!(job.attempt, 1, "nobody was at it");
        if let Some((lost, since)) = last.replace((job.lease, began)) {
            assert!(place.elapsed() - since >= SHORT, "the lease did not hold");
            assert!(is_lost(&leases.extend(lost).await));
        }
        if queue.state(&hash("a")).await.unwrap() != JobState::Leased {
            assert!(place.elapsed() - began >= SHORT, "it is not leased");
        }
    }
    let Some(job) = granted(place, &queue).await else { return };
    // On a machine that stood still for longer than the lease holds there is nothing to see.
    if leases.extend(job.lease).await.is_err() {
        return;
    }
    assert_eq!(leased_as(place, &queue, "a").await.attempt(), 2, "somebody was at it");
}

pub async fn a_granted_lease_ends_as_it_is_settled(place: &impl QueuePlace) {
    let queue = queue_of(place, LONG, &["a"]).await;
    let Some(leases) = queue.durable_leases() else { return };
    let retry = || Some(Failure::Retry { after: Duration::ZERO });
    let later = || Some(Failure::Later { after: Duration::ZERO });
    // Whether it was extended, how it is settled, and what that makes of the attempts.
    for (is_extended, failure, attempt) in
        [(false, later(), 1), (true, later(), 1), (true, retry(), 1), (false, retry(), 2), (true, later(), 3)]
    {
        let Some(job) = granted(place, &queue).await else { return };
        assert_eq!(job.attempt, attempt);
        if is_extended {
            leases.extend(job.lease).await.unwrap();
        }
        leases.settle(job.lease, failure).await.unwrap();
        assert!(is_lost(&leases.settle(job.lease, None).await), "it is over");
    }
    let Some(job) = granted(place, &queue).await else { return };
    leases.settle(job.lease, Some(Failure::Retry { after: LONG })).await.unwrap();
    nothing_comes(place, &queue).await;

    queue.publish(super::place::job(place, "b")).await.unwrap();
    let Some(job) = granted(place, &queue).await else { return };
    leases.settle(job.lease, Some(Failure::Never { reason: FailureReason::new("no") })).await.unwrap();
    let letters = queue.dead_letters(10).await.unwrap();
    assert_eq!(letters.iter().map(|letter| (letter.hash, letter.attempts)).collect::<Vec<_>>(), [(hash("b"), 1)]);

    queue.publish(super::place::job(place, "c")).await.unwrap();
    let Some(job) = granted(place, &queue).await else { return };
    leases.settle(job.lease, None).await.unwrap();
    assert_eq!(queue.state(&hash("c")).await.unwrap(), JobState::Absent);
}

pub async fn a_granted_lease_that_is_over_is_lost(place: &impl QueuePlace) {
    let queue = queue_of(place, SHORT, &["a"]).await;
    let Some(leases) = queue.durable_leases() else { return };
    assert!(is_lost(&leases.extend(LeaseId::random()).await), "there never was one");
    assert!(is_lost(&leases.settle(LeaseId::random(), None).await), "there never was one");
    for way in 0..4 {
        let Some(job) = granted(place, &queue).await else { return };
        place.pass(SHORT + MOMENT).await;
        let outcome = match way {
            0 => leases.extend(job.lease).await,
            1 => leases.settle(job.lease, None).await,
            2 => leases.settle(job.lease, Some(Failure::Retry { after: LONG })).await,
            _ => leases.settle(job.lease, Some(Failure::Never { reason: FailureReason::new("no") })).await,
        };
        assert!(is_lost(&outcome), "way {way}: {outcome:?}");
        assert!(queue.dead_letters(10).await.unwrap().is_empty(), "way {way}");
    }
    leased_as(place, &queue, "a").await.acknowledge().await.unwrap();
}

pub async fn a_dropped_call_for_a_granted_lease_loses_no_job(place: &impl QueuePlace) {
    let queue = queue_of(place, SHORT, &["a"]).await;
    let Some(leases) = queue.durable_leases() else { return };
    for polls in POLLS {
        interrupt(leases.grant(), polls).await;
    }
    let Some(job) = granted(place, &queue).await else { return };
    assert_eq!((job.hash, job.attempt), (hash("a"), 1));
}

#![expect(missing_docs, reason = "each check is named after the guarantee it tests")]

use std::collections::BTreeSet;

use futures_util::future::{join, join_all};

use super::place::{
    LONG_LEASE, QueuePlace, SHORT_LEASE, SHORT_WAIT, assert_no_job, job, lease_job, lease_next, queue_with,
};
use crate::support::{POLLS, hash, interrupt};
use vocalizer_core::ports::{Failure, QueueError};
use vocalizer_core::song::FailureReason;

pub async fn leased_job_is_exclusive(place: &impl QueuePlace) {
    let queue = queue_with(place, LONG_LEASE, &["a"]).await;
    let lease = lease_next(place, &queue).await;
    assert_no_job(place, &queue).await;
    lease.acknowledge().await.unwrap();
}

pub async fn lease_reports_its_visibility(place: &impl QueuePlace) {
    let queue = queue_with(place, LONG_LEASE, &["a"]).await;
    assert_eq!(lease_next(place, &queue).await.visibility(), LONG_LEASE);
}

pub async fn expired_lease_requeues_job(place: &impl QueuePlace) {
    let queue = queue_with(place, SHORT_LEASE, &["a"]).await;
    let began = place.elapsed();
    let mut expired = lease_next(place, &queue).await;
    if expired.extend().await.is_err() {
        // The machine stalled for longer than the lease: nothing to check.
        return;
    }
    let again = lease_job(place, &queue, "a").await;
    assert!(place.elapsed() - began >= SHORT_LEASE, "the lease expired too early");
    assert_eq!(again.attempt(), 2, "an expired attempt counts");
}

pub async fn lost_lease_has_no_effect(place: &impl QueuePlace) {
    let queue = queue_with(place, SHORT_LEASE, &["a"]).await;
    for case in 0..4 {
        let mut lost = lease_next(place, &queue).await;
        place.pass(SHORT_LEASE + SHORT_WAIT).await;
        let outcome = match case {
            0 => lost.extend().await,
            1 => lost.acknowledge().await,
            2 => lost.fail(Failure::Retry { after: LONG_LEASE }).await,
            _ => lost.fail(Failure::Never { reason: FailureReason::new("no") }).await,
        };
        assert!(matches!(outcome, Ok(()) | Err(QueueError::LeaseLost)), "case {case}: {outcome:?}");
        assert!(place.dead_letters(10).await.is_empty(), "case {case}");
        // The job is still delivered.
        drop(lease_job(place, &queue, "a").await);
    }
}

pub async fn extended_lease_stays_valid(place: &impl QueuePlace) {
    let queue = queue_with(place, SHORT_LEASE, &["a"]).await;
    let began = place.elapsed();
    let mut extended = began;
    let mut lease = lease_next(place, &queue).await;
    while place.elapsed() - began < SHORT_LEASE * 3 {
        assert_no_job(place, &queue).await;
        let now = place.elapsed();
        match lease.extend().await {
            Ok(()) => extended = now,
            // The machine stalled for longer than the lease: nothing to check.
            Err(QueueError::LeaseLost) if place.elapsed() - extended >= SHORT_LEASE => return,
            Err(error) => panic!("the lease was lost after {:?}: {error}", place.elapsed() - extended),
        }
        // A repeat is harmless.
        let _ = lease.extend().await;
    }
    let outcome = lease.acknowledge().await;
    assert!(outcome.is_ok() || place.elapsed() - extended >= SHORT_LEASE, "{outcome:?}");
}

pub async fn dropped_lease_requeues_job(place: &impl QueuePlace) {
    let queue = queue_with(place, SHORT_LEASE, &["a"]).await;
    for attempt in 1..=3 {
        let mut lease = lease_job(place, &queue, "a").await;
        assert_eq!(lease.attempt(), attempt, "a dropped lease counts");
        if lease.extend().await.is_err() {
            // The machine stalled for longer than the lease: nothing to check.
            return;
        }
    }
}

/// With a long lease, a queue that leaves the job leased to no worker fails here.
pub async fn dropped_lease_call_loses_no_job(place: &impl QueuePlace) {
    let visibility = if place.returns_dropped_jobs() { LONG_LEASE } else { SHORT_LEASE };
    let queue = queue_with(place, visibility, &[]).await;
    // Dropped while waiting, during delivery and after it.
    for polls in POLLS {
        interrupt(queue.lease(), polls).await;
    }
    queue.publish(job(place, "a")).await.unwrap();
    for polls in POLLS {
        interrupt(queue.lease(), polls).await;
    }
    lease_job(place, &queue, "a").await.acknowledge().await.unwrap();
    assert_no_job(place, &queue).await;
}

pub async fn waiting_workers_wake_on_new_jobs(place: &impl QueuePlace) {
    let queue = queue_with(place, LONG_LEASE, &[]).await;
    let workers = join_all((0..3).map(|_| async { lease_next(place, &queue).await.acknowledge().await.unwrap() }));
    let publisher = async {
        for name in ["a", "b", "c"] {
            place.pass(SHORT_WAIT).await;
            queue.publish(job(place, name)).await.unwrap();
        }
    };
    join(workers, publisher).await;
    assert_eq!(queue.depth().await.unwrap().waiting, 0);
}

pub async fn concurrent_workers_get_distinct_jobs(place: &impl QueuePlace) {
    let names: Vec<_> = (0..10).map(|number| number.to_string()).collect();
    let queue = queue_with(place, LONG_LEASE, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let leases = join_all(names.iter().map(|_| lease_next(place, &queue))).await;
    let found: BTreeSet<_> = leases.iter().map(|lease| lease.job().hash).collect();
    assert_eq!(found, names.iter().map(|name| hash(name)).collect());
    for settled in join_all(leases.into_iter().map(|lease| lease.acknowledge())).await {
        settled.unwrap();
    }
    assert_eq!(queue.depth().await.unwrap().leased.unwrap_or(0), 0);
}

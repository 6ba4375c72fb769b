#![expect(missing_docs, reason = "each is named for the promise that it holds the queue to")]

use std::collections::BTreeSet;

use futures_util::future::{join, join_all};

use super::place::{LONG, MOMENT, QueuePlace, SHORT, job, leased, leased_as, nothing_comes, queue_of};
use crate::conformance::support::{POLLS, hash, interrupt};
use crate::ports::{Failure, QueueError};
use crate::song::FailureReason;

pub async fn nobody_else_gets_a_leased_job(place: &impl QueuePlace) {
    let queue = queue_of(place, LONG, &["a"]).await;
    let lease = leased(place, &queue).await;
    nothing_comes(place, &queue).await;
    lease.acknowledge().await.unwrap();
}

pub async fn a_lease_says_how_long_it_holds(place: &impl QueuePlace) {
    let queue = queue_of(place, LONG, &["a"]).await;
    assert_eq!(leased(place, &queue).await.visibility(), LONG);
}

pub async fn a_lease_that_runs_out_gives_its_job_to_the_next(place: &impl QueuePlace) {
    let queue = queue_of(place, SHORT, &["a"]).await;
    let began = place.elapsed();
    let mut dead = leased(place, &queue).await;
    if dead.extend().await.is_err() {
        // On a machine that stood still for longer than the lease holds there is nothing to see.
        return;
    }
    let again = leased_as(place, &queue, "a").await;
    assert!(place.elapsed() - began >= SHORT, "the lease did not hold");
    assert_eq!(again.attempt(), 2, "an attempt that ran out counts");
}

pub async fn a_lost_lease_changes_nothing(place: &impl QueuePlace) {
    let queue = queue_of(place, SHORT, &["a"]).await;
    for way in 0..4 {
        let mut lost = leased(place, &queue).await;
        place.pass(SHORT + MOMENT).await;
        let outcome = match way {
            0 => lost.extend().await,
            1 => lost.acknowledge().await,
            2 => lost.fail(Failure::Retry { after: LONG }).await,
            _ => lost.fail(Failure::Never { reason: FailureReason::new("no") }).await,
        };
        assert!(matches!(outcome, Ok(()) | Err(QueueError::LeaseLost)), "way {way}: {outcome:?}");
        assert!(queue.dead_letters(10).await.unwrap().is_empty(), "way {way}");
        // It is still there for the next.
        drop(leased_as(place, &queue, "a").await);
    }
}

pub async fn a_lease_holds_while_it_is_extended(place: &impl QueuePlace) {
    let queue = queue_of(place, SHORT, &["a"]).await;
    let began = place.elapsed();
    let mut granted = began;
    let mut lease = leased(place, &queue).await;
    while place.elapsed() - began < SHORT * 3 {
        nothing_comes(place, &queue).await;
        let now = place.elapsed();
        match lease.extend().await {
            Ok(()) => granted = now,
            // On a machine that stood still for longer than the lease holds there is nothing to see.
            Err(QueueError::LeaseLost) if place.elapsed() - granted >= SHORT => return,
            Err(error) => panic!("the lease was lost after {:?}: {error}", place.elapsed() - granted),
        }
        // Twice does no harm.
        let _ = lease.extend().await;
    }
    let outcome = lease.acknowledge().await;
    assert!(outcome.is_ok() || place.elapsed() - granted >= SHORT, "{outcome:?}");
}

pub async fn a_dropped_lease_gives_its_job_back(place: &impl QueuePlace) {
    let queue = queue_of(place, SHORT, &["a"]).await;
    for attempt in 1..=3 {
        let mut lease = leased_as(place, &queue, "a").await;
        assert_eq!(lease.attempt(), attempt, "a dropped lease counts");
        if lease.extend().await.is_err() {
            // It ran out on a machine that stood still.
            return;
        }
    }
}

pub async fn a_dropped_call_for_a_job_loses_none(place: &impl QueuePlace) {
    let queue = queue_of(place, SHORT, &[]).await;
    // Dropped while it waits, while the job comes, and on the way out with it.
    for polls in POLLS {
        interrupt(queue.lease(), polls).await;
    }
    queue.publish(job(place, "a")).await.unwrap();
    for polls in POLLS {
        interrupt(queue.lease(), polls).await;
    }
    leased_as(place, &queue, "a").await.acknowledge().await.unwrap();
    nothing_comes(place, &queue).await;
}

pub async fn workers_that_wait_wake_when_jobs_come(place: &impl QueuePlace) {
    let queue = queue_of(place, LONG, &[]).await;
    let workers = join_all((0..3).map(|_| async { leased(place, &queue).await.acknowledge().await.unwrap() }));
    let publisher = async {
        for name in ["a", "b", "c"] {
            place.pass(MOMENT).await;
            queue.publish(job(place, name)).await.unwrap();
        }
    };
    join(workers, publisher).await;
    assert_eq!(queue.depth().await.unwrap().waiting, 0);
}

pub async fn workers_that_ask_at_once_get_jobs_of_their_own(place: &impl QueuePlace) {
    let names: Vec<_> = (0..10).map(|number| number.to_string()).collect();
    let queue = queue_of(place, LONG, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let leases = join_all(names.iter().map(|_| leased(place, &queue))).await;
    let found: BTreeSet<_> = leases.iter().map(|lease| lease.job().hash).collect();
    assert_eq!(found, names.iter().map(|name| hash(name)).collect());
    for settled in join_all(leases.into_iter().map(|lease| lease.acknowledge())).await {
        settled.unwrap();
    }
    assert_eq!(queue.depth().await.unwrap().leased.unwrap_or(0), 0);
}

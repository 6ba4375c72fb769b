#![expect(missing_docs, reason = "each is named for the promise that it holds the queue to")]

use std::time::Duration;

use super::place::{LONG, MOMENT, QueuePlace, SHORT, job, leased, leased_as, nothing_comes, queue_of};
use crate::conformance::support::hash;
use crate::ports::{DeadLetter, Failure};
use crate::song::FailureReason;

fn never(reason: &str) -> Failure {
    Failure::Never { reason: FailureReason::new(reason) }
}

pub async fn a_job_that_failed_comes_again_after_its_delay(place: &impl QueuePlace) {
    let queue = queue_of(place, LONG, &["a"]).await;
    for attempt in 1..=3 {
        let lease = leased_as(place, &queue, "a").await;
        assert_eq!(lease.attempt(), attempt, "an attempt that failed counts");
        let began = place.elapsed();
        lease.fail(Failure::Retry { after: MOMENT }).await.unwrap();
        let again = leased_as(place, &queue, "a").await;
        assert!(place.elapsed() - began >= MOMENT, "it came too early");
        again.fail(Failure::Later { after: Duration::ZERO }).await.unwrap();
    }
}

pub async fn a_job_put_off_does_not_count_and_lets_others_by(place: &impl QueuePlace) {
    let queue = queue_of(place, LONG, &["a"]).await;
    for _ in 0..3 {
        let lease = leased_as(place, &queue, "a").await;
        assert_eq!(lease.attempt(), 1, "there was no attempt to speak of");
        lease.fail(Failure::Later { after: Duration::ZERO }).await.unwrap();
    }
    leased_as(place, &queue, "a").await.fail(Failure::Later { after: LONG }).await.unwrap();
    queue.publish(job(place, "b")).await.unwrap();
    leased_as(place, &queue, "b").await.acknowledge().await.unwrap();
    nothing_comes(place, &queue).await;
}

pub async fn a_job_given_up_is_a_dead_letter_and_never_comes_again(place: &impl QueuePlace) {
    let queue = queue_of(place, LONG, &["a"]).await;
    leased(place, &queue).await.fail(Failure::Retry { after: Duration::ZERO }).await.unwrap();
    leased(place, &queue).await.fail(never("it is no song")).await.unwrap();
    let letter = DeadLetter { hash: hash("a"), reason: FailureReason::new("it is no song"), attempts: 2 };
    assert_eq!(queue.dead_letters(10).await.unwrap(), [letter]);
    nothing_comes(place, &queue).await;
}

pub async fn dead_letters_come_newest_first_and_no_more_than_asked_for(place: &impl QueuePlace) {
    let names = ["a", "b", "c"];
    let queue = queue_of(place, LONG, &[]).await;
    for name in names {
        queue.publish(job(place, name)).await.unwrap();
        leased_as(place, &queue, name).await.fail(never(name)).await.unwrap();
    }
    for limit in 0..=4 {
        let found: Vec<_> =
            queue.dead_letters(limit).await.unwrap().iter().map(|letter| letter.reason.to_string()).collect();
        let expected: Vec<_> = names.iter().rev().take(limit as usize).map(ToString::to_string).collect();
        assert_eq!(found, expected);
    }
}

pub async fn a_dead_letter_that_is_published_again_is_a_fresh_job(place: &impl QueuePlace) {
    let queue = queue_of(place, LONG, &["a"]).await;
    leased(place, &queue).await.fail(never("no")).await.unwrap();
    queue.publish(job(place, "a")).await.unwrap();
    let kept = usize::from(!place.forgets_dead_letters());
    assert_eq!(queue.dead_letters(10).await.unwrap().len(), kept);
    assert_eq!(queue.depth().await.unwrap().dead, kept as u64);
    let lease = leased_as(place, &queue, "a").await;
    assert_eq!(lease.attempt(), 1);
    lease.fail(never("still no")).await.unwrap();
    assert_eq!(queue.dead_letters(10).await.unwrap().len(), kept + 1);
}

pub async fn a_settlement_that_was_never_begun_is_a_dropped_lease(place: &impl QueuePlace) {
    let queue = queue_of(place, SHORT, &["a"]).await;
    drop(leased(place, &queue).await.acknowledge());
    drop(leased(place, &queue).await.fail(never("no")));
    leased_as(place, &queue, "a").await.acknowledge().await.unwrap();
    assert!(queue.dead_letters(10).await.unwrap().is_empty());
}

#![expect(missing_docs, reason = "each is named for the promise that it holds the queue to")]

use std::sync::Arc;
use std::time::Duration;

use super::place::{LONG, MOMENT, QueuePlace, SHORT, job, leased, leased_as, leased_at_once, nothing_comes, queue_of};
use crate::conformance::support::hash;
use crate::ports::{DeadLetter, Failure, GivenUp, JobQueue};
use crate::song::FailureReason;

/// More workers than any queue has die at one job, and some time for it to see that.
const MANY_DEATHS: u32 = 60;

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

pub async fn a_job_that_the_queue_gives_up_is_told_until_it_is_filed(place: &impl QueuePlace) {
    let queue = queue_of(place, LONG, &["a"]).await;
    assert!(queue.given_up().await.unwrap().is_none(), "nothing was tried yet");
    let (mut deaths, mut given_up) = (0, None);
    for _ in 0..MANY_DEATHS {
        deaths += u32::from(leased_at_once(place, &queue).await.is_some());
        given_up = queue.given_up().await.unwrap();
        if given_up.is_some() {
            break;
        }
    }
    // Else it leaves that to its workers.
    let Some(given_up) = given_up else { return };
    let letter = given_up.letter().clone();
    assert_eq!(letter.hash, hash("a"));
    assert_eq!(given_up.repeated_since(), None, "nobody was told before");
    assert!(letter.attempts >= deaths, "{} attempts, {deaths} deaths", letter.attempts);
    assert!(queue.given_up().await.unwrap().is_none(), "it is one caller's at a time");

    drop(given_up);
    let given_up = told(place, &queue).await;
    assert_eq!(*given_up.letter(), letter, "whoever was told of it may have died");
    assert!(given_up.repeated_since().is_some());
    given_up.file().await.unwrap();
    assert!(queue.given_up().await.unwrap().is_none());
    assert_eq!(queue.dead_letters(10).await.unwrap(), [letter]);
    // Counted and not waited for: a wait that is given up may still have a job for a moment, which then is an attempt.
    let depth = queue.depth().await.unwrap();
    assert_eq!((depth.waiting, depth.dead), (0, 1));

    // Asked for again, it is a fresh job, and nobody hears of the one that was.
    queue.publish(job(place, "a")).await.unwrap();
    let again = leased_as(place, &queue, "a").await;
    assert_eq!(again.attempt(), 1);
    again.acknowledge().await.unwrap();
    assert!(queue.given_up().await.unwrap().is_none());
}

/// What the queue has given up, which it has to tell in its own time.
async fn told(place: &impl QueuePlace, queue: &Arc<dyn JobQueue>) -> Box<dyn GivenUp> {
    for _ in 0..100 {
        if let Some(given_up) = queue.given_up().await.unwrap() {
            return given_up;
        }
        place.pass(MOMENT).await;
    }
    panic!("nobody was told what the queue gave up")
}

pub async fn a_settlement_that_was_never_begun_is_a_dropped_lease(place: &impl QueuePlace) {
    let queue = queue_of(place, SHORT, &["a"]).await;
    drop(leased(place, &queue).await.acknowledge());
    drop(leased(place, &queue).await.fail(never("no")));
    leased_as(place, &queue, "a").await.acknowledge().await.unwrap();
    assert!(queue.dead_letters(10).await.unwrap().is_empty());
}

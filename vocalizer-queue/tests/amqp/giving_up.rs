//! What the broker gives up by itself, at the hands of workers that count nothing.

use std::time::{Duration, Instant};

use time::OffsetDateTime;
use vocalizer_core::ports::{DeadLetter, Failure, GivenUp, Job, JobPayload, JobQueue};
use vocalizer_core::secret::Secret;
use vocalizer_core::song::{FailureReason, SongHash};
use vocalizer_queue::{AmqpQueue, AmqpQueueKind};

use super::broker::{Broker, shared};
use super::raw::{Raw, named};
use super::support::{PATIENCE, fresh_name, hash, job, leased, queue, settings};

const DEADLY: &str = "it took along every worker that tried it";

fn letter(hash: SongHash, reason: &str, attempts: u32) -> DeadLetter {
    DeadLetter { hash, reason: FailureReason::new(reason), attempts }
}

/// Workers of the original die at the next job until the broker gives it up.
async fn kill_workers(broker: &Broker, name: &str) {
    for _ in 0..21 {
        Raw::connect(broker).await.die_with_the_next(name).await;
    }
}

async fn told(queue: &AmqpQueue) -> Box<dyn GivenUp> {
    let began = Instant::now();
    loop {
        if let Some(given_up) = queue.given_up().await.unwrap() {
            return given_up;
        }
        assert!(began.elapsed() < PATIENCE, "it was not given up");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_job_that_kills_workers_of_the_original_is_told_once_with_its_attempts() {
    let name = fresh_name();
    let queue = queue(settings().with_queue(&name));
    queue.publish(job("a")).await.unwrap();
    kill_workers(shared(), &name).await;
    let given_up = told(&queue).await;
    assert_eq!(*given_up.letter(), letter(hash("a"), DEADLY, 21));
    given_up.file().await.unwrap();
    assert!(queue.given_up().await.unwrap().is_none());
    assert_eq!(queue.dead_letters(10).await.unwrap(), [letter(hash("a"), DEADLY, 21)]);
    let depth = queue.depth().await.unwrap();
    assert_eq!((depth.waiting, depth.dead), (0, 1));
}

#[tokio::test]
async fn a_job_that_waited_between_is_told_with_why_it_was_given_up_last_and_all_its_attempts() {
    let name = fresh_name();
    let queue = queue(settings().with_queue(&name));
    // As one that is too large for its message: where it is goes along.
    let claim = Job { hash: hash("a"), payload: JobPayload::Claim(Secret::new("/songs/a".to_owned())) };
    queue.publish(claim).await.unwrap();
    leased(&queue, "a").await.fail(Failure::Retry { after: Duration::from_millis(1) }).await.unwrap();
    kill_workers(shared(), &name).await;
    let given_up = told(&queue).await;
    assert_eq!(*given_up.letter(), letter(hash("a"), DEADLY, 22));
    given_up.file().await.unwrap();
    let filed = Raw::connect(shared()).await.take(&format!("{name}.dead")).await;
    let headers = filed.properties.headers().as_ref().unwrap().inner();
    assert!(headers.contains_key("x-vocalizer-source"), "{headers:?}");
    assert!(!headers.contains_key("x-death"), "{headers:?}");
}

#[tokio::test]
async fn a_job_that_a_worker_refuses_is_told_as_well() {
    let name = fresh_name();
    let queue = queue(settings().with_queue(&name));
    queue.publish(job("a")).await.unwrap();
    Raw::connect(shared()).await.refuse(&name).await;
    let given_up = told(&queue).await;
    assert_eq!(*given_up.letter(), letter(hash("a"), "a worker refused it and did not say why", 1));
}

#[tokio::test]
async fn what_is_given_up_and_is_no_job_is_filed_and_the_next_is_told() {
    let name = fresh_name();
    let (queue, other) = (queue(settings().with_queue(&name)), Raw::connect(shared()).await);
    queue.check().await.unwrap();
    // Somebody else's song under this name is no reason for it to fail.
    other.publish(&name, b"another", named(&hash("a").to_string())).await;
    other.publish(&name, b"b", named(&hash("b").to_string())).await;
    for _ in 0..2 {
        other.refuse(&name).await;
    }
    assert_eq!(told(&queue).await.letter().hash, hash("b"));
    let filed = queue.dead_letters(10).await.unwrap();
    let reason = "the song is not the one that the message_id names";
    assert!(filed.contains(&letter(hash("another"), reason, 0)), "{filed:?}");
}

#[tokio::test]
async fn of_several_servers_one_is_told_and_another_when_that_one_dies() {
    let name = fresh_name();
    let (one, other) = (queue(settings().with_queue(&name)), queue(settings().with_queue(&name)));
    one.publish(job("a")).await.unwrap();
    Raw::connect(shared()).await.refuse(&name).await;
    let given_up = told(&one).await;
    assert!(other.given_up().await.unwrap().is_none());
    drop((given_up, one));
    let again = told(&other).await;
    let (since, now) = (again.repeated_since().unwrap(), OffsetDateTime::now_utc());
    assert!((now - PATIENCE..now + Duration::from_secs(2)).contains(&since), "{since} is not a moment before {now}");
    again.file().await.unwrap();
    assert_eq!(other.dead_letters(10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_given_up_outlives_the_broker() {
    let broker = Broker::start(&[]);
    let settings = vocalizer_queue::AmqpSettings::new(&broker.address).unwrap().with_queue("songs");
    let queue = queue(settings);
    queue.publish(job("a")).await.unwrap();
    kill_workers(&broker, "songs").await;
    let given_up = told(&queue).await;
    broker.kill();
    given_up.file().await.unwrap_err();
    queue.given_up().await.map(drop).unwrap_err();
    broker.restart();
    let began = Instant::now();
    while !matches!(queue.given_up().await, Ok(Some(_))) {
        assert!(began.elapsed() < PATIENCE, "it was lost");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_classic_queue_leaves_giving_up_to_workers_that_count() {
    let name = fresh_name();
    let queue = queue(settings().with_queue(&name).with_kind(AmqpQueueKind::Classic));
    queue.publish(job("a")).await.unwrap();
    kill_workers(shared(), &name).await;
    assert!(queue.given_up().await.unwrap().is_none());
    // All that is known of the 21 is that there was one.
    assert_eq!(leased(&queue, "a").await.attempt(), 2);
}

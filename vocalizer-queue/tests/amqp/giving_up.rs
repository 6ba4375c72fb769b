//! Jobs that the broker gives up because workers count no attempts.

use std::time::{Duration, Instant};

use time::OffsetDateTime;
use vocalizer_core::ports::{DeadLetter, Failure, GivenUp, Job, JobPayload, JobQueue};
use vocalizer_core::secret::Secret;
use vocalizer_core::song::{FailureReason, SongHash};
use vocalizer_queue::{AmqpQueue, AmqpQueueKind};

use super::broker::{Broker, shared};
use super::raw::{Raw, named};
use super::support::{PATIENCE, fresh_name, hash, job, leased, queue, settings};

const WORKERS_DIED: &str = "every worker that tried it died";

fn letter(hash: SongHash, reason: &str, attempts: u32) -> DeadLetter {
    DeadLetter { hash, reason: FailureReason::new(reason), attempts }
}

/// Simulates workers of the original that die at the next job until the broker gives it up.
async fn kill_workers(broker: &Broker, name: &str) {
    for _ in 0..21 {
        Raw::connect(broker).await.die_with_next_message(name).await;
    }
}

async fn next_given_up(queue: &AmqpQueue) -> Box<dyn GivenUp> {
    let began = Instant::now();
    loop {
        if let Some(given_up) = queue.given_up().await.unwrap() {
            return given_up;
        }
        assert!(began.elapsed() < PATIENCE, "the job was not given up");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn job_that_kills_original_workers_is_given_up_once_with_its_attempts() {
    let name = fresh_name();
    let queue = queue(settings().with_queue(&name));
    queue.publish(job("a")).await.unwrap();
    kill_workers(shared(), &name).await;
    let given_up = next_given_up(&queue).await;
    assert_eq!(*given_up.letter(), letter(hash("a"), WORKERS_DIED, 21));
    given_up.file().await.unwrap();
    assert!(queue.given_up().await.unwrap().is_none());
    assert_eq!(queue.dead_letters(10).await.unwrap(), [letter(hash("a"), WORKERS_DIED, 21)]);
    let depth = queue.depth().await.unwrap();
    assert_eq!((depth.waiting, depth.dead), (0, 1));
}

#[tokio::test]
async fn given_up_job_has_its_last_reason_and_all_attempts_after_a_delay() {
    let name = fresh_name();
    let queue = queue(settings().with_queue(&name));
    // A claim keeps its location.
    let claim = Job::new(hash("a"), JobPayload::Claim(Secret::new("/songs/a".to_owned())));
    queue.publish(claim).await.unwrap();
    leased(&queue, "a").await.fail(Failure::Retry { after: Duration::from_millis(1) }).await.unwrap();
    kill_workers(shared(), &name).await;
    let given_up = next_given_up(&queue).await;
    assert_eq!(*given_up.letter(), letter(hash("a"), WORKERS_DIED, 22));
    given_up.file().await.unwrap();
    let filed = Raw::connect(shared()).await.take(&format!("{name}.dead")).await;
    let headers = filed.properties.headers().as_ref().unwrap().inner();
    assert!(headers.contains_key("x-vocalizer-source"), "{headers:?}");
    assert!(!headers.contains_key("x-death"), "{headers:?}");
}

#[tokio::test]
async fn job_that_a_worker_rejects_is_given_up() {
    let name = fresh_name();
    let queue = queue(settings().with_queue(&name));
    queue.publish(job("a")).await.unwrap();
    Raw::connect(shared()).await.reject(&name).await;
    let given_up = next_given_up(&queue).await;
    assert_eq!(*given_up.letter(), letter(hash("a"), "a worker rejected it without a reason", 1));
}

#[tokio::test]
async fn invalid_given_up_message_is_filed_and_the_next_job_returned() {
    let name = fresh_name();
    let (queue, other) = (queue(settings().with_queue(&name)), Raw::connect(shared()).await);
    queue.check().await.unwrap();
    // A different song under this hash must not fail the song.
    other.publish(&name, b"another", named(&hash("a").to_string())).await;
    other.publish(&name, b"b", named(&hash("b").to_string())).await;
    for _ in 0..2 {
        other.reject(&name).await;
    }
    assert_eq!(next_given_up(&queue).await.letter().hash, hash("b"));
    let filed = queue.dead_letters(10).await.unwrap();
    let reason = "the song does not match the message_id";
    assert!(filed.contains(&letter(hash("another"), reason, 0)), "{filed:?}");
}

#[tokio::test]
async fn only_one_server_gets_a_given_up_job_until_it_dies() {
    let name = fresh_name();
    let (one, other) = (queue(settings().with_queue(&name)), queue(settings().with_queue(&name)));
    one.publish(job("a")).await.unwrap();
    Raw::connect(shared()).await.reject(&name).await;
    let given_up = next_given_up(&one).await;
    assert!(other.given_up().await.unwrap().is_none());
    drop((given_up, one));
    let again = next_given_up(&other).await;
    let (since, now) = (again.repeated_since().unwrap(), OffsetDateTime::now_utc());
    assert!((now - PATIENCE..now + Duration::from_secs(2)).contains(&since), "{since} is not just before {now}");
    again.file().await.unwrap();
    assert_eq!(other.dead_letters(10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn given_up_job_survives_broker_restart() {
    let broker = Broker::start(&[]);
    let settings = vocalizer_queue::AmqpSettings::new(&broker.address).unwrap().with_queue("songs");
    let queue = queue(settings);
    queue.publish(job("a")).await.unwrap();
    kill_workers(&broker, "songs").await;
    let given_up = next_given_up(&queue).await;
    broker.kill();
    given_up.file().await.unwrap_err();
    queue.given_up().await.map(drop).unwrap_err();
    broker.restart();
    let began = Instant::now();
    while !matches!(queue.given_up().await, Ok(Some(_))) {
        assert!(began.elapsed() < PATIENCE, "the job was lost");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn classic_queue_does_not_give_up_jobs() {
    let name = fresh_name();
    let queue = queue(settings().with_queue(&name).with_kind(AmqpQueueKind::Classic));
    queue.publish(job("a")).await.unwrap();
    kill_workers(shared(), &name).await;
    assert!(queue.given_up().await.unwrap().is_none());
    // A classic queue only records that there was an earlier delivery.
    assert_eq!(leased(&queue, "a").await.attempt(), 2);
}

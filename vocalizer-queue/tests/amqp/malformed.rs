use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use vocalizer_core::ports::{DeadLetter, Failure, JobQueue};
use vocalizer_core::song::FailureReason;
use vocalizer_queue::AmqpQueueKind;

use super::broker::shared;
use super::raw::{Raw, named};
use super::support::{fresh_name, hash, job, leased, never, queue, settings};

#[tokio::test]
async fn invalid_message_becomes_a_dead_letter_and_the_next_job_arrives() {
    for kind in [AmqpQueueKind::Quorum, AmqpQueueKind::Classic] {
        let (name, other) = (fresh_name(), Raw::connect(shared()).await);
        let queue = queue(settings().with_queue(&name).with_kind(kind));
        queue.check().await.unwrap();
        let upper = hash("song").to_string().to_uppercase();
        let mut headers = FieldTable::default();
        headers.insert("x-vocalizer-source".into(), AMQPValue::LongInt(7));
        let bad = [
            (&b"song"[..], BasicProperties::default(), "song", "the message has no message_id"),
            (b"song", named("../../etc/passwd"), "song", "the message_id is not a SHA-256 in lower-case hex"),
            (b"song", named(&upper), "song", "the message_id is not a SHA-256 in lower-case hex"),
            (b"other", named(&hash("song").to_string()), "other", "the song does not match the message_id"),
            (b"", named(&hash("song").to_string()), "", "the message has neither a song nor a download location"),
            (
                b"",
                named(&hash("song").to_string()).with_headers(headers),
                "",
                "the message has neither a song nor a download location",
            ),
        ];
        for (body, properties, ..) in &bad {
            other.publish(&name, body, properties.clone()).await;
        }
        queue.publish(job("good")).await.unwrap();
        leased(&queue, "good").await.acknowledge().await.unwrap();

        let expected: Vec<_> = bad.iter().rev().map(|(_, _, song, reason)| letter(song, reason, 0)).collect();
        assert_eq!(queue.dead_letters(100).await.unwrap(), expected, "{kind}");
        let depth = queue.depth().await.unwrap();
        assert_eq!((depth.waiting, depth.dead), (0, 6));
    }
}

fn letter(song: &str, reason: &str, attempts: u32) -> DeadLetter {
    DeadLetter { hash: hash(song), reason: FailureReason::new(reason), attempts }
}

#[tokio::test]
async fn broker_gives_up_job_that_kills_every_worker() {
    let queue = queue(settings());
    queue.publish(job("a")).await.unwrap();
    for attempt in 1..=21 {
        assert_eq!(leased(&queue, "a").await.attempt(), attempt);
    }
    // The broker moves it asynchronously.
    let began = std::time::Instant::now();
    while queue.depth().await.unwrap().dead == 0 {
        assert!(began.elapsed() < super::support::PATIENCE, "the job did not become a dead letter");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(queue.dead_letters(1).await.unwrap(), [letter("a", "every worker that tried it died", 21)]);
}

#[tokio::test]
async fn listing_dead_letters_repeatedly_keeps_them() {
    for kind in [AmqpQueueKind::Quorum, AmqpQueueKind::Classic] {
        let queue = queue(settings().with_kind(kind));
        let names: Vec<_> = (0..40).map(|number| format!("song {number}")).collect();
        for name in &names {
            queue.publish(job(name)).await.unwrap();
            leased(&queue, name).await.fail(never(name)).await.unwrap();
        }
        for _ in 0..25 {
            let found = queue.dead_letters(100).await.unwrap();
            let reasons: Vec<_> = found.iter().rev().map(|letter| letter.reason.to_string()).collect();
            assert_eq!(reasons, names, "{kind}");
        }
    }
}

#[tokio::test]
async fn long_unicode_reason_is_kept() {
    let queue = queue(settings());
    let reason = "Überlänge 🎵 ".repeat(100);
    queue.publish(job("a")).await.unwrap();
    leased(&queue, "a").await.fail(Failure::Retry { after: std::time::Duration::ZERO }).await.unwrap();
    leased(&queue, "a").await.fail(never(&reason)).await.unwrap();
    assert_eq!(queue.dead_letters(1).await.unwrap(), [letter("a", &reason, 2)]);
}

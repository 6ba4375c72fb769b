use std::time::Duration;

use lapin::types::{AMQPValue, FieldTable};
use vocalizer_core::ports::{Failure, Job, JobPayload, JobQueue, JobTrace};
use vocalizer_core::secret::Secret;
use vocalizer_queue::AmqpQueueKind;

use super::broker::shared;
use super::raw::{Raw, named};
use super::support::{fresh_name, hash, job, leased, queue, settings};

#[tokio::test]
async fn message_of_original_backend_is_a_job() {
    for (kind, durable) in
        [(AmqpQueueKind::Classic, true), (AmqpQueueKind::Existing, true), (AmqpQueueKind::Existing, false)]
    {
        let (name, original) = (fresh_name(), Raw::connect(shared()).await);
        original.declare(&name, durable).await;
        original.publish(&name, b"song", named(&hash("song").to_string())).await;
        let queue = queue(settings().with_queue(&name).with_kind(kind));
        let lease = leased(&queue, "song").await;
        assert!(matches!(&lease.job().payload, JobPayload::Inline(bytes) if bytes == "song"), "{kind} {durable}");
        assert_eq!(lease.attempt(), 1);
        lease.acknowledge().await.unwrap();
    }
}

#[tokio::test]
async fn original_worker_receives_song_and_hash() {
    for kind in [AmqpQueueKind::Quorum, AmqpQueueKind::Classic] {
        let name = fresh_name();
        queue(settings().with_queue(&name).with_kind(kind)).publish(job("song")).await.unwrap();
        let delivery = Raw::connect(shared()).await.take(&name).await;
        assert_eq!(delivery.data, b"song");
        assert_eq!(delivery.properties.message_id().as_ref().unwrap().as_str(), hash("song").to_string());
        assert_eq!(delivery.properties.delivery_mode(), &Some(2), "the message is not persistent");
    }
}

#[tokio::test]
async fn trace_is_in_the_standard_header() {
    let (name, parent) = (fresh_name(), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let queue = queue(settings().with_queue(&name));
    let trace = JobTrace { parent: parent.parse().unwrap(), published_at_ms: Some(7) };
    queue.publish(job("song").with_trace(Some(trace))).await.unwrap();
    let delivery = Raw::connect(shared()).await.take(&name).await;
    let headers = delivery.properties.headers().clone().unwrap();
    assert_eq!(headers.inner()["traceparent"], AMQPValue::LongString(parent.into()));
    let original = Raw::connect(shared()).await;
    // A program of others that is traced does not say when it published; an invalid header costs no song.
    for (header, expected) in
        [(parent, Some(JobTrace { published_at_ms: None, ..trace })), (&parent.to_uppercase(), None), ("", None)]
    {
        let mut headers = FieldTable::default();
        headers.insert("traceparent".into(), AMQPValue::LongString(header.into()));
        let properties = named(&hash("song").to_string()).with_headers(headers);
        original.publish(&name, b"song", properties).await;
        let lease = leased(&queue, "song").await;
        assert_eq!(lease.job().trace, expected, "{header}");
        lease.acknowledge().await.unwrap();
    }
}

#[tokio::test]
async fn song_of_many_frames_arrives_complete() {
    let queue = queue(settings());
    let song: Vec<u8> = (0..3_000_000_u32).map(|number| number.to_le_bytes()[number as usize % 3]).collect();
    let hash = vocalizer_core::song::SongHash::of(&song);
    queue.publish(Job::new(hash, JobPayload::Inline(song.clone().into()))).await.unwrap();
    let lease = queue.lease().await.unwrap();
    assert!(matches!(&lease.job().payload, JobPayload::Inline(bytes) if *bytes == song));
}

#[tokio::test]
async fn claim_is_sent_without_the_song() {
    let (name, location) = (fresh_name(), "https://backend/songs/1?signature=abc");
    let queue = queue(settings().with_queue(&name));
    let claim = || Job::new(hash("song"), JobPayload::Claim(Secret::new(location.to_owned())));
    queue.publish(claim()).await.unwrap();
    let lease = leased(&queue, "song").await;
    assert!(matches!(&lease.job().payload, JobPayload::Claim(found) if found.expose() == location));
    lease.acknowledge().await.unwrap();

    queue.publish(claim()).await.unwrap();
    let delivery = Raw::connect(shared()).await.take(&name).await;
    assert!(delivery.data.is_empty());
    let headers = delivery.properties.headers().as_ref().unwrap().inner();
    assert_eq!(headers.get("x-vocalizer-source"), Some(&AMQPValue::LongString(location.into())));
}

#[tokio::test]
async fn foreign_properties_are_dropped_when_a_job_is_republished() {
    let (name, copies, other) = (fresh_name(), fresh_name(), Raw::connect(shared()).await);
    let queue = queue(settings().with_queue(&name));
    queue.check().await.unwrap();
    other.declare(&copies, true).await;
    // Any of these would lose or duplicate the job, or make the broker reject it.
    let mut headers = FieldTable::default();
    headers.insert("CC".into(), AMQPValue::FieldArray(vec![AMQPValue::LongString(copies.as_str().into())].into()));
    headers.insert("x-vocalizer-attempts".into(), AMQPValue::LongInt(-5));
    headers.insert("x-delivery-count".into(), AMQPValue::LongLongInt(i64::MAX));
    let properties = named(&hash("song").to_string()).with_user_id("guest".into()).with_expiration("50000".into());
    other.publish(&name, b"song", properties.with_headers(headers)).await;
    let lease = leased(&queue, "song").await;
    lease.fail(Failure::Retry { after: Duration::ZERO }).await.unwrap();
    let published = other.take(&name).await.properties;
    assert_eq!((published.user_id(), published.expiration()), (&None, &None));
    assert_eq!(other.count(&copies).await, 1, "only the first publication may be copied");
}

#[tokio::test]
async fn invalid_attempt_counts_are_ignored() {
    let (name, other) = (fresh_name(), Raw::connect(shared()).await);
    let queue = queue(settings().with_queue(&name));
    queue.check().await.unwrap();
    for (header, attempt) in
        [(AMQPValue::LongInt(-5), 1), (AMQPValue::LongLongInt(i64::MAX), u32::MAX), (AMQPValue::Void, 1)]
    {
        let mut headers = FieldTable::default();
        headers.insert("x-vocalizer-attempts".into(), header);
        other.publish(&name, b"song", named(&hash("song").to_string()).with_headers(headers)).await;
        let lease = leased(&queue, "song").await;
        assert_eq!(lease.attempt(), attempt);
        lease.acknowledge().await.unwrap();
    }
}

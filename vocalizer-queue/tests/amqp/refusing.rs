use std::error::Error as _;
use std::time::Duration;

use vocalizer_core::causes::chain;
use vocalizer_core::ports::{Failure, Job, JobPayload, JobQueue, QueueError};
use vocalizer_core::secret::Secret;
use vocalizer_queue::{AmqpError, AmqpQueue, AmqpQueueKind, AmqpSettings};

use super::broker::{Broker, shared};
use super::raw::Raw;
use super::support::{fresh_name, hash, job, leased, never, queue, settings};

/// Returns the error of an unusable queue, after checking that all calls report one.
async fn check_error(queue: &AmqpQueue) -> (AmqpError, String) {
    let error = queue.check().await.unwrap_err();
    let message = chain(&error);
    assert!(
        error.source().is_none_or(|source| !error.to_string().contains(&source.to_string())),
        "the message repeats its source"
    );
    for outcome in [queue.publish(job("a")).await, queue.lease().await.map(drop), queue.depth().await.map(drop)] {
        let QueueError::Unavailable(cause) = outcome.unwrap_err() else { panic!("another error") };
        assert!(cause.downcast_ref::<AmqpError>().is_some(), "{cause}");
    }
    (error, message)
}

fn at(user: &str, rest: &str) -> AmqpQueue {
    let settings = AmqpSettings::new(&shared().address_for(user, rest)).unwrap();
    queue(settings.with_queue(&fresh_name()))
}

#[tokio::test]
async fn wrong_password_is_reported_as_credentials_error() {
    let (error, message) = check_error(&at("guest:hunter2", "")).await;
    assert!(matches!(error, AmqpError::Credentials { .. }), "{message}");
    assert!(!message.contains("hunter2"), "{message}");
}

#[tokio::test]
async fn missing_or_forbidden_virtual_host_is_named() {
    for (user, rest, vhost) in [("guest:guest", "/nowhere", "nowhere"), ("stranger:stranger", "", "/")] {
        let (error, message) = check_error(&at(user, rest)).await;
        assert!(matches!(&error, AmqpError::VirtualHost { vhost: named, .. } if named == vhost), "{message}");
    }
}

#[tokio::test]
async fn missing_configure_permission_is_reported() {
    let (error, message) = check_error(&at("limited:limited", "")).await;
    assert!(matches!(error, AmqpError::Permission { .. }), "{message}");
    assert!(message.contains("configure") || message.contains("access"), "{message}");
}

#[tokio::test]
async fn documented_permissions_are_enough() {
    for kind in [AmqpQueueKind::Quorum, AmqpQueueKind::Classic] {
        let settings = AmqpSettings::new(&shared().address_for("worker:worker", "")).unwrap();
        let queue = queue(settings.with_queue(&fresh_name()).with_kind(kind));
        queue.publish(job("a")).await.unwrap();
        leased(&queue, "a").await.fail(Failure::Retry { after: Duration::from_millis(1) }).await.unwrap();
        leased(&queue, "a").await.fail(never("no")).await.unwrap();
        assert_eq!(queue.dead_letters(10).await.unwrap().len(), 1);
        assert_eq!(queue.depth().await.unwrap().dead, 1);
    }
}

#[tokio::test]
async fn queue_with_other_arguments_reports_the_matching_setting() {
    use AmqpQueueKind::{Classic, Existing, Quorum};

    let other = Raw::connect(shared()).await;
    for (there, asked, fits) in [
        (Classic, Quorum, "use BROKER_QUEUE=classic or BROKER_QUEUE=existing"),
        (Quorum, Classic, "use BROKER_QUEUE=quorum or BROKER_QUEUE=existing"),
    ] {
        let name = fresh_name();
        queue(settings().with_queue(&name).with_kind(there)).check().await.unwrap();
        let (error, message) = check_error(&queue(settings().with_queue(&name).with_kind(asked))).await;
        assert!(matches!(error, AmqpError::Declared { .. }) && message.contains(fits), "{message}");
    }
    let name = fresh_name();
    other.declare(&name, false).await;
    let (error, message) = check_error(&queue(settings().with_queue(&name).with_kind(Classic))).await;
    assert!(matches!(error, AmqpError::Declared { .. }) && message.contains("use BROKER_QUEUE=existing"), "{message}");
    queue(settings().with_queue(&name).with_kind(Existing)).check().await.unwrap();
}

#[tokio::test]
async fn own_queue_can_be_opened_as_existing() {
    for there in [AmqpQueueKind::Quorum, AmqpQueueKind::Classic] {
        let name = fresh_name();
        let ours = queue(settings().with_queue(&name).with_kind(there));
        ours.publish(job("a")).await.unwrap();
        let existing = queue(settings().with_queue(&name).with_kind(AmqpQueueKind::Existing));
        leased(&existing, "a").await.fail(never("no")).await.unwrap();
        assert_eq!(ours.dead_letters(10).await.unwrap().len(), 1, "{there}");
    }
}

#[tokio::test]
async fn missing_existing_queue_is_reported() {
    let queue = queue(settings().with_kind(AmqpQueueKind::Existing).with_queue("undeclared queue"));
    let (error, message) = check_error(&queue).await;
    assert!(matches!(error, AmqpError::Missing { .. }), "{message}");
    assert!(message.contains("undeclared queue"), "{message}");
}

#[tokio::test]
async fn song_over_the_limit_is_rejected_before_sending() {
    let queue = queue(settings().with_max_message_bytes(10));
    assert_eq!(queue.max_inline_bytes(), Some(10));
    queue.publish(job("0123456789")).await.unwrap();
    let refused = queue.publish(job("0123456789+")).await;
    assert!(matches!(refused, Err(QueueError::TooLarge { max_bytes: 10 })), "{refused:?}");
    let claim = Job::new(hash("a"), JobPayload::Claim(Secret::new("x".repeat(20_000))));
    assert!(matches!(queue.publish(claim).await, Err(QueueError::TooLarge { .. })));
    assert_eq!(queue.depth().await.unwrap().waiting, 1);
    leased(&queue, "0123456789").await.acknowledge().await.unwrap();
}

#[tokio::test]
async fn stored_payload_is_rejected() {
    let queue = queue(settings());
    let refused = queue.publish(Job::new(hash("a"), JobPayload::Stored)).await.unwrap_err();
    assert!(chain(&refused).contains("must contain the song or its download location"), "{refused:?}");
}

#[tokio::test]
async fn song_over_the_broker_limit_is_rejected_alone() {
    let broker = Broker::start(&["max_message_size=1000"]);
    let queue = queue(AmqpSettings::new(&broker.address).unwrap());
    let large = "x".repeat(1_001);
    let (refused, taken) = tokio::join!(queue.publish(job(&large)), queue.publish(job("a")));
    assert!(matches!(refused, Err(QueueError::TooLarge { max_bytes: 1_000 })), "{refused:?}");
    taken.unwrap();
    leased(&queue, "a").await.acknowledge().await.unwrap();
}

#[test]
fn invalid_settings_are_rejected_early() {
    let valid = || AmqpSettings::new("broker").unwrap();
    let second = Duration::from_secs(1);
    for invalid in [
        valid().with_queue(""),
        valid().with_queue("amq.mine"),
        valid().with_queue(&"x".repeat(201)),
        valid().with_max_message_bytes(0),
        valid().with_visibility(Duration::ZERO),
        valid().with_visibility(second).with_consumer_timeout(second),
        valid().with_visibility(Duration::MAX).with_consumer_timeout(Duration::MAX),
        valid().with_connect_timeout(Duration::ZERO),
        valid().with_ca_file("/nonexistent".as_ref()),
    ] {
        assert!(matches!(AmqpQueue::new(invalid.clone()), Err(AmqpError::Settings(_))), "{invalid:?}");
    }
    let encrypted = AmqpSettings::new("amqps://broker").unwrap().with_ca_file("/nonexistent".as_ref());
    let message = chain(&AmqpQueue::new(encrypted).unwrap_err());
    assert!(message.contains("/nonexistent"), "{message}");
}

#[test]
fn queue_kind_parses_its_own_output() {
    for kind in [AmqpQueueKind::Quorum, AmqpQueueKind::Classic, AmqpQueueKind::Existing] {
        assert_eq!(kind.to_string().parse::<AmqpQueueKind>().unwrap(), kind);
    }
    assert!("mirrored".parse::<AmqpQueueKind>().is_err());
}

#[test]
fn debug_shows_the_address_without_credentials() {
    let settings = AmqpSettings::new("amqp://user:secret@broker/songs").unwrap();
    assert!(!format!("{settings:?}").contains("secret"));
    let shown = format!("{:?}", queue(settings));
    assert_eq!(shown, "AmqpQueue { address: amqp://..@broker:5672/songs, queue: \"vocalizer_queue\", kind: Quorum }");
}

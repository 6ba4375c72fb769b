use std::error::Error as _;
use std::time::Duration;

use vocalizer_core::causes::chain;
use vocalizer_core::ports::{Failure, Job, JobPayload, JobQueue, QueueError};
use vocalizer_core::secret::Secret;
use vocalizer_queue::{AmqpError, AmqpQueue, AmqpQueueKind, AmqpSettings};

use super::broker::{Broker, shared};
use super::raw::Raw;
use super::support::{fresh_name, hash, job, leased, never, queue, settings};

/// Why this queue cannot be used, as everybody hears it who uses it.
async fn refusal(queue: &AmqpQueue) -> (AmqpError, String) {
    let error = queue.check().await.unwrap_err();
    let said = chain(&error);
    assert!(
        error.source().is_none_or(|source| !error.to_string().contains(&source.to_string())),
        "it repeats its source"
    );
    for outcome in [queue.publish(job("a")).await, queue.lease().await.map(drop), queue.depth().await.map(drop)] {
        let QueueError::Unavailable(heard) = outcome.unwrap_err() else { panic!("another error") };
        assert!(heard.downcast_ref::<AmqpError>().is_some(), "{heard}");
    }
    (error, said)
}

fn at(user: &str, rest: &str) -> AmqpQueue {
    let settings = AmqpSettings::new(&shared().address_for(user, rest)).unwrap();
    queue(settings.with_queue(&fresh_name()))
}

#[tokio::test]
async fn a_wrong_password_is_said_to_be_one() {
    let (error, said) = refusal(&at("guest:hunter2", "")).await;
    assert!(matches!(error, AmqpError::Credentials { .. }), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}

#[tokio::test]
async fn a_virtual_host_that_is_missing_or_closed_is_named() {
    for (user, rest, vhost) in [("guest:guest", "/nowhere", "nowhere"), ("stranger:stranger", "", "/")] {
        let (error, said) = refusal(&at(user, rest)).await;
        assert!(matches!(&error, AmqpError::VirtualHost { vhost: named, .. } if named == vhost), "{said}");
    }
}

#[tokio::test]
async fn a_user_that_may_not_declare_queues_is_told() {
    let (error, said) = refusal(&at("limited:limited", "")).await;
    assert!(matches!(error, AmqpError::Permission { .. }), "{said}");
    assert!(said.contains("configure") || said.contains("access"), "{said}");
}

#[tokio::test]
async fn a_user_needs_no_more_than_its_queue_those_beside_it_and_the_default_exchange() {
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
async fn a_queue_that_was_declared_in_another_way_is_told_with_the_setting_that_fits() {
    use AmqpQueueKind::{Classic, Existing, Quorum};

    let other = Raw::connect(shared()).await;
    for (there, asked, fits) in [
        (Classic, Quorum, "BROKER_QUEUE=classic or BROKER_QUEUE=existing takes it"),
        (Quorum, Classic, "BROKER_QUEUE=quorum or BROKER_QUEUE=existing takes it"),
    ] {
        let name = fresh_name();
        queue(settings().with_queue(&name).with_kind(there)).check().await.unwrap();
        let (error, said) = refusal(&queue(settings().with_queue(&name).with_kind(asked))).await;
        assert!(matches!(error, AmqpError::Declared { .. }) && said.contains(fits), "{said}");
    }
    let name = fresh_name();
    other.declare(&name, false).await;
    let (error, said) = refusal(&queue(settings().with_queue(&name).with_kind(Classic))).await;
    assert!(matches!(error, AmqpError::Declared { .. }) && said.contains("BROKER_QUEUE=existing takes it"), "{said}");
    queue(settings().with_queue(&name).with_kind(Existing)).check().await.unwrap();
}

#[tokio::test]
async fn a_queue_of_ours_is_an_existing_one_to_others() {
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
async fn an_existing_queue_that_is_missing_is_told() {
    let queue = queue(settings().with_kind(AmqpQueueKind::Existing).with_queue("nobody declared this"));
    let (error, said) = refusal(&queue).await;
    assert!(matches!(error, AmqpError::Missing { .. }), "{said}");
    assert!(said.contains("nobody declared this"), "{said}");
}

#[tokio::test]
async fn a_song_over_the_limit_is_refused_before_it_is_sent_and_harms_no_other() {
    let queue = queue(settings().with_max_message_bytes(10));
    assert_eq!(queue.max_inline_bytes(), Some(10));
    queue.publish(job("0123456789")).await.unwrap();
    let refused = queue.publish(job("0123456789+")).await;
    assert!(matches!(refused, Err(QueueError::TooLarge { max_bytes: 10 })), "{refused:?}");
    let claim = Job { hash: hash("a"), payload: JobPayload::Claim(Secret::new("x".repeat(20_000))) };
    assert!(matches!(queue.publish(claim).await, Err(QueueError::TooLarge { .. })));
    assert_eq!(queue.depth().await.unwrap().waiting, 1);
    leased(&queue, "0123456789").await.acknowledge().await.unwrap();
}

#[tokio::test]
async fn a_job_that_only_names_its_song_is_refused() {
    let queue = queue(settings());
    let refused = queue.publish(Job { hash: hash("a"), payload: JobPayload::Stored }).await.unwrap_err();
    assert!(chain(&refused).contains("brings its song along or says where it is"), "{refused:?}");
}

#[tokio::test]
async fn a_song_over_the_broker_s_own_limit_is_told_and_harms_no_other() {
    let broker = Broker::start(&["max_message_size=1000"]);
    let queue = queue(AmqpSettings::new(&broker.address).unwrap());
    let large = "x".repeat(1_001);
    let (refused, taken) = tokio::join!(queue.publish(job(&large)), queue.publish(job("a")));
    assert!(matches!(refused, Err(QueueError::TooLarge { max_bytes: 1_000 })), "{refused:?}");
    taken.unwrap();
    leased(&queue, "a").await.acknowledge().await.unwrap();
}

#[test]
fn settings_that_make_no_sense_are_refused_at_once() {
    let sound = || AmqpSettings::new("broker").unwrap();
    let second = Duration::from_secs(1);
    for nonsense in [
        sound().with_queue(""),
        sound().with_queue("amq.mine"),
        sound().with_queue(&"x".repeat(201)),
        sound().with_max_message_bytes(0),
        sound().with_visibility(Duration::ZERO),
        sound().with_visibility(second).with_consumer_timeout(second),
        sound().with_visibility(Duration::MAX).with_consumer_timeout(Duration::MAX),
        sound().with_connect_timeout(Duration::ZERO),
        sound().with_ca_file("/nonexistent".as_ref()),
    ] {
        assert!(matches!(AmqpQueue::new(nonsense.clone()), Err(AmqpError::Settings(_))), "{nonsense:?}");
    }
    let encrypted = AmqpSettings::new("amqps://broker").unwrap().with_ca_file("/nonexistent".as_ref());
    let said = chain(&AmqpQueue::new(encrypted).unwrap_err());
    assert!(said.contains("/nonexistent"), "{said}");
}

#[test]
fn a_kind_is_read_as_it_is_written() {
    for kind in [AmqpQueueKind::Quorum, AmqpQueueKind::Classic, AmqpQueueKind::Existing] {
        assert_eq!(kind.to_string().parse::<AmqpQueueKind>().unwrap(), kind);
    }
    assert!("mirrored".parse::<AmqpQueueKind>().is_err());
}

#[test]
fn debug_shows_where_it_is_and_not_the_password() {
    let settings = AmqpSettings::new("amqp://user:secret@broker/songs").unwrap();
    assert!(!format!("{settings:?}").contains("secret"));
    let shown = format!("{:?}", queue(settings));
    assert_eq!(shown, "AmqpQueue { address: amqp://..@broker:5672/songs, queue: \"vocalizer_queue\", kind: Quorum }");
}

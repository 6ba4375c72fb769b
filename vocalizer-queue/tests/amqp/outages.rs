use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};
use vocalizer_core::causes::chain;
use vocalizer_core::ports::{Failure, JobQueue, Lease, QueueError};
use vocalizer_queue::{AmqpError, AmqpQueue, AmqpQueueKind, AmqpSettings};

use super::broker::Broker;
use super::support::{PATIENCE, hash, job, leased, never, queue};

/// Timeout for events that must come well within [`PATIENCE`].
const SOON: Duration = Duration::from_secs(20);

fn settings(broker: &Broker) -> AmqpSettings {
    AmqpSettings::new(&broker.address).unwrap()
}

fn amqp_error(error: QueueError) -> AmqpError {
    let QueueError::Unavailable(error) = error else { panic!("{error}") };
    *error.downcast().unwrap()
}

/// Publishes like the relay: retries until confirmed.
async fn publish(queue: &AmqpQueue, name: &str) {
    let began = Instant::now();
    while let Err(error) = queue.publish(job(name)).await {
        assert!(began.elapsed() < PATIENCE, "{}", chain(&error));
        sleep(Duration::from_millis(100)).await;
    }
}

/// Leases like a worker: retries until a job arrives.
async fn taken(queue: &AmqpQueue, name: &str) -> Box<dyn Lease> {
    let began = Instant::now();
    loop {
        match timeout(PATIENCE, queue.lease()).await.expect("no job arrived") {
            Ok(lease) => {
                assert_eq!(lease.job().hash, hash(name));
                return lease;
            }
            Err(error) => assert!(began.elapsed() < PATIENCE, "{}", chain(&error)),
        }
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unreachable_broker_fails_fast_and_recovers() {
    let broker = Broker::start(&[]);
    broker.kill();
    let queue = queue(settings(&broker));
    for _ in 0..20 {
        let began = Instant::now();
        for outcome in [queue.publish(job("a")).await, queue.lease().await.map(drop), queue.depth().await.map(drop)] {
            let error = amqp_error(outcome.unwrap_err());
            assert!(matches!(&error, AmqpError::Unreachable { at, .. } if at == broker.at()), "{}", chain(&error));
        }
        assert!(began.elapsed() < SOON, "it took {:?}", began.elapsed());
    }
    broker.restart();
    publish(&queue, "a").await;
    taken(&queue, "a").await.acknowledge().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_survive_a_broker_crash() {
    for kind in [AmqpQueueKind::Quorum, AmqpQueueKind::Classic] {
        let broker = Broker::start(&[]);
        let queue = queue(settings(&broker).with_kind(kind));
        for name in ["dead", "postponed", "held", "waiting"] {
            queue.publish(job(name)).await.unwrap();
        }
        leased(&queue, "dead").await.fail(never("no")).await.unwrap();
        leased(&queue, "postponed").await.fail(Failure::Later { after: Duration::from_secs(600) }).await.unwrap();
        let mut held = leased(&queue, "held").await;
        broker.kill();
        broker.restart();

        // The old lease is lost.
        let mut outcome = held.extend().await;
        let began = Instant::now();
        while outcome.is_ok() && began.elapsed() < PATIENCE {
            sleep(Duration::from_millis(50)).await;
            outcome = held.extend().await;
        }
        assert!(matches!(outcome, Err(QueueError::LeaseLost)), "{outcome:?}");
        assert!(matches!(held.acknowledge().await, Err(QueueError::LeaseLost)));

        // A classic queue may redeliver recently settled jobs.
        let mut missing = BTreeSet::from([hash("held"), hash("waiting")]);
        while !missing.is_empty() {
            let Ok(lease) = timeout(PATIENCE, queue.lease()).await.expect("a job was lost") else {
                sleep(Duration::from_millis(100)).await;
                continue;
            };
            let found = lease.job().hash;
            assert!(missing.remove(&found) || kind == AmqpQueueKind::Classic, "{found} was redelivered");
            lease.acknowledge().await.unwrap();
        }
        // After a restart a quorum queue reports its depth with a short delay.
        let began = Instant::now();
        let mut depth = queue.depth().await.unwrap();
        while !(depth.waiting >= 1 && depth.dead == 1) && began.elapsed() < PATIENCE {
            sleep(Duration::from_millis(100)).await;
            depth = queue.depth().await.unwrap();
        }
        assert!(depth.waiting >= 1 && depth.dead == 1, "{kind}: {depth:?}");
        assert_eq!(queue.dead_letters(10).await.unwrap().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn broker_low_on_disk_fails_publishing_and_recovers() {
    let broker = Broker::start(&[]);
    let queue = queue(settings(&broker));
    for name in ["a", "b"] {
        queue.publish(job(name)).await.unwrap();
    }
    let held = leased(&queue, "a").await;
    let postponed = leased(&queue, "b").await;
    broker.ctl(&["set_disk_free_limit", "900000GB"]);

    // One message may get through before the broker blocks.
    let began = Instant::now();
    let error = loop {
        let began = Instant::now();
        let outcome = queue.publish(job("c")).await;
        assert!(began.elapsed() < SOON, "it took {:?}", began.elapsed());
        if let Err(error) = outcome {
            break amqp_error(error);
        }
        assert!(began.elapsed() < PATIENCE, "the broker never blocked");
    };
    assert!(matches!(error, AmqpError::Blocked), "{}", chain(&error));
    assert!(began.elapsed() < PATIENCE);
    // Acknowledgements still get through; a failed settlement keeps the lease.
    held.acknowledge().await.unwrap();
    let outcome = postponed.fail(Failure::Later { after: Duration::ZERO }).await;
    assert!(matches!(amqp_error(outcome.unwrap_err()), AmqpError::Blocked));

    broker.ctl(&["set_disk_free_limit", "1MB"]);
    publish(&queue, "d").await;
    let mut found = Vec::new();
    while !found.contains(&hash("d")) {
        let lease = timeout(PATIENCE, queue.lease()).await.expect("no job arrived").unwrap();
        found.push(lease.job().hash);
        lease.acknowledge().await.unwrap();
    }
    assert!(!found.contains(&hash("a")), "an acknowledged job was redelivered");
}

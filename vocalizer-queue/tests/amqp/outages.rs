use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};
use vocalizer_core::causes::chain;
use vocalizer_core::ports::{Failure, JobQueue, Lease, QueueError};
use vocalizer_queue::{AmqpError, AmqpQueue, AmqpQueueKind, AmqpSettings};

use super::broker::Broker;
use super::support::{PATIENCE, hash, job, leased, never, queue};

/// What is bound to come well before the patience of a test is over.
const SOON: Duration = Duration::from_secs(20);

fn settings(broker: &Broker) -> AmqpSettings {
    AmqpSettings::new(&broker.address).unwrap()
}

fn why(error: QueueError) -> AmqpError {
    let QueueError::Unavailable(error) = error else { panic!("{error}") };
    *error.downcast().unwrap()
}

/// Publishes as the relay does: again until it is confirmed.
async fn publish(queue: &AmqpQueue, name: &str) {
    let began = Instant::now();
    while let Err(error) = queue.publish(job(name)).await {
        assert!(began.elapsed() < PATIENCE, "{}", chain(&error));
        sleep(Duration::from_millis(100)).await;
    }
}

/// Leases as a worker does: again until a job comes.
async fn taken(queue: &AmqpQueue, name: &str) -> Box<dyn Lease> {
    let began = Instant::now();
    loop {
        match timeout(PATIENCE, queue.lease()).await.expect("no job came") {
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
async fn a_broker_that_is_away_is_told_at_once_and_used_when_it_is_there() {
    let broker = Broker::start(&[]);
    broker.kill();
    let queue = queue(settings(&broker));
    for _ in 0..20 {
        let began = Instant::now();
        for outcome in [queue.publish(job("a")).await, queue.lease().await.map(drop), queue.depth().await.map(drop)] {
            let error = why(outcome.unwrap_err());
            assert!(matches!(&error, AmqpError::Unreachable { at, .. } if at == broker.at()), "{}", chain(&error));
        }
        assert!(began.elapsed() < SOON, "it took {:?}", began.elapsed());
    }
    broker.restart();
    publish(&queue, "a").await;
    taken(&queue, "a").await.acknowledge().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_outlive_the_broker_s_sudden_death() {
    for kind in [AmqpQueueKind::Quorum, AmqpQueueKind::Classic] {
        let broker = Broker::start(&[]);
        let queue = queue(settings(&broker).with_kind(kind));
        for name in ["dead", "put off", "in hand", "waiting"] {
            queue.publish(job(name)).await.unwrap();
        }
        leased(&queue, "dead").await.fail(never("no")).await.unwrap();
        leased(&queue, "put off").await.fail(Failure::Later { after: Duration::from_secs(600) }).await.unwrap();
        let mut in_hand = leased(&queue, "in hand").await;
        broker.kill();
        broker.restart();

        // Whoever had it does not have it any more.
        let mut outcome = in_hand.extend().await;
        let began = Instant::now();
        while outcome.is_ok() && began.elapsed() < PATIENCE {
            sleep(Duration::from_millis(50)).await;
            outcome = in_hand.extend().await;
        }
        assert!(matches!(outcome, Err(QueueError::LeaseLost)), "{outcome:?}");
        assert!(matches!(in_hand.acknowledge().await, Err(QueueError::LeaseLost)));

        // A classic queue may give again what was settled just before.
        let mut missing = BTreeSet::from([hash("in hand"), hash("waiting")]);
        while !missing.is_empty() {
            let Ok(lease) = timeout(PATIENCE, queue.lease()).await.expect("a job was lost") else {
                sleep(Duration::from_millis(100)).await;
                continue;
            };
            let found = lease.job().hash;
            assert!(missing.remove(&found) || kind == AmqpQueueKind::Classic, "{found} came again");
            lease.acknowledge().await.unwrap();
        }
        // A quorum queue that was just started tells how much it holds a moment later.
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
async fn a_broker_short_of_disk_is_told_in_time_and_used_when_it_has_some() {
    let broker = Broker::start(&[]);
    let queue = queue(settings(&broker));
    for name in ["a", "b"] {
        queue.publish(job(name)).await.unwrap();
    }
    let in_hand = leased(&queue, "a").await;
    let put_off = leased(&queue, "b").await;
    broker.ctl(&["set_disk_free_limit", "900000GB"]);

    // One message may slip through before the broker says that it takes none.
    let began = Instant::now();
    let error = loop {
        let began = Instant::now();
        let outcome = queue.publish(job("c")).await;
        assert!(began.elapsed() < SOON, "it took {:?}", began.elapsed());
        if let Err(error) = outcome {
            break why(error);
        }
        assert!(began.elapsed() < PATIENCE, "the broker takes everything");
    };
    assert!(matches!(error, AmqpError::Blocked), "{}", chain(&error));
    assert!(began.elapsed() < PATIENCE);
    // Who is done gets through all the same, and who is not keeps the job for now.
    in_hand.acknowledge().await.unwrap();
    let outcome = put_off.fail(Failure::Later { after: Duration::ZERO }).await;
    assert!(matches!(why(outcome.unwrap_err()), AmqpError::Blocked));

    broker.ctl(&["set_disk_free_limit", "1MB"]);
    publish(&queue, "d").await;
    let mut found = Vec::new();
    while !found.contains(&hash("d")) {
        let lease = timeout(PATIENCE, queue.lease()).await.expect("no job came").unwrap();
        found.push(lease.job().hash);
        lease.acknowledge().await.unwrap();
    }
    assert!(!found.contains(&hash("a")), "an acknowledged job came again");
}

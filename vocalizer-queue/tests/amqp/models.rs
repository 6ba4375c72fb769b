//! One queue per model: busy queues do not disturb each other, and a model without a queue has no workers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use vocalizer_core::models::{Capabilities, ModelName};
use vocalizer_core::ports::{Failure, Job, JobQueue, Lease, QueueError};
use vocalizer_queue::{AmqpQueueKind, ModelQueues};

use super::broker::shared;
use super::raw::{Raw, named};
use super::support::{PATIENCE, fresh_name, hash, job, queue, settings};

fn model(name: &str) -> ModelName {
    name.parse().unwrap()
}

/// The job of a song with a further model.
fn job_of(name: &str, model: ModelName) -> Job {
    job(name).with_model(model, hash(&format!("{name} by {model}")))
}

/// Queues of a server or a worker with these models, the default first.
fn queues(name: &str, kind: AmqpQueueKind, models: &[&str]) -> ModelQueues {
    let open = |name: &str| Arc::new(queue(settings().with_queue(name).with_kind(kind))) as Arc<dyn JobQueue>;
    let further = models.iter().map(|one| (model(one), open(&format!("{name}.{one}"))));
    ModelQueues::new(model(models[0]), open(name), further.collect::<BTreeMap<_, _>>())
}

fn able(models: &[&str]) -> Capabilities {
    Capabilities::of(models.iter().map(|one| model(one)).collect())
}

async fn leased(queue: &ModelQueues, models: &[&str]) -> Box<dyn Lease> {
    timeout(PATIENCE, queue.lease_for(&able(models))).await.expect("no job arrived").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn worker_of_busy_models_takes_turns_and_costs_no_job_an_attempt() {
    for kind in [AmqpQueueKind::Quorum, AmqpQueueKind::Classic] {
        let server = queues(&fresh_name(), kind, &["default", "best"]);
        for number in 0..10 {
            server.publish(job(&number.to_string())).await.unwrap();
            server.publish(job_of(&number.to_string(), model("best"))).await.unwrap();
        }
        let mut taken = Vec::new();
        for _ in 0..20 {
            let lease = leased(&server, &["default", "best"]).await;
            assert_eq!(lease.attempt(), 1, "{kind}: {:?} after {taken:?}", lease.job().key);
            taken.push(lease.job().model.is_some());
            lease.acknowledge().await.unwrap();
        }
        let further = taken[..9].iter().filter(|is_further| **is_further).count();
        assert!((3..=6).contains(&further), "{kind}: {taken:?}");
        assert_eq!(server.depth().await.unwrap().waiting, 0);
    }
}

/// Each waits at all queues, gets several jobs in the same moment, and keeps one.
#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_arrive_at_once_for_waiting_workers_count_one_attempt() {
    let models = ["default", "best", "fast"];
    let server = queues(&fresh_name(), AmqpQueueKind::Quorum, &models);
    let mut expected = 0;
    for round in 0..5 {
        let mut workers = JoinSet::new();
        for _ in 0..3 {
            let server = server.clone();
            workers.spawn(async move { leased(&server, &models).await });
        }
        let began = Instant::now();
        while server.has_worker(&model("fast")).await.unwrap() != Some(true) {
            assert!(began.elapsed() < PATIENCE, "no worker waits");
            sleep(Duration::from_millis(10)).await;
        }
        let name = round.to_string();
        let (default, best, fast) = tokio::join!(
            server.publish(job(&name)),
            server.publish(job_of(&name, model("best"))),
            server.publish(job_of(&name, model("fast")))
        );
        for published in [default, best, fast] {
            published.unwrap();
        }
        while let Some(lease) = workers.join_next().await {
            let lease = lease.unwrap();
            assert_eq!(lease.attempt(), 1, "round {round}: {:?}", lease.job().model);
            lease.acknowledge().await.unwrap();
            expected += 1;
        }
    }
    assert_eq!(expected, 15);
    let began = Instant::now();
    while server.depth().await.unwrap().waiting > 0 {
        assert!(began.elapsed() < PATIENCE, "a job is on the queue twice");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn dropped_lease_call_costs_no_attempt() {
    for kind in [AmqpQueueKind::Quorum, AmqpQueueKind::Classic] {
        let queue = queue(settings().with_kind(kind));
        queue.publish(job("a")).await.unwrap();
        for wait_ms in [0, 1, 2, 5, 10, 20, 50] {
            let _ = timeout(Duration::from_millis(wait_ms), async {
                let lease = queue.lease().await.unwrap();
                // A worker that has begun returns its job itself.
                lease.fail(Failure::Later { after: Duration::ZERO }).await.unwrap();
                std::future::pending::<()>().await;
            })
            .await;
        }
        let lease = timeout(PATIENCE, queue.lease()).await.expect("the job was lost").unwrap();
        assert_eq!(lease.attempt(), 1, "{kind}");
    }
}

#[tokio::test]
async fn dropped_lease_call_of_several_models_costs_no_attempt() {
    let able = able(&["default", "best"]);
    for kind in [AmqpQueueKind::Quorum, AmqpQueueKind::Classic] {
        let queues = queues(&fresh_name(), kind, &["default", "best"]);
        queues.publish(job("a")).await.unwrap();
        // Within these times, the call asks for a ready job and receives it.
        for wait_ms in (0..40).map(|step| step / 4) {
            let _ = timeout(Duration::from_millis(wait_ms), async {
                let lease = queues.lease_for(&able).await.unwrap();
                lease.fail(Failure::Later { after: Duration::ZERO }).await.unwrap();
                std::future::pending::<()>().await;
            })
            .await;
        }
        assert_eq!(leased(&queues, &["default", "best"]).await.attempt(), 1, "{kind}");
    }
}

#[tokio::test]
async fn removed_model_takes_no_jobs_and_has_no_worker() {
    let name = fresh_name();
    let before = queues(&name, AmqpQueueKind::Quorum, &["default", "best"]);
    before.publish(job_of("a", model("best"))).await.unwrap();
    let after = queues(&name, AmqpQueueKind::Quorum, &["default"]);
    // A worker of the default model waits.
    let waiting = tokio::spawn({
        let after = after.clone();
        async move { leased(&after, &["default"]).await }
    });
    let began = Instant::now();
    while after.has_worker(&model("default")).await.unwrap() != Some(true) {
        assert!(began.elapsed() < PATIENCE, "the worker is not seen");
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(after.has_worker(&model("best")).await.unwrap(), Some(false));
    let refused = after.publish(job_of("b", model("best"))).await;
    assert!(matches!(refused, Err(QueueError::NoModel { model: named }) if named == model("best")), "{refused:?}");
    // Songs that were split by a former default keep their hash as the key.
    let refused = after.publish(job("b").with_model(model("best"), hash("b"))).await;
    assert!(matches!(refused, Err(QueueError::NoModel { .. })), "{refused:?}");
    after.publish(job("c").with_model(model("default"), hash("c"))).await.unwrap();
    let lease = waiting.await.unwrap();
    assert_eq!(lease.job().hash, hash("c"));
    lease.acknowledge().await.unwrap();
    // A worker that still has the model takes what was published before.
    let lease = leased(&before, &["default", "best"]).await;
    assert_eq!((lease.job().model, lease.attempt()), (Some(model("best")), 1));
}

#[tokio::test]
async fn job_whose_model_kills_workers_is_given_up_by_its_key() {
    let name = fresh_name();
    let server = queues(&name, AmqpQueueKind::Quorum, &["default", "best"]);
    let deadly = job_of("a", model("best"));
    server.publish(deadly.clone()).await.unwrap();
    server.publish(job("b")).await.unwrap();
    for _ in 0..21 {
        Raw::connect(shared()).await.die_with_next_message(&format!("{name}.best")).await;
    }
    let began = Instant::now();
    let given_up = loop {
        if let Some(given_up) = server.given_up().await.unwrap() {
            break given_up;
        }
        assert!(began.elapsed() < PATIENCE, "the job was not given up");
        sleep(Duration::from_millis(20)).await;
    };
    assert_eq!((given_up.letter().hash, given_up.letter().attempts), (deadly.key, 21));
    given_up.file().await.unwrap();
    assert_eq!(leased(&server, &["default", "best"]).await.job().hash, hash("b"));
}

#[tokio::test]
async fn original_programs_see_the_jobs_of_the_default_model_only() {
    let (name, original) = (fresh_name(), Raw::connect(shared()).await);
    let server = queues(&name, AmqpQueueKind::Quorum, &["default", "best"]);
    server.publish(job_of("a", model("best"))).await.unwrap();
    server.publish(job("b").with_model(model("default"), hash("b"))).await.unwrap();
    assert_eq!(original.take(&name).await.data, b"b");
    let first = queue(settings().with_queue(&name)).depth().await.unwrap();
    assert_eq!(first.waiting, 0, "a job of a further model is in the queue of the original");
    let lease = leased(&server, &["default", "best"]).await;
    assert_eq!(lease.job().hash, hash("a"));
    lease.acknowledge().await.unwrap();

    // A message of an original backend names no model, and every worker takes it.
    original.publish(&name, b"c", named(&hash("c").to_string())).await;
    let lease = leased(&server, &["default", "best"]).await;
    assert_eq!((lease.job().hash, lease.job().key, lease.job().model), (hash("c"), hash("c"), None));
}

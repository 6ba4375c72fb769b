//! The queue keeps the promises of its port, also after a restart.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use queue::RedbQueue;
use tempfile::TempDir;
use vocalizer_conformance::queue::QueuePlace;
use vocalizer_core::ports::{DeadLetter, Failure, Job, JobPayload, JobQueue, JobState};
use vocalizer_core::song::{FailureReason, SongHash};

const LONG_LEASE: Duration = Duration::from_secs(600);

/// The timeout for a job that must arrive.
const PATIENCE: Duration = Duration::from_secs(60);

/// A file of its own, and the real clock.
struct Place {
    dir: TempDir,
    start: Instant,
    opened: OnceLock<RedbQueue>,
}

impl Place {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("no temporary folder"), start: Instant::now(), opened: OnceLock::new() }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("jobs.redb")
    }

    async fn open(&self, visibility: Duration) -> RedbQueue {
        RedbQueue::open(&self.path(), visibility).await.expect("the queue does not open")
    }
}

#[async_trait]
impl QueuePlace for Place {
    async fn queue(&self, visibility: Duration) -> Arc<dyn JobQueue> {
        let queue = self.open(visibility).await;
        Arc::new(self.opened.get_or_init(|| queue).clone())
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    async fn pass(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }

    fn has_lines(&self) -> bool {
        false
    }

    async fn dead_letters(&self, limit: u32) -> Vec<DeadLetter> {
        let queue = self.opened.get().expect("the queue is not open");
        queue.dead_letters(limit).await.expect("no dead letters")
    }
}

vocalizer_conformance::queue_conformance!(
    #[tokio::test(flavor = "multi_thread")]
    Place::new()
);

fn job(name: &str) -> Job {
    Job::new(SongHash::of(name.as_bytes()), JobPayload::Stored)
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_leases_and_dead_letters_survive_close_and_crash() {
    let place = Place::new();
    let queue = place.open(LONG_LEASE).await;
    for name in ["dead", "granted", "tried", "new"] {
        queue.publish(job(name)).await.unwrap();
    }
    let reason = FailureReason::new("not an audio file");
    queue.lease().await.unwrap().fail(Failure::Never { reason: reason.clone() }).await.unwrap();
    let granted = queue.durable_leases().unwrap().grant().await.unwrap();
    queue.lease().await.unwrap().fail(Failure::Retry { after: Duration::ZERO }).await.unwrap();
    // The file as a crash would leave it, and the closed file.
    let crashed = place.dir.path().join("crashed.redb");
    std::fs::copy(place.path(), &crashed).unwrap();
    drop(queue);

    for path in [crashed, place.path()] {
        let queue = RedbQueue::open(&path, LONG_LEASE).await.unwrap();
        let letter = DeadLetter { hash: job("dead").hash, reason: reason.clone(), attempts: 1 };
        assert_eq!(queue.dead_letters(10).await.unwrap(), [letter]);
        assert_eq!(queue.state(&job("granted").hash).await.unwrap(), JobState::Leased);
        queue.durable_leases().unwrap().settle(granted.lease, None).await.unwrap();
        for (name, attempt) in [("new", 1), ("tried", 2)] {
            let lease = queue.lease().await.unwrap();
            assert_eq!((lease.job().hash, lease.attempt()), (job(name).hash, attempt));
            lease.acknowledge().await.unwrap();
        }
        let depth = queue.depth().await.unwrap();
        assert_eq!((depth.waiting, depth.leased, depth.dead), (0, Some(0), 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn repeat_of_leased_job_is_delivered_after_it() {
    let place = Place::new();
    let queue = place.open(LONG_LEASE).await;
    queue.publish(job("a")).await.unwrap();
    let lease = queue.lease().await.unwrap();
    queue.publish(job("a")).await.unwrap();
    assert_eq!(queue.state(&job("a").hash).await.unwrap(), JobState::Leased);
    lease.acknowledge().await.unwrap();
    assert_eq!(queue.state(&job("a").hash).await.unwrap(), JobState::Waiting { before: 0 });
    assert_eq!(queue.lease().await.unwrap().attempt(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_leases_never_get_the_same_job() {
    const WORKERS: usize = 8;
    const JOBS_EACH: usize = 5;
    let place = Place::new();
    let queue = place.open(LONG_LEASE).await;
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| {
            let queue = queue.clone();
            tokio::spawn(async move {
                let mut held = Vec::new();
                while held.len() < JOBS_EACH {
                    let lease = tokio::time::timeout(PATIENCE, queue.lease()).await.expect("no job arrived");
                    held.push(lease.unwrap());
                }
                held
            })
        })
        .collect();
    for number in 0..WORKERS * JOBS_EACH {
        queue.publish(job(&number.to_string())).await.unwrap();
    }
    let (mut held, mut found) = (Vec::new(), BTreeSet::new());
    for worker in workers {
        held.extend(worker.await.unwrap());
    }
    for lease in &held {
        assert!(found.insert(lease.job().hash), "{:?} was leased twice", lease.job());
    }
    assert_eq!(found.len(), WORKERS * JOBS_EACH);
}

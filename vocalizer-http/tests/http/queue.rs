//! A fake job queue that records how leases were settled.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use vocalizer_core::ports::{Depth, Failure, Job, JobQueue, JobState, Lease, QueueError};
use vocalizer_core::song::SongHash;

/// The reported visibility timeout of leases.
pub(crate) const VISIBILITY: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(crate) struct Inner {
    jobs: Mutex<VecDeque<Job>>,
    arrived: Notify,
    /// How leases were settled.
    pub(crate) settled: Mutex<Vec<String>>,
    /// The queue fails every call.
    pub(crate) unavailable: AtomicBool,
    /// Publishing panics.
    pub(crate) broken: AtomicBool,
    /// All leases are lost.
    pub(crate) lost: AtomicBool,
    /// Number of lease requests.
    lease_requests: AtomicUsize,
    /// The queue carries songs inline.
    pub(crate) inline: AtomicBool,
}

#[derive(Clone, Default)]
pub(crate) struct FakeQueue(pub(crate) Arc<Inner>);

impl FakeQueue {
    pub(crate) fn waiting(&self) -> usize {
        self.0.jobs.lock().unwrap().len()
    }

    pub(crate) fn settled(&self) -> Vec<String> {
        self.0.settled.lock().unwrap().clone()
    }

    /// Waits for the first lease request.
    pub(crate) async fn wait_for_lease_request(&self) {
        while self.0.lease_requests.load(Ordering::SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn put(&self, job: Job) {
        self.0.jobs.lock().unwrap().push_back(job);
        self.0.arrived.notify_one();
    }

    fn check_available(&self) -> Result<(), QueueError> {
        match self.0.unavailable.load(Ordering::SeqCst) {
            true => Err(QueueError::Unavailable("made unavailable by the test".into())),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl JobQueue for FakeQueue {
    fn max_inline_bytes(&self) -> Option<u64> {
        self.0.inline.load(Ordering::SeqCst).then_some(1024)
    }

    async fn publish(&self, job: Job) -> Result<(), QueueError> {
        assert!(!self.0.broken.load(Ordering::SeqCst), "broken by the test");
        self.put(job);
        Ok(())
    }

    async fn lease(&self) -> Result<Box<dyn Lease>, QueueError> {
        self.0.lease_requests.fetch_add(1, Ordering::SeqCst);
        loop {
            self.check_available()?;
            let arrived = self.0.arrived.notified();
            if let Some(job) = self.0.jobs.lock().unwrap().pop_front() {
                return Ok(Box::new(FakeLease { queue: self.clone(), job: Some(job.clone()), copy: job }));
            }
            arrived.await;
        }
    }

    async fn state(&self, _: &SongHash) -> Result<JobState, QueueError> {
        Ok(JobState::Unknown)
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        self.check_available()?;
        Ok(Depth { waiting: self.waiting() as u64, leased: Some(0), ..Depth::default() })
    }
}

struct FakeLease {
    queue: FakeQueue,
    /// `None` once settled.
    job: Option<Job>,
    copy: Job,
}

impl FakeLease {
    fn end(&mut self, how: String) -> Result<(), QueueError> {
        if self.queue.0.lost.load(Ordering::SeqCst) {
            return Err(QueueError::LeaseLost);
        }
        self.job = None;
        self.queue.0.settled.lock().unwrap().push(how);
        Ok(())
    }
}

impl Drop for FakeLease {
    fn drop(&mut self) {
        if let Some(job) = self.job.take() {
            self.queue.put(job);
        }
    }
}

#[async_trait]
impl Lease for FakeLease {
    fn job(&self) -> &Job {
        &self.copy
    }

    fn attempt(&self) -> u32 {
        1
    }

    fn visibility(&self) -> Duration {
        VISIBILITY
    }

    async fn extend(&mut self) -> Result<(), QueueError> {
        if self.queue.0.lost.load(Ordering::SeqCst) { Err(QueueError::LeaseLost) } else { self.queue.check_available() }
    }

    async fn acknowledge(mut self: Box<Self>) -> Result<(), QueueError> {
        self.end("done".to_owned())
    }

    async fn fail(mut self: Box<Self>, failure: Failure) -> Result<(), QueueError> {
        self.end(match failure {
            Failure::Retry { after } => format!("retry after {after:?}"),
            Failure::Later { after } => format!("later, after {after:?}"),
            Failure::Never { reason } => format!("never: {reason}"),
        })
    }
}

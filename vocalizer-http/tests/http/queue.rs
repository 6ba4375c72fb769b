//! A queue for tests: jobs in a list, and a record of what became of them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use vocalizer_core::ports::{DeadLetter, Depth, Failure, Job, JobQueue, JobState, Lease, QueueError};
use vocalizer_core::song::SongHash;

/// How long its leases hold, as far as it says.
pub(crate) const VISIBILITY: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(crate) struct Inner {
    jobs: Mutex<VecDeque<Job>>,
    came: Notify,
    /// What became of leases.
    pub(crate) settled: Mutex<Vec<String>>,
    /// It does not answer.
    pub(crate) away: AtomicBool,
    /// Its leases are somebody else's by now.
    pub(crate) lost: AtomicBool,
    /// Workers that have asked for a job.
    asked: AtomicUsize,
    /// Jobs bring their songs along.
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

    /// Somebody has asked for a job.
    pub(crate) async fn asked(&self) {
        while self.0.asked.load(Ordering::SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn put(&self, job: Job) {
        self.0.jobs.lock().unwrap().push_back(job);
        self.0.came.notify_one();
    }

    fn answers(&self) -> Result<(), QueueError> {
        match self.0.away.load(Ordering::SeqCst) {
            true => Err(QueueError::Unavailable("the test took it away".into())),
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
        self.put(job);
        Ok(())
    }

    async fn lease(&self) -> Result<Box<dyn Lease>, QueueError> {
        self.0.asked.fetch_add(1, Ordering::SeqCst);
        loop {
            self.answers()?;
            let came = self.0.came.notified();
            if let Some(job) = self.0.jobs.lock().unwrap().pop_front() {
                return Ok(Box::new(FakeLease { queue: self.clone(), job: Some(job.clone()), shown: job }));
            }
            came.await;
        }
    }

    async fn state(&self, _: &SongHash) -> Result<JobState, QueueError> {
        Ok(JobState::Unknown)
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        self.answers()?;
        Ok(Depth { waiting: self.waiting() as u64, leased: Some(0), ..Depth::default() })
    }

    async fn dead_letters(&self, _: u32) -> Result<Vec<DeadLetter>, QueueError> {
        Ok(Vec::new())
    }
}

struct FakeLease {
    queue: FakeQueue,
    /// Until it is settled.
    job: Option<Job>,
    shown: Job,
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
        &self.shown
    }

    fn attempt(&self) -> u32 {
        1
    }

    fn visibility(&self) -> Duration {
        VISIBILITY
    }

    async fn extend(&mut self) -> Result<(), QueueError> {
        if self.queue.0.lost.load(Ordering::SeqCst) { Err(QueueError::LeaseLost) } else { self.queue.answers() }
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

//! A queue that lives as long as the process.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use vocalizer_core::ports::{Job, JobPayload, JobQueue, Lease, QueueError};
use vocalizer_core::song::SongHash;

/// What stands in for a delay that no clock can hold: longer than any process lives.
const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// A [`JobQueue`] in memory: everything the port promises except that it outlives the process.
///
/// Clones are handles to the same queue. What the port leaves open, this queue does so:
///
/// - Jobs come in the order in which they became ready: a fresh one when it was published, one that was handed back when
///   its delay is over, one whose lease ran out at that moment. So a job that kills its workers does not hold up the rest.
/// - A repeat of a job that waits is dropped. A repeat of one that is leased is kept, because the worker that has the
///   lease may be about to learn that its song is gone.
/// - It counts deliveries and puts no end to them: when to give up is the worker's decision, with [`Lease::reject`].
/// - Leases run by tokio's clock, so that a test can pause it.
#[derive(Clone)]
pub struct MemoryQueue {
    shared: Arc<Shared>,
    max_inline_bytes: u64,
}

impl MemoryQueue {
    /// An empty queue whose leases hold for `visibility`, and again so long each time they are extended.
    #[must_use]
    pub fn new(visibility: Duration) -> Self {
        let shared = Shared { visibility, state: Mutex::default(), changed: Notify::new() };
        Self { shared: Arc::new(shared), max_inline_bytes: u64::MAX }
    }

    /// The same queue through a handle that refuses to publish inline payloads of more than this; without it any size
    /// goes.
    #[must_use]
    pub fn with_max_inline_bytes(self, max_inline_bytes: u64) -> Self {
        Self { max_inline_bytes, ..self }
    }

    /// The jobs that were rejected, oldest first.
    #[must_use]
    pub fn dead_letters(&self) -> Vec<Job> {
        self.shared.state().dead.clone()
    }

    /// How many jobs are ready or will be after a delay; those that are leased do not count.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.state().waiting.len()
    }
}

/// Tells how full it is and nothing of the jobs.
impl fmt::Debug for MemoryQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.state();
        f.debug_struct("MemoryQueue")
            .field("waiting", &state.waiting.len())
            .field("leased", &state.leased.len())
            .field("dead_letters", &state.dead.len())
            .finish()
    }
}

#[async_trait]
impl JobQueue for MemoryQueue {
    async fn publish(&self, job: Job) -> Result<(), QueueError> {
        if let JobPayload::Inline(bytes) = &job.payload
            && bytes.len() as u64 > self.max_inline_bytes
        {
            return Err(QueueError::TooLarge { max_bytes: self.max_inline_bytes });
        }
        let mut state = self.shared.state();
        if state.waiting.values().all(|waiting| waiting.job.hash != job.hash) {
            state.enqueue(Instant::now(), Queued { job, deliveries: 0 });
            self.shared.changed.notify_waiters();
        }
        Ok(())
    }

    async fn lease(&self) -> Result<Box<dyn Lease>, QueueError> {
        loop {
            // Listening begins here, before looking: a job that comes in between is not slept over.
            let changed = self.shared.changed.notified();
            match self.shared.take() {
                // Nothing is awaited from here on, so a dropped call has either taken nothing or dropped the lease.
                Take::Job(lease) => return Ok(Box::new(lease)),
                Take::Nothing { until: Some(until) } => tokio::select! {
                    () = changed => {}
                    () = sleep_until(until) => {}
                },
                Take::Nothing { until: None } => changed.await,
            }
        }
    }

    async fn position(&self, hash: &SongHash) -> Result<Option<u64>, QueueError> {
        let place = self.shared.state().waiting.values().position(|waiting| waiting.job.hash == *hash);
        Ok(place.map(|place| place as u64))
    }
}

struct Shared {
    visibility: Duration,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// By when a job is ready, then by its number: the order of delivery.
    waiting: BTreeMap<(Instant, u64), Queued>,
    leased: HashMap<u64, Leased>,
    dead: Vec<Job>,
    /// Numbers jobs and leases; never used twice.
    next_number: u64,
}

struct Queued {
    job: Job,
    deliveries: u32,
}

struct Leased {
    queued: Queued,
    expires: Instant,
}

enum Take {
    Job(MemoryLease),
    /// Nothing is ready; something may be at `until`, or when the queue changes.
    Nothing {
        until: Option<Instant>,
    },
}

impl State {
    fn enqueue(&mut self, ready: Instant, queued: Queued) {
        let number = self.number();
        self.waiting.insert((ready, number), queued);
    }

    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    /// Puts back what was leased for too long. Called before each look at the leases, so that none seems to hold longer
    /// than it does.
    fn reclaim(&mut self, now: Instant) {
        let mut lost: Vec<_> = self.leased.extract_if(|_, leased| leased.expires <= now).collect();
        lost.sort_unstable_by_key(|&(number, _)| number);
        for (_, Leased { queued, expires }) in lost {
            self.enqueue(expires, queued);
        }
    }
}

impl Shared {
    /// The state, also after a panic elsewhere: no method leaves it half changed.
    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.reclaim(Instant::now());
        state
    }

    fn take(self: &Arc<Self>) -> Take {
        let mut state = self.state();
        let now = Instant::now();
        match state.waiting.first_entry() {
            Some(first) if first.key().0 <= now => {
                let mut queued = first.remove();
                queued.deliveries = queued.deliveries.saturating_add(1);
                let (job, delivery, number) = (queued.job.clone(), queued.deliveries, state.number());
                state.leased.insert(number, Leased { queued, expires: after(now, self.visibility) });
                Take::Job(MemoryLease { shared: Arc::clone(self), number, job, delivery })
            }
            first => {
                let ready = first.map(|first| first.key().0);
                let until = ready.into_iter().chain(state.leased.values().map(|leased| leased.expires)).min();
                Take::Nothing { until }
            }
        }
    }
}

fn after(now: Instant, delay: Duration) -> Instant {
    now.checked_add(delay).unwrap_or_else(|| now + FAR)
}

struct MemoryLease {
    shared: Arc<Shared>,
    number: u64,
    job: Job,
    delivery: u32,
}

impl MemoryLease {
    /// Ends the lease, if it still holds, and does `settle` with its job in the same step.
    fn settle(&self, settle: impl FnOnce(&mut State, Queued)) -> Result<(), QueueError> {
        let mut state = self.shared.state();
        let leased = state.leased.remove(&self.number).ok_or(QueueError::LeaseLost)?;
        settle(&mut state, leased.queued);
        self.shared.changed.notify_waiters();
        Ok(())
    }
}

#[async_trait]
impl Lease for MemoryLease {
    fn job(&self) -> &Job {
        &self.job
    }

    fn delivery(&self) -> Option<u32> {
        Some(self.delivery)
    }

    async fn extend(&mut self) -> Result<(), QueueError> {
        let mut state = self.shared.state();
        let leased = state.leased.get_mut(&self.number).ok_or(QueueError::LeaseLost)?;
        leased.expires = after(Instant::now(), self.shared.visibility);
        Ok(())
    }

    async fn acknowledge(self: Box<Self>) -> Result<(), QueueError> {
        self.settle(|_, _| {})
    }

    async fn hand_back(self: Box<Self>, delay: Duration) -> Result<(), QueueError> {
        self.settle(|state, queued| state.enqueue(after(Instant::now(), delay), queued))
    }

    async fn reject(self: Box<Self>) -> Result<(), QueueError> {
        self.settle(|state, queued| state.dead.push(queued.job))
    }
}

impl Drop for MemoryLease {
    /// Hands the job back at once; after settling there is nothing left to hand back, and the error says just that.
    fn drop(&mut self) {
        let _ = self.settle(|state, queued| state.enqueue(Instant::now(), queued));
    }
}

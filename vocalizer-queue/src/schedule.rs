//! Which job comes next, and who has which: what all queues of this crate have in common.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use vocalizer_core::ports::{Depth, Job, JobState, LeaseId, QueueError};
use vocalizer_core::song::SongHash;

/// What stands in for a delay that no clock can hold: longer than any process lives.
const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// The jobs of one process, by tokio's clock.
pub(crate) struct Schedule {
    visibility: Duration,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// By when a job is ready, then by its place among equals: the order of delivery.
    waiting: BTreeMap<(Instant, u64), Queued>,
    leased: HashMap<LeaseId, Leased>,
    /// The last number given to a job or a place; none is used twice.
    last_number: u64,
}

/// A job and what the queue knows of it.
#[derive(Debug, Clone)]
pub(crate) struct Queued {
    /// Which job.
    pub(crate) number: u64,
    pub(crate) job: Job,
    /// Those that count, the one under way included.
    pub(crate) attempts: u32,
    /// When this process got to know it.
    pub(crate) known_since: Instant,
    /// How old it was by then.
    pub(crate) age: Duration,
}

impl Queued {
    /// A job that was published just now.
    pub(crate) fn fresh(number: u64, job: Job) -> Self {
        Self { number, job, attempts: 0, known_since: Instant::now(), age: Duration::ZERO }
    }
}

struct Leased {
    queued: Queued,
    /// Where it was in the line.
    place: (Instant, u64),
    expires: Instant,
    /// Whether anybody is known to be at it; before that, it was no attempt.
    counts: bool,
}

impl State {
    fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    fn enqueue(&mut self, ready: Instant, queued: Queued) {
        let place = (ready, self.number());
        self.waiting.insert(place, queued);
    }

    fn waits(&self, hash: &SongHash) -> bool {
        self.waiting.values().any(|queued| queued.job.hash == *hash)
    }

    /// Puts back what was leased for too long. Called before each look at the leases, so that none seems to hold longer
    /// than it does.
    fn reclaim(&mut self, now: Instant) {
        let mut lost: Vec<_> =
            self.leased.extract_if(|_, leased| leased.expires <= now).map(|(_, lost)| lost).collect();
        lost.sort_unstable_by_key(|lost| (lost.expires, lost.place));
        for lost in lost {
            let expired = lost.expires;
            self.hand_back(lost, expired);
        }
    }

    /// Puts back what nobody settled: behind the others if it was tried, else where it was.
    fn hand_back(&mut self, Leased { mut queued, place, counts, .. }: Leased, now: Instant) {
        if counts {
            self.enqueue(now, queued);
        } else {
            queued.attempts = queued.attempts.saturating_sub(1);
            self.waiting.insert(place, queued);
        }
    }
}

impl Schedule {
    /// Nothing yet; leases hold for `visibility`, and the first number to be given follows `last_number`.
    pub(crate) fn new(visibility: Duration, last_number: u64) -> Arc<Self> {
        let state = Mutex::new(State { last_number, ..State::default() });
        Arc::new(Self { visibility, state, changed: Notify::new() })
    }

    /// The state, also after a panic elsewhere: no method leaves it half changed.
    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.reclaim(Instant::now());
        state
    }

    pub(crate) fn number(&self) -> u64 {
        self.state().number()
    }

    /// Whether a job for the hash waits.
    pub(crate) fn waits(&self, hash: &SongHash) -> bool {
        self.state().waits(hash)
    }

    /// Puts a job in line.
    pub(crate) fn enqueue(&self, queued: Queued, delay: Duration) {
        self.state().enqueue(after(Instant::now(), delay), queued);
        self.changed.notify_waiters();
    }

    /// Puts a fresh job in line unless one for its hash waits already.
    pub(crate) fn publish(&self, job: Job) {
        let mut state = self.state();
        if !state.waits(&job.hash) {
            let number = state.number();
            state.enqueue(Instant::now(), Queued::fresh(number, job));
            self.changed.notify_waiters();
        }
    }

    /// Waits for a job and leases it. Dropped, it has taken nothing.
    pub(crate) async fn take(self: &Arc<Self>) -> Held {
        loop {
            // Listening begins here, before looking: a job that comes in between is not slept over.
            let changed = self.changed.notified();
            match self.take_ready() {
                Ok(held) => return held,
                Err(Some(until)) => tokio::select! {
                    () = changed => {}
                    () = sleep_until(until) => {}
                },
                Err(None) => changed.await,
            }
        }
    }

    /// Leases the next job, or says when there may be one, if nothing changes before.
    fn take_ready(self: &Arc<Self>) -> Result<Held, Option<Instant>> {
        let mut state = self.state();
        let now = Instant::now();
        match state.waiting.first_entry() {
            Some(first) if first.key().0 <= now => {
                let (place, mut queued) = first.remove_entry();
                queued.attempts = queued.attempts.saturating_add(1);
                let (known, lease) = (queued.clone(), LeaseId::random());
                let expires = after(now, self.visibility);
                state.leased.insert(lease, Leased { queued, place, expires, counts: false });
                Ok(Held { schedule: Arc::clone(self), lease, queued: known, is_kept: false })
            }
            first => {
                let ready = first.map(|first| first.key().0);
                Err(ready.into_iter().chain(state.leased.values().map(|leased| leased.expires)).min())
            }
        }
    }

    /// Goes on with a lease of an earlier process, which holds for the whole time again.
    pub(crate) fn restore(&self, lease: LeaseId, queued: Queued, counts: bool) {
        let mut state = self.state();
        let now = Instant::now();
        let place = (now, state.number());
        state.leased.insert(lease, Leased { queued, place, expires: after(now, self.visibility), counts });
    }

    /// Grants the whole time again. Says whose job it is where the attempt does not count yet.
    pub(crate) fn extend(&self, lease: LeaseId) -> Result<Option<Queued>, QueueError> {
        self.hold(lease, self.visibility, |leased| (!leased.counts).then(|| leased.queued.clone()))
    }

    /// Keeps a lease from running out while its end is written down, and says whose job it is.
    pub(crate) fn hold_on(&self, lease: LeaseId) -> Result<Queued, QueueError> {
        self.hold(lease, FAR, |leased| leased.queued.clone())
    }

    fn hold<T>(&self, lease: LeaseId, span: Duration, look: impl FnOnce(&Leased) -> T) -> Result<T, QueueError> {
        let mut state = self.state();
        let leased = state.leased.get_mut(&lease).ok_or(QueueError::LeaseLost)?;
        leased.expires = after(Instant::now(), span);
        Ok(look(leased))
    }

    /// The attempt counts from now on.
    pub(crate) fn count(&self, lease: LeaseId) -> Result<(), QueueError> {
        self.state().leased.get_mut(&lease).ok_or(QueueError::LeaseLost)?.counts = true;
        Ok(())
    }

    /// Ends a lease, if it still holds, and takes the job off the queue.
    pub(crate) fn take_off(&self, lease: LeaseId) -> Result<Queued, QueueError> {
        self.end(lease, |_, leased| leased.queued)
    }

    /// Ends a lease, if it still holds, and puts the job back.
    pub(crate) fn put_back(&self, lease: LeaseId, delay: Duration, counts: bool) -> Result<(), QueueError> {
        self.end(lease, |state, leased| {
            let attempts = leased.queued.attempts.saturating_sub(u32::from(!counts));
            state.enqueue(after(Instant::now(), delay), Queued { attempts, ..leased.queued });
        })
    }

    fn end<T>(&self, lease: LeaseId, end: impl FnOnce(&mut State, Leased) -> T) -> Result<T, QueueError> {
        let mut state = self.state();
        let leased = state.leased.remove(&lease).ok_or(QueueError::LeaseLost)?;
        let ended = end(&mut state, leased);
        self.changed.notify_waiters();
        Ok(ended)
    }

    /// Where the job of a hash is.
    pub(crate) fn place(&self, hash: &SongHash) -> JobState {
        let state = self.state();
        if let Some(before) = state.waiting.values().position(|queued| queued.job.hash == *hash) {
            return JobState::Waiting { before: before as u64 };
        }
        let leased = state.leased.values().any(|leased| leased.queued.job.hash == *hash);
        if leased { JobState::Leased } else { JobState::Absent }
    }

    /// Where the jobs of several hashes are, found in one walk along the line.
    pub(crate) fn places(&self, hashes: &[SongHash]) -> Vec<JobState> {
        let state = self.state();
        let mut found: HashMap<&SongHash, JobState> = hashes.iter().map(|hash| (hash, JobState::Absent)).collect();
        for leased in state.leased.values() {
            if let Some(place) = found.get_mut(&leased.queued.job.hash) {
                *place = JobState::Leased;
            }
        }
        // From the end, so that the first of several with one hash has the last word.
        for (before, queued) in state.waiting.values().enumerate().rev() {
            if let Some(place) = found.get_mut(&queued.job.hash) {
                *place = JobState::Waiting { before: before as u64 };
            }
        }
        hashes.iter().map(|hash| found.get(hash).copied().unwrap_or(JobState::Absent)).collect()
    }

    /// How full it is, but for the dead letters.
    pub(crate) fn depth(&self) -> Depth {
        let state = self.state();
        let age = |queued: &Queued| queued.age.saturating_add(queued.known_since.elapsed());
        Depth {
            waiting: state.waiting.len() as u64,
            leased: Some(state.leased.len() as u64),
            dead: 0,
            oldest: state.waiting.values().map(age).max(),
        }
    }
}

fn after(now: Instant, delay: Duration) -> Instant {
    now.checked_add(delay).unwrap_or_else(|| now + FAR)
}

/// A lease. Dropping it hands the job back at once.
pub(crate) struct Held {
    schedule: Arc<Schedule>,
    lease: LeaseId,
    queued: Queued,
    is_kept: bool,
}

impl Held {
    pub(crate) fn queued(&self) -> &Queued {
        &self.queued
    }

    pub(crate) fn lease(&self) -> LeaseId {
        self.lease
    }

    pub(crate) fn visibility(&self) -> Duration {
        self.schedule.visibility
    }

    /// It goes out to a worker, and counts from now on. One that ran out meanwhile is found out later.
    pub(crate) fn told(self) -> Self {
        let _ = self.schedule.count(self.lease);
        self
    }

    /// It goes on without this value, under its identifier.
    pub(crate) fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.is_kept {
            // After settling there is nothing left to hand back, and the error says just that.
            let _ = self.schedule.end(self.lease, |state, leased| state.hand_back(leased, Instant::now()));
        }
    }
}

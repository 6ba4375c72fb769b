//! Job order and leases, shared by the in-process queues.
//!
//! Jobs wait in lines. Of the lines with the highest priority, the one whose turn was longest ago is next; a line that
//! gives a job goes to the end of the round, and so does one that gets its first waiting job.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use vocalizer_core::models::Capabilities;
use vocalizer_core::ports::{Depth, Job, JobLine, JobState, JobsAhead, LeaseId, QueueError};
use vocalizer_core::song::SongHash;

/// Cap for delays that the clock cannot represent: longer than any process runs.
const MAX_SPAN: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// The jobs of one process, on tokio's clock.
pub(crate) struct Schedule {
    visibility: Duration,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// By the time a job is ready, then by insertion: the order within a line.
    waiting: BTreeMap<Place, Queued>,
    /// The turn of each line with a waiting job: the line with the lowest number is next.
    turns: HashMap<JobLine, u64>,
    leased: HashMap<LeaseId, Leased>,
    /// The last number assigned to a job, position or turn; numbers are unique.
    last_number: u64,
}

/// When a job is ready, and a number.
type Place = (Instant, u64);

/// The position of a ready job in the delivery order: priority, round, turn of its line.
type Order = (Reverse<i32>, u64, u64);

/// A job with its bookkeeping.
#[derive(Debug, Clone)]
pub(crate) struct Queued {
    /// Unique number of the job.
    pub(crate) number: u64,
    pub(crate) job: Job,
    pub(crate) line: JobLine,
    /// Counted attempts, including the current one.
    pub(crate) attempts: u32,
    /// When this process published or loaded it.
    pub(crate) known_since: Instant,
    /// Its age at that time.
    pub(crate) age: Duration,
}

impl Queued {
    /// Creates a newly published job.
    pub(crate) fn fresh(number: u64, job: Job, line: JobLine) -> Self {
        Self { number, job, line, attempts: 0, known_since: Instant::now(), age: Duration::ZERO }
    }
}

struct Leased {
    queued: Queued,
    /// Its position in the queue before the lease.
    place: Place,
    expires: Instant,
    /// Whether the attempt counts: a worker is known to have the job.
    counts: bool,
}

impl State {
    fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    fn enqueue(&mut self, ready: Instant, queued: Queued) {
        let place = (ready, self.number());
        self.insert(place, queued);
    }

    fn insert(&mut self, place: Place, queued: Queued) {
        if !self.turns.contains_key(&queued.line) {
            let turn = self.number();
            self.turns.insert(queued.line, turn);
        }
        self.waiting.insert(place, queued);
    }

    /// Removes waiting jobs and returns them.
    fn extract(&mut self, which: impl Fn(&Place, &Queued) -> bool) -> Vec<Queued> {
        let removed = self.waiting.extract_if(.., |place, queued| which(place, queued)).map(|(_, queued)| queued);
        let removed: Vec<_> = removed.collect();
        if !removed.is_empty() {
            let lines: HashSet<_> = self.waiting.values().map(|queued| queued.line).collect();
            self.turns.retain(|line, _| lines.contains(line));
        }
        removed
    }

    fn turn(&self, line: &JobLine) -> u64 {
        self.turns.get(line).copied().unwrap_or(u64::MAX)
    }

    /// Returns the place of the next job to deliver to a worker.
    fn next(&self, now: Instant, capabilities: &Capabilities) -> Option<Place> {
        let ready = self.waiting.range(..=(now, u64::MAX)).filter(|(_, queued)| queued.job.fits(capabilities));
        let next = ready.min_by_key(|(place, Queued { line, .. })| (Reverse(line.priority), self.turn(line), **place));
        next.map(|(place, _)| *place)
    }

    /// Returns the waiting jobs in delivery order. Those that are not ready come last, without a position.
    fn in_order(&self, now: Instant) -> Vec<(Option<Order>, Place, &Queued)> {
        let mut rounds = HashMap::<_, u64>::new();
        let mut jobs: Vec<_> = self
            .waiting
            .iter()
            .map(|(place, queued)| {
                let is_ready = place.0 <= now;
                let order = is_ready.then(|| {
                    let round = rounds.entry(queued.line).or_default();
                    *round += 1;
                    (Reverse(queued.line.priority), *round, self.turn(&queued.line))
                });
                (order, *place, queued)
            })
            .collect();
        jobs.sort_by_key(|(order, place, _)| (order.is_none(), *order, *place));
        jobs
    }

    /// Moves the waiting job with a key to another line if it is delivered earlier there, and returns it.
    fn move_ahead(&mut self, key: &SongHash, line: JobLine, now: Instant) -> Option<Queued> {
        let jobs = self.in_order(now);
        let &(order, place, queued) = jobs.iter().find(|(_, _, queued)| queued.job.key == *key)?;
        let ready = jobs.iter().filter(|(order, _, queued)| order.is_some() && queued.line == line);
        let there = (Reverse(line.priority), ready.count() as u64 + 1, self.turn(&line));
        if queued.line == line || order.is_none_or(|order| order <= there) {
            return None;
        }
        let [queued] = self.extract(|other, _| *other == place).try_into().ok()?;
        let moved = Queued { line, ..queued };
        self.enqueue(now, moved.clone());
        Some(moved)
    }

    /// Returns the number of jobs of each model before the waiting job with a key.
    fn ahead(&self, key: &SongHash, now: Instant) -> Option<JobsAhead> {
        let jobs = self.in_order(now);
        let at = jobs.iter().position(|(order, _, queued)| order.is_some() && queued.job.key == *key)?;
        let mut ahead = JobsAhead::new();
        for (.., queued) in jobs.iter().take(at) {
            *ahead.entry(queued.job.model).or_default() += 1;
        }
        Some(ahead)
    }

    fn is_waiting(&self, hash: &SongHash) -> bool {
        self.waiting.values().any(|queued| queued.job.key == *hash)
    }

    /// Re-queues jobs with expired leases. Called before each access, so that no expired lease appears valid.
    fn reclaim(&mut self, now: Instant) {
        let mut lost: Vec<_> =
            self.leased.extract_if(|_, leased| leased.expires <= now).map(|(_, lost)| lost).collect();
        lost.sort_unstable_by_key(|lost| (lost.expires, lost.place));
        for lost in lost {
            let expired = lost.expires;
            self.requeue(lost, expired);
        }
    }

    /// Re-queues an unsettled job: at the end if the attempt counts, else at its old position.
    fn requeue(&mut self, Leased { mut queued, place, counts, .. }: Leased, now: Instant) {
        if counts {
            self.enqueue(now, queued);
        } else {
            queued.attempts = queued.attempts.saturating_sub(1);
            self.insert(place, queued);
        }
    }
}

impl Schedule {
    /// Creates an empty schedule. Leases last `visibility`; new numbers follow `last_number`.
    pub(crate) fn new(visibility: Duration, last_number: u64) -> Arc<Self> {
        let state = Mutex::new(State { last_number, ..State::default() });
        Arc::new(Self { visibility, state, changed: Notify::new() })
    }

    /// Locks the state. Ignores poisoning: no method leaves a partial change.
    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.reclaim(Instant::now());
        state
    }

    pub(crate) fn number(&self) -> u64 {
        self.state().number()
    }

    /// Whether a job for the hash is waiting.
    pub(crate) fn is_waiting(&self, hash: &SongHash) -> bool {
        self.state().is_waiting(hash)
    }

    /// Adds a job.
    pub(crate) fn enqueue(&self, queued: Queued, delay: Duration) {
        self.state().enqueue(after(Instant::now(), delay), queued);
        self.changed.notify_waiters();
    }

    /// Adds a new job. If one for its hash is waiting, that may move ahead instead.
    pub(crate) fn publish(&self, job: Job, line: JobLine) {
        let mut state = self.state();
        if state.is_waiting(&job.key) {
            state.move_ahead(&job.key, line, Instant::now());
        } else {
            let number = state.number();
            state.enqueue(Instant::now(), Queued::fresh(number, job, line));
            self.changed.notify_waiters();
        }
    }

    /// Moves the waiting job with a key to another line if it is delivered earlier there, and returns it.
    pub(crate) fn move_ahead(&self, key: &SongHash, line: JobLine) -> Option<Queued> {
        self.state().move_ahead(key, line, Instant::now())
    }

    /// Returns the number of jobs of each model before the waiting job with a key.
    pub(crate) fn ahead(&self, key: &SongHash) -> Option<JobsAhead> {
        self.state().ahead(key, Instant::now())
    }

    /// Removes the waiting jobs with a key and returns them.
    pub(crate) fn withdraw(&self, key: &SongHash) -> Vec<Queued> {
        self.state().extract(|_, queued| queued.job.key == *key)
    }

    /// Waits for a job that a worker takes and leases it. Cancel-safe.
    pub(crate) async fn take(self: &Arc<Self>, capabilities: &Capabilities) -> Held {
        loop {
            // Subscribe before checking, so that no change in between is missed.
            let changed = self.changed.notified();
            match self.take_ready(capabilities) {
                Ok(held) => return held,
                Err(Some(until)) => tokio::select! {
                    () = changed => {}
                    () = sleep_until(until) => {}
                },
                Err(None) => changed.await,
            }
        }
    }

    /// Leases the next job, or returns when the next one may be ready if nothing changes.
    fn take_ready(self: &Arc<Self>, capabilities: &Capabilities) -> Result<Held, Option<Instant>> {
        let mut state = self.state();
        let now = Instant::now();
        let next = state.next(now, capabilities).and_then(|place| Some((place, state.waiting.remove(&place)?)));
        match next {
            Some((place, mut queued)) => {
                if state.waiting.values().any(|other| other.line == queued.line) {
                    let turn = state.number();
                    state.turns.insert(queued.line, turn);
                } else {
                    state.turns.remove(&queued.line);
                }
                queued.attempts = queued.attempts.saturating_add(1);
                let (known, lease) = (queued.clone(), LeaseId::random());
                let expires = after(now, self.visibility);
                state.leased.insert(lease, Leased { queued, place, expires, counts: false });
                Ok(Held { schedule: Arc::clone(self), lease, queued: known, is_kept: false })
            }
            None => {
                let first = state.waiting.iter().find(|(_, queued)| queued.job.fits(capabilities));
                let ready = first.map(|(place, _)| place.0);
                Err(ready.into_iter().chain(state.leased.values().map(|leased| leased.expires)).min())
            }
        }
    }

    /// Restores a lease of an earlier process, with the full time.
    pub(crate) fn restore(&self, lease: LeaseId, queued: Queued, counts: bool) {
        let mut state = self.state();
        let now = Instant::now();
        let place = (now, state.number());
        state.leased.insert(lease, Leased { queued, place, expires: after(now, self.visibility), counts });
    }

    /// Extends a lease by the full time. Returns its job if the attempt does not count yet.
    pub(crate) fn extend(&self, lease: LeaseId) -> Result<Option<Queued>, QueueError> {
        self.hold(lease, self.visibility, |leased| (!leased.counts).then(|| leased.queued.clone()))
    }

    /// Prevents a lease from expiring while its settlement is written, and returns its job.
    pub(crate) fn suspend_expiry(&self, lease: LeaseId) -> Result<Queued, QueueError> {
        self.hold(lease, MAX_SPAN, |leased| leased.queued.clone())
    }

    fn hold<T>(&self, lease: LeaseId, span: Duration, read: impl FnOnce(&Leased) -> T) -> Result<T, QueueError> {
        let mut state = self.state();
        let leased = state.leased.get_mut(&lease).ok_or(QueueError::LeaseLost)?;
        leased.expires = after(Instant::now(), span);
        Ok(read(leased))
    }

    /// Counts the attempt from now on.
    pub(crate) fn count(&self, lease: LeaseId) -> Result<(), QueueError> {
        self.state().leased.get_mut(&lease).ok_or(QueueError::LeaseLost)?.counts = true;
        Ok(())
    }

    /// Ends a valid lease and removes its job.
    pub(crate) fn remove(&self, lease: LeaseId) -> Result<Queued, QueueError> {
        self.end(lease, |_, leased| leased.queued)
    }

    /// Ends a valid lease and re-queues its job.
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

    /// Returns the state of the job for a hash.
    pub(crate) fn place(&self, hash: &SongHash) -> JobState {
        self.places(&[*hash]).first().copied().unwrap_or(JobState::Absent)
    }

    /// Returns the states of the jobs for several hashes, in one pass.
    pub(crate) fn places(&self, hashes: &[SongHash]) -> Vec<JobState> {
        let state = self.state();
        let mut found: HashMap<&SongHash, JobState> = hashes.iter().map(|hash| (hash, JobState::Absent)).collect();
        for leased in state.leased.values() {
            if let Some(place) = found.get_mut(&leased.queued.job.key) {
                *place = JobState::Leased;
            }
        }
        // In reverse, so that the first of several jobs with one hash wins.
        for (before, (_, _, queued)) in state.in_order(Instant::now()).into_iter().enumerate().rev() {
            if let Some(place) = found.get_mut(&queued.job.key) {
                *place = JobState::Waiting { before: before as u64 };
            }
        }
        hashes.iter().map(|hash| found.get(hash).copied().unwrap_or(JobState::Absent)).collect()
    }

    /// Returns the depth without dead letters.
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
    now.checked_add(delay).unwrap_or_else(|| now + MAX_SPAN)
}

/// A lease. Dropping it re-queues the job at once.
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

    /// Marks the lease as delivered to a worker, so that its attempt counts. Expiry in between is detected later.
    pub(crate) fn delivered(self) -> Self {
        let _ = self.schedule.count(self.lease);
        self
    }

    /// Lets the lease continue without this value, under its ID.
    pub(crate) fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.is_kept {
            // After settling there is nothing to re-queue, and this returns an error.
            let _ = self.schedule.end(self.lease, |state, leased| state.requeue(leased, Instant::now()));
        }
    }
}

//! The simulated broker. It delivers at least once and in any order, sometimes twice; in some seeds it loses jobs.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use event_listener::Event;
use futures_util::future::select;
use time::OffsetDateTime;
use vocalizer_core::ports::{
    DeadLetter, Depth, DurableLeases, GivenUp, Job, JobPayload, JobQueue, JobState, Lease, QueueError,
};
use vocalizer_core::song::SongHash;

use super::calls::CallError;
use super::ghost::Ghost;
use super::given_up::SimulatedGivenUp;
use super::kernel::{Component, Kernel, Process};
use super::lease::SimulatedLease;
use super::plan::{HOUR, SECOND};
use super::planted::Bug;
use super::world::true_time;

pub(crate) const VISIBILITY: Duration = Duration::from_secs(60);
pub(super) const VISIBILITY_US: u64 = 60 * SECOND;

/// After this many attempts, a queue that cannot report job states gives a job up by itself. It is more than workers
/// that count attempts make, and fewer than those that do not.
const MAX_ATTEMPTS: u32 = 5;

pub(crate) struct Broker {
    pub(super) kernel: Arc<Kernel>,
    pub(super) ghost: Arc<Ghost>,
    state: Mutex<State>,
    pub(super) changed: Event,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) messages: Vec<Message>,
    /// Jobs that the queue gave up and that are not filed yet.
    pub(super) given_up: Vec<GivenUpMessage>,
    pub(super) dead: Vec<DeadLetter>,
    pub(super) numbers: u64,
}

pub(super) struct Message {
    pub(super) number: u64,
    pub(super) job: Job,
    pub(super) attempts: u32,
    pub(super) ready_us: u64,
    pub(super) granted: Option<Granted>,
}

/// A job that the queue gave up.
pub(super) struct GivenUpMessage {
    pub(super) message: Message,
    pub(super) since: OffsetDateTime,
    /// Whether it was reported before.
    pub(super) reported: bool,
}

/// The broker's record of a lease.
pub(super) struct Granted {
    pub(super) token: u64,
    pub(super) process: Process,
    pub(super) until_us: u64,
    /// Whether this attempt was counted as spent.
    pub(super) spent: bool,
    /// Whether the worker has extended the lease; before that it is not an attempt.
    pub(super) counts: bool,
    /// Whether it outlives the connection over which it was granted.
    pub(super) durable: bool,
    /// The step at which it was granted.
    pub(super) at: u64,
}

impl Message {
    /// Revokes the lease.
    pub(super) fn free(&mut self, ghost: &Ghost) {
        if self.granted.as_ref().is_some_and(|granted| !granted.counts) {
            self.attempts -= 1;
        } else {
            self.spend(ghost);
        }
        self.granted = None;
    }

    pub(super) fn spend(&mut self, ghost: &Ghost) {
        if let Some(granted) = &mut self.granted
            && !std::mem::replace(&mut granted.spent, true)
        {
            ghost.spent(self.number);
        }
    }
}

pub(super) fn unavailable(error: CallError) -> QueueError {
    QueueError::Unavailable(Box::new(error))
}

impl Broker {
    pub(crate) fn new(kernel: &Arc<Kernel>, ghost: &Arc<Ghost>) -> Arc<Self> {
        Arc::new(Self {
            kernel: Arc::clone(kernel),
            ghost: Arc::clone(ghost),
            state: Mutex::default(),
            changed: Event::new(),
        })
    }

    /// Returns the state after removing expired leases.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        let now_us = self.kernel.now_us();
        let mut state = self.state.lock().expect("single-threaded");
        for message in &mut state.messages {
            if message.granted.as_ref().is_some_and(|granted| granted.until_us <= now_us) {
                self.kernel.cover("lease expired");
                message.free(&self.ghost);
            }
        }
        if !self.kernel.plan.exact {
            let exhausted = |message: &mut Message| message.granted.is_none() && message.attempts >= MAX_ATTEMPTS;
            let given_up: Vec<_> = state.messages.extract_if(.., exhausted).collect();
            for message in &given_up {
                self.kernel.note(format_args!("job {} is given up by the queue", message.number));
                self.kernel.cover("given up by queue");
            }
            let since = true_time(now_us);
            state.given_up.extend(given_up.into_iter().map(|message| GivenUpMessage {
                message,
                since,
                reported: false,
            }));
        }
        state
    }

    pub(crate) fn is_empty(&self) -> bool {
        let state = self.state();
        state.messages.is_empty() && state.given_up.is_empty()
    }

    /// Cuts connections, of one process or all: leased jobs are re-queued without notice to their workers.
    pub(crate) fn cut(&self, of: Option<Process>) {
        for message in &mut self.state().messages {
            let cut = |granted: &Granted| !granted.durable && of.is_none_or(|of| of == granted.process);
            if message.granted.as_ref().is_some_and(cut) {
                self.kernel.cover("connection cut during lease");
                message.free(&self.ghost);
            }
        }
        for GivenUpMessage { message, .. } in &mut self.state().given_up {
            message.granted = message.granted.take().filter(|granted| of.is_some_and(|of| of != granted.process));
        }
        self.changed.notify(usize::MAX);
    }

    /// Wakes callers that wait for a job, so that they notice an outage.
    pub(crate) fn wake(&self) {
        self.changed.notify(usize::MAX);
    }

    /// Loses a random message.
    pub(crate) fn lose(&self) {
        let mut state = self.state();
        if !state.messages.is_empty() {
            let lost = self.kernel.below(state.messages.len() as u64) as usize;
            let mut lost = state.messages.remove(lost);
            // Its worker may give up now, and the attempt can no longer be counted later.
            lost.spend(&self.ghost);
            self.kernel.note(format_args!("job {} is lost", lost.number));
            self.kernel.cover("job lost");
        }
    }

    /// Counts the current attempt of a process as spent.
    pub(crate) fn spend(&self, process: Process) {
        let held = self.ghost.held(process);
        // A desk holds the leases of other processes.
        let desks = self.kernel.plan.desks;
        for message in &mut self.state().messages {
            let its = |granted: &Granted| desks || granted.process == process;
            if Some(message.number) == held && message.granted.as_ref().is_some_and(its) {
                message.spend(&self.ghost);
            }
        }
    }

    /// Returns the number of the job for a hash, if there is at most one.
    pub(crate) fn number_of(&self, hash: &SongHash) -> Option<u64> {
        self.state().messages.iter().find(|message| message.job.hash == *hash).map(|message| message.number)
    }

    fn enqueue(&self, state: &mut State, job: Job) {
        state.dead.retain(|dead| dead.hash != job.hash);
        if self.kernel.plan.exact && state.messages.iter().any(|message| message.job.hash == job.hash) {
            self.kernel.cover("duplicate publish ignored");
            return;
        }
        state.numbers += 1;
        let number = state.numbers;
        if self.kernel.fault(self.kernel.plan.rates.job_lost) {
            self.kernel.cover("job lost");
            self.kernel.note(format_args!("job {number} is lost"));
            return;
        }
        state.messages.push(Message { number, job, attempts: 0, ready_us: self.kernel.now_us(), granted: None });
    }

    fn accept(&self, job: Job) -> Result<(), QueueError> {
        if let JobPayload::Inline(bytes) = &job.payload
            && bytes.len() as u64 > self.kernel.plan.carried_bytes
        {
            return Err(QueueError::TooLarge { max_bytes: self.kernel.plan.carried_bytes });
        }
        let content = self.kernel.plan.content(&job.hash);
        self.kernel.note(format_args!("content {content} is published: {:?}", job.payload));
        self.ghost.published(content);
        let mut state = self.state();
        if self.kernel.fault(self.kernel.plan.rates.job_duplicated) {
            self.kernel.cover("job duplicated");
            self.enqueue(&mut state, job.clone());
        }
        self.enqueue(&mut state, job);
        drop(state);
        self.changed.notify(usize::MAX);
        Ok(())
    }

    /// Leases a random waiting job. If there is none, returns when the next one can become ready.
    fn take(self: &Arc<Self>, counts: bool) -> Result<SimulatedLease, u64> {
        let mut state = self.state();
        let (now_us, (_, process, _)) = (self.kernel.now_us(), self.kernel.current());
        let waits = |message: &Message| message.granted.is_none() && message.ready_us <= now_us;
        let indices: Vec<_> = (0..state.messages.len()).filter(|&index| waits(&state.messages[index])).collect();
        if indices.is_empty() {
            let next = state.messages.iter().map(|message| match &message.granted {
                Some(granted) => granted.until_us,
                None => message.ready_us,
            });
            return Err(next.min().unwrap_or(now_us + HOUR));
        }
        state.numbers += 1;
        let token = state.numbers;
        let index = indices[self.kernel.below(indices.len() as u64) as usize];
        let message = &mut state.messages[index];
        message.attempts += 1;
        let (until_us, at) = (now_us + VISIBILITY_US, self.kernel.steps());
        message.granted = Some(Granted { token, process, until_us, spent: false, counts, durable: false, at });
        self.ghost.granted(process, message.number);
        let (number, job, attempt) = (message.number, message.job.clone(), message.attempts);
        self.kernel.note(format_args!("job {number} is leased, attempt {attempt}"));
        Ok(SimulatedLease { broker: Arc::clone(self), job, attempt, token, granted_at: at, durable: false })
    }

    /// Waits for a job and leases it.
    pub(super) async fn wait_for_lease(self: &Arc<Self>, counts: bool) -> Result<SimulatedLease, QueueError> {
        let kernel = &self.kernel;
        kernel.call(Component::Broker, || ()).await.map_err(unavailable)?;
        loop {
            let changed = self.changed.listen();
            let (_, process, _) = kernel.current();
            if kernel.is_unavailable(Component::Broker) || kernel.is_cut(process) {
                return Err(unavailable(CallError("connection lost")));
            }
            match self.take(counts) {
                Ok(lease) => {
                    // The call may be dropped here while it holds the job.
                    kernel.pause().await;
                    return Ok(lease);
                }
                Err(until_us) => {
                    select(changed, kernel.sleep(until_us.saturating_sub(kernel.now_us()).max(1))).await;
                }
            }
        }
    }
}

/// The connection of a server or worker to the broker.
pub(crate) struct Queue(pub(crate) Arc<Broker>);

#[async_trait]
impl JobQueue for Queue {
    fn max_inline_bytes(&self) -> Option<u64> {
        let plan = &self.0.kernel.plan;
        (!plan.exact).then_some(plan.inline_bytes)
    }

    async fn publish(&self, job: Job) -> Result<(), QueueError> {
        self.0.kernel.call(Component::Broker, || self.0.accept(job)).await.map_err(unavailable)?
    }

    async fn withdraw(&self, hash: &SongHash) -> Result<(), QueueError> {
        // Like RabbitMQ, a queue that knows no jobs removes none.
        if !self.0.kernel.plan.exact {
            return Ok(());
        }
        let remove = || {
            let waits = |message: &mut Message| message.granted.is_none() && message.job.hash == *hash;
            if self.0.state().messages.extract_if(.., waits).count() > 0 {
                self.0.kernel.cover("withdrawn");
            }
        };
        self.0.kernel.call(Component::Broker, remove).await.map_err(unavailable)
    }

    async fn lease(&self) -> Result<Box<dyn Lease>, QueueError> {
        Ok(Box::new(self.0.wait_for_lease(true).await?))
    }

    fn durable_leases(&self) -> Option<&dyn DurableLeases> {
        self.0.kernel.plan.durable.then_some(self)
    }

    async fn state(&self, hash: &SongHash) -> Result<JobState, QueueError> {
        let Broker { kernel, ghost, .. } = self.0.as_ref();
        let look = || {
            if !kernel.plan.exact {
                return JobState::Unknown;
            }
            let state = self.0.state();
            let index = state.messages.iter().position(|message| message.job.hash == *hash);
            let leased = index.is_some_and(|index| state.messages[index].granted.is_some());
            ghost.job_state_read(kernel.plan.content(hash), leased);
            match index {
                None => JobState::Absent,
                Some(_) if leased && ghost.has(Bug::SweepHandsBackLeasedJobs) => JobState::Absent,
                Some(_) if leased => JobState::Leased,
                Some(index) => JobState::Waiting { before: index as u64 },
            }
        };
        kernel.call(Component::Broker, look).await.map_err(unavailable)
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        let look = || {
            let state = self.0.state();
            let leased = state.messages.iter().filter(|message| message.granted.is_some()).count() as u64;
            let waiting = state.messages.len() as u64 - leased;
            let leased = self.0.kernel.plan.exact.then_some(leased);
            let dead = (state.dead.len() + state.given_up.len()) as u64;
            Depth { waiting, leased, dead, oldest: None }
        };
        self.0.kernel.call(Component::Broker, look).await.map_err(unavailable)
    }

    async fn given_up(&self) -> Result<Option<Box<dyn GivenUp>>, QueueError> {
        if self.0.kernel.plan.exact {
            // The embedded queue gives up no jobs.
            return Ok(None);
        }
        let look = || SimulatedGivenUp::next(&self.0).map(|given_up| Box::new(given_up) as _);
        self.0.kernel.call(Component::Broker, look).await.map_err(unavailable)
    }
}

//! A broker that delivers at least once: in any order, sometimes twice, sometimes without saying so, and in some seeds
//! not at all.

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

use super::calls::Away;
use super::ghost::Ghost;
use super::given_up::SimulatedGivenUp;
use super::kernel::{Kernel, Place, Process};
use super::lease::SimulatedLease;
use super::plan::{HOUR, SECOND};
use super::planted::Bug;
use super::world::true_time;

pub(crate) const VISIBILITY: Duration = Duration::from_secs(60);
pub(super) const VISIBILITY_US: u64 = 60 * SECOND;

/// A queue that cannot tell where its jobs are gives one up by itself after so many attempts: more than workers that count
/// make of it, and fewer than those that do not.
const MOST_ATTEMPTS: u32 = 5;

pub(crate) struct Broker {
    pub(super) kernel: Arc<Kernel>,
    pub(super) ghost: Arc<Ghost>,
    state: Mutex<State>,
    pub(super) changed: Event,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) messages: Vec<Message>,
    /// Those that the queue gave up and nobody has filed.
    pub(super) given_up: Vec<Forsaken>,
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
pub(super) struct Forsaken {
    pub(super) message: Message,
    pub(super) since: OffsetDateTime,
    /// Somebody was told of it.
    pub(super) told: bool,
}

/// A lease as the broker knows it.
pub(super) struct Granted {
    pub(super) token: u64,
    pub(super) process: Process,
    pub(super) until_us: u64,
    /// This attempt was counted as spent.
    pub(super) spent: bool,
    /// Whether its worker was heard of; before that, it was no attempt.
    pub(super) counts: bool,
    /// Whether it goes on without the connection over which it was granted.
    pub(super) durable: bool,
    /// The step at which it was granted.
    pub(super) at: u64,
}

impl Message {
    /// Takes the lease away from whoever has it.
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

pub(super) fn unavailable(away: Away) -> QueueError {
    QueueError::Unavailable(Box::new(away))
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

    /// What the broker holds, after leases that have run out are gone.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        let now_us = self.kernel.now_us();
        let mut state = self.state.lock().expect("a run has one thread");
        for message in &mut state.messages {
            if message.granted.as_ref().is_some_and(|granted| granted.until_us <= now_us) {
                self.kernel.met("lease ran out");
                message.free(&self.ghost);
            }
        }
        if !self.kernel.plan.exact {
            let hopeless = |message: &mut Message| message.granted.is_none() && message.attempts >= MOST_ATTEMPTS;
            let given_up: Vec<_> = state.messages.extract_if(.., hopeless).collect();
            for message in &given_up {
                self.kernel.note(format_args!("job {} is given up by the queue", message.number));
                self.kernel.met("given up by the queue");
            }
            let since = true_time(now_us);
            state.given_up.extend(given_up.into_iter().map(|message| Forsaken { message, since, told: false }));
        }
        state
    }

    pub(crate) fn is_empty(&self) -> bool {
        let state = self.state();
        state.messages.is_empty() && state.given_up.is_empty()
    }

    /// All connections end: what was leased is given to others, and those who had it do not know.
    pub(crate) fn cut(&self, of: Option<Process>) {
        for message in &mut self.state().messages {
            let cut = |granted: &Granted| !granted.durable && of.is_none_or(|of| of == granted.process);
            if message.granted.as_ref().is_some_and(cut) {
                self.kernel.met("connection cut under a lease");
                message.free(&self.ghost);
            }
        }
        for Forsaken { message, .. } in &mut self.state().given_up {
            message.granted = message.granted.take().filter(|granted| of.is_some_and(|of| of != granted.process));
        }
        self.changed.notify(usize::MAX);
    }

    /// Those who wait for a job are to look whether they still may.
    pub(crate) fn wake(&self) {
        self.changed.notify(usize::MAX);
    }

    /// Some message is never seen again.
    pub(crate) fn lose(&self) {
        let mut state = self.state();
        if !state.messages.is_empty() {
            let lost = self.kernel.below(state.messages.len() as u64) as usize;
            let mut lost = state.messages.remove(lost);
            // Whoever has it may give up now, and nobody could count with it any more.
            lost.spend(&self.ghost);
            self.kernel.note(format_args!("job {} is lost", lost.number));
            self.kernel.met("job lost");
        }
    }

    /// The attempt that a process is at has failed.
    pub(crate) fn spend(&self, process: Process) {
        let held = self.ghost.held(process);
        // A desk keeps the leases of others.
        let desks = self.kernel.plan.desks;
        for message in &mut self.state().messages {
            let its = |granted: &Granted| desks || granted.process == process;
            if Some(message.number) == held && message.granted.as_ref().is_some_and(its) {
                message.spend(&self.ghost);
            }
        }
    }

    /// The job of a hash, where there is at most one.
    pub(crate) fn number_of(&self, hash: &SongHash) -> Option<u64> {
        self.state().messages.iter().find(|message| message.job.hash == *hash).map(|message| message.number)
    }

    fn put(&self, state: &mut State, job: Job) {
        state.dead.retain(|dead| dead.hash != job.hash);
        if self.kernel.plan.exact && state.messages.iter().any(|message| message.job.hash == job.hash) {
            self.kernel.met("published again and known");
            return;
        }
        state.numbers += 1;
        let number = state.numbers;
        if self.kernel.fault(self.kernel.plan.rates.job_lost) {
            self.kernel.met("job lost");
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
        if self.kernel.fault(self.kernel.plan.rates.job_twice) {
            self.kernel.met("job twice");
            self.put(&mut state, job.clone());
        }
        self.put(&mut state, job);
        drop(state);
        self.changed.notify(usize::MAX);
        Ok(())
    }

    /// Leases any of the jobs that wait; if there is none, says until when there may be none.
    fn take(self: &Arc<Self>, counts: bool) -> Result<SimulatedLease, u64> {
        let mut state = self.state();
        let (now_us, (_, process, _)) = (self.kernel.now_us(), self.kernel.current());
        let waits = |message: &Message| message.granted.is_none() && message.ready_us <= now_us;
        let places: Vec<_> = (0..state.messages.len()).filter(|&place| waits(&state.messages[place])).collect();
        if places.is_empty() {
            let next = state.messages.iter().map(|message| match &message.granted {
                Some(granted) => granted.until_us,
                None => message.ready_us,
            });
            return Err(next.min().unwrap_or(now_us + HOUR));
        }
        state.numbers += 1;
        let token = state.numbers;
        let place = places[self.kernel.below(places.len() as u64) as usize];
        let message = &mut state.messages[place];
        message.attempts += 1;
        let (until_us, at) = (now_us + VISIBILITY_US, self.kernel.steps());
        message.granted = Some(Granted { token, process, until_us, spent: false, counts, durable: false, at });
        self.ghost.granted(process, message.number);
        let (number, job, attempt) = (message.number, message.job.clone(), message.attempts);
        self.kernel.note(format_args!("job {number} is leased, attempt {attempt}"));
        Ok(SimulatedLease { broker: Arc::clone(self), job, attempt, token, granted_at: at, durable: false })
    }

    /// Waits for a job and leases it.
    pub(super) async fn leased(self: &Arc<Self>, counts: bool) -> Result<SimulatedLease, QueueError> {
        let kernel = &self.kernel;
        kernel.call(Place::Broker, || ()).await.map_err(unavailable)?;
        loop {
            let changed = self.changed.listen();
            let (_, process, _) = kernel.current();
            if kernel.is_away(Place::Broker) || kernel.is_cut(process) {
                return Err(unavailable(Away("the connection has ended")));
            }
            match self.take(counts) {
                Ok(lease) => {
                    // On its way: the call may be dropped with the job in hand.
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

/// The broker as a server or a worker reaches it.
pub(crate) struct Queue(pub(crate) Arc<Broker>);

#[async_trait]
impl JobQueue for Queue {
    fn max_inline_bytes(&self) -> Option<u64> {
        let plan = &self.0.kernel.plan;
        (!plan.exact).then_some(plan.inline_bytes)
    }

    async fn publish(&self, job: Job) -> Result<(), QueueError> {
        self.0.kernel.call(Place::Broker, || self.0.accept(job)).await.map_err(unavailable)?
    }

    async fn lease(&self) -> Result<Box<dyn Lease>, QueueError> {
        Ok(Box::new(self.0.leased(true).await?))
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
            let place = state.messages.iter().position(|message| message.job.hash == *hash);
            let leased = place.is_some_and(|place| state.messages[place].granted.is_some());
            ghost.asked(kernel.plan.content(hash), leased);
            match place {
                None => JobState::Absent,
                Some(_) if leased && ghost.has(Bug::SweepHandsBackWhatIsLeased) => JobState::Absent,
                Some(_) if leased => JobState::Leased,
                Some(place) => JobState::Waiting { before: place as u64 },
            }
        };
        kernel.call(Place::Broker, look).await.map_err(unavailable)
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
        self.0.kernel.call(Place::Broker, look).await.map_err(unavailable)
    }

    async fn dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>, QueueError> {
        let look = || self.0.state().dead.iter().rev().take(limit as usize).cloned().collect();
        self.0.kernel.call(Place::Broker, look).await.map_err(unavailable)
    }

    async fn given_up(&self) -> Result<Option<Box<dyn GivenUp>>, QueueError> {
        if self.0.kernel.plan.exact {
            // It is in its server's process and gives nothing up.
            return Ok(None);
        }
        let look = || SimulatedGivenUp::next(&self.0).map(|given_up| Box::new(given_up) as _);
        self.0.kernel.call(Place::Broker, look).await.map_err(unavailable)
    }
}

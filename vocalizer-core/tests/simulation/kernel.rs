//! Virtual time, randomness and processes. The whole run goes through the kernel, so that the seed determines it.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::hash::Hasher;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Waker;

use event_listener::Event;

use super::chance::Chance;
use super::executor::{Ready, Task};
use super::plan::Plan;
use super::trace::Trace;

/// A process number; see [`Plan::server`] and [`Plan::worker`].
pub(crate) type Process = usize;

/// The process of users, network and supervisor, which never crashes.
pub(crate) const OUTSIDE: Process = 0;

/// An external component that can be unavailable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Component {
    Database,
    Blobs,
    Broker,
}

pub(crate) struct Kernel {
    pub(crate) plan: Plan,
    pub(crate) ready: Arc<Ready>,
    /// Notified when a process has died.
    pub(crate) died: Event,
    state: Mutex<State>,
}

pub(super) struct State {
    pub(super) chance: Chance,
    pub(super) now_us: u64,
    steps: u64,
    pub(super) timers: BTreeMap<(u64, u64), Waker>,
    pub(super) numbers: u64,
    pub(super) spawned: Vec<Task>,
    pub(super) killed: Vec<Process>,
    pub(super) dropped: Vec<u64>,
    /// The number, process and role of the running task.
    pub(super) current: (u64, Process, &'static str),
    /// Whether tasks are being dropped because their process died, so that their destructors must have no effect.
    pub(super) dying: bool,
    alive: Vec<bool>,
    dead_processes: Vec<Process>,
    pub(super) crashes: u64,
    unavailable_until: [u64; 3],
    cut_until: Vec<u64>,
    skew_s: Vec<i64>,
    pub(super) calm: bool,
    pub(super) over: bool,
    violation: Option<String>,
    pub(super) trace: Trace,
}

impl Kernel {
    pub(crate) fn new(seed: u64, plan: Plan, verbose: bool) -> Arc<Self> {
        let mut chance = Chance::new(!seed);
        let skew = plan.skew_s;
        let skew_s = (0..plan.processes())
            .map(|_| i64::try_from(chance.below(2 * skew + 1)).unwrap_or(0) - i64::try_from(skew).unwrap_or(0))
            .collect();
        let state = State {
            chance,
            now_us: 0,
            steps: 0,
            timers: BTreeMap::new(),
            numbers: 0,
            spawned: Vec::new(),
            killed: Vec::new(),
            dropped: Vec::new(),
            current: (0, OUTSIDE, "start"),
            dying: false,
            alive: vec![false; plan.processes()],
            dead_processes: Vec::new(),
            crashes: plan.crashes,
            unavailable_until: [0; 3],
            cut_until: vec![0; plan.processes()],
            skew_s,
            calm: false,
            over: false,
            violation: None,
            trace: Trace::new(verbose),
        };
        Arc::new(Self { plan, ready: Arc::default(), died: Event::new(), state: Mutex::new(state) })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("single-threaded")
    }

    pub(crate) fn now_us(&self) -> u64 {
        self.state().now_us
    }

    /// Returns the clock skew of the current process.
    pub(crate) fn skew_s(&self) -> i64 {
        let state = self.state();
        state.skew_s[state.current.1]
    }

    /// Returns the number of task polls so far: a finer clock.
    pub(crate) fn steps(&self) -> u64 {
        self.state().steps
    }

    pub(crate) fn below(&self, end: u64) -> u64 {
        self.state().chance.below(end)
    }

    pub(crate) fn between(&self, least: u64, most: u64) -> u64 {
        self.state().chance.between(least, most)
    }

    pub(crate) fn one_in(&self, many: u64) -> bool {
        self.state().chance.one_in(many)
    }

    /// Decides whether a fault with this rate occurs now; never in the calm phase.
    pub(crate) fn fault(&self, rate: u64) -> bool {
        let mut state = self.state();
        rate > 0 && !state.calm && state.chance.per_mille(rate)
    }

    pub(crate) fn note(&self, what: fmt::Arguments<'_>) {
        let mut state = self.state();
        let (now_us, who) = (state.now_us, state.current.1);
        state.trace.note(now_us, who, what);
    }

    /// Counts an event for the coverage.
    pub(crate) fn cover(&self, what: &'static str) {
        self.state().trace.cover(what);
    }

    /// Records the violation of an invariant, which ends the run.
    pub(crate) fn violated(&self, what: fmt::Arguments<'_>) {
        self.note(format_args!("VIOLATED: {what}"));
        self.state().violation.get_or_insert_with(|| what.to_string());
    }

    pub(crate) fn current(&self) -> (u64, Process, &'static str) {
        self.state().current
    }

    pub(crate) fn dying(&self) -> bool {
        self.state().dying
    }

    pub(crate) fn spawn(
        &self,
        process: Process,
        role: &'static str,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> u64 {
        let mut state = self.state();
        state.numbers += 1;
        let number = state.numbers;
        let task = Task::new(number, process, role, Box::pin(work), &self.ready);
        state.spawned.push(task);
        number
    }

    /// Drops a task.
    pub(crate) fn abandon(&self, task: u64) {
        self.state().dropped.push(task);
    }

    pub(crate) fn start(&self, process: Process) {
        self.state().alive[process] = true;
    }

    pub(crate) fn is_alive(&self, process: Process) -> bool {
        self.state().alive[process]
    }

    /// Kills a process: drops all its tasks before anything else runs.
    pub(crate) fn kill(&self, process: Process) {
        let mut state = self.state();
        if mem::replace(&mut state.alive[process], false) {
            state.killed.push(process);
            state.dead_processes.push(process);
            drop(state);
            self.note(format_args!("process {process} is dead"));
            self.died.notify(usize::MAX);
        }
    }

    /// Drops a value of a dead process.
    pub(crate) fn drop_as_dead(&self, what: impl Sized) {
        self.state().dying = true;
        drop(what);
        self.state().dying = false;
    }

    /// Returns the processes that died since the last call.
    pub(crate) fn dead_processes(&self) -> Vec<Process> {
        mem::take(&mut self.state().dead_processes)
    }

    pub(crate) fn make_unavailable(&self, component: Component, for_us: u64) {
        let mut state = self.state();
        state.unavailable_until[component as usize] = state.now_us + for_us;
    }

    pub(crate) fn is_unavailable(&self, component: Component) -> bool {
        let state = self.state();
        state.unavailable_until[component as usize] > state.now_us
    }

    /// Cuts the network of a process.
    pub(crate) fn cut(&self, process: Process, for_us: u64) {
        let mut state = self.state();
        state.cut_until[process] = state.now_us + for_us;
    }

    pub(crate) fn is_cut(&self, process: Process) -> bool {
        let state = self.state();
        state.cut_until[process] > state.now_us
    }

    /// Starts the calm phase, without faults.
    pub(crate) fn calm(&self) {
        let mut state = self.state();
        state.calm = true;
        state.unavailable_until = [0; 3];
        state.cut_until.fill(0);
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.state().calm
    }

    pub(crate) fn end(&self) {
        self.state().over = true;
    }

    /// Advances the time to the next timer. Returns whether there was one.
    pub(super) fn advance_time(&self) -> bool {
        let Some((at, waker)) = self.state().timers.pop_first() else { return false };
        self.state().now_us = at.0;
        waker.wake();
        true
    }

    /// Chooses the next of `count` tasks and adds the choice to the trace.
    pub(super) fn choose(&self, count: usize) -> usize {
        let mut state = self.state();
        state.steps += 1;
        let chosen = state.chance.below(count as u64);
        let now_us = state.now_us;
        state.trace.hash.write_u64(now_us ^ (chosen << 48));
        chosen as usize
    }

    /// Returns the hash of the trace and the coverage.
    pub(super) fn trace(&self) -> (u64, BTreeMap<&'static str, u64>) {
        let mut state = self.state();
        (state.trace.hash.finish(), mem::take(&mut state.trace.coverage))
    }

    pub(super) fn violation(&self) -> Option<String> {
        self.state().violation.clone()
    }

    pub(super) fn is_over(&self) -> bool {
        let state = self.state();
        state.over || state.violation.is_some()
    }
}

//! Time, chance and processes: everything that happens in a run goes through here, so that a seed decides all of it.

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

/// A process by its number; see [`Plan::server`] and [`Plan::worker`].
pub(crate) type Process = usize;

/// The process of the users, the network and those who direct: nothing kills it.
pub(crate) const OUTSIDE: Process = 0;

/// What servers and workers stand on, and what may be away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Database,
    Blobs,
    Broker,
}

pub(crate) struct Kernel {
    pub(crate) plan: Plan,
    pub(crate) ready: Arc<Ready>,
    /// Told when a process has died.
    pub(crate) fell: Event,
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
    /// Whose task is running.
    pub(super) current: (u64, Process, &'static str),
    /// Tasks are being dropped because their process died: no code of theirs would run.
    pub(super) dying: bool,
    alive: Vec<bool>,
    fallen: Vec<Process>,
    pub(super) crashes: u64,
    away_until: [u64; 3],
    cut_until: Vec<u64>,
    skew_s: Vec<i64>,
    pub(super) calm: bool,
    pub(super) over: bool,
    violation: Option<String>,
    pub(super) trace: Trace,
}

impl Kernel {
    pub(crate) fn new(seed: u64, plan: Plan, told: bool) -> Arc<Self> {
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
            fallen: Vec::new(),
            crashes: plan.crashes,
            away_until: [0; 3],
            cut_until: vec![0; plan.processes()],
            skew_s,
            calm: false,
            over: false,
            violation: None,
            trace: Trace::new(told),
        };
        Arc::new(Self { plan, ready: Arc::default(), fell: Event::new(), state: Mutex::new(state) })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("a run has one thread")
    }

    pub(crate) fn now_us(&self) -> u64 {
        self.state().now_us
    }

    /// How far the clock of the process that asks is from the true one.
    pub(crate) fn skew_s(&self) -> i64 {
        let state = self.state();
        state.skew_s[state.current.1]
    }

    /// How many times a task was run: a finer clock.
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

    /// Whether a fault of this rate comes now; none does once it is calm.
    pub(crate) fn fault(&self, rate: u64) -> bool {
        let mut state = self.state();
        rate > 0 && !state.calm && state.chance.per_mille(rate)
    }

    pub(crate) fn note(&self, what: fmt::Arguments<'_>) {
        let mut state = self.state();
        let (now_us, who) = (state.now_us, state.current.1);
        state.trace.note(now_us, who, what);
    }

    /// Counts something that runs are to meet.
    pub(crate) fn met(&self, what: &'static str) {
        self.state().trace.met(what);
    }

    /// A promise was broken; the run ends here.
    pub(crate) fn broken(&self, what: fmt::Arguments<'_>) {
        self.note(format_args!("BROKEN: {what}"));
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

    /// Drops every task of a process before anything else runs.
    pub(crate) fn kill(&self, process: Process) {
        let mut state = self.state();
        if mem::replace(&mut state.alive[process], false) {
            state.killed.push(process);
            state.fallen.push(process);
            drop(state);
            self.note(format_args!("process {process} is dead"));
            self.fell.notify(usize::MAX);
        }
    }

    /// Drops what a process had that died.
    pub(crate) fn let_die(&self, what: impl Sized) {
        self.state().dying = true;
        drop(what);
        self.state().dying = false;
    }

    /// Who died since this was asked last.
    pub(crate) fn fallen(&self) -> Vec<Process> {
        mem::take(&mut self.state().fallen)
    }

    pub(crate) fn take_away(&self, place: Place, for_us: u64) {
        let mut state = self.state();
        state.away_until[place as usize] = state.now_us + for_us;
    }

    pub(crate) fn is_away(&self, place: Place) -> bool {
        let state = self.state();
        state.away_until[place as usize] > state.now_us
    }

    /// Takes the network from a process.
    pub(crate) fn cut(&self, process: Process, for_us: u64) {
        let mut state = self.state();
        state.cut_until[process] = state.now_us + for_us;
    }

    pub(crate) fn is_cut(&self, process: Process) -> bool {
        let state = self.state();
        state.cut_until[process] > state.now_us
    }

    /// From here on nothing goes wrong any more.
    pub(crate) fn calm(&self) {
        let mut state = self.state();
        state.calm = true;
        state.away_until = [0; 3];
        state.cut_until.fill(0);
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.state().calm
    }

    pub(crate) fn end(&self) {
        self.state().over = true;
    }

    /// Lets time pass until the next timer. Whether there was one.
    pub(super) fn pass(&self) -> bool {
        let Some((at, waker)) = self.state().timers.pop_first() else { return false };
        self.state().now_us = at.0;
        waker.wake();
        true
    }

    /// Chooses which of so many goes next, and remembers the choice in the trace.
    pub(super) fn choose(&self, among: usize) -> usize {
        let mut state = self.state();
        state.steps += 1;
        let chosen = state.chance.below(among as u64);
        let now_us = state.now_us;
        state.trace.hash.write_u64(now_us ^ (chosen << 48));
        chosen as usize
    }

    /// The trace as a number, and what was met.
    pub(super) fn trace(&self) -> (u64, BTreeMap<&'static str, u64>) {
        let mut state = self.state();
        (state.trace.hash.finish(), mem::take(&mut state.trace.met))
    }

    pub(super) fn violation(&self) -> Option<String> {
        self.state().violation.clone()
    }

    pub(super) fn is_over(&self) -> bool {
        let state = self.state();
        state.over || state.violation.is_some()
    }
}

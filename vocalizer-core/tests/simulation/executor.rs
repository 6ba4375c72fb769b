//! Runs tasks one after the other, in an order that the seed chooses.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};

use super::kernel::{Kernel, OUTSIDE, Process};

/// A run that takes more steps than this goes round in circles.
const MOST_STEPS: u64 = 3_000_000;

/// Tasks that have something to do.
#[derive(Default)]
pub(crate) struct Ready(Mutex<Vec<u64>>);

pub(crate) struct Task {
    number: u64,
    process: Process,
    role: &'static str,
    work: Pin<Box<dyn Future<Output = ()> + Send>>,
    wakes: Arc<Wakes>,
    waker: Waker,
}

struct Wakes {
    number: u64,
    ready: Arc<Ready>,
    queued: AtomicBool,
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::Relaxed) {
            self.ready.0.lock().expect("a run has one thread").push(self.number);
        }
    }
}

impl Task {
    pub(crate) fn new(
        number: u64,
        process: Process,
        role: &'static str,
        work: Pin<Box<dyn Future<Output = ()> + Send>>,
        ready: &Arc<Ready>,
    ) -> Self {
        let wakes = Arc::new(Wakes { number, ready: Arc::clone(ready), queued: AtomicBool::new(false) });
        Self { number, process, role, work, waker: Arc::clone(&wakes).into(), wakes }
    }
}

/// Runs until the run is over or a promise was broken, and drops all tasks.
pub(crate) fn run(kernel: &Kernel) {
    let mut tasks = Tasks::default();
    loop {
        tasks.tidy(kernel);
        if kernel.is_over() {
            break;
        }
        let Some(number) = next(kernel) else { break };
        tasks.poll(kernel, number);
    }
    kernel.state().dying = true;
    tasks.0.clear();
    loop {
        // Dropped without the lock, for what they hold takes it.
        let spawned = mem::take(&mut kernel.state().spawned);
        if spawned.is_empty() {
            return;
        }
    }
}

fn next(kernel: &Kernel) -> Option<u64> {
    loop {
        if kernel.steps() > MOST_STEPS {
            kernel.broken(format_args!("it goes round in circles"));
            return None;
        }
        let among = kernel.ready.0.lock().expect("a run has one thread").len();
        if among > 0 {
            let chosen = kernel.choose(among);
            return Some(kernel.ready.0.lock().expect("a run has one thread").swap_remove(chosen));
        }
        if !kernel.pass() {
            kernel.broken(format_args!("nothing will ever happen any more"));
            return None;
        }
    }
}

/// In the order of their numbers, so that what is done to several at once has an order, too.
#[derive(Default)]
struct Tasks(Vec<Task>);

impl Tasks {
    fn place(&self, number: u64) -> Option<usize> {
        self.0.binary_search_by_key(&number, |task| task.number).ok()
    }

    /// Takes in what was spawned, and drops what was killed.
    fn tidy(&mut self, kernel: &Kernel) {
        loop {
            let mut state = kernel.state();
            let spawned = mem::take(&mut state.spawned);
            let (killed, dropped) = (mem::take(&mut state.killed), mem::take(&mut state.dropped));
            if spawned.is_empty() && killed.is_empty() && dropped.is_empty() {
                return;
            }
            state.dying = !killed.is_empty();
            drop(state);
            for task in spawned {
                task.waker.wake_by_ref();
                self.0.push(task);
            }
            if !killed.is_empty() {
                self.0.retain(|task| !killed.contains(&task.process));
                kernel.state().dying = false;
            }
            for number in dropped {
                if let Some(place) = self.place(number) {
                    let task = self.0.remove(place);
                    kernel.state().current = (task.number, task.process, task.role);
                    drop(task);
                }
            }
            kernel.state().current = (0, OUTSIDE, "kernel");
        }
    }

    fn poll(&mut self, kernel: &Kernel, number: u64) {
        let Some(place) = self.place(number) else { return };
        let task = &mut self.0[place];
        task.wakes.queued.store(false, Ordering::Relaxed);
        kernel.state().current = (task.number, task.process, task.role);
        if task.work.as_mut().poll(&mut Context::from_waker(&task.waker)).is_ready() {
            drop(self.0.remove(place));
        }
        kernel.state().current = (0, OUTSIDE, "kernel");
    }
}

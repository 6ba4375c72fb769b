//! A single-threaded executor that runs tasks in an order chosen by the seed.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};

use super::kernel::{Kernel, OUTSIDE, Process};

/// A run with more steps than this is stuck in a loop.
const MAX_STEPS: u64 = 3_000_000;

/// The numbers of the runnable tasks.
#[derive(Default)]
pub(crate) struct Ready(Mutex<Vec<u64>>);

pub(crate) struct Task {
    number: u64,
    process: Process,
    role: &'static str,
    work: Pin<Box<dyn Future<Output = ()> + Send>>,
    wakes: Arc<TaskWaker>,
    waker: Waker,
}

struct TaskWaker {
    number: u64,
    ready: Arc<Ready>,
    queued: AtomicBool,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::Relaxed) {
            self.ready.0.lock().expect("single-threaded").push(self.number);
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
        let wakes = Arc::new(TaskWaker { number, ready: Arc::clone(ready), queued: AtomicBool::new(false) });
        Self { number, process, role, work, waker: Arc::clone(&wakes).into(), wakes }
    }
}

/// Runs until the run is over or an invariant is violated, then drops all tasks.
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
        // Dropped without the lock, because the destructors take it.
        let spawned = mem::take(&mut kernel.state().spawned);
        if spawned.is_empty() {
            return;
        }
    }
}

fn next(kernel: &Kernel) -> Option<u64> {
    loop {
        if kernel.steps() > MAX_STEPS {
            kernel.violated(format_args!("more than {MAX_STEPS} steps"));
            return None;
        }
        let count = kernel.ready.0.lock().expect("single-threaded").len();
        if count > 0 {
            let chosen = kernel.choose(count);
            return Some(kernel.ready.0.lock().expect("single-threaded").swap_remove(chosen));
        }
        if !kernel.advance_time() {
            kernel.violated(format_args!("deadlock: no task and no timer is pending"));
            return None;
        }
    }
}

/// The tasks, ordered by number, so that operations on several of them are deterministic.
#[derive(Default)]
struct Tasks(Vec<Task>);

impl Tasks {
    fn index(&self, number: u64) -> Option<usize> {
        self.0.binary_search_by_key(&number, |task| task.number).ok()
    }

    /// Adds spawned tasks and drops killed ones.
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
                if let Some(index) = self.index(number) {
                    let task = self.0.remove(index);
                    kernel.state().current = (task.number, task.process, task.role);
                    drop(task);
                }
            }
            kernel.state().current = (0, OUTSIDE, "kernel");
        }
    }

    fn poll(&mut self, kernel: &Kernel, number: u64) {
        let Some(index) = self.index(number) else { return };
        let task = &mut self.0[index];
        task.wakes.queued.store(false, Ordering::Relaxed);
        kernel.state().current = (task.number, task.process, task.role);
        if task.work.as_mut().poll(&mut Context::from_waker(&task.waker)).is_ready() {
            drop(self.0.remove(index));
        }
        kernel.state().current = (0, OUTSIDE, "kernel");
    }
}

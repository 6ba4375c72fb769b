//! Injects faults during the busy phase and checks the final state after the calm phase.

use std::sync::Arc;

use vocalizer_core::account::Viewer;
use vocalizer_core::ports::{SongFilter, SongRepository};
use vocalizer_core::song::{Song, StatusKind};

use super::executor;
use super::kernel::{Component, Kernel, OUTSIDE};
use super::plan::{HOUR, MINUTE, Plan, SECOND};
use super::planted::Bug;
use super::world::World;

/// How long a run may take to finish after the last fault: a lost job is requested again after an hour, and each of its
/// songs may be tried several times.
const TIMEOUT_US: u64 = 6 * HOUR;

/// The result of a run.
pub(crate) struct Outcome {
    pub(crate) violation: Option<String>,
    pub(crate) trace: u64,
    pub(crate) coverage: std::collections::BTreeMap<&'static str, u64>,
    pub(crate) steps: u64,
}

/// Runs a seed.
pub(crate) fn run(seed: u64, bug: Option<Bug>, verbose: bool) -> Outcome {
    let plan = Plan::of(seed, bug);
    if verbose {
        println!("{plan:#?}");
    }
    let kernel = Kernel::new(seed, plan, verbose);
    let world = World::new(&kernel);
    for process in 1..kernel.plan.processes() {
        world.start(process);
    }
    kernel.spawn(OUTSIDE, "restart", Arc::clone(&world).restart());
    kernel.spawn(OUTSIDE, "inject_faults", Arc::clone(&world).inject_faults());
    for _ in 0..kernel.plan.users {
        kernel.spawn(OUTSIDE, "user", Arc::clone(&world).user());
    }
    kernel.spawn(OUTSIDE, "supervisor", Arc::clone(&world).supervise());
    executor::run(&kernel);
    let (violation, steps) = (kernel.violation(), kernel.steps());
    let (trace, coverage) = kernel.trace();
    Outcome { violation, trace, coverage, steps }
}

impl World {
    async fn inject_faults(self: Arc<Self>) {
        let kernel = &self.kernel;
        loop {
            kernel.sleep(kernel.below(90 * SECOND)).await;
            if kernel.is_calm() || !kernel.plan.disturbed {
                return;
            }
            let process = kernel.between(1, kernel.plan.processes() as u64 - 1) as usize;
            let for_us = kernel.below(if kernel.one_in(4) { 5 * MINUTE } else { 20 * SECOND });
            match kernel.below(8) {
                0 => self.make_unavailable(Component::Database, for_us),
                1 => self.make_unavailable(Component::Blobs, for_us),
                2 => {
                    self.make_unavailable(Component::Broker, for_us);
                    if kernel.one_in(2) {
                        self.broker.cut(None);
                    }
                    self.broker.wake();
                }
                3 => {
                    self.broker.cut(Some(process));
                    kernel.cut(process, for_us);
                }
                4 if kernel.plan.rates.job_lost > 0 => self.broker.lose(),
                5 => {
                    if let Some(worker) = kernel.plan.worker(process) {
                        kernel.note(format_args!("worker {worker} is asked to stop"));
                        self.stops[worker].notify(usize::MAX);
                    }
                }
                _ => kernel.kill(process),
            }
        }
    }

    fn make_unavailable(&self, component: Component, for_us: u64) {
        self.kernel.note(format_args!("{component:?} is unavailable for {} s", for_us / SECOND));
        self.kernel.make_unavailable(component, for_us);
    }

    async fn supervise(self: Arc<Self>) {
        let kernel = &self.kernel;
        kernel.sleep(kernel.plan.busy_us).await;
        kernel.calm();
        kernel.note(format_args!("calm"));
        let until_us = kernel.now_us() + TIMEOUT_US;
        loop {
            kernel.sleep(15 * SECOND).await;
            if self.unfinished().is_none() {
                // Delayed requests must not change the result.
                kernel.sleep(2 * MINUTE).await;
                if self.unfinished().is_none() {
                    break;
                }
            }
            if kernel.now_us() > until_us {
                let what = self.unfinished().unwrap_or_default();
                return kernel.violated(format_args!("not finished in time: {what}"));
            }
        }
        self.check_songs();
        self.check_blobs().await;
        kernel.end();
    }

    fn songs(&self) -> Vec<Song> {
        self.database.peek(|songs| songs.list(&ALL))
    }

    /// Describes unfinished work; `None` if there is none.
    fn unfinished(&self) -> Option<String> {
        let waiting = |song: &&Song| !matches!(song.status().kind(), StatusKind::Split | StatusKind::Failed);
        let songs = self.songs().iter().filter(waiting).count();
        let (outbox, broker) = (self.database.outbox_is_empty(), self.broker.is_empty());
        (songs > 0 || !outbox || !broker)
            .then(|| format!("{songs} songs wait, outbox empty: {outbox}, broker empty: {broker}"))
    }

    /// Checks that every accepted song that was not deleted exists and is `SPLIT` or `FAILED`.
    fn check_songs(&self) {
        let songs = self.songs();
        let accepted = self.accepted.lock().expect("single-threaded").clone();
        for (number, (id, deleted)) in accepted.iter().enumerate() {
            match songs.iter().find(|song| song.id() == *id).map(|song| song.status().kind()) {
                Some(StatusKind::Split) => self.kernel.cover("ended SPLIT"),
                Some(StatusKind::Failed) => self.kernel.cover("ended FAILED"),
                Some(other) => self.kernel.violated(format_args!("upload {number} ended {other}")),
                None if *deleted => {}
                None => self.kernel.violated(format_args!("upload {number} was accepted and is missing")),
            }
        }
        for song in songs {
            let unsplittable = self.kernel.plan.contents[self.kernel.plan.content(song.hash())].unsplittable;
            if unsplittable && song.status().kind() == StatusKind::Split {
                self.kernel.violated(format_args!("an unsplittable song is SPLIT"));
            }
        }
    }

    /// Checks that sweeps leave only blobs of existing songs. If there is no song at all, a sweep deletes nothing.
    async fn check_blobs(&self) {
        for _ in 0..20 {
            for server in 0..self.kernel.plan.servers {
                if let Some((process, service)) = self.service(server) {
                    self.kernel.spawn(process, "sweep", async move { drop(service.sweep().await) });
                }
            }
            self.kernel.sleep(MINUTE).await;
            let songs = self.songs();
            if songs.is_empty() || self.blobs.peek().iter().all(|hash| songs.iter().any(|song| song.hash() == hash)) {
                return;
            }
        }
        self.kernel.violated(format_args!("blobs without a song are left"));
    }
}

const ALL: SongFilter = SongFilter::all_of(Viewer::Anonymous);

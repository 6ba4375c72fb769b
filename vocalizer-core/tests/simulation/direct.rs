//! What goes wrong over the whole while it is busy, and what must be true once it has been calm.

use std::sync::Arc;

use vocalizer_core::account::Viewer;
use vocalizer_core::ports::{SongQuery, SongRepository};
use vocalizer_core::song::{Song, StatusKind};

use super::executor;
use super::kernel::{Kernel, OUTSIDE, Place};
use super::plan::{HOUR, MINUTE, Plan, SECOND};
use super::planted::Bug;
use super::world::World;

/// How long everything may take once nothing goes wrong any more: a lost job is asked for again after an hour, and each
/// of its songs may be tried several times.
const PATIENCE_US: u64 = 6 * HOUR;

/// How a run ended.
pub(crate) struct Outcome {
    pub(crate) violation: Option<String>,
    pub(crate) trace: u64,
    pub(crate) met: std::collections::BTreeMap<&'static str, u64>,
    pub(crate) steps: u64,
}

/// Runs a seed to its end.
pub(crate) fn run(seed: u64, bug: Option<Bug>, told: bool) -> Outcome {
    let plan = Plan::of(seed, bug);
    if told {
        println!("{plan:#?}");
    }
    let kernel = Kernel::new(seed, plan, told);
    let world = World::new(&kernel);
    for process in 1..kernel.plan.processes() {
        world.start(process);
    }
    kernel.spawn(OUTSIDE, "restart", Arc::clone(&world).restart());
    kernel.spawn(OUTSIDE, "disturb", Arc::clone(&world).disturb());
    for _ in 0..kernel.plan.users {
        kernel.spawn(OUTSIDE, "user", Arc::clone(&world).user());
    }
    kernel.spawn(OUTSIDE, "direct", Arc::clone(&world).direct());
    executor::run(&kernel);
    let (violation, steps) = (kernel.violation(), kernel.steps());
    let (trace, met) = kernel.trace();
    Outcome { violation, trace, met, steps }
}

impl World {
    async fn disturb(self: Arc<Self>) {
        let kernel = &self.kernel;
        loop {
            kernel.sleep(kernel.below(90 * SECOND)).await;
            if kernel.is_calm() || !kernel.plan.disturbed {
                return;
            }
            let process = kernel.between(1, kernel.plan.processes() as u64 - 1) as usize;
            let for_us = kernel.below(if kernel.one_in(4) { 5 * MINUTE } else { 20 * SECOND });
            match kernel.below(8) {
                0 => self.take_away(Place::Database, for_us),
                1 => self.take_away(Place::Blobs, for_us),
                2 => {
                    self.take_away(Place::Broker, for_us);
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
                        kernel.note(format_args!("worker {worker} is to stop"));
                        self.stops[worker].notify(usize::MAX);
                    }
                }
                _ => kernel.kill(process),
            }
        }
    }

    fn take_away(&self, place: Place, for_us: u64) {
        self.kernel.note(format_args!("{place:?} is away for {} s", for_us / SECOND));
        self.kernel.take_away(place, for_us);
    }

    async fn direct(self: Arc<Self>) {
        let kernel = &self.kernel;
        kernel.sleep(kernel.plan.busy_us).await;
        kernel.calm();
        kernel.note(format_args!("calm"));
        let until_us = kernel.now_us() + PATIENCE_US;
        loop {
            kernel.sleep(15 * SECOND).await;
            if self.waits_for().is_none() {
                // What is still on its way must not change it.
                kernel.sleep(2 * MINUTE).await;
                if self.waits_for().is_none() {
                    break;
                }
            }
            if kernel.now_us() > until_us {
                let what = self.waits_for().unwrap_or_default();
                return kernel.broken(format_args!("it never came to rest: {what}"));
            }
        }
        self.check_songs();
        self.check_blobs().await;
        kernel.end();
    }

    fn songs(&self) -> Vec<Song> {
        self.database.peek(|songs| songs.list(&ALL))
    }

    /// What is not done yet.
    fn waits_for(&self) -> Option<String> {
        let waiting = |song: &&Song| !matches!(song.status().kind(), StatusKind::Split | StatusKind::Failed);
        let songs = self.songs().iter().filter(waiting).count();
        let (outbox, broker) = (self.database.outbox_is_empty(), self.broker.is_empty());
        (songs > 0 || !outbox || !broker)
            .then(|| format!("{songs} songs wait, outbox empty: {outbox}, broker empty: {broker}"))
    }

    /// Whatever was accepted and not deleted is there, and has come to its end.
    fn check_songs(&self) {
        let songs = self.songs();
        let accepted = self.accepted.lock().expect("a run has one thread").clone();
        for (number, (id, deleted)) in accepted.iter().enumerate() {
            match songs.iter().find(|song| song.id() == *id).map(|song| song.status().kind()) {
                Some(StatusKind::Split) => self.kernel.met("ended SPLIT"),
                Some(StatusKind::Failed) => self.kernel.met("ended FAILED"),
                Some(other) => self.kernel.broken(format_args!("upload {number} ended {other}")),
                None if *deleted => {}
                None => self.kernel.broken(format_args!("upload {number} was accepted and is gone")),
            }
        }
        for song in songs {
            let hopeless = self.kernel.plan.contents[self.kernel.plan.content(song.hash())].hopeless;
            if hopeless && song.status().kind() == StatusKind::Split {
                self.kernel.broken(format_args!("a hopeless song is SPLIT"));
            }
        }
    }

    /// After a sweep there are blobs of songs, and no others. Where there is no song at all a sweep deletes nothing.
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
        self.kernel.broken(format_args!("blobs of songs that nobody has are left"));
    }
}

const ALL: SongQuery = SongQuery::all_of(Viewer::Anonymous);

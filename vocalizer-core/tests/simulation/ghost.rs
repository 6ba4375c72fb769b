//! Ghost state: observes every step and checks the invariants, without influencing the run.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use vocalizer_core::ports::Pending;
use vocalizer_core::song::{FailureReason, Song, SongHash, SongId, StatusKind};

use super::kernel::{Kernel, Process};
use super::planted::Bug;

/// The observed facts about one content.
#[derive(Debug, Clone, Default)]
struct Facts {
    songs: usize,
    /// Whether a song is `UPLOADED` or `SPLITTING`.
    wanted: bool,
    split: bool,
    /// The last step at which no song waited for a result.
    unwanted_at: u64,
    /// The last step at which the broker accepted a job for it.
    published_at: Option<u64>,
    source: bool,
    /// Whether its source was ever damaged.
    was_damaged: bool,
    /// The content and the attempt of each stored stem.
    stems: [Option<(usize, u64)>; 4],
}

#[derive(Debug, Default)]
struct State {
    facts: Vec<Facts>,
    /// The sequence number of each song, because identifiers are random, and its last status.
    songs: BTreeMap<SongId, (usize, StatusKind)>,
    /// The content of each outbox entry and the step at which it was added.
    entries: BTreeMap<i64, (usize, u64)>,
    /// The spent attempts of each job, independent of the queue's count.
    spent: BTreeMap<u64, u32>,
    /// The job that each process holds or held last.
    holds: BTreeMap<Process, u64>,
    /// Whether the job for a content was leased when a task last read its state.
    reported_leased: BTreeMap<(u64, usize), bool>,
}

pub(crate) struct Ghost {
    kernel: Arc<Kernel>,
    state: Mutex<State>,
}

impl Ghost {
    pub(crate) fn new(kernel: &Arc<Kernel>) -> Arc<Self> {
        let facts = vec![Facts::default(); kernel.plan.contents.len()];
        let state = State { facts, ..State::default() };
        Arc::new(Self { kernel: Arc::clone(kernel), state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("single-threaded")
    }

    /// Records a change of the songs with a hash or of the outbox.
    pub(crate) fn stored(&self, hash: &SongHash, songs: &[Song], outbox: &[Pending]) {
        let (kernel, content, step) = (&self.kernel, self.kernel.plan.content(hash), self.kernel.steps());
        let mut state = self.state();
        let State { facts, songs: known, entries, .. } = &mut *state;
        let facts = &mut facts[content];
        if !facts.wanted {
            facts.unwanted_at = step;
        }
        facts.songs = songs.len();
        let has = |kinds: &[StatusKind]| songs.iter().any(|song| kinds.contains(&song.status().kind()));
        facts.wanted = has(&[StatusKind::Uploaded, StatusKind::Splitting]);
        facts.split = has(&[StatusKind::Split]);
        if !facts.wanted {
            facts.unwanted_at = step;
        }
        if facts.songs > 0 && !facts.source {
            kernel.violated(format_args!("content {content} has songs and no source"));
        }
        if facts.split && facts.wanted {
            kernel.violated(format_args!("content {content} has a song that is SPLIT and one that waits"));
        }
        let [first, ..] = facts.stems;
        let complete = first.is_some_and(|(of, _)| of == content) && facts.stems.iter().all(|stem| *stem == first);
        if facts.split && !complete {
            kernel.violated(format_args!("content {content} is SPLIT with the stems {:?}", facts.stems));
        }
        for song in songs {
            let (kind, count) = (song.status().kind(), known.len());
            let (number, before) = known.entry(song.id()).or_insert((count, StatusKind::Uploading));
            if *before == StatusKind::Split && kind != StatusKind::Split {
                kernel.violated(format_args!("song {number} went from SPLIT to {kind}"));
            }
            if *before != kind {
                kernel.note(format_args!("song {number} of content {content} is {kind}"));
                *before = kind;
            }
        }
        for entry in outbox {
            entries.entry(entry.number).or_insert((kernel.plan.content(&entry.hash), step));
        }
    }

    /// Records the removal of an outbox entry.
    pub(crate) fn entry_removed(&self, number: i64) {
        let state = self.state();
        let Some((content, since)) = state.entries.get(&number).copied() else { return };
        let facts = &state.facts[content];
        let unwanted = !facts.wanted || facts.unwanted_at >= since;
        if facts.published_at.is_none_or(|at| at < since) && !unwanted {
            self.kernel.violated(format_args!("entry {number} for content {content} was removed without publishing"));
        }
    }

    pub(crate) fn published(&self, content: usize) {
        let step = self.kernel.steps();
        self.state().facts[content].published_at = Some(step);
    }

    pub(crate) fn source_stored(&self, content: usize) {
        self.state().facts[content].source = true;
    }

    pub(crate) fn source_damaged(&self, content: usize) {
        self.state().facts[content].was_damaged = true;
    }

    pub(crate) fn stem_stored(&self, content: usize, stem: usize, of: Option<(usize, u64)>) {
        let mut state = self.state();
        let facts = &mut state.facts[content];
        if facts.split {
            self.kernel.violated(format_args!("a stem of content {content}, which is SPLIT, was stored again"));
        }
        if facts.songs == 0 {
            self.kernel.violated(format_args!("a stem of content {content} was stored without a song"));
        }
        facts.stems[stem] = of;
    }

    pub(crate) fn blobs_deleted(&self, content: usize) {
        let mut state = self.state();
        let facts = &mut state.facts[content];
        if facts.songs > 0 {
            self.kernel
                .violated(format_args!("the blobs of content {content} were deleted under {} songs", facts.songs));
        }
        (facts.source, facts.stems) = (false, [None; 4]);
    }

    pub(crate) fn granted(&self, process: Process, job: u64) {
        self.state().holds.insert(process, job);
    }

    /// Returns the job that a process holds or held last.
    pub(crate) fn held(&self, process: Process) -> Option<u64> {
        self.state().holds.get(&process).copied()
    }

    /// Records a spent attempt: it failed, its worker crashed, or its lease expired.
    pub(crate) fn spent(&self, job: u64) {
        *self.state().spent.entry(job).or_default() += 1;
    }

    /// Records that a job was settled, with a lease granted at step `since`.
    pub(crate) fn settled(&self, content: usize, since: u64) {
        let state = self.state();
        let facts = &state.facts[content];
        if facts.wanted && facts.unwanted_at < since {
            self.kernel.violated(format_args!("a job of content {content} was settled before its result was accepted"));
        }
    }

    /// Records a worker's report that a song cannot be split.
    pub(crate) fn failed(&self, process: Process, hash: &SongHash, reason: &FailureReason, max_attempts: u32) {
        let content = self.kernel.plan.content(hash);
        let state = self.state();
        let spent = state.holds.get(&process).and_then(|job| state.spent.get(job)).copied().unwrap_or(0);
        let tried = reason.as_str().starts_with("tried ");
        self.kernel.cover(if tried { "gave up after attempts" } else { "gave up immediately" });
        if tried && spent < max_attempts {
            self.kernel.violated(format_args!("content {content} FAILED after {spent} attempts were spent: {reason}"));
        }
        let damaged = reason.as_str().contains("damaged") && state.facts[content].was_damaged;
        if !tried && !damaged && !self.kernel.plan.contents[content].unsplittable {
            self.kernel.violated(format_args!("content {content} FAILED and is not unsplittable: {reason}"));
        }
    }

    /// Records that the state of a job was read.
    pub(crate) fn job_state_read(&self, content: usize, leased: bool) {
        let (task, ..) = self.kernel.current();
        self.state().reported_leased.insert((task, content), leased);
    }

    /// Records that songs are handed back. A sweep may do so only if their job was not leased when it looked.
    pub(crate) fn handed_back(&self, hash: &SongHash) {
        let content = self.kernel.plan.content(hash);
        let (task, _, role) = self.kernel.current();
        if role != "maintenance" {
            return;
        }
        self.kernel.cover("handed back by sweep");
        if self.kernel.plan.exact && self.state().reported_leased.get(&(task, content)) == Some(&true) {
            self.kernel.violated(format_args!("a sweep handed back content {content}, whose job is leased"));
        }
    }

    /// Returns whether this bug is planted.
    pub(crate) fn has(&self, bug: Bug) -> bool {
        self.kernel.plan.bug == Some(bug)
    }
}

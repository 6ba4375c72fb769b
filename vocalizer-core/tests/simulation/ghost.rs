//! What must hold at every step, checked by one who sees everything and whom nobody asks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use vocalizer_core::ports::Pending;
use vocalizer_core::song::{FailureReason, Song, SongHash, SongId, StatusKind};

use super::kernel::{Kernel, Process};
use super::planted::Bug;

/// What is true of the songs with one content.
#[derive(Debug, Clone, Default)]
struct Facts {
    songs: usize,
    /// Some song is `UPLOADED` or `SPLITTING`.
    wanted: bool,
    split: bool,
    /// The last step at which nobody waited for a result.
    unwanted_at: u64,
    /// The last step at which the broker took a job for it.
    published_at: Option<u64>,
    source: bool,
    /// It was not what was stored, at some time.
    was_damaged: bool,
    /// Whose song each stem is of, and which attempt made it.
    stems: [Option<(usize, u64)>; 4],
}

#[derive(Debug, Default)]
struct State {
    facts: Vec<Facts>,
    /// Songs in the order in which they came, since their identifiers are random; and whether each has been split.
    songs: BTreeMap<SongId, (usize, StatusKind)>,
    /// Since when each wish is in the outbox.
    wishes: BTreeMap<i64, (usize, u64)>,
    /// Attempts of each job that were spent, whatever the queue counts.
    spent: BTreeMap<u64, u32>,
    /// The job that each process holds, or held last.
    holds: BTreeMap<Process, u64>,
    /// What the last sweep at each server heard of the job of a content: whether it was leased.
    heard_leased: BTreeMap<(u64, usize), bool>,
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
        self.state.lock().expect("a run has one thread")
    }

    /// The songs of a hash, or the outbox, have changed.
    pub(crate) fn stored(&self, hash: &SongHash, songs: &[Song], outbox: &[Pending]) {
        let (kernel, content, step) = (&self.kernel, self.kernel.plan.content(hash), self.kernel.steps());
        let mut state = self.state();
        let State { facts, songs: known, wishes, .. } = &mut *state;
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
            kernel.broken(format_args!("content {content} has songs and no source"));
        }
        if facts.split && facts.wanted {
            kernel.broken(format_args!("content {content} has a song that is SPLIT and one that waits"));
        }
        let [first, ..] = facts.stems;
        let whole = first.is_some_and(|(of, _)| of == content) && facts.stems.iter().all(|stem| *stem == first);
        if facts.split && !whole {
            kernel.broken(format_args!("content {content} is SPLIT with the stems {:?}", facts.stems));
        }
        for song in songs {
            let (kind, count) = (song.status().kind(), known.len());
            let (number, before) = known.entry(song.id()).or_insert((count, StatusKind::Uploading));
            if *before == StatusKind::Split && kind != StatusKind::Split {
                kernel.broken(format_args!("song {number} went from SPLIT to {kind}"));
            }
            if *before != kind {
                kernel.note(format_args!("song {number} of content {content} is {kind}"));
                *before = kind;
            }
        }
        for wish in outbox {
            wishes.entry(wish.number).or_insert((kernel.plan.content(&wish.hash), step));
        }
    }

    /// A wish is crossed off.
    pub(crate) fn crossed_off(&self, number: i64) {
        let state = self.state();
        let Some((content, since)) = state.wishes.get(&number).copied() else { return };
        let facts = &state.facts[content];
        let unwanted = !facts.wanted || facts.unwanted_at >= since;
        if facts.published_at.is_none_or(|at| at < since) && !unwanted {
            self.kernel.broken(format_args!("wish {number} for content {content} was crossed off and never published"));
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
            self.kernel.broken(format_args!("a stem of content {content}, which is SPLIT, was stored again"));
        }
        if facts.songs == 0 {
            self.kernel.broken(format_args!("a stem of content {content} was stored, which nobody has"));
        }
        facts.stems[stem] = of;
    }

    pub(crate) fn blobs_deleted(&self, content: usize) {
        let mut state = self.state();
        let facts = &mut state.facts[content];
        if facts.songs > 0 {
            self.kernel.broken(format_args!("the blobs of content {content} were deleted under {} songs", facts.songs));
        }
        (facts.source, facts.stems) = (false, [None; 4]);
    }

    pub(crate) fn granted(&self, process: Process, job: u64) {
        self.state().holds.insert(process, job);
    }

    /// The job that a process holds, or held last.
    pub(crate) fn held(&self, process: Process) -> Option<u64> {
        self.state().holds.get(&process).copied()
    }

    /// An attempt at a job was spent: it failed, its worker died, or its lease ran out.
    pub(crate) fn spent(&self, job: u64) {
        *self.state().spent.entry(job).or_default() += 1;
    }

    /// A job left the queue for good, after a lease that was granted at `since`.
    pub(crate) fn settled(&self, content: usize, since: u64) {
        let state = self.state();
        let facts = &state.facts[content];
        if facts.wanted && facts.unwanted_at < since {
            self.kernel.broken(format_args!("a job of content {content} was settled before its result was accepted"));
        }
    }

    /// A worker says that a song cannot be split.
    pub(crate) fn failed(&self, process: Process, hash: &SongHash, reason: &FailureReason, max_attempts: u32) {
        let content = self.kernel.plan.content(hash);
        let state = self.state();
        let spent = state.holds.get(&process).and_then(|job| state.spent.get(job)).copied().unwrap_or(0);
        let tried = reason.as_str().starts_with("tried ");
        self.kernel.met(if tried { "gave up after attempts" } else { "gave up at once" });
        if tried && spent < max_attempts {
            self.kernel.broken(format_args!("content {content} FAILED after {spent} attempts were spent: {reason}"));
        }
        let damaged = reason.as_str().contains("damaged") && state.facts[content].was_damaged;
        if !tried && !damaged && !self.kernel.plan.contents[content].hopeless {
            self.kernel.broken(format_args!("content {content} FAILED and is not hopeless: {reason}"));
        }
    }

    /// A sweep asked where the job of a content is.
    pub(crate) fn asked(&self, content: usize, leased: bool) {
        let (task, ..) = self.kernel.current();
        self.state().heard_leased.insert((task, content), leased);
    }

    /// Songs are handed back. By a sweep they are only where nobody held their job when it asked.
    pub(crate) fn handed_back(&self, hash: &SongHash) {
        let content = self.kernel.plan.content(hash);
        let (task, _, role) = self.kernel.current();
        if role != "tend" {
            return;
        }
        self.kernel.met("handed back by a sweep");
        if self.kernel.plan.exact && self.state().heard_leased.get(&(task, content)) == Some(&true) {
            self.kernel.broken(format_args!("a sweep handed back content {content}, whose job is leased"));
        }
    }

    /// Whether it was told to break this rule.
    pub(crate) fn has(&self, bug: Bug) -> bool {
        self.kernel.plan.bug == Some(bug)
    }
}

//! `vocalizer watch`: splits what is put into a folder.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use vocalizer_core::causes::chain;
use vocalizer_model::{Cancel, Error};

use super::batch::{Batch, Outcome, exit_of_setup};
use super::separate_args::Watch;
use super::source::{Song, stamp};
use super::{inputs, interrupt, separate};
use crate::allocator;
use crate::exit::Exit;
use crate::paths::shown;
use crate::voice::Voice;

/// How often the folder is searched. Polling works on network drives, where notifications of other machines' changes are missing.
const PERIOD: Duration = Duration::from_secs(1);

/// How often an interrupt is noticed.
const STEP: Duration = Duration::from_millis(100);

pub(crate) fn run(args: &Watch) -> Exit {
    allocator::return_freed_memory();
    let voice = separate::voice(&args.split);
    watch(args, voice).unwrap_or_else(|e| {
        voice.input_error(None, &chain(&e));
        exit_of_setup(&e)
    })
}

fn watch(args: &Watch, voice: Voice) -> Result<Exit, Error> {
    let cancel = interrupt::watch(voice);
    let output = &args.split.output;
    if output.as_os_str() == "-" || args.split.profile_json.is_some() {
        return Err(Error::Options("watch writes to a folder: -o - and --profile-json are options of separate".into()));
    }
    let read = std::fs::read_dir(&args.dir);
    read.map_err(|source| Error::Io { path: args.dir.clone(), source })?;
    args.split.network.set_threads()?;
    // By the manifests, what is done stays done after a restart.
    let batch = Batch::new(&args.split, voice, cancel.clone())?.skipping(true).without_end();
    // At once, so that missing weights are reported now and not when the first song arrives.
    batch.model()?;
    voice.remark(&format!("watching {}, stems in {}", shown(&args.dir), shown(output)));
    let folder = Folder {
        args,
        voice,
        cancel,
        has_stopped: AtomicBool::new(false),
        state: Mutex::new(State {
            files: Files { settle: Duration::from_secs(args.settle.into()), seen: HashMap::new() },
            ready: VecDeque::new(),
            searched: None,
            is_gone: false,
        }),
    };
    let next = || folder.next().inspect(|song| batch.protect(std::slice::from_ref(song)));
    let stopped = batch.work(args.split.jobs.into(), next, |song, outcome| folder.ended(song, outcome));
    batch.summarise();
    // An interrupt is how watching ends.
    Ok(stopped.filter(|&exit| exit != Exit::Interrupted).unwrap_or(Exit::Done))
}

/// The watched folder. The threads that split songs share it.
struct Folder<'a> {
    args: &'a Watch,
    voice: Voice,
    cancel: Cancel,
    /// Whether the run cannot continue.
    has_stopped: AtomicBool,
    state: Mutex<State>,
}

struct State {
    files: Files,
    /// Songs that the last search has found.
    ready: VecDeque<Song>,
    searched: Option<Instant>,
    /// Whether the folder could not be read.
    is_gone: bool,
}

impl Folder<'_> {
    /// Waits for a song. Returns `None` at the end of the run.
    fn next(&self) -> Option<Song> {
        while !self.cancel.is_cancelled() && !self.has_stopped.load(Ordering::Relaxed) {
            if let Some(song) = self.look() {
                return Some(song);
            }
            std::thread::sleep(STEP);
        }
        None
    }

    fn look(&self) -> Option<Song> {
        let mut state = self.state();
        if state.searched.is_none_or(|searched| searched.elapsed() >= PERIOD) {
            self.search(&mut state);
        }
        let song = state.ready.pop_front()?;
        state.files.begin(&song.file);
        Some(song)
    }

    fn search(&self, state: &mut State) {
        let dir = &self.args.dir;
        let found = inputs::in_folder(dir, &self.args.split.output);
        let gone = found.bad.iter().find(|bad| bad.path == *dir);
        if let Some(gone) = gone.filter(|_| !state.is_gone) {
            self.voice.error(&format!("cannot read {}: {}", shown(&gone.path), gone.why));
        }
        state.is_gone = gone.is_some();
        state.ready = state.files.ready(found.songs).into();
        state.searched = Some(Instant::now());
    }

    fn ended(&self, song: &Song, outcome: Outcome) {
        if let Outcome::Stop(_) = outcome {
            self.has_stopped.store(true, Ordering::Relaxed);
        }
        let is_first = self.state().files.ended(&song.file, outcome == Outcome::Busy);
        if outcome == Outcome::Busy && is_first {
            self.voice.remark(&format!("{}: waits, because another run is splitting it", shown(&song.input)));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Files in the folder, and since when they have not changed.
struct Files {
    settle: Duration,
    seen: HashMap<PathBuf, Seen>,
}

/// Stamp and size of a file.
type FileState = (Option<String>, u64);

struct Seen {
    state: FileState,
    since: Instant,
    is_handled: bool,
    /// The state in which it is being split.
    begun: Option<FileState>,
    /// Whether it waits for another run.
    waits: bool,
}

impl Seen {
    fn new(state: FileState, since: Instant) -> Self {
        Self { state, since, is_handled: false, begun: None, waits: false }
    }
}

impl Files {
    /// Returns the songs that have been complete for long enough and were not handled.
    fn ready(&mut self, songs: Vec<Song>) -> Vec<Song> {
        let now = Instant::now();
        let found: HashSet<&Path> = songs.iter().map(|song| &*song.file).collect();
        self.seen.retain(|path, seen| seen.begun.is_some() || found.contains(&**path));
        let mut ready = Vec::new();
        for song in songs {
            let Ok(meta) = std::fs::metadata(&song.file) else { continue };
            let state = (stamp(&meta), meta.len());
            let seen = self.seen.entry(song.file.clone()).or_insert_with(|| Seen::new(state.clone(), now));
            if seen.state != state {
                *seen = Seen { begun: seen.begun.take(), ..Seen::new(state, now) };
            }
            let is_open = !seen.is_handled && seen.begun.is_none();
            if is_open && meta.len() > 0 && now.duration_since(seen.since) >= self.settle {
                ready.push(song);
            }
        }
        ready
    }

    /// Notes that a song is being split.
    fn begin(&mut self, file: &Path) {
        if let Some(seen) = self.seen.get_mut(file) {
            seen.begun = Some(seen.state.clone());
        }
    }

    /// Notes that a song was split or refused, or that it waits for another run. It is tried again if it has changed since it was begun, or
    /// if it waits. Returns whether this is new.
    fn ended(&mut self, file: &Path, waits: bool) -> bool {
        let Some(seen) = self.seen.get_mut(file) else { return true };
        let is_new = seen.waits != waits;
        seen.waits = waits;
        let begun = seen.begun.take();
        seen.is_handled = !waits && begun.as_ref() == Some(&seen.state);
        is_new
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

    use super::{Files, Song};

    #[test]
    fn file_is_ready_once_and_again_after_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        std::fs::write(&path, "").unwrap();
        let songs = || vec![Song::new(path.clone())];
        let mut files = Files { settle: Duration::ZERO, seen: HashMap::new() };
        assert!(files.ready(songs()).is_empty(), "an empty file is not complete");
        std::fs::write(&path, "abc").unwrap();
        assert_eq!(files.ready(songs()).len(), 1);
        files.begin(&path);
        assert!(files.ready(songs()).is_empty(), "another thread has it");
        files.ended(&path, false);
        assert!(files.ready(songs()).is_empty());
        std::fs::write(&path, "abcd").unwrap();
        assert_eq!(files.ready(songs()).len(), 1);
        // Changed while it is split.
        files.begin(&path);
        std::fs::write(&path, "abcde").unwrap();
        assert!(files.ready(songs()).is_empty(), "one thread at a time");
        files.ended(&path, false);
        assert_eq!(files.ready(songs()).len(), 1);
        files.settle = Duration::from_secs(60);
        std::fs::write(&path, "abcdef").unwrap();
        assert!(files.ready(songs()).is_empty(), "it may still grow");
    }

    #[test]
    fn song_that_waits_is_tried_again_and_reported_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        std::fs::write(&path, "abc").unwrap();
        let songs = || vec![Song::new(path.clone())];
        let mut files = Files { settle: Duration::ZERO, seen: HashMap::new() };
        for is_new in [true, false, false] {
            assert_eq!(files.ready(songs()).len(), 1);
            files.begin(&path);
            assert_eq!(files.ended(&path, true), is_new);
        }
        files.begin(&path);
        files.ended(&path, false);
        assert!(files.ready(songs()).is_empty());
    }
}

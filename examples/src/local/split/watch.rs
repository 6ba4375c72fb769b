//! `vocalizer watch`: splits what is put into a folder.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use vocalizer_core::causes::chain;
use vocalizer_model::{Cancel, Error, set_threads};

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
    if args.split.jobs > 1 {
        return Err(Error::Options("watch splits one song at a time: leave out --jobs".into()));
    }
    let read = std::fs::read_dir(&args.dir);
    read.map_err(|source| Error::Io { path: args.dir.clone(), source })?;
    if let Some(threads) = args.split.threads {
        set_threads(threads.into())?;
    }
    // By the manifests, what is done stays done after a restart.
    let batch = Batch::new(&args.split, voice, cancel.clone())?.skipping(true).reusing_places();
    // At once, so that missing weights are reported now and not when the first song arrives.
    batch.model()?;
    voice.remark(&format!("watching {}, stems in {}", shown(&args.dir), shown(output)));
    let mut files = Files { settle: Duration::from_secs(args.settle.into()), seen: HashMap::new() };
    let mut is_gone = false;
    while !cancel.is_cancelled() {
        let found = inputs::in_folder(&args.dir, output);
        let gone = found.bad.iter().find(|bad| bad.path == args.dir);
        if let Some(gone) = gone.filter(|_| !is_gone) {
            voice.error(&format!("cannot read {}: {}", shown(&gone.path), gone.why));
        }
        is_gone = gone.is_some();
        let ready = files.ready(found.songs);
        for song in ready {
            if cancel.is_cancelled() {
                break;
            }
            batch.protect(std::slice::from_ref(&song));
            if let Outcome::Stop(exit) = batch.song(&song)
                && exit != Exit::Interrupted
            {
                batch.summarise();
                return Ok(exit);
            }
            files.handled(&song.file);
        }
        wait(&cancel);
    }
    batch.summarise();
    // An interrupt is how watching ends.
    Ok(Exit::Done)
}

fn wait(cancel: &Cancel) {
    let until = Instant::now() + PERIOD;
    while Instant::now() < until && !cancel.is_cancelled() {
        std::thread::sleep(STEP);
    }
}

/// Files in the folder, and since when they have not changed.
struct Files {
    settle: Duration,
    seen: HashMap<PathBuf, Seen>,
}

struct Seen {
    /// Stamp and size.
    state: (Option<String>, u64),
    since: Instant,
    is_handled: bool,
}

impl Files {
    /// Returns the songs that have been complete for long enough and were not handled.
    fn ready(&mut self, songs: Vec<Song>) -> Vec<Song> {
        let now = Instant::now();
        self.seen.retain(|path, _| songs.iter().any(|song| song.file == *path));
        let mut ready = Vec::new();
        for song in songs {
            let Ok(meta) = std::fs::metadata(&song.file) else { continue };
            let state = (stamp(&meta), meta.len());
            let fresh = || Seen { state: state.clone(), since: now, is_handled: false };
            let seen = self.seen.entry(song.file.clone()).or_insert_with(fresh);
            if seen.state != state {
                *seen = fresh();
            }
            if !seen.is_handled && meta.len() > 0 && now.duration_since(seen.since) >= self.settle {
                ready.push(song);
            }
        }
        ready
    }

    /// Notes that a song was split or refused. It is tried again if it changes.
    fn handled(&mut self, file: &Path) {
        if let Some(seen) = self.seen.get_mut(file) {
            seen.is_handled = true;
        }
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
        files.handled(&path);
        assert!(files.ready(songs()).is_empty());
        std::fs::write(&path, "abcd").unwrap();
        assert_eq!(files.ready(songs()).len(), 1);
        files.settle = Duration::from_secs(60);
        std::fs::write(&path, "abcde").unwrap();
        assert!(files.ready(songs()).is_empty(), "it may still grow");
    }
}

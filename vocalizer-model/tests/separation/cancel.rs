//! Cancellation and progress.

use std::path::{Path, PathBuf};

use vocalizer_model::audio::AudioFormat;
use vocalizer_model::{Cancel, Error, Listener, Model, SplitOptions, Stage, split_file_with};

use super::support::tiny;
use crate::audio::support::{RATE_HZ, song, write};

/// Records events, and cancels at a time or a stage.
#[derive(Default)]
pub(super) struct Recorder {
    pub(super) stages: Vec<Stage>,
    pub(super) progress: Vec<(f64, f64)>,
    pub(super) files: Vec<PathBuf>,
    pub(super) cancel: Cancel,
    pub(super) stop_at_s: Option<f64>,
    pub(super) stop_in: Option<Stage>,
}

impl Listener for Recorder {
    fn stage(&mut self, stage: Stage) {
        self.stages.push(stage);
        if self.stop_in == Some(stage) {
            self.cancel.cancel();
        }
    }

    fn progress(&mut self, done_s: f64, total_s: f64) {
        self.progress.push((done_s, total_s));
        if self.stop_at_s.is_some_and(|at| done_s >= at) {
            self.cancel.cancel();
        }
    }

    fn stem_written(&mut self, path: &Path) {
        assert!(path.is_file(), "the reported stem does not exist");
        self.files.push(path.to_owned());
    }
}

/// Splits a song of some seconds. Returns what was recorded, and what is in the folder of the song and its stems.
pub(super) fn split_recorded(
    model: &Model,
    seconds: usize,
    mut recorder: Recorder,
) -> (Recorder, Result<(), Error>, Vec<PathBuf>) {
    let dir = tempfile::tempdir().expect("a folder");
    let input = dir.path().join("song.wav");
    write(&input, AudioFormat::Wav16, RATE_HZ, &song(seconds * RATE_HZ as usize, RATE_HZ));
    let (out, cancel) = (dir.path().join("stems"), recorder.cancel.clone());
    let done = split_file_with(model, &input, &out, &SplitOptions::default(), &mut recorder, &cancel);
    let left = std::fs::read_dir(dir.path()).expect("the folder").map(|e| e.expect("an entry").path()).collect();
    (recorder, done.map(|_| ()), left)
}

#[test]
fn listener_gets_all_stages_progress_and_files() {
    let (recorder, done, _) = split_recorded(&tiny("tiny-4s"), 3, Recorder::default());
    done.expect("a split song");
    assert_eq!(recorder.stages, [Stage::Reading, Stage::Separating, Stage::Writing]);
    assert!(recorder.progress.iter().all(|(_, total)| *total == 3.0));
    assert!(recorder.progress.is_sorted_by(|a, b| a.0 <= b.0), "{:?}", recorder.progress);
    assert_eq!(recorder.progress.first(), Some(&(0.0, 3.0)));
    assert_eq!(recorder.progress.last(), Some(&(3.0, 3.0)));
    assert!(recorder.progress.len() >= 4);
    assert_eq!(recorder.files.len(), 4);
}

#[test]
fn cancelled_song_leaves_nothing() {
    let stops = [
        Recorder { stop_in: Some(Stage::Reading), ..Recorder::default() },
        Recorder { stop_in: Some(Stage::Separating), ..Recorder::default() },
        Recorder { stop_at_s: Some(0.5), ..Recorder::default() },
        Recorder { stop_in: Some(Stage::Writing), ..Recorder::default() },
    ];
    for recorder in stops {
        let (recorder, done, left) = split_recorded(&tiny("tiny-4s"), 3, recorder);
        assert!(matches!(done, Err(Error::Cancelled)), "{done:?}");
        assert!(recorder.files.is_empty());
        assert_eq!(left.len(), 1, "files besides the song are left: {left:?}");
    }
}

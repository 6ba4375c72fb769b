//! A song that is stopped leaves nothing behind, and a listener hears how far it is.

use std::path::{Path, PathBuf};

use vocalizer_model::audio::AudioFormat;
use vocalizer_model::{Cancel, Error, Listener, SplitOptions, Stage, split_file_with};

use super::support::tiny;
use crate::audio::support::{RATE_HZ, song, write};

/// Keeps what it hears, and stops the song when so many seconds are done.
#[derive(Default)]
struct Ear {
    stages: Vec<Stage>,
    progress: Vec<(f64, f64)>,
    files: Vec<PathBuf>,
    cancel: Cancel,
    stop_at_s: Option<f64>,
    stop_in: Option<Stage>,
}

impl Listener for Ear {
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
        assert!(path.is_file(), "told of a stem that is not there");
        self.files.push(path.to_owned());
    }
}

fn listen(mut ear: Ear) -> (Ear, Result<(), Error>, Vec<PathBuf>) {
    let dir = tempfile::tempdir().expect("a folder");
    let input = dir.path().join("song.wav");
    write(&input, AudioFormat::Wav16, RATE_HZ, &song(3 * RATE_HZ as usize, RATE_HZ));
    let out = dir.path().join("stems");
    let cancel = ear.cancel.clone();
    let done = split_file_with(&tiny("tiny-4s"), &input, &out, &SplitOptions::default(), &mut ear, &cancel);
    let left = std::fs::read_dir(dir.path()).expect("the folder").map(|e| e.expect("an entry").path()).collect();
    (ear, done.map(|_| ()), left)
}

#[test]
fn a_listener_hears_every_stage_every_second_and_every_file() {
    let (ear, done, _) = listen(Ear::default());
    done.expect("a split song");
    assert_eq!(ear.stages, [Stage::Reading, Stage::Separating, Stage::Writing]);
    assert!(ear.progress.iter().all(|(_, total)| *total == 3.0));
    assert!(ear.progress.is_sorted_by(|a, b| a.0 <= b.0), "{:?}", ear.progress);
    assert_eq!(ear.progress.first(), Some(&(0.0, 3.0)));
    assert_eq!(ear.progress.last(), Some(&(3.0, 3.0)));
    assert!(ear.progress.len() >= 4);
    assert_eq!(ear.files.len(), 4);
}

#[test]
fn a_song_can_be_stopped_at_any_time_and_leaves_nothing() {
    let stops = [
        Ear { stop_in: Some(Stage::Reading), ..Ear::default() },
        Ear { stop_in: Some(Stage::Separating), ..Ear::default() },
        Ear { stop_at_s: Some(0.5), ..Ear::default() },
        Ear { stop_in: Some(Stage::Writing), ..Ear::default() },
    ];
    for ear in stops {
        let (ear, done, left) = listen(ear);
        assert!(matches!(done, Err(Error::Cancelled)), "{done:?}");
        assert!(ear.files.is_empty());
        assert_eq!(left.len(), 1, "more than the song is left: {left:?}");
    }
}

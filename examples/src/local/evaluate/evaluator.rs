//! `vocalizer evaluate`.

use std::collections::BTreeSet;
use std::path::Path;

use indicatif::ProgressBar;
use serde_json::{Value, json};
use tempfile::TempDir;
use vocalizer_core::causes::chain;
use vocalizer_model::audio::AudioFormat;
use vocalizer_model::{Cancel, Error, Listener, Model, Precision, SplitOptions, Stem, interfaces, split_file_with};

use super::args::Evaluate;
use super::comparison::{Comparison, Signal};
use super::dataset::{self, Recording, Recordings, Track};
use super::pairing::{Pair, pair};
use super::report::Report;
use super::results::{Results, Score};
use crate::exit::Exit;
use crate::local::split::{exit_of_setup, identify_model, watch_interrupts};
use crate::paths::{plain, shown};
use crate::voice::Voice;
use crate::{allocator, model};

/// The model if none is named.
const DEFAULT_MODEL: &str = "htdemucs";

pub(crate) fn run(args: &Evaluate) -> Exit {
    allocator::return_freed_memory();
    let voice = Voice::choose(args.json);
    evaluate(args, voice).unwrap_or_else(|e| report_setup(voice, &e))
}

fn evaluate(args: &Evaluate, voice: Voice) -> Result<Exit, Error> {
    let cancel = watch_interrupts(voice);
    let split = split_options(args)?;
    args.network.set_threads()?;
    let tracks = match dataset::tracks(&args.dataset, args.subset) {
        Ok(tracks) => tracks,
        Err(why) => {
            voice.input_error(Some(&args.dataset), &why);
            return Ok(Exit::AllFailed);
        }
    };
    // Of all songs, so that a stem that one of them lacks is noticed.
    let stems = tracks.iter().flat_map(|track| track.stems.keys().copied()).collect();
    let tracks = chosen(args, tracks)?;
    let report = Report::new(voice, args.csv.as_deref())?;
    let mut evaluator = Evaluator { args, voice, cancel, split, stems, tracks: &tracks, report };
    let stopped = evaluator.systems();
    evaluator.report.finish();
    Ok(stopped.err().unwrap_or_else(|| evaluator.report.exit()))
}

fn split_options(args: &Evaluate) -> Result<SplitOptions, Error> {
    let mut options = SplitOptions::default();
    options.separation = args.network.separation();
    options.format = AudioFormat::WavF32;
    (options.keep_rate, options.tags, options.read.strict) = (false, false, true);
    options.check()?;
    Ok(options)
}

/// Returns the songs that the arguments choose.
fn chosen(args: &Evaluate, tracks: Vec<Track>) -> Result<Vec<Track>, Error> {
    let text = args.tracks.as_deref().unwrap_or_default();
    let limit = args.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let chosen: Vec<_> = tracks.into_iter().filter(|track| track.name.contains(text)).take(limit).collect();
    match chosen.is_empty() {
        true => Err(Error::Options(format!("no song of the data set has {text:?} in its name; see --tracks"))),
        false => Ok(chosen),
    }
}

/// Reports an error that ends the run, and returns its exit code.
fn report_setup(voice: Voice, error: &Error) -> Exit {
    voice.input_error(None, &plain(&chain(error)));
    exit_of_setup(error)
}

struct Evaluator<'a> {
    args: &'a Evaluate,
    voice: Voice,
    cancel: Cancel,
    split: SplitOptions,
    /// The true stems of the data set.
    stems: BTreeSet<Stem>,
    tracks: &'a [Track],
    report: Report<'a>,
}

/// Why a song has no scores.
enum Failure {
    /// Something is wrong with the song.
    Song(String),
    /// The run cannot continue.
    Stop(Error),
}

impl Evaluator<'_> {
    /// Scores all models and folders of estimates. The error is the exit code of a run that cannot continue.
    fn systems(&mut self) -> Result<(), Exit> {
        let args = self.args;
        let default = [DEFAULT_MODEL.to_owned()];
        let models: &[String] = if args.model.is_empty() && args.estimates.is_empty() { &default } else { &args.model };
        let models: Vec<_> = models.iter().map(|model| (model, identify_model(model))).collect();
        // Before hours of work for the other models.
        for (model, _) in models.iter().filter(|(_, id)| id.is_none()) {
            self.load(model)?;
        }
        for (model, id) in &models {
            let name = id.as_ref().map_or_else(|| plain(model), |id| plain(&id.name));
            self.report.begin(name.clone());
            let done = self.model(model, &name, json!(id));
            self.report.end();
            done?;
        }
        for folder in &args.estimates {
            self.report.begin(shown(folder));
            let done = self.estimates(folder);
            self.report.end();
            done?;
        }
        Ok(())
    }

    /// Scores a model.
    fn model(&mut self, model: &str, name: &str, id: Value) -> Result<(), Exit> {
        let args = self.args;
        let mut early = None;
        let precision = match args.network.compute().precisions()[..] {
            [only] => only,
            // It depends on the device that can be used.
            _ => early.insert(self.load(model)?).precision(),
        };
        let io = |source| Error::Io { path: args.results.clone(), source };
        let opened = Results::open(&args.results, name, &self.made_by(id, precision)).map_err(io);
        let mut results = opened.map_err(|e| self.stop(&e))?;
        let (mut loaded, mut resumed) = (None, 0);
        for track in self.tracks {
            let state = track.state();
            if let Some(scores) = state.as_deref().and_then(|state| results.find(&track.name, state)) {
                self.report.scored(track, scores, true).map_err(|e| self.stop(&e))?;
                resumed += 1;
                continue;
            }
            self.check_interrupt()?;
            if loaded.is_none() {
                let model = early.take().map_or_else(|| self.load(model), Ok)?;
                let pairs = self.pairs(name, &model.sources().iter().copied().collect())?;
                loaded = Some((model, pairs));
            }
            let Some((model, pairs)) = &loaded else { continue };
            match self.split_and_score(model, pairs, track) {
                Ok(scores) => {
                    if let Some(state) = state {
                        results.add(&track.name, &state, &scores).map_err(|e| self.stop(&io(e)))?;
                    }
                    self.report.scored(track, &scores, false).map_err(|e| self.stop(&e))?;
                }
                Err(Failure::Song(why)) => self.report.failed(track, &why),
                Err(Failure::Stop(e)) => return Err(self.stop(&e)),
            }
        }
        if resumed > 0 {
            let (all, path) = (self.tracks.len(), shown(&results.path));
            self.voice.remark(&format!(
                "{name}: {resumed} of {all} songs were scored before with the same model and options; {path} has their scores"
            ));
        }
        Ok(())
    }

    /// Scores stems that were estimated before.
    fn estimates(&mut self, folder: &Path) -> Result<(), Exit> {
        let name = shown(folder);
        let found: Vec<_> = self.tracks.iter().map(|track| dataset::estimates(folder, &track.name)).collect();
        let stems: BTreeSet<_> = found.iter().flatten().flat_map(|stems| stems.keys().copied()).collect();
        if stems.is_empty() {
            let why = format!(
                "no estimated stems in {name}: expected folders with the names of the songs, with vocals.wav and so on"
            );
            return Err(self.stop(&Error::Options(why)));
        }
        let pairs = self.pairs(&name, &stems)?;
        for (track, estimates) in self.tracks.iter().zip(found) {
            self.check_interrupt()?;
            let scored = estimates.and_then(|stems| Comparison::open(&pairs, &track.stems)?.with(&stems));
            match scored {
                Ok(scored) => {
                    if scored.lengths_differ {
                        let song = plain(&track.name);
                        self.voice.remark(&format!(
                            "{song}: the estimates do not have the length of the true stems; the end was cut or filled with silence"
                        ));
                    }
                    self.report.scored(track, &scored.scores, false).map_err(|e| self.stop(&e))?;
                }
                Err(why) => self.report.failed(track, &why),
            }
        }
        Ok(())
    }

    fn stop(&self, error: &Error) -> Exit {
        report_setup(self.voice, error)
    }

    fn check_interrupt(&self) -> Result<(), Exit> {
        if self.cancel.is_cancelled() { Err(self.stop(&Error::Cancelled)) } else { Ok(()) }
    }

    fn load(&self, name: &str) -> Result<Model, Exit> {
        let model = model::load(name, &self.args.network.compute(), self.voice).map_err(|e| self.stop(&e))?;
        // Report the chosen device if this build supports GPUs.
        if !interfaces().is_empty() {
            model.remarks().iter().for_each(|remark| self.voice.remark(remark));
        }
        Ok(model)
    }

    /// Pairs the stems of the data set with those of a model.
    fn pairs(&self, name: &str, stems: &BTreeSet<Stem>) -> Result<Vec<Pair>, Exit> {
        match pair(&self.stems, stems, &self.args.stems) {
            Ok(pairing) => {
                pairing.remarks.iter().for_each(|remark| self.voice.remark(&format!("{name}: {remark}")));
                Ok(pairing.pairs)
            }
            Err(why) => Err(self.stop(&Error::Options(format!("{name}: {why}")))),
        }
    }

    /// Returns everything that the scores of a song depend on, but for the song.
    fn made_by(&self, model: Value, precision: Precision) -> Value {
        let mut wanted = self.args.stems.clone();
        wanted.sort_unstable();
        wanted.dedup();
        json!({
            "program": "vocalizer evaluate", "format": 1, "model": model, "true_stems": self.stems,
            "stems": wanted, "network": self.args.network.recorded(precision),
        })
    }

    /// Splits a song into temporary files and scores them.
    fn split_and_score(&self, model: &Model, pairs: &[Pair], track: &Track) -> Result<Vec<Score>, Failure> {
        // Before the song is split, so that a song that cannot be scored costs nothing.
        let truth = Comparison::open(pairs, &track.stems).map_err(Failure::Song)?;
        Signal::open(&track.mixture).map_err(Failure::Song)?;
        let folder = &self.args.results;
        let made = tempfile::Builder::new().prefix(".vocalizer-").tempdir_in(folder);
        let temporary = made.map_err(|source| Failure::Stop(Error::Io { path: folder.clone(), source }))?;
        let estimates = self.split(model, pairs, track, &temporary)?;
        let scored = truth.with(&estimates).map_err(Failure::Song)?;
        if scored.lengths_differ {
            return Err(Failure::Song("the mixture and the true stems have different lengths".into()));
        }
        Ok(scored.scores)
    }

    fn split(&self, model: &Model, pairs: &[Pair], track: &Track, into: &TempDir) -> Result<Recordings, Failure> {
        let mut options = self.split.clone();
        options.read.track = track.mixture.track;
        options.stems = pairs.iter().flat_map(|pair| &pair.estimate).copied().collect();
        let bar = self.voice.bar(&plain(&track.name), "{prefix:.bold} {wide_bar} {percent:>3}%");
        let split =
            split_file_with(model, &track.mixture.path, into.path(), &options, &mut Progress(bar), &self.cancel);
        split.map_err(|e| match e {
            Error::Cancelled | Error::Device { .. } | Error::Options(_) => Failure::Stop(e),
            e => Failure::Song(chain(&e)),
        })?;
        let recording = |stem: &Stem| Recording { path: into.path().join(format!("{stem}.wav")), track: None };
        Ok(options.stems.iter().map(|stem| (*stem, recording(stem))).collect())
    }
}

/// Shows the progress of a song.
struct Progress(ProgressBar);

impl Listener for Progress {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "milliseconds, positive")]
    fn progress(&mut self, done_s: f64, total_s: f64) {
        self.0.set_length((total_s * 1000.0) as u64);
        self.0.set_position((done_s * 1000.0) as u64);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

//! Progress and result of one song.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar};
use serde_json::{Map, Value, json};
use vocalizer_model::{Listener, Report, Stage};

use super::places::Place;
use super::source::Song;
use crate::output::{errln, outln};
use crate::paths::{put, put_all, shown};
use crate::voice::Voice;

/// Gains from here to 1 change the volume by less than 0.01 dB.
const NO_GAIN: f32 = 0.999;

/// How much is said.
#[derive(Debug, Clone, Copy)]
pub(super) struct Detail {
    pub(super) quiet: bool,
    pub(super) verbose: bool,
    /// Whether the paths of the stems are printed on standard output.
    pub(super) lists_files: bool,
}

/// Reports progress of one song.
pub(super) struct SongReport<'a> {
    voice: Voice,
    detail: Detail,
    input: &'a Path,
    bar: ProgressBar,
    started: Instant,
    /// The last reported tenth.
    reported: u64,
}

impl<'a> SongReport<'a> {
    pub(super) fn new(voice: Voice, detail: Detail, song: &'a Song) -> Self {
        let bar = voice.bar(&shown(&song.name), "{prefix:.bold} {wide_bar} {percent:>3}% {msg}");
        bar.enable_steady_tick(Duration::from_secs(1));
        Self { voice, detail, input: &song.input, bar, started: Instant::now(), reported: 0 }
    }

    /// Prints an event as a line of JSON.
    fn emit(&self, event: &str, fields: Value) {
        let mut object = Map::from_iter([("event".to_owned(), event.into())]);
        put(&mut object, "input", self.input);
        if let Value::Object(fields) = fields {
            object.extend(fields);
        }
        outln!("{}", Value::Object(object));
    }

    /// Reports a finished song. `files` are where the stems are now.
    pub(super) fn done(self, report: &Report, place: Option<&Place>, files: &[PathBuf]) {
        self.bar.finish_and_clear();
        let elapsed_s = self.started.elapsed().as_secs_f64();
        let speed = report.seconds / elapsed_s.max(1e-9);
        let input = shown(self.input);
        if self.voice == Voice::Json {
            for warning in &report.warnings {
                self.emit("warning", json!({"code": warning.code(), "message": warning.to_string()}));
            }
            let mut fields = Map::new();
            if let Some(place) = place {
                put(&mut fields, "folder", &place.home);
                fields.insert("sha256".to_owned(), place.source.sha256.to_string().into());
            }
            put_all(&mut fields, "files", files.iter().map(PathBuf::as_path));
            let gains: Map<_, _> = report.gains.iter().map(|(stem, gain)| (stem.clone(), json!(gain))).collect();
            let warnings = report.warnings.iter().map(|one| json!({"code": one.code(), "message": one.to_string()}));
            fields.extend([
                ("seconds".to_owned(), json!(report.seconds)),
                ("start_s".to_owned(), json!(report.start_s)),
                ("elapsed_s".to_owned(), json!(elapsed_s)),
                ("speed".to_owned(), json!(speed)),
                ("rate_hz".to_owned(), json!(report.rate_hz)),
                ("frames".to_owned(), json!(report.frames)),
                ("precision".to_owned(), report.precision.to_string().into()),
                ("gain".to_owned(), json!(report.gain)),
                ("gains".to_owned(), Value::Object(gains)),
                ("warnings".to_owned(), warnings.collect()),
            ]);
            self.emit("done", Value::Object(fields));
            return;
        }
        for warning in &report.warnings {
            self.voice.line(&format!("{input}: warning: {warning}"));
        }
        if let Some(why) = loudness(report) {
            self.voice.line(&format!("{input}: {why}"));
        }
        if let (true, Some(place)) = (self.detail.verbose, place) {
            self.voice.line(&format!("{input}: SHA-256 {}, folder {}", place.source.sha256, shown(&place.home)));
            let gains: Vec<_> =
                report.gains.iter().map(|(stem, gain)| format!("{stem} {:+.2} dB", decibels(*gain))).collect();
            self.voice.line(&format!(
                "{input}: {} frames at {} Hz, computed in {}; gains: {}",
                report.frames,
                report.rate_hz,
                report.precision,
                gains.join(", ")
            ));
        }
        if self.detail.lists_files && self.voice != Voice::Quiet {
            for file in files {
                outln!("{}", file.display());
            }
        }
        let took = HumanDuration(Duration::from_secs_f64(elapsed_s));
        self.voice.line(&format!("{input}: {:.1} s split in {took} ({speed:.2} x real time)", report.seconds));
    }

    /// Reports a song that is done already.
    pub(super) fn skipped(self, place: &Place, files: &[PathBuf]) {
        self.bar.finish_and_clear();
        if self.voice == Voice::Json {
            let mut fields = Map::new();
            put(&mut fields, "folder", &place.home);
            put_all(&mut fields, "files", files.iter().map(PathBuf::as_path));
            self.emit("skipped", Value::Object(fields));
        } else {
            self.voice.line(&format!("{}: skipped, done before in {}", shown(self.input), shown(&place.home)));
        }
    }

    pub(super) fn failed(self, message: &str) {
        self.bar.finish_and_clear();
        self.voice.input_error(Some(self.input), message);
    }

    /// Reports a stem that is in its place.
    pub(super) fn placed(&self, file: &Path) {
        if self.voice == Voice::Json && !self.detail.quiet {
            let mut fields = Map::new();
            put(&mut fields, "file", file);
            self.emit("stem", Value::Object(fields));
        }
    }
}

/// Says which stems are quieter than the network made them.
fn loudness(report: &Report) -> Option<String> {
    if report.gain < NO_GAIN {
        let quieter = -decibels(report.gain);
        return Some(format!("all stems are {quieter:.1} dB quieter, so that none clips and they still add up"));
    }
    let each = report.gains.iter().filter(|(_, gain)| *gain < NO_GAIN);
    let each: Vec<_> = each.map(|(stem, gain)| format!("{stem} {:.1} dB", -decibels(*gain))).collect();
    (!each.is_empty()).then(|| format!("quieter, so that they do not clip: {}", each.join(", ")))
}

fn decibels(gain: f32) -> f32 {
    20.0 * gain.max(1e-9).log10()
}

impl Listener for SongReport<'_> {
    fn stage(&mut self, stage: Stage) {
        let name = match stage {
            Stage::Reading => "reading",
            Stage::Separating => "separating",
            Stage::Writing => "writing",
            _ => return,
        };
        if stage == Stage::Separating {
            self.started = Instant::now();
        }
        self.bar.set_message(name);
        if self.voice == Voice::Json && !self.detail.quiet {
            self.emit("stage", json!({"stage": name}));
        }
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "milliseconds and percent, positive")]
    fn progress(&mut self, done_s: f64, total_s: f64) {
        let elapsed_s = self.started.elapsed().as_secs_f64();
        let speed = done_s / elapsed_s.max(1e-9);
        let left_s = if speed > 0.0 { ((total_s - done_s) / speed).max(0.0) } else { 0.0 };
        match self.voice {
            Voice::Bar => {
                self.bar.set_length((total_s * 1000.0) as u64);
                self.bar.set_position((done_s * 1000.0) as u64);
                if done_s > 0.0 {
                    self.bar.set_message(format!("{speed:.2}x, {left_s:.0} s left"));
                }
            }
            Voice::Lines => {
                let tenth = (done_s / total_s.max(1e-9) * 10.0) as u64;
                if tenth > self.reported {
                    self.reported = tenth;
                    let input = shown(self.input);
                    errln!("{input}: {}% ({speed:.2} x real time, {left_s:.0} s left)", tenth * 10);
                }
            }
            Voice::Json if self.detail.quiet => {}
            Voice::Json => {
                self.emit("progress", json!({"done_s": done_s, "total_s": total_s, "speed": speed, "left_s": left_s}));
            }
            Voice::Quiet => {}
        }
    }
}

//! Progress of one song.

use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar};
use serde_json::{Value, json};
use vocalizer_model::{Listener, Report, Stage};

use crate::output::{errln, outln};
use crate::voice::Voice;

/// Prints a line of JSON.
fn emit(value: &Value) {
    outln!("{value}");
}

/// Reports progress of one song.
pub(super) struct SongReport<'a> {
    voice: Voice,
    input: &'a Path,
    bar: ProgressBar,
    started: Instant,
    /// The last reported tenth.
    reported: u64,
}

impl<'a> SongReport<'a> {
    pub(super) fn new(voice: Voice, input: &'a Path) -> Self {
        let name = input.file_name().unwrap_or(input.as_os_str()).to_string_lossy();
        let bar = voice.bar(&name, "{prefix:.bold} {wide_bar} {percent:>3}% {msg}");
        bar.enable_steady_tick(Duration::from_secs(1));
        Self { voice, input, bar, started: Instant::now(), reported: 0 }
    }

    pub(super) fn done(self, report: &Report) {
        self.bar.finish_and_clear();
        let elapsed_s = self.started.elapsed().as_secs_f64();
        let speed = report.seconds / elapsed_s.max(1e-9);
        match self.voice {
            Voice::Json => emit(&json!({
                "event": "done", "input": self.input.to_string_lossy(), "seconds": report.seconds,
                "elapsed_s": elapsed_s, "speed": speed, "rate_hz": report.rate_hz, "frames": report.frames,
                "files": report.files.iter().map(|f| f.to_string_lossy()).collect::<Vec<_>>(),
            })),
            Voice::Bar | Voice::Lines => {
                for file in &report.files {
                    outln!("{}", file.display());
                }
                let took = HumanDuration(Duration::from_secs_f64(elapsed_s));
                errln!("{}: {:.1} s split in {took} ({speed:.2} x real time)", self.input.display(), report.seconds);
            }
        }
    }

    pub(super) fn failed(self, message: &str) {
        self.bar.finish_and_clear();
        self.voice.input_error(Some(self.input), message);
    }
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
        if self.voice == Voice::Json {
            emit(&json!({"event": "stage", "input": self.input.to_string_lossy(), "stage": name}));
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
                    let input = self.input.display();
                    errln!("{input}: {}% ({speed:.2} x real time, {left_s:.0} s left)", tenth * 10);
                }
            }
            Voice::Json => emit(&json!({
                "event": "progress", "input": self.input.to_string_lossy(), "done_s": done_s, "total_s": total_s,
                "speed": speed, "left_s": left_s,
            })),
        }
    }

    fn stem_written(&mut self, path: &Path) {
        if self.voice == Voice::Json {
            emit(&json!({"event": "stem", "input": self.input.to_string_lossy(), "file": path.to_string_lossy()}));
        }
    }
}

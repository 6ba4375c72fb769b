//! Progress output: a progress bar on a terminal, plain lines in a pipe, or JSON.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
use vocalizer_model::weights::FetchListener;
use vocalizer_model::{Listener, Report, Stage};

/// Longer names are truncated to leave room for the progress bar.
const MAX_NAME_CHARS: usize = 20;

/// The output mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Voice {
    /// A progress bar on a terminal.
    Bar,
    /// Plain lines for a log or a pipe.
    Lines,
    /// JSON lines.
    Json,
}

impl Voice {
    pub(super) fn choose(json: bool) -> Self {
        match (json, io::stderr().is_terminal()) {
            (true, _) => Self::Json,
            (false, true) => Self::Bar,
            (false, false) => Self::Lines,
        }
    }

    /// Reports an error about `subject`.
    pub(super) fn error(self, subject: Option<&Path>, message: &str) {
        match self {
            Self::Json => {
                emit(&json!({"event": "error", "input": subject.map(Path::to_string_lossy), "error": message}))
            }
            Self::Bar | Self::Lines => eprintln!("vocalizer: {message}"),
        }
    }

    pub(super) fn note(self, message: &str) {
        match self {
            Self::Json => emit(&json!({"event": "note", "message": message})),
            Self::Bar | Self::Lines => eprintln!("{message}"),
        }
    }
}

/// Prints a line of JSON. Ignores a closed pipe.
fn emit(value: &Value) {
    let _ = writeln!(io::stdout(), "{value}");
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
        // Use length 1 until the length is known: an empty bar would be drawn as full.
        let bar = if voice == Voice::Bar { ProgressBar::new(1) } else { ProgressBar::hidden() };
        let style = ProgressStyle::with_template("{prefix:.bold} {wide_bar} {percent:>3}% {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.progress_chars("━╸─"));
        let name = input.file_name().unwrap_or(input.as_os_str()).to_string_lossy();
        bar.set_prefix(match name.char_indices().nth(MAX_NAME_CHARS) {
            Some((end, _)) => format!("{}…", &name[..end]),
            None => name.into_owned(),
        });
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
                let mut out = io::stdout();
                for file in &report.files {
                    let _ = writeln!(out, "{}", file.display());
                }
                let took = HumanDuration(Duration::from_secs_f64(elapsed_s));
                eprintln!("{}: {:.1} s split in {took} ({speed:.2} x real time)", self.input.display(), report.seconds);
            }
        }
    }

    pub(super) fn failed(self, message: &str) {
        self.bar.finish_and_clear();
        self.voice.error(Some(self.input), message);
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
                    eprintln!("{input}: {}% ({speed:.2} x real time, {left_s:.0} s left)", tenth * 10);
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

/// Reports progress of fetching weights.
pub(super) struct FetchReport {
    voice: Voice,
    bar: ProgressBar,
    reported: u64,
}

impl FetchReport {
    pub(super) fn new(voice: Voice) -> Self {
        let target = if voice == Voice::Bar { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        let style = ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta} left")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.progress_chars("━╸─"));
        Self { voice, bar, reported: 0 }
    }
}

impl FetchListener for FetchReport {
    fn source(&mut self, name: &str, bytes: u64) {
        self.reported = 0;
        let message = format!("fetching {} from {name}", HumanBytes(bytes));
        self.bar.suspend(|| self.voice.note(&message));
    }

    fn passed_over(&mut self, name: &str, why: &str) {
        let message = format!("skipping {name}: {why}");
        self.bar.suspend(|| self.voice.note(&message));
    }

    fn progress(&mut self, done_bytes: u64, total_bytes: u64) {
        self.bar.set_length(total_bytes);
        self.bar.set_position(done_bytes);
        let quarter = done_bytes.saturating_mul(4) / total_bytes.max(1);
        if quarter > self.reported {
            self.reported = quarter;
            match self.voice {
                Voice::Bar => {}
                Voice::Lines => eprintln!("{} of {}", HumanBytes(done_bytes), HumanBytes(total_bytes)),
                Voice::Json => {
                    emit(&json!({"event": "fetch", "done_bytes": done_bytes, "total_bytes": total_bytes}));
                }
            }
        }
    }
}

impl Drop for FetchReport {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

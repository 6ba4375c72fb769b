//! The summary of a run.

use std::time::Instant;

use serde_json::json;

use super::times;
use crate::exit::Exit;
use crate::voice::Voice;

/// Counts what became of the songs.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) done: usize,
    pub(super) skipped: usize,
    pub(super) failed: usize,
    /// Length of the songs that were split.
    pub(super) song_s: f64,
    started: Instant,
}

impl Tally {
    pub(super) fn new(failed: usize) -> Self {
        Self { done: 0, skipped: 0, failed, song_s: 0.0, started: Instant::now() }
    }

    /// Prints the summary: in JSON always, for people if there is more than one song.
    pub(super) fn print(&self, voice: Voice) {
        let Self { done, skipped, failed, song_s, started } = *self;
        let elapsed_s = started.elapsed().as_secs_f64();
        let speed = song_s / elapsed_s.max(1e-9);
        let total = done + skipped + failed;
        if voice == Voice::Json {
            let event = json!({
                "event": "summary", "done": done, "skipped": skipped, "failed": failed, "seconds": song_s,
                "elapsed_s": elapsed_s, "speed": speed,
            });
            voice.say(&event, "");
        } else if total > 1 {
            let took = if elapsed_s < 60.0 { format!("{elapsed_s:.1} s") } else { times::shown(elapsed_s) };
            let pace = match done {
                0 => took,
                _ => format!("{} of audio in {took} ({speed:.2} x real time)", times::shown(song_s)),
            };
            voice.line(&format!("{total} songs: {done} done, {skipped} skipped, {failed} failed; {pace}"));
        }
    }

    /// Returns the exit code.
    pub(super) fn exit(&self) -> Exit {
        match (self.done + self.skipped, self.failed) {
            (_, 0) => Exit::Done,
            (0, _) => Exit::AllFailed,
            _ => Exit::Failed,
        }
    }
}

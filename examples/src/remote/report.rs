//! Progress of uploads and songs, and text from the server.

use indicatif::{HumanBytes, ProgressBar};
use serde_json::json;
use vocalizer_client::{SongStatus, SongView};

use crate::output::errln;
use crate::voice::Voice;

/// Formats an error and its causes in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    shown(&vocalizer_core::causes::chain(error))
}

/// Replaces control and bidirectional characters in untrusted text.
pub(super) fn shown(text: &str) -> String {
    text.replace(|c: char| c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'), " ")
}

/// Describes a song's status.
pub(super) fn state(song: &SongView) -> String {
    match song.status {
        SongStatus::NotFound => "not found".to_owned(),
        SongStatus::Uploading => "uploading".to_owned(),
        SongStatus::Uploaded => match song.queue_position {
            Some(before) => format!("waiting #{}", before.saturating_add(1)),
            None => "waiting".to_owned(),
        },
        SongStatus::Splitting => {
            song.progress.map_or("splitting".to_owned(), |percent| format!("splitting {percent}%"))
        }
        SongStatus::Split => "split".to_owned(),
        SongStatus::Failed => "failed".to_owned(),
        status => status.to_string().to_lowercase(),
    }
}

/// Returns a callback that reports upload progress; call it with the bytes sent and the size.
pub(super) fn upload(voice: Voice, name: &str) -> impl FnMut(u64, Option<u64>) + Send + 'static {
    let name = shown(name);
    let bar = voice.bar(&name, "{prefix:.bold} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}");
    let mut reported_quarters = 0;
    move |sent_bytes, size_bytes| {
        let size_bytes = size_bytes.unwrap_or(sent_bytes).max(1);
        bar.set_length(size_bytes);
        bar.set_position(sent_bytes);
        if sent_bytes >= size_bytes {
            bar.finish_and_clear();
        }
        let quarters = sent_bytes.saturating_mul(4) / size_bytes;
        if quarters > reported_quarters {
            reported_quarters = quarters;
            let line = format!("{name}: {} of {} sent", HumanBytes(sent_bytes), HumanBytes(size_bytes));
            let event = json!({"event": "upload", "file": name, "sent_bytes": sent_bytes, "size_bytes": size_bytes});
            if voice != Voice::Bar {
                voice.note(&event, &line);
            }
        }
    }
}

/// Reports the status of a song while waiting for it.
pub(super) struct Waiting {
    voice: Voice,
    bar: ProgressBar,
    /// The last plain line.
    last_line: String,
}

impl Waiting {
    pub(super) fn new(voice: Voice, title: &str) -> Self {
        Self {
            voice,
            bar: voice.bar(&shown(title), "{prefix:.bold} {wide_bar} {percent:>3}% {msg}"),
            last_line: String::new(),
        }
    }

    pub(super) fn look(&mut self, song: &SongView) {
        let state = state(song);
        match self.voice {
            Voice::Json => self.voice.say(&json!({"event": "song", "song": song}), &state),
            Voice::Bar => {
                self.bar.set_length(100);
                self.bar.set_position(song.progress.unwrap_or(0).into());
                self.bar.set_message(state);
            }
            Voice::Lines | Voice::Quiet => {
                // One line per 10 % is enough for a log.
                let tenth = song.progress.map_or(0, |percent| percent / 10);
                let line = if song.progress.is_some() { format!("splitting {tenth}") } else { state.clone() };
                if line != self.last_line {
                    errln!("{}: {state}", shown(&song.title));
                    self.last_line = line;
                }
            }
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

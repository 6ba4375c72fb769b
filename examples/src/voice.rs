//! Output: a progress bar on a terminal, plain lines in a pipe, or JSON.

use std::io::{self, IsTerminal as _};
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json};

use crate::output::{errln, outln};
use crate::paths::{plain, put};

/// Longer names are truncated to leave room for the progress bar.
const MAX_NAME_CHARS: usize = 20;

/// The output mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Voice {
    /// A progress bar on a terminal.
    Bar,
    /// Plain lines for a log or a pipe.
    Lines,
    /// JSON lines.
    Json,
    /// Errors only.
    #[cfg_attr(not(feature = "separate"), expect(dead_code, reason = "for `separate` and `watch`"))]
    Quiet,
}

impl Voice {
    pub(crate) fn choose(json: bool) -> Self {
        match (json, io::stderr().is_terminal()) {
            (true, _) => Self::Json,
            (false, true) => Self::Bar,
            (false, false) => Self::Lines,
        }
    }

    /// Prints a result: a JSON object or a line.
    pub(crate) fn say(self, value: &Value, line: &str) {
        match self {
            Self::Json => outln!("{value}"),
            Self::Bar | Self::Lines => outln!("{line}"),
            Self::Quiet => {}
        }
    }

    /// Prints a line for people on standard error.
    #[cfg(feature = "separate")]
    pub(crate) fn line(self, line: &str) {
        if matches!(self, Self::Bar | Self::Lines) {
            errln!("{}", plain(line));
        }
    }

    /// Reports progress: a JSON object on standard output, or a line on standard error.
    pub(crate) fn note(self, value: &Value, line: &str) {
        match self {
            Self::Json => self.say(value, line),
            Self::Bar | Self::Lines => errln!("{}", plain(line)),
            Self::Quiet => {}
        }
    }

    /// Reports a remark.
    pub(crate) fn remark(self, message: &str) {
        self.note(&json!({"event": "note", "message": message}), message);
    }

    /// Reports an error.
    pub(crate) fn error(self, message: &str) {
        self.report_error(&json!({"event": "error", "error": message}), message);
    }

    /// Reports an error about an input file, or about all of them.
    pub(crate) fn input_error(self, input: Option<&Path>, message: &str) {
        let mut event = Map::from_iter([("event".to_owned(), "error".into()), ("error".to_owned(), message.into())]);
        match input {
            Some(input) => put(&mut event, "input", input),
            None => _ = event.insert("input".to_owned(), Value::Null),
        }
        self.report_error(&Value::Object(event), message);
    }

    fn report_error(self, event: &Value, message: &str) {
        match self {
            Self::Json => self.say(event, message),
            Self::Bar | Self::Lines | Self::Quiet => errln!("vocalizer: {}", plain(message)),
        }
    }

    /// Returns a progress bar with this name, hidden if there is no terminal.
    pub(crate) fn bar(self, name: &str, template: &str) -> ProgressBar {
        // Use length 1 until the length is known: an empty bar would be drawn as full.
        let bar = if self == Self::Bar { ProgressBar::new(1) } else { ProgressBar::hidden() };
        bar.set_style(style(template));
        bar.set_prefix(match name.char_indices().nth(MAX_NAME_CHARS) {
            Some((end, _)) => format!("{}…", &name[..end]),
            None => name.to_owned(),
        });
        bar
    }
}

/// Returns the style of a progress bar.
pub(crate) fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars("━╸─")
}

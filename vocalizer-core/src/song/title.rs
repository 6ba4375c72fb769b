//! The title of a song.

use std::fmt;

use serde::Serialize;
use thiserror::Error;

/// What a song is called: trimmed, not empty, on one line and within its limit.
///
/// Titles end up in `Content-Disposition` headers, file names and terminals, so what could break out of those is refused
/// here, once, and no reader has to think of it again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Title(String);

impl Title {
    /// Trims `text` and accepts it as a title of at most `max_chars` characters.
    ///
    /// The bound for new titles is [`Limits::max_title_chars`](crate::limits::Limits::max_title_chars). A store that
    /// reads back what it once accepted passes `usize::MAX`: lowering the limit must not lose songs.
    ///
    /// # Errors
    ///
    /// [`TitleError::Empty`] when nothing is left after trimming, [`TitleError::TooLong`] over the limit,
    /// [`TitleError::Control`] for a character that steers instead of being shown.
    pub fn parse(text: &str, max_chars: usize) -> Result<Self, TitleError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(TitleError::Empty);
        }
        let found_chars = text.chars().count();
        if found_chars > max_chars {
            return Err(TitleError::TooLong { max_chars, found_chars });
        }
        match text.chars().position(steers) {
            Some(at_char) => Err(TitleError::Control { at_char }),
            None => Ok(Self(text.to_owned())),
        }
    }

    /// The title as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a character changes how the text around it is laid out instead of being shown: control characters, the two
/// Unicode line breaks, and the direction overrides that can make `gpj.exe` read as `exe.jpg`.
pub(super) fn steers(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl fmt::Display for Title {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<str> for Title {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// A text that cannot be a title.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TitleError {
    /// Nothing but white space.
    #[error("the title is empty")]
    Empty,
    /// More characters than the limit.
    #[error("the title has {found_chars} characters, at most {max_chars} are allowed")]
    TooLong {
        /// The limit it was held to.
        max_chars: usize,
        /// How many characters it has.
        found_chars: usize,
    },
    /// A control character, a line break or a direction override.
    #[error("the title holds a control character at position {at_char}")]
    Control {
        /// Where the first one is, in characters from the start of the trimmed title.
        at_char: usize,
    },
}

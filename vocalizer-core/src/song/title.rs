//! Song titles.

use std::fmt;

use serde::Serialize;
use thiserror::Error;
use vocalizer_api::text::{changes_layout, is_invisible, is_variation_selector};

/// A song's title: trimmed, not empty, on one line, within its length limit and without invisible characters.
///
/// Titles end up in `Content-Disposition` headers, file names and terminals. Characters that could break out of those
/// are rejected here, so that consumers need no check.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Title(String);

impl Title {
    /// Drops the invisible characters of `text`, trims it and accepts it as a title of at most `max_chars` characters.
    ///
    /// The joiners of emoji and of scripts such as Persian (U+200C and U+200D) stay between two non-ASCII characters. A
    /// title of only invisible characters is empty.
    ///
    /// The limit for new titles is [`Limits::max_title_chars`](crate::limits::Limits::max_title_chars). A store that
    /// reads titles back passes `usize::MAX`: lowering the limit must not lose songs.
    ///
    /// ```
    /// use vocalizer_core::song::{Title, TitleError};
    ///
    /// # fn main() -> Result<(), TitleError> {
    /// assert_eq!(Title::parse("  Clair de lune ", 200)?.as_str(), "Clair de lune");
    /// assert_eq!(Title::parse("two\nlines", 200), Err(TitleError::Control { at_char: 3 }));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`TitleError::Empty`] if nothing is left after trimming, [`TitleError::TooLong`] above the limit,
    /// [`TitleError::Control`] for a control or formatting character.
    pub fn parse(text: &str, max_chars: usize) -> Result<Self, TitleError> {
        let text = visible(text);
        let text = text.trim();
        // A variation selector or a Braille blank alone shows nothing.
        let shows_nothing = |c: char| c.is_whitespace() || is_variation_selector(c) || is_joiner(c) || c == '\u{2800}';
        if text.chars().all(shows_nothing) {
            return Err(TitleError::Empty);
        }
        let found_chars = text.chars().count();
        if found_chars > max_chars {
            return Err(TitleError::TooLong { max_chars, found_chars });
        }
        match text.chars().position(changes_layout) {
            Some(at_char) => Err(TitleError::Control { at_char }),
            None => Ok(Self(text.to_owned())),
        }
    }

    /// Returns the title as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Removes invisible characters, except those of [`changes_layout`], which are rejected later.
fn visible(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let joins = matches!(c, '\u{200c}' | '\u{200d}')
            && kept.chars().next_back().is_some_and(|before| !before.is_ascii() && !is_joiner(before))
            && chars.peek().is_some_and(|&next| !next.is_ascii() && !is_invisible(next));
        if joins || changes_layout(c) || is_variation_selector(c) || !is_invisible(c) {
            kept.push(c);
        }
    }
    kept
}

fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
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

/// An invalid title.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TitleError {
    /// Only white space or invisible characters.
    #[error("the title is empty")]
    Empty,
    /// More characters than the limit.
    #[error("the title has {found_chars} characters; at most {max_chars} are allowed")]
    TooLong {
        /// The limit.
        max_chars: usize,
        /// The number of characters.
        found_chars: usize,
    },
    /// A control character, a line break or a direction override.
    #[error("the title contains a control character at position {at_char}")]
    Control {
        /// The position of the first one, in characters from the start of the trimmed title.
        at_char: usize,
    },
}

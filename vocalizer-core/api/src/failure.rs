//! Why a song failed.

use std::fmt;

use crate::text::changes_layout;

/// Why a song could not be split, in one line for the uploader.
///
/// The constructor never fails, so that no failure is lost because of a bad reason.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FailureReason(String);

impl FailureReason {
    /// The longest reason, in characters.
    pub const MAX_CHARS: usize = 500;

    /// Replaces a blank reason.
    pub const UNKNOWN: &'static str = "no reason was given";

    /// The reason of a song whose splitting the user cancelled.
    pub const CANCELLED: &'static str = "cancelled by the user";

    /// Makes one line of `text`: white space, control characters and direction overrides become single spaces, text
    /// beyond [`Self::MAX_CHARS`] is cut, and blank text becomes [`Self::UNKNOWN`].
    #[must_use]
    pub fn new(text: &str) -> Self {
        let words = text.split(|c: char| c.is_whitespace() || changes_layout(c)).filter(|word| !word.is_empty());
        let mut line = String::new();
        let mut kept_chars = 0;
        // Word by word up to the limit, so that a malicious worker's huge text is not copied first.
        for word in words {
            let gap = usize::from(!line.is_empty());
            if kept_chars + gap >= Self::MAX_CHARS {
                break;
            }
            line.extend(std::iter::repeat_n(' ', gap));
            let room_chars = Self::MAX_CHARS - kept_chars - gap;
            let before_bytes = line.len();
            line.extend(word.chars().take(room_chars));
            kept_chars += gap + line[before_bytes..].chars().count();
        }
        if line.is_empty() { Self(Self::UNKNOWN.to_owned()) } else { Self(line) }
    }

    /// Returns the reason as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FailureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

//! Labels: short names by which users group songs.

use thiserror::Error;
use unicode_normalization::UnicodeNormalization as _;

use super::{Title, TitleError};

/// A label of songs, under the rules of titles. Labels that differ in case only are the same label.
///
/// ```
/// use vocalizer_core::song::Label;
///
/// # fn main() -> Result<(), vocalizer_core::song::TitleError> {
/// let label = Label::parse(" Live ")?;
/// assert_eq!(label.as_str(), "Live");
/// assert_eq!(label.key(), Label::parse("LIVE")?.key());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label(Title);

impl Label {
    /// The maximum number of characters.
    pub const MAX_CHARS: usize = 40;

    /// The maximum number of labels of a song.
    pub const MOST: usize = 20;

    /// Trims a text and accepts it as a label.
    ///
    /// # Errors
    ///
    /// Those of [`Title::parse`].
    pub fn parse(text: &str) -> Result<Self, TitleError> {
        Title::parse(text, Self::MAX_CHARS).map(Self)
    }

    /// Returns the label as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Returns what equal labels have in common.
    #[must_use]
    pub fn key(&self) -> String {
        self.as_str().nfc().collect::<String>().to_lowercase()
    }
}

impl From<Title> for Label {
    /// For stores only: a lower limit must not lose labels.
    fn from(title: Title) -> Self {
        Self(title)
    }
}

/// A change of the labels of a song. Repeating it has no further effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LabelChange {
    /// Adds a label, unless the song has it. The first spelling remains.
    Add(Label),
    /// Removes a label.
    Remove(Label),
}

/// The song has [`Label::MOST`] labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the song has {} labels, the maximum", Label::MOST)]
pub struct TooManyLabels;

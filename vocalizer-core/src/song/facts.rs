//! What the file of a song says about it.

use super::Title;

/// What the file of a song says about it. Songs that were uploaded before this was read have none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SongFacts {
    /// The artist in its tags.
    pub artist: Option<String>,
    /// The length in milliseconds, if its header states it.
    pub duration_ms: Option<u64>,
    /// Whether its tags have a cover.
    pub has_cover: Option<bool>,
}

impl SongFacts {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self { artist: None, duration_ms: None, has_cover: None };

    /// Most characters of an artist.
    const MAX_ARTIST_CHARS: usize = 200;

    /// Returns the artist of a file's tags as it may be shown: as a [`Title`], but shortened. `None` if it is not such a text.
    #[must_use]
    pub fn artist(text: &str) -> Option<String> {
        let text = Title::parse(text, usize::MAX).ok()?;
        let short: String = text.as_str().chars().take(Self::MAX_ARTIST_CHARS).collect();
        Some(short.trim_end().to_owned())
    }
}

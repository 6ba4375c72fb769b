//! Searching and sorting many songs.

use async_trait::async_trait;

use super::RepositoryError;
use crate::account::Viewer;
use crate::song::{Label, Song, SongId, StatusKind};

/// Whose songs to list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Whose {
    /// All that the viewer may see.
    #[default]
    All,
    /// The viewer's own; none for an anonymous viewer.
    Mine,
    /// Anonymous ones.
    Open,
}

/// What songs are sorted by. Equal songs are in the order of their identifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortKey {
    /// When they were uploaded.
    Added,
    /// The folded title, then the artist ([`sort_keys`](crate::song::sort_keys)).
    Title,
    /// The folded artist, then the title. Songs without an artist come first.
    Artist,
    /// The length. Songs whose length is unknown come first.
    Duration,
}

/// A position in a sorted list. It stays valid when its song is deleted or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// What the song at this position is sorted by.
    pub value: PlaceValue,
    /// The identifier of that song.
    pub id: SongId,
}

/// What a song is sorted by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlaceValue {
    /// For [`SortKey::Added`], in microseconds since 1970, and [`SortKey::Duration`], in milliseconds or -1.
    Number(i64),
    /// For [`SortKey::Title`] and [`SortKey::Artist`].
    Text(String),
}

/// Which songs to list, and in which order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LibraryQuery {
    /// Who asks: only songs that [`Viewer::may_see`] allows are listed. A share link adds none.
    pub viewer: Viewer,
    /// Whose songs.
    pub whose: Whose,
    /// Only songs in this status.
    pub status: Option<StatusKind>,
    /// Only songs whose title or artist contains each of these [words](crate::song::words).
    pub words: Vec<String>,
    /// Only songs with this label.
    pub label: Option<Label>,
    /// The order.
    pub sort: SortKey,
    /// Whether the order is reversed.
    pub descending: bool,
    /// Only songs after this position, which must be one of this order.
    pub after: Option<Place>,
    /// The maximum number of songs.
    pub limit: u32,
}

/// Lists songs sorted and filtered, page by page, without reading those of other pages if they are not filtered.
///
/// ```
/// # #[cfg(not(feature = "memory"))] fn main() {}
/// # #[cfg(feature = "memory")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use time::OffsetDateTime;
/// # use vocalizer_core::{account::Viewer, memory::MemorySongs, ports::*, song::*};
/// # let repository = MemorySongs::default();
/// # let (title, hash) = (Title::parse("Für Elise", 200)?, SongHash::of(b"the song"));
/// # let mut song = Song::begin(SongId::random(), title, hash, None, OffsetDateTime::UNIX_EPOCH);
/// # song.finish_upload()?;
/// # repository.admit(&song).await?;
/// let query = LibraryQuery {
///     viewer: Viewer::Anonymous,
///     whose: Whose::All,
///     status: None,
///     words: words("FUR"),
///     label: None,
///     sort: SortKey::Title,
///     descending: false,
///     after: None,
///     limit: 50,
/// };
/// let page = repository.list_sorted(&query).await?;
/// assert_eq!(page[0].0.title().as_str(), "Für Elise");
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait LibraryRepository: Send + Sync {
    /// Lists songs with their places.
    ///
    /// # Errors
    ///
    /// Those of every method of [`SongRepository`](super::SongRepository).
    async fn list_sorted(&self, query: &LibraryQuery) -> Result<Vec<(Song, Place)>, RepositoryError>;

    /// Counts the songs of a query on all pages.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn count_listed(&self, query: &LibraryQuery) -> Result<u64, RepositoryError>;

    /// Computes the [keys](crate::song::sort_keys) of songs that were stored by a version without them, at most `limit`, and
    /// returns their number. Until then no search finds them, and they come first by title and artist.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn add_sort_keys(&self, limit: u32) -> Result<u64, RepositoryError>;
}

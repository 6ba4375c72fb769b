//! The repository of labels.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::RepositoryError;
use crate::account::Viewer;
use crate::song::{Label, LabelChange, Song, SongId};

/// A label and the songs that have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelCount {
    /// The label, in one of its spellings.
    pub label: Label,
    /// The number of songs that the viewer may see, without those in the trash.
    pub songs: u64,
}

/// Stores the labels of songs. It is a part of [`SongRepository`](super::SongRepository): songs are returned with their
/// labels, those in the trash keep them, and [removing](super::SongRepository::remove) a song removes them.
///
/// ```
/// # #[cfg(not(feature = "memory"))] fn main() {}
/// # #[cfg(feature = "memory")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use time::OffsetDateTime;
/// # use vocalizer_core::{account::Viewer, memory::MemorySongs, ports::*, song::*};
/// # let repository = MemorySongs::default();
/// # let (title, hash) = (Title::parse("Clair de lune", 200)?, SongHash::of(b"the song"));
/// # let mut song = Song::begin(SongId::random(), title, hash, None, OffsetDateTime::UNIX_EPOCH);
/// # song.finish_upload()?;
/// # repository.admit(&song).await?;
/// let live = Label::parse("Live")?;
/// let song = repository.relabel(song.id(), &LabelChange::Add(live.clone())).await?;
/// assert_eq!(song.unwrap().labels(), [live.clone()]);
/// assert_eq!(repository.labels(Viewer::Anonymous).await?, [LabelCount { label: live, songs: 1 }]);
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait LabelRepository: Send + Sync {
    /// Changes the labels of a song by [`Song::relabel`], durably on return. `None` if there is no such song outside the
    /// trash.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Conflict`] if the song has the maximum number of labels.
    async fn relabel(&self, id: SongId, change: &LabelChange) -> Result<Option<Song>, RepositoryError>;

    /// Counts the songs of each label that the viewer may see, in the order of the labels' keys.
    ///
    /// # Errors
    ///
    /// Those of every method.
    async fn labels(&self, viewer: Viewer) -> Result<Vec<LabelCount>, RepositoryError>;
}

impl LabelCount {
    /// Adds up the songs with the same labels: each entry has the labels of so many songs.
    #[must_use]
    pub fn of(songs: impl IntoIterator<Item = (Vec<Label>, u64)>) -> Vec<Self> {
        let mut counts = BTreeMap::<String, Self>::new();
        for (labels, songs) in songs {
            for label in labels {
                let count = counts.entry(label.key()).or_insert_with(|| Self { label: label.clone(), songs: 0 });
                count.songs += songs;
                // Always the same spelling.
                if label.as_str() < count.label.as_str() {
                    count.label = label;
                }
            }
        }
        counts.into_values().collect()
    }
}

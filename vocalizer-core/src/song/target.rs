//! What a song is split with.

use vocalizer_api::model::ModelName;
use vocalizer_api::part::Stem;

use super::SongHash;

/// What a song is split with, and where its results are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The model; `None` for the default of the server, in songs of servers that knew one model only.
    pub model: Option<ModelName>,
    /// The stems that are wanted of the model's; `None` for all.
    pub stems: Option<Vec<Stem>>,
    /// The key of the results: the hash, or that of a [further model](crate::models::result_key).
    pub key: SongHash,
}

impl Target {
    /// Returns the target of a song that is split with the default model.
    #[must_use]
    pub const fn default_of(hash: SongHash) -> Self {
        Self { model: None, stems: None, key: hash }
    }

    /// Returns whether a stem is wanted.
    #[must_use]
    pub fn wants(&self, stem: Stem) -> bool {
        self.stems.as_ref().is_none_or(|stems| stems.contains(&stem))
    }
}

//! Counts splits and failures by model, for monitoring.

use std::time::Duration;

use super::songs::SongService;
use super::work_counter::{ModelCounts, UploadCounts};
use crate::models::ModelName;
use crate::song::{Song, StemsInfo};

impl SongService {
    /// Returns the counts of each allowed model, the default first.
    #[must_use]
    pub fn model_counts(&self) -> Vec<(ModelName, ModelCounts)> {
        self.models().names().into_iter().map(|name| (name, self.work_counter().model(&name))).collect()
    }

    /// Returns the counts of resumable uploads.
    #[must_use]
    pub fn upload_counts(&self) -> UploadCounts {
        self.work_counter().uploads()
    }

    pub(super) fn count_split(&self, songs: &[Song], stems: &StemsInfo) {
        let took_ms = stems.provenance.as_ref().and_then(|provenance| provenance.took_ms).unwrap_or_default();
        self.count_model(songs, |counts| {
            counts.splits += 1;
            counts.busy = counts.busy.saturating_add(Duration::from_millis(took_ms));
        });
    }

    pub(super) fn count_failure(&self, songs: &[Song]) {
        self.count_model(songs, |counts| counts.failures += 1);
    }

    /// A repeat concerns no songs and does not count.
    fn count_model(&self, songs: &[Song], count: impl FnOnce(&mut ModelCounts)) {
        let Some(song) = songs.first() else { return };
        let name = self.model_of_song(song);
        // Songs may name models that the operator has removed since.
        if self.models().find(name.as_str()).is_some() {
            self.work_counter().count_model(name, count);
        }
    }
}

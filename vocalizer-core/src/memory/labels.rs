//! Labels in memory.

use async_trait::async_trait;

use super::MemorySongs;
use crate::account::Viewer;
use crate::ports::{LabelCount, LabelRepository, RepositoryError};
use crate::song::{LabelChange, Song, SongId};

#[async_trait]
impl LabelRepository for MemorySongs {
    async fn relabel(&self, id: SongId, change: &LabelChange) -> Result<Option<Song>, RepositoryError> {
        let mut state = self.state();
        let Some(index) = state.index(id) else { return Ok(None) };
        state.songs[index].relabel(change).map_err(|_| RepositoryError::Conflict)?;
        Ok(Some(state.songs[index].clone()))
    }

    async fn labels(&self, viewer: Viewer) -> Result<Vec<LabelCount>, RepositoryError> {
        let state = self.state();
        let listed = state.live().filter(|song| viewer.may_change(song));
        Ok(LabelCount::of(listed.map(|song| (song.labels().to_vec(), 1))))
    }
}

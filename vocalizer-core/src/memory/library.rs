//! Searching and sorting in memory.

use async_trait::async_trait;

use super::MemorySongs;
use super::songs::{State, micros};
use crate::ports::{LibraryQuery, LibraryRepository, Place, PlaceValue, RepositoryError, SortKey, Whose};
use crate::song::{Label, Song, SongId, sort_keys};

/// Numbers and texts are never compared with each other.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Number(i64),
    Text(String),
}

fn key(song: &Song, sort: SortKey) -> Key {
    let (title, artist) = sort_keys(song.title().as_str(), song.facts().artist.as_deref());
    match sort {
        SortKey::Added => Key::Number(micros(song.uploaded_at())),
        SortKey::Title => Key::Text(title),
        SortKey::Artist => Key::Text(artist),
        SortKey::Duration => {
            Key::Number(song.facts().duration_ms.map_or(-1, |ms| i64::try_from(ms).unwrap_or(i64::MAX)))
        }
    }
}

impl State {
    fn found(&self, query: &LibraryQuery) -> Vec<&Song> {
        let LibraryQuery { viewer, whose, status, words, label, .. } = query;
        let user = viewer.user();
        let is_listed = |song: &&Song| match song.uploader() {
            None => *whose != Whose::Mine,
            owner => *whose != Whose::Open && owner == user,
        };
        let has_words = |song: &&Song| {
            let (text, _) = sort_keys(song.title().as_str(), song.facts().artist.as_deref());
            words.iter().all(|word| text.contains(word))
        };
        let label = label.as_ref().map(Label::key);
        let has_label =
            |song: &&Song| label.as_ref().is_none_or(|key| song.labels().iter().any(|one| one.key() == *key));
        let in_status = |song: &&Song| status.is_none_or(|status| song.status().kind() == status);
        self.live().filter(is_listed).filter(in_status).filter(has_label).filter(has_words).collect()
    }
}

#[async_trait]
impl LibraryRepository for MemorySongs {
    async fn list_sorted(&self, query: &LibraryQuery) -> Result<Vec<(Song, Place)>, RepositoryError> {
        let &LibraryQuery { sort, descending, ref after, limit, .. } = query;
        let after: Option<(Key, SongId)> = after.clone().map(|Place { value, id }| match value {
            PlaceValue::Number(number) => (Key::Number(number), id),
            PlaceValue::Text(text) => (Key::Text(text), id),
        });
        // The newest first, songs of one moment are in the order of their identifiers; the reverse reverses both.
        let ids_descend = descending != (sort == SortKey::Added);
        let order = |(one, one_id): &(Key, SongId), (other, other_id): &(Key, SongId)| {
            let (keys, ids) = (one.cmp(other), one_id.cmp(other_id));
            let keys = if descending { keys.reverse() } else { keys };
            keys.then(if ids_descend { ids.reverse() } else { ids })
        };
        let state = self.state();
        let mut placed: Vec<_> =
            state.found(query).into_iter().map(|song| ((key(song, sort), song.id()), song)).collect();
        placed.sort_by(|(one, _), (other, _)| order(one, other));
        placed.retain(|(place, _)| after.as_ref().is_none_or(|after| order(place, after).is_gt()));
        placed.truncate(limit as usize);
        let placed = placed.into_iter().map(|((key, id), song)| {
            let value = match key {
                Key::Number(number) => PlaceValue::Number(number),
                Key::Text(text) => PlaceValue::Text(text),
            };
            (song.clone(), Place { value, id })
        });
        Ok(placed.collect())
    }

    async fn count_listed(&self, query: &LibraryQuery) -> Result<u64, RepositoryError> {
        Ok(self.state().found(query).len() as u64)
    }

    async fn add_sort_keys(&self, _limit: u32) -> Result<u64, RepositoryError> {
        Ok(0)
    }
}

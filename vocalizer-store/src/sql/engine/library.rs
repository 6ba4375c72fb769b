//! Searching and sorting songs. Compiled once for each engine.

use async_trait::async_trait;
use sqlx::{query, query_scalar};
use vocalizer_core::ports::{LibraryQuery, LibraryRepository, Place, PlaceValue, RepositoryError, SortKey, Whose};
use vocalizer_core::song::{Label, MAX_WORDS, Song, StatusKind, sort_keys};

use super::engine::{self, Store, repository};
use crate::sql::rows::{self, read_all};

/// After every folded text and every identifier.
const LAST: &str = "\u{10ffff}\u{10ffff}";

/// Returns the words as many as the statements have. Every text has the empty word.
fn padded(words: &[String]) -> [String; MAX_WORDS] {
    std::array::from_fn(|at| words.get(at).cloned().unwrap_or_default())
}

/// Returns the position before the first song.
fn first(sort: SortKey, descending: bool) -> (PlaceValue, &'static str) {
    let ids_descend = descending != (sort == SortKey::Added);
    let value = match sort {
        SortKey::Added | SortKey::Duration => PlaceValue::Number(if descending { i64::MAX } else { i64::MIN }),
        SortKey::Title | SortKey::Artist => PlaceValue::Text(if descending { LAST } else { "" }.to_owned()),
    };
    (value, if ids_descend { LAST } else { "" })
}

#[async_trait]
impl LibraryRepository for Store {
    async fn list_sorted(&self, asked: &LibraryQuery) -> Result<Vec<(Song, Place)>, RepositoryError> {
        let &LibraryQuery { viewer, whose, status, ref words, ref label, sort, descending, ref after, limit } = asked;
        let (value, id) = match after {
            Some(Place { value, id }) => (value.clone(), id.to_string()),
            None => {
                let (value, id) = first(sort, descending);
                (value, id.to_owned())
            }
        };
        let user = viewer.user().filter(|_| whose != Whose::Open).map(|user| user.to_string());
        self.attempt(|| async {
            let statement = engine::sorted(sort, descending).bind(user.clone()).bind(whose != Whose::Mine);
            let statement = match value.clone() {
                PlaceValue::Number(number) => statement.bind(number),
                PlaceValue::Text(text) => statement.bind(text),
            };
            let statement = statement.bind(id.clone()).bind(status.map(StatusKind::name)).bind(i64::from(limit));
            let statement = padded(words).into_iter().fold(statement, sqlx::query::Query::bind);
            let statement = statement.bind(label.as_ref().map(Label::key));
            let rows = statement.fetch_all(self.read()).await.map_err(repository)?;
            read_all(&rows, if sort_is_text(sort) { rows::song_at_text } else { rows::song_at_number })
        })
        .await
    }

    async fn count_listed(&self, asked: &LibraryQuery) -> Result<u64, RepositoryError> {
        let &LibraryQuery { viewer, whose, status, ref words, ref label, .. } = asked;
        let user = viewer.user().filter(|_| whose != Whose::Open).map(|user| user.to_string());
        self.attempt(|| async {
            let counted = query_scalar(engine::COUNT_LISTED)
                .bind(user.clone())
                .bind(whose != Whose::Mine)
                .bind(status.map(StatusKind::name));
            let counted = padded(words).into_iter().fold(counted, sqlx::query::QueryScalar::bind);
            let counted = counted.bind(label.as_ref().map(Label::key));
            let counted: i64 = counted.fetch_one(self.read()).await.map_err(repository)?;
            Ok(counted.unsigned_abs())
        })
        .await
    }

    async fn add_sort_keys(&self, limit: u32) -> Result<u64, RepositoryError> {
        const SQL: &str = "UPDATE songs SET title_key = $2, artist_key = $3 WHERE id = $1 AND title = $4";
        self.attempt(|| async {
            let rows = query("SELECT id, title, artist FROM songs WHERE title_key = '' ORDER BY id LIMIT $1")
                .bind(i64::from(limit))
                .fetch_all(self.read())
                .await
                .map_err(repository)?;
            let mut step = self.begin().await?;
            let mut added = 0;
            for (id, title, artist) in read_all(&rows, rows::texts)? {
                let (title_key, artist_key) = sort_keys(&title, artist.as_deref());
                let changed = query(SQL).bind(id).bind(title_key).bind(artist_key).bind(title);
                added += changed.execute(&mut *step).await.map_err(repository)?.rows_affected();
            }
            self.commit(step).await?;
            Ok(added)
        })
        .await
    }
}

fn sort_is_text(sort: SortKey) -> bool {
    matches!(sort, SortKey::Title | SortKey::Artist)
}

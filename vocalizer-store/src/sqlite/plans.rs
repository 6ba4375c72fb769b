//! Tests of the plans that SQLite makes for lists.

use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Execute as _, Row as _, query};
use vocalizer_core::ports::SortKey;

use super::{SqliteStore, engine};

/// Returns the steps of a plan.
async fn plan(store: &SqliteStore, sql: &str) -> Vec<String> {
    let explained = query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"))).fetch_all(store.read()).await.unwrap();
    explained.iter().map(|row: &SqliteRow| row.get("detail")).collect()
}

#[tokio::test]
async fn every_order_is_read_from_an_index() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("songs.db")).await.unwrap();
    let orders = [
        (SortKey::Added, "songs_in_order"),
        (SortKey::Title, "songs_by_title"),
        (SortKey::Artist, "songs_by_artist"),
        (SortKey::Duration, "songs_by_duration"),
    ];
    for (sort, index) in orders {
        for descending in [false, true] {
            let steps = plan(&store, engine::sorted(sort, descending).sql().as_str()).await;
            let halves = steps.iter().filter(|step| step.contains(&format!("USING INDEX {index} (")));
            assert_eq!(halves.count(), 2, "{sort:?}: {steps:?}");
            assert!(!steps.iter().any(|step| step.contains("TEMP B-TREE")), "{sort:?} sorts: {steps:?}");
            assert!(!steps.iter().any(|step| step.starts_with("SCAN")), "{sort:?} reads a whole table: {steps:?}");
            let labels = steps
                .iter()
                .filter(|step| step.starts_with("SEARCH song_labels USING PRIMARY KEY (label_key=? AND song_id=?)"));
            assert_eq!(labels.count(), 2, "{steps:?}");
        }
    }
}

#[tokio::test]
async fn songs_are_counted_in_an_index() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("songs.db")).await.unwrap();
    let steps = plan(&store, engine::COUNT_LISTED).await;
    assert_eq!(steps.iter().filter(|step| step.contains("SEARCH songs USING")).count(), 2, "{steps:?}");
}

#[tokio::test]
async fn trash_is_read_from_its_index() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("songs.db")).await.unwrap();
    let steps = plan(&store, engine::TRASH).await;
    assert_eq!(steps.iter().filter(|step| step.contains("USING INDEX songs_in_trash")).count(), 2, "{steps:?}");
    assert!(!steps.iter().any(|step| step.contains("TEMP B-TREE")), "{steps:?}");
}

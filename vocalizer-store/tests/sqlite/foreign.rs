//! Other programs that open the database while the service runs.

use std::path::{Path, PathBuf};

use time::OffsetDateTime;
use vocalizer_core::ports::{RepositoryError, SongRepository};

use super::file::count_with_another_program;
use super::support::{TestFile, song};

fn log_of(path: &Path) -> PathBuf {
    path.with_extension("sqlite-wal")
}

#[tokio::test]
async fn another_program_opening_the_database_loses_no_song() {
    let place = TestFile::new();
    let store = place.open().await;
    // Opening the file again in this process, as the queue does, must not drop the first one's locks.
    let second = place.open().await;
    for count in 1..=5 {
        let at = OffsetDateTime::UNIX_EPOCH;
        store.admit(&song(&format!("first {count}"), None, at)).await.unwrap();
        second.admit(&song(&format!("second {count}"), None, at)).await.unwrap();
        assert_eq!(count_with_another_program(&place.path(), "songs"), (2 * count).to_string());
        assert!(log_of(&place.path()).exists(), "another program removed the log");
    }
}

#[tokio::test]
async fn writes_fail_after_the_log_was_removed() {
    let place = TestFile::new();
    let store = place.open().await;
    let kept = store.admit(&song("a", None, OffsetDateTime::UNIX_EPOCH)).await.unwrap();
    std::fs::remove_file(log_of(&place.path())).unwrap();
    for _ in 0..2 {
        let refused = store.admit(&song("b", None, OffsetDateTime::UNIX_EPOCH)).await;
        assert!(
            matches!(&refused, Err(RepositoryError::Unavailable(why)) if why.to_string().contains("another program")),
            "{refused:?}"
        );
        // Also if another file takes its place.
        std::fs::write(log_of(&place.path()), b"").unwrap();
    }
    assert_eq!(SongRepository::find(&store, kept.id()).await.unwrap(), Some(kept), "reads must still work");
}

/// The index contains the locks of the log: with another index, two programs could write to the log at once.
#[tokio::test]
async fn writes_fail_after_the_log_index_was_removed() {
    let place = TestFile::new();
    let store = place.open().await;
    store.admit(&song("a", None, OffsetDateTime::UNIX_EPOCH)).await.unwrap();
    std::fs::remove_file(place.path().with_extension("sqlite-shm")).unwrap();
    let refused = store.admit(&song("b", None, OffsetDateTime::UNIX_EPOCH)).await;
    assert!(matches!(refused, Err(RepositoryError::Unavailable(_))), "{refused:?}");
}

#[tokio::test]
async fn writes_fail_after_the_database_was_replaced() {
    let place = TestFile::new();
    let store = place.open().await;
    store.admit(&song("a", None, OffsetDateTime::UNIX_EPOCH)).await.unwrap();
    let other = place.path().with_extension("other");
    std::fs::write(&other, b"").unwrap();
    std::fs::rename(other, place.path()).unwrap();
    let refused = store.admit(&song("b", None, OffsetDateTime::UNIX_EPOCH)).await;
    assert!(matches!(refused, Err(RepositoryError::Unavailable(_))), "{refused:?}");
}

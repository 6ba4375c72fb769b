use std::error::Error as _;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection as _, Executor as _};
use time::OffsetDateTime;
use vocalizer_core::ports::{RepositoryError, SongRepository};
use vocalizer_core::song::SongId;
use vocalizer_store::sqlite::{SqliteError, SqliteStore};

use super::support::{Place, song};

async fn connection(place: &Place) -> SqliteConnection {
    SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(place.path())).await.unwrap()
}

#[tokio::test]
async fn a_new_database_is_brought_up_to_date_step_by_step_or_at_once() {
    let place = Place::new();
    let store = SqliteStore::open_without_migrating(&place.path()).await.unwrap();
    let pending = store.pending_migrations().await.unwrap();
    assert_eq!(pending, ["0001 songs and users", "0002 installation"]);
    assert!(matches!(SongRepository::find(&store, SongId::random()).await, Err(RepositoryError::Unavailable(_))));
    assert_eq!(store.migrate().await.unwrap(), pending);
    assert_eq!(store.migrate().await.unwrap(), Vec::<String>::new(), "a repeat");
    assert_eq!(place.open().await.pending_migrations().await.unwrap(), Vec::<String>::new());
    assert_eq!(SongRepository::find(&store, SongId::random()).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_open_a_new_database_at_once_both_find_it_up_to_date() {
    let place = Place::new();
    let path = place.path();
    let opening: Vec<_> = (0..8)
        .map(|_| {
            let path = path.clone();
            tokio::spawn(async move { SqliteStore::open(&path).await })
        })
        .collect();
    for opened in opening {
        let store = opened.await.unwrap().unwrap();
        assert_eq!(store.count().await.unwrap(), [0; 5]);
    }
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused_and_left_as_it_is() {
    let place = Place::new();
    let kept = place.open().await.admit(&song("a", None, OffsetDateTime::UNIX_EPOCH)).await.unwrap();
    let mut newer = connection(&place).await;
    let sql = "INSERT INTO store_migrations SELECT 9000, 'tomorrow', installed_on, success, checksum, execution_time \
               FROM store_migrations WHERE version = 1";
    newer.execute(sql).await.unwrap();
    for refused in [SqliteStore::open(&place.path()).await, SqliteStore::open_without_migrating(&place.path()).await] {
        let error = refused.unwrap_err();
        assert!(matches!(error, SqliteError::Newer { version: 9000, .. }), "{error:?}");
        assert!(error.to_string().contains("newer version of Vocalizer"), "{error}");
    }
    newer.execute("DELETE FROM store_migrations WHERE version = 9000").await.unwrap();
    assert_eq!(SongRepository::find(&place.open().await, kept.id()).await.unwrap(), Some(kept));
}

#[tokio::test]
async fn a_database_whose_migrations_were_tampered_with_is_refused() {
    let place = Place::new();
    place.open().await;
    connection(&place).await.execute("UPDATE store_migrations SET checksum = x'00'").await.unwrap();
    let error = SqliteStore::open(&place.path()).await.unwrap_err();
    assert!(matches!(error, SqliteError::Database { .. }), "{error:?}");
}

#[tokio::test]
async fn what_is_no_database_is_refused() {
    let place = Place::new();
    std::fs::write(place.path(), "a diary, and none of anybody's business".repeat(100)).unwrap();
    let error = SqliteStore::open(&place.path()).await.unwrap_err();
    assert!(matches!(error, SqliteError::Database { .. }), "{error:?}");
    let source = error.source().expect("what SQLite says");
    assert!(!error.to_string().contains(&source.to_string()), "it repeats its source");
    let nowhere = SqliteStore::open("/nonexistent/folder/vocalizer.sqlite".as_ref()).await.unwrap_err();
    assert!(matches!(nowhere, SqliteError::File { .. }), "{nowhere:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn its_files_are_their_owner_s_alone() {
    use std::os::unix::fs::PermissionsExt as _;

    let place = Place::new();
    let store = place.open().await;
    store.admit(&song("a", None, OffsetDateTime::UNIX_EPOCH)).await.unwrap();
    let mut seen = 0;
    for entry in std::fs::read_dir(place.path().parent().unwrap()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
        seen += 1;
    }
    assert_eq!(seen, 3, "the database, its log and what they share");
}

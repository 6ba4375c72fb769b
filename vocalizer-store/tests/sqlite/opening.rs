use std::error::Error as _;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection as _, Executor as _};
use time::OffsetDateTime;
use vocalizer_core::ports::{RepositoryError, SongRepository};
use vocalizer_core::song::SongId;
use vocalizer_store::sqlite::{SqliteError, SqliteStore};

use super::support::{TestFile, song};

async fn connection(place: &TestFile) -> SqliteConnection {
    SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(place.path())).await.unwrap()
}

#[tokio::test]
async fn new_database_is_migrated_explicitly_or_on_open() {
    let place = TestFile::new();
    let store = SqliteStore::open_without_migrating(&place.path()).await.unwrap();
    let pending = store.pending_migrations().await.unwrap();
    let names = [
        "0001 songs and users",
        "0002 quotas",
        "0003 installation",
        "0004 share links",
        "0005 stems",
        "0006 webhooks",
        "0007 resumable uploads",
        "0008 models",
        "0009 administration",
        "0010 priorities",
        "0011 traces",
        "0012 administrators",
        "0013 markers",
        "0014 identities",
        "0015 trash",
        "0016 library",
        "0017 labels",
    ];
    assert_eq!(pending, names);
    assert!(matches!(SongRepository::find(&store, SongId::random()).await, Err(RepositoryError::Unavailable(_))));
    assert_eq!(store.migrate().await.unwrap(), pending);
    assert_eq!(store.migrate().await.unwrap(), Vec::<String>::new(), "a repeat must change nothing");
    assert_eq!(place.open().await.pending_migrations().await.unwrap(), Vec::<String>::new());
    assert_eq!(SongRepository::find(&store, SongId::random()).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_opens_migrate_a_new_database_once() {
    let place = TestFile::new();
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
async fn newer_database_is_rejected_unchanged() {
    let place = TestFile::new();
    let kept = place.open().await.admit(&song("a", None, OffsetDateTime::UNIX_EPOCH)).await.unwrap();
    let mut newer = connection(&place).await;
    let sql = "INSERT INTO store_migrations SELECT 9000, 'tomorrow', installed_on, success, checksum, execution_time \
               FROM store_migrations WHERE version = 1";
    newer.execute(sql).await.unwrap();
    for opened in [SqliteStore::open(&place.path()).await, SqliteStore::open_without_migrating(&place.path()).await] {
        let error = opened.unwrap_err();
        assert!(matches!(error, SqliteError::Newer { version: 9000, .. }), "{error:?}");
        assert!(error.to_string().contains("newer version of Vocalizer"), "{error}");
    }
    newer.execute("DELETE FROM store_migrations WHERE version = 9000").await.unwrap();
    assert_eq!(SongRepository::find(&place.open().await, kept.id()).await.unwrap(), Some(kept));
}

#[tokio::test]
async fn changed_migration_checksum_is_rejected() {
    let place = TestFile::new();
    place.open().await;
    connection(&place).await.execute("UPDATE store_migrations SET checksum = x'00'").await.unwrap();
    let error = SqliteStore::open(&place.path()).await.unwrap_err();
    assert!(matches!(error, SqliteError::Database { .. }), "{error:?}");
}

#[tokio::test]
async fn invalid_file_is_rejected() {
    let place = TestFile::new();
    std::fs::write(place.path(), "not a SQLite database, only some text".repeat(100)).unwrap();
    let error = SqliteStore::open(&place.path()).await.unwrap_err();
    assert!(matches!(error, SqliteError::Database { .. }), "{error:?}");
    let source = error.source().expect("SQLite's error");
    assert!(!error.to_string().contains(&source.to_string()), "the message repeats its source");
    let nowhere = SqliteStore::open("/nonexistent/folder/vocalizer.sqlite".as_ref()).await.unwrap_err();
    assert!(matches!(nowhere, SqliteError::File { .. }), "{nowhere:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn files_are_accessible_to_the_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;

    let place = TestFile::new();
    let store = place.open().await;
    store.admit(&song("a", None, OffsetDateTime::UNIX_EPOCH)).await.unwrap();
    let mut seen = 0;
    for entry in std::fs::read_dir(place.path().parent().unwrap()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
        seen += 1;
    }
    assert_eq!(seen, 3, "expected the database, its log and its index");
}

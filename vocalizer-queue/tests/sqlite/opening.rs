use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection as _, Executor as _, query_scalar};
use vocalizer_core::ports::{Job, JobPayload, JobQueue, QueueError};
use vocalizer_core::secret::Secret;
use vocalizer_queue::SqliteQueue;

use super::support::{TestFile, VISIBILITY, hash, job, leased};

async fn connection(place: &TestFile) -> SqliteConnection {
    SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(place.path())).await.unwrap()
}

async fn open_error(place: &TestFile) -> String {
    let QueueError::Unavailable(error) = SqliteQueue::open(&place.path(), VISIBILITY).await.unwrap_err() else {
        panic!("another error");
    };
    assert!(
        error.source().is_none_or(|source| !error.to_string().contains(&source.to_string())),
        "the message repeats its source"
    );
    error.to_string()
}

#[tokio::test]
async fn queue_shares_a_file_and_keeps_foreign_tables() {
    let place = TestFile::new();
    drop(place.open().await);
    let mut theirs = connection(&place).await;
    theirs.execute("CREATE TABLE _sqlx_migrations (version); INSERT INTO _sqlx_migrations VALUES (77)").await.unwrap();
    theirs.execute("CREATE TABLE songs (id); INSERT INTO songs VALUES (1)").await.unwrap();
    let queue = place.open().await;
    queue.publish(job("a")).await.unwrap();
    leased(&queue, "a").await.acknowledge().await.unwrap();
    let kept: i64 =
        query_scalar("SELECT count(*) FROM songs JOIN _sqlx_migrations").fetch_one(&mut theirs).await.unwrap();
    assert_eq!(kept, 1);
}

#[tokio::test]
async fn newer_file_is_rejected_unchanged() {
    let place = TestFile::new();
    place.open().await.publish(job("a")).await.unwrap();
    let mut newer = connection(&place).await;
    let sql = "INSERT INTO queue_migrations SELECT 9000, 'tomorrow', installed_on, success, checksum, execution_time \
               FROM queue_migrations WHERE version = 1";
    newer.execute(sql).await.unwrap();
    let message = open_error(&place).await;
    assert!(message.contains("newer version of Vocalizer") && message.contains("9000"), "{message}");
    newer.execute("DELETE FROM queue_migrations WHERE version = 9000").await.unwrap();
    leased(&place.open().await, "a").await.acknowledge().await.unwrap();
}

#[tokio::test]
async fn invalid_file_is_rejected() {
    let place = TestFile::new();
    std::fs::write(place.path(), "not a SQLite database, only some text".repeat(100)).unwrap();
    assert!(open_error(&place).await.contains("cannot use the database"));
    let nowhere = SqliteQueue::open("/nonexistent/folder/queue.sqlite".as_ref(), VISIBILITY).await;
    assert!(matches!(nowhere, Err(QueueError::Unavailable(_))));
}

#[cfg(unix)]
#[tokio::test]
async fn files_are_accessible_to_the_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;

    let place = TestFile::new();
    place.open().await.publish(job("a")).await.unwrap();
    for entry in std::fs::read_dir(place.path().parent().unwrap()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
    }
}

#[tokio::test]
async fn only_stored_payloads_are_accepted() {
    let place = TestFile::new();
    let queue = place.open().await;
    for payload in [JobPayload::Inline("song".into()), JobPayload::Claim(Secret::new("somewhere".to_owned()))] {
        let refused = queue.publish(Job::new(hash("a"), payload)).await;
        assert!(matches!(refused, Err(QueueError::TooLarge { max_bytes: 0 })));
    }
    assert_eq!(queue.depth().await.unwrap().waiting, 0);
    assert_eq!(format!("{queue:?}"), "SqliteQueue { waiting: 0, leased: 0, .. }");
}

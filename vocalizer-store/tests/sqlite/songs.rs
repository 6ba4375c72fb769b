use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection as _, query, raw_sql};
use time::{Duration, OffsetDateTime};
use vocalizer_core::account::{UserId, Viewer};
use vocalizer_core::api::WebhookEvent;
use vocalizer_core::ports::{Cursor, RepositoryError, SongFilter, SongRepository};
use vocalizer_core::secret::Secret;
use vocalizer_core::song::{Song, StoredSong};
use vocalizer_core::webhook::{Delivery, Health, Webhook, WebhookId};

use super::support::{TestFile, song, user};

#[tokio::test]
async fn song_of_missing_user_is_rejected() {
    let place = TestFile::new();
    let store = place.open().await;
    let stray = song("a", Some(UserId::random()), OffsetDateTime::UNIX_EPOCH);
    assert!(matches!(store.admit(&stray).await, Err(RepositoryError::Conflict)));
    assert_eq!(SongRepository::find(&store, stray.id()).await.unwrap(), None);
    assert_eq!(store.pending(10).await.unwrap(), []);
}

#[tokio::test]
async fn same_id_and_bytes_of_another_uploader_conflict() {
    let place = TestFile::new();
    let store = place.open().await;
    let (one, other) = (user(&store).await, user(&store).await);
    let mine = store.admit(&song("a", Some(one), OffsetDateTime::UNIX_EPOCH)).await.unwrap();
    for uploader in [Some(other), None] {
        let theirs: Song = StoredSong { uploader, ..mine.clone().into() }.into();
        assert!(matches!(store.admit(&theirs).await, Err(RepositoryError::Conflict)));
    }
    assert_eq!(SongRepository::find(&store, mine.id()).await.unwrap(), Some(mine));
}

#[tokio::test]
async fn song_still_uploading_is_rejected() {
    let place = TestFile::new();
    let store = place.open().await;
    let StoredSong { id, title, hash, uploader, uploaded_at, .. } = song("a", None, OffsetDateTime::UNIX_EPOCH).into();
    let uploading = Song::begin(id, title, hash, uploader, uploaded_at);
    assert!(matches!(store.admit(&uploading).await, Err(RepositoryError::Conflict)));
    assert_eq!(store.pending(10).await.unwrap(), []);
}

#[tokio::test]
async fn times_keep_microseconds_before_and_after_1970() {
    let place = TestFile::new();
    let store = place.open().await;
    for nanos in [0, 999, 1_000, 1_999, -1, -999, -1_001, 1_700_000_000_123_456_789] {
        let new = song(&nanos.to_string(), None, OffsetDateTime::UNIX_EPOCH + Duration::nanoseconds(nanos));
        let stored = store.admit(&new).await.unwrap();
        assert_eq!(stored.uploaded_at().unix_timestamp_nanos() % 1_000, 0);
        assert!((stored.uploaded_at() - new.uploaded_at()).abs() < Duration::microseconds(1));
        assert_eq!(Cursor::of(&stored), Cursor::of(&new));
        assert_eq!(store.admit(&new).await.unwrap(), stored, "a repeat must match despite the lost precision");
    }
}

#[tokio::test]
async fn corrupt_row_is_an_error_without_panic() {
    let place = TestFile::new();
    let store = place.open().await;
    let kept = store.admit(&song("a", None, OffsetDateTime::UNIX_EPOCH)).await.unwrap();
    let options = SqliteConnectOptions::new().filename(place.path());
    let mut raw = SqliteConnection::connect_with(&options).await.unwrap();
    for broken in ["title = ' '", "hash = 'abc'", "status = 'NOT_FOUND'", "uploaded_at_us = 9223372036854775807"] {
        raw_sql(AssertSqlSafe(format!("UPDATE songs SET {broken}"))).execute(&mut raw).await.unwrap();
        let listed = store.list(&SongFilter::all_of(Viewer::Anonymous)).await;
        assert!(matches!(listed, Err(RepositoryError::Corrupt(_))), "{broken}: {listed:?}");
        raw = repaired(raw, &kept).await;
    }
    assert_eq!(SongRepository::find(&store, kept.id()).await.unwrap(), Some(kept));
}

async fn repaired(mut raw: SqliteConnection, kept: &Song) -> SqliteConnection {
    query("UPDATE songs SET title = ?, hash = ?, status = ?, uploaded_at_us = ?")
        .bind(kept.title().as_str())
        .bind(kept.hash().to_string())
        .bind(kept.status().kind().name())
        .bind(Cursor::of(kept).uploaded_at_us)
        .execute(&mut raw)
        .await
        .unwrap();
    raw
}

#[tokio::test]
async fn deleted_user_has_no_webhooks() {
    let place = TestFile::new();
    let store = place.open().await;
    let webhooks = store.webhooks().unwrap();
    for user in [user(&store).await, user(&store).await] {
        let webhook = Webhook {
            id: WebhookId::random(),
            user,
            url: Secret::new("https://example.org".to_owned()),
            secret: Secret::default(),
            events: vec![WebhookEvent::Split],
            created_at: OffsetDateTime::UNIX_EPOCH,
            health: Health::default(),
        };
        webhooks.insert_webhook(&webhook, 1).await.unwrap();
        let ping = Delivery::new(webhook.id, WebhookEvent::Ping, None, OffsetDateTime::UNIX_EPOCH);
        webhooks.insert_delivery(&ping).await.unwrap();
    }
    assert_eq!(webhooks.backlog().await.unwrap().pending, 2);
    let mut connection =
        SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(place.path())).await.unwrap();
    query("DELETE FROM users WHERE id = (SELECT min(id) FROM users)").execute(&mut connection).await.unwrap();
    assert_eq!(webhooks.backlog().await.unwrap().pending, 1);
    let claimed = webhooks.claim_deliveries(9, std::time::Duration::from_secs(9), OffsetDateTime::UNIX_EPOCH).await;
    assert_eq!(claimed.unwrap().len(), 1);
}

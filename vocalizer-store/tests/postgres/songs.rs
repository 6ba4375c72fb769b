use time::OffsetDateTime;
use vocalizer_core::account::{UserId, Viewer};
use vocalizer_core::ports::{
    Cursor, LibraryQuery, LibraryRepository as _, RepositoryError, SongFilter, SongRepository, SortKey, Whose,
};

use super::server::Server;
use super::support::{TestDatabase, execute};
use crate::sqlite::support::{song, user};

#[tokio::test(flavor = "multi_thread")]
async fn song_of_missing_user_is_rejected() {
    let place = TestDatabase::new().await;
    let store = place.open().await;
    let stray = song("a", Some(UserId::random()), OffsetDateTime::UNIX_EPOCH);
    assert!(matches!(store.admit(&stray).await, Err(RepositoryError::Conflict)));
    assert_eq!(SongRepository::find(&store, stray.id()).await.unwrap(), None);
    assert_eq!(store.pending(10).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn corrupt_row_is_an_error_without_panic() {
    let place = TestDatabase::new().await;
    let store = place.open().await;
    store.admit(&song("a", None, OffsetDateTime::UNIX_EPOCH)).await.unwrap();
    let mut raw = place.connect().await;
    for broken in ["title = ' '", "hash = 'abc'", "status = 'NOT_FOUND'", "uploaded_at_us = 9223372036854775807"] {
        execute(&mut raw, "CREATE TABLE kept AS SELECT * FROM songs").await;
        execute(&mut raw, &format!("UPDATE songs SET {broken}")).await;
        let listed = store.list(&SongFilter::all_of(Viewer::Anonymous)).await;
        assert!(matches!(listed, Err(RepositoryError::Corrupt(_))), "{broken}: {listed:?}");
        execute(&mut raw, "DELETE FROM songs; INSERT INTO songs SELECT * FROM kept; DROP TABLE kept").await;
    }
    assert_eq!(store.list(&SongFilter::all_of(Viewer::Anonymous)).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn page_of_songs_uses_indexes_without_sorting() {
    let server = Server::start(&["shared_preload_libraries='auto_explain'", "auto_explain.log_min_duration=0"]);
    let place = TestDatabase::on(server.url()).await;
    let store = place.open().await;
    let (one, other) = (user(&store).await, user(&store).await);
    execute(
        &mut place.connect().await,
        &format!(
            "INSERT INTO songs (id, title, hash, uploader, uploaded_at_us, status, result_key, shown_key) \
             SELECT gen_random_uuid()::text, 'title', repeat('ab', 32), \
                 (ARRAY[NULL, '{one}', '{other}'])[1 + n % 3], n / 10, 'SPLIT', repeat('ab', 32), repeat('ab', 32) \
             FROM generate_series(1, 30000) n; \
             ANALYZE songs"
        ),
    )
    .await;
    // Often enough for PostgreSQL to switch to a generic plan if the statement were prepared.
    for _ in 0..10 {
        store.list(&SongFilter::all_of(Viewer::User(one))).await.unwrap();
    }
    let mut query = SongFilter { limit: Some(20), ..SongFilter::all_of(Viewer::User(one)) };
    let page = store.list(&query).await.unwrap();
    query.after = page.last().map(Cursor::of);
    store.list(&query).await.unwrap();
    let log = server.log();
    let plans: Vec<_> = log.split("Query Text: ").filter(|plan| plan.contains("UNION ALL")).collect();
    assert_eq!(plans.len(), 12, "{log}");
    for plan in &plans[10..] {
        let plan = plan.split("duration:").next().unwrap();
        for part in ["Merge Append", "songs_of_everybody_in_order", "songs_in_order"] {
            assert!(plan.contains(part), "no {part} in {plan}");
        }
        assert!(!plan.contains("Sort  "), "{plan}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_order_is_read_from_an_index() {
    let server = Server::start(&["shared_preload_libraries='auto_explain'", "auto_explain.log_min_duration=0"]);
    let place = TestDatabase::on(server.url()).await;
    let store = place.open().await;
    let one = user(&store).await;
    execute(
        &mut place.connect().await,
        &format!(
            "INSERT INTO songs (id, title, hash, uploader, uploaded_at_us, status, result_key, title_key, artist_key, \
                 duration_ms) \
             SELECT gen_random_uuid()::text, 'title', repeat('ab', 32), (ARRAY[NULL, '{one}'])[1 + n % 2], n, 'SPLIT', \
                 repeat('ab', 32), md5(n::text), md5(n::text), n \
             FROM generate_series(1, 30000) n; \
             ANALYZE songs"
        ),
    )
    .await;
    for (sort, index) in [
        (SortKey::Added, "in_order"),
        (SortKey::Title, "by_title"),
        (SortKey::Artist, "by_artist"),
        (SortKey::Duration, "by_duration"),
    ] {
        for descending in [false, true] {
            let mut query = LibraryQuery {
                viewer: Viewer::User(one),
                whose: Whose::All,
                status: None,
                words: Vec::new(),
                label: None,
                sort,
                descending,
                after: None,
                limit: 20,
            };
            for _ in 0..5 {
                query.after = store.list_sorted(&query).await.unwrap().pop().map(|(_, place)| place);
            }
            let log = server.log();
            let plan = log.rsplit("Query Text: ").find(|plan| plan.contains(" AS place")).unwrap();
            let plan = plan.split("duration:").next().unwrap();
            for index in [format!("songs_{index}"), format!("songs_of_everybody_{index}")] {
                assert!(plan.contains(&index), "no {index} in {plan}");
            }
            assert!(!plan.contains("Sort  "), "{plan}");
        }
    }
}

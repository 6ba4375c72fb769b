//! Changes of one song and of all songs as streams.

use std::pin::pin;

use futures_util::{StreamExt as _, TryStreamExt as _};
use vocalizer_client::{Change, Error, ErrorCode, SongId, SongStatus, SongView, Upload};

use super::{backend, canned};

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";

fn view(id: SongId, status: SongStatus, progress: Option<u8>) -> SongView {
    let mut view = SongView::new(id, "x".to_owned(), "opaque".to_owned(), None, status);
    view.progress = progress;
    view
}

fn changed(view: &SongView) -> String {
    format!("event: song\ndata: {}\n\n", serde_json::to_string(view).unwrap())
}

fn deleted(id: SongId) -> String {
    format!("event: deleted\ndata: {{\"id\":\"{id}\"}}\n\n")
}

/// Returns a page of the list, which is not the last one if there are more songs.
fn page(songs: &[&SongView], has_more: bool) -> String {
    let next = if has_more { ",\"next\":\"cursor\"" } else { "" };
    let songs = serde_json::to_string(songs).unwrap();
    let body = format!(r#"{{"ok":true,"errors":[],"data":{{"songs":{songs}{next}}}}}"#);
    canned::answer("200 OK", "application/json", &body)
}

fn song(view: &SongView) -> String {
    let song = serde_json::to_string(view).unwrap();
    canned::answer("200 OK", "application/json", &format!(r#"{{"ok":true,"errors":[],"data":{{"song":{song}}}}}"#))
}

fn refusal(status: &str, code: &str) -> String {
    let body = format!(r#"{{"ok":false,"errors":[{{"code":"{code}","message":"x"}}],"data":null}}"#);
    canned::answer(status, "application/json", &body)
}

/// An event stream that stays open.
fn open(events: &str) -> String {
    format!("{HEAD}{events}{}", canned::HANG)
}

/// Watches a song to its end. Returns its states and the requests.
async fn states(answers: Vec<String>, id: SongId) -> (Vec<Result<SongView, Error>>, Vec<String>) {
    let (address, requests) = canned::script(answers).await;
    let states = backend::client(&address).watch(id).collect().await;
    let requests = requests.lock().unwrap();
    (states, requests.iter().map(|request| canned::line(request).replace(&id.to_string(), "ID")).collect())
}

fn statuses(states: Vec<Result<SongView, Error>>) -> Vec<(SongStatus, Option<u8>)> {
    states.into_iter().map(|state| state.map(|song| (song.status, song.progress)).unwrap()).collect()
}

#[tokio::test]
async fn watch_yields_each_state_and_ends_after_the_final_one() {
    let id = SongId::random();
    for last in [SongStatus::Split, SongStatus::Failed] {
        let events = [
            (SongStatus::Uploaded, None),
            (SongStatus::Splitting, Some(0)),
            (SongStatus::Splitting, Some(0)),
            (SongStatus::Splitting, Some(50)),
            (last, None),
        ];
        let events = events.map(|(status, progress)| changed(&view(id, status, progress))).concat();
        let (states, requests) = states(vec![open(&events)], id).await;
        let expected = [
            (SongStatus::Uploaded, None),
            (SongStatus::Splitting, Some(0)),
            (SongStatus::Splitting, Some(50)),
            (last, None),
        ];
        assert_eq!(statuses(states), expected);
        assert_eq!(requests, ["GET /songs/ID/events"]);
    }
}

#[tokio::test]
async fn watch_reconnects_after_a_cut_connection() {
    let id = SongId::random();
    let [first, second] = [1, 2].map(|percent| changed(&view(id, SongStatus::Splitting, Some(percent))));
    let last = changed(&view(id, SongStatus::Split, None));
    let answers = vec![
        format!("{HEAD}{first}event: song\ndata: {{\"cut"),
        String::new(),
        refusal("502 Bad Gateway", "unavailable"),
        format!("{HEAD}{first}{second}"),
        open(&last),
    ];
    let (states, requests) = states(answers, id).await;
    let expected = [(SongStatus::Splitting, Some(1)), (SongStatus::Splitting, Some(2)), (SongStatus::Split, None)];
    assert_eq!(statuses(states), expected);
    assert_eq!(requests, ["GET /songs/ID/events"; 5]);
}

#[tokio::test]
async fn watch_polls_a_server_without_events() {
    let (backend, client) = backend::start().await;
    let song = client.upload(Upload::from_bytes("x", "x.mp3", "x")).await.unwrap();
    let states: Vec<_> = client.watch(song.id).map(|song| song.unwrap().status).collect().await;
    assert_eq!(states, [SongStatus::Uploaded, SongStatus::Splitting, SongStatus::Split]);
    assert_eq!(backend.lock().unwrap().reads, 3);
}

#[tokio::test]
async fn watch_of_a_deleted_song_ends_with_not_found() {
    let id = SongId::random();
    let events = format!("{}{}", changed(&view(id, SongStatus::Uploaded, None)), deleted(id));
    let (mut states, _) = states(vec![open(&events), refusal("404 Not Found", "not_found")], id).await;
    let error = states.pop().unwrap().unwrap_err();
    assert!(error.has_code(ErrorCode::NotFound), "{error:?}");
    assert_eq!(statuses(states), [(SongStatus::Uploaded, None)]);
}

#[tokio::test]
async fn watch_continues_with_a_status_of_a_newer_server() {
    let id = SongId::random();
    let dreaming = changed(&view(id, SongStatus::Splitting, None)).replace("SPLITTING", "DREAMING");
    let events = format!("{dreaming}{}", changed(&view(id, SongStatus::Split, None)));
    let (states, _) = states(vec![open(&events)], id).await;
    assert_eq!(statuses(states), [(SongStatus::Unknown, None), (SongStatus::Split, None)]);
}

#[tokio::test]
async fn failed_song_is_not_an_error_of_watch() {
    let id = SongId::random();
    let mut failed = view(id, SongStatus::Failed, None);
    failed.failure_reason = Some("too loud".to_owned());
    let (states, _) = states(vec![refusal("404 Not Found", "not_found"), song(&failed)], id).await;
    assert_eq!(states.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [failed]);
}

/// Returns the first changes and the requests.
async fn changes(answers: Vec<String>, count: usize) -> (Vec<Change>, Vec<String>) {
    let (address, requests) = canned::script(answers).await;
    let changes = backend::client(&address).watch_all().take(count).try_collect().await.unwrap();
    let requests = requests.lock().unwrap();
    (changes, requests.iter().map(|request| canned::line(request)).collect())
}

#[tokio::test]
async fn watch_all_yields_the_newest_songs_first_and_then_changes_and_deletions() {
    let [old, new, newest] = [(); 3].map(|()| view(SongId::random(), SongStatus::Uploaded, None));
    let new_later = view(new.id, SongStatus::Splitting, Some(5));
    let events = format!(
        ": hello\n\n{}{}event: lyrics\ndata: la\n\n{}{}",
        changed(&new_later),
        changed(&new_later),
        deleted(old.id),
        changed(&newest)
    );
    let (found, requests) = changes(vec![open(&events), page(&[&new, &old], false)], 5).await;
    let expected = [
        Change::Song(new),
        Change::Song(old.clone()),
        Change::Song(new_later),
        Change::Deleted(old.id),
        Change::Song(newest),
    ];
    assert_eq!(found, expected);
    assert_eq!(requests[0], "GET /songs/events");
    assert!(requests[1].starts_with("GET /songs/?") && requests.len() == 2, "{requests:?}");
}

/// Events have details, so a list without them would differ from them after each reconnect.
#[tokio::test]
async fn watch_all_reads_songs_as_detailed_as_events() {
    let (_, requests) =
        changes(vec![open(""), page(&[&view(SongId::random(), SongStatus::Split, None)], false)], 1).await;
    assert!(requests[1].contains("details="), "{requests:?}");
}

#[tokio::test]
async fn watch_all_reconnects_after_a_cut_connection_and_finds_what_changed_meanwhile() {
    let [gone, same, other] = [(); 3].map(|()| view(SongId::random(), SongStatus::Uploaded, None));
    let other_later = view(other.id, SongStatus::Split, None);
    let newest = view(SongId::random(), SongStatus::Uploaded, None);
    let answers = vec![
        format!("{HEAD}: hello\n\nevent: song\ndata: {{\"cut"),
        page(&[&other, &same, &gone], false),
        // The server restarts.
        String::new(),
        String::new(),
        String::new(),
        String::new(),
        String::new(),
        refusal("503 Service Unavailable", "unavailable"),
        refusal("503 Service Unavailable", "unavailable"),
        refusal("503 Service Unavailable", "unavailable"),
        refusal("503 Service Unavailable", "unavailable"),
        refusal("503 Service Unavailable", "unavailable"),
        open(&changed(&newest)),
        page(&[&other_later, &same], false),
    ];
    let (found, _) = changes(answers, 6).await;
    let before = [&other, &same, &gone].map(|song| Change::Song(song.clone()));
    let after = [Change::Deleted(gone.id), Change::Song(other_later), Change::Song(newest)];
    assert_eq!((&found[..3], &found[3..]), (&before[..], &after[..]));
}

/// They may be on a later page.
#[tokio::test]
async fn songs_beyond_the_first_page_are_not_reported_as_deleted() {
    let [old, new, newest] = [(); 3].map(|()| view(SongId::random(), SongStatus::Uploaded, None));
    let answers =
        vec![HEAD.to_owned(), page(&[&new, &old], true), open(&deleted(old.id)), page(&[&newest, &new], true)];
    let (found, _) = changes(answers, 4).await;
    let songs = [&new, &old, &newest].map(|song| Change::Song(song.clone()));
    assert_eq!((&found[..3], &found[3]), (&songs[..], &Change::Deleted(old.id)));
}

/// A proxy may end idle connections.
#[tokio::test]
async fn watch_all_survives_any_number_of_idle_connections() {
    let [song, later] = [SongStatus::Uploaded, SongStatus::Split].map(|status| view(SongId::random(), status, None));
    let mut answers: Vec<_> = (0..20).flat_map(|_| [HEAD.to_owned(), page(&[&song], true)]).collect();
    // One failure after all of them.
    answers.extend([refusal("503 Service Unavailable", "unavailable"), page(&[&song], true)]);
    answers.extend([open(&changed(&later)), page(&[&song], true)]);
    let (found, requests) = changes(answers, 2).await;
    assert_eq!(found, [Change::Song(song), Change::Song(later)]);
    assert_eq!(requests.len(), 44);
}

#[tokio::test]
async fn watch_all_ends_with_an_error_if_the_server_has_no_events() {
    let song = view(SongId::random(), SongStatus::Split, None);
    for answer in [
        refusal("404 Not Found", "not_found"),
        refusal("405 Method Not Allowed", "method_not_allowed"),
        canned::answer("200 OK", "text/html", "<html>"),
    ] {
        let (address, requests) = canned::script(vec![answer, page(&[&song], false)]).await;
        let client = backend::client(&address);
        let mut changes = pin!(client.watch_all());
        let error = changes.try_next().await.unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }) && !error.is_transient(), "{error:?}");
        assert!(error.to_string().contains("malformed"), "{error}");
        assert!(changes.next().await.is_none());
        assert_eq!(requests.lock().unwrap().len(), 2);
    }
}

#[tokio::test]
async fn watch_all_ends_with_the_servers_error() {
    let (address, _) = canned::script(vec![refusal("401 Unauthorized", "unauthenticated")]).await;
    let client = backend::client(&address);
    let mut changes = pin!(client.watch_all());
    let error = changes.try_next().await.unwrap_err();
    assert!(error.has_code(ErrorCode::Unauthenticated), "{error:?}");
    assert!(changes.next().await.is_none());
}

#[tokio::test]
async fn watch_all_gives_up_after_a_long_outage() {
    let (address, _) = canned::script(vec![refusal("503 Service Unavailable", "unavailable")]).await;
    let client = backend::client(&address);
    let mut changes = pin!(client.watch_all());
    let error = changes.try_next().await.unwrap_err();
    assert!(error.has_code(ErrorCode::Unavailable) && error.is_transient(), "{error:?}");
    assert!(changes.next().await.is_none());
}

#[tokio::test]
async fn invalid_events_end_watch_all_with_an_error() {
    for garbage in
        ["event: song\ndata: {\n\n", "event: deleted\ndata: {}\n\n", &format!("data: {}", "x".repeat(100_000))]
    {
        let (address, _) = canned::script(vec![open(garbage), page(&[], false)]).await;
        let client = backend::client(&address);
        let error = pin!(client.watch_all()).try_next().await.unwrap_err();
        assert!(matches!(error, Error::Malformed { .. } | Error::Limit { .. }), "{error:?}");
    }
}

use std::time::Duration;

use vocalizer_client::{Client, Error, ErrorCode, SongId, SongStatus, SongView};

use super::{backend, canned};

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nConnection: close\r\n\r\n";

fn view(id: SongId, status: SongStatus, progress: Option<u8>) -> SongView {
    SongView {
        id,
        title: "x".to_owned(),
        hash: "opaque".to_owned(),
        uploader_id: None,
        status,
        failure_reason: None,
        progress,
        queue_position: None,
        uploaded_at: None,
    }
}

fn event(view: &SongView, event_id: &str) -> String {
    format!("event: song\nid: {event_id}\ndata: {}\n\n", serde_json::to_string(view).unwrap())
}

/// The answer to somebody who looks.
fn look(view: &SongView) -> String {
    let body = format!(r#"{{"ok":true,"errors":[],"data":{{"song":{}}}}}"#, serde_json::to_string(view).unwrap());
    canned::answer("200 OK", "application/json", &body)
}

fn gone() -> String {
    let body = r#"{"ok":false,"errors":[{"code":"not_found","message":"there is no such song"}],"data":null}"#;
    canned::answer("404 Not Found", "application/json", body)
}

/// What is told while a song is waited for, and which paths were asked for.
async fn told_by(answers: Vec<String>, id: SongId) -> (Result<SongView, Error>, Vec<Option<u8>>, Vec<String>) {
    let (address, requests) = canned::script(answers).await;
    let mut told = Vec::new();
    let waited = backend::client(&address).wait_with(id, |song| told.push(song.progress)).await;
    let requests = requests.lock().unwrap();
    let paths = requests.iter().map(|text| text.split(' ').nth(1).unwrap().replace(&id.to_string(), "ID"));
    (waited, told, paths.collect())
}

#[tokio::test]
async fn events_tell_of_every_change_until_the_song_is_split() {
    let id = SongId::random();
    let [first, same, second] = [0, 0, 50].map(|percent| event(&view(id, SongStatus::Splitting, Some(percent)), "1"));
    let last = event(&view(id, SongStatus::Split, None), "2");
    let stream = format!("{HEAD}: hello\n\n{first}{same}: still here\n\n{second}{last}");
    let (waited, told, paths) = told_by(vec![stream], id).await;
    assert_eq!(waited.unwrap().status, SongStatus::Split);
    assert_eq!(told, [Some(0), Some(50), None]);
    assert_eq!(paths, ["/songs/ID/events"]);
}

#[tokio::test]
async fn a_song_that_fails_ends_the_waiting_with_its_reason() {
    let id = SongId::random();
    let failed = SongView { failure_reason: Some("too loud".to_owned()), ..view(id, SongStatus::Failed, None) };
    let (waited, told, _) = told_by(vec![format!("{HEAD}{}", event(&failed, "1"))], id).await;
    assert!(matches!(waited, Err(Error::NotSplit { reason }) if reason == "too loud"));
    assert_eq!(told.len(), 1);
}

#[tokio::test]
async fn lines_are_read_wherever_they_are_cut_and_however_they_end() {
    let id = SongId::random();
    let json = serde_json::to_string(&view(id, SongStatus::Split, Some(7))).unwrap();
    let (begin, end) = json.split_at(json.find(',').unwrap());
    for line_end in ["\n", "\r\n", "\r"] {
        let lines =
            [":", "retry: 10", "event:song", "unknown", "id: 1", &format!("data: {begin}"), &format!("data:{end}"), ""];
        let body = lines.map(|line| format!("{line}{line_end}")).concat();
        // One cut for each place between the beginning of the event and its end.
        for at in 0..body.len() {
            let (before, after) = body.split_at(at);
            let cut = canned::CUT;
            let (waited, told, paths) = told_by(vec![format!("{HEAD}{cut}{before}{cut}{after}{line_end}")], id).await;
            assert!(waited.is_ok() && told == [Some(7)], "{line_end:?} {at}");
            assert_eq!(paths.len(), 1);
        }
    }
}

#[tokio::test]
async fn a_server_without_events_is_looked_at_instead() {
    let id = SongId::random();
    let refusals = ["404 Not Found", "405 Method Not Allowed", "501 Not Implemented", "503 Away", "500 Oh"];
    let refusals = refusals.map(|status| canned::answer(status, "text/html", "<html>"));
    let page = canned::answer("200 OK", "text/html", "<html>");
    for answer in refusals.into_iter().chain([page]) {
        let looks = [(SongStatus::Splitting, Some(1)), (SongStatus::Splitting, Some(1)), (SongStatus::Split, None)];
        let looks = looks.map(|(status, progress)| look(&view(id, status, progress)));
        let answers = [answer].into_iter().chain(looks).collect();
        let (waited, told, paths) = told_by(answers, id).await;
        assert_eq!(waited.unwrap().status, SongStatus::Split);
        assert_eq!(told, [Some(1), None], "what has not changed is not told again");
        assert_eq!(paths, ["/songs/ID/events", "/songs/ID", "/songs/ID", "/songs/ID"]);
    }
}

#[tokio::test]
async fn a_stream_that_ends_early_is_taken_up_after_the_last_event() {
    let id = SongId::random();
    let piece = |percent, event_id| event(&view(id, SongStatus::Splitting, Some(percent)), event_id);
    let answers = vec![
        format!("{HEAD}{}", piece(1, "one")),
        format!("{HEAD}{}event: song\ndata: {{\"cut", piece(2, "two")),
        String::new(),
        format!("{HEAD}{}", event(&view(id, SongStatus::Split, None), "three")),
    ];
    let (address, requests) = canned::script(answers).await;
    let mut told = Vec::new();
    backend::client(&address).wait_with(id, |song| told.push(song.progress)).await.unwrap();
    assert_eq!(told, [Some(1), Some(2), None]);
    let requests = requests.lock().unwrap();
    let last_ids: Vec<_> = requests
        .iter()
        .map(|text| {
            text.lines().find_map(|line| line.to_lowercase().strip_prefix("last-event-id: ").map(str::to_owned))
        })
        .collect();
    assert_eq!(last_ids, [None, Some("one".to_owned()), Some("two".to_owned()), Some("two".to_owned())]);
}

#[tokio::test]
async fn events_that_keep_breaking_are_given_up() {
    let id = SongId::random();
    let broken = format!("{HEAD}{}", event(&view(id, SongStatus::Splitting, Some(1)), "1"));
    let mut answers = vec![broken; 4];
    answers.push(look(&view(id, SongStatus::Split, None)));
    let (waited, told, paths) = told_by(answers, id).await;
    waited.unwrap();
    assert_eq!(told, [Some(1), None]);
    assert_eq!(paths.last().unwrap(), "/songs/ID");
}

#[tokio::test]
async fn garbage_among_the_events_is_no_news() {
    let id = SongId::random();
    let other = event(&view(SongId::random(), SongStatus::Split, None), "1");
    let long = format!("data: {}", "x".repeat(100_000));
    let many = "data: many lines of this\n".repeat(10_000);
    for garbage in ["event: song\ndata: {\n\n", "event: song\ndata: null\n\n", &other, &long, &many] {
        let answers = vec![format!("{HEAD}{garbage}"), look(&view(id, SongStatus::Split, None))];
        let (waited, told, paths) = told_by(answers, id).await;
        assert_eq!((waited.unwrap().status, told.len()), (SongStatus::Split, 1));
        assert_eq!(paths.len(), 2);
    }
    // What a newer server may send besides is passed over.
    let newer = format!("event: lyrics\ndata: la\n\ndata: la\n\n{}", event(&view(id, SongStatus::Split, None), "1"));
    let (waited, _, paths) = told_by(vec![format!("{HEAD}{newer}")], id).await;
    assert!(waited.is_ok() && paths.len() == 1);
}

#[tokio::test]
async fn a_line_without_end_is_not_kept_in_memory() {
    let endless = canned::server(HEAD, &[b'x'; 4096]).await;
    // Looking gets the same nonsense, which is no JSON.
    let error = backend::client(&endless).wait(SongId::random()).await.unwrap_err();
    assert!(matches!(error, Error::WrongType { .. }), "{error:?}");
}

#[tokio::test]
async fn a_song_that_is_deleted_meanwhile_is_not_found() {
    let id = SongId::random();
    let waiting = event(&view(id, SongStatus::Uploaded, None), "1");
    let answers = vec![format!("{HEAD}{waiting}event: deleted\ndata: {{}}\n\n"), gone()];
    let (waited, ..) = told_by(answers, id).await;
    assert!(waited.unwrap_err().has_code(ErrorCode::NotFound));
}

#[tokio::test]
async fn comments_alone_are_not_waited_for() {
    let address = canned::server(HEAD, b": still here\n\n").await;
    let builder = backend::builder(&address).with_timeout(Duration::from_millis(500));
    let error = builder.build().unwrap().wait(SongId::random()).await.unwrap_err();
    assert!(matches!(error, Error::WrongType { .. }), "{error:?}");
}

/// As behind a proxy that holds events back until it has enough of them.
#[tokio::test]
async fn events_that_do_not_come_are_not_waited_for() {
    let id = SongId::random();
    let silent = format!("{}{}: hello\n\n", HEAD.replace("Connection: close", "Content-Length: 99999"), canned::CUT);
    let (address, requests) = canned::hanging(silent, look(&view(id, SongStatus::Split, None))).await;
    let client = Client::builder(address).with_timeout(Duration::from_millis(500)).build().unwrap();
    client.wait(id).await.unwrap();
    assert_eq!(requests.lock().unwrap().len(), 2);
}

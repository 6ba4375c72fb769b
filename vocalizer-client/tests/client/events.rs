use std::time::Duration;

use vocalizer_client::{Client, Error, ErrorCode, SongId, SongStatus, SongView};

use super::{backend, canned};

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nConnection: close\r\n\r\n";

fn view(id: SongId, status: SongStatus, progress: Option<u8>) -> SongView {
    let mut view = SongView::new(id, "x".to_owned(), "opaque".to_owned(), None, status);
    view.progress = progress;
    view
}

fn event(view: &SongView, event_id: &str) -> String {
    format!("event: song\nid: {event_id}\ndata: {}\n\n", serde_json::to_string(view).unwrap())
}

/// The response to a poll.
fn poll_response(view: &SongView) -> String {
    let body = format!(r#"{{"ok":true,"errors":[],"data":{{"song":{}}}}}"#, serde_json::to_string(view).unwrap());
    canned::answer("200 OK", "application/json", &body)
}

fn not_found() -> String {
    let body = r#"{"ok":false,"errors":[{"code":"not_found","message":"there is no such song"}],"data":null}"#;
    canned::answer("404 Not Found", "application/json", body)
}

/// Waits for a song. Returns the result, the reported progress and the requested paths.
async fn wait_with_answers(
    answers: Vec<String>,
    id: SongId,
) -> (Result<SongView, Error>, Vec<Option<u8>>, Vec<String>) {
    let (address, requests) = canned::script(answers).await;
    let mut reported = Vec::new();
    let result = backend::client(&address).wait_with(id, |song| reported.push(song.progress)).await;
    let requests = requests.lock().unwrap();
    let paths = requests.iter().map(|text| text.split(' ').nth(1).unwrap().replace(&id.to_string(), "ID"));
    (result, reported, paths.collect())
}

#[tokio::test]
async fn events_report_changes_until_split() {
    let id = SongId::random();
    let [first, same, second] = [0, 0, 50].map(|percent| event(&view(id, SongStatus::Splitting, Some(percent)), "1"));
    let last = event(&view(id, SongStatus::Split, None), "2");
    let stream = format!("{HEAD}: hello\n\n{first}{same}: still here\n\n{second}{last}");
    let (result, reported, paths) = wait_with_answers(vec![stream], id).await;
    assert_eq!(result.unwrap().status, SongStatus::Split);
    assert_eq!(reported, [Some(0), Some(50), None]);
    assert_eq!(paths, ["/songs/ID/events"]);
}

#[tokio::test]
async fn failed_song_ends_wait_with_reason() {
    let id = SongId::random();
    let mut failed = view(id, SongStatus::Failed, None);
    failed.failure_reason = Some("too loud".to_owned());
    let (result, reported, _) = wait_with_answers(vec![format!("{HEAD}{}", event(&failed, "1"))], id).await;
    assert!(matches!(result, Err(Error::NotSplit { reason }) if reason == "too loud"));
    assert_eq!(reported.len(), 1);
}

#[tokio::test]
async fn event_parser_handles_any_chunks_and_line_ends() {
    let id = SongId::random();
    let json = serde_json::to_string(&view(id, SongStatus::Split, Some(7))).unwrap();
    let (begin, end) = json.split_at(json.find(',').unwrap());
    for line_end in ["\n", "\r\n", "\r"] {
        let lines =
            [":", "retry: 10", "event:song", "unknown", "id: 1", &format!("data: {begin}"), &format!("data:{end}"), ""];
        let body = lines.map(|line| format!("{line}{line_end}")).concat();
        // Cut the stream at every position within the event.
        for at in 0..body.len() {
            let (before, after) = body.split_at(at);
            let cut = canned::CUT;
            let (result, reported, paths) =
                wait_with_answers(vec![format!("{HEAD}{cut}{before}{cut}{after}{line_end}")], id).await;
            assert!(result.is_ok() && reported == [Some(7)], "{line_end:?} {at}");
            assert_eq!(paths.len(), 1);
        }
    }
}

#[tokio::test]
async fn wait_polls_server_without_events() {
    let id = SongId::random();
    let refusals = ["404 Not Found", "405 Method Not Allowed", "501 Not Implemented", "503 Away", "500 Oh"];
    let refusals = refusals.map(|status| canned::answer(status, "text/html", "<html>"));
    let page = canned::answer("200 OK", "text/html", "<html>");
    for answer in refusals.into_iter().chain([page]) {
        let polls = [(SongStatus::Splitting, Some(1)), (SongStatus::Splitting, Some(1)), (SongStatus::Split, None)];
        let polls = polls.map(|(status, progress)| poll_response(&view(id, status, progress)));
        let answers = [answer].into_iter().chain(polls).collect();
        let (result, reported, paths) = wait_with_answers(answers, id).await;
        assert_eq!(result.unwrap().status, SongStatus::Split);
        assert_eq!(reported, [Some(1), None], "unchanged states are not reported");
        assert_eq!(paths, ["/songs/ID/events", "/songs/ID", "/songs/ID", "/songs/ID"]);
    }
}

#[tokio::test]
async fn event_stream_resumes_after_last_event() {
    let id = SongId::random();
    let piece = |percent, event_id| event(&view(id, SongStatus::Splitting, Some(percent)), event_id);
    let answers = vec![
        format!("{HEAD}{}", piece(1, "one")),
        format!("{HEAD}{}event: song\ndata: {{\"cut", piece(2, "two")),
        String::new(),
        format!("{HEAD}{}", event(&view(id, SongStatus::Split, None), "three")),
    ];
    let (address, requests) = canned::script(answers).await;
    let mut reported = Vec::new();
    backend::client(&address).wait_with(id, |song| reported.push(song.progress)).await.unwrap();
    assert_eq!(reported, [Some(1), Some(2), None]);
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
async fn wait_polls_after_repeated_disconnects() {
    let id = SongId::random();
    let broken = format!("{HEAD}{}", event(&view(id, SongStatus::Splitting, Some(1)), "1"));
    let mut answers = vec![broken; 4];
    answers.push(poll_response(&view(id, SongStatus::Split, None)));
    let (result, reported, paths) = wait_with_answers(answers, id).await;
    result.unwrap();
    assert_eq!(reported, [Some(1), None]);
    assert_eq!(paths.last().unwrap(), "/songs/ID");
}

#[tokio::test]
async fn invalid_events_fall_back_to_polling() {
    let id = SongId::random();
    let other = event(&view(SongId::random(), SongStatus::Split, None), "1");
    let long = format!("data: {}", "x".repeat(100_000));
    let many = "data: many lines of this\n".repeat(10_000);
    for garbage in ["event: song\ndata: {\n\n", "event: song\ndata: null\n\n", &other, &long, &many] {
        let answers = vec![format!("{HEAD}{garbage}"), poll_response(&view(id, SongStatus::Split, None))];
        let (result, reported, paths) = wait_with_answers(answers, id).await;
        assert_eq!((result.unwrap().status, reported.len()), (SongStatus::Split, 1));
        assert_eq!(paths.len(), 2);
    }
    // Unknown events of newer servers are ignored.
    let newer = format!("event: lyrics\ndata: la\n\ndata: la\n\n{}", event(&view(id, SongStatus::Split, None), "1"));
    let (result, _, paths) = wait_with_answers(vec![format!("{HEAD}{newer}")], id).await;
    assert!(result.is_ok() && paths.len() == 1);
}

#[tokio::test]
async fn endless_event_line_is_rejected() {
    let endless = canned::server(HEAD, &[b'x'; 4096]).await;
    // Polling gets the same bytes, which are not JSON.
    let error = backend::client(&endless).wait(SongId::random()).await.unwrap_err();
    assert!(matches!(error, Error::WrongType { .. }), "{error:?}");
}

#[tokio::test]
async fn deleted_song_ends_wait_with_not_found() {
    let id = SongId::random();
    let waiting = event(&view(id, SongStatus::Uploaded, None), "1");
    let answers = vec![format!("{HEAD}{waiting}event: deleted\ndata: {{}}\n\n"), not_found()];
    let (result, ..) = wait_with_answers(answers, id).await;
    assert!(result.unwrap_err().has_code(ErrorCode::NotFound));
}

#[tokio::test]
async fn stream_with_only_comments_times_out() {
    let address = canned::server(HEAD, b": still here\n\n").await;
    let builder = backend::builder(&address).with_timeout(Duration::from_millis(500));
    let error = builder.build().unwrap().wait(SongId::random()).await.unwrap_err();
    assert!(matches!(error, Error::WrongType { .. }), "{error:?}");
}

/// As behind a proxy that buffers events.
#[tokio::test]
async fn silent_event_stream_falls_back_to_polling() {
    let id = SongId::random();
    let silent = format!("{}{}: hello\n\n", HEAD.replace("Connection: close", "Content-Length: 99999"), canned::CUT);
    let (address, requests) = canned::hanging(silent, poll_response(&view(id, SongStatus::Split, None))).await;
    let client = Client::builder(address).with_timeout(Duration::from_millis(500)).build().unwrap();
    client.wait(id).await.unwrap();
    let requests = requests.lock().unwrap();
    // On a slow machine, a poll may time out too and be repeated.
    let (events, polls) = requests.split_first().unwrap();
    assert!(events.contains("/events ") && !polls.is_empty(), "{requests:?}");
    assert!(polls.iter().all(|poll| poll.contains(&format!("/songs/{id} "))), "{requests:?}");
}

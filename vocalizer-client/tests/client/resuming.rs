use std::time::Duration;

use vocalizer_client::{Client, Error, Part, SongId};

use super::{backend, canned};

const WHOLE: &str = "0123456789";

/// The headers of a response with this ETag and `Content-Length`.
fn head(status: &str, etag: &str, range: &str, len: usize) -> String {
    let range = if range.is_empty() { String::new() } else { format!("Content-Range: bytes {range}\r\n") };
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: audio/mpeg\r\nETag: {etag}\r\n{range}\
         Content-Length: {len}\r\nConnection: close\r\n\r\n"
    )
}

/// A response that ends after four of ten bytes.
fn cut() -> String {
    format!("{}0123", head("200 OK", "\"a\"", "", 10))
}

async fn bytes_of(answers: Vec<String>) -> (Result<String, Error>, Vec<String>) {
    let (address, requests) = canned::script(answers).await;
    let downloaded = backend::client(&address).download_bytes(SongId::random(), Part::Vocals, 1000).await;
    let requests = requests.lock().unwrap().clone();
    (downloaded.map(|bytes| String::from_utf8(bytes.into()).unwrap()), requests)
}

#[tokio::test]
async fn interrupted_download_resumes() {
    let rest = |from: usize, to: usize| {
        format!("{}{}", head("206 Partial Content", "\"a\"", &format!("{from}-9/10"), 10 - from), &WHOLE[from..to])
    };
    let (downloaded, requests) = bytes_of(vec![cut(), String::new(), rest(4, 7), rest(7, 10)]).await;
    assert_eq!(downloaded.unwrap(), WHOLE);
    let header_of = |text: &String, header: &str| {
        text.lines().find_map(|line| line.to_lowercase().strip_prefix(header).map(str::to_owned))
    };
    let ranges: Vec<_> = requests.iter().map(|text| header_of(text, "range: bytes=")).collect();
    assert_eq!(ranges, [None, Some("4-".to_owned()), Some("4-".to_owned()), Some("7-".to_owned())]);
    assert!(requests[1..].iter().all(|text| header_of(text, "if-range: ") == Some("\"a\"".to_owned())));
}

#[tokio::test]
async fn download_restarts_if_server_has_no_ranges() {
    let again = format!("{}{WHOLE}", head("200 OK", "\"a\"", "", 10));
    let (downloaded, _) = bytes_of(vec![cut(), again]).await;
    assert_eq!(downloaded.unwrap(), WHOLE);
}

#[tokio::test]
async fn changed_file_is_not_resumed() {
    let changed = [
        format!("{}abcdefghij", head("200 OK", "\"b\"", "", 10)),
        format!("{}abcde", head("200 OK", "\"a\"", "", 5)),
        format!("{}efghij", head("206 Partial Content", "\"b\"", "4-9/10", 6)),
        canned::answer("416 Range Not Satisfiable", "application/json", r#"{"ok":false,"errors":[],"data":null}"#),
    ];
    for answer in changed {
        let (downloaded, requests) = bytes_of(vec![cut(), answer]).await;
        assert!(matches!(downloaded, Err(Error::Changed)), "{downloaded:?}");
        assert_eq!(requests.len(), 2);
    }
}

#[tokio::test]
async fn wrong_range_is_malformed() {
    let piece = |range: &str, len| format!("{}{}", head("206 Partial Content", "\"a\"", range, len), "x".repeat(len));
    for answer in [
        piece("", 6),
        piece("0-9/10", 10),
        piece("5-9/10", 5),
        piece("4-8/10", 5),
        piece("4-9/10", 3),
        piece("4-10/11", 7),
        piece("4-9/*", 6),
        piece("4-18446744073709551615/10", 6),
        piece("nonsense", 6),
    ] {
        let (downloaded, _) = bytes_of(vec![cut(), answer.clone()]).await;
        assert!(matches!(downloaded, Err(Error::Malformed { status: 206, .. })), "{answer}: {downloaded:?}");
    }
}

/// A 206 without a `Range` header in the request is invalid.
#[tokio::test]
async fn unrequested_range_is_rejected() {
    let (downloaded, _) = bytes_of(vec![format!("{}6789", head("206 Partial Content", "\"a\"", "6-9/10", 4))]).await;
    assert!(matches!(downloaded, Err(Error::WrongType { status: 206, .. })), "{downloaded:?}");
}

#[tokio::test]
async fn download_without_strong_etag_is_not_resumed() {
    for etag in ["W/\"a\"", ""] {
        let (downloaded, requests) = bytes_of(vec![format!("{}0123", head("200 OK", etag, "", 10))]).await;
        assert!(matches!(downloaded, Err(Error::Transport(_))), "{downloaded:?}");
        assert_eq!(requests.len(), 1);
    }
}

#[tokio::test]
async fn resume_attempts_are_limited() {
    let nothing = head("206 Partial Content", "\"a\"", "4-9/10", 6);
    let (downloaded, requests) = bytes_of(vec![cut(), nothing]).await;
    assert!(matches!(downloaded, Err(Error::Transport(_))), "{downloaded:?}");
    assert_eq!(requests.len(), 1 + 3);
}

#[tokio::test]
async fn stalled_download_resumes() {
    let rest = format!("{}456789", head("206 Partial Content", "\"a\"", "4-9/10", 6));
    let (address, _) = canned::hanging(cut(), rest).await;
    let client = Client::builder(address).with_timeout(Duration::from_millis(500)).build().unwrap();
    assert_eq!(client.download_bytes(SongId::random(), Part::Vocals, 1000).await.unwrap(), WHOLE);
}

#[tokio::test]
async fn changed_file_is_downloaded_again_once() {
    let changed = format!("{}abcdefghij", head("200 OK", "\"b\"", "", 10));
    let (address, requests) = canned::script(vec![cut(), changed]).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vocals.mp3");
    backend::client(&address).download_to(SongId::random(), Part::Vocals, &path).await.unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "abcdefghij");
    assert_eq!(requests.lock().unwrap().len(), 3);
}

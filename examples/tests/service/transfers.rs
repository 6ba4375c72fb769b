//! Uploads that are too large, too slow, incomplete or endless.

use std::time::Duration;

use vocalizer_core::limits::Limits;
use vocalizer_http::settings::Timeouts;

use super::support::{Browser, Service, Settings, id, song};
use super::uploads::{FILE, KIND, TITLE, assert_nothing_stored, form, refused};
use super::wire::{Raw, refused_bare};

/// A WAV of exactly `len` bytes, padded with a junk chunk.
fn wav_of(len: usize) -> Vec<u8> {
    let mut wav = song(1);
    let junk = len - wav.len() - 8;
    wav.extend_from_slice(b"junk");
    wav.extend_from_slice(&u32::try_from(junk).unwrap().to_le_bytes());
    wav.resize(len, 0);
    wav
}

#[tokio::test]
async fn upload_limit_is_inclusive() {
    const LIMIT: usize = 100_000;
    let limits = Limits { max_upload_bytes: LIMIT as u64, ..Limits::default() };
    let service = Service::with(Settings { workers: 0, limits, ..Settings::default() }).await;
    let client = Browser::new(&service);
    // One byte above the limit, lengths rejected by Content-Length alone, and far larger ones.
    for len in [LIMIT + 1, LIMIT + 60_000, LIMIT + 64 * 1024, 10 * LIMIT, 100 * LIMIT] {
        let answer = client.try_upload("x", wav_of(len)).await;
        refused(&service, &answer, 413, "too_large", &format!("{len} bytes")).await;
    }
    for len in [LIMIT - 1, LIMIT] {
        let accepted = client.try_upload("x", wav_of(len)).await.data()["song"].clone();
        let back = client.get(&format!("/songs/{}/song.mp3", id(&accepted))).await;
        assert_eq!(back.bytes.len(), len);
        client.delete(&format!("/songs/{}", id(&accepted))).await.data();
    }
}

fn head(more: &str) -> Vec<u8> {
    format!("POST /songs/upload HTTP/1.1\r\nHost: localhost\r\nContent-Type: {KIND}\r\n{more}\r\n\r\n").into_bytes()
}

/// Encodes one chunk of a chunked body.
fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

#[tokio::test]
async fn interrupted_upload_leaves_nothing() {
    let service = Service::idle().await;
    let whole = form(&[(TITLE, b"x"), (FILE, &song(1))]);
    let half = &whole[..whole.len() / 2];
    for (what, begun) in [
        ("by its length", [head(&format!("Content-Length: {}", whole.len())), half.to_vec()].concat()),
        ("between chunks", [head("Transfer-Encoding: chunked"), chunk(half)].concat()),
        ("within a chunk", [head("Transfer-Encoding: chunked"), b"fffff\r\n".to_vec(), half.to_vec()].concat()),
    ] {
        let answer = Raw::connect(&service).await.send(&begun).await.close_sending().await.answer().await;
        refused(&service, &answer, 400, "malformed", what).await;
        // The same when the client is gone.
        drop(Raw::connect(&service).await.send(&begun).await);
        assert_nothing_stored(&service, what).await;
    }
    let ended = [head("Transfer-Encoding: chunked"), chunk(half), b"0\r\n\r\n".to_vec()].concat();
    refused(&service, &Raw::ask(&service, ended).await, 400, "malformed", "chunks end before the form").await;
    Raw::ask(&service, [head("Transfer-Encoding: chunked"), chunk(&whole), b"0\r\n\r\n".to_vec()].concat())
        .await
        .data();
}

#[tokio::test]
async fn wrong_content_length_is_rejected() {
    let timeouts = Timeouts { body_silence: Duration::from_millis(300), ..Timeouts::default() };
    let service = Service::with(Settings { workers: 0, timeouts, ..Settings::default() }).await;
    let whole = form(&[(TITLE, b"x"), (FILE, &song(1))]);
    let with = |length: &str| [head(&format!("Content-Length: {length}")), whole.clone()].concat();
    let of = |length: usize| with(&length.to_string());

    let half = [head(&format!("Content-Length: {}", whole.len())), whole[..whole.len() / 2].to_vec()].concat();
    refused(&service, &Raw::ask(&service, half).await, 408, "timeout", "longer than the body").await;
    let too_large = [head("Content-Length: 99999999999"), whole.clone()].concat();
    refused(&service, &Raw::ask(&service, too_large).await, 413, "too_large", "above the limit").await;
    for length in [whole.len() - 1000, 100, 0] {
        let mut raw = Raw::connect(&service).await.send(of(length)).await;
        refused(&service, &raw.answer().await, 400, "malformed", "shorter than the body").await;
        assert_eq!(raw.answer().await.status, 400, "the excess bytes are not a request");
    }
    for length in ["x", "-1", "1.5", "0x10", "18446744073709551616", "1, 2"] {
        refused_bare(Raw::connect(&service).await.send(with(length)).await, 400, length).await;
    }
    assert_nothing_stored(&service, "after all cases").await;
    // The form has an end of its own; the missing bytes after it are not awaited.
    assert_eq!(Raw::ask(&service, of(whole.len() + 1000)).await.data()["song"]["title"], "x");
}

/// The form reader searches its whole buffer again for every piece. With a small limit that is cheap; with the song
/// limit, a few bytes per second would keep a core busy.
#[tokio::test]
async fn form_data_beside_file_has_lower_limit() {
    let limits = Limits { max_upload_bytes: 1 << 30, ..Limits::default() };
    let service = Service::with(Settings { workers: 0, limits, ..Settings::default() }).await;
    let unknown_field = format!("--b\r\n{}\r\n\r\n", FILE.replace("\"file\"", "\"else\""));
    for (what, start) in [("a head", "--b\r\nX: "), ("no boundary", "x"), ("an unknown field", unknown_field.as_str())]
    {
        let start = [head("Transfer-Encoding: chunked"), chunk(start.as_bytes())].concat();
        let raw = Raw::connect(&service).await.send(start).await;
        let answer = raw.until_refused(&chunk(&[b'x'; 16 * 1024]), Duration::ZERO).await;
        refused(&service, &answer, 413, "too_large", what).await;
        let message = answer.refused(413, "too_large");
        assert!(message.contains("besides the file"), "{what}: {message}");
    }
}

#[tokio::test]
async fn endless_body_is_rejected_at_limit() {
    let limits = Limits { max_upload_bytes: 100_000, ..Limits::default() };
    let service = Service::with(Settings { workers: 0, limits, ..Settings::default() }).await;
    let file_part = format!("--b\r\n{TITLE}\r\n\r\nx\r\n--b\r\n{FILE}\r\n\r\n");
    let unknown_field = file_part.replace("\"file\"", "\"else\"");
    for (what, start) in [("a file", file_part.as_str()), ("an unknown field", &unknown_field), ("no boundary", "x")] {
        let start = [head("Transfer-Encoding: chunked"), chunk(start.as_bytes())].concat();
        let raw = Raw::connect(&service).await.send(start).await;
        let answer = raw.until_refused(&chunk(&[7; 32 * 1024]), Duration::ZERO).await;
        refused(&service, &answer, 413, "too_large", what).await;
    }
}

#[tokio::test]
async fn trickling_upload_times_out() {
    let trickling = Timeouts { body_grace: Duration::ZERO, ..Timeouts::default() };
    let service = Service::with(Settings { workers: 0, timeouts: trickling, ..Settings::default() }).await;
    let start = format!("--b\r\n{TITLE}\r\n\r\nx\r\n--b\r\n{FILE}\r\n\r\n");
    for (start, piece) in [
        ([head("Content-Length: 500000"), start.clone().into_bytes()].concat(), b"x".to_vec()),
        ([head("Transfer-Encoding: chunked"), chunk(start.as_bytes())].concat(), chunk(b"x")),
        (head("Content-Length: 500000"), b"-".to_vec()),
    ] {
        let raw = Raw::connect(&service).await.send(start).await;
        let answer = raw.until_refused(&piece, Duration::from_millis(100)).await;
        refused(&service, &answer, 408, "timeout", "one byte at a time").await;
    }
}

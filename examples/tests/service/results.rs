//! Invalid and malicious result archives.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tar::{EntryType, Header};
use vocalizer_core::limits::Limits;
use vocalizer_core::ports::Stems;
use vocalizer_http::settings::Timeouts;

use super::support::{Browser, Service, Settings, WORKER_TOKEN, archive, files_below, id, song, stems};
use super::wire::Raw;

pub(super) const NAMES: [&str; 4] = ["bass.mp3", "drums.mp3", "other.mp3", "vocals.mp3"];

/// A queued song and a client.
pub(super) async fn waiting(service: &Service) -> (Browser, Value) {
    let client = Browser::new(service);
    let song = client.upload("x", &song(1)).await;
    (client, song)
}

pub(super) fn path(song: &Value) -> String {
    format!("/songs/{}/upload_result", song["hash"].as_str().unwrap())
}

/// One raw archive entry with any name and size.
fn entry(name: &str, kind: EntryType, size_bytes: u64, bytes: &[u8]) -> Vec<u8> {
    let mut header = Header::new_ustar();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(size_bytes);
    header.set_cksum();
    let mut raw = header.as_bytes().to_vec();
    raw.extend_from_slice(bytes);
    raw.resize(raw.len().next_multiple_of(512), 0);
    raw
}

pub(super) fn file(name: &str, bytes: &[u8]) -> Vec<u8> {
    entry(name, EntryType::Regular, bytes.len() as u64, bytes)
}

fn pax(records: &str) -> Vec<u8> {
    entry("PaxHeaders/x", EntryType::XHeader, records.len() as u64, records.as_bytes())
}

/// Four valid entries.
pub(super) fn four() -> Vec<Vec<u8>> {
    let Stems { drums, bass, other, vocals } = stems();
    NAMES.iter().zip([bass, drums, other, vocals]).map(|(name, bytes)| file(name, &bytes)).collect()
}

/// Four valid entries with an extra one before the third.
fn with_extra(extra: Vec<u8>) -> Vec<Vec<u8>> {
    let mut entries = four();
    entries.insert(2, extra);
    entries
}

/// Four valid entries with the third one replaced.
fn with_replaced(other: Vec<u8>) -> Vec<Vec<u8>> {
    let mut entries = four();
    entries[2] = other;
    entries
}

pub(super) fn finished(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut tar = entries.concat();
    tar.resize(tar.len() + 1024, 0);
    tar
}

/// Posts an archive that must be rejected, and asserts that nothing changed.
pub(super) async fn refused(
    service: &Service,
    waiting: &(Browser, Value),
    tar: Vec<u8>,
    status: u16,
    code: &str,
    what: &str,
) -> String {
    let (browser, song) = waiting;
    let before = service.stored_files();
    let answer = browser.result(song, tar).await;
    assert_eq!(answer.status, status, "{what}: {answer:?}");
    let message = answer.refused(status, code);
    assert!(!message.contains('\u{1b}') && message.len() < 400, "{what}: {message}");
    if status == 422 {
        answer.refused_field(422, code, "result");
    }
    assert_unchanged(service, waiting, &before, what).await;
    message
}

/// Asserts that the song is still queued and no file was added.
pub(super) async fn assert_unchanged(
    service: &Service,
    (browser, song): &(Browser, Value),
    before: &[PathBuf],
    what: &str,
) {
    assert_eq!(service.stored(before.len()).await, before, "{what}");
    let now = browser.get(&format!("/songs/{}", id(song))).await.data();
    assert_eq!(now["song"]["status"], "UPLOADED", "{what}");
    browser.get(&format!("/songs/{}/bass.mp3", id(song))).await.refused(409, "not_ready");
}

#[tokio::test]
async fn unexpected_entry_names_and_types_are_rejected() {
    let service = Service::idle().await;
    let waiting = waiting(&service).await;
    let bytes = stems().other;
    for name in [
        "../other.mp3",
        "../../evil.mp3",
        "./../other.mp3",
        "stems/other.mp3",
        "/other.mp3",
        "/tmp/evil.mp3",
        "C:\\other.mp3",
        "..\\other.mp3",
        "Other.mp3",
        "other.mp3/",
        "other.wav",
        "other.mp3.mp3",
        "guitar.mp3",
        "song.mp3",
        "",
        ".",
        "..",
        "\u{1b}[31mother.mp3",
    ] {
        let tar = finished(&with_replaced(file(name, &bytes)));
        refused(&service, &waiting, tar, 422, "invalid", &format!("{name:?} instead")).await;
        let tar = finished(&with_extra(file(name, &bytes)));
        refused(&service, &waiting, tar, 422, "invalid", &format!("{name:?} as well")).await;
    }
    for kind in [
        EntryType::Link,
        EntryType::Symlink,
        EntryType::Char,
        EntryType::Block,
        EntryType::Directory,
        EntryType::Fifo,
        EntryType::Continuous,
        EntryType::GNUSparse,
        EntryType::GNULongName,
        EntryType::GNULongLink,
        EntryType::XGlobalHeader,
        EntryType::new(b'Z'),
    ] {
        let mut raw = entry("other.mp3", kind, 0, b"");
        let mut header = Header::new_ustar();
        header.as_mut_bytes().copy_from_slice(&raw);
        header.set_link_name("/etc/passwd").unwrap();
        header.set_cksum();
        raw.copy_from_slice(header.as_bytes());
        refused(
            &service,
            &waiting,
            finished(&with_replaced(raw.clone())),
            422,
            "invalid",
            &format!("{kind:?} instead"),
        )
        .await;
        refused(&service, &waiting, finished(&with_extra(raw)), 422, "invalid", &format!("{kind:?} as well")).await;
    }
    let root = service.blobs().parent().unwrap().parent().unwrap().to_owned();
    assert!(files_below(&root).iter().all(|file| !file.ends_with("evil.mp3") && !file.ends_with("other.mp3")));
    assert!(!PathBuf::from("/tmp/evil.mp3").exists());
    assert_eq!(waiting.0.result(&waiting.1, archive()).await.data(), Value::Null, "a valid archive is still accepted");
}

#[tokio::test]
async fn archive_must_have_exactly_four_stems() {
    let service = Service::idle().await;
    let waiting = waiting(&service).await;
    let mut cases = vec![
        ("an empty body".to_owned(), Vec::new()),
        ("no entries".to_owned(), finished(&[])),
        ("one more".to_owned(), finished(&[four(), vec![file("readme.txt", b"hello")]].concat())),
        ("entries after the end".to_owned(), [finished(&four()), four().concat()].concat()),
        ("two archives".to_owned(), [finished(&four()), finished(&four())].concat()),
        ("an empty stem".to_owned(), finished(&with_replaced(file("other.mp3", b"")))),
    ];
    for (number, name) in NAMES.iter().enumerate() {
        let mut entries = four();
        let taken = entries.remove(number);
        cases.push((format!("{name} missing"), finished(&entries)));
        entries.extend([taken.clone(), taken]);
        cases.push((format!("{name} twice"), finished(&entries)));
    }
    for (what, tar) in cases {
        refused(&service, &waiting, tar, 422, "invalid", &what).await;
    }
}

#[tokio::test]
async fn false_sizes_are_rejected_early() {
    let limits = Limits { max_stem_bytes: 64 * 1024, ..Settings::default().limits };
    let service = Service::with(Settings { workers: 0, limits, ..Settings::default() }).await;
    let waiting = waiting(&service).await;
    let bytes = stems().other;
    let claims = |size_bytes: u64| entry("other.mp3", EntryType::Regular, size_bytes, &bytes);
    for (what, size_bytes) in [("a terabyte", 1 << 40), ("a byte too many", 64 * 1024 + 1), ("2^63", 1 << 63)] {
        refused(&service, &waiting, finished(&with_replaced(claims(size_bytes))), 413, "too_large", what).await;
    }
    let real = file("other.mp3", &vec![1; 64 * 1024 + 1]);
    refused(&service, &waiting, finished(&with_replaced(real)), 413, "too_large", "an actual byte too many").await;
    for (what, entries) in [
        ("a sparse terabyte", with_replaced(entry("other.mp3", EntryType::GNUSparse, 1 << 40, &bytes))),
        ("a PAX header of a terabyte", with_extra(entry("x", EntryType::XHeader, 1 << 40, b"x"))),
        ("a long name of a terabyte", with_extra(entry("././@LongLink", EntryType::GNULongName, 1 << 40, b"x"))),
        ("less than the actual size", with_replaced(claims(100))),
    ] {
        refused(&service, &waiting, finished(&entries), 422, "invalid", what).await;
    }
    for records in [
        "12 size=999\n",
        "22 size=1099511627776\n",
        "11 size=-1\n",
        "30 size=18446744073709551616\n",
        "22 GNU.sparse.major=1\n",
        "22 GNU.sparse.minor=0\n",
        "34 GNU.sparse.realsize=1099511627776\n",
        "24 GNU.sparse.name=evil\n",
        "21 path=../evil.mp3\n",
        "19 linkpath=/passwd\n",
        "99999999999 mtime=1\n",
        "-1 mtime=1\n",
        "0 mtime=1\n",
        "no record\n",
    ] {
        let tar = finished(&with_extra(pax(records)));
        refused(&service, &waiting, tar, 422, "invalid", records).await;
    }
    let tar = finished(&with_extra([pax("11 mtime=1\n"), pax("11 mtime=1\n")].concat()));
    refused(&service, &waiting, tar, 422, "invalid", "two PAX headers").await;
    let times = finished(&with_extra(pax("11 mtime=1\n")));
    assert_eq!(waiting.0.result(&waiting.1, times).await.data(), Value::Null, "a modification time is accepted");
}

#[tokio::test]
async fn invalid_tar_or_non_mp3_stems_are_rejected() {
    let service = Service::idle().await;
    let waiting = waiting(&service).await;
    let whole = archive();
    for cut in [1, 511, 512, 513, 700, whole.len() / 2, whole.len() - 1024 - 512 - 1] {
        refused(&service, &waiting, whole[..cut].to_vec(), 422, "invalid", &format!("cut at {cut}")).await;
    }
    let mut gzip = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    gzip.write_all(&whole).unwrap();
    let mut damaged = whole.clone();
    damaged[0] ^= 1;
    for (what, bytes) in [
        ("gzip", gzip),
        ("zip", b"PK\x03\x04".repeat(500)),
        ("text", b"Dear backend, here are the stems. ".repeat(100)),
        ("JSON", b"{}".to_vec()),
        ("noise", vec![0xff; 10_240]),
        ("a name that does not fit its checksum", damaged),
        ("an MP3", stems().other.to_vec()),
    ] {
        refused(&service, &waiting, bytes, 422, "invalid", what).await;
    }
    for (what, bytes) in [
        ("a WAV", song(7)),
        ("text", b"la la la".repeat(100)),
        ("a page", b"<!DOCTYPE html><script>alert(1)</script>".repeat(30)),
        ("zeros", vec![0; 4096]),
        ("one byte", vec![0xff]),
        ("the head of an MP3", stems().other[..40].to_vec()),
    ] {
        refused(&service, &waiting, finished(&with_replaced(file("other.mp3", &bytes))), 422, "invalid", what).await;
    }
}

#[tokio::test]
async fn incomplete_results_are_rejected() {
    let timeouts = Timeouts { body_silence: Duration::from_millis(300), ..Timeouts::default() };
    let service = Service::with(Settings { workers: 0, timeouts, ..Settings::default() }).await;
    let waiting = waiting(&service).await;
    let before = service.stored_files();
    let whole = archive();
    let path = path(&waiting.1);
    let head = |more: &str| {
        format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {WORKER_TOKEN}\r\n{more}\r\n\r\n")
    };
    let half = [head(&format!("Content-Length: {}", whole.len())).as_bytes(), &whole[..whole.len() / 2]].concat();

    let mut silent = Raw::connect(&service).await.send(&half).await;
    silent.answer().await.refused(408, "timeout");
    assert_unchanged(&service, &waiting, &before, "silent").await;

    let cut_off = Raw::connect(&service).await.send(&half).await.close_sending().await.answer().await;
    cut_off.refused(400, "malformed");
    assert_unchanged(&service, &waiting, &before, "cut off").await;

    let chunk = [format!("{:x}\r\n", whole.len()).into_bytes(), whole, b"\r\n".to_vec()].concat();
    let zeros = [b"10000\r\n".to_vec(), vec![0; 65_536], b"\r\n".to_vec()].concat();
    let endless = [head("Transfer-Encoding: chunked").into_bytes(), chunk].concat();
    let answer = Raw::connect(&service).await.send(endless).await.until_refused(&zeros, Duration::ZERO).await;
    answer.refused_field(422, "invalid", "result");
    assert_unchanged(&service, &waiting, &before, "endless").await;
    assert_eq!(waiting.0.result(&waiting.1, archive()).await.data(), Value::Null);
}

//! Malformed upload forms, file names, titles and files that are not audio.

use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::json;

use super::support::{Answer, Browser, Service, files_below, id, song};

pub(super) const KIND: &str = "multipart/form-data; boundary=b";
pub(super) const TITLE: &str = "Content-Disposition: form-data; name=\"title\"";
pub(super) const FILE: &str = "Content-Disposition: form-data; name=\"file\"; filename=\"x.mp3\"";

/// Builds a form from parts, each with headers and bytes.
pub(super) fn form(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut form = Vec::new();
    for (head, bytes) in parts {
        form.extend_from_slice(format!("--b\r\n{head}\r\n\r\n").as_bytes());
        form.extend_from_slice(bytes);
        form.extend_from_slice(b"\r\n");
    }
    form.extend_from_slice(b"--b--\r\n");
    form
}

async fn post(service: &Service, kind: &str, body: Vec<u8>) -> Answer {
    let request = Browser::new(service).request(Method::POST, "/songs/upload").body(body);
    Browser::send(if kind.is_empty() { request } else { request.header("content-type", kind) }).await
}

/// Asserts that no song and no file is stored.
pub(super) async fn assert_nothing_stored(service: &Service, what: &str) {
    service.stored(0).await;
    assert_eq!(Browser::new(service).get("/songs/").await.data()["songs"], json!([]), "{what}");
}

pub(super) async fn refused(service: &Service, answer: &Answer, status: u16, code: &str, what: &str) {
    assert_eq!(answer.status, status, "{what}: {answer:?}");
    answer.refused(status, code);
    assert_nothing_stored(service, what).await;
}

async fn refused_field(service: &Service, answer: &Answer, field: &str, what: &str) {
    refused(service, answer, 422, "invalid", what).await;
    answer.refused_field(422, "invalid", field);
}

#[tokio::test]
async fn malformed_form_is_rejected() {
    let service = Service::idle().await;
    let good = || form(&[(TITLE, b"x"), (FILE, &song(1))]);
    for (kind, status, code) in [
        ("", 415, "unsupported"),
        ("text/plain", 415, "unsupported"),
        ("application/json", 415, "unsupported"),
        ("multipart/mixed; boundary=b", 415, "unsupported"),
        ("multipart/form-data", 400, "malformed"),
        ("multipart/form-data; charset=utf-8", 400, "malformed"),
        ("multipart/form-data; boundary=another", 400, "malformed"),
    ] {
        refused(&service, &post(&service, kind, good()).await, status, code, kind).await;
    }
    let file = song(1);
    let crlf = [&b"--b\r\n"[..], FILE.as_bytes(), b"\r\n\r\n", &file].concat();
    for (what, body) in [
        ("nothing", Vec::new()),
        ("no form", b"hello".to_vec()),
        ("only line ends", b"\r\n".repeat(100)),
        ("only a boundary", b"--b\r\n".to_vec()),
        ("an unterminated part", crlf.clone()),
        ("a missing last boundary", [&crlf[..], b"\r\n--b\r\n"].concat()),
        ("a part with an invalid header", b"--b\r\nthis is no header\r\n\r\nx\r\n--b--\r\n".to_vec()),
        ("an unterminated part header", format!("--b\r\n{FILE}\r\n").into_bytes()),
    ] {
        refused(&service, &post(&service, KIND, body).await, 400, "malformed", what).await;
    }
}

#[tokio::test]
async fn form_needs_exactly_one_title_and_file() {
    let service = Service::idle().await;
    let file = song(1);
    let unnamed = "Content-Disposition: form-data; filename=\"x.mp3\"";
    let other = "Content-Disposition: form-data; name=\"song\"; filename=\"x.mp3\"";
    for (what, parts, field) in [
        ("no parts", &[][..], "file"),
        ("no file", &[(TITLE, &b"x"[..])], "file"),
        ("a file of another name", &[(TITLE, b"x"), (other, &file)], "file"),
        ("a file without a name", &[(TITLE, b"x"), (unnamed, &file)], "file"),
        ("no title", &[(FILE, &file)], "title"),
        ("zero bytes", &[(TITLE, b"x"), (FILE, b"")], "file"),
        ("zero bytes, the title later", &[(FILE, b""), (TITLE, b"x")], "file"),
    ] {
        refused_field(&service, &post(&service, KIND, form(parts)).await, field, what).await;
    }
    for (what, parts) in [
        ("two files", &[(TITLE, &b"x"[..]), (FILE, &file), (FILE, &file)][..]),
        ("two files, one of them empty", &[(TITLE, b"x"), (FILE, &file), (FILE, b"")]),
        ("two titles", &[(TITLE, b"x"), (TITLE, b"y"), (FILE, &file)]),
    ] {
        refused(&service, &post(&service, KIND, form(parts)).await, 400, "malformed", what).await;
    }
}

#[tokio::test]
async fn too_many_form_parts_are_rejected() {
    let service = Service::idle().await;
    let part = format!("--b\r\n{TITLE}0\r\n\r\nx\r\n").replace("title\"0", "more\"");
    refused(&service, &post(&service, KIND, part.repeat(10_000).into_bytes()).await, 400, "malformed", "parts").await;
    let file = song(1);
    let empty = ("", &b""[..]);
    let parts = [vec![(TITLE, &b"x"[..]), (FILE, &file)], vec![empty; 10_000]].concat();
    refused(&service, &post(&service, KIND, form(&parts)).await, 400, "malformed", "after the file").await;
}

#[tokio::test]
async fn file_name_of_upload_is_ignored() {
    let service = Service::idle().await;
    let root = service.blobs().parent().unwrap().parent().unwrap().to_owned();
    let before = files_below(&root);
    let long = format!("{}.mp3", "x".repeat(10_000));
    for (number, name) in [
        "../../evil.mp3",
        "..\\..\\evil.mp3",
        "/etc/evil.mp3",
        "....//evil.mp3",
        "%2e%2e%2fevil.mp3",
        ".",
        "..",
        "",
        "evil.exe",
        "con",
        "evil\0.mp3",
        "evil%00.mp3",
        "evil%0D%0ASet-Cookie: evil=1",
        "evil\r\nSet-Cookie: evil=1",
        "\\\"evil",
        &long,
    ]
    .into_iter()
    .enumerate()
    {
        let head = FILE.replace("x.mp3", name);
        let file = song(u32::try_from(number).unwrap());
        let answer = post(&service, KIND, form(&[(TITLE, b"x"), (&head, &file)])).await;
        if name.contains('\0') {
            // A NUL is invalid in a header.
            answer.refused(400, "malformed");
            continue;
        }
        let song = answer.data()["song"].clone();
        assert_eq!((&song["title"], song.to_string().contains("evil")), (&json!("x"), false), "{name:.40}");
        let download = Browser::new(&service).get(&format!("/songs/{}/song.mp3?download", id(&song))).await;
        assert_eq!(download.bytes, file, "{name:.40}");
        assert_eq!(download.header("content-disposition"), "attachment; filename=\"x.wav\"", "{name:.40}");
        assert_eq!((answer.header("set-cookie"), download.header("set-cookie")), ("", ""), "{name:.40}");
    }
    let new =
        files_below(&root).into_iter().filter(|file| !before.contains(file) && !file.starts_with(service.blobs()));
    let beside: Vec<_> = new.filter(|file| !file.to_string_lossy().contains("vocalizer.db")).collect();
    assert!(beside.is_empty(), "{beside:?}");
    assert!(service.stored_files().iter().all(|file| !file.to_string_lossy().contains("evil")));
}

/// An MP4 box.
fn mp4_box(kind: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let len = u32::try_from(body.len() + 8).unwrap();
    [&len.to_be_bytes()[..], kind, &body].concat()
}

/// An MP4 with a video track (one dummy frame) and no audio.
fn silent_video() -> Vec<u8> {
    const MATRIX: [u8; 36] =
        [0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0];
    let (second, zero, one) = (1000_u32.to_be_bytes(), [0; 4], 1_u32.to_be_bytes());
    let ftyp = mp4_box(b"ftyp", &[b"isom", &zero, b"isommp41"]);
    let mvhd = mp4_box(
        b"mvhd",
        &[&[0; 12], &second, &second, &[0, 1, 0, 0, 1, 0], &[0; 10], &MATRIX, &[0; 24], &2_u32.to_be_bytes()],
    );
    let size = [0, 64, 0, 0, 0, 64, 0, 0];
    let tkhd = mp4_box(b"tkhd", &[&[0, 0, 0, 3], &[0; 8], &one, &zero, &second, &[0; 16], &MATRIX, &size]);
    let mdhd = mp4_box(b"mdhd", &[&[0; 12], &second, &second, &[0x55, 0xc4, 0, 0]]);
    let hdlr = mp4_box(b"hdlr", &[&[0; 8], b"vide", &[0; 12], b"pictures\0"]);
    let codec = mp4_box(
        b"mp4v",
        &[
            &[0; 6],
            &[0, 1],
            &[0; 16],
            &[0, 64, 0, 64],
            &[0, 72, 0, 0, 0, 72, 0, 0],
            &zero,
            &[0, 1],
            &[0; 32],
            &[0, 24, 0xff, 0xff],
        ],
    );
    let stbl = mp4_box(
        b"stbl",
        &[
            &mp4_box(b"stsd", &[&zero, &one, &codec]),
            &mp4_box(b"stts", &[&zero, &one, &one, &second]),
            &mp4_box(b"stsc", &[&zero, &one, &one, &one, &one]),
            &mp4_box(b"stsz", &[&zero, &zero, &one, &16_u32.to_be_bytes()]),
            &mp4_box(b"stco", &[&zero, &one, &32_u32.to_be_bytes()]),
        ],
    );
    let url = mp4_box(b"url ", &[&one]);
    let dinf = mp4_box(b"dinf", &[&mp4_box(b"dref", &[&zero, &one, &url])]);
    let minf = mp4_box(b"minf", &[&mp4_box(b"vmhd", &[&one, &[0; 8]]), &dinf, &stbl]);
    let trak = mp4_box(b"trak", &[&tkhd, &mp4_box(b"mdia", &[&mdhd, &hdlr, &minf])]);
    [ftyp, mp4_box(b"mdat", &[&[7; 16]]), mp4_box(b"moov", &[&mvhd, &trak])].concat()
}

const PNG: &[u8] =
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\0\0\0\rIDATx\x9cc\xf8\x0f\
    \0\0\x01\x01\0\x05\x18\xd8N\0\0\0\0IEND\xaeB`\x82";

#[tokio::test]
async fn non_audio_is_rejected_whatever_its_name() {
    let service = Service::idle().await;
    let client = Browser::new(&service);
    for (what, bytes) in [
        ("a page", b"<!DOCTYPE html><html><script>alert(1)</script></html>".repeat(40)),
        ("a picture", PNG.to_vec()),
        ("an SVG", b"<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"alert(1)\"/>".to_vec()),
        ("a video without audio", silent_video()),
        ("a program", [&b"\x7fELF\x02\x01\x01"[..], &[0; 4096]].concat()),
        ("an archive", b"PK\x03\x04".repeat(100)),
        ("zeros", vec![0; 10_000]),
        ("one byte", vec![0]),
        ("text", b"la la la".to_vec()),
        ("a tag without audio", [&b"ID3\x04\0\0\0\0\x07\x76"[..], &[0; 1014]].concat()),
        ("a song without samples", song(1)[..44].to_vec()),
    ] {
        for name in ["x.mp3", "x.wav", "x"] {
            let file = Part::bytes(bytes.clone()).file_name(name).mime_str("audio/mpeg").unwrap();
            let form = Form::new().text("title", "x").part("file", file);
            let answer = Browser::send(client.request(Method::POST, "/songs/upload").multipart(form)).await;
            refused_field(&service, &answer, "file", what).await;
        }
    }
    let message = client.try_upload("x", silent_video()).await.refused_field(422, "invalid", "file");
    assert!(message.contains("no audio track"), "{message}");
}

#[tokio::test]
async fn invalid_titles_are_rejected() {
    let service = Service::idle().await;
    let client = Browser::new(&service);
    let (long, longer, megabyte) = ("x".repeat(201), "x".repeat(10_000), "x".repeat(1024 * 1024));
    let wide = "\u{1f3b5}".repeat(201);
    for title in [
        "",
        " ",
        "\t\r\n",
        &long,
        &longer,
        &wide,
        "a\0b",
        "a\nb",
        "a\r\nX-Evil: 1",
        "a\tb",
        "a\x1b[31mb",
        "a\u{7f}b",
        "a\u{85}b",
        "a\u{2028}b",
        "a\u{202e}3pm.b",
        "a\u{2066}b",
        "\0",
    ] {
        let answer = client.try_upload(title, song(1)).await;
        refused_field(&service, &answer, "title", &format!("{title:.40?}")).await;
    }
    // Too long to be read completely; before and after the file.
    for parts in [[(TITLE, megabyte.as_bytes()), (FILE, &song(1))], [(FILE, &song(1)), (TITLE, megabyte.as_bytes())]] {
        let answer = post(&service, KIND, form(&parts)).await;
        refused_field(&service, &answer, "title", "a megabyte").await;
    }
    let answer = post(&service, KIND, form(&[(TITLE, b"a\xff\xfeb"), (FILE, &song(1))])).await;
    refused(&service, &answer, 400, "malformed", "invalid UTF-8").await;
    for title in
        ["x".repeat(200), "\u{1f3b5}".repeat(200), "<script>alert(1)</script>".to_owned(), "../../x".to_owned()]
    {
        let accepted = client.upload(&title, &song(1)).await;
        assert_eq!(accepted["title"], title, "at the limit, or unusual but valid");
    }
}

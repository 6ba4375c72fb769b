//! Invalid, unknown and malicious request paths.

use reqwest::Method;
use serde_json::json;

use super::support::{Browser, Service, WORKER_TOKEN, archive, files_below, id, song};
use super::wire::{Raw, refused_bare};

/// Sends the path unchanged; an HTTP library would normalise it.
async fn raw(service: &Service, method: &str, path: &str) -> Raw {
    let head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {WORKER_TOKEN}\r\n");
    let end = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 7\r\n\r\ntitle=x";
    Raw::connect(service).await.send(format!("{head}{end}")).await
}

/// Unknown paths. `{song}` stands for an anonymous split song.
const NOWHERE: &[&str] = &[
    "//",
    "/index.html",
    "/web",
    "/web/",
    "/web/../songs/",
    "/web/..%2f..%2fetc%2fpasswd",
    "/web/app.js/",
    "/Web/app.js",
    "//songs/",
    "/songs//",
    "/Songs/",
    "/songs%2f",
    "/songs/./",
    "/songs/../songs/",
    "/./songs/",
    "/songs/..",
    "/songs/../",
    "/songs/../../etc/passwd",
    "/songs/..%2f",
    "/songs/..%2f..%2f..%2fetc%2fpasswd",
    "/songs/..%5c..%5cboot.ini",
    "/songs/%2e%2e",
    "/songs/%2e%2e/%2e%2e",
    "/songs/%2e%2e%2f%2e%2e%2fvocalizer.db",
    "/songs/%252e%252e%252fvocalizer.db",
    "/songs/%c0%ae%c0%ae%c0%af",
    "/songs/%00",
    "/songs/{song}%00",
    "/songs/{song}%20",
    "/songs/%20{song}",
    "/songs/{song}%0d%0aX-Evil:%201",
    "/songs/{song}/",
    "/songs/{song}//song.mp3",
    "/songs/{song}/../{song}",
    "/songs/{song};x=1",
    "/songs/{song}.mp3",
    "/songs/{song}/song",
    "/songs/{song}/.mp3",
    "/songs/{song}/song.",
    "/songs/{song}/song.MP3",
    "/songs/{song}/Song.mp3",
    "/songs/{song}/song.mp3/",
    "/songs/{song}/song.mp3%00",
    "/songs/{song}/song%00.mp3",
    "/songs/{song}/song.mp3%00.wav",
    "/songs/{song}/song%2emp3",
    "/songs/{song}/%73ong.mp3",
    "/songs/{song}/..%2fsong.mp3",
    "/songs/{song}/..%2f..%2fvocalizer.db",
    "/songs/{song}/%2e%2e%2f%2e%2e%2fworker-token",
    "/songs/{song}/..",
    "/songs/{song}/guitar.mp3",
    "/songs/{song}/piano.mp3",
    "/songs/{song}/everything.mp3",
    "/songs/{song}/vocals.ogg",
    "/songs/{song}/vocals.mp3.mp3",
    "/songs/{song}/vocals.zip",
    "/songs/{song}/stems.mp3",
    "/songs/{song}/stems.rar",
    "/songs/{song}/stems",
    "/songs/{song}/source.mp3",
    "/auth",
    "/auth/",
    "/auth/login/",
    "/metrics/",
    "/.git/config",
    "/index.php",
];

#[tokio::test]
async fn unknown_paths_return_404() {
    let service = Service::idle().await;
    let client = Browser::new(&service);
    let open = client.upload("open", &song(1)).await;
    client.result(&open, archive()).await.data();
    for path in NOWHERE {
        let path = path.replace("{song}", id(&open));
        let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        let answer = Raw::ask(&service, head).await;
        assert_eq!(answer.status, 404, "{path}: {answer:?}");
        answer.refused(404, "not_found");
        assert_eq!(answer.header("x-evil"), "", "{path}");
    }
    assert_eq!(client.get(&format!("/songs/{}/song.mp3", id(&open))).await.bytes, song(1));
}

#[tokio::test]
async fn only_canonical_ids_are_accepted() {
    let service = Service::idle().await;
    let client = Browser::new(&service);
    let mut open = client.upload("open", &song(1)).await;
    while !id(&open).contains(|c: char| c.is_ascii_lowercase()) {
        open = client.upload("open", &song(1)).await;
    }
    let good = id(&open);
    for bad in [
        good.to_uppercase(),
        good.replace('-', ""),
        format!("%7b{good}%7d"),
        format!("urn:uuid:{good}"),
        format!("{good}0"),
        good[1..].to_owned(),
        good.replace('-', "%2d"),
        "0".to_owned(),
        "-1".to_owned(),
        "1".to_owned(),
        "18446744073709551616".to_owned(),
        "9".repeat(40),
        "9".repeat(10_000),
        "a".repeat(20_000),
        "00000000-0000-0000-0000-000000000000".to_owned(),
        "ffffffff-ffff-ffff-ffff-ffffffffffff".to_owned(),
        "null".to_owned(),
        "undefined".to_owned(),
        "NaN".to_owned(),
        "'%20OR%201=1--".to_owned(),
        "*".to_owned(),
    ] {
        for (method, path) in [
            (Method::GET, format!("/songs/{bad}")),
            (Method::PATCH, format!("/songs/{bad}")),
            (Method::DELETE, format!("/songs/{bad}")),
            (Method::POST, format!("/songs/{bad}/retry")),
            (Method::GET, format!("/songs/{bad}/events")),
            (Method::GET, format!("/songs/{bad}/song.mp3")),
            (Method::GET, format!("/songs/{bad}/stems.zip")),
        ] {
            let head = format!(
                "{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n"
            );
            Raw::ask(&service, format!("{head}{{\"title\":\"x\"}}")).await.refused(404, "not_found");
        }
    }
    assert_eq!(client.get(&format!("/songs/{good}")).await.data()["song"]["title"], "open");
    let ada = Browser::registered(&service, "ada").await;
    ada.post("/auth/tokens", &[("name", "x")]).await.data();
    for bad in ["x".to_owned(), "0".to_owned(), "9".repeat(10_000), good.to_owned(), "..%2f".to_owned()] {
        ada.delete(&format!("/auth/tokens/{bad}")).await.refused(404, "not_found");
    }
    assert_eq!(ada.get("/auth/tokens").await.data()["tokens"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn only_canonical_hashes_are_accepted() {
    let service = Service::idle().await;
    let client = Browser::new(&service);
    let open = client.upload("open", &song(1)).await;
    let good = open["hash"].as_str().unwrap();
    let stored = service.stored_files();
    for bad in [
        good.to_uppercase(),
        format!("{good}0"),
        good[1..].to_owned(),
        format!("0x{good}"),
        format!("{}%00", &good[..63]),
        format!("{good}%00"),
        format!("{good}.mp3"),
        "0".repeat(64),
        "g".repeat(64),
        "a".repeat(10_000),
        "..%2f".to_owned() + &good[5..],
        "%2e%2e%2f".repeat(7),
        id(&open).to_owned(),
    ] {
        let mut connection = raw(&service, "POST", &format!("/songs/{bad}/upload_result")).await;
        let answer = connection.answer().await;
        assert_eq!(answer.status, 404, "{bad:.80}: {answer:?}");
        answer.refused(404, "not_found");
    }
    assert_eq!(service.stored_files(), stored);
    let root = service.blobs().parent().unwrap().parent().unwrap().to_owned();
    assert!(
        files_below(&root).iter().all(|file| file.starts_with(root.join("data"))),
        "no files outside the data folder"
    );
}

#[tokio::test]
async fn invalid_request_targets_return_400() {
    let service = Service::idle().await;
    for path in ["/songs/\0", "/songs/a b", "/songs/\u{7f}", "", "songs/", "/songs/\x1b[31m"] {
        refused_bare(raw(&service, "GET", path).await, 400, path).await;
    }
    // Absolute URLs, as proxies send them, and unknown query parameters are accepted.
    for path in ["http://other.example/songs/", "/songs/?", "/songs/?x=%00&%ff", "/songs?a=b#c"] {
        let answer = Raw::ask(&service, format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
        assert_eq!(answer.data()["songs"], json!([]), "{path}");
    }
}

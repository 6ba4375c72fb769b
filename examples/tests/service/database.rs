//! The database file: opened by other programs, removed, on a full disk, and used by two servers.

use std::collections::BTreeMap;

use reqwest::Method;
use vocalizer::service::{Blobs, Config, DataDir, DataError, Database, Policy};
use vocalizer_core::secret::Secret;

use super::server::{Server, sql};
use super::support::{Browser, Service, Settings, archive, id, song};

/// Number of kills; `VOCALIZER_FOREIGN_ROUNDS` sets another.
fn rounds() -> u32 {
    std::env::var("VOCALIZER_FOREIGN_ROUNDS").map_or(5, |rounds| rounds.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn foreign_database_access_loses_no_acknowledged_write() {
    let dir = tempfile::tempdir().unwrap();
    let (data, mut kept) = (dir.path().join("data"), BTreeMap::new());
    let database = data.join("vocalizer.db");
    for round in 0..rounds() {
        let server = Server::start(&data);
        let browser = server.browser();
        let deleted = browser.upload("deleted", &song(2 * round)).await;
        let name = format!("user{round}");
        browser.register(&name, "the first password").await.data();
        browser.post("/auth/tokens", &[("name", "x")]).await.data();
        let token = browser.get("/auth/tokens").await.data()["tokens"][0].clone();
        sql(&database, "SELECT count(*) FROM songs");

        let bytes = song(2 * round + 1);
        kept.insert(id(&server.browser().upload("kept", &bytes).await).to_owned(), bytes);
        let passwords = [
            ("old_password", "the first password"),
            ("password1", "another password"),
            ("password2", "another password"),
        ];
        browser.delete(&format!("/auth/tokens/{}", id(&token))).await.data();
        browser.post("/auth/password", &passwords).await.data();
        browser.delete(&format!("/songs/{}", id(&deleted))).await.data();
        sql(&database, "SELECT count(*) FROM users");
        drop((browser, server));

        // Check the state after restart and the first sweep.
        let server = Server::start(&data);
        let browser = server.browser();
        browser.login(&name, "another password").await.data();
        server.browser().login(&name, "the first password").await.refused(401, "unauthenticated");
        assert_eq!(browser.get("/auth/tokens").await.data()["tokens"], serde_json::json!([]), "round {round}");
        browser.get(&format!("/songs/{}", id(&deleted))).await.refused(404, "not_found");
        for (id, bytes) in &kept {
            let download = browser.get(&format!("/songs/{id}/song.mp3?download")).await;
            assert_eq!((download.status, download.bytes == bytes[..]), (200, true), "round {round}: {download:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn removed_wal_is_reported_and_stops_writes() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"));
    let browser = server.browser();
    let uploaded = browser.upload("x", &song(1)).await;
    assert_eq!(browser.get("/readyz").await.json()["checks"]["database"], "ok");
    std::fs::remove_file(dir.path().join("data/vocalizer.db-wal")).unwrap();
    browser.try_upload("x", song(2)).await.refused(503, "unavailable");
    browser.register("ada", "correct horse").await.refused(503, "unavailable");
    browser.delete(&format!("/songs/{}", id(&uploaded))).await.refused(503, "unavailable");
    let ready = until_ready(&browser, false).await;
    assert_eq!(ready["checks"]["database"], "does not answer");
    server.wait_for_log(&["ERROR", "another program removed or replaced", "vocalizer.db"]).await;
}

#[tokio::test]
async fn sweep_deletes_nothing_when_database_is_not_writable() {
    let service = Service::idle().await;
    Browser::new(&service).upload("x", &song(1)).await;
    service.orphan(&"ab".repeat(32), std::time::Duration::from_secs(2 * 24 * 60 * 60));
    std::fs::remove_file(service.blobs().with_file_name("vocalizer.db-wal")).unwrap();
    service.songs.sweep().await.unwrap_err();
    service.stored(2).await;
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_recovers_from_full_disk() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"));
    let browser = server.browser();
    let uploaded = browser.upload("x", &song(1)).await;
    until_ready(&browser, true).await;
    for round in 0..3 {
        server.limit_file_size(Some(0));
        browser.register(&format!("early{round}"), "correct horse").await.refused(503, "unavailable");
        browser.delete(&format!("/songs/{}", id(&uploaded))).await.refused(503, "unavailable");
        let refused = browser.try_upload("x", song(2)).await;
        assert!(matches!(refused.status, 503 | 507), "{refused:?}");
        // Both checks notice the full disk independently.
        let failing = serde_json::Value::from("does not answer");
        let mut checks = until_ready(&browser, false).await["checks"].clone();
        for _ in 0..1000 {
            if (&checks["database"], &checks["storage"]) == (&failing, &failing) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            checks = browser.get("/readyz").await.json()["checks"].clone();
        }
        assert_eq!((&checks["database"], &checks["storage"]), (&failing, &failing));

        server.limit_file_size(None);
        browser.register(&format!("late{round}"), "correct horse").await.data();
        Browser::upload(&server.browser(), "x", &song(10 + round)).await;
        until_ready(&browser, true).await;
    }
}

/// A connection opened while the file is read-only stays read-only.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_recovers_from_read_only_database() {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt as _;

    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"));
    let browser = server.browser();
    for (number, file) in (0..).zip(["vocalizer.db", "vocalizer.db-wal", "vocalizer.db-shm"]) {
        let mode = |mode| set_permissions(dir.path().join("data").join(file), Permissions::from_mode(mode)).unwrap();
        mode(0o400);
        // Failing writes make the pool open new connections.
        server.limit_file_size(Some(0));
        for _ in 0..3 {
            browser.register(&format!("early{number}"), "correct horse").await.refused(503, "unavailable");
            until_ready(&browser, false).await;
        }
        server.limit_file_size(None);
        mode(0o600);
        until_ready(&browser, true).await;
        browser.register(&format!("late{number}"), "correct horse").await.data();
        let uploaded = browser.new_client().upload("x", &song(number)).await;
        until_queued(&browser, &uploaded).await;
    }
}

/// Waits until a song's job is queued. The queue has its own database connection.
async fn until_queued(browser: &Browser, song: &serde_json::Value) {
    for _ in 0..1000 {
        if browser.get(&format!("/songs/{}", id(song))).await.data()["song"]["queue_position"].is_u64() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the job was not queued");
}

/// Waits until `/readyz` reports `ready` and returns the response body.
pub(super) async fn until_ready(browser: &Browser, ready: bool) -> serde_json::Value {
    for _ in 0..1000 {
        let answer = browser.get("/readyz").await;
        if (answer.status == 200) == ready {
            return answer.json();
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("/readyz does not become {ready}: {:?}", browser.get("/readyz").await);
}

#[tokio::test]
async fn uploads_keep_disk_reserve_and_results_may_use_it() {
    let service = Service::idle().await;
    let uploaded = Browser::new(&service).upload("x", &song(1)).await;
    let settings = Settings { workers: 0, min_free_bytes: Some(u64::MAX), ..Settings::default() };
    let service = Service::over(service.stop().await, settings).await;
    let browser = Browser::new(&service);
    let message = browser.try_upload("x", song(2)).await.refused(507, "storage_full");
    assert!(message.contains("disk space"), "{message}");
    browser.result(&uploaded, archive()).await.data();
    browser.until(&uploaded, "SPLIT").await;
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uploads_keep_reserve_on_database_disk() {
    let free_bytes = |dir: &tempfile::TempDir| -> u64 {
        let output = std::process::Command::new("df").args(["-B1", "--output=avail"]).arg(dir.path()).output().unwrap();
        String::from_utf8(output.stdout).unwrap().lines().last().unwrap().trim().parse().unwrap()
    };
    // Two disks; the one with less free space is `small`.
    let (mut small, mut large) = (tempfile::tempdir().unwrap(), tempfile::tempdir_in("/dev/shm").unwrap());
    if free_bytes(&small) > free_bytes(&large) {
        std::mem::swap(&mut small, &mut large);
    }
    let reserve = free_bytes(&small).midpoint(free_bytes(&large)).to_string();
    let start = |name: &str, place: &tempfile::TempDir| {
        let database = format!("sqlite:{}", place.path().join("x.db").display());
        Server::with(&large.path().join(name), &["--database-url", &database, "--min-free-bytes", &reserve])
    };
    let full = start("a", &small);
    full.browser().try_upload("x", song(1)).await.refused(507, "storage_full");
    full.wait_for_log(&["what=\"database\""]).await;
    start("b", &large).browser().upload("x", &song(1)).await;
}

#[tokio::test]
async fn missing_blob_folder_is_reported_and_fails_no_song() {
    let service = Service::with(Settings { workers: 0, background: true, ..Settings::default() }).await;
    let browser = Browser::new(&service);
    let uploaded = browser.upload("x", &song(1)).await;
    let moved = service.blobs().with_file_name("moved");
    std::fs::rename(service.blobs(), &moved).unwrap();
    assert_eq!(until_ready(&browser, false).await["checks"]["storage"], "does not answer");
    let path = format!("/songs/{}/song.mp3", id(&uploaded));
    browser.get(&path).await.refused(503, "unavailable");
    std::fs::rename(&moved, service.blobs()).unwrap();
    until_ready(&browser, true).await;
    let download = Browser::send(browser.request(Method::GET, &path)).await;
    assert_eq!((download.status, &download.bytes[..]), (200, &song(1)[..]));
}

#[cfg(unix)]
#[test]
fn second_server_on_same_database_or_blobs_is_rejected() {
    let dir = tempfile::tempdir().unwrap();
    let config = |data: &str, database: &str, blobs: &str| Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        data: dir.path().join(data),
        database: Database::Sqlite(dir.path().join(database)),
        blobs: Blobs::Files(dir.path().join(blobs)),
        adopt_blobs: false,
        broker: None,
        worker_tokens: Some(vec![Secret::new("x".repeat(16))]),
        open_upload_result: false,
        limits: vocalizer_core::limits::Limits::default(),
        min_free_bytes: None,
        policy: Policy::default(),
        sign_in: vocalizer::service::SignIn::default(),
        webhooks: vocalizer::service::WebhookPolicy::default(),
        sweep_interval: std::time::Duration::from_secs(600),
        ask_again_after: std::time::Duration::from_secs(6 * 60 * 60),
        models: vocalizer_core::models::Models::default(),
        model_timeout: std::time::Duration::from_secs(24 * 60 * 60),
        traces: vocalizer_core::trace::Sampling::default(),
        trusted_proxies: Vec::new(),
        allowed_hosts: vocalizer_http::settings::AllowedHosts::Loopback,
        secure_cookies: false,
        caps: vocalizer_http::settings::Caps::default(),
        renderings: vocalizer_core::service::RenderingSettings::default(),
        resumable: vocalizer_core::service::ResumableSettings::default(),
        shutdown_grace: std::time::Duration::from_secs(1),
    };
    let first = DataDir::open(&config("a", "a/x.db", "a/blobs")).unwrap();
    let links = dir.path().join("links");
    std::fs::create_dir(&links).unwrap();
    std::fs::write(dir.path().join("a/x.db"), b"").unwrap();
    std::os::unix::fs::symlink(dir.path().join("a/x.db"), links.join("y.db")).unwrap();
    for (config, file) in [
        (config("a", "b/x.db", "b/blobs"), "a/lock"),
        (config("b", "a/../a/x.db", "b/blobs"), "x.db.lock"),
        (config("b", "links/y.db", "b/blobs"), "a/x.db.lock"),
        (config("c", "c/x.db", "a/blobs"), "blobs/lock"),
    ] {
        let refused = DataDir::open(&config).unwrap_err();
        assert!(matches!(&refused, DataError::InUse { path } if path.ends_with(file)), "{refused:?}");
    }
    // Database and blobs in one folder are still one server.
    DataDir::open(&config("d", "d/x.db", "d")).unwrap();
    drop(first);
    DataDir::open(&config("b", "a/x.db", "a/blobs")).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blobs_of_another_installation_are_rejected() {
    let dir = tempfile::tempdir().unwrap();
    let (data, other) = (dir.path().join("data"), dir.path().join("other"));
    let server = Server::start(&data);
    let uploaded = server.browser().upload("hers", &song(1)).await;
    drop(server);
    let blobs = format!("file:{}", data.join("blobs").display());
    let said = startup_error(&other, &["--blobs-url", &blobs]);
    assert!(said.contains("belongs to installation") && said.contains("ADOPT_BLOBS"), "{said}");
    // The right database still starts with these files.
    let server = Server::start(&data);
    assert_eq!(server.browser().get(&format!("/songs/{}/song.mp3", id(&uploaded))).await.status, 200);
}

/// Starts a server that must fail at startup, and returns its error output.
fn startup_error(data: &std::path::Path, args: &[&str]) -> String {
    // A server that does start would run until the timeout.
    let mut command = std::process::Command::new("timeout");
    command
        .args([
            "20",
            env!("CARGO_BIN_EXE_vocalizer"),
            "serve",
            "--no-worker",
            "--listen-addr",
            "127.0.0.1:0",
            "--data-dir",
        ])
        .arg(data);
    let ended = command.args(args).output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(!ended.status.success() && ended.status.code() != Some(124), "{said}");
    said
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_with_unmounted_blob_disk_does_not_start() {
    let dir = tempfile::tempdir().unwrap();
    let (data, moved) = (dir.path().join("data"), dir.path().join("moved"));
    let server = Server::start(&data);
    let song = server.browser().upload("a song", &song(1)).await;
    drop(server);
    std::fs::rename(data.join("blobs"), &moved).unwrap();
    std::fs::create_dir(data.join("blobs")).unwrap();
    let said = startup_error(&data, &[]);
    assert!(
        said.contains("blobs is empty") && said.contains("mount the disk") && said.contains("ADOPT_BLOBS"),
        "{said}"
    );
    std::fs::remove_dir_all(data.join("blobs")).unwrap();
    std::fs::rename(&moved, data.join("blobs")).unwrap();
    let server = Server::start(&data);
    assert_eq!(server.browser().get(&format!("/songs/{}/song.mp3", id(&song))).await.status, 200);
}

//! `admin backup` and `admin restore`.

use std::path::Path;

use super::server::{Server, command, command_with_file_limit};
use super::support::{Browser, archive, files_below, id, song, stems};

fn output_text(output: &std::process::Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

async fn assert_song_bytes(browser: &Browser, song: &serde_json::Value, bytes: &[u8]) {
    let download = browser.get(&format!("/songs/{}/song.mp3?download", id(song))).await;
    assert_eq!((download.status, download.bytes == bytes), (200, true), "{download:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backup_of_running_server_can_be_restored() {
    let dir = tempfile::tempdir().unwrap();
    let (data, saved, restored) = (dir.path().join("data"), dir.path().join("saved"), dir.path().join("restored"));
    let server = Server::start(&data);
    let browser = server.browser();
    browser.register("ada", "correct horse").await.data();
    let (split, waiting) = (browser.upload("split", &song(1)).await, browser.upload("waiting", &song(2)).await);
    browser.result(&split, archive()).await.data();

    let output = command(&data, "backup", &saved);
    assert!(output.status.success(), "{}", output_text(&output));
    assert!(output_text(&output).contains("2 song files"), "{}", output_text(&output));
    // The backup does not disturb the server.
    let later = browser.upload("later", &song(3)).await;
    drop(server);
    let server = Server::start(&data);
    assert_song_bytes(&logged_in_browser(&server).await, &later, &song(3)).await;
    drop(server);

    let output = command(&restored, "restore", &saved);
    assert!(output.status.success(), "{}", output_text(&output));
    let server = Server::start(&restored);
    let browser = logged_in_browser(&server).await;
    assert_song_bytes(&browser, &split, &song(1)).await;
    assert_song_bytes(&browser, &waiting, &song(2)).await;
    let bass = browser.get(&format!("/songs/{}/bass.mp3", id(&split))).await;
    assert_eq!((bass.status, bass.bytes), (200, stems().bass));
    browser.get(&format!("/songs/{}", id(&later))).await.refused(404, "not_found");
}

async fn logged_in_browser(server: &Server) -> Browser {
    let browser = server.browser();
    browser.login("ada", "correct horse").await.data();
    browser
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backup_has_the_files_of_songs_in_the_trash() {
    let dir = tempfile::tempdir().unwrap();
    let (data, saved, restored) = (dir.path().join("data"), dir.path().join("saved"), dir.path().join("restored"));
    let server = Server::start(&data);
    let browser = server.browser();
    browser.register("ada", "correct horse").await.data();
    let trashed = browser.upload("trashed", &song(1)).await;
    browser.result(&trashed, archive()).await.data();
    browser.delete(&format!("/songs/{}", id(&trashed))).await.data();
    let output = command(&data, "backup", &saved);
    assert!(output.status.success(), "{}", output_text(&output));
    assert!(output_text(&output).contains("1 song file"), "{}", output_text(&output));
    drop(server);

    let output = command(&restored, "restore", &saved);
    assert!(output.status.success(), "{}", output_text(&output));
    let server = Server::start(&restored);
    let browser = logged_in_browser(&server).await;
    browser.post(&format!("/songs/{}/restore", id(&trashed)), &[]).await.data();
    assert_song_bytes(&browser, &trashed, &song(1)).await;
    let bass = browser.get(&format!("/songs/{}/bass.mp3", id(&trashed))).await;
    assert_eq!((bass.status, bass.bytes), (200, stems().bass));
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backup_is_private_and_leaves_no_temporary_files() {
    use std::os::unix::fs::PermissionsExt as _;

    let dir = tempfile::tempdir().unwrap();
    let (data, saved) = (dir.path().join("data"), dir.path().join("saved"));
    let server = Server::start(&data);
    server.browser().upload("x", &song(1)).await;
    assert!(command(&data, "backup", &saved).status.success());
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&saved), mode(&saved.join("vocalizer.db"))), (0o700, 0o600));
    let mut beside: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    beside.sort();
    assert_eq!(beside, ["data", "saved"]);
    let files = files_below(&saved);
    assert_eq!(files.len(), 2, "the database and one source: {files:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backup_reports_damaged_and_missing_files_and_keeps_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let (data, saved) = (dir.path().join("data"), dir.path().join("saved"));
    let server = Server::start(&data);
    let mut songs = Vec::new();
    for number in 0..3 {
        songs.push(server.browser().upload("x", &song(number)).await);
    }
    let source = |number: usize| {
        let hash = songs[number]["hash"].as_str().unwrap();
        data.join("blobs").join(&hash[..2]).join(hash).join("source")
    };
    std::fs::write(source(0), b"something else").unwrap();
    std::fs::remove_file(source(1)).unwrap();
    let output = command(&data, "backup", &saved);
    assert_eq!(output.status.code(), Some(1), "{}", output_text(&output));
    for (number, what) in [(0, "is damaged"), (1, "is missing")] {
        let fault = format!("{}/source {what}", songs[number]["hash"].as_str().unwrap());
        assert!(output_text(&output).contains(&fault), "{}", output_text(&output));
    }
    let kept = saved.join(source(2).strip_prefix(&data).unwrap());
    assert_eq!(std::fs::read(kept).unwrap(), song(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backup_and_restore_never_overwrite() {
    let dir = tempfile::tempdir().unwrap();
    let (data, saved) = (dir.path().join("data"), dir.path().join("saved"));
    let nothing = command(&data, "backup", &saved);
    assert_eq!(nothing.status.code(), Some(1));
    assert!(output_text(&nothing).contains("not found: ") && !data.exists(), "{}", output_text(&nothing));

    let server = Server::start(&data);
    let uploaded = server.browser().upload("x", &song(1)).await;
    assert!(command(&data, "backup", &saved).status.success());
    let before = files_below(&saved);
    let again = command(&data, "backup", &saved);
    assert_eq!(again.status.code(), Some(1));
    assert!(output_text(&again).contains("is not empty; name a folder that does not exist"), "{}", output_text(&again));
    assert_eq!(files_below(&saved), before);

    let restored = command(&data, "restore", &saved);
    assert_eq!(restored.status.code(), Some(1));
    assert!(output_text(&restored).contains("is not empty; move it away"), "{}", output_text(&restored));
    let no_backup = command(&dir.path().join("new"), "restore", dir.path());
    assert!(output_text(&no_backup).contains("is not a backup"), "{}", output_text(&no_backup));
    assert_song_bytes(&server.browser(), &uploaded, &song(1)).await;
}

/// An existing folder may be a link or a mount point: no file is renamed across it.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backup_through_symlink_and_restore_from_read_only_files() {
    use std::os::unix::fs::PermissionsExt as _;

    let dir = tempfile::tempdir().unwrap();
    let (data, saved, restored) = (dir.path().join("data"), dir.path().join("saved"), dir.path().join("restored"));
    let elsewhere = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), &saved).unwrap();
    let server = Server::start(&data);
    let uploaded = server.browser().upload("x", &song(1)).await;
    let output = command(&data, "backup", &saved);
    assert!(output.status.success(), "{}", output_text(&output));
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let database = saved.join("vocalizer.db");
    assert_eq!(mode(&database), 0o600);

    // As from a read-only medium.
    std::fs::set_permissions(&database, std::fs::Permissions::from_mode(0o444)).unwrap();
    assert!(command(&restored, "restore", &saved).status.success());
    assert_eq!(mode(&restored.join("vocalizer.db")), 0o600);
    assert_song_bytes(&Server::start(&restored).browser(), &uploaded, &song(1)).await;
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backup_and_restore_without_space_fail_and_can_be_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let (data, saved, restored) = (dir.path().join("data"), dir.path().join("saved"), dir.path().join("restored"));
    let server = Server::start(&data);
    // Larger than the database.
    let large = super::support::wav(1, 100_000);
    let uploaded = server.browser().upload("x", &large).await;
    for (blocks, what) in [(16, "the database"), (512, "a song")] {
        let output = command_with_file_limit(blocks, &data, "backup", &saved);
        assert_eq!(output.status.code(), Some(1), "{what}: {}", output_text(&output));
        assert!(!saved.exists(), "{what}");
    }
    let output = command(&data, "backup", &saved);
    assert!(output.status.success(), "{}", output_text(&output));
    for blocks in [16, 512] {
        let output = command_with_file_limit(blocks, &restored, "restore", &saved);
        assert_eq!(output.status.code(), Some(1), "{}", output_text(&output));
        assert!(!restored.join("vocalizer.db").exists());
        std::fs::remove_dir_all(&restored).unwrap();
    }
    assert!(command(&restored, "restore", &saved).status.success());
    assert_song_bytes(&Server::start(&restored).browser(), &uploaded, &large).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backup_is_complete_under_concurrent_deletes_and_uploads() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&data);
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..12 {
        let browser = server.browser();
        clients.spawn(async move {
            loop {
                let uploaded = browser.upload("x", &song(number)).await;
                browser.result(&uploaded, archive()).await.data();
                browser.delete(&format!("/songs/{}", id(&uploaded))).await.data();
            }
        });
    }
    for round in 0..10 {
        let (data, saved) = (data.clone(), dir.path().join(format!("saved{round}")));
        let output = tokio::task::spawn_blocking(move || command(&data, "backup", &saved)).await.unwrap();
        assert!(output.status.success(), "{}", output_text(&output));
    }
    clients.abort_all();
}

//! `server backup` and `server restore`.

use std::path::Path;

use super::server::{Server, command, command_with_room};
use super::support::{Browser, archive, files_below, id, song, stems};

fn said(output: &std::process::Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

async fn has(browser: &Browser, song: &serde_json::Value, bytes: &[u8]) {
    let download = browser.get(&format!("/songs/{}/song.mp3?download", id(song))).await;
    assert_eq!((download.status, download.bytes == bytes), (200, true), "{download:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_backed_up_while_a_server_ran_can_be_restored() {
    let dir = tempfile::tempdir().unwrap();
    let (data, saved, restored) = (dir.path().join("data"), dir.path().join("saved"), dir.path().join("restored"));
    let server = Server::start(&data);
    let browser = server.browser();
    browser.register("ada", "correct horse").await.data();
    let (split, waiting) = (browser.upload("split", &song(1)).await, browser.upload("waiting", &song(2)).await);
    browser.result(&split, archive()).await.data();

    let output = command(&data, "backup", &saved);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("2 song files"), "{}", said(&output));
    // The server has lost nothing by it.
    let later = browser.upload("later", &song(3)).await;
    drop(server);
    let server = Server::start(&data);
    has(&browser_of(&server).await, &later, &song(3)).await;
    drop(server);

    let output = command(&restored, "restore", &saved);
    assert!(output.status.success(), "{}", said(&output));
    let server = Server::start(&restored);
    let browser = browser_of(&server).await;
    has(&browser, &split, &song(1)).await;
    has(&browser, &waiting, &song(2)).await;
    let bass = browser.get(&format!("/songs/{}/bass.mp3", id(&split))).await;
    assert_eq!((bass.status, bass.bytes), (200, stems().bass));
    browser.get(&format!("/songs/{}", id(&later))).await.refused(404, "not_found");
}

async fn browser_of(server: &Server) -> Browser {
    let browser = server.browser();
    browser.login("ada", "correct horse").await.data();
    browser
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_its_owner_s_alone_and_nothing_is_left_beside_it() {
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
async fn a_backup_tells_what_is_damaged_or_missing_and_has_the_rest() {
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
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    for (number, what) in [(0, "is damaged"), (1, "is missing")] {
        let fault = format!("{}/source {what}", songs[number]["hash"].as_str().unwrap());
        assert!(said(&output).contains(&fault), "{}", said(&output));
    }
    let kept = saved.join(source(2).strip_prefix(&data).unwrap());
    assert_eq!(std::fs::read(kept).unwrap(), song(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_there_is_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let (data, saved) = (dir.path().join("data"), dir.path().join("saved"));
    let nothing = command(&data, "backup", &saved);
    assert_eq!(nothing.status.code(), Some(1));
    assert!(said(&nothing).contains("not found: ") && !data.exists(), "{}", said(&nothing));

    let server = Server::start(&data);
    let uploaded = server.browser().upload("x", &song(1)).await;
    assert!(command(&data, "backup", &saved).status.success());
    let before = files_below(&saved);
    let again = command(&data, "backup", &saved);
    assert_eq!(again.status.code(), Some(1));
    assert!(said(&again).contains("is not empty; name a folder that does not exist"), "{}", said(&again));
    assert_eq!(files_below(&saved), before);

    let restored = command(&data, "restore", &saved);
    assert_eq!(restored.status.code(), Some(1));
    assert!(said(&restored).contains("is not empty; move it away"), "{}", said(&restored));
    let no_backup = command(&dir.path().join("new"), "restore", dir.path());
    assert!(said(&no_backup).contains("is not a backup"), "{}", said(&no_backup));
    has(&server.browser(), &uploaded, &song(1)).await;
}

/// A folder that was there before may be a link, or another disk: nothing is renamed across its border.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_goes_into_an_empty_folder_behind_a_link_and_a_restore_takes_files_of_any_mode() {
    use std::os::unix::fs::PermissionsExt as _;

    let dir = tempfile::tempdir().unwrap();
    let (data, saved, restored) = (dir.path().join("data"), dir.path().join("saved"), dir.path().join("restored"));
    let elsewhere = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), &saved).unwrap();
    let server = Server::start(&data);
    let uploaded = server.browser().upload("x", &song(1)).await;
    let output = command(&data, "backup", &saved);
    assert!(output.status.success(), "{}", said(&output));
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let database = saved.join("vocalizer.db");
    assert_eq!(mode(&database), 0o600);

    // As from a medium that cannot be written to.
    std::fs::set_permissions(&database, std::fs::Permissions::from_mode(0o444)).unwrap();
    assert!(command(&restored, "restore", &saved).status.success());
    assert_eq!(mode(&restored.join("vocalizer.db")), 0o600);
    has(&Server::start(&restored).browser(), &uploaded, &song(1)).await;
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_or_a_restore_for_which_there_is_no_room_fails_and_can_be_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let (data, saved, restored) = (dir.path().join("data"), dir.path().join("saved"), dir.path().join("restored"));
    let server = Server::start(&data);
    // Larger than the database.
    let large = super::support::wav(1, 100_000);
    let uploaded = server.browser().upload("x", &large).await;
    for (blocks, what) in [(16, "the database"), (512, "a song")] {
        let output = command_with_room(blocks, &data, "backup", &saved);
        assert_eq!(output.status.code(), Some(1), "{what}: {}", said(&output));
        assert!(!saved.exists(), "{what}");
    }
    let output = command(&data, "backup", &saved);
    assert!(output.status.success(), "{}", said(&output));
    for blocks in [16, 512] {
        let output = command_with_room(blocks, &restored, "restore", &saved);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(!restored.join("vocalizer.db").exists());
        std::fs::remove_dir_all(&restored).unwrap();
    }
    assert!(command(&restored, "restore", &saved).status.success());
    has(&Server::start(&restored).browser(), &uploaded, &large).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_whole_also_where_songs_are_deleted_and_uploaded_again_meanwhile() {
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
        assert!(output.status.success(), "{}", said(&output));
    }
    clients.abort_all();
}

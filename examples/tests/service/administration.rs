//! `admin users`, `songs`, `jobs`, `storage` and `audit`, while a server runs and without one.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, SystemTime};

use reqwest::Method;
use serde_json::Value;

use super::server::{Server, admin, sql};
use super::support::{Browser, WORKER_TOKEN, archive, files_below, id, song};

const PASSWORD: &str = "correct horse";

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Runs a command that succeeds and returns its JSON lines.
fn json(data: &Path, arguments: &[&str]) -> Vec<Value> {
    let arguments: Vec<_> = arguments.iter().copied().chain(["--json"]).collect();
    let output = admin(data, &arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output));
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Runs a command that fails with this exit code and returns what it printed.
fn fails(data: &Path, code: i32, arguments: &[&str]) -> String {
    let output = admin(data, arguments);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", text(&output));
    text(&output)
}

async fn token(browser: &Browser) -> String {
    browser.post("/auth/tokens", &[("name", "script")]).await.data()["secret"].as_str().unwrap().to_owned()
}

async fn list_with_token(browser: &Browser, token: &str) -> super::support::Answer {
    Browser::send(browser.new_client().request(Method::GET, "/songs/").bearer_auth(token)).await
}

fn blobs_of(data: &Path, song: &Value) -> std::path::PathBuf {
    let hash = song["hash"].as_str().unwrap();
    data.join("blobs").join(&hash[..2]).join(hash)
}

async fn until(what: &str, is_done: impl Fn() -> bool) {
    for _ in 0..1500 {
        if is_done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("timed out: {what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disabled_user_is_signed_out_at_once_and_keeps_songs() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&data);
    let ada = server.browser();
    ada.register("Ada", PASSWORD).await.data();
    let token = token(&ada).await;
    let uploaded = ada.upload("mine", &song(1)).await;
    list_with_token(&ada, &token).await.data();
    let mut events = ada.request(Method::GET, "/songs/events").send().await.unwrap();
    events.chunk().await.unwrap();

    let shown = json(&data, &["users", "disable", "ada"]);
    assert_eq!(
        (&shown[0]["username"], &shown[0]["sessions"], &shown[0]["songs"]),
        (&"Ada".into(), &0.into(), &1.into())
    );
    assert!(shown[0]["disabled_at"].is_string(), "{shown:?}");
    assert_eq!(ada.get("/auth/me").await.data()["user"], Value::Null);
    list_with_token(&ada, &token).await.refused(401, "unauthenticated");
    ada.login("ada", PASSWORD).await.refused(403, "account_disabled");
    // Others do not learn that the account is disabled.
    ada.login("ada", "wrong horse").await.refused(401, "unauthenticated");
    while events.chunk().await.unwrap().is_some() {}

    json(&data, &["users", "enable", "ada"]);
    list_with_token(&ada, &token).await.refused(401, "unauthenticated");
    ada.login("ada", PASSWORD).await.data();
    assert_eq!(ada.get(&format!("/songs/{}", id(&uploaded))).await.data()["song"]["title"], "mine");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reset_password_ends_sessions_unless_told_to_keep_them() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&data);
    let ada = server.browser();
    ada.register("ada", PASSWORD).await.data();
    let secret = token(&ada).await;
    let new = json(&data, &["users", "reset-password", "ada"])[0]["password"].as_str().unwrap().to_owned();
    assert!(new.len() >= 24, "{new}");
    assert_eq!(ada.get("/auth/me").await.data()["user"], Value::Null);
    list_with_token(&ada, &secret).await.refused(401, "unauthenticated");
    ada.login("ada", PASSWORD).await.refused(401, "unauthenticated");
    ada.login("ada", &new).await.data();

    let file = dir.path().join("password");
    std::fs::write(&file, "from a file\n").unwrap();
    let kept =
        json(&data, &["users", "reset-password", "ada", "--keep-sessions", "--password-file", file.to_str().unwrap()]);
    assert_eq!(kept[0], serde_json::json!({"username": "ada"}));
    assert_eq!(ada.get("/auth/me").await.data()["user"]["username"], "ada");
    ada.new_client().login("ada", "from a file").await.data();

    let mut command = Command::new(env!("CARGO_BIN_EXE_vocalizer"));
    command.args(["admin", "users", "reset-password", "ada", "--password-file", "-", "--data-dir"]).arg(&data);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"from a pipe\n").unwrap();
    assert!(child.wait_with_output().unwrap().status.success());
    ada.new_client().login("ada", "from a pipe").await.data();

    std::fs::write(&file, "short\n").unwrap();
    let error = fails(&data, 1, &["users", "reset-password", "ada", "--password-file", file.to_str().unwrap()]);
    assert!(error.contains("5 characters; 8 to 128 are allowed"), "{error}");
    ada.new_client().login("ada", "from a pipe").await.data();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quota_of_one_user_applies_to_the_running_server() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::with(&data, &["--user-max-songs", "2"]);
    let (ada, bob) = (server.browser(), server.browser());
    ada.register("ada", PASSWORD).await.data();
    bob.register("bob", PASSWORD).await.data();
    json(&data, &["users", "quota", "ada", "--max-songs", "1"]);
    ada.upload("x", &song(1)).await;
    ada.try_upload("x", song(2)).await.refused(403, "quota_exceeded");
    bob.upload("x", &song(1)).await;
    bob.upload("x", &song(2)).await;
    bob.try_upload("x", song(3)).await.refused(403, "quota_exceeded");
    json(&data, &["users", "quota", "bob", "--max-songs", "none", "--max-bytes", "100000000"]);
    bob.upload("x", &song(3)).await;
    let shown = json(&data, &["users", "quota", "bob"]);
    assert_eq!(shown[0]["quota"], serde_json::json!({"max_songs": null, "max_bytes": 100_000_000}));
    json(&data, &["users", "quota", "ada", "--reset"]);
    ada.upload("x", &song(2)).await;
    ada.try_upload("x", song(3)).await.refused(403, "quota_exceeded");
    let wrong = fails(&data, 2, &["users", "quota", "ada", "--max-uploads-per-minute", "0"]);
    assert!(wrong.contains("at least 1"), "{wrong}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleted_song_loses_its_files_with_and_without_a_server() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::with(&data, &["--sweep-interval-s", "1"]);
    let ada = server.browser();
    ada.register("ada", PASSWORD).await.data();
    let shared = [ada.upload("one", &song(1)).await, server.browser().upload("two", &song(1)).await];
    let (other, third) = (ada.upload("other", &song(2)).await, ada.upload("third", &song(3)).await);

    let listed = json(&data, &["songs", "list", "--user", "ada"]);
    let titles: Vec<_> = listed.iter().map(|song| song["title"].as_str().unwrap()).collect();
    assert_eq!(titles, ["third", "other", "one"]);
    assert_eq!(listed[0]["uploader"], "ada");
    assert_eq!(json(&data, &["songs", "list"]).len(), 4);

    assert_eq!(json(&data, &["songs", "delete", id(&shared[0])])[0]["files"], "shared");
    assert!(blobs_of(&data, &shared[0]).join("source").exists());
    server.browser().get(&format!("/songs/{}/song.mp3?download", id(&shared[1]))).await;
    // The server has the locks, so it deletes the files.
    assert_eq!(json(&data, &["songs", "delete", id(&other)])[0]["files"], "left");
    ada.get(&format!("/songs/{}", id(&other))).await.refused(404, "not_found");
    until("the sweep deletes the files", || !blobs_of(&data, &other).exists()).await;
    assert!(blobs_of(&data, &third).join("source").exists());
    let error = fails(&data, 1, &["songs", "delete", id(&other)]);
    assert!(error.contains(&format!("{}: song not found", id(&other))), "{error}");

    drop(server);
    assert_eq!(json(&data, &["songs", "delete", id(&third)])[0]["files"], "deleted");
    assert!(!blobs_of(&data, &third).exists());

    // The same bytes, uploaded again before the sweep, stay.
    let server = Server::start(&data);
    assert_eq!(json(&data, &["songs", "delete", id(&shared[1])])[0]["files"], "left");
    let (again, last) =
        (server.browser().upload("again", &song(1)).await, server.browser().upload("last", &song(4)).await);
    json(&data, &["songs", "delete", id(&last)]);
    drop(server);
    let _server = Server::with(&data, &["--sweep-interval-s", "1"]);
    until("the sweep deletes the other files", || !blobs_of(&data, &last).exists()).await;
    assert!(blobs_of(&data, &again).join("source").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_song_is_requeued() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&data);
    let browser = server.browser();
    let failed = browser.upload("failed", &song(1)).await;
    let post = |path: String, fields: &'static [(&str, &str)]| {
        let request = browser.request(Method::POST, &path).bearer_auth(WORKER_TOKEN).form(fields);
        async move { Browser::send(request).await.data() }
    };
    let wait = &[("wait_s", "20")];
    let job = post("/jobs/lease".to_owned(), wait).await["job"].clone();
    assert_eq!(job["hash"], failed["hash"]);
    post(format!("/songs/{}/fail", failed["hash"].as_str().unwrap()), &[("reason", "too loud")]).await;
    post(format!("/jobs/{}/acknowledge", job["lease"].as_str().unwrap()), &[]).await;
    assert_eq!(json(&data, &["songs", "list", "--status", "failed"])[0]["failure"], "too loud");

    assert_eq!(json(&data, &["songs", "requeue", id(&failed)])[0]["status"], "UPLOADED");
    // The server publishes the job, without being told.
    assert_eq!(post("/jobs/lease".to_owned(), wait).await["job"]["hash"], failed["hash"]);

    let (split, waiting) = (browser.upload("split", &song(2)).await, browser.upload("waiting", &song(3)).await);
    browser.result(&split, archive()).await.data();
    assert_eq!(json(&data, &["songs", "requeue", id(&waiting)])[0]["status"], "UPLOADED");
    let error = fails(&data, 1, &["songs", "requeue", id(&split)]);
    assert!(error.contains("the song is split already"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drained_queue_takes_no_jobs_until_resumed() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&data);
    let browser = server.browser();
    let first = browser.upload("first", &song(1)).await;
    until("the job is published", || json(&data, &["jobs", "list"])[0]["state"] == "waiting").await;
    let output = fails(&data, 1, &["jobs", "drain", "--timeout-s", "0"]);
    assert!(output.contains("1 songs are not split yet; jobs stay held back"), "{output}");
    let second = browser.upload("second", &song(2)).await;
    assert_eq!(second["status"], "UPLOADED");
    browser.result(&first, archive()).await.data();
    let drained = json(&data, &["jobs", "drain"]);
    assert_eq!(drained[0], serde_json::json!({"held": true, "unfinished": 0}));
    let jobs = json(&data, &["jobs", "list"]);
    assert_eq!((jobs.len(), &jobs[0]["id"], &jobs[0]["state"]), (1, &second["id"], &"held".into()));
    assert_eq!(browser.get("/readyz").await.status, 200);

    json(&data, &["jobs", "resume"]);
    until("the job is published", || json(&data, &["jobs", "list"])[0]["state"] == "waiting").await;
    let request = browser.request(Method::POST, "/jobs/lease").bearer_auth(WORKER_TOKEN).form(&[("wait_s", "20")]);
    // The job of the first song may be there, too: its lease tells that it is done.
    Browser::send(request).await.data();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verify_finds_damaged_and_missing_files() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&data);
    let browser = server.browser();
    let mut songs = Vec::new();
    for number in 1..=4 {
        songs.push(browser.upload("x", &song(number)).await);
        if number < 4 {
            browser.result(&songs[songs.len() - 1], archive()).await.data();
        }
    }
    let all = json(&data, &["storage", "verify"]);
    assert_eq!((&all[0]["files"], &all[0]["faults"]), (&16.into(), &0.into()), "{all:?}");
    let report = json(&data, &["storage", "report"]);
    assert_eq!((&report[0]["songs"]["SPLIT"], &report[0]["files"]["mp3"]["files"]), (&3.into(), &12.into()));
    assert_eq!((&report[0]["hashes"], &report[0]["orphans"]), (&4.into(), &0.into()));
    // A song in the trash needs its files.
    browser.delete(&format!("/songs/{}", id(&songs[0]))).await.data();
    let all = json(&data, &["storage", "verify"]);
    assert_eq!((&all[0]["files"], &all[0]["faults"]), (&16.into(), &0.into()), "{all:?}");
    let report = json(&data, &["storage", "report"]);
    assert_eq!((&report[0]["hashes"], &report[0]["trashed"]), (&4.into(), &1.into()));
    assert_eq!((&report[0]["songs"]["SPLIT"], &report[0]["files"]["mp3"]["files"]), (&2.into(), &12.into()));

    let source = blobs_of(&data, &songs[0]).join("source");
    let mut bytes = std::fs::read(&source).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&source, bytes).unwrap();
    std::fs::remove_file(blobs_of(&data, &songs[1]).join("bass.mp3")).unwrap();
    std::fs::write(blobs_of(&data, &songs[2]).join("drums.mp3"), "not audio").unwrap();
    let output = fails(&data, 1, &["storage", "verify"]);
    let hash = |number: usize| songs[number]["hash"].as_str().unwrap();
    for expected in [
        format!("{}/source is damaged: its hash does not match", hash(0)),
        format!("{}/bass.mp3 is missing", hash(1)),
        format!("{}/drums.mp3 is damaged: ", hash(2)),
        "15 files read".to_owned(),
        "3 faults".to_owned(),
    ] {
        assert!(output.contains(&expected), "{expected}: {output}");
    }
    // Temporary copies are gone.
    assert!(files_below(&data.join("blobs/tmp")).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gc_removes_old_files_without_a_song() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&data);
    let kept = server.browser().upload("kept", &song(1)).await;
    let orphan = |digit: &str, days: u64| {
        let folder = data.join("blobs").join(digit.repeat(2)).join(digit.repeat(64));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("source"), b"an orphan").unwrap();
        let file = std::fs::File::options().write(true).open(folder.join("source")).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(days * 24 * 60 * 60)).unwrap();
        folder
    };
    let (old, young) = (orphan("a", 2), orphan("b", 0));
    let gc = |arguments: &[&str]| json(&data, &[&["storage", "gc"], arguments].concat()).remove(0);
    let dry = gc(&["--dry-run"]);
    assert_eq!((&dry["hashes"], &dry["young"]), (&serde_json::json!(["a".repeat(64)]), &1.into()));
    assert!(old.exists());
    // The server has the locks, so it removes them.
    assert_eq!(gc(&[])["is_left"], true);
    assert!(old.exists() && young.exists());
    drop(server);
    let removed = gc(&[]);
    assert_eq!((&removed["hashes"], &removed["is_left"]), (&dry["hashes"], &false.into()));
    assert!(!old.exists() && young.exists() && blobs_of(&data, &kept).join("source").exists());

    // As with the wrong database.
    for digit in ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "c"] {
        orphan(digit, 2);
    }
    let refused = fails(&data, 1, &["storage", "gc"]);
    assert!(refused.contains("check that this is the database of these files"), "{refused}");
    assert!(data.join("blobs/00").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn audit_log_tells_who_did_what_without_secrets() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&data);
    let ada = server.browser();
    ada.register("ada", PASSWORD).await.data();
    ada.login("ada", "wrong horse").await.refused(401, "unauthenticated");
    // Typed into the wrong field.
    ada.login(PASSWORD, PASSWORD).await.refused(401, "unauthenticated");
    ada.login("hunter2hunter2", PASSWORD).await.refused(401, "unauthenticated");
    ada.login("ada", PASSWORD).await.data();
    let secret = token(&ada).await;
    let tokens = ada.get("/auth/tokens").await.data();
    let token_id = tokens["tokens"][0]["id"].as_str().unwrap().to_owned();
    ada.delete(&format!("/auth/tokens/{token_id}")).await.data();
    let uploaded = ada.upload("x", &song(1)).await;
    json(&data, &["songs", "delete", id(&uploaded)]);
    let new = json(&data, &["users", "reset-password", "ada"])[0]["password"].as_str().unwrap().to_owned();
    json(&data, &["users", "disable", "ada"]);
    ada.login("ada", &new).await.refused(403, "account_disabled");

    let mut entries = json(&data, &["audit"]);
    entries.reverse();
    let shown: Vec<_> =
        entries.iter().map(|entry| (entry["actor"].as_str().unwrap(), entry["action"].as_str().unwrap())).collect();
    let operator = entries[7]["actor"].as_str().unwrap();
    assert!(operator.starts_with("operator:"), "{operator}");
    let expected = [
        ("ada", "user_registered"),
        ("ada", "sign_in_failed"),
        ("(unknown user)", "sign_in_failed"),
        ("ada", "sign_in"),
        ("ada", "token_created"),
        ("ada", "token_revoked"),
        (operator, "song_deleted"),
        (operator, "password_reset"),
        (operator, "user_disabled"),
        ("ada", "sign_in_failed"),
    ];
    assert_eq!(shown, expected);
    assert_eq!((&entries[3]["address"], &entries[4]["subject"]), (&"127.0.0.1".into(), &token_id.as_str().into()));
    assert_eq!((&entries[6]["subject"], &entries[8]["subject"]), (&uploaded["id"], &"ada".into()));
    let output = text(&admin(&data, &["audit"]));
    for secret in [PASSWORD, "wrong horse", "hunter2hunter2", &secret, &new] {
        assert!(
            !output.contains(secret) && !entries.iter().any(|entry| entry.to_string().contains(secret)),
            "{secret}"
        );
    }
    assert_eq!(json(&data, &["audit", "--since", "1h", "--limit", "3"]).len(), 3);
    assert_eq!(json(&data, &["audit", "--since", "2999-12-31"]).len(), 0);
    assert!(fails(&data, 2, &["audit", "--since", "yesterday"]).contains("--since"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn audit_log_cannot_be_rewritten_and_forgets_by_age() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&data);
    server.browser().register("ada", PASSWORD).await.data();
    drop(server);
    let database = data.join("vocalizer.db");
    let rewritten = std::panic::catch_unwind(|| sql(&database, "UPDATE audit SET actor = 'bob'"));
    assert!(rewritten.is_err());
    assert_eq!(json(&data, &["audit"])[0]["actor"], "ada");
    sql(&database, "INSERT INTO audit (at_us, actor, action) VALUES (1, 'old', 'sign_in')");
    assert_eq!(json(&data, &["audit"]).len(), 2);
    let _server = Server::with(&data, &["--audit-days", "1"]);
    until("the old entry is forgotten", || json(&data, &["audit"]).len() == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_databases_and_users_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let missing = fails(&data, 1, &["users", "list"]);
    assert!(missing.contains("not found: ") && !data.exists(), "{missing}");
    drop(Server::start(&data));
    assert!(fails(&data, 1, &["users", "disable", "ada"]).contains("no user \"ada\""));
    assert!(fails(&data, 1, &["songs", "list", "--user", "no such"]).contains("no user \"no such\""));
    assert!(fails(&data, 2, &["songs", "delete", "42"]).contains("42"));

    let database = data.join("vocalizer.db");
    // As a database of an older version.
    sql(&database, "DELETE FROM store_migrations WHERE description = 'administration'");
    let older = fails(&data, 1, &["users", "list"]);
    assert!(older.contains("lacks migrations of this version (") && older.contains(" administration)"), "{older}");
    sql(&database, "UPDATE store_migrations SET version = 9999 WHERE version = 1");
    let newer = fails(&data, 1, &["users", "list"]);
    assert!(newer.contains("was written by a newer version of Vocalizer"), "{newer}");
    std::fs::write(&database, "a text, which is not a database. ".repeat(100)).unwrap();
    let text = fails(&data, 1, &["users", "list"]);
    assert!(text.contains("cannot use the database") && text.contains("not a database"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn user_of_the_file_is_registered_once() {
    use std::os::unix::fs::PermissionsExt as _;

    let dir = tempfile::tempdir().unwrap();
    let (data, file) = (dir.path().join("data"), dir.path().join("user"));
    let write = |text: &str, mode: u32| {
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    write("Ada\ncorrect horse\n", 0o600);
    let arguments = ["--registration", "closed", "--admin-user-file", file.to_str().unwrap()];
    let server = Server::with(&data, &arguments);
    server.browser().login("ada", PASSWORD).await.data();
    drop(server);
    write("ada\nanother horse\n", 0o600);
    let server = Server::with(&data, &arguments);
    server.browser().login("ada", PASSWORD).await.data();
    server.browser().login("ada", "another horse").await.refused(401, "unauthenticated");
    drop(server);
    let users = json(&data, &["users", "list"]);
    assert_eq!((users.len(), &users[0]["username"], &users[0]["administrator"]), (1, &"Ada".into(), &true.into()));
    // A user who took the name first gets no rights from the file.
    json(&data, &["users", "admin", "ada", "--revoke"]);
    drop(Server::with(&data, &arguments));
    assert_eq!(json(&data, &["users", "list"])[0]["administrator"], false);

    let check = |text: &str, mode: u32| {
        write(text, mode);
        fails(&data, 2, &["check-config", "--admin-user-file", file.to_str().unwrap()])
    };
    let error = check("ada\ncorrect horse\n", 0o644);
    assert!(error.contains("every user of this machine may read or write it (mode 644); set mode 600"), "{error}");
    assert!(check("ada\n", 0o600).contains("expected two lines, a name and a password"));
    assert!(!check("ada\n\nhunter2", 0o600).contains("hunter2"));
}

//! `vocalizer remote` against a server.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::support::{Browser, Service, archive, id, song};

/// Runs a command of `remote` with this home folder and the password on standard input.
async fn client(service: &Service, home: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vocalizer"));
    command.env_clear().env("HOME", home).args(["remote", "--addr"]).arg(service.url("")).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let task = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().unwrap();
        // A command without a password may have exited already.
        let _ = child.stdin.take().unwrap().write_all(b"correct horse\n");
        child.wait_with_output().unwrap()
    });
    task.await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logout_everywhere_revokes_tokens_on_all_machines() {
    let service = Service::idle().await;
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (here, there) = (here.path(), there.path());
    let stdout = |output: Output| {
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    stdout(client(&service, here, &["register", "ada", "--password-stdin"]).await);
    stdout(client(&service, there, &["login", "ada", "--password-stdin"]).await);
    assert!(stdout(client(&service, there, &["whoami"]).await).contains("ada"));

    let message = stdout(client(&service, here, &["logout", "--everywhere", "--password-stdin"]).await);
    assert!(message.contains("logged out everywhere"), "{message}");
    // One machine has deleted its token; that of the other is revoked.
    for home in [here, there] {
        assert_eq!(client(&service, home, &["whoami"]).await.status.code(), Some(4));
    }
    let logged_out = client(&service, here, &["logout", "--everywhere", "--password-stdin"]).await;
    assert_eq!(logged_out.status.code(), Some(4), "{logged_out:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancel_stops_a_song_and_reports_its_status() {
    let service = Service::idle().await;
    let (home, browser) = (tempfile::tempdir().unwrap(), Browser::new(&service));
    let uploaded = browser.upload("x", &song(1)).await;
    let cancelled = client(&service, home.path(), &["cancel", id(&uploaded)]).await;
    assert!(cancelled.status.success(), "{cancelled:?}");
    assert!(String::from_utf8(cancelled.stdout).unwrap().contains("cancelled by the user"));
    let retried = client(&service, home.path(), &["retry", id(&uploaded)]).await;
    assert!(retried.status.success(), "{retried:?}");
    browser.result(&uploaded, archive()).await.data();
    let refused = client(&service, home.path(), &["cancel", id(&uploaded)]).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("only songs that wait or are being split"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_are_created_listed_and_deleted() {
    let service = Service::idle().await;
    let home = tempfile::tempdir().unwrap();
    let run = async |arguments: &[&str]| {
        let output = client(&service, home.path(), arguments).await;
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(run(&["register", "ada", "--password-stdin"]).await.0, Some(0));
    let (code, created, _) =
        run(&["webhooks", "create", "https://example.org/songs", "--events", "song.split,song.failed"]).await;
    assert_eq!(code, Some(0));
    let (id, secret) = created.trim().split_once("  ").unwrap();
    assert!(secret.starts_with("whsec_"), "{created}");
    let (_, listed, _) = run(&["webhook", "list"]).await;
    assert!(
        listed.contains(id) && listed.contains("enabled  song.split,song.failed  https://example.org/songs"),
        "{listed}"
    );
    let (_, pinged, _) = run(&["webhook", "test", id]).await;
    assert!(pinged.contains("ping") && pinged.contains("pending"), "{pinged}");
    let (_, deliveries, _) = run(&["webhook", "deliveries", id]).await;
    assert_eq!(deliveries, pinged);
    assert_eq!(run(&["webhook", "enable", id]).await.0, Some(0));
    assert_eq!(run(&["webhook", "delete", id]).await.0, Some(0));
    assert_eq!(run(&["webhook", "list"]).await.1, "");
    let (code, _, error) = run(&["webhook", "create", "https://127.0.0.1/"]).await;
    assert!(code == Some(1) && error.contains("the address is not public"), "{error}");
}

//! The SDK compositions `server.rs` and `worker.rs`.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::support::{Browser, WORKER_TOKEN, archive, id, song, stems};

/// A running composition and what its first line says. Dropping it kills the process.
struct Running {
    child: Child,
    line: String,
}

impl Running {
    fn start(name: &str, arguments: &[&str], token: Option<&str>) -> Self {
        let program = program(name);
        let mut command = Command::new(&program);
        command.args(arguments).envs(token.map(|token| ("WORKER_TOKEN", token))).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|e| {
            panic!("cannot run {}: {e}; build it with `cargo build -p vocalizer --examples`", program.display())
        });
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, line }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Cargo builds examples beside the folder of the tests.
fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().unwrap().parent().unwrap().join("examples");
    folder.join(name).with_extension(std::env::consts::EXE_EXTENSION)
}

fn server(data: &Path) -> (Running, String) {
    let server = Running::start("server", &[data.to_str().unwrap(), "127.0.0.1:0"], None);
    let address = server.line.trim().strip_prefix("Vocalizer listens on ").unwrap_or_else(|| panic!("{}", server.line));
    let address = address.to_owned();
    (server, address)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_in_a_folder_takes_songs_and_results() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("worker-token"), WORKER_TOKEN).unwrap();
    let (running, address) = server(&data);
    let browser = Browser::at(address);
    browser.register("ada", "correct horse").await.data();
    let uploaded = browser.upload("hers", &song(1)).await;
    browser.new_client().get(&format!("/songs/{}", id(&uploaded))).await.refused(404, "not_found");
    // A second server must not open the same folder.
    let second = Command::new(program("server")).arg(&data).output().unwrap();
    assert!(!second.status.success() && String::from_utf8_lossy(&second.stderr).contains("InUse"), "{second:?}");
    browser.result(&uploaded, archive()).await.data();
    drop(running);
    // Everything is in the folder.
    let (_running, address) = server(&data);
    let browser = Browser::at(address);
    browser.login("ada", "correct horse").await.data();
    let bass = browser.get(&format!("/songs/{}/bass.mp3", id(&uploaded))).await;
    assert_eq!((bass.status, bass.bytes), (200, stems().bass));
}

#[cfg(feature = "separate")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worker_splits_songs_of_a_server() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let (_server, address) = server(&data);
    let token = std::fs::read_to_string(data.join("worker-token")).unwrap();
    let browser = Browser::at(address.clone());
    let uploaded = browser.upload("x", &song(1)).await;
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../vocalizer-model/tests/golden/tiny-4s.safetensors");
    let _worker = Running::start("worker", &[&address, model], Some(token.trim()));
    browser.until(&uploaded, "SPLIT").await;
    let vocals = browser.get(&format!("/songs/{}/vocals.mp3", id(&uploaded))).await;
    assert!(vocals.status == 200 && vocals.bytes.len() > 100, "{vocals:?}");
}

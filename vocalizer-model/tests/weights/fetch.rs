//! Fetching from a hub: success, rejected files and reports.

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use vocalizer_model::weights::{
    Cache, Family, FetchListener, Fetcher, MemberSpec, ModelSpec, NoListener, WeightsError,
};

use super::server::{Response, Server};
use super::support::{Parts, mit, names, published, sha256, tiny};

pub(super) const FILE: &str = "net.safetensors";

/// Records the events of a fetch: a line per event, and progress separately.
#[derive(Default)]
pub(super) struct Recorder {
    pub(super) lines: Vec<String>,
    pub(super) progress: Vec<(u64, u64)>,
}

impl FetchListener for Recorder {
    fn source(&mut self, name: &str, bytes: u64) {
        self.lines.push(format!("{bytes} bytes from {name}"));
    }

    fn passed_over(&mut self, name: &str, why: &str) {
        self.lines.push(format!("not {name}: {why}"));
    }

    fn progress(&mut self, done_bytes: u64, total_bytes: u64) {
        self.progress.push((done_bytes, total_bytes));
    }

    fn converting(&mut self, file: &str) {
        self.lines.push(format!("converting to {file}"));
    }

    fn waiting(&mut self, file: &str) {
        self.lines.push(format!("waiting for {file}"));
    }
}

/// A model with some members, and its own cache.
pub(super) struct TestModel {
    dir: TempDir,
    pub(super) cache: Cache,
    pub(super) spec: ModelSpec,
}

impl TestModel {
    pub(super) fn of(members: Vec<MemberSpec>) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let spec = ModelSpec::new("net", Family::Htdemucs, mit(), Box::leak(members.into_boxed_slice()));
        Self { cache: Cache::at(dir.path()), spec, dir }
    }

    pub(super) fn new(file: &[u8]) -> Self {
        Self::of(vec![published(FILE, file)])
    }

    pub(super) fn target(&self) -> PathBuf {
        self.cache.member_path(&self.spec.members[0])
    }

    pub(super) fn part(&self) -> PathBuf {
        self.cache.models_dir().join(format!("{FILE}.part"))
    }

    pub(super) fn names(&self) -> Vec<String> {
        names(&self.cache.models_dir())
    }

    pub(super) fn fetch(&self, hub: &str) -> Result<Vec<PathBuf>, WeightsError> {
        self.fetch_with(&fetcher(hub), &mut NoListener)
    }

    pub(super) fn fetch_with(&self, by: &Fetcher, to: &mut dyn FetchListener) -> Result<Vec<PathBuf>, WeightsError> {
        by.fetch(&self.spec, &self.cache, to)
    }

    /// Fetches from one hub that must fail, and returns the reason.
    #[track_caller]
    pub(super) fn refused(&self, hub: &str) -> String {
        self.refused_for(hub, FILE)
    }

    /// Fetches a checkpoint of this name, which must fail, and returns the reason.
    #[track_caller]
    pub(super) fn refused_at(&self, checkpoint: &str) -> String {
        self.refused_for(DEAD_HUB, checkpoint)
    }

    #[track_caller]
    fn refused_for(&self, hub: &str, published: &str) -> String {
        let mut recorder = Recorder::default();
        let error = self.fetch_with(&fetcher(hub), &mut recorder).expect_err("an error");
        let published = self.cache.models_dir().join(published);
        assert!(error.to_string().contains(&published.display().to_string()), "{error}");
        let WeightsError::NoSource { file, tried } = error else { panic!("{error:?}") };
        assert_eq!(file, published);
        assert!(!self.target().exists());
        let [only] = tried.as_slice() else { panic!("{tried:?}") };
        assert_eq!(recorder.lines.last(), Some(&format!("not {}: {}", only.source, only.why)));
        only.why.clone()
    }
}

pub(super) fn fetcher(hub: &str) -> Fetcher {
    Fetcher::default().with_hub(hub)
}

/// A hub address without a server.
pub(super) const DEAD_HUB: &str = "http://127.0.0.1:1";

#[test]
fn file_is_fetched_and_reported() {
    let file = tiny();
    let model = TestModel::new(&file);
    let hub = {
        let file = file.clone();
        Server::start(move |_, _| Response::whole(&file))
    };
    let mut recorder = Recorder::default();
    let paths = model.fetch_with(&fetcher(&hub.url()), &mut recorder).expect("a file");
    assert_eq!(paths, [model.target()]);
    assert!(std::fs::read(model.target()).expect("a file") == file);
    assert_eq!(model.names(), [FILE, "net.safetensors.lock"]);
    let path = format!("/someone/Net/resolve/0123456789abcdef0123456789abcdef01234567/{FILE}");
    assert_eq!(hub.requests().iter().map(|r| r.path.as_str()).collect::<Vec<_>>(), [path]);

    let total = file.len() as u64;
    assert_eq!(recorder.lines, [format!("{total} bytes from {}", hub.name())]);
    assert_eq!(recorder.progress.first(), Some(&(0, total)));
    assert_eq!(recorder.progress.last(), Some(&(total, total)));
    assert!(recorder.progress.is_sorted() && recorder.progress.len() < 12, "{} reports", recorder.progress.len());
}

#[cfg(unix)]
#[test]
fn fetched_file_has_default_permissions() {
    use std::os::unix::fs::PermissionsExt as _;
    let file = tiny();
    let model = TestModel::new(&file);
    let hub = Server::start(move |_, _| Response::whole(&file));
    model.fetch(&hub.url()).expect("a file");
    let plain = model.cache.models_dir().join("plain");
    std::fs::write(&plain, "").expect("a file");
    let mode = |path: &Path| std::fs::metadata(path).expect("a file").permissions().mode();
    assert_eq!(mode(&model.target()), mode(&plain));
}

#[test]
fn cached_file_is_used_offline() {
    let file = tiny();
    let model = TestModel::new(&file);
    std::fs::create_dir_all(model.cache.models_dir()).expect("a folder");
    std::fs::write(model.target(), &file).expect("a file");
    let hub = Server::start(move |_, _| Response::whole(&file));
    let mut recorder = Recorder::default();
    assert_eq!(model.fetch_with(&fetcher(&hub.url()), &mut recorder).expect("a file"), [model.target()]);
    assert_eq!(hub.requests(), []);
    assert!(recorder.lines.is_empty() && recorder.progress.is_empty());
    assert_eq!(model.names(), [FILE]);
}

#[test]
fn only_missing_members_of_bag_are_fetched() {
    let file = tiny();
    let model = TestModel::of(["a", "b", "c"].map(|name| published(name, &file)).into());
    std::fs::create_dir_all(model.cache.models_dir()).expect("a folder");
    std::fs::write(model.cache.models_dir().join("b"), &file).expect("a file");
    let hub = Server::start(move |_, _| Response::whole(&file));
    let paths = model.fetch(&hub.url()).expect("the files");
    assert_eq!(paths, ["a", "b", "c"].map(|name| model.cache.models_dir().join(name)));
    let asked: Vec<_> = hub.requests().iter().filter_map(|r| Some(r.path.rsplit_once('/')?.1.to_owned())).collect();
    assert_eq!(asked, ["a", "c"]);
}

#[test]
fn file_with_wrong_digest_is_rejected() {
    let file = tiny();
    let mut other = file.clone();
    *other.last_mut().expect("a byte") ^= 1;
    let found = sha256(&other);
    let model = TestModel::new(&file);
    let hub = Server::start(move |_, _| Response::whole(&other));
    let why = model.refused(&hub.url());
    assert!(why.contains(&found) && why.contains(model.spec.members[0].sha256), "{why}");
    assert_eq!(model.names(), ["net.safetensors.lock"]);
    assert_eq!(hub.requests().len(), 1);
}

#[test]
fn invalid_weights_are_rejected_despite_correct_digest() {
    let mut incomplete = Parts::of(&tiny());
    let gone = incomplete.without_last();
    for (file, says) in [(b"<html>sign in</html>".to_vec(), "malformed"), (incomplete.bytes(), &gone)] {
        let model = TestModel::new(&file);
        let hub = Server::start(move |_, _| Response::whole(&file));
        let why = model.refused(&hub.url());
        assert!(why.contains(says), "{why}");
        assert_eq!(model.names(), ["net.safetensors.lock"]);
    }
}

#[test]
fn error_statuses_are_reported_and_not_retried() {
    for status in ["401 Unauthorized", "403 Forbidden", "404 Not Found", "429 Slow", "500 Oops", "204 Nothing"] {
        let model = TestModel::new(&tiny());
        let hub = Server::start(move |_, _| Response::status(status));
        let why = model.refused(&hub.url());
        assert!(why.contains(&status[..3]), "{why}");
        assert_eq!(hub.requests().len(), 1, "{status}");
    }
}

#[test]
fn wrong_content_length_is_rejected_before_reading() {
    for change in [-1, 1] {
        let file = tiny();
        let model = TestModel::new(&file);
        let length = file.len().checked_add_signed(change).expect("a length");
        let hub =
            Server::start(move |_, _| Response::Say(format!("200 OK\r\nContent-Length: {length}"), vec![0; length]));
        let why = model.refused(&hub.url());
        assert!(why.contains(&length.to_string()) && why.contains(&file.len().to_string()), "{why}");
        assert_eq!(model.names(), ["net.safetensors.lock"]);
    }
}

#[test]
fn body_without_length_is_read_up_to_published_size() {
    let file = tiny();
    let model = TestModel::new(&file);
    let hub = {
        let file = file.clone();
        Server::start(move |_, _| Response::Say("200 OK".into(), [file.clone(), vec![0; 1 << 20]].concat()))
    };
    model.fetch(&hub.url()).expect("a file");
    assert!(std::fs::read(model.target()).expect("a file") == file);
}

#[test]
fn unreachable_hub_is_skipped() {
    let model = TestModel::new(&tiny());
    let why = model.refused(DEAD_HUB);
    assert!(why.to_lowercase().contains("refused"), "{why}");
    assert_eq!(model.names(), ["net.safetensors.lock"]);
}

#[test]
fn unresponsive_hub_is_skipped() {
    let model = TestModel::new(&tiny());
    let hub = Server::start(|_, _| Response::Silence);
    let mut recorder = Recorder::default();
    let fetcher = fetcher(&hub.url()).with_timeout(Duration::from_millis(300));
    let error = model.fetch_with(&fetcher, &mut recorder).expect_err("an error");
    assert!(matches!(error, WeightsError::NoSource { .. }), "{error:?}");
    assert!(recorder.lines.last().is_some_and(|line| line.contains("timeout")), "{:?}", recorder.lines);
    assert_eq!(hub.requests().len(), 1);
}

#[test]
fn password_in_hub_url_is_never_shown() {
    let model = TestModel::new(&tiny());
    let mut recorder = Recorder::default();
    let hub = "http://someone:secret@127.0.0.1:1";
    let error = model.fetch_with(&fetcher(hub), &mut recorder).expect_err("an error");
    let output = format!("{error} {error:?} {:?}", recorder.lines);
    assert!(output.contains("127.0.0.1:1") && !output.contains("secret"), "{output}");
}

#[test]
fn uncreatable_cache_folder_is_named() {
    let mut model = TestModel::new(&tiny());
    let occupied = model.dir.path().join("occupied");
    std::fs::write(&occupied, "").expect("a file");
    model.cache = Cache::at(&occupied);
    let error = model.fetch(DEAD_HUB).expect_err("an error");
    assert!(matches!(&error, WeightsError::Io { .. }), "{error:?}");
    assert!(error.to_string().contains(&occupied.display().to_string()), "{error}");
}

#[test]
fn occupied_partial_file_path_is_named() {
    let file = tiny();
    let model = TestModel::new(&file);
    std::fs::create_dir_all(model.part()).expect("a folder");
    let hub = Server::start(move |_, _| Response::whole(&file));
    let error = model.fetch(&hub.url()).expect_err("an error");
    assert!(matches!(&error, WeightsError::Io { .. }), "{error:?}");
    assert!(error.to_string().contains(&model.part().display().to_string()), "{error}");
}

/// Signals a channel when the fetch has to wait.
struct Waiting(mpsc::Sender<()>);

impl FetchListener for Waiting {
    fn waiting(&mut self, file: &str) {
        assert_eq!(file, FILE);
        self.0.send(()).expect("a receiver");
    }
}

#[test]
fn second_concurrent_fetch_waits() {
    let file = tiny();
    let model = TestModel::new(&file);
    let (first_asked, asked) = mpsc::channel();
    let (second_waits, waits) = mpsc::channel();
    let waits = Arc::new(Mutex::new(waits));
    let hub = Server::start(move |_, _| {
        first_asked.send(()).expect("a receiver");
        waits.lock().expect("no panic").recv().expect("the second fetch waits");
        Response::whole(&file)
    });
    let fetcher = fetcher(&hub.url());
    std::thread::scope(|scope| {
        let first = scope.spawn(|| model.fetch_with(&fetcher, &mut NoListener));
        asked.recv().expect("the first fetch sends a request");
        let second = scope.spawn(|| model.fetch_with(&fetcher, &mut Waiting(second_waits)));
        for thread in [first, second] {
            assert_eq!(thread.join().expect("no panic").expect("a file"), [model.target()]);
        }
    });
    assert_eq!(hub.requests().len(), 1);
}

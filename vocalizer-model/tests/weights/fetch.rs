//! Fetching from a hub: what it takes, what it refuses, and what it tells.

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use vocalizer_model::weights::{Cache, FetchListener, Fetcher, MemberSpec, ModelSpec, NoListener, WeightsError};

use super::server::{Answer, Server};
use super::support::{Parts, names, published, sha256, tiny};

pub(super) const FILE: &str = "net.safetensors";

/// What a listener was told, but for progress one line each.
#[derive(Default)]
pub(super) struct Heard {
    pub(super) lines: Vec<String>,
    pub(super) progress: Vec<(u64, u64)>,
}

impl FetchListener for Heard {
    fn source(&mut self, name: &str, bytes: u64) {
        self.lines.push(format!("{bytes} bytes from {name}"));
    }

    fn passed_over(&mut self, name: &str, why: &str) {
        self.lines.push(format!("not {name}: {why}"));
    }

    fn progress(&mut self, done_bytes: u64, total_bytes: u64) {
        self.progress.push((done_bytes, total_bytes));
    }

    fn waiting(&mut self, file: &str) {
        self.lines.push(format!("waiting for {file}"));
    }
}

/// A cache of its own, and a model of some networks.
pub(super) struct Place {
    dir: TempDir,
    pub(super) cache: Cache,
    pub(super) spec: ModelSpec,
}

impl Place {
    pub(super) fn of(members: Vec<MemberSpec>) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let spec = ModelSpec {
            name: "net",
            summary: "",
            members: Box::leak(members.into_boxed_slice()),
            weights: &[],
            sources: &[],
            licence: "",
        };
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

    /// Why the only source gave nothing.
    #[track_caller]
    pub(super) fn refused(&self, hub: &str) -> String {
        let mut heard = Heard::default();
        let error = self.fetch_with(&fetcher(hub), &mut heard).expect_err("a refusal");
        assert!(error.to_string().contains(&self.target().display().to_string()), "{error}");
        let WeightsError::NoSource { file, tried } = error else { panic!("{error:?}") };
        assert_eq!(file, self.target());
        assert!(!self.target().exists());
        let [only] = tried.as_slice() else { panic!("{tried:?}") };
        assert_eq!(heard.lines.last(), Some(&format!("not {}: {}", only.source, only.why)));
        only.why.clone()
    }
}

pub(super) fn fetcher(hub: &str) -> Fetcher {
    Fetcher::default().with_hub(hub).with_npm("/nowhere/npm")
}

/// A hub where nobody listens.
pub(super) const DEAF: &str = "http://127.0.0.1:1";

#[test]
fn a_file_is_fetched_whole_and_told_of() {
    let file = tiny();
    let place = Place::new(&file);
    let hub = {
        let file = file.clone();
        Server::start(move |_, _| Answer::whole(&file))
    };
    let mut heard = Heard::default();
    let paths = place.fetch_with(&fetcher(&hub.url()), &mut heard).expect("a file");
    assert_eq!(paths, [place.target()]);
    assert!(std::fs::read(place.target()).expect("a file") == file);
    assert_eq!(place.names(), [FILE, "net.safetensors.lock"]);
    let path = format!("/someone/Net/resolve/0123456789abcdef0123456789abcdef01234567/{FILE}");
    assert_eq!(hub.requests().iter().map(|r| r.path.as_str()).collect::<Vec<_>>(), [path]);

    let total = file.len() as u64;
    assert_eq!(heard.lines, [format!("{total} bytes from {}", hub.name())]);
    assert_eq!(heard.progress.first(), Some(&(0, total)));
    assert_eq!(heard.progress.last(), Some(&(total, total)));
    assert!(heard.progress.is_sorted() && heard.progress.len() < 12, "{} reports", heard.progress.len());
}

#[cfg(unix)]
#[test]
fn a_fetched_file_is_as_open_as_any_new_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let file = tiny();
    let place = Place::new(&file);
    let hub = Server::start(move |_, _| Answer::whole(&file));
    place.fetch(&hub.url()).expect("a file");
    let plain = place.cache.models_dir().join("plain");
    std::fs::write(&plain, "").expect("a file");
    let mode = |path: &Path| std::fs::metadata(path).expect("a file").permissions().mode();
    assert_eq!(mode(&place.target()), mode(&plain));
}

#[test]
fn a_file_that_is_there_is_used_offline() {
    let file = tiny();
    let place = Place::new(&file);
    std::fs::create_dir_all(place.cache.models_dir()).expect("a folder");
    std::fs::write(place.target(), &file).expect("a file");
    let hub = Server::start(move |_, _| Answer::whole(&file));
    let mut heard = Heard::default();
    assert_eq!(place.fetch_with(&fetcher(&hub.url()), &mut heard).expect("a file"), [place.target()]);
    assert_eq!(hub.requests(), []);
    assert!(heard.lines.is_empty() && heard.progress.is_empty());
    assert_eq!(place.names(), [FILE]);
}

#[test]
fn of_a_bag_only_what_is_missing_is_fetched() {
    let file = tiny();
    let place = Place::of(["a", "b", "c"].map(|name| published(name, &file)).into());
    std::fs::create_dir_all(place.cache.models_dir()).expect("a folder");
    std::fs::write(place.cache.models_dir().join("b"), &file).expect("a file");
    let hub = Server::start(move |_, _| Answer::whole(&file));
    let paths = place.fetch(&hub.url()).expect("the files");
    assert_eq!(paths, ["a", "b", "c"].map(|name| place.cache.models_dir().join(name)));
    let asked: Vec<_> = hub.requests().iter().filter_map(|r| Some(r.path.rsplit_once('/')?.1.to_owned())).collect();
    assert_eq!(asked, ["a", "c"]);
}

#[test]
fn a_file_with_another_digest_is_not_kept() {
    let file = tiny();
    let mut other = file.clone();
    *other.last_mut().expect("a byte") ^= 1;
    let found = sha256(&other);
    let place = Place::new(&file);
    let hub = Server::start(move |_, _| Answer::whole(&other));
    let why = place.refused(&hub.url());
    assert!(why.contains(&found) && why.contains(place.spec.members[0].sha256), "{why}");
    assert_eq!(place.names(), ["net.safetensors.lock"]);
    assert_eq!(hub.requests().len(), 1);
}

#[test]
fn a_file_that_is_no_network_is_not_kept_even_with_the_published_digest() {
    let mut incomplete = Parts::of(&tiny());
    let gone = incomplete.without_last();
    for (file, says) in [(b"<html>sign in</html>".to_vec(), "malformed"), (incomplete.bytes(), &gone)] {
        let place = Place::new(&file);
        let hub = Server::start(move |_, _| Answer::whole(&file));
        let why = place.refused(&hub.url());
        assert!(why.contains(says), "{why}");
        assert_eq!(place.names(), ["net.safetensors.lock"]);
    }
}

#[test]
fn statuses_that_are_no_success_are_told_and_not_insisted_on() {
    for status in ["401 Unauthorized", "403 Forbidden", "404 Not Found", "429 Slow", "500 Oops", "204 Nothing"] {
        let place = Place::new(&tiny());
        let hub = Server::start(move |_, _| Answer::status(status));
        let why = place.refused(&hub.url());
        assert!(why.contains(&status[..3]), "{why}");
        assert_eq!(hub.requests().len(), 1, "{status}");
    }
}

#[test]
fn a_file_of_another_length_is_not_even_read() {
    for change in [-1, 1] {
        let file = tiny();
        let place = Place::new(&file);
        let length = file.len().checked_add_signed(change).expect("a length");
        let hub =
            Server::start(move |_, _| Answer::Say(format!("200 OK\r\nContent-Length: {length}"), vec![0; length]));
        let why = place.refused(&hub.url());
        assert!(why.contains(&length.to_string()) && why.contains(&file.len().to_string()), "{why}");
        assert_eq!(place.names(), ["net.safetensors.lock"]);
    }
}

#[test]
fn a_body_without_a_length_is_read_as_far_as_was_published() {
    let file = tiny();
    let place = Place::new(&file);
    let hub = {
        let file = file.clone();
        Server::start(move |_, _| Answer::Say("200 OK".into(), [file.clone(), vec![0; 1 << 20]].concat()))
    };
    place.fetch(&hub.url()).expect("a file");
    assert!(std::fs::read(place.target()).expect("a file") == file);
}

#[test]
fn a_hub_that_nobody_runs_is_passed_over() {
    let place = Place::new(&tiny());
    let why = place.refused(DEAF);
    assert!(why.to_lowercase().contains("refused"), "{why}");
    assert_eq!(place.names(), ["net.safetensors.lock"]);
}

#[test]
fn a_hub_that_never_answers_is_passed_over() {
    let place = Place::new(&tiny());
    let hub = Server::start(|_, _| Answer::Silence);
    let mut heard = Heard::default();
    let fetcher = fetcher(&hub.url()).with_patience(Duration::from_millis(300));
    let error = place.fetch_with(&fetcher, &mut heard).expect_err("a refusal");
    assert!(matches!(error, WeightsError::NoSource { .. }), "{error:?}");
    assert!(heard.lines.last().is_some_and(|line| line.contains("timeout")), "{:?}", heard.lines);
    assert_eq!(hub.requests().len(), 1);
}

#[test]
fn what_a_hub_says_of_itself_shows_no_password() {
    let place = Place::new(&tiny());
    let mut heard = Heard::default();
    let hub = "http://someone:secret@127.0.0.1:1";
    let error = place.fetch_with(&fetcher(hub), &mut heard).expect_err("a refusal");
    let told = format!("{error} {error:?} {:?}", heard.lines);
    assert!(told.contains("127.0.0.1:1") && !told.contains("secret"), "{told}");
}

#[test]
fn a_cache_that_cannot_be_made_is_named() {
    let mut place = Place::new(&tiny());
    let occupied = place.dir.path().join("occupied");
    std::fs::write(&occupied, "").expect("a file");
    place.cache = Cache::at(&occupied);
    let error = place.fetch(DEAF).expect_err("a refusal");
    assert!(matches!(&error, WeightsError::Io { .. }), "{error:?}");
    assert!(error.to_string().contains(&occupied.display().to_string()), "{error}");
}

#[test]
fn a_place_that_is_taken_is_named() {
    let file = tiny();
    let place = Place::new(&file);
    std::fs::create_dir_all(place.part()).expect("a folder");
    let hub = Server::start(move |_, _| Answer::whole(&file));
    let error = place.fetch(&hub.url()).expect_err("a refusal");
    assert!(matches!(&error, WeightsError::Io { .. }), "{error:?}");
    assert!(error.to_string().contains(&place.part().display().to_string()), "{error}");
}

/// Tells a channel when it has to wait.
struct Waiting(mpsc::Sender<()>);

impl FetchListener for Waiting {
    fn waiting(&mut self, file: &str) {
        assert_eq!(file, FILE);
        self.0.send(()).expect("somebody who listens");
    }
}

#[test]
fn of_two_who_fetch_one_waits() {
    let file = tiny();
    let place = Place::new(&file);
    let (first_asked, asked) = mpsc::channel();
    let (second_waits, waits) = mpsc::channel();
    let waits = Arc::new(Mutex::new(waits));
    let hub = Server::start(move |_, _| {
        first_asked.send(()).expect("somebody who listens");
        waits.lock().expect("no panic").recv().expect("a second who waits");
        Answer::whole(&file)
    });
    let fetcher = fetcher(&hub.url());
    std::thread::scope(|scope| {
        let first = scope.spawn(|| place.fetch_with(&fetcher, &mut NoListener));
        asked.recv().expect("a first who asks");
        let second = scope.spawn(|| place.fetch_with(&fetcher, &mut Waiting(second_waits)));
        for thread in [first, second] {
            assert_eq!(thread.join().expect("no panic").expect("a file"), [place.target()]);
        }
    });
    assert_eq!(hub.requests().len(), 1);
}

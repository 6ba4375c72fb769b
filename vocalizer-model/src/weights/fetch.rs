//! Downloads weights into the cache.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::download::{FetchListener, Progress, SourceError, WeightsSource};
use super::http::{self, Agent};
use super::{Cache, MemberSpec, ModelSpec, Source, Tried, WeightsError, WeightsFile, import, save};

/// The cache as a source, for messages about damaged files.
const CACHE: &str = "the cache";

/// Default timeout of the hub.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Downloads a model's missing and damaged files into the cache and returns their paths in the order of the model's members.
/// Uses the sources of [`Fetcher::from_env`].
///
/// # Errors
///
/// As [`Fetcher::fetch`].
pub fn fetch(spec: &ModelSpec, cache: &Cache, listener: &mut dyn FetchListener) -> Result<Vec<PathBuf>, WeightsError> {
    Fetcher::from_env().fetch(spec, cache, listener)
}

/// Downloads weights from a hub, or from other sources if the hub fails.
#[derive(Debug, Clone)]
pub struct Fetcher {
    hub: String,
    others: Vec<Arc<dyn WeightsSource>>,
    timeout: Duration,
}

impl Default for Fetcher {
    fn default() -> Self {
        Self { hub: Source::HUB.into(), others: Vec::new(), timeout: TIMEOUT }
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

    /// Adds a source, which is tried if the hub and the sources added before it fail.
    #[must_use]
    pub fn with_source(mut self, source: impl WeightsSource + 'static) -> Self {
        self.others.push(Arc::new(source));
        self
    }

    /// Sets the timeout of the hub, 30 seconds by default. Pauses between attempts scale with it. Other sources have
    /// their own timeouts.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Downloads a model's missing files into the cache, and those that are cut or differ from the published ones: it verifies
    /// the content of every file that is present. A damaged file stays until its replacement is complete. A published
    /// checkpoint is converted to a weights file in half precision, and deleted.
    ///
    /// A file appears in the cache complete and checked, or not at all. A partial download is kept next to it as
    /// `.part`, and the next attempt resumes it. If several processes need a file, one downloads it and the others
    /// wait.
    ///
    /// # Errors
    ///
    /// [`WeightsError::LicenceNotAccepted`] if files are missing that have no stated licence, before
    /// [`Cache::accept_licence`]; [`WeightsError::NoSource`] if every source failed or had a file other than the published one,
    /// with each reason; [`WeightsError::Io`] if the cache cannot be read or written.
    pub fn fetch(
        &self,
        spec: &ModelSpec,
        cache: &Cache,
        listener: &mut dyn FetchListener,
    ) -> Result<Vec<PathBuf>, WeightsError> {
        for member in spec.members {
            if state(member, &cache.member_path(member))? != State::Verified {
                if !cache.has_accepted_licence(spec) {
                    let (model, licence) = (spec.name.to_owned(), spec.licence.to_string());
                    return Err(WeightsError::LicenceNotAccepted { model, licence });
                }
                self.member(member, cache, listener)?;
            }
        }
        Ok(spec.members.iter().map(|member| cache.member_path(member)).collect())
    }

    fn member(&self, member: &MemberSpec, cache: &Cache, listener: &mut dyn FetchListener) -> Result<(), WeightsError> {
        let target = cache.member_path(member);
        let dir = cache.models_dir();
        fs::create_dir_all(&dir)
            .map_err(WeightsError::io(format!("the cache folder {} cannot be created", dir.display())))?;
        let _lock = lock(&beside(&target, "lock"), member.file, listener)?;
        let mut tried = Vec::new();
        match state(member, &target)? {
            State::Verified => return Ok(()), // another process downloaded it
            State::Missing => {}
            State::Damaged(why) => {
                listener.passed_over(CACHE, &why);
                tried.push(Tried { source: CACHE.into(), why });
            }
        }
        let published = match member.config {
            Some(_) => cache.checkpoint_path(member),
            None => target.clone(),
        };
        if published != target && published.exists() {
            match put(&published, member, &target, listener) {
                Ok(()) => return Ok(()),
                Err(SourceError::Local(error)) => return Err(error),
                Err(SourceError::Unavailable(why)) => {
                    listener.passed_over(CACHE, &why);
                    tried.push(Tried { source: CACHE.into(), why });
                }
            }
        }
        let hub = (http::host(&member.source.url(&self.hub)).to_owned(), member.bytes, None);
        let others = self.others.iter().filter_map(|source| {
            let (name, bytes) = source.offer(member)?;
            Some((name, bytes, Some(source)))
        });
        for (name, bytes, source) in std::iter::once(hub).chain(others) {
            listener.source(&name, bytes);
            let fetched = match source {
                None => self.hub(member, &target, listener),
                Some(source) => other(source.as_ref(), member, &target, listener),
            };
            // The folder of `other`, also one that a killed download left.
            let _ = fs::remove_dir_all(beside(&target, "tmp"));
            match fetched {
                Ok(()) => {
                    let _ = fs::remove_file(beside(&target, "part")); // another source was interrupted earlier
                    return Ok(());
                }
                Err(SourceError::Local(error)) => return Err(error),
                Err(SourceError::Unavailable(why)) => {
                    listener.passed_over(&name, &why);
                    tried.push(Tried { source: name, why });
                }
            }
        }
        Err(WeightsError::NoSource { file: published, tried })
    }

    fn hub(&self, member: &MemberSpec, target: &Path, listener: &mut dyn FetchListener) -> Result<(), SourceError> {
        let url = member.source.url(&self.hub);
        let part = beside(target, "part");
        let file = http::PublishedFile { url: &url, bytes: member.bytes, sha256: member.sha256 };
        file.download(&Agent::new(&url, self.timeout), &part, listener)?;
        put(&part, member, target, listener).inspect_err(|error| {
            if matches!(error, SourceError::Unavailable(_)) {
                let _ = fs::remove_file(&part); // complete but wrong: it cannot be resumed
            }
        })
    }
}

fn other(
    source: &dyn WeightsSource,
    member: &MemberSpec,
    target: &Path,
    listener: &mut dyn FetchListener,
) -> Result<(), SourceError> {
    let dir = beside(target, "tmp");
    fs::create_dir(&dir).map_err(SourceError::io(&dir, "cannot be created"))?;
    let file = dir.join(member.file);
    let mut progress = Progress::new(listener);
    source.download(member, &file, &mut |done_bytes, total_bytes| progress.at(done_bytes, total_bytes))?;
    put(&file, member, target, listener)
}

/// The state of a file in the cache.
#[derive(Debug, PartialEq, Eq)]
enum State {
    Missing,
    /// What was published.
    Verified,
    /// Cut or changed, for this reason.
    Damaged(String),
}

/// Verifies the file of a network in the cache.
fn state(member: &MemberSpec, path: &Path) -> Result<State, WeightsError> {
    if !path.exists() {
        return Ok(State::Missing);
    }
    match verified(path, member) {
        Ok(()) => Ok(State::Verified),
        Err(WeightsError::Io { action, source }) => {
            Err(WeightsError::Io { action: format!("{} {action}", path.display()), source })
        }
        Err(error) => Ok(State::Damaged(format!("the file {error}"))),
    }
}

fn verified(path: &Path, member: &MemberSpec) -> Result<(), WeightsError> {
    let file = WeightsFile::open(path)?;
    file.check()?;
    file.verify(member)
}

/// Moves a downloaded file into place if it is what was published and holds the network. A checkpoint is converted for that
/// and removed.
fn put(file: &Path, member: &MemberSpec, target: &Path, listener: &mut dyn FetchListener) -> Result<(), SourceError> {
    let place =
        |whole: &Path| save::put(whole, target).map_err(SourceError::io(target, "cannot be renamed into place"));
    let Some(config) = member.config else {
        verified(file, member).map_err(SourceError::wrong_file)?;
        return place(file);
    };
    listener.converting(member.file);
    let new = beside(target, "new");
    let converted = import::convert(file, member, config, &new).and_then(|()| verified(&new, member));
    let placed = match converted {
        Ok(()) => place(&new),
        Err(error @ WeightsError::Io { .. }) => Err(SourceError::Local(error)),
        Err(error) => Err(SourceError::wrong_file(error)),
    };
    if placed.is_err() {
        let _ = fs::remove_file(&new);
    }
    placed?;
    fs::remove_file(file).map_err(SourceError::io(file, "cannot be removed"))
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

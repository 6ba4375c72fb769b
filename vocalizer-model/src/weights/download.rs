//! What the sources of weights share: their trait, events and errors.

use std::path::Path;

use super::{MemberSpec, WeightsError};

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

    /// The checkpoint is complete and is converted to this weights file.
    fn converting(&mut self, file: &str) {
        let _ = file;
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

/// A source of weights beside the hub, such as a package or a shared folder.
/// [`Fetcher::with_source`](super::Fetcher::with_source) adds it.
pub trait WeightsSource: std::fmt::Debug + Send + Sync {
    /// Returns the source's name and the size of its download in bytes, or `None` if it does not have this network.
    fn offer(&self, member: &MemberSpec) -> Option<(String, u64)>;

    /// Writes the network's published file, a weights file or a checkpoint, to `path`, in a folder that is empty before and
    /// deleted afterwards. Reports the bytes that are done and their total to `progress`.
    ///
    /// The file may differ from the hub's if the member has a `tensor_digest`. The fetcher verifies it.
    ///
    /// # Errors
    ///
    /// [`SourceError::Unavailable`] if the source does not have the file, [`SourceError::Local`] if the file cannot be
    /// written.
    fn download(&self, member: &MemberSpec, path: &Path, progress: &mut dyn FnMut(u64, u64))
    -> Result<(), SourceError>;
}

/// Why one source failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The source does not have the published file, for this reason. Another source may.
    #[error("{0}")]
    Unavailable(String),
    /// An error of this machine. No source can help.
    #[error(transparent)]
    Local(WeightsError),
}

impl SourceError {
    /// A local error at `path`. `action` completes the sentence, such as "cannot be read".
    pub fn io<'a>(path: &'a Path, action: &'a str) -> impl FnOnce(std::io::Error) -> Self + 'a {
        move |source| Self::Local(WeightsError::io(format!("{} {action}", path.display()))(source))
    }

    /// The source's file is not the published one, for this reason.
    pub fn wrong_file(error: WeightsError) -> Self {
        Self::Unavailable(match error {
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
    reported_bytes: Option<u64>,
}

impl<'a> Progress<'a> {
    const STEP_BYTES: u64 = 256 << 10;

    pub(super) fn new(listener: &'a mut dyn FetchListener) -> Self {
        Self { listener, reported_bytes: None }
    }

    pub(super) fn at(&mut self, done_bytes: u64, total_bytes: u64) {
        let step = if done_bytes >= total_bytes { 1 } else { Self::STEP_BYTES };
        if self.reported_bytes.is_none_or(|reported| done_bytes.abs_diff(reported) >= step) {
            self.reported_bytes = Some(done_bytes);
            self.listener.progress(done_bytes, total_bytes);
        }
    }
}

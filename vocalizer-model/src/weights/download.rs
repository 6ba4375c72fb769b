//! What the sources of weights share: events, failures and the check of a downloaded file.

use std::path::Path;

use super::{MemberSpec, WeightsError, WeightsFile};

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

/// Checks a downloaded file against its published digest and against the network it should hold.
pub(super) fn check(path: &Path, member: &MemberSpec) -> Result<(), WeightsError> {
    let file = WeightsFile::open(path)?;
    file.check()?;
    file.verify(member)
}

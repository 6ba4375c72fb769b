//! Decides when a worker pauses.

use crate::song::SongHash;

/// What kept a worker from finishing a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Something that affects every job: the queue, the backend or the work folder.
    Worker,
    /// Something that may affect only this song.
    Song(SongHash),
}

/// Counts consecutive failures.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    failures: u32,
    last: Option<SongHash>,
}

impl Troubles {
    /// Counts a failure and returns the current count. Repeated failures of the same song count once, so that one bad
    /// song does not lengthen the worker's pauses.
    pub(super) fn count(&mut self, trouble: Trouble) -> u32 {
        let song = match trouble {
            Trouble::Worker => None,
            Trouble::Song(hash) => Some(hash),
        };
        if self.failures == 0 || song.is_none() || song != self.last {
            self.failures = self.failures.saturating_add(1);
        }
        self.last = song;
        self.failures
    }
}

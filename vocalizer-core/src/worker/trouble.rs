//! When a worker pauses.

use crate::song::SongHash;

/// What kept a worker from its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Something that any other job would meet as well: the queue, the backend or the work folder.
    Worker,
    /// Something that may be about this song alone.
    Song(SongHash),
}

/// Troubles in a row.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    failures: u32,
    last: Option<SongHash>,
}

impl Troubles {
    /// Counts another one and says how many there are. One song that fails again and again counts once: its worker must not
    /// pause longer and longer for it.
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

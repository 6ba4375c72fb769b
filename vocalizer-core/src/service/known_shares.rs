//! Share links that were opened before.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::account::SessionDigest;

/// How many links to remember.
const MAX_KNOWN: usize = 10_000;

/// Links that were opened since the start of this process. Opening them again counts no attempt: a player makes many
/// small requests, and other clients at its address may be guessing.
#[derive(Default)]
pub(super) struct KnownShares(Mutex<HashSet<SessionDigest>>);

impl KnownShares {
    pub(super) fn has(&self, digest: SessionDigest) -> bool {
        self.known().contains(&digest)
    }

    pub(super) fn add(&self, digest: SessionDigest) {
        let mut known = self.known();
        // To forget a link costs its next request an attempt.
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        known.insert(digest);
    }

    pub(super) fn remove(&self, digest: SessionDigest) {
        self.known().remove(&digest);
    }

    fn known(&self) -> MutexGuard<'_, HashSet<SessionDigest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! Invites: codes that allow registration.

use time::OffsetDateTime;

use super::SessionDigest;

/// A stored invite, valid for one registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Invite {
    /// The hash of the code. Codes are random and long, so a plain hash is enough, as for sessions.
    pub digest: SessionDigest,
    /// When it expires.
    pub expires_at: OffsetDateTime,
}

/// Who may register.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Registration {
    /// Everyone.
    #[default]
    Open,
    /// No one.
    Closed,
    /// Users with an [`Invite`].
    Invite,
}

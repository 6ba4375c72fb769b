//! Codes that let somebody register where not everybody may.

use time::OffsetDateTime;

use super::SessionDigest;

/// A code that lets one person register, as a store keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Invite {
    /// What the code hashes to. Codes are random and long, so that a plain hash is enough, as for sessions.
    pub digest: SessionDigest,
    /// When it is no longer good.
    pub expires_at: OffsetDateTime,
}

/// Who may register.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Registration {
    /// Everybody.
    #[default]
    Open,
    /// Nobody.
    Closed,
    /// Those who have an [`Invite`].
    Invite,
}

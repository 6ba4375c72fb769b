//! Share links.

use time::OffsetDateTime;
use vocalizer_api::ShareMix;
use vocalizer_api::id::{ShareId, SongId};

use super::SessionDigest;

/// A stored share link: permission to read one song, for everyone who has the link.
#[derive(Debug, Clone, PartialEq)]
pub struct ShareLink {
    /// The ID, with which the link is revoked.
    pub id: ShareId,
    /// The hash of the secret. Secrets are random and long, so a plain hash is enough, as for sessions.
    pub digest: SessionDigest,
    /// The song.
    pub song: SongId,
    /// When it was created.
    pub created_at: OffsetDateTime,
    /// When it expires, if ever.
    pub expires_at: Option<OffsetDateTime>,
    /// The mix that it opens with.
    pub mix: Option<ShareMix>,
}

impl ShareLink {
    /// Returns whether the link is valid at `now`; one that expires at `now` is not.
    #[must_use]
    pub fn is_valid(&self, now: OffsetDateTime) -> bool {
        self.expires_at.is_none_or(|end| end > now)
    }
}

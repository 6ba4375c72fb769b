//! Share links as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::ShareId;
use crate::part::Stem;

use super::SongView;

/// A share link without its secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend("required" = ["id", "created_at", "expires_at", "mix"]))
)]
#[non_exhaustive]
pub struct ShareView {
    /// The ID, used to revoke the link.
    #[cfg_attr(feature = "schema", schemars(with = "uuid::Uuid"))]
    pub id: ShareId,
    /// When it was created (RFC 3339).
    #[cfg_attr(feature = "schema", schemars(extend("format" = "date-time")))]
    pub created_at: String,
    /// When it expires (RFC 3339); `null`, never missing, if it does not.
    pub expires_at: Option<String>,
    /// The mix that it opens with; `null`, never missing, if it has none.
    pub mix: Option<ShareMix>,
}

impl ShareView {
    /// Returns a share link.
    #[must_use]
    pub const fn new(id: ShareId, created_at: String, expires_at: Option<String>, mix: Option<ShareMix>) -> Self {
        Self { id, created_at, expires_at, mix }
    }
}

/// The mix that a share link opens with.
///
/// ```
/// use vocalizer_api::ShareMix;
/// use vocalizer_api::part::Stem;
///
/// let karaoke = ShareMix::default().with_level(Stem::VOCALS, 0.0).with_start_ms(30_000).with_loop_ms(30_000, 60_000);
/// assert_eq!(karaoke.levels[&Stem::VOCALS], 0.0);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ShareMix {
    /// The gain of each stem, as a factor from 0 to 2. A stem that is missing is unchanged.
    #[cfg_attr(feature = "schema", schemars(with = "BTreeMap<String, f32>"))]
    pub levels: BTreeMap<Stem, f32>,
    /// Where playback starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_ms: Option<u64>,
    /// The start and the end of the loop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loop_ms: Option<[u64; 2]>,
}

impl ShareMix {
    /// Sets the gain of a stem.
    #[must_use]
    pub fn with_level(mut self, stem: Stem, gain: f32) -> Self {
        self.levels.insert(stem, gain);
        self
    }

    /// Sets where playback starts.
    #[must_use]
    pub fn with_start_ms(self, start_ms: u64) -> Self {
        Self { start_ms: Some(start_ms), ..self }
    }

    /// Sets the loop.
    #[must_use]
    pub fn with_loop_ms(self, from_ms: u64, to_ms: u64) -> Self {
        Self { loop_ms: Some([from_ms, to_ms]), ..self }
    }
}

/// The `data` of a response that lists share links.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SharesData {
    /// The song's share links, newest first.
    pub shares: Vec<ShareView>,
}

/// The `data` of a response about a new share link.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NewShareData {
    /// The share link.
    pub share: ShareView,
    /// The secret for `Authorization: Bearer …`, and for the page's address after `#/s/`. It is shown only once.
    pub secret: String,
}

/// Hides the secret.
impl std::fmt::Debug for NewShareData {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewShareData").field("share", &self.share).finish_non_exhaustive()
    }
}

/// The `data` of a response about what a share link opens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend("required" = ["song", "expires_at", "mix"]))
)]
#[non_exhaustive]
pub struct SharedData {
    /// The song. Its uploader is not told.
    pub song: SongView,
    /// When the link expires (RFC 3339); `null`, never missing, if it does not.
    pub expires_at: Option<String>,
    /// The mix to start with; `null`, never missing, if there is none.
    pub mix: Option<ShareMix>,
}

impl SharedData {
    /// Returns what a share link opens.
    #[must_use]
    pub const fn new(song: SongView, expires_at: Option<String>, mix: Option<ShareMix>) -> Self {
        Self { song, expires_at, mix }
    }
}

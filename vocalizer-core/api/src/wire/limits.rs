//! The server's limits, so that clients can check before they send.

use serde::{Deserialize, Serialize};

/// The `data` of a response about limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LimitsData {
    /// The limits.
    pub limits: LimitsView,
}

/// The limits that apply to uploaders.
// What an older server does not send has its default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(transform = without_defaults, extend("required" = [
        "max_upload_bytes", "max_title_chars", "max_duration_s", "max_page", "anonymous_uploads", "registration", "user_quota",
        "anonymous_quota", "upload_ids", "max_shares", "resumable_uploads", "max_webhooks"
    ]))
)]
#[non_exhaustive]
pub struct LimitsView {
    /// Largest song file.
    pub max_upload_bytes: u64,
    /// Longest title, in characters.
    pub max_title_chars: u64,
    /// Longest song.
    pub max_duration_s: u64,
    /// Most songs per page of a list.
    pub max_page: u32,
    /// Whether anonymous uploads are allowed.
    pub anonymous_uploads: bool,
    /// Who may register.
    pub registration: RegistrationView,
    /// The quota of each user.
    pub user_quota: QuotaView,
    /// The quota of anonymous clients per address.
    pub anonymous_quota: QuotaView,
    /// After how many days songs are deleted; `null` for never.
    pub retention_days: Option<u64>,
    /// After how many days anonymous uploads are deleted; `null` for never.
    pub anonymous_retention_days: Option<u64>,
    /// How many days deleted songs stay in the trash; `null` if they are deleted at once.
    pub trash_days: Option<u64>,
    /// Whether an upload may choose the song's ID, which makes it repeatable.
    pub upload_ids: bool,
    /// Most share links of one song; 0 if the server has none.
    pub max_shares: u32,
    /// Whether the server has resumable uploads.
    pub resumable_uploads: bool,
    /// Most webhooks of one user; 0 if the server has none.
    pub max_webhooks: u32,
}

impl Default for LimitsView {
    /// Returns no limits: everyone may register and upload, and songs are kept. Share links, webhooks and the trash are off.
    fn default() -> Self {
        Self {
            max_upload_bytes: u64::MAX,
            max_title_chars: u64::MAX,
            max_duration_s: u64::MAX,
            max_page: u32::MAX,
            anonymous_uploads: true,
            registration: RegistrationView::Open,
            user_quota: QuotaView::default(),
            anonymous_quota: QuotaView::default(),
            retention_days: None,
            anonymous_retention_days: None,
            trash_days: None,
            upload_ids: false,
            max_shares: 0,
            max_webhooks: 0,
            resumable_uploads: false,
        }
    }
}

/// Removes the defaults: they are for clients of older servers, and this server sends every field.
#[cfg(feature = "schema")]
fn without_defaults(schema: &mut schemars::Schema) {
    let properties = schema.get_mut("properties").and_then(|properties| properties.as_object_mut());
    for property in properties.into_iter().flat_map(|properties| properties.values_mut()) {
        if let Some(property) = property.as_object_mut() {
            property.remove("default");
        }
    }
}

/// Who may register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RegistrationView {
    /// Everyone.
    Open,
    /// No one.
    Closed,
    /// Users with an invite.
    Invite,
    /// A rule from a newer server, which clients must tolerate.
    #[serde(other)]
    #[cfg_attr(feature = "schema", schemars(skip))]
    Unknown,
}

/// The quota of one uploader; `null` means unlimited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transform = without_defaults))]
#[non_exhaustive]
pub struct QuotaView {
    /// Most stored songs.
    pub max_songs: Option<u64>,
    /// Most stored bytes of songs.
    pub max_bytes: Option<u64>,
    /// Most minutes of audio per day.
    pub max_audio_minutes_per_day: Option<u64>,
    /// Most uploads per minute.
    pub max_uploads_per_minute: Option<u32>,
}

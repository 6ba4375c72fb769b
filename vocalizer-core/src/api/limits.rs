//! The server's limits, so that clients can check before they send.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::account::Registration;
use crate::limits::Limits;
use crate::quota::Quota;
use crate::service::{AccountSettings, MAX_PAGE, SongSettings};

/// The `data` of a response about limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LimitsData {
    /// The limits.
    pub limits: LimitsView,
}

/// The limits that apply to uploaders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
}

/// Who may register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RegistrationView {
    /// Everyone.
    Open,
    /// No one.
    Closed,
    /// Users with an invite.
    Invite,
}

/// The quota of one uploader; `null` means unlimited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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

impl LimitsView {
    /// Returns the limits in the services' settings.
    #[must_use]
    pub fn of(songs: &SongSettings, accounts: &AccountSettings) -> Self {
        let Limits { max_upload_bytes, max_title_chars, max_duration_s, .. } = songs.limits;
        let (uploads, retention) = (&songs.uploads, &songs.retention);
        Self {
            max_upload_bytes,
            max_title_chars: max_title_chars as u64,
            max_duration_s,
            max_page: MAX_PAGE,
            anonymous_uploads: uploads.anonymous,
            registration: accounts.registration.into(),
            user_quota: uploads.per_user.into(),
            anonymous_quota: uploads.per_address.into(),
            retention_days: retention.all.map(days),
            // The limit for all songs also applies to anonymous ones.
            anonymous_retention_days: [retention.all, retention.anonymous].into_iter().flatten().min().map(days),
        }
    }
}

impl From<Registration> for RegistrationView {
    fn from(registration: Registration) -> Self {
        match registration {
            Registration::Open => Self::Open,
            Registration::Closed => Self::Closed,
            Registration::Invite => Self::Invite,
        }
    }
}

impl From<Quota> for QuotaView {
    fn from(quota: Quota) -> Self {
        let Quota { max_songs, max_bytes, max_audio_per_day, max_uploads_per_minute } = quota;
        let max_audio_minutes_per_day = max_audio_per_day.map(|audio| audio.as_secs() / 60);
        Self { max_songs, max_bytes, max_audio_minutes_per_day, max_uploads_per_minute }
    }
}

fn days(span: Duration) -> u64 {
    span.as_secs() / (24 * 60 * 60)
}

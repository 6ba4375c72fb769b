//! The limits that clients can ask for.

use std::time::Duration;

use vocalizer_api::LimitsView;

use super::accounts::AccountSettings;
use super::songs::{MAX_PAGE, SongSettings};
use crate::limits::Limits;

/// Returns the limits in the services' settings.
#[must_use]
pub fn limits_view(songs: &SongSettings, accounts: &AccountSettings) -> LimitsView {
    let Limits { max_upload_bytes, max_title_chars, max_duration_s, .. } = songs.limits;
    let (uploads, retention) = (&songs.uploads, &songs.retention);
    LimitsView {
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

fn days(span: Duration) -> u64 {
    span.as_secs() / (24 * 60 * 60)
}

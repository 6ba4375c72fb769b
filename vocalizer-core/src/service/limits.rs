//! The limits that clients can ask for.

use std::time::Duration;

use vocalizer_api::LimitsView;

use super::account_settings::AccountSettings;
use super::song_settings::SongSettings;
use super::songs::MAX_PAGE;
use crate::limits::Limits;

/// Returns the limits in the services' settings.
#[must_use]
pub fn limits_view(songs: &SongSettings, accounts: &AccountSettings) -> LimitsView {
    let Limits { max_upload_bytes, max_title_chars, max_duration_s, max_shares, .. } = songs.limits;
    let (uploads, retention) = (&songs.uploads, &songs.retention);
    let mut view = LimitsView::default();
    view.max_upload_bytes = max_upload_bytes;
    view.max_title_chars = max_title_chars as u64;
    view.max_duration_s = max_duration_s;
    view.max_page = MAX_PAGE;
    view.anonymous_uploads = uploads.anonymous;
    view.registration = accounts.registration.into();
    view.user_quota = uploads.per_user.into();
    view.anonymous_quota = uploads.per_address.into();
    view.retention_days = retention.all.map(days);
    // The limit for all songs also applies to anonymous ones.
    view.anonymous_retention_days = [retention.all, retention.anonymous].into_iter().flatten().min().map(days);
    view.trash_days = songs.trash.map(days);
    view.upload_ids = true;
    view.max_shares = max_shares;
    view.resumable_uploads = songs.resumable.max_total > 0;
    view
}

fn days(span: Duration) -> u64 {
    span.as_secs() / (24 * 60 * 60)
}

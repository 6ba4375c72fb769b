//! Conversions of domain types into the types of the HTTP API.

mod admin;

use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use vocalizer_api::{
    DeliveryView, JobView, LabelView, PeaksView, QuotaView, RegistrationView, ShareView, SongStatus, SongView,
    TokenView, WebhookView,
};

use crate::account::{ApiToken, Registration, ShareLink};
use crate::models::ModelName;
use crate::ports::{LabelCount, LeasedJob, PeaksSection};
use crate::quota::Quota;
use crate::song::{Song, SongFacts, StatusKind, StemsInfo};
use crate::webhook::{Delivery, Webhook};

/// Adds the fields that are only present if details are requested.
pub(crate) fn with_details(mut view: SongView, song: &Song, model: Option<&ModelName>) -> SongView {
    view.uploaded_at = Some(rfc3339(song.uploaded_at()));
    view.model = model.map(ToString::to_string);
    view.parts = Some(song.parts().iter().map(ToString::to_string).collect());
    let SongFacts { artist, duration_ms, has_cover } = song.facts().clone();
    (view.artist, view.duration_ms, view.has_cover) = (artist, duration_ms, has_cover);
    view.labels = Some(song.labels().iter().map(|label| label.as_str().to_owned()).collect());
    if song.status().kind() == StatusKind::Split {
        let StemsInfo { formats, provenance, .. } = song.stems().clone();
        (view.lossless, view.provenance) = (Some(formats.is_lossless()), provenance);
    }
    view
}

impl From<ApiToken> for TokenView {
    fn from(token: ApiToken) -> Self {
        let ApiToken { id, name, created_at, expires_at } = token;
        Self::new(id, name, rfc3339(created_at), expires_at.map(rfc3339))
    }
}

impl From<LabelCount> for LabelView {
    fn from(LabelCount { label, songs }: LabelCount) -> Self {
        Self::new(label.as_str().to_owned(), songs)
    }
}

impl From<ShareLink> for ShareView {
    fn from(link: ShareLink) -> Self {
        let ShareLink { id, created_at, expires_at, mix, .. } = link;
        Self::new(id, rfc3339(created_at), expires_at.map(rfc3339), mix)
    }
}

impl From<Webhook> for WebhookView {
    fn from(webhook: Webhook) -> Self {
        let Webhook { id, url, events, created_at, health, .. } = webhook;
        let mut view = Self::new(id, url.into_exposed(), events, rfc3339(created_at));
        view.failing_since = health.failing_since.map(rfc3339);
        view.disabled_at = health.disabled_at.map(rfc3339);
        view
    }
}

impl From<Delivery> for DeliveryView {
    fn from(delivery: Delivery) -> Self {
        let song = delivery.song.as_ref().map(|song| song.id);
        let mut view = Self::new(delivery.id, delivery.event, song, rfc3339(delivery.created_at));
        view.status = delivery.status();
        view.attempts = delivery.attempts;
        view.attempted_at = delivery.attempted_at.map(rfc3339);
        // Before the first attempt it is due at once.
        view.next_attempt_at = delivery.next_attempt_at.map(|next| rfc3339(next.max(delivery.created_at)));
        (view.status_code, view.error) = (delivery.status_code, delivery.error);
        view
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
        let mut view = Self::default();
        (view.max_songs, view.max_bytes) = (max_songs, max_bytes);
        view.max_audio_minutes_per_day = max_audio_minutes_per_day;
        view.max_uploads_per_minute = max_uploads_per_minute;
        view
    }
}

impl From<PeaksSection> for PeaksView {
    fn from(section: PeaksSection) -> Self {
        let PeaksSection { rate_hz, frames, first_frame, frames_per_value, values } = section;
        let mut view = Self::new(rate_hz, frames, frames_per_value, values);
        view.first_frame = first_frame;
        view
    }
}

impl From<&Song> for SongView {
    fn from(song: &Song) -> Self {
        let (title, hash) = (song.title().as_str().to_owned(), song.hash().to_string());
        let mut view = Self::new(song.id(), title, hash, song.uploader(), song.status().kind().into());
        view.failure_reason = song.status().failure().map(|reason| reason.as_str().to_owned());
        view
    }
}

impl From<StatusKind> for SongStatus {
    fn from(kind: StatusKind) -> Self {
        match kind {
            StatusKind::Uploading => Self::Uploading,
            StatusKind::Uploaded => Self::Uploaded,
            StatusKind::Splitting => Self::Splitting,
            StatusKind::Split => Self::Split,
            StatusKind::Failed => Self::Failed,
        }
    }
}

impl From<LeasedJob> for JobView {
    fn from(job: LeasedJob) -> Self {
        let LeasedJob { lease, hash, model, key, trace, attempt, visibility } = job;
        let mut view = Self::new(lease, hash.to_string(), attempt, millis(visibility));
        view.model = model.map(|model| model.to_string());
        view.result = (key != hash).then(|| key.to_string());
        view.traceparent = trace.map(|trace| trace.parent.to_string());
        view.published_at_ms = trace.and_then(|trace| trace.published_at_ms);
        view
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Returns a time as RFC 3339 text. Every year of our calendar can be formatted.
pub(crate) fn rfc3339(time: OffsetDateTime) -> String {
    time.format(&Rfc3339).unwrap_or_default()
}

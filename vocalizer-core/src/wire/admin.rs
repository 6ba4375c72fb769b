//! What administrators see.

use vocalizer_api::{AdminJobView, AdminSongView, AdminUserView, AuditView, JobStateView, OwnLimit, OwnLimitsView};

use super::rfc3339;
use crate::ports::{AuditEntry, SongRecord, UserRecord};
use crate::quota::{Limit, QuotaChange};
use crate::song::StatusKind;

impl From<&UserRecord> for AdminUserView {
    fn from(user: &UserRecord) -> Self {
        let mut view = Self::new(user.id, user.username.to_string(), rfc3339(user.registered_at));
        view.disabled_at = user.disabled_at.map(rfc3339);
        view.administrator = user.is_administrator;
        (view.songs, view.bytes) = (user.songs, user.bytes);
        (view.sessions, view.tokens) = (user.sessions, user.tokens);
        view.connected = user.is_linked;
        view.quota = user.quota.into();
        view
    }
}

impl From<QuotaChange> for OwnLimitsView {
    fn from(change: QuotaChange) -> Self {
        let view = |limit: Option<Limit>| {
            limit.map(|limit| match limit {
                Limit::At(most) => OwnLimit::At(most),
                Limit::None => OwnLimit::None,
            })
        };
        Self {
            max_songs: view(change.max_songs),
            max_bytes: view(change.max_bytes),
            max_audio_minutes_per_day: view(change.max_audio_minutes_per_day),
            max_uploads_per_minute: view(change.max_uploads_per_minute),
        }
    }
}

impl From<&SongRecord> for AdminSongView {
    fn from(record: &SongRecord) -> Self {
        let (song, at) = (&record.song, rfc3339(record.song.uploaded_at()));
        let (title, hash) = (song.title().as_str().to_owned(), song.hash().to_string());
        let mut view = Self::new(song.id(), title, hash, at, song.status().kind().into());
        view.model = song.target().model.map(|model| model.to_string());
        view.uploader = record.uploader.as_ref().map(ToString::to_string);
        view.uploader_id = song.uploader();
        view.failure = song.status().failure().map(|reason| reason.as_str().to_owned());
        (view.size_bytes, view.is_pending) = (record.size_bytes, record.is_pending);
        view
    }
}

impl SongRecord {
    /// Returns the song's job as administrators see it, given whether jobs are held back.
    #[must_use]
    pub fn job(&self, held: bool) -> AdminJobView {
        let state = match (self.song.status().kind(), self.is_pending) {
            (StatusKind::Splitting, _) => JobStateView::Splitting,
            (_, true) if held => JobStateView::Held,
            (_, true) => JobStateView::InOutbox,
            (_, false) => JobStateView::Waiting,
        };
        AdminJobView { state, song: self.into() }
    }
}

impl From<AuditEntry> for AuditView {
    fn from(entry: AuditEntry) -> Self {
        let AuditEntry { at, actor, action, subject, address, details } = entry;
        let mut view = Self::new(rfc3339(at), actor, action);
        (view.subject, view.address, view.details) = (subject, address, details);
        view
    }
}

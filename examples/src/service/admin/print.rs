//! Values as text and as JSON.

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use vocalizer_core::ports::{SongRecord, UserRecord};
use vocalizer_core::quota::{Limit, QuotaChange};

/// Returns a time in UTC, to the second.
pub(super) fn time(at: OffsetDateTime) -> String {
    let at = at.to_offset(time::UtcOffset::UTC).replace_nanosecond(0).unwrap_or(at);
    at.format(&Rfc3339).unwrap_or_default()
}

/// Returns a user's own limits, or `-`.
pub(super) fn quota(quota: &QuotaChange) -> String {
    let set: Vec<_> = limits(quota)
        .into_iter()
        .filter_map(|(name, limit)| match limit? {
            Limit::At(most) => Some(format!("{name}={most}")),
            Limit::None => Some(format!("{name}=none")),
        })
        .collect();
    if set.is_empty() { "-".to_owned() } else { set.join(" ") }
}

fn limits(quota: &QuotaChange) -> [(&'static str, Option<Limit>); 4] {
    let QuotaChange { max_songs, max_bytes, max_audio_minutes_per_day, max_uploads_per_minute } = *quota;
    [
        ("max_songs", max_songs),
        ("max_bytes", max_bytes),
        ("max_audio_minutes_per_day", max_audio_minutes_per_day),
        ("max_uploads_per_minute", max_uploads_per_minute),
    ]
}

/// Returns a user as JSON. A user's own limit is a number, `null` for none, and absent if that of all users applies.
pub(super) fn user(user: &UserRecord) -> Value {
    let own: serde_json::Map<_, _> = limits(&user.quota)
        .into_iter()
        .filter_map(|(name, limit)| match limit? {
            Limit::At(most) => Some((name.to_owned(), json!(most))),
            Limit::None => Some((name.to_owned(), Value::Null)),
        })
        .collect();
    json!({
        "id": user.id.to_string(),
        "username": user.username.as_str(),
        "registered_at": time(user.registered_at),
        "disabled_at": user.disabled_at.map(time),
        "songs": user.songs,
        "bytes": user.bytes,
        "sessions": user.sessions,
        "tokens": user.tokens,
        "quota": own,
    })
}

/// Returns a song as JSON.
pub(super) fn song(record: &SongRecord) -> Value {
    let song = &record.song;
    json!({
        "id": song.id().to_string(),
        "title": song.title().as_str(),
        "hash": song.hash().to_string(),
        "model": song.target().model.map(|model| model.to_string()),
        "uploader": record.uploader.as_ref().map(|name| name.as_str()),
        "uploader_id": song.uploader().map(|id| id.to_string()),
        "uploaded_at": time(song.uploaded_at()),
        "status": song.status().kind().name(),
        "failure": song.status().failure().map(|reason| reason.as_str()),
        "size_bytes": record.size_bytes,
        "is_pending": record.is_pending,
    })
}

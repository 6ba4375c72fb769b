//! Values as text and as JSON.

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use vocalizer_core::quota::{Limit, QuotaChange};

use crate::output::outln;

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

/// Prints values as JSON, one per line.
pub(super) fn json_lines<T: Serialize>(values: impl IntoIterator<Item = T>) {
    // Types of the API have no maps with keys other than texts.
    let lines = values.into_iter().filter_map(|value| serde_json::to_string(&value).ok());
    lines.for_each(|line| outln!("{line}"));
}

//! Values as text and as JSON.

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::output::outln;

/// Returns a time in UTC, to the second.
pub(super) fn time(at: OffsetDateTime) -> String {
    let at = at.to_offset(time::UtcOffset::UTC).replace_nanosecond(0).unwrap_or(at);
    at.format(&Rfc3339).unwrap_or_default()
}

/// Prints values as JSON, one per line.
pub(super) fn json_lines<T: Serialize>(values: impl IntoIterator<Item = T>) {
    // Types of the API have no maps with keys other than texts.
    let lines = values.into_iter().filter_map(|value| serde_json::to_string(&value).ok());
    lines.for_each(|line| outln!("{line}"));
}

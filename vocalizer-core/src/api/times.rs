//! Times as JSON.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Returns a time as RFC 3339 text. Every year of our calendar can be formatted.
pub(super) fn text(time: OffsetDateTime) -> String {
    time.format(&Rfc3339).unwrap_or_default()
}

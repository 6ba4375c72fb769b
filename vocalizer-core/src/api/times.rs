//! Times on the wire.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A time as text. The years of our calendar can all be written.
pub(super) fn text(time: OffsetDateTime) -> String {
    time.format(&Rfc3339).unwrap_or_default()
}

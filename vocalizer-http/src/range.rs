//! Byte ranges (RFC 9110, section 14).
//!
//! Only a single range is supported. For several ranges the server sends the whole file, as the RFC allows: players do
//! not need them, and large numbers of ranges are a known denial-of-service attack. Malformed headers and units other
//! than bytes also get the whole file.

use std::ops::Range;

use http::{HeaderMap, HeaderValue, StatusCode, header};

/// The part of a file to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// The whole file: `200`.
    Whole,
    /// These bytes, never empty and always within the file: `206`.
    Part(Range<u64>),
    /// Nothing, because the range starts after the end: `416`.
    Unsatisfiable,
}

impl Selection {
    /// Reads the `Range` header of a `GET` for a file of `size_bytes`. The caller must ignore the header for other
    /// methods and when `If-Range` does not match.
    #[must_use]
    pub fn of(headers: &HeaderMap, size_bytes: u64) -> Self {
        let mut values = headers.get_all(header::RANGE).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => Self::parse(value.as_bytes(), size_bytes),
            // Several headers are several ranges or an error.
            _ => Self::Whole,
        }
    }

    /// Parses the value of a `Range` header for a file of `size_bytes`.
    #[must_use]
    pub fn parse(value: &[u8], size_bytes: u64) -> Self {
        single(value).map_or(Self::Whole, |range| range.within(size_bytes))
    }

    /// Returns the status of the response.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Whole => StatusCode::OK,
            Self::Part(_) => StatusCode::PARTIAL_CONTENT,
            Self::Unsatisfiable => StatusCode::RANGE_NOT_SATISFIABLE,
        }
    }

    /// Returns the response's `Content-Range` for the same `size_bytes`; `None` for a whole file.
    #[must_use]
    pub fn content_range(&self, size_bytes: u64) -> Option<HeaderValue> {
        let text = match self {
            Self::Whole => return None,
            Self::Part(Range { start, end }) => format!("bytes {start}-{}/{size_bytes}", end.saturating_sub(1)),
            Self::Unsatisfiable => format!("bytes */{size_bytes}"),
        };
        HeaderValue::try_from(text).ok()
    }
}

enum ByteRange {
    From { first: u64, last: Option<u64> },
    Suffix { len: u64 },
}

impl ByteRange {
    fn within(self, size_bytes: u64) -> Selection {
        match self {
            Self::From { first, .. } if first >= size_bytes => Selection::Unsatisfiable,
            Self::From { first, last } => {
                let end = last.map_or(size_bytes, |last| last.saturating_add(1).min(size_bytes));
                Selection::Part(first..end)
            }
            Self::Suffix { len: 0 } => Selection::Unsatisfiable,
            // By the RFC, a suffix of an empty file is satisfiable, but no `Content-Range` can express it.
            Self::Suffix { .. } if size_bytes == 0 => Selection::Whole,
            Self::Suffix { len } => Selection::Part(size_bytes.saturating_sub(len)..size_bytes),
        }
    }
}

/// Parses the single range of a header. Returns `None` for several ranges and malformed values.
fn single(value: &[u8]) -> Option<ByteRange> {
    let value = std::str::from_utf8(value).ok()?;
    let (unit, ranges) = value.split_once('=')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    // Empty list elements are ignored.
    let mut ranges = ranges.split(',').map(|range| range.trim_matches([' ', '\t'])).filter(|range| !range.is_empty());
    let (range, None) = (ranges.next()?, ranges.next()) else { return None };
    let (first, last) = range.split_once('-')?;
    match (first, last) {
        ("", last) => Some(ByteRange::Suffix { len: number(last)? }),
        (first, "") => Some(ByteRange::From { first: number(first)?, last: None }),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(ByteRange::From { first, last: Some(last) })
        }
    }
}

/// Parses digits only. Numbers above `u64::MAX` saturate instead of making the header malformed.
fn number(digits: &str) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse().unwrap_or(u64::MAX))
}

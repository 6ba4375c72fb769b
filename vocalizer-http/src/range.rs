//! Byte ranges, by RFC 9110 section 14.
//!
//! One range is served. Several at once are answered with the whole file, as the RFC allows: nothing that plays a song
//! asks for them, and servers that honour hundreds have been brought down by them. The same goes for a header that does
//! not parse, and for units other than bytes.

use std::ops::Range;

use http::{HeaderMap, HeaderValue, StatusCode, header};

/// What part of a file to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// All of it: `200`.
    Whole,
    /// These bytes, never none and always within the file: `206`.
    Part(Range<u64>),
    /// None, because the range begins past the end: `416`.
    Unsatisfiable,
}

impl Selection {
    /// Reads the `Range` header of a `GET` for a file of `size_bytes`. For other methods the header means nothing, and
    /// where `If-Range` does not hold it is to be ignored; both are for the caller to know.
    #[must_use]
    pub fn of(headers: &HeaderMap, size_bytes: u64) -> Self {
        let mut values = headers.get_all(header::RANGE).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => Self::parse(value.as_bytes(), size_bytes),
            // More than one such header is more than one range, or a mistake.
            _ => Self::Whole,
        }
    }

    /// Reads the value of a `Range` header against a file of `size_bytes`.
    #[must_use]
    pub fn parse(value: &[u8], size_bytes: u64) -> Self {
        single(value).map_or(Self::Whole, |range| range.within(size_bytes))
    }

    /// The status of the answer.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Whole => StatusCode::OK,
            Self::Part(_) => StatusCode::PARTIAL_CONTENT,
            Self::Unsatisfiable => StatusCode::RANGE_NOT_SATISFIABLE,
        }
    }

    /// The answer's `Content-Range`, for the same `size_bytes`; a whole file has none.
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

enum Asked {
    From { first: u64, last: Option<u64> },
    Suffix { len: u64 },
}

impl Asked {
    fn within(self, size_bytes: u64) -> Selection {
        match self {
            Self::From { first, .. } if first >= size_bytes => Selection::Unsatisfiable,
            Self::From { first, last } => {
                let end = last.map_or(size_bytes, |last| last.saturating_add(1).min(size_bytes));
                Selection::Part(first..end)
            }
            Self::Suffix { len: 0 } => Selection::Unsatisfiable,
            // The end of an empty file is satisfiable, says the RFC, but there is no `Content-Range` that could say so.
            Self::Suffix { .. } if size_bytes == 0 => Selection::Whole,
            Self::Suffix { len } => Selection::Part(size_bytes.saturating_sub(len)..size_bytes),
        }
    }
}

/// The one range a header asks for; `None` if it asks for more, or cannot be read.
fn single(value: &[u8]) -> Option<Asked> {
    let value = std::str::from_utf8(value).ok()?;
    let (unit, ranges) = value.split_once('=')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    // Lists may hold empty elements, which count for nothing.
    let mut ranges = ranges.split(',').map(|range| range.trim_matches([' ', '\t'])).filter(|range| !range.is_empty());
    let (range, None) = (ranges.next()?, ranges.next()) else { return None };
    let (first, last) = range.split_once('-')?;
    match (first, last) {
        ("", last) => Some(Asked::Suffix { len: number(last)? }),
        (first, "") => Some(Asked::From { first: number(first)?, last: None }),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(Asked::From { first, last: Some(last) })
        }
    }
}

/// Digits and nothing else. Numbers that are too large for any file stay so, instead of making the header malformed.
fn number(digits: &str) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse().unwrap_or(u64::MAX))
}

//! Trace contexts of the W3C recommendation "Trace Context", which relate the work of several programs to each other.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;
use uuid::Uuid;

/// The length of version 00, in bytes.
const LEN: usize = 55;

/// The flags that are passed on: sampled and random.
const KNOWN_FLAGS: u8 = 0b11;

/// The flag of a trace that is recorded.
const SAMPLED: u8 = 0b01;

/// The flag of a trace ID whose last seven bytes are random.
const RANDOM: u8 = 0b10;

/// A position in a trace: the trace, and the span in it whose children follow. Its text is the value of the header
/// `traceparent`.
///
/// ```
/// use vocalizer_api::trace::TraceContext;
///
/// # fn main() -> Result<(), vocalizer_api::trace::InvalidTraceparent> {
/// let caller: TraceContext = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse()?;
/// let child = caller.child();
/// assert_eq!(child.trace_id(), caller.trace_id());
/// assert_ne!(child.span_id(), caller.span_id());
/// assert!(child.is_sampled());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: TraceId,
    span_id: u64,
    flags: u8,
}

/// The ID of a trace. Its text has 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(u128);

/// The text is not a valid `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "invalid traceparent; its form is 00-<trace ID>-<parent ID>-<flags> in 32, 16 and 2 lower-case hexadecimal digits"
)]
pub struct InvalidTraceparent;

/// Which traces are recorded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// The share of new traces that are recorded, from 0 to 1.
    pub share: f64,
    /// Whether a trace that another program began is recorded if that program says so; otherwise `share` decides.
    pub follows_parent: bool,
}

/// Records nothing that others do not ask for.
impl Default for Sampling {
    fn default() -> Self {
        Self { share: 0.0, follows_parent: true }
    }
}

impl Sampling {
    /// Returns the context for a request with this parent. Without one, a new trace begins.
    ///
    /// ```
    /// use vocalizer_api::trace::Sampling;
    ///
    /// let all = Sampling { share: 1.0, follows_parent: true };
    /// assert!(all.context(None).is_sampled());
    /// ```
    #[must_use]
    pub fn context(&self, parent: Option<TraceContext>) -> TraceContext {
        let trace_id = parent.map_or_else(TraceId::random, |parent| parent.trace_id);
        let flags = match parent {
            Some(parent) if self.follows_parent => parent.flags,
            Some(parent) => parent.flags & !SAMPLED | self.decide(trace_id),
            None => RANDOM | self.decide(trace_id),
        };
        TraceContext { trace_id, span_id: random_span_id(), flags }
    }

    /// Decides by the ID alone, as the sampler `traceidratio` of OpenTelemetry does, so that all programs agree.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the share is clamped")]
    fn decide(&self, TraceId(id): TraceId) -> u8 {
        let below = (self.share.clamp(0.0, 1.0) * (1_u64 << 63) as f64) as u64;
        if (id as u64 >> 1) < below { SAMPLED } else { 0 }
    }
}

impl TraceContext {
    /// Returns the context of a new span whose parent is this one.
    #[must_use]
    pub fn child(self) -> Self {
        Self { span_id: random_span_id(), ..self }
    }

    /// Returns the ID of the trace.
    #[must_use]
    pub const fn trace_id(&self) -> TraceId {
        self.trace_id
    }

    /// Returns the ID of the span; never 0.
    #[must_use]
    pub const fn span_id(&self) -> u64 {
        self.span_id
    }

    /// Returns whether the trace is recorded.
    #[must_use]
    pub const fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }
}

impl TraceId {
    fn random() -> Self {
        // The version and the variant of a UUID are not random: the second half takes neither, because samplers compare it.
        let ((_, first), (most, least)) = (Uuid::new_v4().as_u64_pair(), Uuid::new_v4().as_u64_pair());
        let second = most & !0xffff | least & 0xffff;
        Self(u128::from(first) << 64 | u128::from(second))
    }

    /// Returns the number that the digits denote; never 0.
    #[must_use]
    pub const fn get(self) -> u128 {
        self.0
    }
}

/// The second half of a random UUID is not 0: it contains the variant.
fn random_span_id() -> u64 {
    Uuid::new_v4().as_u64_pair().1
}

/// Reads the header strictly, and later versions by the rules for version 00, as the recommendation demands.
impl FromStr for TraceContext {
    type Err = InvalidTraceparent;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut fields = text.splitn(5, '-');
        let mut digits = |len: usize| {
            let field = fields.next().filter(|field| field.len() == len);
            let field = field.filter(|field| field.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
            field.and_then(|field| u128::from_str_radix(field, 16).ok()).ok_or(InvalidTraceparent)
        };
        let (version, trace_id, span_id, flags) = (digits(2)?, digits(32)?, digits(16)?, digits(2)?);
        let is_whole = version != 0 || text.len() == LEN;
        if version == 0xff || !is_whole || trace_id == 0 || span_id == 0 {
            return Err(InvalidTraceparent);
        }
        let span_id = u64::try_from(span_id).map_err(|_| InvalidTraceparent)?;
        let flags = u8::try_from(flags).map_err(|_| InvalidTraceparent)? & KNOWN_FLAGS;
        Ok(Self { trace_id: TraceId(trace_id), span_id, flags })
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{:016x}-{:02x}", self.trace_id, self.span_id, self.flags)
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn parse(text: &str) -> Result<TraceContext, InvalidTraceparent> {
        text.parse()
    }

    #[test]
    fn valid_headers_survive_a_round_trip() {
        for text in [TEXT, &TEXT.replace("-01", "-00"), &TEXT.replace("-01", "-03")] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
        // Unknown flags are not passed on.
        assert_eq!(parse(&TEXT.replace("-01", "-ff")).unwrap().to_string(), TEXT.replace("-01", "-03"));
    }

    #[test]
    fn later_versions_are_read_as_version_00() {
        for text in [TEXT.replacen("00", "cc", 1), format!("{}-what-follows", TEXT.replacen("00", "cc", 1))] {
            assert_eq!(parse(&text).unwrap().to_string(), TEXT);
        }
    }

    #[test]
    fn malformed_headers_are_refused() {
        let invalid = [
            String::new(),
            TEXT.to_uppercase(),
            TEXT.replacen("00", "ff", 1),
            format!("{TEXT}-"),
            format!("{TEXT}-00"),
            format!(" {TEXT}"),
            TEXT[..TEXT.len() - 1].to_owned(),
            format!("{}0", TEXT.replacen("00", "cc", 1)),
            TEXT.replace("-01", ".01"),
            TEXT.replace("-01", "-+1"),
            TEXT.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            TEXT.replace("b7ad6b7169203331", &"0".repeat(16)),
            TEXT.replace("b7ad6b7169203331", "b7ad6b716920333g"),
            TEXT.replace("b7ad6b7169203331", "b7ad6b71692033-1"),
            TEXT.replace("0af7651916cd43dd8448eb211c80319c", "0af7651916cd43dd8448eb211c80319é"),
        ];
        for text in invalid {
            assert_eq!(parse(&text), Err(InvalidTraceparent), "{text}");
        }
    }

    #[test]
    fn sampling_follows_the_parent_or_the_share() {
        let (recorded, not) = (parse(TEXT).unwrap(), parse(&TEXT.replace("-01", "-00")).unwrap());
        let sampled = |share, follows_parent, parent| Sampling { share, follows_parent }.context(parent).is_sampled();
        assert!(sampled(0.0, true, Some(recorded)) && !sampled(1.0, true, Some(not)));
        assert!(!sampled(0.0, false, Some(recorded)) && sampled(1.0, false, Some(not)));
        assert!(sampled(1.0, true, None) && !sampled(0.0, true, None));
        let half = (0..1000).filter(|_| sampled(0.5, true, None)).count();
        assert!((300..700).contains(&half), "{half}");
    }
}

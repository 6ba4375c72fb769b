//! The bounds on what is read from a file.

use vocalizer_core::limits::Limits;

use super::error::DecodeError;

/// How much audio a file may hold: what goes beyond is refused with [`DecodeError::Limit`], before it is decoded where
/// the header tells, and otherwise as soon as decoding passes the bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AudioLimits {
    /// The longest song, in seconds: 6 hours.
    pub max_duration_s: u64,
    /// The most channels: 8 (7.1).
    pub max_channels: u16,
    /// The lowest sample rate: 1,000 Hz.
    pub min_rate_hz: u32,
    /// The highest sample rate: 384,000 Hz.
    pub max_rate_hz: u32,
    /// The most bytes of tags, pictures and indices: 64 MiB.
    pub max_metadata_bytes: u64,
}

impl Default for AudioLimits {
    fn default() -> Self {
        // What lies on one's own disk may carry more pictures than an upload.
        Self { max_metadata_bytes: 64 << 20, ..Self::from(&Limits::default()) }
    }
}

/// A service's bounds, as far as they are about audio.
impl From<&Limits> for AudioLimits {
    fn from(limits: &Limits) -> Self {
        let &Limits { max_duration_s, max_channels, min_rate_hz, max_rate_hz, max_metadata_bytes, .. } = limits;
        Self { max_duration_s, max_channels, min_rate_hz, max_rate_hz, max_metadata_bytes }
    }
}

impl AudioLimits {
    pub(super) fn check_rate(&self, rate_hz: u32) -> Result<(), DecodeError> {
        if rate_hz == 0 {
            Err(DecodeError::Malformed("the header states a sample rate of 0 Hz".into()))
        } else if rate_hz < self.min_rate_hz {
            Err(DecodeError::Limit(format!("a sample rate of {rate_hz} Hz; the lowest is {} Hz", self.min_rate_hz)))
        } else if rate_hz > self.max_rate_hz {
            Err(DecodeError::Limit(format!("a sample rate of {rate_hz} Hz; the highest is {} Hz", self.max_rate_hz)))
        } else {
            Ok(())
        }
    }

    pub(super) fn check_channels(&self, channels: usize) -> Result<(), DecodeError> {
        if channels == 0 {
            Err(DecodeError::Malformed("the header states 0 channels".into()))
        } else if channels > usize::from(self.max_channels) {
            Err(DecodeError::Limit(format!("{channels} channels; the most is {}", self.max_channels)))
        } else {
            Ok(())
        }
    }

    pub(super) fn check_metadata(&self, bytes: u64) -> Result<(), DecodeError> {
        if bytes > self.max_metadata_bytes {
            let most = self.max_metadata_bytes;
            Err(DecodeError::Limit(format!("{bytes} bytes of tags, pictures or indices; the most is {most}")))
        } else {
            Ok(())
        }
    }

    pub(super) fn check_frames(&self, frames: u64, rate_hz: u32) -> Result<(), DecodeError> {
        if frames > self.max_frames(rate_hz) {
            let (is, most) = (frames / u64::from(rate_hz.max(1)), self.max_duration_s);
            Err(DecodeError::Limit(format!("the audio is longer than {most} seconds ({is} seconds or more)")))
        } else {
            Ok(())
        }
    }

    fn max_frames(&self, rate_hz: u32) -> u64 {
        self.max_duration_s.saturating_mul(u64::from(rate_hz))
    }
}

//! Limits on input files.

use vocalizer_api::limits::Limits;

use super::error::DecodeError;

/// Limits on the audio in a file. [`DecodeError::Limit`] rejects a file that exceeds them: before decoding if the
/// header tells, otherwise as soon as decoding exceeds the limit.
///
/// ```
/// use vocalizer_audio::AudioLimits;
///
/// let ringtones = AudioLimits { max_duration_s: 30, max_channels: 2, ..AudioLimits::default() };
/// assert_eq!(ringtones.max_rate_hz, 384_000);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AudioLimits {
    /// Maximum length in seconds. Default: 6 hours.
    pub max_duration_s: u64,
    /// Maximum number of channels. Default: 8 (7.1).
    pub max_channels: u16,
    /// Minimum sample rate. Default: 1,000 Hz.
    pub min_rate_hz: u32,
    /// Maximum sample rate. Default: 384,000 Hz.
    pub max_rate_hz: u32,
    /// Maximum size of tags, pictures and indices in bytes. Default: 64 MiB.
    pub max_metadata_bytes: u64,
}

impl Default for AudioLimits {
    fn default() -> Self {
        // Local files may carry more pictures than uploads.
        Self { max_metadata_bytes: 64 << 20, ..Self::from(&Limits::default()) }
    }
}

/// Takes a service's limits on audio.
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
            Err(DecodeError::Limit(format!("sample rate {rate_hz} Hz; minimum {} Hz", self.min_rate_hz)))
        } else if rate_hz > self.max_rate_hz {
            Err(DecodeError::Limit(format!("sample rate {rate_hz} Hz; maximum {} Hz", self.max_rate_hz)))
        } else {
            Ok(())
        }
    }

    pub(super) fn check_channels(&self, channels: usize) -> Result<(), DecodeError> {
        if channels == 0 {
            Err(DecodeError::Malformed("the header states 0 channels".into()))
        } else if channels > usize::from(self.max_channels) {
            Err(DecodeError::Limit(format!("{channels} channels; maximum {}", self.max_channels)))
        } else {
            Ok(())
        }
    }

    pub(super) fn check_metadata(&self, bytes: u64) -> Result<(), DecodeError> {
        if bytes > self.max_metadata_bytes {
            let most = self.max_metadata_bytes;
            Err(DecodeError::Limit(format!("{bytes} bytes of tags, pictures or indices; maximum {most}")))
        } else {
            Ok(())
        }
    }

    pub(super) fn check_frames(&self, frames: u64, rate_hz: u32) -> Result<(), DecodeError> {
        if frames > self.max_frames(rate_hz) {
            let (is, most) = (frames / u64::from(rate_hz.max(1)), self.max_duration_s);
            Err(DecodeError::Limit(format!("the audio has {is} seconds or more; maximum {most}")))
        } else {
            Ok(())
        }
    }

    fn max_frames(&self, rate_hz: u32) -> u64 {
        self.max_duration_s.saturating_mul(u64::from(rate_hz))
    }
}

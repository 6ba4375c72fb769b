//! Limits on all external input.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The limits that every parser and endpoint enforces.
///
/// A value outside them is rejected before it costs memory or time. All are plain fields, so a configuration can embed
/// this struct and a test can override one limit:
///
/// ```
/// use vocalizer_api::limits::Limits;
///
/// let tiny = Limits { max_upload_bytes: 16, ..Limits::for_testing() };
/// assert!(tiny.check().is_ok());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Largest song file. Default: 75 MiB, which is how nginx reads `client_max_body_size 75m`: a decimal 75 MB would
    /// reject files that nginx accepts.
    pub max_upload_bytes: u64,
    /// Longest title, in characters (not bytes, so that every script gets the same length). Default: 200.
    pub max_title_chars: usize,
    /// Longest decoded song; a small file can contain hours of silence. Default: 6 hours.
    pub max_duration_s: u64,
    /// Most channels. Default: 8, which is 7.1 surround.
    pub max_channels: u16,
    /// Lowest sample rate. Default: 1 000 Hz; lower ones occur only in corrupt headers.
    pub min_rate_hz: u32,
    /// Highest sample rate. Default: 384 000 Hz; 768 kHz is rejected.
    pub max_rate_hz: u32,
    /// Largest single stem file in a result. Default: 1 GiB: six hours of MP3 at 320 kbit/s are 864 MB.
    pub max_stem_bytes: u64,
    /// Most bytes of tags and cover pictures read from one file. Default: 16 MiB.
    pub max_metadata_bytes: u64,
    /// Most share links of one song. Default: 100. 0 turns sharing off.
    pub max_shares: u32,
    /// Most webhooks of one user. Default: 20. 0 turns webhooks off.
    pub max_webhooks: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_upload_bytes: 75 * 1024 * 1024,
            max_title_chars: 200,
            max_duration_s: 6 * 60 * 60,
            max_channels: 8,
            min_rate_hz: 1_000,
            max_rate_hz: 384_000,
            max_stem_bytes: 1024 * 1024 * 1024,
            max_metadata_bytes: 16 * 1024 * 1024,
            max_shares: 100,
            max_webhooks: 20,
        }
    }
}

impl Limits {
    /// Returns limits that a test can exceed in milliseconds; rates and channels are the defaults.
    #[must_use]
    pub fn for_testing() -> Self {
        Self {
            max_upload_bytes: 1024 * 1024,
            max_title_chars: 20,
            max_duration_s: 30,
            max_stem_bytes: 2 * 1024 * 1024,
            max_metadata_bytes: 64 * 1024,
            max_shares: 3,
            max_webhooks: 3,
            ..Self::default()
        }
    }

    /// Checks at start-up that the limits are usable.
    ///
    /// # Errors
    ///
    /// [`LimitsError::Zero`] names a limit of zero; [`LimitsError::NoRate`] if the lowest rate is above the highest.
    pub fn check(&self) -> Result<(), LimitsError> {
        // No `..` here: a new field does not compile until it is checked too.
        let &Self {
            max_upload_bytes,
            max_title_chars,
            max_duration_s,
            max_channels,
            min_rate_hz,
            max_rate_hz,
            max_stem_bytes,
            max_metadata_bytes,
            max_shares: _,
            max_webhooks: _,
        } = self;
        let bounds = [
            ("max_upload_bytes", max_upload_bytes == 0),
            ("max_title_chars", max_title_chars == 0),
            ("max_duration_s", max_duration_s == 0),
            ("max_channels", max_channels == 0),
            ("min_rate_hz", min_rate_hz == 0),
            ("max_rate_hz", max_rate_hz == 0),
            ("max_stem_bytes", max_stem_bytes == 0),
            ("max_metadata_bytes", max_metadata_bytes == 0),
        ];
        if let Some((name, _)) = bounds.into_iter().find(|&(_, is_zero)| is_zero) {
            return Err(LimitsError::Zero { name });
        }
        if min_rate_hz > max_rate_hz {
            return Err(LimitsError::NoRate { min_rate_hz, max_rate_hz });
        }
        Ok(())
    }
}

/// Limits that would reject all input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LimitsError {
    /// A limit of zero rejects everything.
    #[error("{name} must not be 0: it would reject everything")]
    Zero {
        /// The field's name.
        name: &'static str,
    },
    /// The range of sample rates is empty.
    #[error("min_rate_hz ({min_rate_hz}) is above max_rate_hz ({max_rate_hz})")]
    NoRate {
        /// The configured lowest rate.
        min_rate_hz: u32,
        /// The configured highest rate.
        max_rate_hz: u32,
    },
}

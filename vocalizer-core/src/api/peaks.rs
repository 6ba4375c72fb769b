//! Peaks on the wire.

use serde::{Deserialize, Serialize};

use crate::ports::Peaks;

/// The `data` of an answer about peaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PeaksData {
    /// The peaks.
    pub peaks: PeaksView,
}

/// How loud a part is over its length, for drawing it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PeaksView {
    /// The sample rate.
    pub rate_hz: u32,
    /// The length, in frames of that rate.
    pub frames: u64,
    /// How many frames each value is of; the last may be of fewer.
    pub frames_per_value: u64,
    /// The loudest sample of each stretch, from 0 to 255 for full scale; at most 2048.
    pub values: Vec<u8>,
}

impl From<&Peaks> for PeaksView {
    fn from(peaks: &Peaks) -> Self {
        Self {
            rate_hz: peaks.rate_hz(),
            frames: peaks.frames(),
            frames_per_value: peaks.frames_per_value(),
            values: peaks.values().to_vec(),
        }
    }
}

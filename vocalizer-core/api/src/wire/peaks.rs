//! Peaks as JSON.

use serde::{Deserialize, Serialize};

/// The `data` of a response about peaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PeaksData {
    /// The peaks.
    pub peaks: PeaksView,
}

/// The loudness of a part, or of a range of it, over time, for drawing its waveform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct PeaksView {
    /// The sample rate.
    pub rate_hz: u32,
    /// The length of the whole part in frames.
    pub frames: u64,
    /// Where the first value begins.
    #[serde(default)]
    pub first_frame: u64,
    /// Frames per value; the last value may cover fewer.
    pub frames_per_value: u64,
    /// The peak of each interval, from 0 to 255 (full scale); at most 2048 values.
    pub values: Vec<u8>,
}

impl PeaksView {
    /// Returns peaks from the start.
    #[must_use]
    pub const fn new(rate_hz: u32, frames: u64, frames_per_value: u64, values: Vec<u8>) -> Self {
        Self { rate_hz, frames, first_frame: 0, frames_per_value, values }
    }
}

//! Audio peaks, for drawing waveforms.

use std::ops::Range;

/// The peak of each interval of an audio file.
///
/// The interval doubles while the file is read, so that there are never more than [`Peaks::MOST`] values and, once
/// there were that many, never fewer than half: enough to zoom in at any length. [`Peaks::section`] returns as many as a
/// client draws.
///
/// ```
/// use vocalizer_core::ports::Peaks;
///
/// let mut peaks = Peaks::new(44_100);
/// peaks.extend([0.5_f32, -1.0].into_iter());
/// assert_eq!((peaks.frames(), peaks.values()), (2, &[255][..]));
///
/// peaks.extend(std::iter::repeat_n(0.25, 1_000_000));
/// assert!(peaks.values().len() > 3_900);
/// let overview = peaks.section(0..peaks.frames(), Peaks::DRAWN);
/// assert_eq!((overview.values.len(), overview.frames_per_value), (1_954, 512));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peaks {
    rate_hz: u32,
    frames: u64,
    frames_per_value: u64,
    values: Vec<u8>,
}

/// The initial interval in frames: some milliseconds.
const FIRST_INTERVAL: u64 = 256;

/// The size of the header in the stored form.
const HEADER_BYTES: usize = 4 + 8 + 8;

/// The peaks of a range of frames, with fewer values than all [`Peaks`] have.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeaksSection {
    /// The sample rate in Hz.
    pub rate_hz: u32,
    /// The length of the whole file in frames.
    pub frames: u64,
    /// Where the first value begins: at the start of the range or, at most one interval, before it.
    pub first_frame: u64,
    /// Frames per value; the last value may cover fewer.
    pub frames_per_value: u64,
    /// The values; 255 is full scale.
    pub values: Vec<u8>,
}

impl Peaks {
    /// The maximum number of values: 25 minutes at 44.1 kHz have the initial interval.
    pub const MOST: usize = 1 << 18;

    /// The maximum number of values for one drawing, about two per pixel of a screen's width.
    pub const DRAWN: usize = 2_048;

    /// Creates empty peaks at this sample rate.
    #[must_use]
    pub const fn new(rate_hz: u32) -> Self {
        Self { rate_hz, frames: 0, frames_per_value: FIRST_INTERVAL, values: Vec::new() }
    }

    /// Adds frames, each given as its louder channel with full scale at 1 and -1. NaN counts as silence.
    pub fn extend(&mut self, frames: impl Iterator<Item = f32>) {
        let mut left = self.values.len() as u64 * self.frames_per_value - self.frames;
        for sample in frames {
            if left == 0 {
                if self.values.len() == Self::MOST {
                    self.values = self.values.chunks(2).map(|pair| pair.iter().copied().fold(0, u8::max)).collect();
                    self.frames_per_value *= 2;
                }
                self.values.push(0);
                left = self.frames_per_value;
            }
            left -= 1;
            self.frames += 1;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "the value is 0 to 255, or NaN, which becomes 0"
            )]
            let value = (sample.abs().clamp(0.0, 1.0) * 255.0).round() as u8;
            if let Some(last) = self.values.last_mut() {
                *last = value.max(*last);
            }
        }
    }

    /// Returns the sample rate in Hz.
    #[must_use]
    pub const fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    /// Returns the length in frames.
    #[must_use]
    pub const fn frames(&self) -> u64 {
        self.frames
    }

    /// Returns the number of frames per value; the last value may cover fewer.
    #[must_use]
    pub const fn frames_per_value(&self) -> u64 {
        self.frames_per_value
    }

    /// Returns the values; 255 is full scale.
    #[must_use]
    pub fn values(&self) -> &[u8] {
        &self.values
    }

    /// Returns whether there are as many values as there can be. Earlier versions stored at most [`Self::DRAWN`].
    #[must_use]
    pub const fn is_fine(&self) -> bool {
        self.frames_per_value == FIRST_INTERVAL || self.values.len() > Self::MOST / 2
    }

    /// Returns the peaks of a range of frames, in at most `most` values (at least one). The interval is the stored one
    /// or that one doubled, as often as necessary, and begins at its multiples: so neighbouring sections of equal
    /// lengths fit together. A range beyond the end has no values.
    #[must_use]
    pub fn section(&self, range: Range<u64>, most: usize) -> PeaksSection {
        let (most, start, end) = (most.max(1) as u64, range.start, range.end.min(self.frames));
        let (mut each, mut per_value) = (self.frames_per_value, 1_usize);
        while start < end && end.div_ceil(each) - start / each > most {
            (each, per_value) = (each.saturating_mul(2), per_value.saturating_mul(2));
        }
        let (first, past) = if start < end { (start / each, end.div_ceil(each)) } else { (0, 0) };
        let [skip, take] = [first, past - first].map(|count| usize::try_from(count).unwrap_or(usize::MAX));
        let loudest = |values: &[u8]| values.iter().copied().fold(0, u8::max);
        PeaksSection {
            rate_hz: self.rate_hz,
            frames: self.frames,
            first_frame: first * each,
            frames_per_value: each,
            values: self.values.chunks(per_value).skip(skip).take(take).map(loudest).collect(),
        }
    }

    /// Encodes the peaks for storage.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let Self { rate_hz, frames, frames_per_value, values } = self;
        [&rate_hz.to_le_bytes()[..], &frames.to_le_bytes(), &frames_per_value.to_le_bytes(), values].concat()
    }

    /// Decodes stored peaks; `None` if the bytes are not valid.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (header, values) = bytes.split_at_checked(HEADER_BYTES)?;
        let (rate_hz, header) = header.split_first_chunk()?;
        let (frames, header) = header.split_first_chunk()?;
        let (rate_hz, frames) = (u32::from_le_bytes(*rate_hz), u64::from_le_bytes(*frames));
        let frames_per_value = u64::from_le_bytes(header.try_into().ok()?);
        let is_valid = frames_per_value > 0 && frames.div_ceil(frames_per_value) == values.len() as u64;
        is_valid.then(|| Self { rate_hz, frames, frames_per_value, values: values.to_vec() })
    }
}

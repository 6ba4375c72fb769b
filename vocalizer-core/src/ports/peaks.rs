//! How loud a piece of music is over its length: what a waveform is drawn from.

/// The loudest sample of each stretch of a piece of music.
///
/// Stretches double while a piece is read, so that there are never more than [`Peaks::MOST`] of them and, once there are
/// that many, never fewer than half: enough for a screen's width, whatever the length.
///
/// ```
/// use vocalizer_core::ports::Peaks;
///
/// let mut peaks = Peaks::new(44_100);
/// peaks.extend([0.5_f32, -1.0].into_iter());
/// assert_eq!((peaks.frames(), peaks.values()), (2, &[255][..]));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peaks {
    rate_hz: u32,
    frames: u64,
    frames_per_value: u64,
    values: Vec<u8>,
}

/// The least of a stretch: some milliseconds.
const FIRST_STRETCH: u64 = 256;

/// What stands before the values where they are stored.
const HEAD_BYTES: usize = 4 + 8 + 8;

impl Peaks {
    /// Most values there are.
    pub const MOST: usize = 2_048;

    /// Those of nothing yet, at this rate.
    #[must_use]
    pub const fn new(rate_hz: u32) -> Self {
        Self { rate_hz, frames: 0, frames_per_value: FIRST_STRETCH, values: Vec::new() }
    }

    /// Reads on: the louder channel of each frame, full scale at 1 and -1. What is no number is silence.
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
                reason = "it is from 0 to 255, or no number, which becomes 0"
            )]
            let value = (sample.abs().clamp(0.0, 1.0) * 255.0).round() as u8;
            if let Some(last) = self.values.last_mut() {
                *last = value.max(*last);
            }
        }
    }

    /// The sample rate.
    #[must_use]
    pub const fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    /// The length.
    #[must_use]
    pub const fn frames(&self) -> u64 {
        self.frames
    }

    /// How many frames each value is of; the last may be of fewer.
    #[must_use]
    pub const fn frames_per_value(&self) -> u64 {
        self.frames_per_value
    }

    /// The values, 255 for full scale.
    #[must_use]
    pub fn values(&self) -> &[u8] {
        &self.values
    }

    /// As they are stored.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let Self { rate_hz, frames, frames_per_value, values } = self;
        [&rate_hz.to_le_bytes()[..], &frames.to_le_bytes(), &frames_per_value.to_le_bytes(), values].concat()
    }

    /// Back from how they are stored; `None` for what was never stored like this.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (head, values) = bytes.split_at_checked(HEAD_BYTES)?;
        let (rate_hz, head) = head.split_first_chunk()?;
        let (frames, head) = head.split_first_chunk()?;
        let (rate_hz, frames) = (u32::from_le_bytes(*rate_hz), u64::from_le_bytes(*frames));
        let frames_per_value = u64::from_le_bytes(head.try_into().ok()?);
        let whole = frames_per_value > 0 && frames.div_ceil(frames_per_value) == values.len() as u64;
        whole.then(|| Self { rate_hz, frames, frames_per_value, values: values.to_vec() })
    }
}

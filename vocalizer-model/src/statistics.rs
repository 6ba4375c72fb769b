//! Properties of a whole song, computed block by block.

use crate::audio::Frame;

/// Properties of the whole song, needed before the first segment. [`Statistics`] measures them.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct SongStatistics {
    /// Frames at the model's rate.
    pub frames: u64,
    /// Mean of the mono mix.
    pub mean: f32,
    /// Unbiased standard deviation of the mono mix.
    pub std: f32,
    /// Mean of the left and of the right channel.
    pub channel_means: [f32; 2],
}

impl SongStatistics {
    /// Creates the statistics of a song whose channels have the same mean.
    pub fn new(frames: u64, mean: f32, std: f32) -> Self {
        Self { frames, mean, std, channel_means: [mean; 2] }
    }

    /// Returns the standard deviation that divides by the number of frames.
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "a factor near 1")]
    pub(crate) fn population_std(&self) -> f32 {
        let frames = self.frames.max(1) as f64;
        (f64::from(self.std) * ((frames - 1.0) / frames).sqrt()) as f32
    }
}

/// Measures the [`SongStatistics`] of a song, block by block: Welford's running means and sum of squares.
///
/// ```
/// use vocalizer_model::Statistics;
///
/// let mut statistics = Statistics::default();
/// for block in [[[0.5, 0.5]; 100], [[-0.5, -0.5]; 100]] {
///     statistics.push(&block);
/// }
/// assert!(!statistics.is_silent());
/// let song = statistics.finish();
/// assert_eq!((song.frames, song.mean.abs() < 1e-6), (200, true));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Statistics {
    frames: u64,
    loudest: f32,
    mean: f64,
    squares: f64,
    /// Mean of half the difference of left and right.
    side_mean: f64,
}

#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "statistics, used as f32")]
impl Statistics {
    /// Adds the next frames of the song, at the model's rate.
    pub fn push(&mut self, block: &[Frame]) {
        for [left, right] in block {
            self.frames += 1;
            let mono = f64::from((left + right) / 2.0);
            let delta = mono - self.mean;
            self.mean += delta / self.frames as f64;
            self.squares += delta * (mono - self.mean);
            self.side_mean += (f64::from((left - right) / 2.0) - self.side_mean) / self.frames as f64;
            self.loudest = self.loudest.max(left.abs()).max(right.abs());
        }
    }

    /// Returns whether all samples are zero. Such a song has silent stems and needs no separation.
    pub fn is_silent(&self) -> bool {
        self.loudest == 0.0
    }

    /// Returns the statistics of the frames so far.
    pub fn finish(&self) -> SongStatistics {
        let std = (self.squares / (self.frames.saturating_sub(1).max(1)) as f64).sqrt();
        let channel_means = [self.mean + self.side_mean, self.mean - self.side_mean].map(|mean| mean as f32);
        SongStatistics { frames: self.frames, mean: self.mean as f32, std: std as f32, channel_means }
    }
}

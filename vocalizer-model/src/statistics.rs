//! Properties of a whole song, computed block by block.

use crate::SongStatistics;
use crate::audio::Frame;

/// Welford's running mean and sum of squares of the mono mix, and the loudest sample.
#[derive(Debug, Default)]
pub(crate) struct Statistics {
    frames: u64,
    loudest: f32,
    mean: f64,
    squares: f64,
}

#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "statistics, used as f32")]
impl Statistics {
    pub(crate) fn push(&mut self, block: &[Frame]) {
        for [left, right] in block {
            self.frames += 1;
            let mono = f64::from((left + right) / 2.0);
            let delta = mono - self.mean;
            self.mean += delta / self.frames as f64;
            self.squares += delta * (mono - self.mean);
            self.loudest = self.loudest.max(left.abs()).max(right.abs());
        }
    }

    /// Returns whether all samples are zero.
    pub(crate) fn is_silent(&self) -> bool {
        self.loudest == 0.0
    }

    pub(crate) fn finish(self) -> SongStatistics {
        let std = (self.squares / (self.frames.saturating_sub(1).max(1)) as f64).sqrt();
        SongStatistics { frames: self.frames, mean: self.mean as f32, std: std as f32 }
    }
}

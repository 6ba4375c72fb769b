//! Where the song starts and ends within the decoded frames.

use super::mp4::Gapless;

/// Fewer frames than stated, by up to this number, are no missing end of an MP4: its tables round.
const MP4_SLACK_FRAMES: u64 = 2_048;

/// How to trim a track, and its minimum length.
#[derive(Debug, Clone, Copy)]
pub(super) enum Trim {
    /// Numbers of frames.
    Frames(Range),
    /// An edit list, and the length of all samples in ticks.
    Mp4(Gapless, Option<u64>),
}

/// A range of frames.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    /// Frames to drop at the start.
    pub(super) skip: u64,
    /// Frames to return after those.
    pub(super) total: Option<u64>,
    /// The length that the container states.
    pub(super) stated: Option<u64>,
    /// Fewer frames than this mean that the file is truncated.
    pub(super) needed: u64,
}

impl Trim {
    pub(super) fn frames(skip: u64, total: Option<u64>, stated: Option<u64>, needed: u64) -> Self {
        Self::Frames(Range { skip, total, stated, needed })
    }

    pub(super) fn mp4(gapless: Gapless, ticks: Option<u64>) -> Self {
        Self::Mp4(gapless, ticks)
    }

    /// Returns whether the container states the length.
    pub(super) fn states_length(self) -> bool {
        match self {
            Self::Frames(range) => range.stated.is_some(),
            Self::Mp4(gapless, ticks) => gapless.total.or(ticks).is_some(),
        }
    }

    /// Returns the range at the true sample rate.
    pub(super) fn at(self, rate_hz: u32) -> Range {
        let (gapless, ticks) = match self {
            Self::Frames(range) => return range,
            Self::Mp4(gapless, ticks) => (gapless, ticks),
        };
        let scale = |ticks: u64| match gapless.timescale {
            0 => ticks,
            scale if scale == rate_hz => ticks,
            scale => u64::try_from(u128::from(ticks) * u128::from(rate_hz) / u128::from(scale)).unwrap_or(u64::MAX),
        };
        let skip = scale(gapless.skip);
        let available = ticks.map(|ticks| scale(ticks).saturating_sub(skip));
        let total = match (gapless.total.map(scale), available) {
            (Some(total), Some(available)) if total.abs_diff(available) <= scale(gapless.slack) => Some(available),
            (Some(total), Some(available)) => Some(total.min(available)),
            (total, available) => total.or(available),
        };
        Range { skip, total, stated: total, needed: total.unwrap_or(0).saturating_sub(MP4_SLACK_FRAMES) }
    }
}

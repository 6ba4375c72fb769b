//! Reads a song, or a part of it, block by block at the model's rate.

use std::path::{Path, PathBuf};

use crate::audio::{AudioReader, AudioWarning, Frame, Resampler};
use crate::{Error, SplitOptions};

/// The frames of a song, or of the part of it that the options choose.
pub(crate) struct Blocks {
    reader: AudioReader,
    path: PathBuf,
    resampler: Resampler,
    /// The part, in frames of the song.
    start: u64,
    end: Option<u64>,
    /// How many frames of the song are decoded.
    position: u64,
    decoded: Vec<Frame>,
    resampled: Vec<Frame>,
    ended: bool,
}

impl Blocks {
    pub(crate) fn open(path: &Path, options: &SplitOptions, rate_hz: u32) -> Result<Self, Error> {
        let reader = AudioReader::open_with(path, &options.limits, &options.read).map_err(Error::decode(path))?;
        let from_hz = reader.info().rate_hz;
        Ok(Self {
            resampler: Resampler::new(from_hz, rate_hz)?,
            start: options.start_s.map_or(0, |start_s| frames(start_s, from_hz)),
            end: options.end_s.map(|end_s| frames(end_s, from_hz)),
            reader,
            path: path.to_owned(),
            position: 0,
            decoded: Vec::new(),
            resampled: Vec::new(),
            ended: false,
        })
    }

    /// Returns the next frames at the model's rate, which may be none. `None` after the end of the part.
    pub(crate) fn next(&mut self) -> Result<Option<&[Frame]>, Error> {
        if self.ended {
            return Ok(None);
        }
        self.decoded.clear();
        self.resampled.clear();
        let more = self.reader.read(&mut self.decoded).map_err(Error::decode(&self.path))?;
        let count = self.decoded.len();
        let within = |at: u64| usize::try_from(at.saturating_sub(self.position)).unwrap_or(usize::MAX).min(count);
        let (first, last) = (within(self.start), self.end.map_or(count, within));
        self.position += count as u64;
        self.ended = !more || self.end.is_some_and(|end| self.position >= end);
        self.resampler.push(self.decoded.get(first..last).unwrap_or_default(), &mut self.resampled)?;
        if self.ended {
            self.resampler.finish(&mut self.resampled)?;
        }
        Ok(Some(&self.resampled))
    }

    /// Checks at the end that the part lies in the song.
    ///
    /// # Errors
    ///
    /// [`Error::Part`] if it does not; [`Error::Options`] if it has no frames.
    pub(crate) fn check_part(&self) -> Result<(), Error> {
        let problem = match self.end {
            Some(end) if end > self.position => "ends after the song",
            _ if self.start > 0 && self.start >= self.position => "starts after the song",
            Some(end) if end <= self.start => {
                return Err(Error::Options("the part to split is shorter than one sample; choose a later end".into()));
            }
            _ => return Ok(()),
        };
        #[expect(clippy::cast_precision_loss, reason = "seconds")]
        let song_s = self.position as f64 / f64::from(self.rate_hz().max(1));
        Err(Error::Part { path: self.path.clone(), problem, song_s })
    }

    /// Returns the song's own sample rate.
    pub(crate) fn rate_hz(&self) -> u32 {
        self.reader.info().rate_hz
    }

    /// Returns the length of the part so far, in frames of the song.
    pub(crate) fn frames(&self) -> u64 {
        self.end.map_or(self.position, |end| end.min(self.position)).saturating_sub(self.start)
    }

    /// Returns what is damaged or unusual in the song so far.
    pub(crate) fn warnings(&self) -> Vec<AudioWarning> {
        self.reader.warnings()
    }
}

/// Returns a position in frames.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked range")]
fn frames(seconds: f64, rate_hz: u32) -> u64 {
    (seconds * f64::from(rate_hz)).round() as u64
}

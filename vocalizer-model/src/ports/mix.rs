//! Audio files added up, block by block.

use std::path::PathBuf;

use vocalizer_core::ports::AudioError;

use super::error;
use crate::audio::{AudioLimits, AudioReader, Frame, Resampler, scaled};

/// How far the sum goes at a time: a tenth of a second.
const BLOCK_FRAMES: usize = 4_096;

/// The sum of some files, as long as the longest. What exceeds full scale is cut there, as every player would cut it.
pub(super) struct Mix {
    tracks: Vec<Track>,
    sum: Vec<Frame>,
    /// The length, as far as the files state theirs.
    pub(super) stated_frames: u64,
    pub(super) rate_hz: u32,
}

/// One of the files.
struct Track {
    reader: AudioReader,
    resampler: Resampler,
    gain: f32,
    decoded: Vec<Frame>,
    ready: Vec<Frame>,
    ended: bool,
}

impl Mix {
    /// Opens the files, each with what its samples are multiplied by. The sum has the rate that `rate_hz` makes of the
    /// first one's.
    pub(super) fn open(
        files: &[(PathBuf, f32)],
        limits: &AudioLimits,
        rate_hz: impl FnOnce(u32) -> u32,
    ) -> Result<Self, AudioError> {
        let readers = files.iter().map(|(file, _)| AudioReader::open(file, limits)).collect::<Result<Vec<_>, _>>();
        let readers = readers.map_err(error::decode)?;
        let first = readers.first().ok_or_else(|| AudioError::Failed("there is nothing to be added up".into()))?;
        let rate_hz = rate_hz(first.info().rate_hz);
        let stated = |reader: &AudioReader| scaled(reader.info().frames.unwrap_or(0), reader.info().rate_hz, rate_hz);
        let stated_frames = readers.iter().map(stated).max().unwrap_or(0);
        let tracks = readers.into_iter().zip(files).map(|(reader, &(_, gain))| Track::new(reader, rate_hz, gain));
        let tracks = tracks.collect::<Result<_, _>>()?;
        Ok(Self { tracks, sum: Vec::new(), stated_frames, rate_hz })
    }

    /// The next frames, as many as a block or those that are left; none at the end.
    pub(super) fn next(&mut self) -> Result<&[Frame], AudioError> {
        for track in &mut self.tracks {
            track.fill()?;
        }
        // Only what has ended has less than a block ready, and nothing comes after it.
        let count = self.tracks.iter().map(|track| track.ready.len().min(BLOCK_FRAMES)).max().unwrap_or(0);
        self.sum.clear();
        self.sum.resize(count, [0.0; 2]);
        for track in &mut self.tracks {
            let count = count.min(track.ready.len());
            for (sum, frame) in self.sum.iter_mut().zip(track.ready.drain(..count)) {
                sum[0] += track.gain * frame[0];
                sum[1] += track.gain * frame[1];
            }
        }
        self.sum.iter_mut().flatten().for_each(|sample| *sample = sample.clamp(-1.0, 1.0));
        Ok(&self.sum)
    }
}

impl Track {
    fn new(reader: AudioReader, to_hz: u32, gain: f32) -> Result<Self, AudioError> {
        let resampler = Resampler::new(reader.info().rate_hz, to_hz).map_err(error::resample)?;
        Ok(Self { reader, resampler, gain, decoded: Vec::new(), ready: Vec::new(), ended: false })
    }

    /// Decodes until a block is ready, or the end is reached.
    fn fill(&mut self) -> Result<(), AudioError> {
        while self.ready.len() < BLOCK_FRAMES && !self.ended {
            self.decoded.clear();
            self.ended = !self.reader.read(&mut self.decoded).map_err(error::decode)?;
            self.resampler.push(&self.decoded, &mut self.ready).map_err(error::resample)?;
            if self.ended {
                self.resampler.finish(&mut self.ready).map_err(error::resample)?;
            }
        }
        Ok(())
    }
}

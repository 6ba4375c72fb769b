//! Mixes audio files, block by block.

use std::path::PathBuf;

use vocalizer_core::ports::AudioError;

use super::error;
use crate::audio::{AudioLimits, AudioReader, Frame, Resampler, scaled};

/// Frames per block of the sum: about a tenth of a second.
const BLOCK_FRAMES: usize = 4_096;

/// The sum of several files, as long as the longest. Clamped at full scale, as every player would.
pub(super) struct Mix {
    tracks: Vec<Track>,
    sum: Vec<Frame>,
    /// The longest length that the files state.
    pub(super) stated_frames: u64,
    pub(super) rate_hz: u32,
    /// Whether a file has more than 16 bits per sample.
    pub(super) is_deep: bool,
}

/// One input file.
struct Track {
    reader: AudioReader,
    resampler: Resampler,
    gain: f32,
    decoded: Vec<Frame>,
    ready: Vec<Frame>,
    ended: bool,
}

impl Mix {
    /// Opens the files, each with its gain. `rate_hz` maps the sample rate of the first file to that of the sum.
    pub(super) fn open(
        files: &[(PathBuf, f32)],
        limits: &AudioLimits,
        rate_hz: impl FnOnce(u32) -> u32,
    ) -> Result<Self, AudioError> {
        let readers = files.iter().map(|(file, _)| AudioReader::open(file, limits)).collect::<Result<Vec<_>, _>>();
        let readers = readers.map_err(error::decode)?;
        let first = readers.first().ok_or_else(|| AudioError::Failed("no files to mix".into()))?;
        let rate_hz = rate_hz(first.info().rate_hz);
        let stated = |reader: &AudioReader| scaled(reader.info().frames.unwrap_or(0), reader.info().rate_hz, rate_hz);
        let stated_frames = readers.iter().map(stated).max().unwrap_or(0);
        let is_deep = readers.iter().any(|reader| reader.info().bits.is_some_and(|bits| bits > 16));
        let tracks = readers.into_iter().zip(files).map(|(reader, &(_, gain))| Track::new(reader, rate_hz, gain));
        let tracks = tracks.collect::<Result<_, _>>()?;
        Ok(Self { tracks, sum: Vec::new(), stated_frames, rate_hz, is_deep })
    }

    /// Returns the next block of frames, shorter at the end, and empty after it.
    pub(super) fn next(&mut self) -> Result<&[Frame], AudioError> {
        for track in &mut self.tracks {
            track.fill()?;
        }
        // Only an ended track has less than a block ready.
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

    /// Decodes until a block is ready or the file ends.
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

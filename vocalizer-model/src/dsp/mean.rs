//! The mean of several estimates of one signal in the spectrum, as a stream.

use super::spectra::{Spectra, Window};
use crate::audio::Frame;

/// Points of the transform, and frames between two transforms.
const NFFT: usize = 4096;
const HOP: usize = 1024;

/// Frames that are computed at once, besides the context on both sides.
const BLOCK: usize = 64 * HOP;

/// Takes the mean of the magnitudes of estimates, with the phase of their sum. Blocks with enough context on both sides give the
/// same as the transform of the whole song.
pub(crate) struct SpectralMean {
    spectra: Spectra,
    /// Frames of the song that have not come yet.
    left: u64,
    /// Frames of each estimate. The first of them is at a multiple of the hop.
    buffers: Vec<Vec<Frame>>,
    /// How many of them are given out already and only context.
    before: usize,
}

impl SpectralMean {
    pub(crate) fn new(estimates: usize, song_frames: u64) -> Self {
        Self {
            spectra: Spectra::new(NFFT, HOP, Window::Hann, false),
            left: song_frames,
            buffers: vec![Vec::new(); estimates],
            before: 0,
        }
    }

    /// Takes the next frames of each estimate, as many of each. Appends the frames of the mean that are final now to `out`: all of
    /// them at the end of the song.
    ///
    /// # Shapes
    ///
    /// - `estimates`: `[estimates][frames]`
    pub(crate) fn push(&mut self, estimates: &[&[Frame]], out: &mut Vec<Frame>) {
        self.left = self.left.saturating_sub(estimates.first().map_or(0, |frames| frames.len() as u64));
        self.buffers.iter_mut().zip(estimates).for_each(|(buffer, frames)| buffer.extend_from_slice(frames));
        loop {
            let held = self.buffers.first().map_or(0, Vec::len);
            let whole = self.before + BLOCK + NFFT;
            let (ready, end) = if held >= whole {
                (BLOCK, whole)
            } else if self.left == 0 {
                (held - self.before, held)
            } else {
                (0, 0)
            };
            if ready == 0 {
                return;
            }
            let [left, right] = [0, 1].map(|channel| self.mean(channel, end));
            let given = self.before..self.before + ready;
            out.extend(left[given.clone()].iter().zip(&right[given.clone()]).map(|(&l, &r)| [l, r]));
            let unneeded = given.end.saturating_sub(NFFT);
            self.buffers.iter_mut().for_each(|buffer| drop(buffer.drain(..unneeded)));
            self.before = given.end - unneeded;
        }
    }

    /// Returns the mean of a channel over the first `end` frames.
    fn mean(&self, channel: usize, end: usize) -> Vec<f32> {
        let signal = |buffer: &Vec<Frame>| {
            let mut signal: Vec<f32> = buffer.iter().take(end).map(|frame| frame[channel]).collect();
            // The transform reflects half a window.
            signal.resize(end.max(NFFT / 2 + 1), 0.0);
            signal
        };
        let signals: Vec<_> = self.buffers.iter().map(signal).collect();
        let samples = signals.first().map_or(0, Vec::len);
        let plane = self.spectra.bins() * self.spectra.frames(samples);
        let planes = self.spectra.analyse_all(&signals);
        let mut mean = vec![0.0; 2 * plane];
        let (real, imaginary) = mean.split_at_mut(plane);
        for (at, (real, imaginary)) in real.iter_mut().zip(imaginary).enumerate() {
            let (mut magnitude, mut count) = (0.0_f32, 0.0_f32);
            for planes in planes.chunks(2 * plane) {
                let (re, im) = (planes[at], planes[plane + at]);
                *real += re;
                *imaginary += im;
                magnitude += re.hypot(im);
                count += 1.0;
            }
            let sum = real.hypot(*imaginary);
            let scale = if sum > 0.0 { magnitude / (count * sum) } else { 0.0 };
            *real *= scale;
            *imaginary *= scale;
        }
        let mut out = vec![0.0; samples];
        self.spectra.synthesise(&mean, &mut out);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(frames: usize, seed: u32) -> Vec<Frame> {
        let mut state = seed;
        let mut next = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 16_777_216.0 - 0.5
        };
        (0..frames).map(|_| [next(), next()]).collect()
    }

    /// Pushes estimates in blocks of this size.
    fn mean(estimates: &[Vec<Frame>], block: usize) -> Vec<Frame> {
        let frames = estimates[0].len();
        let (mut mean, mut out) = (SpectralMean::new(estimates.len(), frames as u64), Vec::new());
        for from in (0..frames).step_by(block) {
            let parts: Vec<_> = estimates.iter().map(|frames| &frames[from..frames.len().min(from + block)]).collect();
            mean.push(&parts, &mut out);
        }
        out
    }

    fn decibels(expected: &[Frame], actual: &[Frame]) -> f64 {
        assert_eq!(expected.len(), actual.len());
        let pairs = || expected.as_flattened().iter().zip(actual.as_flattened());
        let signal: f64 = pairs().map(|(&x, _)| f64::from(x).powi(2)).sum();
        let error: f64 = pairs().map(|(&x, &y)| (f64::from(x) - f64::from(y)).powi(2)).sum();
        10.0 * (signal / error.max(1e-300)).log10()
    }

    #[test]
    fn equal_estimates_are_their_mean() {
        for frames in [1, 100, NFFT / 2, NFFT, 20_001, BLOCK + NFFT, 3 * BLOCK + 77] {
            let song = noise(frames, 1);
            let mean = mean(&[song.clone(), song.clone(), song.clone()], 7_001);
            let db = decibels(&song, &mean);
            assert!(db > 110.0, "{frames} frames: {db:.1} dB");
        }
    }

    #[test]
    fn blocks_give_the_mean_of_the_whole_song() {
        let estimates = [noise(3 * BLOCK + 5_000, 1), noise(3 * BLOCK + 5_000, 2)];
        let whole = SpectralMean { buffers: estimates.to_vec(), ..SpectralMean::new(2, 0) };
        let [left, right] = [0, 1].map(|channel| whole.mean(channel, estimates[0].len()));
        let whole: Vec<_> = left.into_iter().zip(right).map(|(l, r)| [l, r]).collect();
        for block in [1_000, 90_000, 1 << 20] {
            let db = decibels(&whole, &mean(&estimates, block));
            assert!(db > 110.0, "blocks of {block}: {db:.1} dB");
        }
    }

    /// A quarter of a turn apart, the mean of the waveforms loses 3 dB.
    #[test]
    fn level_is_kept_whatever_the_phases() {
        let tone =
            |phase: f64| (0..40_000).map(|i| [(f64::from(i) * 0.1 + phase).sin() as f32; 2]).collect::<Vec<Frame>>();
        let turn = std::f64::consts::FRAC_PI_2;
        let mean = mean(&[tone(0.0), tone(turn)], 10_000);
        let inner = 5_000..35_000;
        let db = decibels(&tone(turn / 2.0)[inner.clone()], &mean[inner]);
        assert!(db > 60.0, "{db:.1} dB");
    }
}

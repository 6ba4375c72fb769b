//! The short-time Fourier transform of the reference, and its inverse.

use std::sync::Arc;

use rayon::prelude::*;
use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use vocalizer_kernels::memory::Buffer;

/// An STFT of `nfft` points with a Hann window and a hop of a quarter, scaled to preserve energy. The Nyquist bin is
/// dropped and the signal is reflected at its ends, so that frame `i` is centred on hop `i`.
pub(crate) struct Stft {
    nfft: usize,
    window: Vec<f32>,
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
}

impl Stft {
    /// # Panics
    ///
    /// If `nfft` is not a positive multiple of 8.
    pub(crate) fn new(nfft: usize) -> Self {
        assert!(nfft.is_multiple_of(8) && nfft > 0, "STFT size {nfft} is not a positive multiple of 8");
        let mut planner = RealFftPlanner::<f32>::new();
        #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "a window, stored as f32")]
        let window =
            (0..nfft).map(|i| (0.5 - 0.5 * (std::f64::consts::TAU * i as f64 / nfft as f64).cos()) as f32).collect();
        Self { nfft, window, forward: planner.plan_fft_forward(nfft), inverse: planner.plan_fft_inverse(nfft) }
    }

    fn hop(&self) -> usize {
        self.nfft / 4
    }

    /// Samples that the first frame reaches back before the first hop.
    fn lead(&self) -> usize {
        self.hop() / 2 * 3
    }

    /// Returns the tables for GPUs: the window, then `nfft` cosines and `nfft` sines of a full turn.
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    pub(crate) fn tables(&self) -> Vec<f32> {
        #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "roots, stored as f32")]
        let turn = |of: fn(f64) -> f64| {
            (0..self.nfft).map(move |i| of(std::f64::consts::TAU * i as f64 / self.nfft as f64) as f32)
        };
        self.window.iter().copied().chain(turn(f64::cos)).chain(turn(f64::sin)).collect()
    }

    /// Returns the number of bins per frame.
    pub(crate) fn bins(&self) -> usize {
        self.nfft / 2
    }

    /// Returns the number of frames of a signal of `samples`.
    pub(crate) fn frames(&self, samples: usize) -> usize {
        samples.div_ceil(self.hop())
    }

    /// Transforms a signal into its real and imaginary planes.
    ///
    /// # Shapes
    ///
    /// - `signal`: `[samples]`, more than 3/2 of `nfft`
    /// - `out`: `[2, bins, frames]`
    pub(crate) fn analyse(&self, signal: &[f32], out: &mut [f32]) {
        let (bins, frames, hop, lead) = (self.bins(), self.frames(signal.len()), self.hop(), self.lead());
        debug_assert_eq!(out.len(), 2 * bins * frames);
        debug_assert!(signal.len() > 2 * lead);
        let scale = self.scale();
        let mut input = self.forward.make_input_vec();
        let mut spectrum = self.forward.make_output_vec();
        let mut scratch = self.forward.make_scratch_vec();
        let (re, im) = out.split_at_mut(bins * frames);
        for frame in 0..frames {
            for (i, (x, w)) in input.iter_mut().zip(&self.window).enumerate() {
                *x = reflected(signal, frame * hop + i, lead) * w;
            }
            self.forward.process_with_scratch(&mut input, &mut spectrum, &mut scratch).expect("buffers from the plan");
            for (bin, value) in spectrum.iter().take(bins).enumerate() {
                re[bin * frames + frame] = value.re * scale;
                im[bin * frames + frame] = value.im * scale;
            }
        }
    }

    /// Adds the signal of a real and an imaginary plane to `out`. `of` is applied to each value first.
    ///
    /// # Shapes
    ///
    /// - `planes`: `[2, bins, frames]`
    /// - `out`: `[samples]`, added to
    pub(crate) fn synthesise(&self, planes: &[f32], of: impl Fn(f32) -> f32, out: &mut [f32]) {
        let (bins, frames, hop, lead) = (self.bins(), self.frames(out.len()), self.hop(), self.lead());
        debug_assert_eq!(planes.len(), 2 * bins * frames);
        // The squares of four Hann windows a hop apart sum to 3/2, except at the outer frames, where the reference has
        // two more frames on each side, all zero.
        let scale = self.scale() * (2.0 / 3.0);
        let mut spectrum = self.inverse.make_input_vec();
        let mut output = self.inverse.make_output_vec();
        let mut scratch = self.inverse.make_scratch_vec();
        let (re, im) = planes.split_at(bins * frames);
        for frame in 0..frames {
            for (bin, value) in spectrum.iter_mut().take(bins).enumerate() {
                *value = Complex::new(of(re[bin * frames + frame]), of(im[bin * frames + frame]));
            }
            spectrum[0].im = 0.0;
            spectrum[bins] = Complex::new(0.0, 0.0);
            self.inverse
                .process_with_scratch(&mut spectrum, &mut output, &mut scratch)
                .expect("buffers from the plan, real first and last bins");
            let skip = lead.saturating_sub(frame * hop);
            let start = (frame * hop).saturating_sub(lead);
            let windowed = output.iter().zip(&self.window).skip(skip);
            for (y, (x, w)) in out.iter_mut().skip(start).zip(windowed) {
                *y += x * w * scale;
            }
        }
    }

    /// Returns `1 / sqrt(nfft)`: the transform and its inverse share the scaling.
    fn scale(&self) -> f32 {
        #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "a scale, stored as f32")]
        let scale = (1.0 / (self.nfft as f64).sqrt()) as f32;
        scale
    }

    /// Runs [`Self::analyse`] on several signals in parallel.
    ///
    /// # Shapes
    ///
    /// - `signals`: `[channels][samples]`
    /// - output: `[channels, 2, bins, frames]`
    pub(crate) fn analyse_all(&self, signals: &[Vec<f32>]) -> Buffer {
        let frames = signals.first().map_or(0, |s| self.frames(s.len()));
        let plane = 2 * self.bins() * frames;
        let mut out = Buffer::of(signals.len() * plane);
        if plane > 0 {
            out.par_chunks_mut(plane).zip(signals).for_each(|(out, signal)| self.analyse(signal, out));
        }
        out
    }
}

/// Returns sample `at` of the signal extended by `lead` reflected samples at the start and by reflection at the end.
fn reflected(signal: &[f32], at: usize, lead: usize) -> f32 {
    let index = at.abs_diff(lead);
    let index = if index < signal.len() { index } else { 2 * (signal.len() - 1) - index };
    signal[index]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(samples: usize) -> Vec<f32> {
        let mut state = 0x9e37_79b9_u32;
        (0..samples)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                f32::from(i16::from_ne_bytes([(state >> 16) as u8, (state >> 24) as u8])) / 32_768.0
            })
            .collect()
    }

    #[test]
    fn inverse_restores_signal_without_nyquist_bin() {
        for samples in [44_100, 343_980, 20_001] {
            // Without the highest frequencies, which the dropped bin would hold.
            let x = noise(samples + 7);
            let smooth: Vec<f32> = x.windows(8).map(|w| w.iter().sum::<f32>() / 8.0).collect();
            let stft = Stft::new(4096);
            let planes = stft.analyse_all(std::slice::from_ref(&smooth));
            let mut back = vec![0.0; smooth.len()];
            stft.synthesise(&planes, |v| v, &mut back);
            // The outer hops lack frames that the reference drops as well.
            let inner = 2048..samples - 4096;
            let error: f64 = inner.clone().map(|i| f64::from(back[i] - smooth[i]).powi(2)).sum();
            let signal: f64 = inner.map(|i| f64::from(smooth[i]).powi(2)).sum();
            assert!(
                10.0 * (signal / error).log10() > 60.0,
                "{samples} samples: {} dB",
                10.0 * (signal / error).log10()
            );
        }
    }

    #[test]
    fn sine_energy_is_in_its_bin() {
        let stft = Stft::new(4096);
        let signal: Vec<f32> =
            (0..44_100).map(|i| (std::f64::consts::TAU * 100.0 * f64::from(i) / 4096.0).sin() as f32).collect();
        let frames = stft.frames(signal.len());
        let planes = stft.analyse_all(&[signal]);
        let magnitude = |bin: usize| {
            let (re, im) = (planes[bin * frames + 20], planes[(stft.bins() + bin) * frames + 20]);
            re.hypot(im)
        };
        // The sum of the window over 2, over the square root of the size: 4096 / 2 / 2 / 64.
        assert!((magnitude(100) - 16.0).abs() < 1e-3, "{}", magnitude(100));
        assert!(magnitude(110) < 1e-3);
    }
}

//! A short-time Fourier transform with all bins and any hop, as PyTorch computes it with `center=True`, and its inverse.

use std::sync::Arc;

use rayon::prelude::*;
use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use vocalizer_kernels::memory::Buffer;

/// The window of each frame, as long as the transform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Window {
    /// The periodic Hann window.
    Hann,
    /// No window: all ones.
    Ones,
}

/// A transform of `nfft` points. Frame `i` is centred on sample `i * hop`; the signal is reflected at its ends.
pub(crate) struct Spectra {
    nfft: usize,
    hop: usize,
    window: Vec<f32>,
    /// Factor of each value of the transform; its inverse divides by it.
    scale: f32,
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
}

impl Spectra {
    /// With `normalized`, the transform is multiplied by `1 / sqrt(nfft)`, and its inverse by `sqrt(nfft)`.
    ///
    /// # Panics
    ///
    /// If `nfft` is odd or zero, or the hop is zero or longer than half of `nfft`.
    pub(crate) fn new(nfft: usize, hop: usize, window: Window, normalized: bool) -> Self {
        assert!(nfft > 0 && nfft.is_multiple_of(2), "STFT size {nfft} is not even");
        assert!((1..=nfft / 2).contains(&hop), "hop {hop} is not between 1 and half of {nfft}");
        let mut planner = RealFftPlanner::<f32>::new();
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            reason = "computed in f64, used as f32"
        )]
        let (window, scale) = (
            (0..nfft)
                .map(|i| match window {
                    Window::Hann => (0.5 - 0.5 * (std::f64::consts::TAU * i as f64 / nfft as f64).cos()) as f32,
                    Window::Ones => 1.0,
                })
                .collect(),
            if normalized { (1.0 / (nfft as f64).sqrt()) as f32 } else { 1.0 },
        );
        let (forward, inverse) = (planner.plan_fft_forward(nfft), planner.plan_fft_inverse(nfft));
        Self { nfft, hop, window, scale, forward, inverse }
    }

    /// Returns the number of bins per frame.
    pub(crate) fn bins(&self) -> usize {
        self.nfft / 2 + 1
    }

    /// Returns the number of frames of a signal of `samples`.
    pub(crate) fn frames(&self, samples: usize) -> usize {
        samples / self.hop + 1
    }

    /// Transforms signals of equal lengths into real and imaginary planes.
    ///
    /// # Shapes
    ///
    /// - `signals`: `[signals][samples]`
    /// - output: `[signals, 2, bins, frames]`
    ///
    /// # Panics
    ///
    /// If a signal is not longer than half of `nfft`, or the lengths differ.
    pub(crate) fn analyse_all(&self, signals: &[Vec<f32>]) -> Buffer {
        let samples = signals.first().map_or(0, Vec::len);
        let (bins, frames) = (self.bins(), self.frames(samples));
        for signal in signals {
            assert!(signal.len() == samples && samples > self.nfft / 2, "signals of {} samples", signal.len());
        }
        let mut out = Buffer::of(signals.len() * 2 * bins * frames);
        let mut columns = vec![Complex::default(); frames * bins];
        let buffers = || (self.forward.make_input_vec(), self.forward.make_scratch_vec());
        for (signal, out) in signals.iter().zip(out.chunks_mut(2 * bins * frames)) {
            // By frame first, then transposed: both in parallel over their outputs.
            columns.par_chunks_mut(bins).enumerate().for_each_init(buffers, |(input, scratch), (frame, spectrum)| {
                for (i, (x, w)) in input.iter_mut().zip(&self.window).enumerate() {
                    *x = signal[reflected(frame * self.hop + i, self.nfft / 2, samples)] * w;
                }
                self.forward.process_with_scratch(input, spectrum, scratch).expect("buffers from the plan");
            });
            out.par_chunks_mut(frames).enumerate().for_each(|(row, out)| {
                for (value, column) in out.iter_mut().zip(columns[row % bins..].iter().step_by(bins)) {
                    *value = self.scale * if row < bins { column.re } else { column.im };
                }
            });
        }
        out
    }

    /// Computes the signal of a real and an imaginary plane: the frames overlapped and added, divided by the sum of the
    /// squared windows. Samples that no frame reaches are zero.
    ///
    /// # Shapes
    ///
    /// - `planes`: `[2, bins, frames]`
    /// - `out`: `[samples]`
    ///
    /// # Panics
    ///
    /// If the planes do not have whole frames.
    pub(crate) fn synthesise(&self, planes: &[f32], out: &mut [f32]) {
        let (bins, nfft, hop) = (self.bins(), self.nfft, self.hop);
        assert!(planes.len().is_multiple_of(2 * bins), "planes of {} values for {bins} bins", planes.len());
        let frames = planes.len() / (2 * bins);
        let (re, im) = planes.split_at(bins * frames);
        let mut waves = vec![0.0; frames * nfft];
        let buffers = || (self.inverse.make_input_vec(), self.inverse.make_scratch_vec());
        waves.par_chunks_mut(nfft).enumerate().for_each_init(buffers, |(spectrum, scratch), (frame, wave)| {
            for (bin, value) in spectrum.iter_mut().enumerate() {
                *value = Complex::new(re[bin * frames + frame], im[bin * frames + frame]);
            }
            spectrum[0].im = 0.0;
            spectrum[bins - 1].im = 0.0;
            self.inverse
                .process_with_scratch(spectrum, wave, scratch)
                .expect("buffers from the plan, real first and last bins");
            wave.iter_mut().zip(&self.window).for_each(|(x, w)| *x *= w);
        });
        #[expect(clippy::cast_precision_loss, reason = "the size of a transform")]
        let scale = 1.0 / (self.scale * nfft as f32);
        // One hop of samples at a time, in parallel.
        out.par_chunks_mut(hop).enumerate().for_each(|(index, out)| {
            let mut weights = vec![0.0; out.len()];
            out.fill(0.0);
            let (start, end) = (index * hop + nfft / 2, index * hop + nfft / 2 + out.len());
            for frame in (start + 1).saturating_sub(nfft).div_ceil(hop)..frames.min((end - 1) / hop + 1) {
                let at = frame * hop;
                let (from, to) = (start.max(at), end.min(at + nfft));
                let wave = &waves[frame * nfft..][from - at..to - at];
                let covered = out[from - start..].iter_mut().zip(&mut weights[from - start..]);
                for ((y, weight), (x, w)) in covered.zip(wave.iter().zip(&self.window[from - at..])) {
                    *y += x;
                    *weight += w * w;
                }
            }
            for (y, weight) in out.iter_mut().zip(weights) {
                *y = if weight > 1e-11 { *y * scale / weight } else { 0.0 };
            }
        });
    }
}

/// Returns the index into a signal of sample `at` of the signal extended by `lead` reflected samples on both sides.
fn reflected(at: usize, lead: usize, samples: usize) -> usize {
    let index = at.abs_diff(lead);
    if index < samples { index } else { 2 * (samples - 1) - index }
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

    fn decibels(reference: &[f32], got: &[f32]) -> f64 {
        let signal: f64 = reference.iter().map(|&x| f64::from(x).powi(2)).sum();
        let error: f64 = reference.iter().zip(got).map(|(&x, &y)| (f64::from(x) - f64::from(y)).powi(2)).sum();
        10.0 * (signal / error.max(1e-300)).log10()
    }

    #[test]
    fn inverse_restores_signal_up_to_its_ends() {
        for (nfft, hop, window, normalized) in [
            (2048, 441, Window::Hann, false),
            (2048, 512, Window::Hann, true),
            (4096, 1024, Window::Ones, true),
            (64, 7, Window::Hann, false),
        ] {
            let spectra = Spectra::new(nfft, hop, window, normalized);
            for samples in [nfft / 2 + 1, 5 * nfft, 20_001] {
                let x = noise(samples);
                let planes = spectra.analyse_all(std::slice::from_ref(&x));
                assert_eq!(planes.len(), 2 * spectra.bins() * spectra.frames(samples));
                let mut back = vec![f32::NAN; samples];
                spectra.synthesise(&planes, &mut back);
                let db = decibels(&x, &back);
                assert!(db > 120.0, "{nfft}, {hop}, {samples} samples: {db:.1} dB");
            }
        }
    }

    #[test]
    fn frames_match_a_plain_transform() {
        let (nfft, hop) = (64, 10);
        let signals = [noise(150), noise(157)[7..].to_vec()];
        let spectra = Spectra::new(nfft, hop, Window::Hann, false);
        let (bins, frames) = (spectra.bins(), spectra.frames(150));
        let planes = spectra.analyse_all(&signals);
        for (channel, signal) in signals.iter().enumerate() {
            for frame in 0..frames {
                for bin in 0..bins {
                    let (mut re, mut im) = (0.0, 0.0);
                    for i in 0..nfft {
                        let at = (frame * hop + i).abs_diff(nfft / 2);
                        let at = if at < 150 { at } else { 298 - at };
                        let turn = std::f64::consts::TAU * i as f64 / nfft as f64;
                        let x = f64::from(signal[at]) * (0.5 - 0.5 * turn.cos());
                        re += x * (turn * bin as f64).cos();
                        im -= x * (turn * bin as f64).sin();
                    }
                    let value = |plane: usize| planes[((2 * channel + plane) * bins + bin) * frames + frame];
                    assert!((f64::from(value(0)) - re).abs() < 1e-4 && (f64::from(value(1)) - im).abs() < 1e-4);
                }
            }
        }
    }

    #[test]
    fn samples_beyond_the_last_frame_are_zero() {
        let spectra = Spectra::new(64, 16, Window::Ones, true);
        let planes = spectra.analyse_all(&[noise(160)]);
        let mut out = vec![f32::NAN; 300];
        spectra.synthesise(&planes, &mut out);
        assert!(out[160 + 32..].iter().all(|&y| y == 0.0));
        assert!(out.iter().all(|y| y.is_finite()));
    }
}

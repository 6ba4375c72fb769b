//! Magnitude spectra of a stream of samples.

use std::f64::consts::TAU;
use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

/// Cuts a stream into overlapping windows and computes their magnitudes. A sine at full scale has the magnitude 1.
pub(super) struct Spectra {
    fft: Arc<dyn RealToComplex<f32>>,
    hop: usize,
    window: Vec<f32>,
    waiting: Vec<f32>,
    input: Vec<f32>,
    output: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
    magnitudes: Vec<f32>,
}

impl Spectra {
    /// Windows of `size` samples, the first of which is centred at the start of the stream, every `hop` samples.
    pub(super) fn new(size: usize, hop: usize) -> Self {
        let fft = RealFftPlanner::new().plan_fft_forward(size);
        let hann = (0..size).map(|n| 0.5 - 0.5 * (TAU * n as f64 / size as f64).cos());
        // The sum of the window is half its length, and a sine has half its amplitude at its frequency.
        let window = hann.map(|value| (value * 4.0 / size as f64) as f32).collect();
        Self {
            hop,
            window,
            waiting: vec![0.0; size / 2],
            input: fft.make_input_vec(),
            output: fft.make_output_vec(),
            scratch: fft.make_scratch_vec(),
            magnitudes: vec![0.0; size / 2 + 1],
            fft,
        }
    }

    /// Adds samples, and gives each new spectrum to `each`.
    pub(super) fn push(&mut self, samples: &[f32], mut each: impl FnMut(&[f32])) {
        self.waiting.extend_from_slice(samples);
        let mut start = 0;
        while let Some(cut) = self.waiting.get(start..start + self.window.len()) {
            for ((input, sample), weight) in self.input.iter_mut().zip(cut).zip(&self.window) {
                *input = sample * weight;
            }
            let transformed = self.fft.process_with_scratch(&mut self.input, &mut self.output, &mut self.scratch);
            // Fails for buffers of other lengths only, and these are the plan's own.
            debug_assert!(transformed.is_ok(), "the buffers fit");
            for (magnitude, value) in self.magnitudes.iter_mut().zip(&self.output) {
                *magnitude = value.norm();
            }
            each(&self.magnitudes);
            start += self.hop;
        }
        self.waiting.drain(..start);
    }
}

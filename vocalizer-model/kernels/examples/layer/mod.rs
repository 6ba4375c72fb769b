//! Layers with random weights for the examples.

use vocalizer_kernels::conv;
use vocalizer_kernels::gemm::{Panels, Precision, pack_as};
use vocalizer_kernels::transformer::Linear;

use crate::noise::Noise;

/// A matrix in each precision, and a bias.
pub(crate) struct Layer {
    packed: [Vec<f32>; 4],
    pub(crate) bias: Vec<f32>,
    pub(crate) terms: usize,
}

impl Layer {
    pub(crate) fn random(noise: &mut Noise, rows: usize, terms: usize) -> Self {
        Self::with_taps(noise, rows, terms, [1, 1])
    }

    pub(crate) fn with_taps(noise: &mut Noise, rows: usize, channels: usize, taps: [usize; 2]) -> Self {
        let terms = channels * taps[0] * taps[1];
        let scale = (1.0 / terms as f32).sqrt();
        let weights = noise.values(rows * terms);
        let at = |row: usize, term: usize| scale * weights[row * terms + term];
        let packed = Precision::ALL.map(|precision| match taps {
            [1, 1] => pack_as(precision, rows, terms, at),
            _ => conv::pack_same(precision, rows, channels, taps, at),
        });
        Self { packed, bias: vec![0.1; rows], terms }
    }

    pub(crate) fn packed(&self, precision: Precision) -> &[f32] {
        &self.packed[precision as usize]
    }

    pub(crate) fn panels(&self, precision: Precision) -> Panels<'_> {
        Panels::new(self.packed(precision), self.bias.len(), self.terms)
    }

    pub(crate) fn linear(&self, precision: Precision) -> Linear<'_> {
        Linear { weights: self.panels(precision), bias: &self.bias }
    }
}

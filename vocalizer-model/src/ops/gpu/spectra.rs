//! The STFT and its inverse on tensors, with the normalisation and its inverse.

use burn::backend::{DType, TensorMetadata};
use burn::tensor::Shape;
use burn_cubecl::cubecl;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::launch::{Moments, buffer, cubes, elements, empty, item_moments};
use super::stft::{self, SignalsLaunch};

/// The inputs of the network, and the statistics of their normalisation.
pub(in crate::ops) struct Inputs {
    pub(in crate::ops) x: CubeTensor,
    pub(in crate::ops) xt: CubeTensor,
    pub(in crate::ops) stats: CubeTensor,
    pub(in crate::ops) stats_t: CubeTensor,
}

/// Returns whether the kernels support a transform of this size.
pub(in crate::ops) fn fits(nfft: usize) -> bool {
    nfft.is_power_of_two() && (4 * stft::UNITS..=4096).contains(&nfft)
}

/// Returns the transform's size from the length of its tables: window, cosines and sines.
fn points(tables: &CubeTensor) -> usize {
    tables.shape()[0] / 3
}

fn scale(nfft: usize) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "points of a transform")]
    let points = nfft as f32;
    1.0 / points.sqrt()
}

fn units() -> CubeDim {
    CubeDim::new_1d(stft::UNITS as u32)
}

pub(in crate::ops) fn analyse(wave: &CubeTensor, tables: &CubeTensor, dtype: DType) -> Inputs {
    let (nfft, [items, signals, samples]) = (points(tables), [0, 1, 2].map(|i| wave.shape()[i]));
    let frames = samples.div_ceil(nfft / 4);
    let spectra = empty(wave, Shape::from([items, 2 * signals, nfft / 2, frames]), DType::F32);
    // SAFETY: reads stay within the signals, which are reflected at their ends; every value of the spectra is written.
    unsafe {
        stft::analyse::launch_unchecked(
            &wave.client,
            cubes([frames, items * signals, 1]),
            units(),
            buffer(wave),
            buffer(tables),
            buffer(&spectra),
            SignalsLaunch { samples, frames, signals, scale: scale(nfft) },
            nfft,
        );
    }
    let (stats, stats_t) = (item_moments(&spectra, true), item_moments(wave, true));
    let (x, xt) = (standardise(&spectra, &stats, dtype), standardise(wave, &stats_t, dtype));
    Inputs { x, xt, stats: stats.0, stats_t: stats_t.0 }
}

fn standardise(x: &CubeTensor, stats: &Moments, dtype: DType) -> CubeTensor {
    let out = empty(x, x.shape(), dtype);
    let items = x.shape()[0];
    let len = x.shape().num_elements() / items;
    // SAFETY: reads and writes are checked against `len`.
    unsafe {
        stft::standardise::launch_unchecked(
            &x.client,
            cubes([len.div_ceil(stft::UNITS), items, 1]),
            units(),
            buffer(x),
            buffer(&stats.0),
            buffer(&out),
            len,
            elements(&out),
        );
    }
    out
}

/// Returns the signals, `[items, signals, samples]`.
pub(in crate::ops) fn synthesise(outputs: &Inputs, tables: &CubeTensor) -> CubeTensor {
    let Inputs { x, xt, stats, stats_t } = outputs;
    let (nfft, [items, signals, samples]) = (points(tables), [0, 1, 2].map(|i| xt.shape()[i]));
    let frames = x.shape()[3];
    let windowed = empty(x, Shape::from([items * signals, frames, nfft]), DType::F32);
    // The squares of four Hann windows a hop apart sum to 3/2.
    let geometry = || SignalsLaunch { samples, frames, signals, scale: scale(nfft) * (2.0 / 3.0) };
    // SAFETY: reads every value of the spectra and writes every value of the frames.
    unsafe {
        stft::synthesise::launch_unchecked(
            &x.client,
            cubes([frames, items * signals, 1]),
            units(),
            buffer(x),
            buffer(stats),
            buffer(tables),
            buffer(&windowed),
            geometry(),
            nfft,
            elements(x),
        );
    }
    let out = empty(x, Shape::from([items, signals, samples]), DType::F32);
    // SAFETY: reads and writes are checked against samples and frames.
    unsafe {
        stft::overlap_add::launch_unchecked(
            &x.client,
            cubes([samples.div_ceil(stft::UNITS), items * signals, 1]),
            units(),
            buffer(&windowed),
            buffer(xt),
            buffer(stats_t),
            buffer(&out),
            geometry(),
            nfft,
            elements(xt),
        );
    }
    out
}

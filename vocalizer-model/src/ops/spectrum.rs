//! The STFT and its inverse on GPUs. The CPU has its own, outside of tensors.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, DType, Dispatch, DispatchDevice, ExtensionType, backend_extension};
use burn::tensor::{Device, Tensor};
use burn_cubecl::CubeBackend;

use super::gpu::launch::contiguous;
use super::gpu::spectra;
use super::kernels;

/// The two inputs or outputs of the network, and the statistics of their normalisation: mean and deviation of each
/// item.
#[derive(Clone, ExtensionType)]
pub(crate) struct Branches<B: Backend> {
    x: FloatTensor<B>,
    xt: FloatTensor<B>,
    stats: FloatTensor<B>,
    stats_t: FloatTensor<B>,
}

/// Operations on spectra. `tables` come from [`crate::dsp::stft::Stft::tables`]: the window and the roots of unity.
#[backend_extension(Cube: cfg(any(feature = "wgpu", feature = "cuda")))]
pub(crate) trait SpectrumOps: Backend {
    /// Returns spectra and waveforms of signals `[items, channels, samples]`, each item normalised to mean 0 and
    /// deviation 1.
    fn analyse(wave: FloatTensor<Self>, tables: FloatTensor<Self>, dtype: DType) -> Branches<Self>;

    /// Returns signals `[items, channels, samples]`: the inverse transform of the spectra plus the waveforms.
    fn synthesise(#[extension_type] branches: Branches<Self>, tables: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl SpectrumOps for CubeBackend {
    fn analyse(wave: FloatTensor<Self>, tables: FloatTensor<Self>, dtype: DType) -> Branches<Self> {
        let spectra::Inputs { x, xt, stats, stats_t } = spectra::analyse(&contiguous(wave), &contiguous(tables), dtype);
        Branches { x, xt, stats, stats_t }
    }

    fn synthesise(branches: Branches<Self>, tables: FloatTensor<Self>) -> FloatTensor<Self> {
        let Branches { x, xt, stats, stats_t } = branches;
        let outputs = spectra::Inputs { x: contiguous(x), xt: contiguous(xt), stats, stats_t };
        spectra::synthesise(&outputs, &contiguous(tables))
    }
}

/// Returns whether a device can compute spectra of `nfft` points. Devices that use burn's operations cannot.
pub(crate) fn supports(device: &Device, nfft: usize) -> bool {
    match device.as_dispatch() {
        DispatchDevice::Cube(device) => spectra::fits(nfft) && !kernels::are_plain(device),
        DispatchDevice::Flex(_) => false,
    }
}

/// The statistics of a batch's normalisation, kept until its stems are computed.
#[derive(Debug, Clone)]
pub(crate) struct Normalisation {
    stats: Tensor<1>,
    stats_t: Tensor<1>,
}

/// Computes the network's inputs from signals on the GPU.
///
/// # Shapes
///
/// - `wave`: `[items, channels, samples]`
/// - output: `[items, 2 * channels, bins, frames]` and `[items, channels, samples]`
pub(crate) fn analyse(wave: Tensor<3>, tables: &Tensor<1>, dtype: DType) -> (Tensor<4>, Tensor<3>, Normalisation) {
    let Branches { x, xt, stats, stats_t } =
        Dispatch::analyse(wave.into_dispatch(), tables.clone().into_dispatch(), dtype);
    let normalisation = Normalisation { stats: Tensor::from_dispatch(stats), stats_t: Tensor::from_dispatch(stats_t) };
    (Tensor::from_dispatch(x), Tensor::from_dispatch(xt), normalisation)
}

/// Computes the stems from the network's outputs.
///
/// # Shapes
///
/// - `x`: `[items, 2 * signals, bins, frames]`
/// - `xt` and output: `[items, signals, samples]`
pub(crate) fn synthesise(x: Tensor<4>, xt: Tensor<3>, undo: Normalisation, tables: &Tensor<1>) -> Tensor<3> {
    let branches = Branches {
        x: x.into_dispatch(),
        xt: xt.into_dispatch(),
        stats: undo.stats.into_dispatch(),
        stats_t: undo.stats_t.into_dispatch(),
    };
    Tensor::from_dispatch(Dispatch::synthesise(branches, tables.clone().into_dispatch()))
}

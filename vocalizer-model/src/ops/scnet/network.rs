//! SCNet's operations as an extension of burn's backends.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, backend_extension};
use vocalizer_kernels::band_conv::Band;
use vocalizer_kernels::conv::Axis;
use vocalizer_kernels::gemm::Precision;

use super::default;
use super::parameters::{BandsParameters, LstmParameters, UnitParameters};
use crate::ops::parameters::{LinearParameters, NormParameters};

/// The operations of SCNet that the other networks do not have. Every input is `[items, channels, rows, frames]`. The
/// default methods compose burn's operations; a backend may override them.
#[backend_extension(Flex, Cube: cfg(any(feature = "wgpu", feature = "cuda")))]
pub(crate) trait ScnetOps: Backend {
    /// Packs weights `[rows, terms]` for the operations of this trait.
    fn pack_layer(weight: FloatTensor<Self>, precision: Precision) -> FloatTensor<Self> {
        let _ = precision;
        weight
    }

    /// Packs the weights of [`Self::same_conv`], `[rows, channels_in · taps]`.
    fn pack_same(weight: FloatTensor<Self>, taps: [usize; 2], precision: Precision) -> FloatTensor<Self> {
        let _ = taps;
        Self::pack_layer(weight, precision)
    }

    /// Packs the weights of one direction of an LSTM for this backend: `[4 · hidden, inputs]` for the input and
    /// `[4 · hidden, hidden]` for the state.
    fn pack_lstm(input: FloatTensor<Self>, state: FloatTensor<Self>, precision: Precision) -> FloatTensor<Self> {
        let _ = precision;
        Self::float_cat(vec![input, state], 1)
    }

    /// Packs the weights of a band's transposed convolution, `[channels_in, channels_out · taps]`, for this backend.
    fn pack_band(
        weight: FloatTensor<Self>,
        channels_out: usize,
        stride: usize,
        precision: Precision,
    ) -> FloatTensor<Self> {
        let _ = (channels_out, stride, precision);
        weight
    }

    /// A convolution over the rows of each band; the bands' outputs follow each other.
    fn bands_conv(
        x: FloatTensor<Self>,
        #[extension_type] layers: BandsParameters<Self>,
        bands: [Band; 3],
    ) -> FloatTensor<Self> {
        default::bands_conv::<Self>(x, layers, bands)
    }

    /// A convolution that keeps the extent.
    fn same_conv(
        x: FloatTensor<Self>,
        #[extension_type] layer: LinearParameters<Self>,
        taps: [usize; 2],
    ) -> FloatTensor<Self> {
        default::same_conv::<Self>(x, layer, taps)
    }

    /// A residual unit, applied to each of `count` rows from `first` separately; then GELU on them if `activate`.
    fn unit(
        x: FloatTensor<Self>,
        #[extension_type] unit: UnitParameters<Self>,
        first: usize,
        count: usize,
        activate: bool,
    ) -> FloatTensor<Self> {
        default::unit::<Self>(x, unit, [first, count], activate)
    }

    /// The transposed convolution that undoes the extents of [`Self::bands_conv`].
    fn bands_transposed(
        x: FloatTensor<Self>,
        #[extension_type] layers: BandsParameters<Self>,
        bands: [Band; 3],
    ) -> FloatTensor<Self> {
        default::bands_transposed::<Self>(x, layers, bands)
    }

    /// A bidirectional LSTM over the rows or the frames of the values, normalised over each whole item: `[items,
    /// 2 · hidden, steps, sequences]`.
    fn bilstm(
        x: FloatTensor<Self>,
        #[extension_type] norm: NormParameters<Self>,
        #[extension_type] lstm: LstmParameters<Self>,
        axis: Axis,
    ) -> FloatTensor<Self> {
        default::bilstm::<Self>(x, norm, lstm, axis)
    }

    /// `x + layer(y)`, where `y` is the output of an LSTM over this axis of `x`.
    fn lstm_residual(
        x: FloatTensor<Self>,
        y: FloatTensor<Self>,
        #[extension_type] layer: LinearParameters<Self>,
        axis: Axis,
    ) -> FloatTensor<Self> {
        default::lstm_residual::<Self>(x, y, layer, axis)
    }

    /// The orthonormal Fourier transform of each row: the real parts of all channels, then the imaginary parts.
    fn fourier(x: FloatTensor<Self>) -> FloatTensor<Self> {
        default::fourier::<Self>(x)
    }

    /// The inverse of [`Self::fourier`] for an even number of frames.
    fn inverse_fourier(x: FloatTensor<Self>, frames: usize) -> FloatTensor<Self> {
        default::inverse_fourier::<Self>(x, frames)
    }
}

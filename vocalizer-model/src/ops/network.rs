//! The network's operations as an extension of burn's backends.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, backend_extension};

use super::default;
use super::parameters::{DConvParameters, GluExtra, LinearParameters, NormParameters};
use vocalizer_kernels::conv::Axis;
use vocalizer_kernels::gemm::Precision;

/// The operations of the network. Every input is `[items, channels, rows, frames]`; weights come from [`Self::pack`],
/// [`Self::pack_glu`] or [`Self::pack_transposed`]. The default methods compose burn's operations; a backend may override them.
#[backend_extension(Flex, Cube: cfg(any(feature = "wgpu", feature = "cuda")))]
pub(crate) trait NetworkOps: Backend {
    /// Packs weights `[rows, terms]` for this backend. Only the CPU has packed weights of another precision than its values.
    fn pack(weight: FloatTensor<Self>, precision: Precision) -> FloatTensor<Self> {
        let _ = precision;
        weight
    }

    /// Packs the weights of [`Self::conv_glu`], `[rows, channels_in · taps]`, for this backend.
    fn pack_glu(weight: FloatTensor<Self>, taps: [usize; 2], precision: Precision) -> FloatTensor<Self> {
        let _ = taps;
        Self::pack(weight, precision)
    }

    /// Packs the weights of a transposed convolution, `[channels_in, channels_out · taps]`, for this backend.
    fn pack_transposed(weight: FloatTensor<Self>, channels_out: usize, precision: Precision) -> FloatTensor<Self> {
        let _ = (channels_out, precision);
        weight
    }

    /// A convolution with eight taps and stride four, then GELU.
    fn strided_gelu(
        x: FloatTensor<Self>,
        #[extension_type] layer: LinearParameters<Self>,
        axis: Axis,
    ) -> FloatTensor<Self> {
        default::strided_gelu::<Self>(x, layer, axis)
    }

    /// A convolution that keeps the extent, then GLU, with an addition before or after.
    fn conv_glu(
        x: FloatTensor<Self>,
        #[extension_type] extra: GluExtra<Self>,
        #[extension_type] layer: LinearParameters<Self>,
        taps: [usize; 2],
    ) -> FloatTensor<Self> {
        default::conv_glu::<Self>(x, extra, layer, taps)
    }

    /// A transposed convolution with eight taps and stride four, without its first two outputs (over frames, cut to
    /// `frames`), then GELU if `activate`.
    fn transposed_gelu(
        x: FloatTensor<Self>,
        #[extension_type] layer: LinearParameters<Self>,
        axis: Axis,
        frames: usize,
        activate: bool,
    ) -> FloatTensor<Self> {
        default::transposed_gelu::<Self>(x, layer, axis, frames, activate)
    }

    /// One layer of a residual branch, applied to each row separately and added to it.
    fn dconv(x: FloatTensor<Self>, #[extension_type] layer: DConvParameters<Self>) -> FloatTensor<Self> {
        default::dconv::<Self>(x, layer)
    }

    /// A layer norm over the channels, plus `table`, `[1, channels, rows, frames]`.
    fn position_norm(
        x: FloatTensor<Self>,
        #[extension_type] norm: NormParameters<Self>,
        table: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        default::position_norm::<Self>(x, norm, table)
    }

    /// A linear layer over the channels.
    fn linear(x: FloatTensor<Self>, #[extension_type] layer: LinearParameters<Self>) -> FloatTensor<Self> {
        default::linear::<Self>(x, layer)
    }

    /// A linear layer over the normalised channels.
    fn norm_linear(
        x: FloatTensor<Self>,
        #[extension_type] norm: NormParameters<Self>,
        #[extension_type] layer: LinearParameters<Self>,
    ) -> FloatTensor<Self> {
        default::norm_linear::<Self>(x, norm, layer)
    }

    /// `x + scale · layer(y)`.
    fn linear_residual(
        x: FloatTensor<Self>,
        y: FloatTensor<Self>,
        #[extension_type] layer: LinearParameters<Self>,
        scale: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        default::linear_residual::<Self>(x, y, layer, scale)
    }

    /// `x + scale · second(gelu(first(norm(x))))`.
    fn feed_forward(
        x: FloatTensor<Self>,
        #[extension_type] norm: NormParameters<Self>,
        #[extension_type] first: LinearParameters<Self>,
        #[extension_type] second: LinearParameters<Self>,
        scale: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        default::feed_forward::<Self>(x, norm, first, second, scale)
    }

    /// Multi-head attention. Queries, keys and values are `channels` channels each, starting at `firsts`: the queries
    /// in `x`, keys and values in `other`. The layer's packed weights have this precision.
    fn attention(
        x: FloatTensor<Self>,
        other: FloatTensor<Self>,
        firsts: [usize; 3],
        heads: usize,
        channels: usize,
        precision: Precision,
    ) -> FloatTensor<Self> {
        let _ = precision;
        default::attention::<Self>(x, other, firsts, [heads, channels])
    }

    /// A normalisation over each whole item.
    fn group_norm(x: FloatTensor<Self>, #[extension_type] norm: NormParameters<Self>) -> FloatTensor<Self> {
        default::group_norm::<Self>(x, norm)
    }
}

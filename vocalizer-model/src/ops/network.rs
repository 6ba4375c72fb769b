//! The operations as burn's backends see them.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, ExtensionType, backend_extension};

use super::cpu::conv::Axis;
use super::default;

/// The parameters of one layer of a residual branch.
#[derive(Clone, ExtensionType)]
pub(crate) struct DConvParameters<B: Backend> {
    pub(crate) compress: FloatTensor<B>,
    pub(crate) compress_bias: FloatTensor<B>,
    pub(crate) norm1: FloatTensor<B>,
    pub(crate) norm1_bias: FloatTensor<B>,
    pub(crate) expand: FloatTensor<B>,
    pub(crate) expand_bias: FloatTensor<B>,
    pub(crate) norm2: FloatTensor<B>,
    pub(crate) norm2_bias: FloatTensor<B>,
    pub(crate) scale: FloatTensor<B>,
    pub(crate) dilation: usize,
}

/// A matrix and what is added after it.
#[derive(Clone, ExtensionType)]
pub(crate) struct LinearParameters<B: Backend> {
    pub(crate) weight: FloatTensor<B>,
    pub(crate) bias: FloatTensor<B>,
}

/// A normalisation's scale and shift.
#[derive(Clone, ExtensionType)]
pub(crate) struct NormParameters<B: Backend> {
    pub(crate) weight: FloatTensor<B>,
    pub(crate) bias: FloatTensor<B>,
}

/// What is added around a GLU convolution.
#[derive(Clone, ExtensionType)]
pub(crate) enum GluExtra<B: Backend> {
    /// Nothing.
    None,
    /// To the input: the skip connection.
    Skip(FloatTensor<B>),
    /// To the output: the frequencies' embedding, `[channels, rows]`.
    Embedding(FloatTensor<B>),
}

/// What the network is made of. Every input is `[items, channels, rows, frames]`; weights come from [`Self::pack`] or
/// [`Self::pack_transposed`]. The bodies here compose burn's operations; a backend may have its own.
#[backend_extension(Flex, Cube: cfg(any(feature = "wgpu", feature = "cuda")))]
pub(crate) trait NetworkOps: Backend {
    /// Weights `[rows, terms]` as this backend likes them.
    fn pack(weight: FloatTensor<Self>) -> FloatTensor<Self> {
        weight
    }

    /// Weights of a transposed convolution, `[channels_in, channels_out · taps]`, as this backend likes them.
    fn pack_transposed(weight: FloatTensor<Self>, channels_out: usize) -> FloatTensor<Self> {
        let _ = channels_out;
        weight
    }

    /// A convolution of eight taps and stride four, and GELU.
    fn strided_gelu(
        x: FloatTensor<Self>,
        #[extension_type] layer: LinearParameters<Self>,
        axis: Axis,
    ) -> FloatTensor<Self> {
        default::strided_gelu::<Self>(x, layer, axis)
    }

    /// A convolution that keeps its extent, and GLU, with what is added before or after.
    fn conv_glu(
        x: FloatTensor<Self>,
        #[extension_type] extra: GluExtra<Self>,
        #[extension_type] layer: LinearParameters<Self>,
        taps: [usize; 2],
    ) -> FloatTensor<Self> {
        default::conv_glu::<Self>(x, extra, layer, taps)
    }

    /// A transposed convolution of eight taps and stride four without its first two outputs; over frames, with `frames`
    /// of them; and GELU where `activate`.
    fn transposed_gelu(
        x: FloatTensor<Self>,
        #[extension_type] layer: LinearParameters<Self>,
        axis: Axis,
        frames: usize,
        activate: bool,
    ) -> FloatTensor<Self> {
        default::transposed_gelu::<Self>(x, layer, axis, frames, activate)
    }

    /// One layer of a residual branch, on each row by itself, added to it.
    fn dconv(x: FloatTensor<Self>, #[extension_type] layer: DConvParameters<Self>) -> FloatTensor<Self> {
        default::dconv::<Self>(x, layer)
    }

    /// A layer norm over the channels, to which `table`, `[1, channels, rows, frames]`, is added.
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

    /// Attention of `heads` heads over `channels` channels: queries, keys and values are as many channels each, from
    /// these on, the first of `x`, the others of `other`.
    fn attention(
        x: FloatTensor<Self>,
        other: FloatTensor<Self>,
        firsts: [usize; 3],
        heads: usize,
        channels: usize,
    ) -> FloatTensor<Self> {
        default::attention::<Self>(x, other, firsts, [heads, channels])
    }

    /// A normalisation of each item as a whole.
    fn group_norm(x: FloatTensor<Self>, #[extension_type] norm: NormParameters<Self>) -> FloatTensor<Self> {
        default::group_norm::<Self>(x, norm)
    }
}

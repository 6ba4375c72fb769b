//! The small modules the encoder, the decoder and the transformer are made of.

use burn::module::{Module, Param};
use burn::nn::conv::{Conv1d, Conv1dConfig, Conv2d, Conv2dConfig};
use burn::nn::{GroupNorm, GroupNormConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::nn::{PaddingConfig1d, PaddingConfig2d};
use burn::tensor::Tensor;
use burn::tensor::activation::{gelu, glu};

use super::loader::Loader;
use crate::weights::WeightsError;

/// A 1-D convolution `[kernel, stride, padding, dilation]` with its weights.
pub(super) fn conv1d(
    from: &Loader<'_>,
    channels: [usize; 2],
    [kernel, stride, padding, dilation]: [usize; 4],
) -> Result<Conv1d, WeightsError> {
    let mut conv = Conv1dConfig::new(channels[0], channels[1], kernel)
        .with_stride(stride)
        .with_dilation(dilation)
        .with_padding(PaddingConfig1d::Explicit(padding, padding))
        .init(from.device());
    conv.weight = from.param("weight", [channels[1], channels[0], kernel])?;
    conv.bias = Some(from.param("bias", [channels[1]])?);
    Ok(conv)
}

/// A 2-D convolution with its weights; `kernel`, `stride` and `padding` are `[frequency, time]`.
pub(super) fn conv2d(
    from: &Loader<'_>,
    channels: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
) -> Result<Conv2d, WeightsError> {
    let mut conv = Conv2dConfig::new(channels, kernel)
        .with_stride(stride)
        .with_padding(PaddingConfig2d::Explicit(padding[0], padding[1], padding[0], padding[1]))
        .init(from.device());
    conv.weight = from.param("weight", [channels[1], channels[0], kernel[0], kernel[1]])?;
    conv.bias = Some(from.param("bias", [channels[1]])?);
    Ok(conv)
}

/// A linear layer from PyTorch's `[out, in]` weights, which may stand under another name (`in_proj_weight`).
pub(super) fn linear(weight: Tensor<2>, bias: Tensor<1>, from: &Loader<'_>) -> Linear {
    let [d_output, d_input] = weight.dims();
    let mut linear = LinearConfig::new(d_input, d_output).init(from.device());
    linear.weight = Param::from_tensor(weight.transpose());
    linear.bias = Some(Param::from_tensor(bias));
    linear
}

/// A layer norm over the last dimension.
pub(super) fn layer_norm(from: &Loader<'_>, dim: usize) -> Result<LayerNorm, WeightsError> {
    let mut norm = LayerNormConfig::new(dim).init(from.device());
    norm.gamma = from.param("weight", [dim])?;
    norm.beta = Some(from.param("bias", [dim])?);
    Ok(norm)
}

/// A group norm of one group: over every channel and position of an item.
pub(super) fn group_norm(from: &Loader<'_>, channels: usize) -> Result<GroupNorm, WeightsError> {
    let mut norm = GroupNormConfig::new(1, channels).init(from.device());
    norm.gamma = Some(from.param("weight", [channels])?);
    norm.beta = Some(from.param("bias", [channels])?);
    Ok(norm)
}

/// A residual branch: dilated convolutions in a few channels, each layer added to what came in.
#[derive(Module, Debug)]
pub(super) struct DConv {
    layers: Vec<DConvLayer>,
}

/// One layer of the branch; the names in the weights are positions in a sequence.
#[derive(Module, Debug)]
struct DConvLayer {
    compress: Conv1d,
    norm1: GroupNorm,
    expand: Conv1d,
    norm2: GroupNorm,
    scale: Param<Tensor<1>>,
}

impl DConv {
    pub(super) fn load(
        from: &Loader<'_>,
        channels: usize,
        depth: usize,
        compress: usize,
    ) -> Result<Self, WeightsError> {
        let hidden = channels / compress;
        let layers = (0..depth)
            .map(|index| {
                let from = from.at("layers").at(index);
                let dilation = 1 << index;
                Ok(DConvLayer {
                    compress: conv1d(&from.at(0), [channels, hidden], [3, 1, dilation, dilation])?,
                    norm1: group_norm(&from.at(1), hidden)?,
                    expand: conv1d(&from.at(3), [hidden, 2 * channels], [1, 1, 0, 1])?,
                    norm2: group_norm(&from.at(4), 2 * channels)?,
                    scale: from.at(6).param("scale", [channels])?,
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { layers })
    }

    /// # Shapes
    ///
    /// - input and output: `[items, channels, frames]`
    pub(super) fn forward(&self, mut x: Tensor<3>) -> Tensor<3> {
        for layer in &self.layers {
            let y = gelu(layer.norm1.forward(layer.compress.forward(x.clone())));
            let y = glu(layer.norm2.forward(layer.expand.forward(y)), 1);
            let channels = layer.scale.dims()[0];
            x = x + y * layer.scale.val().reshape([1, channels, 1]);
        }
        x
    }

    /// The branch on each frequency row by itself.
    ///
    /// # Shapes
    ///
    /// - input and output: `[batch, channels, frequencies, frames]`
    pub(super) fn forward_rows(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, channels, freqs, frames] = x.dims();
        let rows = x.swap_dims(1, 2).reshape([batch * freqs, channels, frames]);
        self.forward(rows).reshape([batch, freqs, channels, frames]).swap_dims(1, 2)
    }
}

//! Small modules of the encoder, the decoder and the transformer.

use burn::tensor::Tensor;

use crate::networks::loader::Loader;
use crate::ops::{self, Axis, DConvLayer, Linear, Norm, TAPS};
use crate::weights::WeightsError;

/// Loads a layer whose weights have this shape, `[channels_out, channels_in, ..]`.
pub(super) fn layer<const D: usize>(from: &Loader<'_>, shape: [usize; D]) -> Result<Linear, WeightsError> {
    Ok(Linear {
        weight: ops::pack(from.matrix("weight", shape)?, from.format.packed),
        bias: from.tensor("bias", [shape[0]])?,
    })
}

/// Loads a GLU convolution with these taps over rows and over frames; the weights have this shape.
pub(super) fn gated<const D: usize>(
    from: &Loader<'_>,
    shape: [usize; D],
    taps: [usize; 2],
) -> Result<Linear, WeightsError> {
    Ok(Linear {
        weight: ops::pack_glu(from.matrix("weight", shape)?, taps, from.format.packed),
        bias: from.tensor("bias", [shape[0]])?,
    })
}

/// Loads a convolution over one axis. The weights have the dimensions of their branch: `[channels_out, channels_in,
/// taps]` for the waveform, with one more dimension for the spectrogram.
pub(super) fn along(
    from: &Loader<'_>,
    axis: Axis,
    [out, input]: [usize; 2],
    taps: usize,
) -> Result<Linear, WeightsError> {
    match axis {
        Axis::Rows => layer(from, [out, input, taps, 1]),
        Axis::Frames => layer(from, [out, input, taps]),
    }
}

/// Loads a transposed convolution over one axis.
pub(super) fn transposed(from: &Loader<'_>, axis: Axis, [input, out]: [usize; 2]) -> Result<Linear, WeightsError> {
    let weight = match axis {
        Axis::Rows => from.matrix("weight", [input, out, TAPS, 1])?,
        Axis::Frames => from.matrix("weight", [input, out, TAPS])?,
    };
    Ok(Linear { weight: ops::pack_transposed(weight, out, from.format.packed), bias: from.tensor("bias", [out])? })
}

/// Loads a normalisation with a scale and a shift per channel.
pub(super) fn norm(from: &Loader<'_>, channels: usize) -> Result<Norm, WeightsError> {
    Ok(Norm { weight: from.tensor("weight", [channels])?, bias: from.tensor("bias", [channels])? })
}

/// A residual branch: dilated convolutions in a few channels; each layer is added to its input.
#[derive(Debug)]
pub(super) struct DConv {
    layers: Vec<DConvLayer>,
}

impl DConv {
    /// Loads the layers; their names in the weights are indices in a sequence.
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
                Ok(DConvLayer {
                    compress: layer(&from.at(0), [hidden, channels, 3])?,
                    norm1: norm(&from.at(1), hidden)?,
                    expand: layer(&from.at(3), [2 * channels, hidden, 1])?,
                    norm2: norm(&from.at(4), 2 * channels)?,
                    scale: from.at(6).tensor("scale", [channels])?,
                    dilation: 1 << index,
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { layers })
    }

    /// Applies the branch to each row separately.
    ///
    /// # Shapes
    ///
    /// - input and output: `[items, channels, rows, frames]`
    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.layers.iter().fold(x, ops::dconv)
    }
}

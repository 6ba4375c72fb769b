//! Decoder layers: skip connection, gated rewrite, residual branch, a transposed convolution.

use burn::tensor::Tensor;

use super::config::HtdemucsConfig;
use super::layers::{DConv, gated, transposed};
use crate::networks::loader::Loader;
use crate::ops::{self, Axis, Extra, Linear};
use crate::weights::WeightsError;

/// A decoder layer that upsamples frequencies or frames.
#[derive(Debug)]
pub(super) struct Decoder {
    axis: Axis,
    rewrite: Linear,
    /// Taps of the rewrite convolution, over rows and frames.
    taps: [usize; 2],
    dconv: Option<DConv>,
    conv_tr: Linear,
    last: bool,
}

impl Decoder {
    pub(super) fn load(
        from: &Loader<'_>,
        config: &HtdemucsConfig,
        axis: Axis,
        [input, output]: [usize; 2],
        last: bool,
    ) -> Result<Self, WeightsError> {
        let wide = 1 + 2 * config.context;
        let rewrite = from.at("rewrite");
        let taps = [if axis == Axis::Rows { wide } else { 1 }, wide];
        let rewrite = match axis {
            Axis::Rows => gated(&rewrite, [2 * input, input, wide, wide], taps)?,
            Axis::Frames => gated(&rewrite, [2 * input, input, wide], taps)?,
        };
        Ok(Self {
            axis,
            rewrite,
            taps,
            dconv: (config.dconv_mode & 2 != 0)
                .then(|| DConv::load(&from.at("dconv"), input, config.dconv_depth, config.dconv_comp))
                .transpose()?,
            conv_tr: transposed(&from.at("conv_tr"), axis, [input, output])?,
            last,
        })
    }

    /// # Shapes
    ///
    /// - `x` and `skip`: `[batch, channels_in, rows, frames_in]`
    /// - output: `[batch, channels_out, 4 * rows, frames_in]`, or `[batch, channels_out, 1, frames]`, where `frames` is
    ///   the input length of the matching encoder layer
    pub(super) fn forward(&self, x: Tensor<4>, skip: Tensor<4>, frames: usize) -> Tensor<4> {
        let mut y = ops::conv_glu(x, Extra::Skip(skip), &self.rewrite, self.taps);
        if let Some(dconv) = &self.dconv {
            y = dconv.forward(y);
        }
        ops::transposed_gelu(y, &self.conv_tr, self.axis, frames, !self.last)
    }
}

//! Decoder layers: skip connection, gated rewrite, residual branch, a transposed convolution.

use burn::module::Module;
use burn::nn::conv::{Conv1d, Conv2d, ConvTranspose1d, ConvTranspose1dConfig, ConvTranspose2d, ConvTranspose2dConfig};
use burn::tensor::Tensor;
use burn::tensor::activation::{gelu, glu};

use super::config::HtdemucsConfig;
use super::layers::{DConv, conv1d, conv2d};
use super::loader::Loader;
use crate::weights::WeightsError;

/// A layer that gives back frequencies.
#[derive(Module, Debug)]
pub(super) struct FreqDecoder {
    rewrite: Conv2d,
    dconv: Option<DConv>,
    conv_tr: ConvTranspose2d,
    trim: usize,
    last: bool,
}

impl FreqDecoder {
    pub(super) fn load(
        from: &Loader<'_>,
        config: &HtdemucsConfig,
        channels: [usize; 2],
        last: bool,
    ) -> Result<Self, WeightsError> {
        let [input, output] = channels;
        let (kernel, stride, context) = (config.kernel_size, config.stride, config.context);
        let wide = 1 + 2 * context;
        let mut conv_tr =
            ConvTranspose2dConfig::new(channels, [kernel, 1]).with_stride([stride, 1]).init(from.device());
        conv_tr.weight = from.at("conv_tr").param("weight", [input, output, kernel, 1])?;
        conv_tr.bias = Some(from.at("conv_tr").param("bias", [output])?);
        Ok(Self {
            rewrite: conv2d(&from.at("rewrite"), [input, 2 * input], [wide, wide], [1, 1], [context, context])?,
            dconv: decoder_dconv(from, config, input)?,
            conv_tr,
            trim: kernel / 4,
            last,
        })
    }

    /// # Shapes
    ///
    /// - `x` and `skip`: `[batch, channels_in, frequencies, frames]`
    /// - output: `[batch, channels_out, frequencies * stride, frames]`
    pub(super) fn forward(&self, x: Tensor<4>, skip: Tensor<4>) -> Tensor<4> {
        let mut y = glu(self.rewrite.forward(x + skip), 1);
        if let Some(dconv) = &self.dconv {
            y = dconv.forward_rows(y);
        }
        let z = self.conv_tr.forward(y);
        let freqs = z.dims()[2];
        let z = z.narrow(2, self.trim, freqs - 2 * self.trim);
        if self.last { z } else { gelu(z) }
    }
}

/// A layer that gives back time.
#[derive(Module, Debug)]
pub(super) struct TimeDecoder {
    rewrite: Conv1d,
    dconv: Option<DConv>,
    conv_tr: ConvTranspose1d,
    trim: usize,
    last: bool,
}

impl TimeDecoder {
    pub(super) fn load(
        from: &Loader<'_>,
        config: &HtdemucsConfig,
        channels: [usize; 2],
        last: bool,
    ) -> Result<Self, WeightsError> {
        let [input, output] = channels;
        let (kernel, stride, context) = (config.kernel_size, config.stride, config.context);
        let mut conv_tr = ConvTranspose1dConfig::new(channels, kernel).with_stride(stride).init(from.device());
        conv_tr.weight = from.at("conv_tr").param("weight", [input, output, kernel])?;
        conv_tr.bias = Some(from.at("conv_tr").param("bias", [output])?);
        Ok(Self {
            rewrite: conv1d(&from.at("rewrite"), [input, 2 * input], [1 + 2 * context, 1, context, 1])?,
            dconv: decoder_dconv(from, config, input)?,
            conv_tr,
            trim: kernel / 4,
            last,
        })
    }

    /// # Shapes
    ///
    /// - `x` and `skip`: `[batch, channels_in, frames_in]`
    /// - output: `[batch, channels_out, frames]`, where `frames` is what the encoder's layer took in
    pub(super) fn forward(&self, x: Tensor<3>, skip: Tensor<3>, frames: usize) -> Tensor<3> {
        let mut y = glu(self.rewrite.forward(x + skip), 1);
        if let Some(dconv) = &self.dconv {
            y = dconv.forward(y);
        }
        let z = self.conv_tr.forward(y).narrow(2, self.trim, frames);
        if self.last { z } else { gelu(z) }
    }
}

fn decoder_dconv(from: &Loader<'_>, config: &HtdemucsConfig, channels: usize) -> Result<Option<DConv>, WeightsError> {
    (config.dconv_mode & 2 != 0)
        .then(|| DConv::load(&from.at("dconv"), channels, config.dconv_depth, config.dconv_comp))
        .transpose()
}

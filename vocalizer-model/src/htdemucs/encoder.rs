//! Encoder layers: a strided convolution, a residual branch, a gated rewrite.

use burn::module::Module;
use burn::nn::conv::{Conv1d, Conv2d};
use burn::tensor::Tensor;
use burn::tensor::activation::{gelu, glu};

use super::config::HtdemucsConfig;
use super::layers::{DConv, conv1d, conv2d};
use super::loader::Loader;
use crate::weights::WeightsError;

/// A layer over the spectrogram, striding over frequencies.
#[derive(Module, Debug)]
pub(super) struct FreqEncoder {
    conv: Conv2d,
    dconv: Option<DConv>,
    rewrite: Conv2d,
}

impl FreqEncoder {
    pub(super) fn load(from: &Loader<'_>, config: &HtdemucsConfig, channels: [usize; 2]) -> Result<Self, WeightsError> {
        let [_, out] = channels;
        let (kernel, stride) = (config.kernel_size, config.stride);
        Ok(Self {
            conv: conv2d(&from.at("conv"), channels, [kernel, 1], [stride, 1], [kernel / 4, 0])?,
            dconv: encoder_dconv(from, config, out)?,
            rewrite: conv2d(&from.at("rewrite"), [out, 2 * out], [1, 1], [1, 1], [0, 0])?,
        })
    }

    /// # Shapes
    ///
    /// - input: `[batch, channels_in, frequencies, frames]`
    /// - output: `[batch, channels_out, frequencies / stride, frames]`
    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let mut y = gelu(self.conv.forward(x));
        if let Some(dconv) = &self.dconv {
            y = dconv.forward_rows(y);
        }
        glu(self.rewrite.forward(y), 1)
    }
}

/// A layer over the waveform, striding over time.
#[derive(Module, Debug)]
pub(super) struct TimeEncoder {
    conv: Conv1d,
    dconv: Option<DConv>,
    rewrite: Conv1d,
    stride: usize,
}

impl TimeEncoder {
    pub(super) fn load(from: &Loader<'_>, config: &HtdemucsConfig, channels: [usize; 2]) -> Result<Self, WeightsError> {
        let [_, out] = channels;
        let (kernel, stride) = (config.kernel_size, config.stride);
        Ok(Self {
            conv: conv1d(&from.at("conv"), channels, [kernel, stride, kernel / 4, 1])?,
            dconv: encoder_dconv(from, config, out)?,
            rewrite: conv1d(&from.at("rewrite"), [out, 2 * out], [1, 1, 0, 1])?,
            stride,
        })
    }

    /// # Shapes
    ///
    /// - input: `[batch, channels_in, frames]`
    /// - output: `[batch, channels_out, ceil(frames / stride)]`
    pub(super) fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, channels, frames] = x.dims();
        let tail = frames.next_multiple_of(self.stride) - frames;
        let x = if tail == 0 {
            x
        } else {
            let zeros = Tensor::zeros([batch, channels, tail], &x.device());
            Tensor::cat(vec![x, zeros], 2)
        };
        let mut y = gelu(self.conv.forward(x));
        if let Some(dconv) = &self.dconv {
            y = dconv.forward(y);
        }
        glu(self.rewrite.forward(y), 1)
    }
}

fn encoder_dconv(from: &Loader<'_>, config: &HtdemucsConfig, channels: usize) -> Result<Option<DConv>, WeightsError> {
    (config.dconv_mode & 1 != 0)
        .then(|| DConv::load(&from.at("dconv"), channels, config.dconv_depth, config.dconv_comp))
        .transpose()
}

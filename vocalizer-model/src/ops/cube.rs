//! The network's operations on GPUs.

use burn::backend::ops::FloatTensorOps as _;
use burn::backend::tensor::FloatTensor;
use burn::tensor::Shape;
use burn_cubecl::CubeBackend;

use super::default;
use super::gpu::launch::{self, DConv, Extra, Linear, Norm, contiguous};
use super::kernels;
use super::network::NetworkOps;
use super::parameters::{DConvParameters, GluExtra, LinearParameters, NormParameters};
use vocalizer_kernels::conv::{Axis, STRIDE};

type Values = FloatTensor<CubeBackend>;

fn layer(weight: Values, bias: Values) -> Linear {
    Linear { weight: contiguous(weight), bias: contiguous(bias) }
}

fn norm(weight: Values, bias: Values) -> Norm {
    Norm { weight: contiguous(weight), bias: contiguous(bias) }
}

impl From<LinearParameters<CubeBackend>> for Linear {
    fn from(parameters: LinearParameters<CubeBackend>) -> Self {
        layer(parameters.weight, parameters.bias)
    }
}

impl From<NormParameters<CubeBackend>> for Norm {
    fn from(parameters: NormParameters<CubeBackend>) -> Self {
        norm(parameters.weight, parameters.bias)
    }
}

/// Devices that are set to burn's operations use those of `default`.
impl NetworkOps for CubeBackend {
    fn pack(weight: Values) -> Values {
        if kernels::are_plain(&weight.device) { weight } else { contiguous(Self::float_transpose(weight)) }
    }

    fn pack_transposed(weight: Values, channels_out: usize) -> Values {
        if kernels::are_plain(&weight.device) {
            return weight;
        }
        let channels = weight.meta.shape()[0];
        // Tap `phase + 4 · tap` of a channel: two taps per input channel as terms, four phases per output channel as
        // rows.
        let weight = Self::float_reshape(weight, Shape::from([channels, channels_out, 2, STRIDE]));
        let weight = contiguous(Self::float_permute(weight, &[0, 2, 1, 3]));
        Self::float_reshape(weight, Shape::from([2 * channels, channels_out * STRIDE]))
    }

    fn strided_gelu(x: Values, parameters: LinearParameters<Self>, axis: Axis) -> Values {
        if kernels::are_plain(&x.device) {
            return default::strided_gelu::<Self>(x, parameters, axis);
        }
        launch::strided_gelu(&contiguous(x), &parameters.into(), axis)
    }

    fn conv_glu(x: Values, extra: GluExtra<Self>, parameters: LinearParameters<Self>, taps: [usize; 2]) -> Values {
        if kernels::are_plain(&x.device) {
            return default::conv_glu::<Self>(x, extra, parameters, taps);
        }
        let (x, layer) = (contiguous(x), parameters.into());
        match extra {
            GluExtra::None => launch::conv_glu(&x, &Extra::None, &layer, taps),
            GluExtra::Skip(skip) => launch::conv_glu(&x, &Extra::Skip(&contiguous(skip)), &layer, taps),
            GluExtra::Embedding(table) => launch::conv_glu(&x, &Extra::Embedding(&contiguous(table)), &layer, taps),
        }
    }

    fn transposed_gelu(
        x: Values,
        parameters: LinearParameters<Self>,
        axis: Axis,
        frames: usize,
        activate: bool,
    ) -> Values {
        if kernels::are_plain(&x.device) {
            return default::transposed_gelu::<Self>(x, parameters, axis, frames, activate);
        }
        launch::transposed_gelu(&contiguous(x), &parameters.into(), axis, frames, activate)
    }

    fn dconv(x: Values, parameters: DConvParameters<Self>) -> Values {
        if kernels::are_plain(&x.device) {
            return default::dconv::<Self>(x, parameters);
        }
        let parts = DConv {
            compress: layer(parameters.compress, parameters.compress_bias),
            norm1: norm(parameters.norm1, parameters.norm1_bias),
            expand: layer(parameters.expand, parameters.expand_bias),
            norm2: norm(parameters.norm2, parameters.norm2_bias),
            scale: contiguous(parameters.scale),
            dilation: parameters.dilation,
        };
        launch::dconv(&contiguous(x), &parts)
    }

    fn position_norm(x: Values, parameters: NormParameters<Self>, table: Values) -> Values {
        if kernels::are_plain(&x.device) {
            return default::position_norm::<Self>(x, parameters, table);
        }
        launch::position_norm(&contiguous(x), &parameters.into(), &contiguous(table))
    }

    fn linear(x: Values, parameters: LinearParameters<Self>) -> Values {
        if kernels::are_plain(&x.device) {
            return default::linear::<Self>(x, parameters);
        }
        launch::linear(&contiguous(x), &parameters.into())
    }

    fn norm_linear(x: Values, norm: NormParameters<Self>, parameters: LinearParameters<Self>) -> Values {
        if kernels::are_plain(&x.device) {
            return default::norm_linear::<Self>(x, norm, parameters);
        }
        launch::norm_linear(&contiguous(x), &norm.into(), &parameters.into(), false)
    }

    fn linear_residual(x: Values, y: Values, parameters: LinearParameters<Self>, scale: Values) -> Values {
        if kernels::are_plain(&x.device) {
            return default::linear_residual::<Self>(x, y, parameters, scale);
        }
        launch::linear_residual(&contiguous(x), &contiguous(y), &parameters.into(), &contiguous(scale))
    }

    fn feed_forward(
        x: Values,
        norm: NormParameters<Self>,
        first: LinearParameters<Self>,
        second: LinearParameters<Self>,
        scale: Values,
    ) -> Values {
        if kernels::are_plain(&x.device) {
            return default::feed_forward::<Self>(x, norm, first, second, scale);
        }
        let x = contiguous(x);
        let hidden = launch::norm_linear(&x, &norm.into(), &first.into(), true);
        launch::linear_residual(&x, &hidden, &second.into(), &contiguous(scale))
    }

    fn attention(x: Values, other: Values, firsts: [usize; 3], heads: usize, channels: usize) -> Values {
        let (x, other) = (contiguous(x), contiguous(other));
        let ours = || launch::attention(&x, &other, firsts, [heads, channels]);
        let done = if kernels::are_plain(&x.device) { None } else { ours() };
        done.unwrap_or_else(|| default::attention::<Self>(x, other, firsts, [heads, channels]))
    }

    fn group_norm(x: Values, parameters: NormParameters<Self>) -> Values {
        if kernels::are_plain(&x.device) {
            return default::group_norm::<Self>(x, parameters);
        }
        launch::group_norm(&contiguous(x), &parameters.into())
    }
}

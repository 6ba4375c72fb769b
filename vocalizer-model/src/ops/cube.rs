//! The network's operations on GPUs.

use burn::backend::ops::FloatTensorOps as _;
use burn::backend::tensor::FloatTensor;
use burn::tensor::Shape;
use burn_cubecl::CubeBackend;

use super::default;
use super::gpu::launch::{self, DConv, contiguous};
use super::kernels;
use super::network::NetworkOps;
use super::parameters::{DConvParameters, GluExtra, LinearParameters, NormParameters};
use vocalizer_kernels::conv::{Axis, STRIDE};
use vocalizer_kernels::gemm::Precision;

type Values = FloatTensor<CubeBackend>;

impl LinearParameters<CubeBackend> {
    fn contiguous(self) -> Self {
        Self { weight: contiguous(self.weight), bias: contiguous(self.bias) }
    }
}

impl NormParameters<CubeBackend> {
    fn contiguous(self) -> Self {
        Self { weight: contiguous(self.weight), bias: contiguous(self.bias) }
    }
}

/// Devices that are set to burn's operations use those of `default`.
impl NetworkOps for CubeBackend {
    fn pack(weight: Values, _: Precision) -> Values {
        if kernels::are_plain(&weight.device) { weight } else { contiguous(Self::float_transpose(weight)) }
    }

    fn pack_transposed(weight: Values, channels_out: usize, _: Precision) -> Values {
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
        launch::strided_gelu(&contiguous(x), &parameters.contiguous(), axis)
    }

    fn conv_glu(x: Values, extra: GluExtra<Self>, parameters: LinearParameters<Self>, taps: [usize; 2]) -> Values {
        if kernels::are_plain(&x.device) {
            return default::conv_glu::<Self>(x, extra, parameters, taps);
        }
        let extra = match extra {
            GluExtra::None => GluExtra::None,
            GluExtra::Skip(skip) => GluExtra::Skip(contiguous(skip)),
            GluExtra::Embedding(table) => GluExtra::Embedding(contiguous(table)),
        };
        launch::conv_glu(&contiguous(x), &extra, &parameters.contiguous(), taps)
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
        launch::transposed_gelu(&contiguous(x), &parameters.contiguous(), axis, frames, activate)
    }

    fn dconv(x: Values, parameters: DConvParameters<Self>) -> Values {
        if kernels::are_plain(&x.device) {
            return default::dconv::<Self>(x, parameters);
        }
        let linear = |weight, bias| LinearParameters { weight, bias }.contiguous();
        let norm = |weight, bias| NormParameters { weight, bias }.contiguous();
        let parts = DConv {
            compress: linear(parameters.compress, parameters.compress_bias),
            norm1: norm(parameters.norm1, parameters.norm1_bias),
            expand: linear(parameters.expand, parameters.expand_bias),
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
        launch::position_norm(&contiguous(x), &parameters.contiguous(), &contiguous(table))
    }

    fn linear(x: Values, parameters: LinearParameters<Self>) -> Values {
        if kernels::are_plain(&x.device) {
            return default::linear::<Self>(x, parameters);
        }
        launch::linear(&contiguous(x), &parameters.contiguous())
    }

    fn norm_linear(x: Values, norm: NormParameters<Self>, parameters: LinearParameters<Self>) -> Values {
        if kernels::are_plain(&x.device) {
            return default::norm_linear::<Self>(x, norm, parameters);
        }
        launch::norm_linear(&contiguous(x), &norm.contiguous(), &parameters.contiguous(), false)
    }

    fn linear_residual(x: Values, y: Values, parameters: LinearParameters<Self>, scale: Values) -> Values {
        if kernels::are_plain(&x.device) {
            return default::linear_residual::<Self>(x, y, parameters, scale);
        }
        launch::linear_residual(&contiguous(x), &contiguous(y), &parameters.contiguous(), &contiguous(scale))
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
        let hidden = launch::norm_linear(&x, &norm.contiguous(), &first.contiguous(), true);
        launch::linear_residual(&x, &hidden, &second.contiguous(), &contiguous(scale))
    }

    fn attention(x: Values, other: Values, firsts: [usize; 3], heads: usize, channels: usize, _: Precision) -> Values {
        let (x, other) = (contiguous(x), contiguous(other));
        let ours = || launch::attention(&x, &other, firsts, [heads, channels]);
        let done = if kernels::are_plain(&x.device) { None } else { ours() };
        done.unwrap_or_else(|| default::attention::<Self>(x, other, firsts, [heads, channels]))
    }

    fn group_norm(x: Values, parameters: NormParameters<Self>) -> Values {
        if kernels::are_plain(&x.device) {
            return default::group_norm::<Self>(x, parameters);
        }
        launch::group_norm(&contiguous(x), &parameters.contiguous())
    }
}

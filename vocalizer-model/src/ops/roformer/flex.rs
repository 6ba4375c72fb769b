//! The operations of RoFormers on the CPU.

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use vocalizer_kernels::conv::Axis;
use vocalizer_kernels::gemm::{Panels, Precision};
use vocalizer_kernels::{Extent, bands, rms, rotary, transformer};

use super::super::flex::{Linear, change, extent, output, shaped, values};
use super::super::network::NetworkOps;
use super::super::parameters::LinearParameters;
use super::operations::RoformerOps;
use super::parameters::{AttentionParameters, Layers};

/// Makes the parameters of several layers contiguous.
fn contiguous(layers: Layers<Flex>) -> Vec<Linear> {
    layers.0.into_iter().map(Linear::from).collect()
}

impl RoformerOps for Flex {
    fn pack_rows(weight: FloatTensor<Self>, precision: Precision) -> FloatTensor<Self> {
        Self::pack(weight, precision)
    }

    fn split_bands(spectrum: FloatTensor<Self>, layers: Layers<Self>, bands: Vec<[usize; 2]>) -> FloatTensor<Self> {
        let (spectrum, layers) = (spectrum.to_contiguous(), contiguous(layers));
        let from = extent(&spectrum);
        let to = Extent { channels: layers.first().map_or(0, Linear::rows), rows: bands.len(), ..from };
        let layers: Vec<transformer::Linear<'_>> =
            layers.iter().zip(&bands).map(|(layer, [_, bins])| layer.over(from.channels * bins)).collect();
        let mut out = output(to);
        bands::split((values(&spectrum), from), &layers, &bands, &mut out);
        shaped(out, to)
    }

    fn rms_norm(x: FloatTensor<Self>, scale: FloatTensor<Self>) -> FloatTensor<Self> {
        let scale = scale.to_contiguous();
        change(x, |x, extent| rms::rms_norm((x, extent), values(&scale)))
    }

    fn rotary_attention(x: FloatTensor<Self>, layer: AttentionParameters<Self>, axis: Axis) -> FloatTensor<Self> {
        let AttentionParameters { heads, width, .. } = layer;
        let [qkv, out, cos, sin] = [layer.qkv, layer.out, layer.cos, layer.sin].map(|x| x.to_contiguous());
        let gates = Linear::from(LinearParameters { weight: layer.gates, bias: layer.gates_bias });
        change(x, |x, extent| {
            let layer = rotary::Layer {
                qkv: Panels::new(values(&qkv), 3 * heads * width, extent.channels),
                gates: gates.over(extent.channels),
                out: Panels::new(values(&out), extent.channels, heads * width),
                cos: values(&cos),
                sin: values(&sin),
                heads,
                width,
            };
            rotary::attention((x, extent), layer, axis);
        })
    }

    fn rms_feed_forward(
        x: FloatTensor<Self>,
        first: LinearParameters<Self>,
        second: LinearParameters<Self>,
    ) -> FloatTensor<Self> {
        let (first, second) = (Linear::from(first), Linear::from(second));
        change(x, |x, extent| {
            rms::feed_forward((x, extent), first.over(extent.channels), second.over(first.rows()));
        })
    }

    fn band_masks(x: FloatTensor<Self>, layers: Layers<Self>, depth: usize) -> FloatTensor<Self> {
        let (x, layers) = (x.to_contiguous(), contiguous(layers));
        let from = extent(&x);
        let (mut linears, mut rows) = (Vec::with_capacity(layers.len()), 0);
        for layers in layers.chunks(depth) {
            let mut terms = from.channels;
            for layer in layers {
                linears.push(layer.over(terms));
                terms = layer.rows();
            }
            rows += terms / 2;
        }
        let to = Extent { channels: rows / 4, rows: 4, ..from };
        let mut out = output(to);
        bands::masks((values(&x), from), &linears, depth, &mut out);
        shaped(out, to)
    }
}

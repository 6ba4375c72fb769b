//! SCNet's operations on the CPU.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Bytes, Flex, TensorMetadata};
use rayon::prelude::*;
use realfft::RealFftPlanner;
use realfft::num_complex::Complex;
use vocalizer_kernels::band_conv::{self, Band};
use vocalizer_kernels::conv::{self, Axis};
use vocalizer_kernels::gemm::{Panels, Precision, pack_as};
use vocalizer_kernels::lstm::{self, Direction};
use vocalizer_kernels::unit::{self, Unit};
use vocalizer_kernels::{Extent, memory::Buffer};

use super::network::ScnetOps;
use super::parameters::{BandsParameters, LstmParameters, UnitParameters};
use crate::ops::flex::{Linear, Norm, change, extent, output, packed, panels, shaped, tensor, values};
use crate::ops::network::NetworkOps as _;
use crate::ops::parameters::{LinearParameters, NormParameters};

impl ScnetOps for Flex {
    fn pack_layer(weight: FloatTensor<Self>, precision: Precision) -> FloatTensor<Self> {
        Self::pack(weight, precision)
    }

    fn pack_same(weight: FloatTensor<Self>, taps: [usize; 2], precision: Precision) -> FloatTensor<Self> {
        Self::pack_glu(weight, taps, precision)
    }

    fn pack_lstm(input: FloatTensor<Self>, state: FloatTensor<Self>, precision: Precision) -> FloatTensor<Self> {
        let (input, state) = (input.to_contiguous(), state.to_contiguous());
        let words = lstm::pack_as(precision, values(&input), values(&state), state.shape()[1]);
        let len = words.len();
        tensor(Bytes::from_elems(words), [1, len])
    }

    fn pack_band(
        weight: FloatTensor<Self>,
        channels_out: usize,
        stride: usize,
        precision: Precision,
    ) -> FloatTensor<Self> {
        let weight = weight.to_contiguous();
        let channels = [weight.shape()[0], channels_out];
        let taps = weight.shape()[1] / channels_out;
        let (rows, terms, at) = band_conv::transposed_weight(values(&weight), channels, [taps, stride]);
        packed(rows, pack_as(precision, rows, terms, at))
    }

    fn bands_conv(x: FloatTensor<Self>, layers: BandsParameters<Self>, bands: [Band; 3]) -> FloatTensor<Self> {
        let x = x.to_contiguous();
        let from = extent(&x);
        let layers = layers.into_array().map(Linear::from);
        let to = Extent { channels: layers[0].rows, rows: bands.map(Band::coarse_rows).iter().sum(), ..from };
        let mut out = output(to);
        let mut first = 0;
        for (layer, band) in layers.iter().zip(bands) {
            let (weights, bias) = (panels(layer, from.channels * band.taps), values(&layer.bias));
            band_conv::conv((values(&x), from), weights, bias, (band, 1), (&mut out, to), first);
            first += band.coarse_rows();
        }
        shaped(out, to)
    }

    fn same_conv(x: FloatTensor<Self>, layer: LinearParameters<Self>, taps: [usize; 2]) -> FloatTensor<Self> {
        let (x, layer) = (x.to_contiguous(), Linear::from(layer));
        let from = extent(&x);
        let to = Extent { channels: layer.rows, ..from };
        let mut out = output(to);
        conv::same((values(&x), from), values(&layer.weight), values(&layer.bias), taps, &mut out);
        shaped(out, to)
    }

    fn unit(
        x: FloatTensor<Self>,
        unit: UnitParameters<Self>,
        first: usize,
        count: usize,
        activate: bool,
    ) -> FloatTensor<Self> {
        let norm1 = Norm::from(NormParameters { weight: unit.norm1, bias: unit.norm1_bias });
        let norm2 = Norm::from(NormParameters { weight: unit.norm2, bias: unit.norm2_bias });
        let compress = Linear::from(LinearParameters { weight: unit.compress, bias: unit.compress_bias });
        let expand = Linear::from(LinearParameters { weight: unit.expand, bias: unit.expand_bias });
        let depthwise = Linear::from(LinearParameters { weight: unit.depthwise, bias: unit.depthwise_bias });
        change(x, |x, extent| {
            let unit = Unit {
                norm1: norm1.values(),
                compress: panels(&compress, unit::TAPS * extent.channels),
                compress_bias: values(&compress.bias),
                depthwise: values(&depthwise.weight),
                depthwise_bias: values(&depthwise.bias),
                norm2: norm2.values(),
                expand: panels(&expand, depthwise.rows),
                expand_bias: values(&expand.bias),
            };
            unit::unit(x, extent, &unit, [first, count], activate);
        })
    }

    fn bands_transposed(x: FloatTensor<Self>, layers: BandsParameters<Self>, bands: [Band; 3]) -> FloatTensor<Self> {
        let x = x.to_contiguous();
        let from = extent(&x);
        let layers = layers.into_array().map(Linear::from);
        let to = Extent { channels: layers[0].rows, rows: bands.iter().map(|band| band.rows).sum(), ..from };
        let mut out = output(to);
        let mut first = 0;
        for (layer, band) in layers.iter().zip(bands) {
            let terms = from.channels * band.taps.div_ceil(band.stride);
            let weights = Panels::new(values(&layer.weight), band.stride * layer.rows, terms);
            band_conv::transposed((values(&x), from), weights, values(&layer.bias), band, first, (&mut out, to));
            first += band.coarse_rows();
        }
        shaped(out, to)
    }

    fn bilstm(
        x: FloatTensor<Self>,
        norm: NormParameters<Self>,
        lstm: LstmParameters<Self>,
        axis: Axis,
    ) -> FloatTensor<Self> {
        let (x, norm) = (x.to_contiguous(), Norm::from(norm));
        let layers = [lstm.forward, lstm.backward].map(Linear::from);
        let to = lstm::sequences(extent(&x), layers[0].rows / 4, axis);
        let directions =
            [0, 1].map(|i| Direction { weights: values(&layers[i].weight), bias: values(&layers[i].bias) });
        let mut out = output(to);
        lstm::bilstm((values(&x), extent(&x)), norm.values(), directions, axis, &mut out);
        shaped(out, to)
    }

    fn lstm_residual(
        x: FloatTensor<Self>,
        y: FloatTensor<Self>,
        layer: LinearParameters<Self>,
        axis: Axis,
    ) -> FloatTensor<Self> {
        let (y, layer) = (y.to_contiguous(), Linear::from(layer));
        let terms = y.shape()[1];
        change(x, |x, extent| lstm::residual(values(&y), layer.over(terms), axis, (x, extent)))
    }

    fn fourier(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let x = x.to_contiguous();
        let from = extent(&x);
        let bins = from.frames / 2 + 1;
        let to = Extent { channels: 2 * from.channels, frames: bins, ..from };
        let plan = RealFftPlanner::new().plan_fft_forward(from.frames);
        let scale = scale(from.frames);
        let rows = from.channels * from.rows;
        let mut out = output(to);
        let buffers = || (plan.make_input_vec(), plan.make_output_vec(), plan.make_scratch_vec());
        let frames = from.frames;
        let (from, items) = (values(&x), out.chunks_mut(2 * rows * bins));
        for (item, out) in items.enumerate() {
            let (re, im) = out.split_at_mut(rows * bins);
            let planes = re.par_chunks_mut(bins).zip(im.par_chunks_mut(bins)).enumerate();
            planes.for_each_init(buffers, |(input, spectrum, scratch), (row, (re, im))| {
                input.copy_from_slice(&from[(item * rows + row) * frames..][..frames]);
                plan.process_with_scratch(input, spectrum, scratch).expect("buffers from the plan");
                for ((re, im), value) in re.iter_mut().zip(im).zip(spectrum) {
                    (*re, *im) = (value.re * scale, value.im * scale);
                }
            });
        }
        shaped(out, to)
    }

    fn inverse_fourier(x: FloatTensor<Self>, frames: usize) -> FloatTensor<Self> {
        let x = x.to_contiguous();
        let from = extent(&x);
        let bins = from.frames;
        let to = Extent { channels: from.channels / 2, frames, ..from };
        let plan = RealFftPlanner::new().plan_fft_inverse(frames);
        let scale = scale(frames);
        let rows = to.channels * to.rows;
        let mut out: Buffer = output(to);
        let buffers = || (plan.make_input_vec(), plan.make_scratch_vec());
        let from = values(&x);
        out.par_chunks_mut(frames).enumerate().for_each_init(buffers, |(spectrum, scratch), (index, out)| {
            let at = (index / rows * 2 * rows + index % rows) * bins;
            let (re, im) = (&from[at..][..bins], &from[at + rows * bins..][..bins]);
            for ((value, re), im) in spectrum.iter_mut().zip(re).zip(im) {
                *value = Complex::new(re * scale, im * scale);
            }
            // As in the reference, these have no imaginary part.
            spectrum[0].im = 0.0;
            spectrum[bins - 1].im = 0.0;
            plan.process_with_scratch(spectrum, out, scratch).expect("buffers from the plan, real first and last bins");
        });
        shaped(out, to)
    }
}

/// Returns the factor of an orthonormal transform.
fn scale(frames: usize) -> f32 {
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "a scale, stored as f32")]
    let scale = (1.0 / (frames as f64).sqrt()) as f32;
    scale
}

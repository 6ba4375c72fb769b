//! SCNet's operations composed of burn's own: for backends without an implementation, and as the reference for the
//! others.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn::tensor::{Shape, TensorData};
use vocalizer_kernels::band_conv::Band;
use vocalizer_kernels::conv::Axis;
use vocalizer_kernels::norm::EPSILON;

use super::parameters::{BandsParameters, LstmParameters, UnitParameters};
use crate::ops::default::{affine, conv, dims, glu, linear, narrow, reshape};
use crate::ops::parameters::{LinearParameters, NormParameters};

/// Adds zero rows before and after.
fn pad_rows<B: Backend>(x: FloatTensor<B>, [before, after]: [usize; 2]) -> FloatTensor<B> {
    let [items, channels, _, frames] = dims::<B>(&x);
    let zeros = |rows| B::float_zeros(Shape::from([items, channels, rows, frames]), &x.device(), x.dtype().into());
    let mut parts = vec![x.clone()];
    if before > 0 {
        parts.insert(0, zeros(before));
    }
    if after > 0 {
        parts.push(zeros(after));
    }
    if parts.len() == 1 { x } else { B::float_cat(parts, 2) }
}

pub(super) fn bands_conv<B: Backend>(
    x: FloatTensor<B>,
    layers: BandsParameters<B>,
    bands: [Band; 3],
) -> FloatTensor<B> {
    let parts = layers.into_array().into_iter().zip(bands).map(|(layer, band)| {
        let rows = pad_rows::<B>(narrow::<B>(x.clone(), 2, band.first, band.rows), band.padding());
        conv::<B>(rows, layer, [band.taps, 1], ConvOptions::new([band.stride, 1], [0, 0], [1, 1], 1))
    });
    B::float_cat(parts.collect(), 2)
}

pub(super) fn same_conv<B: Backend>(x: FloatTensor<B>, layer: LinearParameters<B>, taps: [usize; 2]) -> FloatTensor<B> {
    conv::<B>(x, layer, taps, ConvOptions::new([1, 1], taps.map(|t| t / 2), [1, 1], 1))
}

/// Normalises each item as one group. The means are taken axis by axis, because a plain sum of a million values in f32
/// is too inaccurate.
fn norm<B: Backend>(x: FloatTensor<B>, norm: NormParameters<B>) -> FloatTensor<B> {
    let mean = |x: FloatTensor<B>| [3, 2, 1].into_iter().fold(x, |x, dim| B::float_mean_dim(x, dim));
    let x = B::float_sub(x.clone(), mean(x));
    let variance = mean(B::float_mul(x.clone(), x.clone()));
    let x = B::float_div(x, B::float_sqrt(B::float_add_scalar(variance, EPSILON.into())));
    affine::<B>(x, norm)
}

pub(super) fn unit<B: Backend>(
    x: FloatTensor<B>,
    unit: UnitParameters<B>,
    [first, count]: [usize; 2],
    activate: bool,
) -> FloatTensor<B> {
    let [items, channels, rows, frames] = dims::<B>(&x);
    let hidden = unit.depthwise_bias.shape()[0];
    // Each row becomes an item.
    let own = B::float_swap_dims(narrow::<B>(x.clone(), 2, first, count), 1, 2);
    let own = reshape::<B, 4>(own, [items * count, channels, 1, frames]);
    let y = norm::<B>(own.clone(), NormParameters { weight: unit.norm1, bias: unit.norm1_bias });
    let layer = LinearParameters { weight: unit.compress, bias: unit.compress_bias };
    let y = glu::<B>(conv::<B>(y, layer, [1, 3], ConvOptions::new([1, 1], [0, 1], [1, 1], 1)));
    let depthwise = reshape::<B, 4>(unit.depthwise, [hidden, 1, 1, 3]);
    let options = ConvOptions::new([1, 1], [0, 1], [1, 1], hidden);
    let y = B::conv2d(y, depthwise, Some(unit.depthwise_bias), options);
    let y = norm::<B>(y, NormParameters { weight: unit.norm2, bias: unit.norm2_bias });
    let y = B::float_mul(y.clone(), B::sigmoid(y));
    let y = linear::<B>(y, LinearParameters { weight: unit.expand, bias: unit.expand_bias });
    let y = B::float_add(own, y);
    let y = if activate { B::gelu(y) } else { y };
    let y = B::float_swap_dims(reshape::<B, 4>(y, [items, count, channels, frames]), 1, 2);
    let mut parts = vec![y];
    if first > 0 {
        parts.insert(0, narrow::<B>(x.clone(), 2, 0, first));
    }
    if first + count < rows {
        parts.push(narrow::<B>(x, 2, first + count, rows - first - count));
    }
    B::float_cat(parts, 2)
}

pub(super) fn bands_transposed<B: Backend>(
    x: FloatTensor<B>,
    layers: BandsParameters<B>,
    bands: [Band; 3],
) -> FloatTensor<B> {
    let channels = dims::<B>(&x)[1];
    let mut first = 0;
    let parts = layers.into_array().into_iter().zip(bands).map(|(layer, band)| {
        let coarse = narrow::<B>(x.clone(), 2, first, band.coarse_rows());
        first += band.coarse_rows();
        let weight = reshape::<B, 4>(layer.weight, [channels, layer.bias.shape()[0], band.taps, 1]);
        let options = ConvTransposeOptions::new([band.stride, 1], [0, 0], [0, 0], [1, 1], 1);
        narrow::<B>(B::conv_transpose2d(coarse, weight, Some(layer.bias), options), 2, band.surplus(), band.rows)
    });
    B::float_cat(parts.collect(), 2)
}

pub(super) fn bilstm<B: Backend>(
    x: FloatTensor<B>,
    norm: NormParameters<B>,
    lstm: LstmParameters<B>,
    axis: Axis,
) -> FloatTensor<B> {
    let x = self::norm::<B>(x, norm);
    let x = if axis == Axis::Rows { x } else { B::float_swap_dims(x, 2, 3) };
    let parts = [(lstm.forward, false), (lstm.backward, true)]
        .map(|(weights, backward)| direction::<B>(x.clone(), weights, backward));
    B::float_cat(parts.into(), 1)
}

/// One direction over the rows: `[items, hidden, steps, sequences]`.
fn direction<B: Backend>(x: FloatTensor<B>, layer: LinearParameters<B>, backward: bool) -> FloatTensor<B> {
    let [items, inputs, steps, sequences] = dims::<B>(&x);
    let rows = layer.bias.shape()[0];
    let hidden = rows / 4;
    let weight = narrow::<B>(layer.weight.clone(), 1, 0, inputs);
    let projected = linear::<B>(x.clone(), LinearParameters { weight, bias: layer.bias });
    let recurrent = narrow::<B>(layer.weight, 1, inputs, hidden);
    let recurrent = B::float_expand(reshape::<B, 3>(recurrent, [1, rows, hidden]), Shape::from([items, rows, hidden]));
    let zeros = || B::float_zeros(Shape::from([items, hidden, sequences]), &x.device(), x.dtype().into());
    let (mut state, mut cell) = (zeros(), zeros());
    let mut states = Vec::with_capacity(steps);
    for step in 0..steps {
        let at = if backward { steps - 1 - step } else { step };
        let sums = reshape::<B, 3>(narrow::<B>(projected.clone(), 2, at, 1), [items, rows, sequences]);
        let sums = B::float_add(sums, B::float_matmul(recurrent.clone(), state));
        let gate = |index: usize| narrow::<B>(sums.clone(), 1, index * hidden, hidden);
        let kept = B::float_mul(cell, B::sigmoid(gate(1)));
        cell = B::float_add(kept, B::float_mul(B::sigmoid(gate(0)), B::float_tanh(gate(2))));
        state = B::float_mul(B::sigmoid(gate(3)), B::float_tanh(cell.clone()));
        states.push(reshape::<B, 4>(state.clone(), [items, hidden, 1, sequences]));
    }
    if backward {
        states.reverse();
    }
    B::float_cat(states, 2)
}

pub(super) fn lstm_residual<B: Backend>(
    x: FloatTensor<B>,
    y: FloatTensor<B>,
    layer: LinearParameters<B>,
    axis: Axis,
) -> FloatTensor<B> {
    let y = linear::<B>(y, layer);
    B::float_add(x, if axis == Axis::Rows { y } else { B::float_swap_dims(y, 2, 3) })
}

/// Returns a matrix `[1, 1, rows, columns]` on the device of a tensor.
fn matrix<B: Backend>(
    [rows, columns]: [usize; 2],
    at: impl Fn(usize, usize) -> f64,
    like: &FloatTensor<B>,
) -> FloatTensor<B> {
    #[expect(clippy::cast_possible_truncation, reason = "stored as f32")]
    let values: Vec<f32> = (0..rows * columns).map(|i| at(i / columns, i % columns) as f32).collect();
    let data = TensorData::new(values, [1, 1, rows, columns]).convert_dtype(like.dtype());
    B::float_from_data(data, &like.device())
}

/// Returns the angle of one term of a transform of `frames`; whole turns are left out first.
#[expect(clippy::cast_precision_loss, reason = "below the number of frames")]
fn angle(frame: usize, bin: usize, frames: usize) -> f64 {
    std::f64::consts::TAU * (frame * bin % frames) as f64 / frames as f64
}

/// What the real and the imaginary part of a value stand for, at an angle.
const WAVES: [fn(f64) -> f64; 2] = [f64::cos, minus_sine];

fn minus_sine(angle: f64) -> f64 {
    -angle.sin()
}

#[expect(clippy::cast_precision_loss, reason = "frames of a chunk")]
pub(super) fn fourier<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let frames = dims::<B>(&x)[3];
    let (bins, scale) = (frames / 2 + 1, 1.0 / (frames as f64).sqrt());
    let parts = WAVES.map(|of| {
        let table = matrix::<B>([frames, bins], |frame, bin| scale * of(angle(frame, bin, frames)), &x);
        product::<B>(x.clone(), table)
    });
    B::float_cat(parts.into(), 1)
}

#[expect(clippy::cast_precision_loss, reason = "frames of a chunk")]
pub(super) fn inverse_fourier<B: Backend>(x: FloatTensor<B>, frames: usize) -> FloatTensor<B> {
    let [_, channels, _, bins] = dims::<B>(&x);
    let scale = 1.0 / (frames as f64).sqrt();
    let [re, im] = [(0, WAVES[0]), (channels / 2, WAVES[1])].map(|(first, of)| {
        // Every bin but the first and the last stands for two.
        let share = |bin: usize| if bin == 0 || 2 * bin == frames { scale } else { 2.0 * scale };
        let table = matrix::<B>([bins, frames], |bin, frame| share(bin) * of(angle(frame, bin, frames)), &x);
        product::<B>(narrow::<B>(x.clone(), 1, first, channels / 2), table)
    });
    B::float_add(re, im)
}

/// Multiplies each row by a matrix `[1, 1, frames, columns]`.
fn product<B: Backend>(x: FloatTensor<B>, table: FloatTensor<B>) -> FloatTensor<B> {
    let [items, channels, rows, frames] = dims::<B>(&x);
    let columns = table.shape()[3];
    let y = B::float_matmul(reshape::<B, 4>(x, [1, 1, items * channels * rows, frames]), table);
    reshape::<B, 4>(y, [items, channels, rows, columns])
}

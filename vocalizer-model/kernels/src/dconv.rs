//! The residual branches: dilated convolutions in a few channels, normalised over each whole row.
//!
//! A row of the spectrogram stays in a core's cache for the whole branch. A row of the waveform is too long for that:
//! it is processed in pieces, in one pass per normalisation. The input of the second normalisation is wide but cheap,
//! so it is computed twice instead of stored.

use pulp::{Simd, WithSimd};

use crate::gemm::{Panels, Terms, product, row_stride};
use crate::grid::{CHUNK, Extent, Piece, Shared, gather, pieces};
use crate::memory::Buffer;
use crate::norm::{Moments, fold_rows, moments};
use crate::scratch::Scratch;
use crate::simd::{dispatch, each, gelu, sigmoid};

/// The longest row that is processed in one pass.
const WHOLE: usize = 2 * CHUNK;

/// Taps of the dilated convolution.
pub const TAPS: usize = 3;

/// One layer of a branch.
#[derive(Clone, Copy)]
pub struct DConvLayer<'a> {
    /// `[hidden, channels · 3]`.
    pub compress: Panels<'a>,
    /// The bias of the first convolution.
    pub compress_bias: &'a [f32],
    /// Scale and shift of the normalisation, per hidden channel.
    pub norm1: [&'a [f32]; 2],
    /// `[2 · channels, hidden]`.
    pub expand: Panels<'a>,
    /// The bias of the second convolution.
    pub expand_bias: &'a [f32],
    /// Weight and bias of the second normalization.
    pub norm2: [&'a [f32]; 2],
    /// LayerScale, per channel.
    pub scale: &'a [f32],
    /// The dilation of the first convolution, in frames.
    pub dilation: usize,
}

/// Adds one layer's branch to `values`, each row separately.
pub fn dconv(values: &mut [f32], x: Extent, layer: &DConvLayer<'_>) {
    let (hidden, channels) = (layer.compress.rows(), x.channels);
    assert!(values.len() == x.len() && layer.compress_bias.len() == hidden && layer.scale.len() == channels);
    assert!(layer.expand.rows() == 2 * channels && layer.expand_bias.len() == 2 * channels);
    assert!(layer.norm1.iter().all(|n| n.len() == hidden) && layer.norm2.iter().all(|n| n.len() == 2 * channels));
    if x.frames <= WHOLE {
        let shared = Shared::new(values);
        pieces([x.items, x.rows, x.frames], WHOLE, |piece| dispatch(Whole { values: &shared, x, layer, piece }));
    } else {
        long(values, x, layer);
    }
}

struct Whole<'a> {
    values: &'a Shared<'a>,
    x: Extent,
    layer: &'a DConvLayer<'a>,
    piece: Piece,
}

impl WithSimd for Whole<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { values, x, layer, piece } = self;
        let hidden = layer.compress.rows();
        // SAFETY: rows of different pieces do not overlap, and a piece uses its rows one at a time.
        let row = |channel| unsafe { values.part(x.row(piece.item, channel, piece.row), x.frames) };
        let stride = row_stride::<S>(x.frames, 2 * layer.dilation);
        let mut scratch = Scratch::take();
        let [input, middle, wide] = scratch.slices(lengths(layer, x.channels, stride));
        compress(simd, layer, |channel| &*row(channel), [0, x.frames], input, middle, stride);
        let norm = moments(simd, middle, stride, x.frames, layer.compress_bias).over(hidden * x.frames);
        activate(simd, layer, norm, x.frames, middle, stride);
        expand(simd, layer, middle, x.frames, wide, stride);
        let norm = moments(simd, wide, stride, x.frames, layer.expand_bias).over(2 * x.channels * x.frames);
        add(simd, layer, norm, wide, stride, x.frames, row);
    }
}

/// Returns the scratch lengths for the input, the hidden channels and the wide channels.
fn lengths(layer: &DConvLayer<'_>, channels: usize, stride: usize) -> [usize; 3] {
    [channels * stride, layer.compress.padded_rows() * stride, layer.expand.padded_rows() * stride]
}

/// The dilated convolution of frames `start .. start + frames`, without its bias, which the normalisation adds.
#[inline(always)]
fn compress<'a, S: Simd>(
    simd: S,
    layer: &DConvLayer<'_>,
    row: impl Fn(usize) -> &'a [f32],
    [start, frames]: [usize; 2],
    input: &mut [f32],
    middle: &mut [f32],
    stride: usize,
) {
    let channels = layer.scale.len();
    for (channel, input) in input.chunks_exact_mut(stride).take(channels).enumerate() {
        let from = start.cast_signed() - layer.dilation.cast_signed();
        gather(row(channel), from, &mut input[..frames + 2 * layer.dilation]);
    }
    let offsets: Vec<usize> =
        (0..TAPS * channels).map(|term| term / TAPS * stride + term % TAPS * layer.dilation).collect();
    product(simd, layer.compress, Terms { values: input, offsets: &offsets }, frames, middle, stride, false);
}

/// Turns a normalisation of values without their bias into a scale and a shift.
fn affine([mean, deviation]: [f32; 2], weight: f32, shift: f32, bias: f32) -> [f32; 2] {
    let scale = weight / deviation;
    [scale, (bias - mean).mul_add(scale, shift)]
}

/// Normalises the hidden channels and applies GELU.
#[inline(always)]
fn activate<S: Simd>(
    simd: S,
    layer: &DConvLayer<'_>,
    norm: [f32; 2],
    frames: usize,
    middle: &mut [f32],
    stride: usize,
) {
    let [weights, shifts] = layer.norm1;
    for (channel, middle) in middle.chunks_exact_mut(stride).take(weights.len()).enumerate() {
        let affine = affine(norm, weights[channel], shifts[channel], layer.compress_bias[channel]);
        let [scale, shift] = affine.map(|v| simd.splat_f32s(v));
        each!(simd: S, &mut middle[..frames] => v; gelu(simd, simd.mul_add_e_f32s(v, scale, shift)));
    }
}

/// The convolution to twice the channels, without its bias.
#[inline(always)]
fn expand<S: Simd>(simd: S, layer: &DConvLayer<'_>, middle: &[f32], frames: usize, wide: &mut [f32], stride: usize) {
    let offsets: Vec<usize> = (0..layer.compress.rows()).map(|term| term * stride).collect();
    product(simd, layer.expand, Terms { values: middle, offsets: &offsets }, frames, wide, stride, false);
}

/// Normalises, gates and scales the wide channels and adds them to the input.
#[inline(always)]
fn add<'a, S: Simd>(
    simd: S,
    layer: &DConvLayer<'_>,
    norm: [f32; 2],
    wide: &[f32],
    stride: usize,
    frames: usize,
    row: impl Fn(usize) -> &'a mut [f32],
) {
    let channels = layer.scale.len();
    let [weights, shifts] = layer.norm2;
    let (signals, gates) = wide.split_at(channels * stride);
    for (channel, (signal, gate)) in signals.chunks_exact(stride).zip(gates.chunks(stride)).enumerate() {
        let [[scale, shift], [gate_scale, gate_shift]] = [channel, channels + channel]
            .map(|i| affine(norm, weights[i], shifts[i], layer.expand_bias[i]).map(|v| simd.splat_f32s(v)));
        let layer_scale = simd.splat_f32s(layer.scale[channel]);
        each!(simd: S, row(channel) => x, &signal[..frames] => signal, &gate[..frames] => gate; {
            let open = sigmoid(simd, simd.mul_add_e_f32s(gate, gate_scale, gate_shift));
            let signal = simd.mul_add_e_f32s(signal, scale, shift);
            simd.mul_add_e_f32s(simd.mul_f32s(signal, open), layer_scale, x)
        });
    }
}

/// Processes long rows in pieces: compress and measure; activate, expand and measure; expand again and add.
fn long(values: &mut [f32], x: Extent, layer: &DConvLayer<'_>) {
    let middle = Extent { channels: layer.compress.rows(), ..x };
    let mut hidden = Buffer::of(middle.len());
    let per_row = x.frames.div_ceil(CHUNK);
    let norms = |moments: Vec<Moments>, channels: usize| -> Vec<[f32; 2]> {
        moments.chunks(per_row).map(|row| fold_rows(row).over(channels * x.frames)).collect()
    };
    let (shared, hidden_shared) = (Shared::new(values), Shared::new(&mut hidden));
    let run = |step: Step<'_>| {
        pieces([x.items, x.rows, x.frames], CHUNK, |piece| {
            dispatch(Long { values: &shared, x, hidden: &hidden_shared, middle, layer, piece, step })
        })
    };
    let norm1 = norms(run(Step::Compress), middle.channels);
    let norm2 = norms(run(Step::Expand(&norm1)), 2 * x.channels);
    run(Step::Add(&norm2));
}

/// A pass over the pieces, with one normalisation per row.
#[derive(Clone, Copy)]
enum Step<'a> {
    Compress,
    Expand(&'a [[f32; 2]]),
    Add(&'a [[f32; 2]]),
}

struct Long<'a> {
    values: &'a Shared<'a>,
    x: Extent,
    hidden: &'a Shared<'a>,
    middle: Extent,
    layer: &'a DConvLayer<'a>,
    piece: Piece,
    step: Step<'a>,
}

impl WithSimd for Long<'_> {
    type Output = Moments;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Moments {
        let Self { values, x, hidden, middle: extent, layer, piece, step } = self;
        let Piece { item, row, start, frames } = piece;
        let stride = row_stride::<S>(frames, 2 * layer.dilation);
        let norm = |norms: &[[f32; 2]]| norms[item * x.rows + row];
        // SAFETY: the pieces' own frames do not overlap.
        let hidden_row = |channel| unsafe { hidden.part(extent.row(item, channel, row) + start, frames) };
        let mut scratch = Scratch::take();
        let [input, middle, wide] = scratch.slices(lengths(layer, x.channels, stride));
        let count = extent.channels;
        if let Step::Compress = step {
            // SAFETY: this also reads the neighbours' frames, but no thread writes `values` in this step.
            let whole = |channel| unsafe { values.read(x.row(item, channel, row), x.frames) };
            compress(simd, layer, whole, [start, frames], input, middle, stride);
            for (channel, middle) in middle.chunks_exact(stride).take(count).enumerate() {
                hidden_row(channel).copy_from_slice(&middle[..frames]);
            }
            return moments(simd, middle, stride, frames, layer.compress_bias);
        }
        for (channel, middle) in middle.chunks_exact_mut(stride).take(count).enumerate() {
            middle[..frames].copy_from_slice(hidden_row(channel));
        }
        if let Step::Expand(norms) = step {
            activate(simd, layer, norm(norms), frames, middle, stride);
            for (channel, middle) in middle.chunks_exact(stride).take(count).enumerate() {
                hidden_row(channel).copy_from_slice(&middle[..frames]);
            }
        }
        expand(simd, layer, middle, frames, wide, stride);
        if let Step::Add(norms) = step {
            // SAFETY: as above.
            let own = |channel| unsafe { values.part(x.row(item, channel, row) + start, frames) };
            add(simd, layer, norm(norms), wide, stride, frames, own);
            return Moments::default();
        }
        moments(simd, wide, stride, frames, layer.expand_bias)
    }
}

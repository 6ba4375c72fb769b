//! The convolutions of encoder and decoder, each fused with the operations that follow.

mod winograd;

use pulp::{Simd, WithSimd};

use crate::band_conv::{self, Band, Convolution, Transposed, finish};
use crate::gemm::{Panels, Precision, Terms, pack_as, product, row_stride};
use crate::grid::{CHUNK, Extent, Piece, Shared, chunk, gather, pieces};
use crate::scratch::Scratch;
use crate::simd::{dispatch, each, gelu, sigmoid};

/// The axis of a strided convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axis {
    /// Over frequencies, each frame separately.
    Rows,
    /// Over frames.
    Frames,
}

/// Number of taps of the strided convolutions.
pub const TAPS: usize = 8;
/// Their stride.
pub const STRIDE: usize = 4;
/// Their padding on each side.
const PADDING: usize = 2;

/// With fewer channels, the transforms take a larger share of the time; the gain was not measured.
const LEAST_CHANNELS: usize = 48;

/// Returns the output extent of a strided convolution; frames are padded with zeros to whole strides.
pub fn strided(x: Extent, channels: usize, axis: Axis) -> Extent {
    match axis {
        Axis::Rows => Extent { channels, rows: x.rows / STRIDE, ..x },
        Axis::Frames => Extent { channels, frames: x.frames.div_ceil(STRIDE), ..x },
    }
}

/// A convolution with eight taps and stride four, then GELU. `weights` is `[channels_out, channels_in · 8]`.
pub fn strided_gelu((values, x): (&[f32], Extent), weights: Panels<'_>, bias: &[f32], axis: Axis, out: &mut [f32]) {
    let y = strided(x, weights.rows(), axis);
    assert!(values.len() == x.len() && out.len() == y.len() && bias.len() == y.channels);
    if axis == Axis::Rows {
        let band = Band { first: 0, rows: x.rows, taps: TAPS, stride: STRIDE };
        let layer = Convolution { values, x, skip: None, weights, band, before: PADDING, wide: 1 };
        return layer.run((bias, true), (out, y), [0, y.rows], CHUNK);
    }
    let out = Shared::new(out);
    pieces([y.items, y.rows, y.frames], chunk([y.items * y.rows, y.frames], CHUNK), |piece| {
        dispatch(StridedGelu { values, x, weights, bias, y, out: &out, piece });
    });
}

/// Over frames.
struct StridedGelu<'a> {
    values: &'a [f32],
    x: Extent,
    weights: Panels<'a>,
    bias: &'a [f32],
    y: Extent,
    out: &'a Shared<'a>,
    piece: Piece,
}

impl WithSimd for StridedGelu<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { values, x, weights, bias, y, out, piece } = self;
        let stride = row_stride::<S>(piece.frames, 1);
        let lines = STRIDE * x.channels;
        let mut scratch = Scratch::take();
        let [input, sums] = scratch.slices([lines * stride, weights.padded_rows() * stride]);
        for (line, input) in input.chunks_exact_mut(stride).take(lines).enumerate() {
            let row = &values[x.row(piece.item, line / STRIDE, piece.row)..][..x.frames];
            // One more value than outputs: the later taps start one value later.
            every_fourth(row, STRIDE * piece.start + line % STRIDE, &mut input[..=piece.frames]);
        }
        let offset = |term: usize| {
            let tap = term % TAPS;
            (term / TAPS * STRIDE + tap % STRIDE) * stride + tap / STRIDE
        };
        let offsets: Vec<usize> = (0..x.channels * TAPS).map(offset).collect();
        product(simd, weights, Terms { values: input, offsets: &offsets }, piece.frames, sums, stride, false);
        for (channel, sums) in sums.chunks_exact(stride).take(y.channels).enumerate() {
            let at = y.row(piece.item, channel, piece.row) + piece.start;
            // SAFETY: pieces do not overlap.
            let out = unsafe { out.part(at, piece.frames) };
            finish(simd, &sums[..piece.frames], bias[channel], true, out);
        }
    }
}

/// Copies every fourth value from `start` minus the padding; zero outside the row.
fn every_fourth(row: &[f32], start: usize, out: &mut [f32]) {
    for (i, value) in out.iter_mut().enumerate() {
        let at = (start + STRIDE * i).wrapping_sub(PADDING);
        *value = row.get(at).copied().unwrap_or(0.0);
    }
}

/// Additions to the input and output of a GLU convolution.
#[derive(Clone, Copy, Default)]
pub struct GluExtras<'a> {
    /// Added to the input: the skip connection.
    pub skip: Option<&'a [f32]>,
    /// Added to the output: the frequency embedding, `[channels, rows]`.
    pub embedding: Option<&'a [f32]>,
}

/// Packs the weights of [`conv_glu`] or [`same`], `[rows, channels_in · taps]`, with the given taps over rows and over
/// frames; `at(row, term)` reads them. In f32, those of 3 × 3 and 1 × 3 taps are transformed if that makes the
/// convolution faster; they then take 8/3 times or twice the memory.
pub fn pack_same(
    precision: Precision,
    rows: usize,
    channels: usize,
    taps: [usize; 2],
    at: impl Fn(usize, usize) -> f32,
) -> Vec<f32> {
    match winograd::Rows::of(taps) {
        Some(over_rows) if precision == Precision::F32 && channels >= LEAST_CHANNELS => {
            over_rows.pack(rows, channels, at)
        }
        _ => pack_as(precision, rows, channels * taps[0] * taps[1], at),
    }
}

/// A convolution that keeps rows and frames, then GLU: half of the channels times the sigmoid of the other half. `taps`
/// are odd, over rows and over frames; `weights` is `[2 · channels_out, channels_in · taps]`, from [`pack_same`].
///
/// # Panics
///
/// If the extents of the values, the weights, the bias and the extras do not fit together.
pub fn conv_glu(
    (values, x): (&[f32], Extent),
    weights: &[f32],
    bias: &[f32],
    [tall, wide]: [usize; 2],
    extras: GluExtras<'_>,
    out: &mut [f32],
) {
    let y = Extent { channels: bias.len() / 2, ..x };
    assert!(values.len() == x.len() && out.len() == y.len() && bias.len() == 2 * y.channels);
    assert!(extras.skip.is_none_or(|s| s.len() == x.len()));
    assert!(extras.embedding.is_none_or(|e| e.len() == y.channels * y.rows));
    if let Some(over_rows) = winograd::Rows::of_packed(weights, bias.len(), x.channels, [tall, wide]) {
        return winograd::Same { values, x, weights, bias, over_rows, gated: true, extras }.run((out, y));
    }
    let weights = Panels::new(weights, bias.len(), x.channels * tall * wide);
    let band = Band { first: 0, rows: x.rows, taps: tall, stride: 1 };
    let layer = Convolution { values, x, skip: extras.skip, weights, band, before: tall / 2, wide };
    let out = Shared::new(out);
    pieces([y.items, y.rows, y.frames], chunk([y.items * y.rows, y.frames], CHUNK), |piece| {
        dispatch(ConvGlu { layer: &layer, bias, embedding: extras.embedding, y, out: &out, piece });
    });
}

/// A convolution that keeps rows and frames. `taps` are odd, over rows and over frames; `weights` is
/// `[channels_out, channels_in · taps]`, from [`pack_same`].
///
/// # Panics
///
/// If the extents of the values, the weights and the bias do not fit together.
pub fn same((values, x): (&[f32], Extent), weights: &[f32], bias: &[f32], [tall, wide]: [usize; 2], out: &mut [f32]) {
    let y = Extent { channels: bias.len(), ..x };
    assert!(values.len() == x.len() && out.len() == y.len());
    if let Some(over_rows) = winograd::Rows::of_packed(weights, bias.len(), x.channels, [tall, wide]) {
        let extras = GluExtras::default();
        return winograd::Same { values, x, weights, bias, over_rows, gated: false, extras }.run((out, y));
    }
    let weights = Panels::new(weights, bias.len(), x.channels * tall * wide);
    let band = Band { first: 0, rows: x.rows, taps: tall, stride: 1 };
    band_conv::conv((values, x), weights, bias, (band, wide), (out, y), 0);
}

struct ConvGlu<'a> {
    layer: &'a Convolution<'a>,
    bias: &'a [f32],
    embedding: Option<&'a [f32]>,
    y: Extent,
    out: &'a Shared<'a>,
    piece: Piece,
}

impl WithSimd for ConvGlu<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { layer, bias, embedding, y, out, piece } = self;
        let mut scratch = Scratch::take();
        let (sums, stride) = layer.sums(simd, piece, &mut scratch);
        let (signals, gates) = sums.split_at(y.channels * stride);
        for (channel, (signal, gate)) in signals.chunks_exact(stride).zip(gates.chunks(stride)).enumerate() {
            let at = y.row(piece.item, channel, piece.row) + piece.start;
            // SAFETY: pieces do not overlap.
            let out = unsafe { out.part(at, piece.frames) };
            let splat = |v| simd.splat_f32s(v);
            let (bias, gate_bias) = (splat(bias[channel]), splat(bias[y.channels + channel]));
            let embedding = splat(embedding.map_or(0.0, |e| e[channel * y.rows + piece.row]));
            each!(simd: S, out => _, &signal[..piece.frames] => signal, &gate[..piece.frames] => gate; {
                let open = sigmoid(simd, simd.add_f32s(gate, gate_bias));
                simd.mul_add_e_f32s(simd.add_f32s(signal, bias), open, embedding)
            });
        }
    }
}

/// Returns the output extent of a transposed convolution, with `frames` if it strides over frames.
pub fn transposed(x: Extent, channels: usize, axis: Axis, frames: usize) -> Extent {
    match axis {
        Axis::Rows => Extent { channels, rows: STRIDE * x.rows, ..x },
        Axis::Frames => Extent { channels, frames, ..x },
    }
}

/// A transposed convolution with eight taps and stride four, without its first two outputs, then GELU if `activate`.
/// Each output is a sum over two inputs, so nothing is accumulated in memory. `weights` come from
/// [`transposed_weight`](crate::band_conv::transposed_weight).
pub fn transposed_gelu(
    (values, x): (&[f32], Extent),
    weights: Panels<'_>,
    bias: &[f32],
    (axis, activate): (Axis, bool),
    (out, y): (&mut [f32], Extent),
) {
    assert!(values.len() == x.len() && out.len() == y.len());
    assert!(bias.len() == y.channels && weights.rows() == STRIDE * y.channels);
    assert!(axis == Axis::Rows || y.frames <= STRIDE * x.frames + PADDING, "every frame has an input");
    if axis == Axis::Rows {
        let band = Band { first: 0, rows: y.rows, taps: TAPS, stride: STRIDE };
        let layer = Transposed { values, x, weights, bias, from: [0, x.rows], band, surplus: PADDING, activate };
        return layer.run((out, y), CHUNK);
    }
    let out = Shared::new(out);
    // One more position than inputs: the last one reaches past the end.
    let frames = x.frames + 1;
    pieces([y.items, x.rows, frames], chunk([y.items * x.rows, frames], CHUNK), |piece| {
        dispatch(TransposedGelu { values, x, weights, bias, activate, y, out: &out, piece });
    });
}

/// Over frames.
struct TransposedGelu<'a> {
    values: &'a [f32],
    x: Extent,
    weights: Panels<'a>,
    bias: &'a [f32],
    activate: bool,
    y: Extent,
    out: &'a Shared<'a>,
    piece: Piece,
}

impl WithSimd for TransposedGelu<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { values, x, weights, bias, activate, y, out, piece } = self;
        let stride = row_stride::<S>(piece.frames, 1);
        let mut scratch = Scratch::take();
        let [input, sums] = scratch.slices([x.channels * stride, weights.padded_rows() * stride]);
        for (channel, input) in input.chunks_exact_mut(stride).take(x.channels).enumerate() {
            let row = &values[x.row(piece.item, channel, piece.row)..][..x.frames];
            gather(row, piece.start.cast_signed() - 1, &mut input[..=piece.frames]);
        }
        let offsets: Vec<usize> = (0..2 * x.channels).map(|term| term / 2 * stride + 1 - term % 2).collect();
        product(simd, weights, Terms { values: input, offsets: &offsets }, piece.frames, sums, stride, false);
        for (line, sums) in sums.chunks_exact_mut(stride).take(weights.rows()).enumerate() {
            let bias = simd.splat_f32s(bias[line % y.channels]);
            if activate {
                each!(simd: S, &mut sums[..piece.frames] => v; gelu(simd, simd.add_f32s(v, bias)));
            } else {
                each!(simd: S, &mut sums[..piece.frames] => v; simd.add_f32s(v, bias));
            }
        }
        for channel in 0..y.channels {
            let phase = |p: usize| &sums[(p * y.channels + channel) * stride..][..piece.frames];
            // SAFETY: neither pieces nor the phases of a piece overlap.
            let part = |first, count| unsafe { out.part(y.row(piece.item, channel, piece.row) + first, count) };
            interleave([phase(0), phase(1), phase(2), phase(3)], piece.start, part, y.frames);
        }
    }
}

/// Interleaves four phases into a row of `frames`; values outside the row are dropped. `part` returns a range of the
/// row.
fn interleave<'a>(phases: [&[f32]; STRIDE], start: usize, part: impl Fn(usize, usize) -> &'a mut [f32], frames: usize) {
    let count = phases[0].len();
    let first = (STRIDE * start).saturating_sub(PADDING);
    let last = (STRIDE * (start + count)).saturating_sub(PADDING).min(frames);
    if first >= last {
        return;
    }
    let out = part(first, last - first);
    // Index of the first value among those of the phases.
    let skipped = first + PADDING - STRIDE * start;
    let (head, body) = out.split_at_mut((STRIDE - skipped % STRIDE).min(out.len()) % STRIDE);
    for (i, value) in head.iter_mut().enumerate() {
        *value = phases[(skipped + i) % STRIDE][(skipped + i) / STRIDE];
    }
    let from = (skipped + head.len()) / STRIDE;
    let (fours, tail) = body.as_chunks_mut::<STRIDE>();
    let tail_at = from + fours.len();
    for (i, four) in fours.iter_mut().enumerate() {
        *four = phases.map(|phase| phase[from + i]);
    }
    for (value, phase) in tail.iter_mut().zip(phases) {
        *value = phase[tail_at];
    }
}

//! Bidirectional LSTMs over the rows or the frames of a tensor, and the linear layer that adds their output to it.
//!
//! Sequences are columns, as positions are in the other kernels. A step is one product for many sequences: the weights
//! of the input and those of the previous state stand side by side, so that no product is kept for the whole sequence.
//! The gates of a block of hidden units are computed together, while their sums are in the cache.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use crate::conv::Axis;
use crate::gemm::{self, Panels, Precision, Terms, padded_columns, padded_rows, product, row_stride, tile_columns};
use crate::grid::{Extent, Piece, Shared, pieces};
use crate::norm::item_norms;
use crate::scratch::Scratch;
use crate::simd::{dispatch, each, sigmoid, sigmoid_tanh};
use crate::transformer::{Linear, Norm};

/// Input, forget, cell and output gate, as in PyTorch.
const GATES: usize = 4;

/// Hidden units per block: their gates are a block of the product's rows, whole panels of either tile.
const UNITS: usize = 60;

/// Maximum sequences per piece.
const SEQUENCES: usize = 96;

/// Steps along frames whose inputs are transposed together: a cache line of each row.
const STEPS: usize = 16;

/// One direction of a layer.
#[derive(Clone, Copy)]
pub struct Direction<'a> {
    /// From [`pack`].
    pub weights: &'a [f32],
    /// Both biases added, `[4 · hidden]`.
    pub bias: &'a [f32],
}

/// Returns the blocks of hidden units.
fn blocks(hidden: usize) -> impl Iterator<Item = Range<usize>> {
    (0..hidden).step_by(UNITS).map(move |first| first..hidden.min(first + UNITS))
}

/// Returns the rows of packed weights, with padding.
pub fn packed_rows(hidden: usize) -> usize {
    blocks(hidden).map(|units| padded_rows(GATES * units.len())).sum()
}

/// Returns the length of packed weights.
fn packed_len(precision: Precision, hidden: usize, terms: usize) -> usize {
    blocks(hidden).map(|units| precision.packed_len(GATES * units.len(), terms)).sum()
}

/// Packs the weights of one direction: `input` is `[4 · hidden, inputs]`, `state` is `[4 · hidden, hidden]`.
///
/// # Panics
///
/// If the numbers of weights do not fit.
pub fn pack(input: &[f32], state: &[f32], hidden: usize) -> Vec<f32> {
    pack_as(Precision::F32, input, state, hidden)
}

/// Packs like [`pack`], in a precision.
///
/// # Panics
///
/// If the numbers of weights do not fit.
pub fn pack_as(precision: Precision, input: &[f32], state: &[f32], hidden: usize) -> Vec<f32> {
    let inputs = input.len() / (GATES * hidden);
    assert_eq!([input.len(), state.len()], [inputs, hidden].map(|terms| GATES * hidden * terms));
    let terms = inputs + hidden;
    let pack_block = |units: Range<usize>| {
        let at = |row: usize, term: usize| {
            let row = row / units.len() * hidden + units.start + row % units.len();
            if term < inputs { input[row * inputs + term] } else { state[row * hidden + term - inputs] }
        };
        gemm::pack_as(precision, GATES * units.len(), terms, at)
    };
    blocks(hidden).flat_map(pack_block).collect()
}

/// Returns the extent of an LSTM's output: both directions' hidden units as channels, steps as rows, sequences as
/// frames. Steps are the input's rows or frames, each sequence is one of the others.
pub fn sequences(x: Extent, hidden: usize, axis: Axis) -> Extent {
    let [rows, frames] = match axis {
        Axis::Rows => [x.rows, x.frames],
        Axis::Frames => [x.frames, x.rows],
    };
    Extent { items: x.items, channels: 2 * hidden, rows, frames }
}

/// A bidirectional LSTM over the rows or the frames of the normalised values (each item as one group). `out` has the
/// extent [`sequences`].
///
/// # Panics
///
/// If the extents of the values, the norm and the weights do not fit together.
pub fn bilstm(
    (values, x): (&[f32], Extent),
    norm: Norm<'_>,
    directions: [Direction<'_>; 2],
    axis: Axis,
    out: &mut [f32],
) {
    let hidden = directions[0].bias.len() / GATES;
    let y = sequences(x, hidden, axis);
    assert!(values.len() == x.len() && out.len() == y.len() && norm.iter().all(|n| n.len() == x.channels));
    for direction in directions {
        assert_eq!(direction.bias.len(), GATES * hidden);
    }
    let fits = |precision: &Precision| {
        let len = packed_len(*precision, hidden, x.channels + hidden);
        directions.iter().all(|direction| direction.weights.len() == len)
    };
    let precision = Precision::ALL.into_iter().find(fits);
    let precision = precision.unwrap_or_else(|| panic!("packed weights of {} channels", x.channels));
    let norms = item_norms(values, x);
    let out = Shared::new(out);
    pieces([y.items, directions.len(), y.frames], share(directions.len() * y.items, y.frames), |piece| {
        let affine = |channel: usize| {
            let [mean, deviation] = norms[piece.item];
            let scale = norm[0][channel] / deviation;
            [scale, norm[1][channel] - mean * scale]
        };
        let affine: Vec<[f32; 2]> = (0..x.channels).map(affine).collect();
        let direction = directions[piece.row];
        dispatch(Run { values, x, affine: &affine, direction, precision, hidden, axis, y, out: &out, piece });
    });
}

/// Returns the sequences per piece, whole tiles, so that `lines` times as many give every thread work. A piece reads
/// all weights at each step, so there are no more pieces than that.
fn share(lines: usize, sequences: usize) -> usize {
    struct Tile;
    impl WithSimd for Tile {
        type Output = usize;
        fn with_simd<S: Simd>(self, _: S) -> usize {
            tile_columns::<S>()
        }
    }
    let parts = rayon::current_num_threads().div_ceil(lines.max(1));
    sequences.div_ceil(parts).next_multiple_of(dispatch(Tile)).min(SEQUENCES)
}

struct Run<'a> {
    values: &'a [f32],
    x: Extent,
    /// Scale and shift of each channel.
    affine: &'a [[f32; 2]],
    direction: Direction<'a>,
    precision: Precision,
    hidden: usize,
    axis: Axis,
    y: Extent,
    out: &'a Shared<'a>,
    piece: Piece,
}

impl WithSimd for Run<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { x, direction, precision, hidden, axis, y, out, piece, .. } = self;
        let backward = piece.row == 1;
        let columns = padded_columns::<S>(piece.frames);
        let stride = row_stride::<S>(piece.frames, 0);
        let steps = if axis == Axis::Rows { 1 } else { STEPS };
        // A line more, so that the steps' inputs do not evict each other from the caches.
        let slot = x.channels * stride + 16;
        let states = [0, 1].map(|parity| steps * slot + parity * hidden * stride);
        let mut scratch = Scratch::take();
        let gates = padded_rows(GATES * UNITS.min(hidden));
        let lengths = [steps * slot + 2 * hidden * stride, hidden * stride, gates * stride];
        let [terms, cells, sums] = scratch.slices(lengths);
        terms.fill(0.0);
        cells.fill(0.0);
        let mut offsets: Vec<usize> = (0..x.channels + hidden).map(|term| term * stride).collect();

        let mut inputs = 0..0;
        for step in 0..y.rows {
            let at = if backward { y.rows - 1 - step } else { step };
            if !inputs.contains(&at) {
                inputs = if backward { (at + 1).saturating_sub(steps)..at + 1 } else { at..y.rows.min(at + steps) };
                self.gather(simd, inputs.clone(), &mut terms[..steps * slot], slot, stride);
            }
            let [state, next] = [states[step % 2], states[(step + 1) % 2]];
            for (term, offset) in offsets.iter_mut().enumerate() {
                *offset = match term.checked_sub(x.channels) {
                    None => (at - inputs.start) * slot + term * stride,
                    Some(unit) => state + unit * stride,
                };
            }
            let mut weights = direction.weights;
            for units in blocks(hidden) {
                let rows = GATES * units.len();
                let (block, rest) = weights.split_at(precision.packed_len(rows, offsets.len()));
                weights = rest;
                let panels = Panels::new(block, rows, offsets.len());
                product(simd, panels, Terms { values: terms, offsets: &offsets }, piece.frames, sums, stride, false);
                for unit in units.clone() {
                    let bias = |gate: usize| simd.splat_f32s(direction.bias[gate * hidden + unit]);
                    let [input, forget, update, output] = [bias(0), bias(1), bias(2), bias(3)];
                    let sum = |gate: usize| &sums[(gate * units.len() + unit - units.start) * stride..][..columns];
                    let cell = &mut cells[unit * stride..][..columns];
                    each!(simd: S, cell => c, sum(0) => i, sum(1) => f, sum(2) => g; {
                        let kept = sigmoid(simd, simd.add_f32s(f, forget));
                        let new = sigmoid_tanh(simd, simd.add_f32s(i, input), simd.add_f32s(g, update));
                        simd.mul_add_e_f32s(c, kept, new)
                    });
                    let state = &mut terms[next + unit * stride..][..columns];
                    each!(simd: S, state => _, sum(3) => o, cell => c; {
                        sigmoid_tanh(simd, simd.add_f32s(o, output), c)
                    });
                    let start = y.row(piece.item, piece.row * hidden + unit, at) + piece.start;
                    // SAFETY: pieces do not overlap.
                    unsafe { out.part(start, piece.frames) }.copy_from_slice(&state[..piece.frames]);
                }
            }
        }
    }
}

impl Run<'_> {
    /// Normalises the inputs of some steps into slots, one row per channel.
    #[inline(always)]
    fn gather<S: Simd>(&self, simd: S, steps: Range<usize>, terms: &mut [f32], slot: usize, stride: usize) {
        let Self { values, x, affine, piece, .. } = *self;
        for (channel, &[scale, shift]) in affine.iter().enumerate() {
            if self.axis == Axis::Rows {
                let row = &values[x.row(piece.item, channel, steps.start) + piece.start..][..piece.frames];
                let (scale, shift) = (simd.splat_f32s(scale), simd.splat_f32s(shift));
                let input = &mut terms[channel * stride..][..piece.frames];
                each!(simd: S, input => _, row => v; simd.mul_add_e_f32s(v, scale, shift));
                continue;
            }
            for sequence in 0..piece.frames {
                let row = &values[x.row(piece.item, channel, piece.start + sequence)..][..x.frames];
                for (input, v) in terms.chunks_exact_mut(slot).zip(&row[steps.clone()]) {
                    input[channel * stride + sequence] = v * scale + shift;
                }
            }
        }
    }
}

/// Adds a linear layer of an LSTM's output to the LSTM's input. `values` have the extent [`sequences`] of `x`.
///
/// # Panics
///
/// If the extents of the values and the layer do not fit together.
pub fn residual(values: &[f32], layer: Linear<'_>, axis: Axis, (out, x): (&mut [f32], Extent)) {
    let y = sequences(x, values.len() / (2 * x.items * x.rows * x.frames), axis);
    assert!(values.len() == y.len() && out.len() == x.len());
    assert_eq!([layer.weights.rows(), layer.bias.len()], [x.channels; 2]);
    let out = Shared::new(out);
    // Whole steps if the sums are transposed, about as many positions as the caches hold.
    let (positions, chunk) = match axis {
        Axis::Rows => (y.rows * y.frames, SEQUENCES),
        Axis::Frames => (y.rows * y.frames, y.frames * (4 * SEQUENCES / y.frames).clamp(1, STEPS)),
    };
    pieces([y.items, 1, positions], chunk, |piece| dispatch(Add { values, y, layer, axis, x, out: &out, piece }));
}

struct Add<'a> {
    values: &'a [f32],
    y: Extent,
    layer: Linear<'a>,
    axis: Axis,
    x: Extent,
    out: &'a Shared<'a>,
    piece: Piece,
}

impl WithSimd for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { values, y, layer, axis, x, out, piece } = self;
        let stride = row_stride::<S>(piece.frames, 0);
        let offsets: Vec<usize> = (0..y.channels).map(|term| term * stride).collect();
        let mut scratch = Scratch::take();
        let [input, sums] = scratch.slices([y.channels * stride, layer.weights.padded_rows() * stride]);
        for (channel, input) in input.chunks_exact_mut(stride).enumerate() {
            let row = &values[y.row(piece.item, channel, 0) + piece.start..][..piece.frames];
            input[..piece.frames].copy_from_slice(row);
        }
        product(simd, layer.weights, Terms { values: input, offsets: &offsets }, piece.frames, sums, stride, false);
        for (channel, (sums, &bias)) in sums.chunks_exact(stride).zip(layer.bias).enumerate() {
            let sums = &sums[..piece.frames];
            if axis == Axis::Rows {
                let bias = simd.splat_f32s(bias);
                // SAFETY: pieces do not overlap.
                let own = unsafe { out.part(x.row(piece.item, channel, 0) + piece.start, piece.frames) };
                each!(simd: S, own => x, sums => v; simd.add_f32s(x, simd.add_f32s(v, bias)));
                continue;
            }
            let (first, steps) = (piece.start / y.frames, piece.frames / y.frames);
            for row in 0..x.rows {
                // SAFETY: as above.
                let own = unsafe { out.part(x.row(piece.item, channel, row) + first, steps) };
                for (x, v) in own.iter_mut().zip(sums[row..].iter().step_by(y.frames)) {
                    *x += v + bias;
                }
            }
        }
    }
}

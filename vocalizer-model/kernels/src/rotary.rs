//! Gated attention along one axis, with rotated queries and keys: norm, projections, attention and the output's
//! projection in one pass over each group of sequences, so that nothing but its input and output is in main memory.

mod frames;
mod rows;

use pulp::{Simd, WithSimd};

use crate::attention::head::PackedHead;
use crate::conv::Axis;
use crate::gemm::{Panels, Terms, padded_rows, product, row_stride};
use crate::grid::{Extent, Shared, pieces};
use crate::memory::Buffer;
use crate::rms::normalise;
use crate::simd::{dispatch, each, sigmoid};
use crate::transformer::Linear;

/// Columns per product of the projections, so that its operands and sums stay in the L2 cache: whole tiles of either size.
const COLUMNS: usize = 240;
/// Frames per group if frames are the sequences: a cache line of each row.
const FRAMES: usize = 16;

/// The parameters of gated attention.
#[derive(Clone, Copy)]
pub struct Layer<'a> {
    /// Rows of each head after the other: queries, keys, values, `width` each.
    pub qkv: Panels<'a>,
    /// One row per head.
    pub gates: Linear<'a>,
    /// `[channels, heads · width]`.
    pub out: Panels<'a>,
    /// `[width / 2, positions]`.
    pub cos: &'a [f32],
    /// `[width / 2, positions]`.
    pub sin: &'a [f32],
    /// Number of heads.
    pub heads: usize,
    /// Channels per head, a multiple of 8.
    pub width: usize,
}

/// `values += out(gate · attention(values / |values|))`: each row is a sequence of frames, or each frame one of rows.
pub fn attention((values, x): (&mut [f32], Extent), layer: Layer<'_>, axis: Axis) {
    let Layer { heads, width, .. } = layer;
    let length = if axis == Axis::Frames { x.frames } else { x.rows };
    assert!(values.len() == x.len() && width.is_multiple_of(8) && length > 0);
    assert!(layer.qkv.rows() == 3 * heads * width && layer.out.rows() == x.channels);
    assert!(layer.gates.weights.rows() == heads && layer.gates.bias.len() == heads);
    assert!(layer.cos.len() == width / 2 * length && layer.sin.len() == width / 2 * length);
    let out = Shared::new(values);
    let group = |item, [row, rows]: [usize; 2], [start, frames]: [usize; 2]| {
        dispatch(Group { x, layer, axis, out: &out, item, row, rows, start, frames });
    };
    match axis {
        Axis::Frames => drop(pieces([x.items, x.rows, 1], 1, |p| group(p.item, [p.row, 1], [0, x.frames]))),
        Axis::Rows => drop(pieces([x.items, 1, x.frames], FRAMES, |p| group(p.item, [0, x.rows], [p.start, p.frames]))),
    }
}

/// A block of rows and frames that consists of whole sequences: one row, or up to [`FRAMES`] frames of all rows. Its
/// columns are its positions, row by row; in the second case, each row has [`FRAMES`] columns.
struct Group<'a> {
    x: Extent,
    layer: Layer<'a>,
    axis: Axis,
    out: &'a Shared<'a>,
    item: usize,
    row: usize,
    rows: usize,
    start: usize,
    frames: usize,
}

impl WithSimd for Group<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { x, layer: Layer { heads, width, qkv, gates, out, .. }, axis, .. } = self;
        let pitch = if axis == Axis::Frames { self.frames } else { FRAMES };
        let columns = self.rows * pitch;
        let stride = row_stride::<S>(columns, 0);
        let offsets: Vec<usize> = (0..x.channels.max(heads * width)).map(|term| term * stride).collect();
        let shape = [columns, stride];
        let buffer = |rows: usize| Buffer::of(rows * stride);
        let (mut input, mut projected) = (buffer(x.channels.max(out.padded_rows())), buffer(padded_rows(3 * width)));
        let (mut attended, mut gate_rows) = (buffer(heads * width), buffer(gates.weights.padded_rows() + 1));
        self.gather(&mut input[..x.channels * stride], [columns, pitch, stride]);
        let (gate_rows, factors) = gate_rows.split_at_mut(gates.weights.padded_rows() * stride);
        normalise(simd, &mut input[..x.channels * stride], stride, columns, factors);
        multiply(simd, gates.weights, &input, &offsets[..x.channels], gate_rows, shape);
        let packed_head = PackedHead::new(self.frames, width, qkv.precision());
        let mut packed = (axis == Axis::Frames).then(|| Buffer::of(packed_head.packed_len()));
        for head in 0..heads {
            let weights = qkv.some_rows(head * 3 * width, 3 * width);
            multiply(simd, weights, &input, &offsets[..x.channels], &mut projected, shape);
            let (queries, rest) = projected.split_at_mut(width * stride);
            let (keys, values) = rest.split_at_mut(width * stride);
            self.rotate(simd, queries, keys, [pitch, stride]);
            let gate = &mut gate_rows[head * stride..][..columns];
            let bias = simd.splat_f32s(gates.bias[head]);
            each!(simd: S, &mut *gate => v; sigmoid(simd, simd.add_f32s(v, bias)));
            let attended = &mut attended[head * width * stride..][..width * stride];
            let head = Head { queries, keys, values, gate, stride, width };
            match &mut packed {
                Some(packed) => frames::attend(simd, head, packed_head, packed, attended),
                None => rows::attend(simd, head, attended),
            }
        }
        multiply(simd, out, &attended, &offsets[..heads * width], &mut input, shape);
        self.add(simd, &input, [pitch, stride]);
    }
}

impl Group<'_> {
    /// Returns the offset of a row's values in a channel.
    fn at(&self, channel: usize, row: usize) -> usize {
        self.x.row(self.item, channel, self.row + row) + self.start
    }

    /// Copies the group's values, with zeros between them.
    #[inline(always)]
    fn gather(&self, input: &mut [f32], [columns, pitch, stride]: [usize; 3]) {
        for (channel, input) in input.chunks_exact_mut(stride).enumerate() {
            input[columns..].fill(0.0);
            for (row, part) in input[..columns].chunks_exact_mut(pitch).enumerate() {
                // SAFETY: groups do not overlap, and no other reference to this group's values is in use.
                let values = unsafe { self.out.read(self.at(channel, row), self.frames) };
                if let (Ok(part), Ok(values)) =
                    (<&mut [f32; FRAMES]>::try_from(&mut *part), <&[f32; FRAMES]>::try_from(values))
                {
                    *part = *values;
                } else {
                    part[..values.len()].copy_from_slice(values);
                    part[values.len()..].fill(0.0);
                }
            }
        }
    }

    /// Rotates a head's queries and keys by the angles of their positions, and scales the queries, so that their products
    /// are binary logarithms.
    #[inline(always)]
    fn rotate<S: Simd>(&self, simd: S, queries: &mut [f32], keys: &mut [f32], [pitch, stride]: [usize; 2]) {
        let Layer { width, cos, sin, .. } = self.layer;
        let length = cos.len() / (width / 2);
        #[expect(clippy::cast_precision_loss, reason = "a head's channels")]
        let scale = std::f32::consts::LOG2_E / (width as f32).sqrt();
        for (values, scale) in [(queries, simd.splat_f32s(scale)), (keys, simd.splat_f32s(1.0))] {
            let tables = cos.chunks_exact(length).zip(sin.chunks_exact(length));
            for (pair, (cos, sin)) in values.chunks_exact_mut(2 * stride).zip(tables) {
                let (first, second) = pair.split_at_mut(stride);
                if self.axis == Axis::Frames {
                    turn(simd, &mut first[..length], &mut second[..length], [cos, sin], scale);
                    continue;
                }
                let rows = first.chunks_exact_mut(pitch).zip(second.chunks_exact_mut(pitch));
                for ((first, second), (&cos, &sin)) in rows.zip(cos.iter().zip(sin)) {
                    let [cos, sin] = [cos, sin].map(|value| simd.splat_f32s(value));
                    let (first, second) = (S::as_mut_simd_f32s(first).0, S::as_mut_simd_f32s(second).0);
                    for (a, b) in first.iter_mut().zip(second) {
                        [*a, *b] = turned(simd, [*a, *b], [cos, sin], scale);
                    }
                }
            }
        }
    }

    /// Adds the projected outputs.
    #[inline(always)]
    fn add<S: Simd>(&self, simd: S, sums: &[f32], [pitch, stride]: [usize; 2]) {
        for (channel, sums) in sums.chunks_exact(stride).take(self.x.channels).enumerate() {
            for (row, sums) in sums.chunks_exact(pitch).take(self.rows).enumerate() {
                // SAFETY: groups do not overlap, and a group uses its values one part at a time.
                let out = unsafe { self.out.part(self.at(channel, row), self.frames) };
                each!(simd: S, out => x, &sums[..self.frames] => v; simd.add_f32s(x, v));
            }
        }
    }
}

/// Multiplies by some columns at a time, so that the product's operands and sums stay in the L2 cache.
#[inline(always)]
fn multiply<S: Simd>(
    simd: S,
    weights: Panels<'_>,
    from: &[f32],
    offsets: &[usize],
    to: &mut [f32],
    [columns, stride]: [usize; 2],
) {
    for start in (0..columns).step_by(COLUMNS) {
        let from = Terms { values: &from[start..], offsets };
        product(simd, weights, from, COLUMNS.min(columns - start), &mut to[start..], stride, false);
    }
}

/// Rotates pairs by the angles of their columns, and scales them.
#[inline(always)]
fn turn<S: Simd>(simd: S, first: &mut [f32], second: &mut [f32], [cos, sin]: [&[f32]; 2], scale: S::f32s) {
    let ((first, first_tail), (second, second_tail)) = (S::as_mut_simd_f32s(first), S::as_mut_simd_f32s(second));
    let ((cos, cos_tail), (sin, sin_tail)) = (S::as_simd_f32s(cos), S::as_simd_f32s(sin));
    for ((a, b), (&cos, &sin)) in first.iter_mut().zip(second).zip(cos.iter().zip(sin)) {
        [*a, *b] = turned(simd, [*a, *b], [cos, sin], scale);
    }
    if !first_tail.is_empty() {
        let pair = [simd.partial_load_f32s(first_tail), simd.partial_load_f32s(second_tail)];
        let angles = [simd.partial_load_f32s(cos_tail), simd.partial_load_f32s(sin_tail)];
        let [a, b] = turned(simd, pair, angles, scale);
        simd.partial_store_f32s(first_tail, a);
        simd.partial_store_f32s(second_tail, b);
    }
}

/// Returns rotated and scaled pairs.
#[inline(always)]
fn turned<S: Simd>(simd: S, pair: [S::f32s; 2], [cos, sin]: [S::f32s; 2], scale: S::f32s) -> [S::f32s; 2] {
    let [a, b] = pair.map(|v| simd.mul_f32s(v, scale));
    let first = simd.sub_f32s(simd.mul_f32s(a, cos), simd.mul_f32s(b, sin));
    [first, simd.mul_add_e_f32s(b, cos, simd.mul_f32s(a, sin))]
}

/// A head's queries, keys and values, `[width, columns]`, and its gate, `[columns]`. Rows are `stride` apart.
#[derive(Clone, Copy)]
struct Head<'a> {
    queries: &'a [f32],
    keys: &'a [f32],
    values: &'a [f32],
    gate: &'a [f32],
    stride: usize,
    width: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gemm::pack;

    fn noise(seed: usize, count: usize) -> Vec<f32> {
        let value = |i: usize| (seed * 7919 + i) as f64 * 0.754_877_666_246_69;
        (0..count).map(|i| (value(i) % 1.0 - 0.5) as f32).collect()
    }

    /// Attention as defined, in f64.
    fn plain(
        values: &[f32],
        x: Extent,
        [qkv, gates, bias, out, cos, sin]: [&[f32]; 6],
        heads: usize,
        axis: Axis,
    ) -> Vec<f32> {
        let (width, mut result) = (out.len() / x.channels / heads, values.to_vec());
        let (length, others) = if axis == Axis::Frames { (x.frames, x.rows) } else { (x.rows, x.frames) };
        for (item, other) in (0..x.items).flat_map(|item| (0..others).map(move |other| (item, other))) {
            let at = |channel: usize, position: usize| match axis {
                Axis::Frames => x.row(item, channel, other) + position,
                Axis::Rows => x.row(item, channel, position) + other,
            };
            let normal = |position: usize| {
                let column: Vec<f64> = (0..x.channels).map(|c| f64::from(values[at(c, position)])).collect();
                let norm = column.iter().map(|v| v * v).sum::<f64>().sqrt();
                column.into_iter().map(|v| v / norm).collect::<Vec<_>>()
            };
            let columns: Vec<Vec<f64>> = (0..length).map(normal).collect();
            let dot = |row: &[f32], column: &[f64]| row.iter().zip(column).map(|(w, v)| f64::from(*w) * v).sum::<f64>();
            let project = |row: usize, p: usize| dot(&qkv[row * x.channels..][..x.channels], &columns[p]);
            for head in 0..heads {
                let turned = |kind: usize, p: usize| {
                    let row = (head * 3 + kind) * width;
                    let pair = |i: usize| {
                        let [a, b] = [0, 1].map(|part| project(row + 2 * i + part, p));
                        let [c, s] = [cos, sin].map(|table| f64::from(table[i * length + p]));
                        [a * c - b * s, b * c + a * s]
                    };
                    (0..width / 2).flat_map(pair).collect::<Vec<_>>()
                };
                let [queries, keys] = [0, 1].map(|kind| (0..length).map(|p| turned(kind, p)).collect::<Vec<_>>());
                for p in 0..length {
                    let score = |k: &Vec<f64>| {
                        k.iter().zip(&queries[p]).map(|(a, b)| a * b).sum::<f64>() / (width as f64).sqrt()
                    };
                    let weights: Vec<f64> = keys.iter().map(|k| score(k).exp()).collect();
                    let gate = 1.0
                        / (1.0
                            + (-dot(&gates[head * x.channels..][..x.channels], &columns[p]) - f64::from(bias[head]))
                                .exp());
                    let gate = gate / weights.iter().sum::<f64>();
                    for i in 0..width {
                        let sum: f64 = (0..length).map(|k| weights[k] * project((head * 3 + 2) * width + i, k)).sum();
                        for channel in 0..x.channels {
                            let weight = f64::from(out[(channel * heads + head) * width + i]);
                            result[at(channel, p)] += (gate * sum * weight) as f32;
                        }
                    }
                }
            }
        }
        result
    }

    #[test]
    fn attention_along_either_axis_equals_its_definition() {
        let cases = [
            (8, 1, 8, [1, 1]),
            (13, 2, 8, [7, 35]),
            (24, 3, 16, [62, 17]),
            (16, 2, 8, [6, 250]),
            (16, 1, 24, [130, 33]),
        ];
        for (channels, heads, width, [rows, frames]) in cases {
            for axis in [Axis::Frames, Axis::Rows] {
                let x = Extent { items: 2, channels, rows, frames };
                let length = if axis == Axis::Frames { frames } else { rows };
                let loud = |values: Vec<f32>| values.into_iter().map(|v| 8.0 * v).collect::<Vec<_>>();
                let qkv = loud(noise(1, 3 * heads * width * channels));
                let (gates, bias, out) =
                    (noise(2, heads * channels), noise(3, heads), noise(4, channels * heads * width));
                let angle = |i: usize| (i % length) as f32 / (1 + i / length) as f32;
                let cos: Vec<f32> = (0..width / 2 * length).map(|i| angle(i).cos()).collect();
                let sin: Vec<f32> = (0..width / 2 * length).map(|i| angle(i).sin()).collect();
                let values = noise(5, x.len());
                let expected = plain(&values, x, [&qkv, &gates, &bias, &out, &cos, &sin], heads, axis);
                let [qkv, gates, out] =
                    [(&qkv, 3 * heads * width, channels), (&gates, heads, channels), (&out, channels, heads * width)]
                        .map(|(values, rows, terms)| {
                            (pack(rows, terms, |row, term| values[row * terms + term]), rows, terms)
                        });
                let mut actual = values;
                let gates = Linear { weights: Panels::new(&gates.0, gates.1, gates.2), bias: &bias };
                let layer = Layer {
                    qkv: Panels::new(&qkv.0, qkv.1, qkv.2),
                    gates,
                    out: Panels::new(&out.0, out.1, out.2),
                    cos: &cos,
                    sin: &sin,
                    heads,
                    width,
                };
                attention((&mut actual, x), layer, axis);
                let error = expected.iter().zip(&actual).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                let largest = expected.iter().fold(1.0_f32, |most, v| most.max(v.abs()));
                assert!(error < 1e-5 * largest, "{axis:?} of {x:?}: {error} of {largest}");
            }
        }
    }
}

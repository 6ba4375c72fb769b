//! Gated attention along one axis, with rotated queries and keys: norm, projections, attention and the output's
//! projection in one pass over each group of sequences, so that nothing but its input and output is in main memory.

use pulp::{Simd, WithSimd};

use crate::conv::Axis;
use crate::gemm::{NARROW_TILE, Panels, Terms, WIDE_TILE, padded_rows, panel_rows, product, row_stride};
use crate::grid::{Extent, Shared, pieces};
use crate::memory::Buffer;
use crate::rms::normalise;
use crate::scratch::Scratch;
use crate::simd::{at_least, dispatch, each, exp2, sigmoid};
use crate::transformer::Linear;

/// Positions per tile of the projections.
const POSITIONS: usize = 96;
/// Queries per tile of attention.
const QUERIES: usize = 96;
/// Keys per block: whole panels of any width.
const KEYS: usize = 120;
/// Minimum binary logarithm of a weight. Such a weight does not change a sum, and its products are not yet denormal.
const LEAST: f32 = -86.0;
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
        Axis::Rows => {
            // Groups for every thread, but at least a quarter of a cache line.
            let frames = x.frames.div_ceil(4 * rayon::current_num_threads()).clamp(FRAMES / 4, FRAMES);
            drop(pieces([x.items, 1, x.frames], frames, |p| group(p.item, [0, x.rows], [p.start, p.frames])));
        }
    }
}

/// A block of rows and frames that consists of whole sequences. Its columns are its positions, row by row.
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

/// Queries, keys and values of a group, by head; later the attention's outputs in place of the queries.
struct Projected {
    /// `[heads, width, sequences, length]`, rows `stride` apart.
    queries: Buffer,
    stride: usize,
    /// Packed for each head and sequence: keys as rows, channels as terms.
    keys: Buffer,
    /// Packed for each head and sequence: channels as rows, keys as terms.
    values: Buffer,
    /// `[heads, sequences, length]`, rows `stride` apart.
    gates: Buffer,
}

impl WithSimd for Group<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Layer { heads, width, .. } = self.layer;
        let (sequences, length) = self.shape();
        let stride = row_stride::<S>(sequences * length, 0);
        let mut projected = Projected {
            queries: Buffer::of(heads * width * stride),
            stride,
            keys: Buffer::of(heads * sequences * padded_rows(length) * width),
            values: Buffer::of(heads * sequences * padded_rows(width) * length),
            gates: Buffer::of(heads * stride),
        };
        for start in (0..sequences * length).step_by(POSITIONS) {
            self.project(simd, start, POSITIONS.min(sequences * length - start), &mut projected);
        }
        for head in 0..heads {
            for sequence in 0..sequences {
                for start in (0..length).step_by(QUERIES) {
                    let count = QUERIES.min(length - start);
                    self.attend(simd, [head, sequence], [start, count], &mut projected);
                }
            }
        }
        for start in (0..sequences * length).step_by(POSITIONS) {
            self.add(simd, start, POSITIONS.min(sequences * length - start), &projected);
        }
    }
}

impl Group<'_> {
    /// Returns the number of sequences and their length.
    fn shape(&self) -> (usize, usize) {
        if self.axis == Axis::Frames { (self.rows, self.frames) } else { (self.frames, self.rows) }
    }

    /// Returns the sequence of a column, and its position there.
    #[inline(always)]
    fn place(&self, column: usize) -> [usize; 2] {
        let (row, frame) = (column / self.frames, column % self.frames);
        if self.axis == Axis::Frames { [row, frame] } else { [frame, row] }
    }

    /// Splits columns into parts of one row: offset in memory for channel 0, first column, columns.
    fn segments(&self, start: usize, count: usize) -> Vec<[usize; 3]> {
        let mut segments = Vec::new();
        let mut column = start;
        while column < start + count {
            let (row, frame) = (column / self.frames, column % self.frames);
            let columns = (self.frames - frame).min(start + count - column);
            let at = self.x.row(self.item, 0, self.row + row) + self.start + frame;
            segments.push([at, column - start, columns]);
            column += columns;
        }
        segments
    }

    /// Projects some columns to queries, keys, values and gates.
    #[inline(always)]
    fn project<S: Simd>(&self, simd: S, start: usize, count: usize, to: &mut Projected) {
        let Layer { heads, width, qkv, gates, cos, sin, .. } = self.layer;
        let (_, length) = self.shape();
        let (channels, plane) = (self.x.channels, self.x.rows * self.x.frames);
        let stride = row_stride::<S>(count, 0);
        let offsets: Vec<usize> = (0..channels).map(|term| term * stride).collect();
        let lengths = [
            channels * stride,
            padded_rows(3 * width) * stride,
            gates.weights.padded_rows() * stride,
            stride,
            width / 2 * stride,
            width / 2 * stride,
        ];
        let mut scratch = Scratch::take();
        let [input, rows, gate_rows, factors, cosines, sines] = scratch.slices(lengths);
        let segments = self.segments(start, count);
        for (channel, input) in input.chunks_exact_mut(stride).enumerate() {
            for &[at, column, columns] in &segments {
                // SAFETY: groups do not overlap, and no other reference to this group's values is in use.
                let values = unsafe { self.out.read(at + channel * plane, columns) };
                input[column..column + columns].copy_from_slice(values);
            }
            input[count..].fill(0.0);
        }
        normalise(simd, input, stride, count, factors);
        let input = Terms { values: input, offsets: &offsets };

        let places: Vec<[usize; 2]> = (start..start + count).map(|column| self.place(column)).collect();
        for (pair, (cosines, sines)) in cosines.chunks_exact_mut(stride).zip(sines.chunks_exact_mut(stride)).enumerate()
        {
            let (cos, sin) = (&cos[pair * length..][..length], &sin[pair * length..][..length]);
            for ((cosine, sine), &[_, position]) in cosines.iter_mut().zip(sines).zip(&places) {
                (*cosine, *sine) = (cos[position], sin[position]);
            }
        }
        product(simd, gates.weights, input, count, gate_rows, stride, false);
        for (head, (row, &bias)) in gate_rows.chunks_exact_mut(stride).zip(gates.bias).enumerate() {
            let bias = simd.splat_f32s(bias);
            each!(simd: S, &mut row[..count] => v; sigmoid(simd, simd.add_f32s(v, bias)));
            for (&gate, &[sequence, position]) in row.iter().zip(&places) {
                to.gates[head * to.stride + sequence * length + position] = gate;
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "a head's channels")]
        let scale = std::f32::consts::LOG2_E / (width as f32).sqrt();
        for head in 0..heads {
            product(simd, qkv.some_rows(head * 3 * width, 3 * width), input, count, rows, stride, false);
            let (queries, rest) = rows.split_at_mut(width * stride);
            let (keys, values) = rest.split_at_mut(width * stride);
            rotate(simd, queries, [cosines, sines], stride, count, scale);
            rotate(simd, keys, [cosines, sines], stride, count, 1.0);
            self.store::<S>(head, [queries, keys, values], stride, &places, to);
        }
    }

    /// Stores a head's queries, and packs its keys and values.
    #[inline(always)]
    fn store<S: Simd>(
        &self,
        head: usize,
        [queries, keys, values]: [&[f32]; 3],
        stride: usize,
        places: &[[usize; 2]],
        to: &mut Projected,
    ) {
        let width = self.layer.width;
        let (sequences, length) = self.shape();
        let panel = padded_rows(1);
        let sizes = [padded_rows(length) * width, padded_rows(width) * length];
        let own = |size: usize| head * sequences * size..(head + 1) * sequences * size;
        let [packed_keys, packed_values] = [&mut to.keys[own(sizes[0])], &mut to.values[own(sizes[1])]];
        let queries_to = &mut to.queries[head * width * to.stride..][..width * to.stride];
        if sequences == 1 {
            let start = places[0][1];
            for (to, row) in queries_to.chunks_exact_mut(to.stride).zip(queries.chunks_exact(stride)) {
                to[start..start + places.len()].copy_from_slice(&row[..places.len()]);
            }
            let shape = [width, start, places.len()];
            if panel_rows::<S>() == WIDE_TILE[0] {
                pack_keys::<{ WIDE_TILE[0] }>(keys, stride, shape, packed_keys);
                pack_values::<{ WIDE_TILE[0] }>(values, stride, shape, length, packed_values);
            } else {
                pack_keys::<{ NARROW_TILE[0] }>(keys, stride, shape, packed_keys);
                pack_values::<{ NARROW_TILE[0] }>(values, stride, shape, length, packed_values);
            }
            return;
        }
        for (to, row) in queries_to.chunks_exact_mut(to.stride).zip(queries.chunks_exact(stride)) {
            for (&value, &[sequence, position]) in row.iter().zip(places) {
                to[sequence * length + position] = value;
            }
        }
        for (column, &[sequence, position]) in places.iter().enumerate() {
            let packed = &mut packed_keys[sequence * sizes[0] + position / panel * panel * width..][..panel * width];
            for (channel, rows) in packed.chunks_exact_mut(panel).enumerate() {
                rows[position % panel] = keys[channel * stride + column];
                if position == length - 1 {
                    rows[position % panel + 1..].fill(0.0);
                }
            }
            let packed = &mut packed_values[sequence * sizes[1]..][..sizes[1]];
            for (index, packed) in packed.chunks_exact_mut(panel * length).enumerate() {
                for (row, value) in packed[position * panel..][..panel].iter_mut().enumerate() {
                    let channel = index * panel + row;
                    *value = if channel < width { values[channel * stride + column] } else { 0.0 };
                }
            }
        }
    }

    /// Attends from some queries of a sequence to all its keys; replaces the queries by the gated outputs.
    #[inline(always)]
    fn attend<S: Simd>(
        &self,
        simd: S,
        [head, sequence]: [usize; 2],
        [start, count]: [usize; 2],
        projected: &mut Projected,
    ) {
        let width = self.layer.width;
        let (sequences, length) = self.shape();
        let index = head * sequences + sequence;
        let keys = &projected.keys[index * padded_rows(length) * width..][..padded_rows(length) * width];
        let keys = Panels::new(keys, length, width);
        let values = &projected.values[index * padded_rows(width) * length..][..padded_rows(width) * length];
        let values = Panels::new(values, width, length);
        let stride = row_stride::<S>(count, 0);
        let offsets: Vec<usize> = (0..width.max(KEYS)).map(|term| term * stride).collect();
        let lengths = [width * stride, padded_rows(KEYS) * stride, padded_rows(width) * stride, stride, stride, stride];
        let mut scratch = Scratch::take();
        let [query, scores, sums, maxima, totals, factors] = scratch.slices(lengths);
        let at = |channel: usize| (head * width + channel) * projected.stride + sequence * length + start;
        for (channel, query) in query.chunks_exact_mut(stride).enumerate() {
            query[..count].copy_from_slice(&projected.queries[at(channel)..][..count]);
            query[count..].fill(0.0);
        }
        maxima.fill(f32::NEG_INFINITY);
        totals.fill(0.0);
        let columns = count.next_multiple_of(S::F32_LANES);
        let [maxima, totals, factors] = [maxima, totals, factors].map(|row| &mut row[..columns]);
        for first in (0..length).step_by(KEYS) {
            let keys_here = KEYS.min(length - first);
            let input = Terms { values: query, offsets: &offsets[..width] };
            product(simd, keys.some_rows(first, keys_here), input, count, scores, stride, false);
            let scores = &mut scores[..keys_here * stride];
            let is_larger = softmax(simd, scores, stride, [maxima, totals, factors]);
            if first > 0 && is_larger {
                for sums in sums.chunks_exact_mut(stride) {
                    each!(simd: S, &mut sums[..columns] => sum, factors => factor; simd.mul_f32s(sum, factor));
                }
            }
            let input = Terms { values: scores, offsets: &offsets[..keys_here] };
            product(simd, values.some_terms(first, keys_here), input, count, sums, stride, first > 0);
        }
        let gates = &projected.gates[head * projected.stride + sequence * length + start..][..count];
        let factors = &mut factors[..count];
        each!(simd: S, factors => _, gates => gate, &totals[..count] => total; simd.div_f32s(gate, total));
        for (channel, sums) in sums.chunks_exact(stride).take(width).enumerate() {
            let out = &mut projected.queries[at(channel)..][..count];
            each!(simd: S, out => _, &sums[..count] => sum, factors => factor; simd.mul_f32s(sum, factor));
        }
    }

    /// Adds the projected outputs of some columns.
    #[inline(always)]
    fn add<S: Simd>(&self, simd: S, start: usize, count: usize, projected: &Projected) {
        let Layer { heads, width, out, .. } = self.layer;
        let (sequences, length) = self.shape();
        let (terms, plane) = (heads * width, self.x.rows * self.x.frames);
        let stride = row_stride::<S>(count, 0);
        let offsets: Vec<usize> = (0..terms).map(|term| term * stride).collect();
        let mut scratch = Scratch::take();
        let [input, sums] = scratch.slices([terms * stride, out.padded_rows() * stride]);
        let places: Vec<usize> =
            (start..start + count).map(|column| self.place(column)).map(|[s, p]| s * length + p).collect();
        for (input, row) in input.chunks_exact_mut(stride).zip(projected.queries.chunks_exact(projected.stride)) {
            if sequences == 1 {
                input[..count].copy_from_slice(&row[start..start + count]);
            } else {
                input.iter_mut().zip(&places).for_each(|(value, &place)| *value = row[place]);
            }
            input[count..].fill(0.0);
        }
        product(simd, out, Terms { values: input, offsets: &offsets }, count, sums, stride, false);
        let segments = self.segments(start, count);
        for (channel, sums) in sums.chunks_exact(stride).take(self.x.channels).enumerate() {
            for &[at, column, columns] in &segments {
                // SAFETY: groups do not overlap, and a group uses its values one part at a time.
                let out = unsafe { self.out.part(at + channel * plane, columns) };
                each!(simd: S, out => x, &sums[column..column + columns] => v; simd.add_f32s(x, v));
            }
        }
    }
}

/// Packs keys `[width, count]`, rows `stride` apart, of consecutive positions from `start`, where a panel starts.
#[inline(always)]
fn pack_keys<const ROWS: usize>(keys: &[f32], stride: usize, [width, start, count]: [usize; 3], packed: &mut [f32]) {
    for at in (0..count).step_by(ROWS) {
        let panel = &mut packed[(start + at) * width..][..ROWS * width];
        for (channel, column) in panel.as_chunks_mut::<ROWS>().0.iter_mut().enumerate() {
            let row = &keys[channel * stride + at..][..ROWS.min(count - at)];
            if let Ok(whole) = row.try_into() {
                *column = whole;
            } else {
                column[..row.len()].copy_from_slice(row);
                column[row.len()..].fill(0.0);
            }
        }
    }
}

/// Packs values `[width, count]`, rows `stride` apart, of consecutive positions from `start`.
#[inline(always)]
fn pack_values<const ROWS: usize>(
    values: &[f32],
    stride: usize,
    [width, start, count]: [usize; 3],
    length: usize,
    packed: &mut [f32],
) {
    let zeros = [0.0; POSITIONS];
    for (index, packed) in packed.chunks_exact_mut(ROWS * length).enumerate() {
        let rows: [&[f32]; ROWS] = std::array::from_fn(|row| {
            let channel = index * ROWS + row;
            if channel < width { &values[channel * stride..][..count] } else { &zeros[..count] }
        });
        let packed = packed[start * ROWS..][..count * ROWS].as_chunks_mut::<ROWS>().0;
        for (at, column) in packed.iter_mut().enumerate() {
            for (value, row) in column.iter_mut().zip(rows) {
                *value = row[at];
            }
        }
    }
}

/// Rotates pairs of rows by the angles of their columns, and scales them.
#[inline(always)]
fn rotate<S: Simd>(
    simd: S,
    rows: &mut [f32],
    [cosines, sines]: [&[f32]; 2],
    stride: usize,
    columns: usize,
    scale: f32,
) {
    let scale = simd.splat_f32s(scale);
    let columns = columns.next_multiple_of(S::F32_LANES);
    let tables = cosines.chunks_exact(stride).zip(sines.chunks_exact(stride));
    for (pair, (cosines, sines)) in rows.chunks_exact_mut(2 * stride).zip(tables) {
        let (first, second) = pair.split_at_mut(stride);
        let (first, second) =
            (S::as_mut_simd_f32s(&mut first[..columns]).0, S::as_mut_simd_f32s(&mut second[..columns]).0);
        let (cosines, sines) = (S::as_simd_f32s(&cosines[..columns]).0, S::as_simd_f32s(&sines[..columns]).0);
        for i in 0..first.len() {
            let (a, b) = (simd.mul_f32s(first[i], scale), simd.mul_f32s(second[i], scale));
            first[i] = simd.sub_f32s(simd.mul_f32s(a, cosines[i]), simd.mul_f32s(b, sines[i]));
            second[i] = simd.mul_add_e_f32s(b, cosines[i], simd.mul_f32s(a, sines[i]));
        }
    }
}

/// Turns a block of scores (binary logarithms), one row per key, into weights relative to the largest score so far.
/// Computes the factors by which the earlier sums must be scaled, and returns whether one differs from 1.
#[inline(always)]
fn softmax<S: Simd>(simd: S, scores: &mut [f32], stride: usize, [maxima, totals, factors]: [&mut [f32]; 3]) -> bool {
    factors.copy_from_slice(maxima);
    let columns = maxima.len();
    for scores in scores.chunks_exact(stride) {
        each!(simd: S, maxima => max, &scores[..columns] => score; at_least(simd, max, score));
    }
    let is_larger = maxima != factors;
    let least = simd.splat_f32s(LEAST);
    if is_larger {
        each!(simd: S, factors => before, maxima => max; exp2(simd, at_least(simd, least, simd.sub_f32s(before, max))));
        each!(simd: S, totals => total, factors => factor; simd.mul_f32s(total, factor));
    }
    let (maxima, totals) = (S::as_simd_f32s(maxima).0, S::as_mut_simd_f32s(totals).0);
    for scores in scores.chunks_exact_mut(stride) {
        let scores = S::as_mut_simd_f32s(&mut scores[..columns]).0;
        for i in 0..scores.len() {
            scores[i] = exp2(simd, at_least(simd, least, simd.sub_f32s(scores[i], maxima[i])));
            totals[i] = simd.add_f32s(totals[i], scores[i]);
        }
    }
    is_larger
}

//! Convolutions with three taps over frames, and one or three over rows, in a half or a third of the multiplications:
//! Winograd's F(4, 3) over frames, F(2, 3) over rows.
//!
//! Four frames of the output depend on six of the input. The transform of those six values and that of the three taps are
//! multiplied point by point, six products instead of twelve; the products are summed over channels before the transform
//! back to four frames. So are four rows of the input, for two of the output.
//!
//! The transforms are evaluations of polynomials: at the points 0, ±3/4, ±3/2 and infinity over frames, 0, ±1 and
//! infinity over rows. Their constants are exact in f32 and close to one, which keeps the loss low: against direct sums
//! it is up to 4 dB on signals and 9 dB on white noise.

#[cfg(test)]
mod tests;

use pulp::{Simd, WithSimd};

use super::GluExtras;
use crate::band_conv::add_gathered;
use crate::gemm::{self, Panels, Terms, padded_rows, product, row_stride};
use crate::grid::{Extent, Piece, Shared, chunk, gather, pieces};
use crate::scratch::Scratch;
use crate::simd::{dispatch, each, sigmoid};

/// Taps over frames.
const TAPS: usize = 3;
/// Frames of the output that are computed together.
const GROUP: usize = 4;
/// Values of such a group's input, and products.
const POINTS: usize = GROUP + TAPS - 1;

/// The points besides zero and infinity are these and their negatives.
const NEAR: f32 = 0.75;
const FAR: f32 = 1.5;

/// Returns the transform of three taps. Each finite point's row is divided by the product of its distances to the others.
const fn taps_at<const FINITE: usize, const ALL: usize>(points: [f32; FINITE]) -> [[f64; TAPS]; ALL] {
    let mut rows = [[0.0, 0.0, 1.0]; ALL];
    let mut i = 0;
    while i < FINITE {
        let point = points[i] as f64;
        let mut distances = 1.0;
        let mut j = 0;
        while j < FINITE {
            distances *= if i == j { 1.0 } else { point - points[j] as f64 };
            j += 1;
        }
        rows[i] = [1.0 / distances, point / distances, point * point / distances];
        i += 1;
    }
    rows
}

const FRAME_TAPS: [[f64; TAPS]; POINTS] = taps_at([0.0, NEAR, -NEAR, FAR, -FAR]);
const ROW_TAPS: [[f64; TAPS]; 4] = taps_at([0.0, 1.0, -1.0]);

/// How rows are transformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rows {
    /// One tap: not at all.
    Single,
    /// Three taps: two rows of the output are computed together.
    Pairs,
}

impl Rows {
    /// Returns the transform for these taps over rows and over frames; `None` if there is none.
    pub(super) fn of(taps: [usize; 2]) -> Option<Self> {
        match taps {
            [1, TAPS] => Some(Self::Single),
            [3, TAPS] => Some(Self::Pairs),
            _ => None,
        }
    }

    /// Returns the transform with which these weights were packed; `None` if with none. No other format has their length.
    pub(super) fn of_packed(weights: &[f32], rows: usize, channels: usize, taps: [usize; 2]) -> Option<Self> {
        Self::of(taps).filter(|own| weights.len() == own.packed_len(rows, channels))
    }

    /// Returns the rows of the output that are computed together.
    fn group(self) -> usize {
        match self {
            Self::Single => 1,
            Self::Pairs => 2,
        }
    }

    /// Returns the rows of the input that they depend on.
    fn points(self) -> usize {
        match self {
            Self::Single => 1,
            Self::Pairs => 4,
        }
    }

    /// Returns the length of packed weights.
    fn packed_len(self, rows: usize, channels: usize) -> usize {
        self.points() * POINTS * padded_rows(rows) * channels
    }

    /// Packs the transform of weights `[rows, channels · taps]`, computed in f64: a matrix of whole panels for each pair of
    /// points. `at(row, term)` reads the weights.
    pub(super) fn pack(self, rows: usize, channels: usize, at: impl Fn(usize, usize) -> f32) -> Vec<f32> {
        let padded = padded_rows(rows);
        gemm::pack(self.points() * POINTS * padded, channels, |stacked, channel| {
            let (points, row) = (stacked / padded, stacked % padded);
            if row >= rows {
                return 0.0;
            }
            let over_frames = |first: usize| -> f64 {
                let taps = FRAME_TAPS[points % POINTS].iter().enumerate();
                taps.map(|(tap, factor)| factor * f64::from(at(row, first + tap))).sum()
            };
            let value = match self {
                Self::Single => over_frames(TAPS * channel),
                Self::Pairs => {
                    let taps = ROW_TAPS[points / POINTS].iter().enumerate();
                    taps.map(|(tap, factor)| factor * over_frames(TAPS * (TAPS * channel + tap))).sum()
                }
            };
            #[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
            let value = value as f32;
            value
        })
    }
}

/// Most rows of the output per piece: groups of rows share rows of the input.
const MOST_ROWS: usize = 8;

/// Most columns of a piece's products, whole tiles for every vector width.
const COLUMNS: usize = 192;

/// A convolution that keeps rows and frames.
#[derive(Clone, Copy)]
pub(super) struct Same<'a> {
    pub(super) values: &'a [f32],
    pub(super) x: Extent,
    /// From [`Rows::pack`].
    pub(super) weights: &'a [f32],
    pub(super) bias: &'a [f32],
    pub(super) over_rows: Rows,
    /// Whether GLU follows, which halves the channels.
    pub(super) gated: bool,
    pub(super) extras: GluExtras<'a>,
}

impl Same<'_> {
    pub(super) fn run(self, (out, y): (&mut [f32], Extent)) {
        let group = self.over_rows.group();
        let tiles = y.rows.div_ceil(group).min(MOST_ROWS / group);
        let blocks = y.rows.div_ceil(tiles * group);
        // Groups begin at the same rows and frames in any piece.
        let columns = chunk([y.items * blocks, tiles * y.frames.div_ceil(GROUP)], COLUMNS);
        let out = Shared::new(out);
        pieces([y.items, blocks, y.frames], columns / tiles * GROUP, |piece| {
            dispatch(Block { layer: &self, y, tiles, out: &out, piece });
        });
    }

    /// Copies some frames of a row, from the one before `start`.
    fn gather(&self, item: usize, channel: usize, row: usize, start: usize, frames: &mut [f32]) {
        let from = self.x.row(item, channel, row);
        let start = start.cast_signed() - 1;
        gather(&self.values[from..][..self.x.frames], start, frames);
        if let Some(skip) = self.extras.skip {
            add_gathered(&skip[from..][..self.x.frames], start, frames);
        }
    }
}

struct Block<'a> {
    layer: &'a Same<'a>,
    y: Extent,
    /// Groups of rows per piece.
    tiles: usize,
    out: &'a Shared<'a>,
    piece: Piece,
}

impl WithSimd for Block<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { layer, y, tiles, out, piece } = self;
        let Same { x, bias, over_rows, gated, .. } = *layer;
        let (group, row_points) = (over_rows.group(), over_rows.points());
        let first = tiles * group * piece.row;
        // The columns of a product: groups of rows times groups of frames.
        let (tiles, groups) = (tiles.min((y.rows - first).div_ceil(group)), piece.frames.div_ceil(GROUP));
        let lines = tiles * group + row_points - group;
        let width = groups.next_multiple_of(S::F32_LANES);
        let stride = row_stride::<S>(tiles * groups, 0);
        let products = row_points * POINTS;
        let padded = padded_rows(bias.len());
        let (terms_len, sums_len) = (x.channels * stride, padded * stride);
        let mut scratch = Scratch::take();
        let [frames, phases, at_points, terms, sums] = scratch.slices([
            GROUP * (groups + 1),
            GROUP * (width + S::F32_LANES),
            lines.max(2) * POINTS * width,
            products * terms_len,
            products * sums_len,
        ]);

        for channel in 0..x.channels {
            for (line, at_points) in at_points.chunks_exact_mut(POINTS * width).take(lines).enumerate() {
                match (first + line).checked_sub((row_points - group) / 2).filter(|row| *row < x.rows) {
                    Some(row) => {
                        layer.gather(piece.item, channel, row, piece.start, frames);
                        split(frames, phases);
                        transform(simd, phases, at_points);
                    }
                    None => at_points.fill(0.0),
                }
            }
            for (tile, point) in (0..tiles * POINTS).map(|index| (index / POINTS, index % POINTS)) {
                let line = |line: usize| &at_points[((tile * group + line) * POINTS + point) * width..][..groups];
                let to = |row_point: usize| {
                    let at = (row_point * POINTS + point) * terms_len + channel * stride + tile * groups;
                    at..at + groups
                };
                match over_rows {
                    Rows::Single => terms[to(0)].copy_from_slice(line(0)),
                    Rows::Pairs => {
                        each!(simd: S, &mut terms[to(0)] => _, line(2) => a, line(0) => b; simd.sub_f32s(a, b));
                        each!(simd: S, &mut terms[to(1)] => _, line(1) => a, line(2) => b; simd.add_f32s(a, b));
                        each!(simd: S, &mut terms[to(2)] => _, line(2) => a, line(1) => b; simd.sub_f32s(a, b));
                        each!(simd: S, &mut terms[to(3)] => _, line(1) => a, line(3) => b; simd.sub_f32s(a, b));
                    }
                }
            }
        }

        let weights = Panels::new(layer.weights, products * padded, x.channels);
        let offsets: Vec<usize> = (0..x.channels).map(|term| term * stride).collect();
        let matrices = terms.chunks_exact(terms_len).zip(sums.chunks_exact_mut(sums_len));
        for (index, (values, sums)) in matrices.enumerate() {
            let weights = weights.some_rows(index * padded, bias.len());
            product(simd, weights, Terms { values, offsets: &offsets }, tiles * groups, sums, stride, false);
        }

        for channel in 0..y.channels {
            let gate = y.channels + channel;
            let channels: &[usize] = if gated { &[channel, gate] } else { &[channel] };
            for row in first..y.rows.min(first + tiles * group) {
                let (tile, odd) = ((row - first) / group, (row - first) % group == 1);
                let made = &mut at_points[..channels.len() * POINTS * width];
                for (index, to) in made.chunks_exact_mut(width).enumerate() {
                    let at = index % POINTS * sums_len + channels[index / POINTS] * stride + tile * groups;
                    let of = |row_point: usize| &sums[row_point * POINTS * sums_len + at..][..groups];
                    let to = &mut to[..groups];
                    match over_rows {
                        Rows::Single => to.copy_from_slice(of(0)),
                        Rows::Pairs if odd => each!(simd: S, to => _, of(1) => a, of(2) => b, of(3) => c; {
                            simd.sub_f32s(simd.sub_f32s(a, b), c)
                        }),
                        Rows::Pairs => each!(simd: S, to => _, of(0) => a, of(1) => b, of(2) => c; {
                            simd.add_f32s(a, simd.add_f32s(b, c))
                        }),
                    }
                }
                if gated {
                    let biases = [channel, gate].map(|channel| simd.splat_f32s(bias[channel]));
                    let embedding = layer.extras.embedding.map_or(0.0, |table| table[channel * y.rows + row]);
                    glu(simd, made, biases, simd.splat_f32s(embedding), phases);
                } else {
                    add_bias(simd, made, simd.splat_f32s(bias[channel]), phases);
                }
                let at = y.row(piece.item, channel, row) + piece.start;
                // SAFETY: pieces do not overlap.
                join(phases, unsafe { out.part(at, piece.frames) });
            }
        }
    }
}

/// Cuts a slice into `N` equal parts.
#[inline(always)]
fn parts<const N: usize>(values: &[f32]) -> [&[f32]; N] {
    let len = values.len() / N;
    std::array::from_fn(|i| &values[i * len..][..len])
}

/// Does the same to a mutable slice.
#[inline(always)]
fn parts_mut<const N: usize>(mut values: &mut [f32]) -> [&mut [f32]; N] {
    let len = values.len() / N;
    std::array::from_fn(|_| {
        let (part, rest) = std::mem::take(&mut values).split_at_mut(len);
        values = rest;
        part
    })
}

/// Copies every fourth value to the same phase.
#[inline(always)]
fn split(values: &[f32], phases: &mut [f32]) {
    let (fours, _) = values.as_chunks::<GROUP>();
    let [a, b, c, d] = parts_mut::<GROUP>(phases).map(|phase| &mut phase[..fours.len()]);
    for (i, four) in fours.iter().enumerate() {
        [a[i], b[i], c[i], d[i]] = *four;
    }
}

/// Undoes [`split`].
#[inline(always)]
fn join(phases: &[f32], values: &mut [f32]) {
    let (fours, tail) = values.as_chunks_mut::<GROUP>();
    let phases = parts::<GROUP>(phases);
    let [a, b, c, d] = phases.map(|phase| &phase[..fours.len()]);
    for (i, four) in fours.iter_mut().enumerate() {
        *four = [a[i], b[i], c[i], d[i]];
    }
    for (value, phase) in tail.iter_mut().zip(phases) {
        *value = phase[a.len()];
    }
}

/// Transforms the input of each group: four phases, and the first two of the next group.
#[inline(always)]
fn transform<S: Simd>(simd: S, phases: &[f32], to: &mut [f32]) {
    let width = to.len() / POINTS;
    let phases = parts::<GROUP>(phases);
    let [d0, d1, d2, d3] = phases.map(|phase| S::as_simd_f32s(&phase[..width]).0);
    let [d4, d5] = [0, 1].map(|next| S::as_simd_f32s(&phases[next][1..=width]).0);
    let [v0, v1, v2, v3, v4, v5] = parts_mut(to).map(|values| S::as_mut_simd_f32s(values).0);
    let splat = |v| simd.splat_f32s(v);
    let [near, far] = [splat(-NEAR * NEAR), splat(-FAR * FAR)];
    let (both, sum) = (splat(NEAR * NEAR * FAR * FAR), splat(-NEAR * NEAR - FAR * FAR));
    for i in 0..width / S::F32_LANES {
        let (d0, d1, d2, d3, d4, d5) = (d0[i], d1[i], d2[i], d3[i], d4[i], d5[i]);
        v0[i] = simd.mul_add_e_f32s(both, d0, simd.mul_add_e_f32s(sum, d2, d4));
        let (even, odd) = (simd.mul_add_e_f32s(far, d2, d4), simd.mul_add_e_f32s(far, d1, d3));
        v1[i] = simd.mul_add_e_f32s(splat(NEAR), odd, even);
        v2[i] = simd.mul_add_e_f32s(splat(-NEAR), odd, even);
        let (even, odd) = (simd.mul_add_e_f32s(near, d2, d4), simd.mul_add_e_f32s(near, d1, d3));
        v3[i] = simd.mul_add_e_f32s(splat(FAR), odd, even);
        v4[i] = simd.mul_add_e_f32s(splat(-FAR), odd, even);
        v5[i] = simd.mul_add_e_f32s(both, d1, simd.mul_add_e_f32s(sum, d3, d5));
    }
}

/// Transforms the sums of some groups back to frames.
#[inline(always)]
fn restore<S: Simd>(simd: S, [m0, m1, m2, m3, m4, m5]: [S::f32s; POINTS]) -> [S::f32s; GROUP] {
    let splat = |v| simd.splat_f32s(v);
    let [near_sum, far_sum] = [simd.add_f32s(m1, m2), simd.add_f32s(m3, m4)];
    let [near_difference, far_difference] = [simd.sub_f32s(m1, m2), simd.sub_f32s(m3, m4)];
    let cubes = simd.mul_add_e_f32s(splat(FAR * FAR * FAR), far_difference, m5);
    [
        simd.add_f32s(m0, simd.add_f32s(near_sum, far_sum)),
        simd.mul_add_e_f32s(splat(NEAR), near_difference, simd.mul_f32s(splat(FAR), far_difference)),
        simd.mul_add_e_f32s(splat(NEAR * NEAR), near_sum, simd.mul_f32s(splat(FAR * FAR), far_sum)),
        simd.mul_add_e_f32s(splat(NEAR * NEAR * NEAR), near_difference, cubes),
    ]
}

/// Transforms the sums of signals and gates back to the phases of the frames, and applies GLU.
#[inline(always)]
fn glu<S: Simd>(simd: S, sums: &[f32], [bias, gate_bias]: [S::f32s; 2], embedding: S::f32s, phases: &mut [f32]) {
    let sums = parts::<{ 2 * POINTS }>(sums);
    let width = sums[0].len();
    let [a0, a1, a2, a3, a4, a5, b0, b1, b2, b3, b4, b5] = sums.map(|sums| S::as_simd_f32s(sums).0);
    let mut phases = parts_mut::<GROUP>(phases).map(|phase| S::as_mut_simd_f32s(&mut phase[..width]).0);
    for i in 0..width / S::F32_LANES {
        let signals = restore(simd, [a0[i], a1[i], a2[i], a3[i], a4[i], a5[i]]);
        let gates = restore(simd, [b0[i], b1[i], b2[i], b3[i], b4[i], b5[i]]);
        for ((phase, signal), gate) in phases.iter_mut().zip(signals).zip(gates) {
            let open = sigmoid(simd, simd.add_f32s(gate, gate_bias));
            phase[i] = simd.mul_add_e_f32s(simd.add_f32s(signal, bias), open, embedding);
        }
    }
}

/// Transforms sums back to the phases of the frames, and adds the bias.
#[inline(always)]
fn add_bias<S: Simd>(simd: S, sums: &[f32], bias: S::f32s, phases: &mut [f32]) {
    let sums = parts::<POINTS>(sums);
    let width = sums[0].len();
    let [m0, m1, m2, m3, m4, m5] = sums.map(|sums| S::as_simd_f32s(sums).0);
    let mut phases = parts_mut::<GROUP>(phases).map(|phase| S::as_mut_simd_f32s(&mut phase[..width]).0);
    for i in 0..width / S::F32_LANES {
        let made = restore(simd, [m0[i], m1[i], m2[i], m3[i], m4[i], m5[i]]);
        for (phase, made) in phases.iter_mut().zip(made) {
            phase[i] = simd.add_f32s(made, bias);
        }
    }
}

//! The product kernel behind every layer: weights times terms gathered from the input, fused with the operations before
//! and after it.

use burn_cubecl::cubecl;
use cubecl::prelude::*;

use super::reduce::total;

/// The values that a cube computes, and their distribution over its units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Tile {
    /// Rows per unit.
    pub(super) unit_rows: usize,
    /// Positions per unit.
    pub(super) unit_positions: usize,
    /// Units along the positions; the other dimension is rows.
    pub(super) position_units: usize,
}

/// Units per cube.
pub(super) const UNITS: usize = 256;
/// Terms in shared memory at a time.
const TERMS: usize = 16;

impl Tile {
    pub(super) const fn rows(self) -> usize {
        self.unit_rows * (UNITS / self.position_units)
    }

    pub(super) const fn positions(self) -> usize {
        self.unit_positions * self.position_units
    }
}

/// The operation on the input's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Read {
    /// None.
    Plain,
    /// Adds the skip connection.
    Skip,
    /// Normalises each position.
    LayerNorm,
    /// Normalises each line as a whole, then applies GELU.
    GroupNormGelu,
}

/// The operation on the sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Finish {
    /// Adds the bias, as all the others do first.
    Bias,
    /// GELU.
    Gelu,
    /// GLU.
    Glu,
    /// GLU, then adds the row's value from a table.
    GluTable,
    /// Scales, then adds to the earlier values.
    Residual,
    /// Writes only the moments of each line.
    Moments,
    /// Normalises by those moments, GLU, scales, then adds to the earlier values.
    NormGluResidual,
    /// Interleaves four rows as four adjacent outputs over rows or frames, then GELU if the second field is true.
    Interleave(Along, bool),
}

/// The axis along which four outputs are adjacent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Along {
    Rows,
    Frames,
}

/// The compile-time parameters of a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Plan {
    pub(super) tile: Tile,
    /// Taps over rows and frames.
    pub(super) taps: [usize; 2],
    pub(super) read: Read,
    pub(super) finish: Finish,
    /// Whether to compute the moments of the output, too.
    pub(super) moments: bool,
}

impl Plan {
    pub(super) const fn gated(self) -> bool {
        matches!(self.finish, Finish::Glu | Finish::GluTable | Finish::NormGluResidual)
    }

    const fn takes_moments(self) -> bool {
        self.moments || matches!(self.finish, Finish::Moments)
    }
}

/// The layout of values. A line is the work of one layer of cubes: an item, or one row of it.
#[derive(CubeLaunch, CubeType, Clone, Copy)]
pub(super) struct Geometry {
    /// Rows of the weights.
    pub(super) weight_rows: usize,
    /// Terms of each sum.
    pub(super) terms: usize,
    /// Lines per item.
    pub(super) lines: usize,
    /// Stride from one line of an item to the next, in input and output.
    pub(super) line_stride: usize,
    /// Stride from one item of the input to the next.
    pub(super) in_item: usize,
    /// Stride from one channel of the input to the next.
    pub(super) in_channel: usize,
    /// Rows per line of the input.
    pub(super) in_rows: usize,
    /// Frames per line of the input.
    pub(super) in_frames: usize,
    /// Stride from one item of the output to the next.
    pub(super) out_item: usize,
    /// Stride from one channel of the output to the next.
    pub(super) out_channel: usize,
    /// Positions per line of sums.
    pub(super) positions: usize,
    /// Frames per line of sums.
    pub(super) frames: usize,
    /// Rows (or frames) per line of the output, if outputs are interleaved over rows (or frames).
    pub(super) out_extent: usize,
    pub(super) row_stride: usize,
    pub(super) frame_stride: usize,
    pub(super) row_padding: usize,
    pub(super) frame_padding: usize,
    pub(super) frame_dilation: usize,
}

/// Computes the exact GELU.
#[cube]
pub(super) fn gelu(x: f32) -> f32 {
    let half = 0.5 * x;
    half + half * erf(x * 0.707_106_77)
}

/// Computes a rational approximation, exact to f32 rounding; the GPUs' own functions are less exact.
#[cube]
fn erf(x: f32) -> f32 {
    let x = clamp(x, -3.92, 3.92);
    let s = x * x;
    let mut p = 2.034_734_4e-6;
    p = p * s + 2.874_763_6e-4;
    p = p * s + 3.868_245_8e-3;
    p = p * s + 5.306_023_6e-2;
    p = p * s + 0.192_762_32;
    p = p * s + comptime!(std::f32::consts::FRAC_2_SQRT_PI);
    let mut q = 3.807_047_3e-5;
    q = q * s + 1.188_092_9e-3;
    q = q * s + 1.517_213_7e-2;
    q = q * s + 0.115_083_89;
    q = q * s + 0.504_162_83;
    q = q * s + 1.0;
    x * p / q
}

#[cube]
pub(super) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + Exp::exp(-x))
}

/// Returns the weights' row for row `index` of the tile. If gated, half of a unit's rows are values and the other half
/// their gates.
#[cube]
fn weight_row(index: usize, tile: usize, half: usize, #[comptime] plan: Plan) -> usize {
    if comptime!(plan.gated()) {
        let pairs = comptime!(plan.tile.unit_rows / 2);
        let (unit, of_unit) = (index / comptime!(plan.tile.unit_rows), index % comptime!(plan.tile.unit_rows));
        let row = tile * comptime!(plan.tile.rows() / 2) + unit * pairs + of_unit % pairs;
        if row < half { row + (of_unit / pairs) * half } else { half + half }
    } else {
        tile * comptime!(plan.tile.rows()) + index
    }
}

/// Multiplies weights `[terms, rows]` by terms of the input.
///
/// `values`, `stats`, `scale` and `shift` are the arguments of [`Read`]: the skip connection, or moments and a
/// normalisation's parameters. `after`, `after_stats`, `after_scale`, `after_shift` and `gamma` are the parameters of
/// [`Finish`]: the values to add to, moments and a normalisation's parameters, and the scale. `partials` receives
/// moments, three numbers per tile.
#[cube(launch_unchecked)]
#[expect(clippy::too_many_arguments, reason = "each kernel argument is a separate buffer")]
pub(super) fn product<F: Float>(
    x: &[F],
    weight: &[F],
    bias: &[F],
    out: ComptimeOption<&mut [F]>,
    values: ComptimeOption<&[F]>,
    stats: ComptimeOption<&[f32]>,
    scale: ComptimeOption<&[F]>,
    shift: ComptimeOption<&[F]>,
    after: ComptimeOption<&[F]>,
    after_stats: ComptimeOption<&[f32]>,
    after_scale: ComptimeOption<&[F]>,
    after_shift: ComptimeOption<&[F]>,
    gamma: ComptimeOption<&[F]>,
    partials: ComptimeOption<&mut [f32]>,
    g: Geometry,
    #[comptime] plan: Plan,
    #[define(F)] _dtype: ElemType,
) {
    let tile_rows = comptime!(plan.tile.rows());
    let tile_positions = comptime!(plan.tile.positions());
    let (unit_rows, unit_positions) = comptime!((plan.tile.unit_rows, plan.tile.unit_positions));
    let position_units = comptime!(plan.tile.position_units);
    let unit = UNIT_POS as usize;
    let (row_unit, position_unit) = (unit / position_units, unit % position_units);
    let line = CUBE_POS_Z as usize;
    let first_position = CUBE_POS_X as usize * tile_positions;
    let tile = CUBE_POS_Y as usize;
    let half = g.weight_rows / 2;
    let in_base = (line / g.lines) * g.in_item + (line % g.lines) * g.line_stride;
    let out_base = (line / g.lines) * g.out_item + (line % g.lines) * g.line_stride;

    let mut weights = Shared::<[f32]>::new_aligned_slice(comptime!(TERMS * tile_rows), 16usize);
    let mut terms = Shared::<[f32]>::new_aligned_slice(comptime!(TERMS * tile_positions), 16usize);
    let mut sums = Array::<f32>::new(comptime!(unit_rows * unit_positions));

    // A unit loads one position's terms; its location is the same in every step.
    let column = unit % tile_positions;
    let first_term = unit / tile_positions;
    let position = first_position + column;
    let has_position = position < g.positions;
    let (row, frame) = (position / g.frames, position % g.frames);
    let mut mean = 0.0f32;
    let mut share = 1.0f32;
    if comptime!(matches!(plan.read, Read::LayerNorm | Read::GroupNormGelu)) {
        let of = if comptime!(plan.read == Read::LayerNorm) {
            select(has_position, line * g.positions + position, 0usize)
        } else {
            line
        };
        let stats = stats.as_ref().unwrap();
        mean = stats[2 * of];
        share = stats[2 * of + 1];
    }

    let mut start = 0usize;
    while start < g.terms {
        #[unroll]
        for i in 0..comptime!(TERMS * tile_positions / UNITS) {
            let slot = first_term + i * comptime!(UNITS / tile_positions);
            let term = start + slot;
            let taps = comptime!(plan.taps[0] * plan.taps[1]);
            let (channel, tap) = (term / taps, term % taps);
            let (across, along) = (tap / comptime!(plan.taps[1]), tap % comptime!(plan.taps[1]));
            // No branches, not even that of `&&`, so that all loads can overlap.
            let mut is_there = has_position & (term < g.terms);
            let mut of_channel = position;
            if comptime!(taps > 1) {
                // Offset by one plus the padding, so that no index is negative.
                let (row, frame) = match comptime!(plan.finish) {
                    // The second tap belongs to the previous position.
                    Finish::Interleave(Along::Rows, _) => (row + 1 - tap, frame + 1),
                    Finish::Interleave(Along::Frames, _) => (row + 1, frame + 1 - tap),
                    _ => (row * g.row_stride + across + 1, frame * g.frame_stride + along * g.frame_dilation + 1),
                };
                is_there = is_there
                    & (row > g.row_padding)
                    & (row <= g.row_padding + g.in_rows)
                    & (frame > g.frame_padding)
                    & (frame <= g.frame_padding + g.in_frames);
                of_channel = (row - 1 - g.row_padding) * g.in_frames + frame - 1 - g.frame_padding;
            }
            let channel = select(is_there, channel, 0usize);
            let at = select(is_there, in_base + channel * g.in_channel + of_channel, 0usize);
            let mut value = f32::cast_from(x[at]);
            match comptime!(plan.read) {
                Read::Plain => {}
                Read::Skip => value += f32::cast_from(values.as_ref().unwrap()[at]),
                Read::LayerNorm | Read::GroupNormGelu => {
                    value = (value - mean) * share * f32::cast_from(scale.as_ref().unwrap()[channel])
                        + f32::cast_from(shift.as_ref().unwrap()[channel]);
                    if comptime!(plan.read == Read::GroupNormGelu) {
                        value = gelu(value);
                    }
                }
            }
            terms[slot * tile_positions + column] = select(is_there, value, 0.0f32);
        }
        #[unroll]
        for i in 0..comptime!(TERMS * tile_rows / UNITS) {
            let element = unit + i * UNITS;
            let (slot, index) = (element / tile_rows, element % tile_rows);
            let row = weight_row(index, tile, half, plan);
            let is_there = (row < g.weight_rows) & (start + slot < g.terms);
            let at = select(is_there, (start + slot) * g.weight_rows + row, 0usize);
            weights[element] = select(is_there, f32::cast_from(weight[at]), 0.0f32);
        }
        sync_cube();
        for slot in 0..TERMS {
            let mut own = Array::<f32>::new(unit_positions);
            #[unroll]
            for p in 0..unit_positions {
                own[p] = terms[slot * tile_positions + p * position_units + position_unit];
            }
            #[unroll]
            for r in 0..unit_rows {
                let weight = weights[slot * tile_rows + row_unit * unit_rows + r];
                #[unroll]
                for p in 0..unit_positions {
                    sums[r * unit_positions + p] += weight * own[p];
                }
            }
        }
        sync_cube();
        start += TERMS;
    }

    #[unroll]
    for r in 0..unit_rows {
        let row = weight_row(row_unit * unit_rows + r, tile, half, plan);
        if row < g.weight_rows {
            let channel = if comptime!(matches!(plan.finish, Finish::Interleave(..))) { row / 4 } else { row };
            let bias = f32::cast_from(bias[channel]);
            #[unroll]
            for p in 0..unit_positions {
                sums[r * unit_positions + p] += bias;
            }
        }
    }
    if comptime!(plan.takes_moments()) {
        let mut sum = 0.0f32;
        #[unroll]
        for r in 0..unit_rows {
            let has_row = weight_row(row_unit * unit_rows + r, tile, half, plan) < g.weight_rows;
            #[unroll]
            for p in 0..unit_positions {
                if has_row && first_position + p * position_units + position_unit < g.positions {
                    sum += sums[r * unit_positions + p];
                }
            }
        }
        let rows = clamp_max(g.weight_rows - tile * tile_rows, tile_rows);
        let positions = clamp_max(g.positions - first_position, tile_positions);
        let count = f32::cast_from(rows * positions);
        // The shared memory of the weights is free now.
        let mean = total(sum, &mut weights, UNITS) / count;
        let mut squares = 0.0f32;
        #[unroll]
        for r in 0..unit_rows {
            let has_row = weight_row(row_unit * unit_rows + r, tile, half, plan) < g.weight_rows;
            #[unroll]
            for p in 0..unit_positions {
                if has_row && first_position + p * position_units + position_unit < g.positions {
                    let apart = sums[r * unit_positions + p] - mean;
                    squares += apart * apart;
                }
            }
        }
        let squares = total(squares, &mut weights, UNITS);
        if unit == 0 {
            let partials = partials.unwrap();
            let tiles = CUBE_COUNT_X as usize * CUBE_COUNT_Y as usize;
            let at = 3 * (line * tiles + tile * CUBE_COUNT_X as usize + CUBE_POS_X as usize);
            partials[at] = count;
            partials[at + 1] = mean;
            partials[at + 2] = squares;
        }
    }
    if comptime!(plan.finish != Finish::Moments) {
        let out = out.unwrap();
        let rows_out = comptime!(if plan.gated() { unit_rows / 2 } else { unit_rows });
        #[unroll]
        for r in 0..rows_out {
            let row = weight_row(row_unit * unit_rows + r, tile, half, plan);
            if row < g.weight_rows {
                #[unroll]
                for p in 0..unit_positions {
                    let position = first_position + p * position_units + position_unit;
                    if position < g.positions {
                        let sum = sums[r * unit_positions + p];
                        let at = out_base + row * g.out_channel + position;
                        match comptime!(plan.finish) {
                            Finish::Bias | Finish::Moments => out[at] = F::cast_from(sum),
                            Finish::Gelu => out[at] = F::cast_from(gelu(sum)),
                            Finish::Glu => {
                                let gate = sums[(r + rows_out) * unit_positions + p];
                                out[at] = F::cast_from(sum * sigmoid(gate));
                            }
                            Finish::GluTable => {
                                let gate = sums[(r + rows_out) * unit_positions + p];
                                let rows = g.positions / g.frames;
                                let added = after.as_ref().unwrap()[row * rows + position / g.frames];
                                out[at] = F::cast_from(sum * sigmoid(gate) + f32::cast_from(added));
                            }
                            Finish::Residual => {
                                let before = f32::cast_from(after.as_ref().unwrap()[at]);
                                out[at] = F::cast_from(before + f32::cast_from(gamma.as_ref().unwrap()[row]) * sum);
                            }
                            Finish::NormGluResidual => {
                                let stats = after_stats.as_ref().unwrap();
                                let (scale, shift) = (after_scale.as_ref().unwrap(), after_shift.as_ref().unwrap());
                                let (mean, share) = (stats[2 * line], stats[2 * line + 1]);
                                let gate = sums[(r + rows_out) * unit_positions + p];
                                let value =
                                    (sum - mean) * share * f32::cast_from(scale[row]) + f32::cast_from(shift[row]);
                                let gate = (gate - mean) * share * f32::cast_from(scale[half + row])
                                    + f32::cast_from(shift[half + row]);
                                let before = f32::cast_from(after.as_ref().unwrap()[at]);
                                let gamma = f32::cast_from(gamma.as_ref().unwrap()[row]);
                                out[at] = F::cast_from(before + gamma * value * sigmoid(gate));
                            }
                            Finish::Interleave(along, activate) => {
                                let (channel, phase) = (row / 4, row % 4);
                                let (row, frame) = (position / g.frames, position % g.frames);
                                let outer = match comptime!(along) {
                                    Along::Rows => 4 * row + phase,
                                    Along::Frames => 4 * frame + phase,
                                };
                                // Drops the first two outputs and those beyond the end.
                                if outer >= 2 && outer - 2 < g.out_extent {
                                    let at = out_base + channel * g.out_channel;
                                    let at = match comptime!(along) {
                                        Along::Rows => at + (outer - 2) * g.frames + frame,
                                        Along::Frames => at + outer - 2,
                                    };
                                    let sum = if comptime!(activate) { gelu(sum) } else { sum };
                                    out[at] = F::cast_from(sum);
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

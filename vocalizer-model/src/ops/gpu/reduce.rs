//! Sums over the units of a cube, and moments based on them.

use burn_cubecl::cubecl;
use cubecl::prelude::*;

/// Returns the sum over all units' values, to every unit. `scratch` has as many values as there are units, a power of
/// two.
#[cube]
pub(super) fn total(value: f32, scratch: &mut Shared<[f32]>, #[comptime] units: usize) -> f32 {
    let unit = UNIT_POS as usize;
    scratch[unit] = value;
    sync_cube();
    #[unroll]
    for step in 0..comptime!(units.ilog2() as usize) {
        let width = comptime!(units >> (step + 1));
        if unit < width {
            scratch[unit] += scratch[unit + width];
        }
        sync_cube();
    }
    let sum = scratch[0];
    sync_cube();
    sum
}

/// Units per cube of these kernels.
pub(super) const UNITS: usize = 256;
/// Values per unit of [`moments`].
pub(super) const UNIT_VALUES: usize = 16;

/// Computes count, mean and squared deviations of each piece of a line of `len` values: `[lines, pieces, 3]`.
#[cube(launch_unchecked)]
pub(super) fn moments<F: Float>(x: &[F], partials: &mut [f32], len: usize, #[define(F)] _dtype: ElemType) {
    let (line, piece) = (CUBE_POS_Y as usize, CUBE_POS_X as usize);
    let first = piece * comptime!(UNITS * UNIT_VALUES);
    let mut scratch = Shared::<[f32]>::new_slice(UNITS);
    let mut own = Array::<f32>::new(UNIT_VALUES);
    let mut sum = 0.0f32;
    #[unroll]
    for i in 0..UNIT_VALUES {
        let at = first + i * UNITS + UNIT_POS as usize;
        if at < len {
            own[i] = f32::cast_from(x[line * len + at]);
            sum += own[i];
        }
    }
    let count = f32::cast_from(clamp_max(len - first, comptime!(UNITS * UNIT_VALUES)));
    let mean = total(sum, &mut scratch, UNITS) / count;
    let mut squares = 0.0f32;
    #[unroll]
    for i in 0..UNIT_VALUES {
        if first + i * UNITS + (UNIT_POS as usize) < len {
            squares += (own[i] - mean) * (own[i] - mean);
        }
    }
    let squares = total(squares, &mut scratch, UNITS);
    if UNIT_POS == 0 {
        let at = 3 * (line * CUBE_COUNT_X as usize + piece);
        partials[at] = count;
        partials[at + 1] = mean;
        partials[at + 2] = squares;
    }
}

/// Computes mean and reciprocal deviation of each line from its pieces' moments; if `unbiased`, the unbiased deviation
/// itself instead of the reciprocal.
#[cube(launch_unchecked)]
pub(super) fn combine(partials: &[f32], stats: &mut [f32], pieces: usize, epsilon: f32, #[comptime] unbiased: bool) {
    let line = CUBE_POS_X as usize;
    let mut scratch = Shared::<[f32]>::new_slice(UNITS);
    let mut count = 0.0f32;
    let mut sum = 0.0f32;
    let mut piece = UNIT_POS as usize;
    while piece < pieces {
        let at = 3 * (line * pieces + piece);
        count += partials[at];
        sum += partials[at] * partials[at + 1];
        piece += UNITS;
    }
    let count = total(count, &mut scratch, UNITS);
    let mean = total(sum, &mut scratch, UNITS) / count;
    let mut squares = 0.0f32;
    let mut piece = UNIT_POS as usize;
    while piece < pieces {
        let at = 3 * (line * pieces + piece);
        let apart = partials[at + 1] - mean;
        squares += partials[at + 2] + partials[at] * apart * apart;
        piece += UNITS;
    }
    let squares = total(squares, &mut scratch, UNITS);
    if UNIT_POS == 0 {
        stats[2 * line] = mean;
        stats[2 * line + 1] = if comptime!(unbiased) {
            Sqrt::sqrt(squares / (count - 1.0))
        } else {
            1.0 / Sqrt::sqrt(squares / count + epsilon)
        };
    }
}

/// Positions per cube of [`position_moments`].
pub(super) const POSITIONS: usize = 32;

/// Computes mean and reciprocal deviation over the channels of each position: `[items, positions, 2]`.
#[cube(launch_unchecked)]
pub(super) fn position_moments<F: Float>(
    x: &[F],
    stats: &mut [f32],
    channels: usize,
    positions: usize,
    epsilon: f32,
    #[define(F)] _dtype: ElemType,
) {
    let mut scratch = Shared::<[f32]>::new_slice(UNITS);
    let sharers = comptime!(UNITS / POSITIONS);
    let (own, share) = (UNIT_POS as usize % POSITIONS, UNIT_POS as usize / POSITIONS);
    let item = CUBE_POS_Y as usize;
    let position = CUBE_POS_X as usize * POSITIONS + own;
    let is_there = position < positions;
    let base = item * channels * positions + position;
    let mut sum = 0.0f32;
    let mut channel = share;
    while channel < channels {
        if is_there {
            sum += f32::cast_from(x[base + channel * positions]);
        }
        channel += sharers;
    }
    scratch[UNIT_POS as usize] = sum;
    sync_cube();
    let mut mean = 0.0f32;
    #[unroll]
    for i in 0..sharers {
        mean += scratch[i * POSITIONS + own];
    }
    let mean = mean / f32::cast_from(channels);
    sync_cube();
    let mut squares = 0.0f32;
    let mut channel = share;
    while channel < channels {
        if is_there {
            let apart = f32::cast_from(x[base + channel * positions]) - mean;
            squares += apart * apart;
        }
        channel += sharers;
    }
    scratch[UNIT_POS as usize] = squares;
    sync_cube();
    let mut variance = 0.0f32;
    #[unroll]
    for i in 0..sharers {
        variance += scratch[i * POSITIONS + own];
    }
    if share == 0 && is_there {
        let variance = variance / f32::cast_from(channels);
        stats[2 * (item * positions + position)] = mean;
        stats[2 * (item * positions + position) + 1] = 1.0 / Sqrt::sqrt(variance + epsilon);
    }
}

/// Normalises values by their item's moments, or by their position's if `by_position`, and adds one item's `table`.
#[cube(launch_unchecked)]
#[expect(clippy::too_many_arguments, reason = "each kernel argument is a separate buffer")]
pub(super) fn normalise<F: Float>(
    x: &[F],
    stats: &[f32],
    scale: &[F],
    shift: &[F],
    table: ComptimeOption<&[F]>,
    out: &mut [F],
    channels: usize,
    positions: usize,
    #[comptime] by_position: bool,
    #[define(F)] _dtype: ElemType,
) {
    let of_item = CUBE_POS_X as usize * UNITS + UNIT_POS as usize;
    let item = CUBE_POS_Y as usize;
    if of_item < channels * positions {
        let (channel, position) = (of_item / positions, of_item % positions);
        let at = item * channels * positions + of_item;
        let of = if comptime!(by_position) { item * positions + position } else { item };
        let value = (f32::cast_from(x[at]) - stats[2 * of]) * stats[2 * of + 1];
        let mut value = value * f32::cast_from(scale[channel]) + f32::cast_from(shift[channel]);
        if comptime!(table.is_some()) {
            value += f32::cast_from(table.unwrap()[of_item]);
        }
        out[at] = F::cast_from(value);
    }
}

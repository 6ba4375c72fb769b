//! Attention without ever holding all scores: keys and values pass by in blocks, with running maxima and sums.

use burn_cubecl::cubecl;
use cubecl::prelude::*;

/// Queries of a cube.
pub(super) const QUERIES: usize = 64;
/// Keys that are in shared memory at a time.
const KEYS: usize = 16;
/// Units of a cube.
pub(super) const UNITS: usize = 128;
/// Queries of a unit.
const UNIT_QUERIES: usize = 8;
/// Units side by side over queries; the others are over keys, and over channels.
const QUERY_UNITS: usize = QUERIES / UNIT_QUERIES;

/// Where queries, keys and values lie: each `[items, channels, positions]`, of which a head's are `width` channels.
#[derive(CubeLaunch, CubeType, Clone, Copy)]
pub(super) struct Heads {
    pub(super) heads: usize,
    pub(super) queries: usize,
    pub(super) keys: usize,
    /// From one item to the next.
    pub(super) query_item: usize,
    pub(super) key_item: usize,
    /// The first channels.
    pub(super) query_first: usize,
    pub(super) key_first: usize,
    pub(super) value_first: usize,
    /// One over the root of the width.
    pub(super) scale: f32,
}

/// One block of queries of one head. Cubes are `[blocks, heads, items]`.
#[cube(launch_unchecked)]
pub(super) fn attention<F: Float>(
    x: &[F],
    other: &[F],
    out: &mut [F],
    h: Heads,
    #[comptime] width: usize,
    #[define(F)] _dtype: ElemType,
) {
    let unit = UNIT_POS as usize;
    let (block, head, item) = (CUBE_POS_X as usize, CUBE_POS_Y as usize, CUBE_POS_Z as usize);
    let first_query = block * QUERIES;
    let query_base = item * h.query_item + (h.query_first + head * width) * h.queries;
    let key_base = item * h.key_item + (h.key_first + head * width) * h.keys;
    let value_base = item * h.key_item + (h.value_first + head * width) * h.keys;
    let unit_channels = comptime!(width.div_ceil(KEYS));

    let mut queries = Shared::<[f32]>::new_aligned_slice(comptime!(width * QUERIES), 16usize);
    // Keys first, then values.
    let mut rows = Shared::<[f32]>::new_aligned_slice(comptime!(unit_channels * KEYS * KEYS), 16usize);
    let mut scores = Shared::<[f32]>::new_aligned_slice(comptime!(KEYS * QUERIES), 16usize);
    let mut largest = Shared::<[f32]>::new_slice(QUERIES);
    let mut sums = Shared::<[f32]>::new_slice(QUERIES);
    let mut fades = Shared::<[f32]>::new_slice(QUERIES);
    let mut own = Array::<f32>::new(comptime!(UNIT_QUERIES * width.div_ceil(KEYS)));

    let mut element = unit;
    while element < comptime!(width * QUERIES) {
        let (channel, query) = (element / QUERIES, element % QUERIES);
        let mut value = 0.0f32;
        if first_query + query < h.queries {
            value = f32::cast_from(x[query_base + channel * h.queries + first_query + query]) * h.scale;
        }
        queries[element] = value;
        element += UNITS;
    }
    if unit < QUERIES {
        largest[unit] = -3.0e38f32;
        sums[unit] = 0.0f32;
    }
    let (query_unit, other_unit) = (unit % QUERY_UNITS, unit / QUERY_UNITS);
    let mut start = 0usize;
    while start < h.keys {
        sync_cube();
        let mut element = unit;
        while element < comptime!(width * KEYS) {
            let (channel, key) = (element / KEYS, element % KEYS);
            let mut value = 0.0f32;
            if start + key < h.keys {
                value = f32::cast_from(other[key_base + channel * h.keys + start + key]);
            }
            rows[element] = value;
            element += UNITS;
        }
        sync_cube();
        let mut products = Array::<f32>::new(UNIT_QUERIES);
        for channel in 0..width {
            let key = rows[channel * KEYS + other_unit];
            #[unroll]
            for q in 0..UNIT_QUERIES {
                products[q] += key * queries[channel * QUERIES + query_unit * UNIT_QUERIES + q];
            }
        }
        let is_there = start + other_unit < h.keys;
        #[unroll]
        for q in 0..UNIT_QUERIES {
            scores[other_unit * QUERIES + query_unit * UNIT_QUERIES + q] =
                select(is_there, products[q], -3.0e38f32);
        }
        sync_cube();
        // While some units turn scores into weights, the others fetch the values.
        if unit < QUERIES {
            let before = largest[unit];
            let mut now = before;
            for key in 0..KEYS {
                now = max(now, scores[key * QUERIES + unit]);
            }
            let fade = Exp::exp(before - now);
            let mut sum = sums[unit] * fade;
            for key in 0..KEYS {
                let weight = Exp::exp(scores[key * QUERIES + unit] - now);
                scores[key * QUERIES + unit] = weight;
                sum += weight;
            }
            largest[unit] = now;
            sums[unit] = sum;
            fades[unit] = fade;
        }
        let mut element = unit;
        while element < comptime!(unit_channels * KEYS * KEYS) {
            // As `[key, channel]`, so that a unit's channels are side by side.
            let (channel, key) = (element / KEYS, element % KEYS);
            let mut value = 0.0f32;
            if channel < width && start + key < h.keys {
                value = f32::cast_from(other[value_base + channel * h.keys + start + key]);
            }
            rows[key * comptime!(unit_channels * KEYS) + channel] = value;
            element += UNITS;
        }
        sync_cube();
        #[unroll]
        for q in 0..UNIT_QUERIES {
            let fade = fades[query_unit * UNIT_QUERIES + q];
            #[unroll]
            for c in 0..unit_channels {
                own[q * unit_channels + c] = own[q * unit_channels + c] * fade;
            }
        }
        for key in 0..KEYS {
            #[unroll]
            for c in 0..unit_channels {
                let value = rows[key * comptime!(unit_channels * KEYS) + other_unit * unit_channels + c];
                #[unroll]
                for q in 0..UNIT_QUERIES {
                    own[q * unit_channels + c] += value * scores[key * QUERIES + query_unit * UNIT_QUERIES + q];
                }
            }
        }
        start += KEYS;
    }
    #[unroll]
    for q in 0..UNIT_QUERIES {
        let query = query_unit * UNIT_QUERIES + q;
        if first_query + query < h.queries {
            let sum = sums[query];
            #[unroll]
            for c in 0..unit_channels {
                let channel = other_unit * unit_channels + c;
                if channel < width {
                    let at = ((item * h.heads + head) * width + channel) * h.queries + first_query + query;
                    out[at] = F::cast_from(own[q * unit_channels + c] / sum);
                }
            }
        }
    }
}

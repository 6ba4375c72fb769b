//! Attention without the full score matrix: iterates over blocks of keys and values, with running maxima and sums.

use burn_cubecl::cubecl;
use cubecl::prelude::*;

/// Queries per cube.
pub(super) const QUERIES: usize = 64;
/// Units per cube.
pub(super) const UNITS: usize = 128;
/// Queries per unit: two runs of four adjacent ones.
const UNIT_QUERIES: usize = 8;
/// Units along the queries; the other dimension is keys, then channels.
const QUERY_UNITS: usize = QUERIES / UNIT_QUERIES;
/// Units along that other dimension.
const OTHER_UNITS: usize = UNITS / QUERY_UNITS;
/// Units that share a query's softmax.
const SHARERS: usize = UNITS / QUERIES;

/// Returns the number of keys in shared memory at a time: the most that fit into `shared_bytes` per cube.
pub(super) fn keys(width: usize, shared_bytes: usize) -> Option<usize> {
    [4 * OTHER_UNITS, OTHER_UNITS].into_iter().find(|&keys| {
        let channels = width.next_multiple_of(OTHER_UNITS);
        size_of::<f32>() * (width * QUERIES + channels * keys + keys * QUERIES + (2 + 2 * SHARERS) * QUERIES)
            <= shared_bytes
    })
}

/// The layout of queries, keys and values: each `[items, channels, positions]`, with `width` channels per head.
#[derive(CubeLaunch, CubeType, Clone, Copy)]
pub(super) struct Heads {
    pub(super) heads: usize,
    pub(super) queries: usize,
    pub(super) keys: usize,
    /// Strides from one item to the next.
    pub(super) query_item: usize,
    pub(super) key_item: usize,
    /// The first channels.
    pub(super) query_first: usize,
    pub(super) key_first: usize,
    pub(super) value_first: usize,
    /// One over the square root of the width.
    pub(super) scale: f32,
}

/// Returns the position of a unit's query `index`.
#[cube]
fn query_of(unit: usize, #[comptime] index: usize) -> usize {
    comptime!(index / 4 * (QUERIES / 2)) + unit * 4 + comptime!(index % 4)
}

/// Computes one block of queries of one head. Cubes are `[blocks, heads, items]`.
#[cube(launch_unchecked)]
pub(super) fn attention<F: Float>(
    x: &[F],
    other: &[F],
    out: &mut [F],
    h: Heads,
    #[comptime] width: usize,
    #[comptime] keys: usize,
    #[define(F)] _dtype: ElemType,
) {
    let unit = UNIT_POS as usize;
    let (block, head, item) = (CUBE_POS_X as usize, CUBE_POS_Y as usize, CUBE_POS_Z as usize);
    let first_query = block * QUERIES;
    let query_base = item * h.query_item + (h.query_first + head * width) * h.queries;
    let key_base = item * h.key_item + (h.key_first + head * width) * h.keys;
    let value_base = item * h.key_item + (h.value_first + head * width) * h.keys;
    let unit_channels = comptime!(width.div_ceil(OTHER_UNITS));
    let channels = comptime!(width.next_multiple_of(OTHER_UNITS));
    let unit_keys = comptime!(keys / OTHER_UNITS);

    let mut queries = Shared::<[f32]>::new_aligned_slice(comptime!(width * QUERIES), 16usize);
    // Holds the keys, then the values.
    let mut rows = Shared::<[f32]>::new_aligned_slice(comptime!(channels * keys), 16usize);
    let mut scores = Shared::<[f32]>::new_aligned_slice(comptime!(keys * QUERIES), 16usize);
    let mut largest = Shared::<[f32]>::new_slice(QUERIES);
    let mut fades = Shared::<[f32]>::new_slice(QUERIES);
    let mut shares = Shared::<[f32]>::new_slice(UNITS);
    let mut sums = Shared::<[f32]>::new_slice(UNITS);
    let mut own = Array::<f32>::new(comptime!(UNIT_QUERIES * width.div_ceil(OTHER_UNITS)));

    let mut element = unit;
    while element < comptime!(width * QUERIES) {
        let (channel, query) = (element / QUERIES, element % QUERIES);
        let is_there = first_query + query < h.queries;
        let at = select(is_there, first_query + query, 0usize);
        let value = f32::cast_from(x[query_base + channel * h.queries + at]) * h.scale;
        queries[element] = select(is_there, value, 0.0f32);
        element += UNITS;
    }
    if unit < QUERIES {
        largest[unit] = -3.0e38f32;
    }
    sums[unit] = 0.0f32;
    let (query_unit, other_unit) = (unit % QUERY_UNITS, unit / QUERY_UNITS);
    let (query, sharer) = (unit % QUERIES, unit / QUERIES);
    let share = comptime!(keys / SHARERS);
    let mut start = 0usize;
    while start < h.keys {
        sync_cube();
        #[unroll]
        for round in 0..comptime!((width * keys).div_ceil(UNITS)) {
            let element = round * UNITS + unit;
            let (channel, key) = (element / keys, element % keys);
            let is_there = (channel < width) & (start + key < h.keys);
            let at = select(is_there, channel * h.keys + start + key, 0usize);
            let value = select(is_there, f32::cast_from(other[key_base + at]), 0.0f32);
            if channel < width {
                rows[element] = value;
            }
        }
        sync_cube();
        let mut products = Array::<f32>::new(comptime!(UNIT_QUERIES * unit_keys));
        for channel in 0..width {
            let mut own_queries = Array::<f32>::new(UNIT_QUERIES);
            #[unroll]
            for q in 0..UNIT_QUERIES {
                own_queries[q] = queries[channel * QUERIES + query_of(query_unit, q)];
            }
            #[unroll]
            for k in 0..unit_keys {
                let key = rows[channel * keys + other_unit * unit_keys + k];
                #[unroll]
                for q in 0..UNIT_QUERIES {
                    products[k * UNIT_QUERIES + q] += key * own_queries[q];
                }
            }
        }
        #[unroll]
        for k in 0..unit_keys {
            let key = other_unit * unit_keys + k;
            let is_there = start + key < h.keys;
            #[unroll]
            for q in 0..UNIT_QUERIES {
                scores[key * QUERIES + query_of(query_unit, q)] =
                    select(is_there, products[k * UNIT_QUERIES + q], -3.0e38f32);
            }
        }
        sync_cube();
        // Values as `[key, channel]`, so that a unit's channels are adjacent.
        #[unroll]
        for round in 0..comptime!((channels * keys).div_ceil(UNITS)) {
            let element = round * UNITS + unit;
            let (channel, key) = (element / keys, element % keys);
            let is_there = (channel < width) & (start + key < h.keys);
            let at = select(is_there, channel * h.keys + start + key, 0usize);
            let value = select(is_there, f32::cast_from(other[value_base + at]), 0.0f32);
            rows[key * channels + channel] = value;
        }
        let before = largest[query];
        let mut now = before;
        for key in 0..share {
            now = max(now, scores[(sharer * share + key) * QUERIES + query]);
        }
        shares[unit] = now;
        sync_cube();
        #[unroll]
        for sharer in 0..SHARERS {
            now = max(now, shares[sharer * QUERIES + query]);
        }
        let fade = Exp::exp(before - now);
        let mut sum = sums[unit] * fade;
        for key in 0..share {
            let at = (sharer * share + key) * QUERIES + query;
            let weight = Exp::exp(scores[at] - now);
            scores[at] = weight;
            sum += weight;
        }
        sums[unit] = sum;
        if sharer == 0 {
            largest[query] = now;
            fades[query] = fade;
        }
        sync_cube();
        #[unroll]
        for q in 0..UNIT_QUERIES {
            let fade = fades[query_of(query_unit, q)];
            #[unroll]
            for c in 0..unit_channels {
                own[c * UNIT_QUERIES + q] *= fade;
            }
        }
        for key in 0..keys {
            let mut weights = Array::<f32>::new(UNIT_QUERIES);
            #[unroll]
            for q in 0..UNIT_QUERIES {
                weights[q] = scores[key * QUERIES + query_of(query_unit, q)];
            }
            #[unroll]
            for c in 0..unit_channels {
                let value = rows[key * channels + other_unit * unit_channels + c];
                #[unroll]
                for q in 0..UNIT_QUERIES {
                    own[c * UNIT_QUERIES + q] += value * weights[q];
                }
            }
        }
        start += keys;
    }
    #[unroll]
    for q in 0..UNIT_QUERIES {
        let query = query_of(query_unit, q);
        if first_query + query < h.queries {
            let mut sum = 0.0f32;
            #[unroll]
            for sharer in 0..SHARERS {
                sum += sums[sharer * QUERIES + query];
            }
            #[unroll]
            for c in 0..unit_channels {
                let channel = other_unit * unit_channels + c;
                if channel < width {
                    let at = ((item * h.heads + head) * width + channel) * h.queries + first_query + query;
                    out[at] = F::cast_from(own[c * UNIT_QUERIES + q] / sum);
                }
            }
        }
    }
}

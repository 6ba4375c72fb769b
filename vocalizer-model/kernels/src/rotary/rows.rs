//! Attention of one head along rows, where each frame is a sequence: a vector holds the same place of several sequences,
//! so nothing is packed or transposed.

use pulp::Simd;

use super::{FRAMES, Head};
use crate::attention::head::LEAST;
use crate::scratch::Scratch;
use crate::simd::{at_least, each, exp2};

/// Attends from all rows to all rows. `out` gets the gated outputs, `[width, columns]`. The columns are [`FRAMES`] of each row.
#[inline(always)]
pub(super) fn attend<S: Simd>(simd: S, head: Head<'_>, out: &mut [f32]) {
    // As many sums as fit into the registers next to four vectors, or three, and one more.
    if S::REGISTER_COUNT >= 32 {
        attend_in_tiles::<S, 6, 4>(simd, head, out);
    } else {
        attend_in_tiles::<S, 3, 3>(simd, head, out);
    }
}

#[inline(always)]
fn attend_in_tiles<S: Simd, const QUERIES: usize, const OTHERS: usize>(simd: S, head: Head<'_>, out: &mut [f32]) {
    let Head { stride, width, .. } = head;
    let (length, lanes) = (head.gate.len() / FRAMES, S::F32_LANES);
    let mut scratch = Scratch::take();
    let [scores] = scratch.slices([QUERIES * length * lanes]);
    for lane in (0..FRAMES).step_by(lanes) {
        let keys = Operand { values: &head.keys[lane..], step: stride, pitch: FRAMES, count: length };
        let values = Operand { values: &head.values[lane..], step: FRAMES, pitch: stride, count: width };
        for first in (0..length).step_by(QUERIES) {
            let (count, at) = (QUERIES.min(length - first), first * FRAMES + lane);
            let queries = Operand { values: &head.queries[at..], step: stride, pitch: FRAMES, count };
            products::<S, QUERIES, OTHERS>(simd, [queries, keys], width, scores, [length * lanes, lanes]);
            for (scores, gate) in
                scores.chunks_exact_mut(length * lanes).zip(head.gate[at..].chunks(FRAMES)).take(count)
            {
                softmax(simd, scores, &gate[..lanes]);
            }
            let weights = Operand { values: scores, step: lanes, pitch: length * lanes, count };
            products::<S, QUERIES, OTHERS>(simd, [weights, values], length, &mut out[at..], [FRAMES, stride]);
        }
    }
}

/// Turns the scores of a query (binary logarithms), one vector per key, into weights that add up to its gate.
#[inline(always)]
fn softmax<S: Simd>(simd: S, scores: &mut [f32], gate: &[f32]) {
    let all = S::as_mut_simd_f32s(scores).0;
    let mut max = simd.splat_f32s(f32::NEG_INFINITY);
    for &mut score in &mut *all {
        max = at_least(simd, max, score);
    }
    let (least, mut total) = (simd.splat_f32s(LEAST), simd.splat_f32s(0.0));
    for score in &mut *all {
        *score = exp2(simd, at_least(simd, least, simd.sub_f32s(*score, max)));
        total = simd.add_f32s(total, *score);
    }
    let factor = simd.div_f32s(simd.partial_load_f32s(gate), total);
    each!(simd: S, scores => weight; simd.mul_f32s(weight, factor));
}

/// Vectors of a product: that of a term and an index is at `term * step + index * pitch`.
#[derive(Clone, Copy)]
struct Operand<'a> {
    values: &'a [f32],
    step: usize,
    pitch: usize,
    /// Number of indices.
    count: usize,
}

/// For each pair of indices of the operands, adds up the products of their vectors over the terms. `pitches` are the distances in
/// `out` between the first operand's indices and between the second's.
#[inline(always)]
fn products<S: Simd, const FIRST: usize, const SECOND: usize>(
    simd: S,
    [first, second]: [Operand<'_>; 2],
    terms: usize,
    out: &mut [f32],
    pitches: [usize; 2],
) {
    let last = |step: usize, pitch: usize, count: usize| (terms - 1) * step + (count - 1) * pitch + S::F32_LANES;
    for operand in [first, second] {
        assert!(last(operand.step, operand.pitch, operand.count) <= operand.values.len());
    }
    assert!(first.count > 0 && second.count > 0 && terms > 0);
    assert!((first.count - 1) * pitches[0] + (second.count - 1) * pitches[1] + S::F32_LANES <= out.len());
    let out = out.as_mut_ptr();
    let mut i = 0;
    while i < first.count {
        let is_whole = i + FIRST <= first.count;
        let mut j = 0;
        while j < second.count {
            let at = [i, j];
            // SAFETY: asserted above; a tile covers indices below the counts.
            j += unsafe {
                match (is_whole, j + SECOND <= second.count) {
                    (true, true) => tile::<S, FIRST, SECOND>(simd, [first, second], at, terms, out, pitches),
                    (true, false) => tile::<S, FIRST, 1>(simd, [first, second], at, terms, out, pitches),
                    (false, true) => tile::<S, 1, SECOND>(simd, [first, second], at, terms, out, pitches),
                    (false, false) => tile::<S, 1, 1>(simd, [first, second], at, terms, out, pitches),
                }
            };
        }
        i += if is_whole { FIRST } else { 1 };
    }
}

/// Computes the sums of a tile of indices from `at`, held in registers over all terms. Returns `SECOND`.
///
/// # Safety
///
/// Each operand has a vector for each term and each index of the tile, and `out` for each pair of indices.
#[inline(always)]
unsafe fn tile<S: Simd, const FIRST: usize, const SECOND: usize>(
    simd: S,
    [first, second]: [Operand<'_>; 2],
    at: [usize; 2],
    terms: usize,
    out: *mut f32,
    pitches: [usize; 2],
) -> usize {
    let mut sums = [[simd.splat_f32s(0.0); SECOND]; FIRST];
    // SAFETY: the caller's guarantee; vectors are read and written unaligned.
    unsafe {
        let a = first.values.as_ptr().add(at[0] * first.pitch);
        let b = second.values.as_ptr().add(at[1] * second.pitch);
        for term in 0..terms {
            let (a, b) = (a.add(term * first.step), b.add(term * second.step));
            let mut vectors = [simd.splat_f32s(0.0); SECOND];
            for (j, vector) in vectors.iter_mut().enumerate() {
                *vector = b.add(j * second.pitch).cast::<S::f32s>().read_unaligned();
            }
            for (i, sums) in sums.iter_mut().enumerate() {
                let value = a.add(i * first.pitch).cast::<S::f32s>().read_unaligned();
                for (sum, &vector) in sums.iter_mut().zip(&vectors) {
                    *sum = simd.mul_add_e_f32s(value, vector, *sum);
                }
            }
        }
        for (i, sums) in sums.iter().enumerate() {
            for (j, &sum) in sums.iter().enumerate() {
                let place = out.add((at[0] + i) * pitches[0] + (at[1] + j) * pitches[1]);
                place.cast::<S::f32s>().write_unaligned(sum);
            }
        }
    }
    SECOND
}

//! Attention of one head along a sequence of frames: positions are the columns of products.

use pulp::Simd;

use super::Head;
use crate::attention::head::{PackedHead, QUERIES, Queries, Rows};
use crate::gemm::row_stride;
use crate::scratch::Scratch;
use crate::simd::each;

/// Attends from all positions to all positions. `out` gets the gated outputs, `[width, columns]`. `packed` is memory for
/// the packed keys and values.
#[inline(always)]
pub(super) fn attend<S: Simd>(simd: S, head: Head<'_>, shape: PackedHead, packed: &mut [f32], out: &mut [f32]) {
    let Head { gate, stride: pitch, .. } = head;
    let rows = |values| Rows { values, stride: pitch };
    shape.pack::<S>(rows(head.keys), rows(head.values), packed);
    let stride = row_stride::<S>(QUERIES, 0);
    let mut scratch = Scratch::take();
    let [scores, sums, maxima, totals, factors] = scratch.slices(shape.scratch::<S>());
    for (start, gate) in (0..gate.len()).step_by(QUERIES).zip(gate.chunks(QUERIES)) {
        let count = gate.len();
        let queries = Queries { rows: rows(&head.queries[start..]), count };
        let parts = [&mut *scores, &mut *sums, &mut *maxima, &mut *totals, &mut *factors];
        shape.attend(simd, packed, queries, parts);
        let factors = &mut factors[..count];
        each!(simd: S, &mut *factors => _, gate => gate, &totals[..count] => total; simd.div_f32s(gate, total));
        for (sums, out) in sums.chunks_exact(stride).zip(out.chunks_exact_mut(pitch)) {
            let out = &mut out[start..start + count];
            each!(simd: S, out => _, &sums[..count] => sum, factors => factor; simd.mul_f32s(sum, factor));
        }
    }
}

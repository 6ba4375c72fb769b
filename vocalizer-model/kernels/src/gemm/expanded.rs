//! Products of weights of fewer bits on machines without instructions for them: a block of weights at a time becomes
//! f32. The weights take less memory; the input is not rounded.

use pulp::{Simd, WithSimd};

use super::groups::{GROUP, INT8, INT16, Size};
use super::precision::PAIR;
use super::{BLOCK_ROWS, Panels, Precision, Product, Terms, bf16, panel_rows, product};
use crate::scratch::Scratch;

/// Terms per block: whole groups of every precision.
const BLOCK_TERMS: usize = GROUP;

pub(super) struct Expanded<'a>(pub(super) Product<'a>);

impl WithSimd for Expanded<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Product { weights, input, columns, out, out_stride, add } = self.0;
        let rows = weights.rows.next_multiple_of(panel_rows::<S>());
        let mut scratch = Scratch::take_for_terms();
        let [block] = scratch.slices([BLOCK_ROWS * BLOCK_TERMS]);
        for first in (0..weights.terms).step_by(BLOCK_TERMS) {
            let terms = BLOCK_TERMS.min(weights.terms - first);
            let input = Terms { values: input.values, offsets: &input.offsets[first..first + terms] };
            for row in (0..rows).step_by(BLOCK_ROWS) {
                let count = BLOCK_ROWS.min(rows - row);
                let block = &mut block[..count * terms];
                expand::<S>(weights, [row, weights.first_term + first], terms, block);
                let weights = Panels {
                    values: block,
                    precision: Precision::F32,
                    rows: count,
                    terms,
                    first_term: 0,
                    all_terms: terms,
                };
                let out = &mut out[row * out_stride..];
                product(simd, weights, input, columns, out, out_stride, add || first > 0);
            }
        }
    }
}

/// Writes some rows of `terms` weights as f32 panels.
#[inline(always)]
fn expand<S: Simd>(weights: Panels<'_>, [row, term]: [usize; 2], terms: usize, out: &mut [f32]) {
    let (panel, words) = (panel_rows::<S>(), weights.words());
    for (index, out) in out.chunks_exact_mut(panel * terms).enumerate() {
        let from = &weights.values[(row + index * panel) * words..][..panel * words];
        match weights.precision {
            Precision::F32 => {}
            Precision::Bf16 => {
                for (i, out) in out.chunks_exact_mut(panel).enumerate() {
                    let from = &from[(term + i) / PAIR * panel..][..panel];
                    for (value, word) in out.iter_mut().zip(from) {
                        *value = bf16::unpack(word.to_bits(), term + i);
                    }
                }
            }
            Precision::Int16 => integers::<S>(INT16, from, [term, terms], out),
            Precision::Int8 => integers::<S>(INT8, from, [term, terms], out),
        }
    }
}

/// Writes the rows of a panel. `terms` are within one group.
#[inline(always)]
fn integers<S: Simd>(size: Size, panel: &[f32], [first, terms]: [usize; 2], out: &mut [f32]) {
    let rows = panel_rows::<S>();
    let (words, factors) = panel[size.words(first) * rows..].split_at(terms.div_ceil(size.terms) * rows);
    for (i, out) in out.chunks_exact_mut(rows).enumerate() {
        let words = &words[i / size.terms * rows..][..rows];
        for ((value, word), scale) in out.iter_mut().zip(words).zip(factors) {
            *value = size.unpack(word.to_bits(), i) * scale;
        }
    }
}

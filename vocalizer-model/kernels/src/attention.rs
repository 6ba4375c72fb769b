//! Multi-head attention from all positions of one tensor to all positions of another.

pub(crate) mod head;

use pulp::{Simd, WithSimd};

use self::head::{PackedHead, QUERIES, Queries, Rows};
use crate::gemm::{Precision, padded_columns, row_stride};
use crate::grid::{Extent, Piece, Shared, pieces};
use crate::memory::Buffer;
use crate::scratch::Scratch;
use crate::simd::{dispatch, each};

/// The queries, keys or values: a range of channels of a tensor.
#[derive(Clone, Copy)]
pub struct Projection<'a> {
    /// Values of the tensor.
    pub values: &'a [f32],
    /// Extent of the tensor.
    pub extent: Extent,
    /// First channel.
    pub first: usize,
}

impl<'a> Projection<'a> {
    /// Returns the rows of the channels from `channel`.
    fn rows(self, item: usize, channel: usize) -> Rows<'a> {
        let start = self.extent.row(item, self.first + channel, 0);
        Rows { values: &self.values[start..], stride: self.positions() }
    }

    fn positions(self) -> usize {
        self.extent.rows * self.extent.frames
    }
}

/// Computes multi-head attention; `out` is `[items, channels, queries]`. Both products have this precision if the machine
/// has instructions for it, else f32; `Int8` is computed in `Int16`.
pub fn attention(
    queries: Projection<'_>,
    keys: Projection<'_>,
    values: Projection<'_>,
    [heads, channels]: [usize; 2],
    precision: Precision,
    out: &mut [f32],
) {
    let (items, width) = (queries.extent.items, channels / heads);
    let (positions, others) = (queries.positions(), keys.positions());
    assert!(channels % heads == 0 && out.len() == items * channels * positions);
    assert!(values.positions() == others && keys.extent.items == items && values.extent.items == items);

    // Keys and values are used by every query, so they are packed once per head.
    let head = PackedHead::new(others, width, precision);
    let packed_len = head.packed_len();
    let mut packed = Buffer::of(items * heads * packed_len);
    let shared = Shared::new(&mut packed);
    pieces([items, heads, 1], 1, |Piece { item, row, .. }| {
        // SAFETY: each head has its own part.
        let packed = unsafe { shared.part((item * heads + row) * packed_len, packed_len) };
        dispatch(Pack { head, keys: keys.rows(item, row * width), values: values.rows(item, row * width), packed });
    });
    let y = Extent { items, channels, rows: 1, frames: positions };
    let out = Shared::new(out);
    pieces([items, heads, positions], QUERIES, |piece| {
        let packed = &packed[(piece.item * heads + piece.row) * packed_len..][..packed_len];
        dispatch(Attend {
            queries: queries.rows(piece.item, piece.row * width),
            head,
            packed,
            width,
            y,
            out: &out,
            piece,
        });
    });
}

struct Pack<'a> {
    head: PackedHead,
    keys: Rows<'a>,
    values: Rows<'a>,
    packed: &'a mut [f32],
}

impl WithSimd for Pack<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        self.head.pack::<S>(self.keys, self.values, self.packed);
    }
}

struct Attend<'a> {
    queries: Rows<'a>,
    head: PackedHead,
    packed: &'a [f32],
    width: usize,
    y: Extent,
    out: &'a Shared<'a>,
    /// Its row is the head.
    piece: Piece,
}

impl WithSimd for Attend<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { queries, head, packed, width, y, out, piece } = self;
        let Piece { item, row, start, frames } = piece;
        let stride = row_stride::<S>(QUERIES, 0);
        let [scores, sums, maxima, totals, factors] = head.scratch::<S>();
        let mut scratch = Scratch::take();
        let [query, scores, sums, maxima, totals, factors] =
            scratch.slices([width * stride, scores, sums, maxima, totals, factors]);
        #[expect(clippy::cast_precision_loss, reason = "a head's channels")]
        let scale = simd.splat_f32s(std::f32::consts::LOG2_E / (width as f32).sqrt());
        for (query, row) in query.chunks_exact_mut(stride).zip(queries.values.chunks(queries.stride)) {
            each!(simd: S, &mut query[..frames] => _, &row[start..][..frames] => v; simd.mul_f32s(v, scale));
            query[frames..padded_columns::<S>(frames)].fill(0.0);
        }
        let queries = Queries { rows: Rows { values: query, stride }, count: frames };
        head.attend(simd, packed, queries, [scores, sums, &mut *maxima, &mut *totals, factors]);
        for (channel, sums) in sums.chunks_exact(stride).take(width).enumerate() {
            // SAFETY: pieces do not overlap.
            let out = unsafe { out.part(y.row(item, row * width + channel, 0) + start, frames) };
            each!(simd: S, out => _, &sums[..frames] => sum, &totals[..frames] => total; simd.div_f32s(sum, total));
        }
    }
}

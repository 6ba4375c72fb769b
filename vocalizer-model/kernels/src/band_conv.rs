//! Convolutions over the rows of a spectrogram that is cut into bands, each with taps and a stride of its own.

use pulp::{Simd, WithSimd};

use crate::gemm::{Panels, Terms, product, row_stride};
use crate::grid::{Extent, Piece, Shared, chunk, gather, pieces};
use crate::scratch::Scratch;
use crate::simd::{dispatch, each};

/// Frames per piece: half of those of a chunk of eleven seconds, and whole tiles for every vector width.
const FRAMES: usize = 240;

/// Minimum frames per piece: whole tiles for every vector width.
const LEAST: usize = 48;

/// Values of the scratch memory that a piece's sums may take.
const SUMS: usize = 1 << 16;

/// A band of rows, and the convolution that turns it into fewer rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Band {
    /// The band's first row.
    pub first: usize,
    /// Number of rows; at least one.
    pub rows: usize,
    /// Taps over rows; at least one.
    pub taps: usize,
    /// Stride over rows; at least one.
    pub stride: usize,
}

impl Band {
    /// Returns the zero rows before and after the band.
    pub fn padding(self) -> [usize; 2] {
        let both = match self.stride {
            1 => self.taps - 1,
            stride => self.rows.next_multiple_of(stride) - self.rows,
        };
        [both / 2, both - both / 2]
    }

    /// Returns the rows after the convolution.
    pub fn coarse_rows(self) -> usize {
        let padded = self.rows + self.padding().iter().sum::<usize>();
        (padded + self.stride).saturating_sub(self.taps) / self.stride
    }

    /// Returns the rows that a transposed convolution makes of [`Self::coarse_rows`] before the band.
    pub fn surplus(self) -> usize {
        (self.stride * self.coarse_rows().saturating_sub(1) + self.taps).saturating_sub(self.rows) / 2
    }

    /// Returns the terms per channel of [`transposed_weight`].
    fn overlap(self) -> usize {
        self.taps.div_ceil(self.stride)
    }
}

/// A convolution of one band, with `wide` taps over frames, into the rows of `out` from `first`. `weights` is
/// `[channels_out, channels_in · taps · wide]`.
///
/// # Panics
///
/// If the extents of the values, the band and the weights do not fit together.
pub fn conv(
    (values, x): (&[f32], Extent),
    weights: Panels<'_>,
    bias: &[f32],
    (band, wide): (Band, usize),
    (out, y): (&mut [f32], Extent),
    first: usize,
) {
    assert!(values.len() == x.len() && out.len() == y.len() && band.first + band.rows <= x.rows);
    assert_eq!([y.items, y.channels, y.frames], [x.items, weights.rows(), x.frames]);
    let rows = band.coarse_rows();
    assert!(bias.len() == y.channels && first + rows <= y.rows);
    let out = Shared::new(out);
    pieces([y.items, rows, y.frames], chunk([y.items * rows, y.frames], FRAMES), |piece| {
        dispatch(Conv { values, x, weights, bias, band, wide, y, first, out: &out, piece });
    });
}

struct Conv<'a> {
    values: &'a [f32],
    x: Extent,
    weights: Panels<'a>,
    bias: &'a [f32],
    band: Band,
    wide: usize,
    y: Extent,
    first: usize,
    out: &'a Shared<'a>,
    piece: Piece,
}

impl WithSimd for Conv<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { values, x, weights, bias, band, wide, y, first, out, piece } = self;
        let stride = row_stride::<S>(piece.frames, wide - 1);
        let lines = x.channels * band.taps;
        let mut scratch = Scratch::take();
        let [input, sums] = scratch.slices([lines * stride, weights.padded_rows() * stride]);
        let start = piece.start.cast_signed() - (wide / 2).cast_signed();
        let [before, _] = band.padding();
        for (line, input) in input.chunks_exact_mut(stride).take(lines).enumerate() {
            let input = &mut input[..piece.frames + wide - 1];
            match (band.stride * piece.row + line % band.taps).checked_sub(before).filter(|r| *r < band.rows) {
                Some(row) => {
                    let at = x.row(piece.item, line / band.taps, band.first + row);
                    gather(&values[at..][..x.frames], start, input);
                }
                None => input.fill(0.0),
            }
        }
        let offsets: Vec<usize> = (0..lines * wide).map(|term| term / wide * stride + term % wide).collect();
        product(simd, weights, Terms { values: input, offsets: &offsets }, piece.frames, sums, stride, false);
        for (channel, sums) in sums.chunks_exact(stride).take(y.channels).enumerate() {
            let at = y.row(piece.item, channel, first + piece.row) + piece.start;
            // SAFETY: pieces do not overlap.
            let out = unsafe { out.part(at, piece.frames) };
            let bias = simd.splat_f32s(bias[channel]);
            each!(simd: S, out => _, &sums[..piece.frames] => v; simd.add_f32s(v, bias));
        }
    }
}

/// Returns the weights of a band's transposed convolution, `[channels_in, channels_out · taps]`, as a product's: its
/// rows are `[phase, channels_out]`, its terms `[channels_in, overlap]`, for the row of a phase and those before it.
///
/// # Panics
///
/// If the number of weights does not fit.
pub fn transposed_weight(
    weights: &[f32],
    [channels_in, channels_out]: [usize; 2],
    [taps, stride]: [usize; 2],
) -> (usize, usize, impl Fn(usize, usize) -> f32) {
    assert_eq!(weights.len(), channels_in * channels_out * taps);
    let overlap = taps.div_ceil(stride);
    let at = move |row: usize, term: usize| {
        let tap = row / channels_out + stride * (term % overlap);
        let kernel = term / overlap * channels_out + row % channels_out;
        if tap < taps { weights[kernel * taps + tap] } else { 0.0 }
    };
    (stride * channels_out, overlap * channels_in, at)
}

/// A band's transposed convolution: from its [`Band::coarse_rows`] rows of `values`, the first of which is `first`, to
/// its rows of `out`. `weights` come from [`transposed_weight`]; each output is a sum over `Band::overlap` rows, so
/// nothing is accumulated in memory.
///
/// # Panics
///
/// If the extents of the values, the band and the weights do not fit together.
pub fn transposed(
    (values, x): (&[f32], Extent),
    weights: Panels<'_>,
    bias: &[f32],
    band: Band,
    first: usize,
    (out, y): (&mut [f32], Extent),
) {
    assert!(values.len() == x.len() && out.len() == y.len() && [y.items, y.frames] == [x.items, x.frames]);
    assert!(band.first + band.rows <= y.rows && first + band.coarse_rows() <= x.rows);
    assert!(bias.len() == y.channels && weights.rows() == band.stride * y.channels);
    let groups = (band.surplus() + band.rows).div_ceil(band.stride) - band.surplus() / band.stride;
    let most = (SUMS / weights.rows()).clamp(LEAST, FRAMES) / LEAST * LEAST;
    let out = Shared::new(out);
    pieces([y.items, groups, y.frames], chunk([y.items * groups, y.frames], most), |piece| {
        dispatch(Transposed { values, x, weights, bias, band, first, y, out: &out, piece });
    });
}

struct Transposed<'a> {
    values: &'a [f32],
    x: Extent,
    weights: Panels<'a>,
    bias: &'a [f32],
    band: Band,
    first: usize,
    y: Extent,
    out: &'a Shared<'a>,
    piece: Piece,
}

impl WithSimd for Transposed<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { values, x, weights, bias, band, first, y, out, piece } = self;
        let (stride, overlap) = (row_stride::<S>(piece.frames, 0), band.overlap());
        let lines = x.channels * overlap;
        // The phases of a group are the outputs whose last input row is this one.
        let group = band.surplus() / band.stride + piece.row;
        let mut scratch = Scratch::take();
        let [input, sums] = scratch.slices([lines * stride, weights.padded_rows() * stride]);
        for (line, input) in input.chunks_exact_mut(stride).take(lines).enumerate() {
            let input = &mut input[..piece.frames];
            match group.checked_sub(line % overlap).filter(|r| *r < band.coarse_rows()) {
                Some(row) => {
                    let at = x.row(piece.item, line / overlap, first + row) + piece.start;
                    input.copy_from_slice(&values[at..][..piece.frames]);
                }
                None => input.fill(0.0),
            }
        }
        let offsets: Vec<usize> = (0..lines).map(|term| term * stride).collect();
        product(simd, weights, Terms { values: input, offsets: &offsets }, piece.frames, sums, stride, false);
        for (line, sums) in sums.chunks_exact(stride).take(weights.rows()).enumerate() {
            let (phase, channel) = (line / y.channels, line % y.channels);
            let row = (band.stride * group + phase).checked_sub(band.surplus()).filter(|r| *r < band.rows);
            let Some(row) = row else { continue };
            let at = y.row(piece.item, channel, band.first + row) + piece.start;
            // SAFETY: neither pieces nor the phases of a piece overlap.
            let out = unsafe { out.part(at, piece.frames) };
            let bias = simd.splat_f32s(bias[channel]);
            each!(simd: S, out => _, &sums[..piece.frames] => v; simd.add_f32s(v, bias));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_published_networks() {
        let rows = |first: usize, rows: usize, taps: usize, stride: usize| {
            let band = Band { first, rows, taps, stride };
            [band.coarse_rows(), band.surplus()]
        };
        assert_eq!(rows(0, 359, 3, 1), [359, 1]);
        assert_eq!(rows(359, 803, 4, 4), [201, 0]);
        assert_eq!(rows(1162, 887, 16, 16), [56, 4]);
        assert_eq!(rows(0, 5, 4, 1), [5, 1]);
    }
}

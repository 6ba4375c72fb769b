//! Convolutions over the rows of a spectrogram that is cut into bands, each with taps and a stride of its own.

use pulp::{Simd, WithSimd};

use crate::gemm::{Panels, Terms, product, row_stride};
use crate::grid::{Extent, Piece, Shared, chunk, gather, pieces};
use crate::scratch::Scratch;
use crate::simd::{dispatch, each, gelu};

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
    let [before, _] = band.padding();
    let layer = Convolution { values, x, skip: None, weights, band, before, wide };
    layer.run((bias, false), (out, y), [first, rows], FRAMES);
}

/// A convolution over rows and frames that keeps the frames.
#[derive(Clone, Copy)]
pub(crate) struct Convolution<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) x: Extent,
    /// Added to the values.
    pub(crate) skip: Option<&'a [f32]>,
    /// `[channels_out, channels_in · taps]`.
    pub(crate) weights: Panels<'a>,
    /// The rows that are read; all others are zero.
    pub(crate) band: Band,
    /// Zero rows before the first.
    pub(crate) before: usize,
    /// Taps over frames, an odd number.
    pub(crate) wide: usize,
}

impl Convolution<'_> {
    /// Computes the rows from `first` of `out`, then GELU if `activate`, in pieces of at most `most` frames.
    pub(crate) fn run(
        &self,
        (bias, activate): (&[f32], bool),
        (out, y): (&mut [f32], Extent),
        [first, rows]: [usize; 2],
        most: usize,
    ) {
        let out = Shared::new(out);
        pieces([y.items, rows, y.frames], chunk([y.items * rows, y.frames], most), |piece| {
            dispatch(Row { layer: self, bias, activate, y, first, out: &out, piece });
        });
    }

    /// Computes some frames of an output row: the sums of each channel, and the distance between channels.
    #[inline(always)]
    pub(crate) fn sums<'s, S: Simd>(&self, simd: S, piece: Piece, scratch: &'s mut Scratch) -> (&'s mut [f32], usize) {
        let Self { values, x, skip, weights, band, before, wide } = *self;
        let stride = row_stride::<S>(piece.frames, wide - 1);
        let lines = x.channels * band.taps;
        let [input, sums] = scratch.slices([lines * stride, weights.padded_rows() * stride]);
        let start = piece.start.cast_signed() - (wide / 2).cast_signed();
        for (line, input) in input.chunks_exact_mut(stride).take(lines).enumerate() {
            let input = &mut input[..piece.frames + wide - 1];
            match (band.stride * piece.row + line % band.taps).checked_sub(before).filter(|r| *r < band.rows) {
                Some(row) => {
                    let at = x.row(piece.item, line / band.taps, band.first + row);
                    gather(&values[at..][..x.frames], start, input);
                    if let Some(skip) = skip {
                        add_gathered(&skip[at..][..x.frames], start, input);
                    }
                }
                None => input.fill(0.0),
            }
        }
        let offsets: Vec<usize> = (0..lines * wide).map(|term| term / wide * stride + term % wide).collect();
        product(simd, weights, Terms { values: input, offsets: &offsets }, piece.frames, sums, stride, false);
        (sums, stride)
    }
}

struct Row<'a> {
    layer: &'a Convolution<'a>,
    bias: &'a [f32],
    activate: bool,
    y: Extent,
    first: usize,
    out: &'a Shared<'a>,
    piece: Piece,
}

impl WithSimd for Row<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { layer, bias, activate, y, first, out, piece } = self;
        let mut scratch = Scratch::take();
        let (sums, stride) = layer.sums(simd, piece, &mut scratch);
        for (channel, sums) in sums.chunks_exact(stride).take(y.channels).enumerate() {
            let at = y.row(piece.item, channel, first + piece.row) + piece.start;
            // SAFETY: pieces do not overlap.
            let out = unsafe { out.part(at, piece.frames) };
            finish(simd, &sums[..piece.frames], bias[channel], activate, out);
        }
    }
}

/// Adds a bias, then applies GELU if `activate`.
#[inline(always)]
pub(crate) fn finish<S: Simd>(simd: S, sums: &[f32], bias: f32, activate: bool, out: &mut [f32]) {
    let bias = simd.splat_f32s(bias);
    if activate {
        each!(simd: S, out => _, sums => v; gelu(simd, simd.add_f32s(v, bias)));
    } else {
        each!(simd: S, out => _, sums => v; simd.add_f32s(v, bias));
    }
}

/// Adds like [`gather`] copies.
pub(crate) fn add_gathered(row: &[f32], start: isize, out: &mut [f32]) {
    let before = start.min(0).unsigned_abs().min(out.len());
    let from = usize::try_from(start).unwrap_or(0).min(row.len());
    for (value, add) in out[before..].iter_mut().zip(&row[from..]) {
        *value += add;
    }
}

/// Returns the weights of a transposed convolution, `[channels_in, channels_out · taps]`, as a product's: its rows are
/// `[phase, channels_out]`, its terms `[channels_in, overlap]`, for the input of a phase and those before it.
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
/// its rows of `out`. `weights` come from [`transposed_weight`].
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
    let most = (SUMS / weights.rows()).clamp(LEAST, FRAMES) / LEAST * LEAST;
    let (from, surplus) = ([first, band.coarse_rows()], band.surplus());
    Transposed { values, x, weights, bias, from, band, surplus, activate: false }.run((out, y), most);
}

/// A transposed convolution over rows, then GELU if `activate`. Each output is a sum over `overlap` rows, so nothing is
/// accumulated in memory.
#[derive(Clone, Copy)]
pub(crate) struct Transposed<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) x: Extent,
    pub(crate) weights: Panels<'a>,
    pub(crate) bias: &'a [f32],
    /// The first row that is read, and the number of rows.
    pub(crate) from: [usize; 2],
    /// The rows that are written.
    pub(crate) band: Band,
    /// Rows that the convolution makes before the first that is written.
    pub(crate) surplus: usize,
    pub(crate) activate: bool,
}

impl Transposed<'_> {
    /// Computes the band, in pieces of at most `most` frames.
    pub(crate) fn run(&self, (out, y): (&mut [f32], Extent), most: usize) {
        let Self { band, surplus, .. } = *self;
        // The phases of a group are the outputs whose last input row is the same.
        let groups = (surplus + band.rows).div_ceil(band.stride) - surplus / band.stride;
        let out = Shared::new(out);
        pieces([y.items, groups, y.frames], chunk([y.items * groups, y.frames], most), |piece| {
            dispatch(Group { layer: self, y, out: &out, piece });
        });
    }
}

struct Group<'a> {
    layer: &'a Transposed<'a>,
    y: Extent,
    out: &'a Shared<'a>,
    piece: Piece,
}

impl WithSimd for Group<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { layer, y, out, piece } = self;
        let Transposed { values, x, weights, bias, from: [first, rows], band, surplus, activate } = *layer;
        let (stride, overlap) = (row_stride::<S>(piece.frames, 0), band.overlap());
        let lines = x.channels * overlap;
        let group = surplus / band.stride + piece.row;
        let mut scratch = Scratch::take();
        let [input, sums] = scratch.slices([lines * stride, weights.padded_rows() * stride]);
        for (line, input) in input.chunks_exact_mut(stride).take(lines).enumerate() {
            let input = &mut input[..piece.frames];
            match group.checked_sub(line % overlap).filter(|r| *r < rows) {
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
            let row = (band.stride * group + phase).checked_sub(surplus).filter(|r| *r < band.rows);
            let Some(row) = row else { continue };
            let at = y.row(piece.item, channel, band.first + row) + piece.start;
            // SAFETY: neither pieces nor the phases of a piece overlap.
            let out = unsafe { out.part(at, piece.frames) };
            finish(simd, &sums[..piece.frames], bias[channel], activate, out);
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

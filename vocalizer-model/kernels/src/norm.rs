//! Normalisations: over a whole item (one group), and over the channels of each position.

use pulp::{Simd, WithSimd};

use crate::grid::{Extent, Shared, pieces};
use crate::simd::{dispatch, each, sum};

/// Added to every variance, as in the reference.
pub const EPSILON: f32 = 1e-5;

/// Count, mean, and sum of squared deviations of some values.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    /// Combines two sets of values.
    pub(crate) fn and(self, other: Self) -> Self {
        let count = self.count + other.count;
        if count == 0.0 {
            return self;
        }
        let apart = other.mean - self.mean;
        Self {
            count,
            mean: self.mean + apart * other.count / count,
            squares: self.squares + other.squares + apart * apart * self.count * other.count / count,
        }
    }

    /// Returns the mean and the divisor of a normalisation; `count` is the number of values.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "stored as f32; counts below 2^53"
    )]
    pub(crate) fn over(self, count: usize) -> [f32; 2] {
        debug_assert!((self.count - count as f64).abs() < 0.5);
        let variance = self.squares / self.count.max(1.0);
        [self.mean as f32, (variance + f64::from(EPSILON)).sqrt() as f32]
    }
}

/// Combines several moments, in order.
pub(crate) fn fold_rows(rows: &[Moments]) -> Moments {
    rows.iter().copied().fold(Moments::default(), Moments::and)
}

/// Returns the moments of the first `columns` of rows that are `stride` apart, each with a bias that is not added yet.
#[inline(always)]
pub(crate) fn moments<S: Simd>(simd: S, values: &[f32], stride: usize, columns: usize, biases: &[f32]) -> Moments {
    let mut all = Moments::default();
    for (row, &bias) in values.chunks(stride).zip(biases) {
        all = all.and(row_moments(simd, &row[..columns], bias));
    }
    all
}

/// Returns the moments of one row, read twice while it is in the L1 cache.
#[inline(always)]
pub(crate) fn row_moments<S: Simd>(simd: S, row: &[f32], bias: f32) -> Moments {
    #[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
    let count = row.len() as f64;
    #[expect(clippy::cast_possible_truncation, reason = "used as f32")]
    let mean = (f64::from(sum(simd, row, None)) / count.max(1.0)) as f32;
    let squares = f64::from(sum(simd, row, Some(mean)));
    Moments { count, mean: f64::from(mean) + f64::from(bias), squares }
}

/// Returns the mean and the divisor that normalise each item as one group.
pub(crate) fn item_norms(values: &[f32], x: Extent) -> Vec<[f32; 2]> {
    let length = x.rows * x.frames;
    let of_rows = pieces([x.items, x.channels, 1], 1, |piece| {
        let at = x.row(piece.item, piece.row, 0);
        dispatch(RowMoments(&values[at..][..length]))
    });
    of_rows.chunks(x.channels).map(|rows| fold_rows(rows).over(x.channels * length)).collect()
}

/// Normalises each item as one group, in place, with a scale and a shift per channel.
pub fn group_norm(values: &mut [f32], x: Extent, [weight, bias]: [&[f32]; 2]) {
    assert!(values.len() == x.len() && weight.len() == x.channels && bias.len() == x.channels);
    let length = x.rows * x.frames;
    let norms = item_norms(values, x);
    let shared = Shared::new(values);
    pieces([x.items, x.channels, 1], 1, |piece| {
        let [mean, deviation] = norms[piece.item];
        let scale = weight[piece.row] / deviation;
        // SAFETY: each channel is used once.
        let row = unsafe { shared.part(x.row(piece.item, piece.row, 0), length) };
        dispatch(Affine { row, scale, shift: bias[piece.row] - mean * scale });
    });
}

struct RowMoments<'a>(&'a [f32]);

impl WithSimd for RowMoments<'_> {
    type Output = Moments;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Moments {
        row_moments(simd, self.0, 0.0)
    }
}

struct Affine<'a> {
    row: &'a mut [f32],
    scale: f32,
    shift: f32,
}

impl WithSimd for Affine<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (scale, shift) = (simd.splat_f32s(self.scale), simd.splat_f32s(self.shift));
        each!(simd: S, self.row => v; simd.mul_add_e_f32s(v, scale, shift));
    }
}

/// Normalises each of the first `columns` over its channels, which are rows `stride` apart, in place. `sums` is scratch
/// for two rows.
#[inline(always)]
pub(crate) fn layer_norm<S: Simd>(
    simd: S,
    values: &mut [f32],
    stride: usize,
    columns: usize,
    [weight, bias]: [&[f32]; 2],
    sums: &mut [f32],
) {
    let (means, rest) = sums.split_at_mut(columns);
    let scales = &mut rest[..columns];
    means.fill(0.0);
    scales.fill(0.0);
    let channels = weight.len();
    for row in values.chunks(stride).take(channels) {
        each!(simd: S, means => sum, &row[..columns] => v; simd.add_f32s(sum, v));
    }
    #[expect(clippy::cast_precision_loss, reason = "channels below 2^24")]
    let share = simd.splat_f32s(1.0 / channels as f32);
    each!(simd: S, means => sum; simd.mul_f32s(sum, share));
    for row in values.chunks_mut(stride).take(channels) {
        each!(simd: S, &mut row[..columns] => v, means => mean; simd.sub_f32s(v, mean));
        each!(simd: S, scales => sum, &row[..columns] => v; simd.mul_add_e_f32s(v, v, sum));
    }
    let one = simd.splat_f32s(1.0);
    each!(simd: S, scales => sum; {
        let variance = simd.mul_add_e_f32s(sum, share, simd.splat_f32s(EPSILON));
        simd.div_f32s(one, simd.sqrt_f32s(variance))
    });
    for ((row, &weight), &bias) in values.chunks_mut(stride).zip(weight).zip(bias) {
        let (weight, bias) = (simd.splat_f32s(weight), simd.splat_f32s(bias));
        each!(simd: S, &mut row[..columns] => v, scales => scale; {
            simd.mul_add_e_f32s(simd.mul_f32s(v, scale), weight, bias)
        });
    }
}

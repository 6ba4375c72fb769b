//! The transformer's layers except attention. Channels are rows and positions are columns, as in the rest of the
//! network, so nothing is transposed.

use pulp::{Simd, WithSimd};

use crate::gemm::{Panels, Terms, product, row_stride};
use crate::grid::{Extent, Piece, Shared, chunk, pieces};
use crate::norm::layer_norm;
use crate::scratch::Scratch;
use crate::simd::{dispatch, each, gelu};

/// Maximum positions per piece.
const POSITIONS: usize = 96;

/// A linear layer: weights `[channels_out, channels_in]` and a bias.
#[derive(Clone, Copy)]
pub struct Linear<'a> {
    /// The packed matrix.
    pub weights: Panels<'a>,
    /// One value per row.
    pub bias: &'a [f32],
}

/// Scale and shift of a layer norm.
pub type Norm<'a> = [&'a [f32]; 2];

/// A linear layer on each position, after an optional layer norm.
pub fn linear((values, x): (&[f32], Extent), norm: Option<Norm<'_>>, layer: Linear<'_>, out: &mut [f32]) {
    let y = Extent { channels: layer.weights.rows(), ..x };
    assert!(values.len() == x.len() && out.len() == y.len() && layer.bias.len() == y.channels);
    let out = Shared::new(out);
    each(x, |piece| dispatch(Project { values, x, norm, layer, y, out: &out, piece }));
}

/// Processes the positions of an extent (rows and frames together) in pieces.
fn each(x: Extent, work: impl Fn(Piece) + Sync) {
    let positions = x.rows * x.frames;
    pieces([x.items, 1, positions], chunk([x.items, positions], POSITIONS), work);
}

/// Returns the extent with all rows joined into one.
fn flat(x: Extent) -> Extent {
    Extent { rows: 1, frames: x.rows * x.frames, ..x }
}

struct Project<'a> {
    values: &'a [f32],
    x: Extent,
    norm: Option<Norm<'a>>,
    layer: Linear<'a>,
    y: Extent,
    out: &'a Shared<'a>,
    piece: Piece,
}

impl WithSimd for Project<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { values, x, norm, layer, y, out, piece } = self;
        let (x, y) = (flat(x), flat(y));
        let stride = row_stride::<S>(piece.frames, 0);
        let offsets: Vec<usize> = (0..x.channels).map(|term| term * stride).collect();
        let mut scratch = Scratch::take();
        let [input, sums, norms] =
            scratch.slices([x.channels * stride, layer.weights.padded_rows() * stride, 2 * stride]);
        let row = |channel| &values[x.row(piece.item, channel, 0) + piece.start..][..piece.frames];
        for (channel, input) in input.chunks_exact_mut(stride).enumerate() {
            input[..piece.frames].copy_from_slice(row(channel));
        }
        if let Some(norm) = norm {
            layer_norm(simd, input, stride, piece.frames, norm, norms);
        }
        product(simd, layer.weights, Terms { values: input, offsets: &offsets }, piece.frames, sums, stride, false);
        for (channel, (sums, &bias)) in sums.chunks_exact(stride).zip(layer.bias).enumerate() {
            // SAFETY: pieces do not overlap.
            let out = unsafe { out.part(y.row(piece.item, channel, 0) + piece.start, piece.frames) };
            let bias = simd.splat_f32s(bias);
            each!(simd: S, out => _, &sums[..piece.frames] => v; simd.add_f32s(v, bias));
        }
    }
}

/// `out += scale · layer(values)`, each position separately.
pub fn linear_residual((values, x): (&[f32], Extent), layer: Linear<'_>, scale: &[f32], out: &mut [f32]) {
    residual(x, [values.len(), out.len()], layer, scale);
    let out = Shared::new(out);
    let values = ResidualInput::Values(values);
    each(x, |piece| dispatch(Residual { values, x, layer, scale, out: &out, piece }));
}

/// `values += scale · second(gelu(first(norm(values))))`, each position separately.
pub fn feed_forward(
    (values, x): (&mut [f32], Extent),
    norm: Norm<'_>,
    first: Linear<'_>,
    second: Linear<'_>,
    scale: &[f32],
) {
    assert_eq!(first.bias.len(), first.weights.rows());
    residual(x, [values.len(); 2], second, scale);
    let out = Shared::new(values);
    let values = ResidualInput::Hidden { norm, first };
    each(x, |piece| dispatch(Residual { values, x, layer: second, scale, out: &out, piece }));
}

fn residual(x: Extent, lengths: [usize; 2], layer: Linear<'_>, scale: &[f32]) {
    assert_eq!(lengths, [x.len(); 2]);
    assert_eq!([layer.weights.rows(), layer.bias.len(), scale.len()], [x.channels; 3]);
}

/// The input of a residual's linear layer.
#[derive(Clone, Copy)]
enum ResidualInput<'a> {
    Values(&'a [f32]),
    /// The output of a norm, another layer and GELU, computed from the values that the residual is added to.
    Hidden {
        norm: Norm<'a>,
        first: Linear<'a>,
    },
}

struct Residual<'a> {
    values: ResidualInput<'a>,
    x: Extent,
    layer: Linear<'a>,
    scale: &'a [f32],
    out: &'a Shared<'a>,
    piece: Piece,
}

impl WithSimd for Residual<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { values, x, layer, scale, out, piece } = self;
        let x = flat(x);
        let stride = row_stride::<S>(piece.frames, 0);
        let at = |channel| x.row(piece.item, channel, 0) + piece.start;
        // SAFETY: pieces do not overlap, and a piece uses its rows one at a time.
        let own = |channel| unsafe { out.part(at(channel), piece.frames) };
        let hidden = if let ResidualInput::Hidden { first, .. } = values { first.weights.padded_rows() } else { 0 };
        let offsets: Vec<usize> = (0..x.channels.max(hidden)).map(|term| term * stride).collect();
        let lengths = [x.channels * stride, hidden * stride, layer.weights.padded_rows() * stride, 2 * stride];
        let mut scratch = Scratch::take();
        let [input, middle, sums, norms] = scratch.slices(lengths);
        for (channel, input) in input.chunks_exact_mut(stride).enumerate() {
            input[..piece.frames].copy_from_slice(match values {
                ResidualInput::Values(values) => &values[at(channel)..][..piece.frames],
                ResidualInput::Hidden { .. } => own(channel),
            });
        }
        let (source, terms) = match values {
            ResidualInput::Values(_) => (&*input, x.channels),
            ResidualInput::Hidden { norm, first } => {
                layer_norm(simd, input, stride, piece.frames, norm, norms);
                let input = Terms { values: input, offsets: &offsets[..x.channels] };
                product(simd, first.weights, input, piece.frames, middle, stride, false);
                for (middle, &bias) in middle.chunks_exact_mut(stride).zip(first.bias) {
                    let bias = simd.splat_f32s(bias);
                    each!(simd: S, &mut middle[..piece.frames] => v; gelu(simd, simd.add_f32s(v, bias)));
                }
                (&*middle, first.weights.rows())
            }
        };
        let source = Terms { values: source, offsets: &offsets[..terms] };
        product(simd, layer.weights, source, piece.frames, sums, stride, false);
        for (channel, sums) in sums.chunks_exact(stride).take(x.channels).enumerate() {
            let (bias, scale) = (simd.splat_f32s(layer.bias[channel]), simd.splat_f32s(scale[channel]));
            each!(simd: S, own(channel) => x, &sums[..piece.frames] => v; {
                simd.mul_add_e_f32s(simd.add_f32s(v, bias), scale, x)
            });
        }
    }
}

/// `values = norm(values) + table`, each position separately; `table` covers one item.
pub fn position_norm((values, x): (&mut [f32], Extent), norm: Norm<'_>, table: &[f32]) {
    assert!(values.len() == x.len() && table.len() * x.items == x.len());
    let out = Shared::new(values);
    each(x, |piece| dispatch(PositionNorm { x, norm, table, out: &out, piece }));
}

struct PositionNorm<'a> {
    x: Extent,
    norm: Norm<'a>,
    table: &'a [f32],
    out: &'a Shared<'a>,
    piece: Piece,
}

impl WithSimd for PositionNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { x, norm, table, out, piece } = self;
        let x = flat(x);
        let stride = row_stride::<S>(piece.frames, 0);
        // SAFETY: pieces do not overlap, and a piece uses its rows one at a time.
        let own = |channel| unsafe { out.part(x.row(piece.item, channel, 0) + piece.start, piece.frames) };
        let mut scratch = Scratch::take();
        let [input, norms] = scratch.slices([x.channels * stride, 2 * stride]);
        for (channel, input) in input.chunks_exact_mut(stride).enumerate() {
            input[..piece.frames].copy_from_slice(own(channel));
        }
        layer_norm(simd, input, stride, piece.frames, norm, norms);
        for (channel, input) in input.chunks_exact(stride).enumerate() {
            let table = &table[x.row(0, channel, 0) + piece.start..][..piece.frames];
            each!(simd: S, own(channel) => _, &input[..piece.frames] => v, table => place; simd.add_f32s(v, place));
        }
    }
}

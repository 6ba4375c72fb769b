//! The linear layers of each frequency band: from its bins to the network's channels, and from those to a mask.

use pulp::{Simd, WithSimd};

use crate::gemm::{Terms, padded_rows, product, row_stride};
use crate::grid::{Extent, Piece, Shared, chunk, pieces};
use crate::rms::normalise;
use crate::scratch::Scratch;
use crate::simd::{dispatch, each, sigmoid, tanh};
use crate::transformer::Linear;

/// Maximum frames per piece.
const FRAMES: usize = 96;

/// Real and imaginary parts of two channels.
const PARTS: usize = 4;

/// A linear layer on the bins of each band, normalised to length one: from `[items, 4, bins, frames]` to
/// `[items, channels, bands, frames]`. `bands` are the first bin and the number of bins; a band's terms are ordered by
/// bin, then by part.
pub fn split((spectrum, x): (&[f32], Extent), layers: &[Linear<'_>], bands: &[[usize; 2]], out: &mut [f32]) {
    let channels = layers.first().map_or(0, |layer| layer.weights.rows());
    let y = Extent { channels, rows: bands.len(), ..x };
    assert!(spectrum.len() == x.len() && out.len() == y.len() && layers.len() == bands.len() && x.channels == PARTS);
    for (layer, [first, bins]) in layers.iter().zip(bands) {
        assert!(layer.weights.rows() == channels && layer.bias.len() == channels && first + bins <= x.rows);
    }
    let out = Shared::new(out);
    pieces([x.items, y.rows, x.frames], chunk([x.items * y.rows, x.frames], FRAMES), |piece| {
        let (layer, band) = (layers[piece.row], bands[piece.row]);
        dispatch(Split { spectrum, x, layer, band, y, out: &out, piece });
    });
}

struct Split<'a> {
    spectrum: &'a [f32],
    x: Extent,
    layer: Linear<'a>,
    band: [usize; 2],
    y: Extent,
    out: &'a Shared<'a>,
    /// Its row is the band.
    piece: Piece,
}

impl WithSimd for Split<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { spectrum, x, layer, band: [first, bins], y, out, piece } = self;
        let frames = piece.frames;
        let stride = row_stride::<S>(frames, 0);
        let terms = PARTS * bins;
        let offsets: Vec<usize> = (0..terms).map(|term| term * stride).collect();
        let mut scratch = Scratch::take();
        let [input, sums, factors] = scratch.slices([terms * stride, layer.weights.padded_rows() * stride, stride]);
        for (term, input) in input.chunks_exact_mut(stride).enumerate() {
            let at = x.row(piece.item, term % PARTS, first + term / PARTS) + piece.start;
            input[..frames].copy_from_slice(&spectrum[at..at + frames]);
            input[frames..].fill(0.0);
        }
        normalise(simd, input, stride, frames, factors);
        product(simd, layer.weights, Terms { values: input, offsets: &offsets }, frames, sums, stride, false);
        for (channel, (sums, &bias)) in sums.chunks_exact(stride).zip(layer.bias).enumerate() {
            // SAFETY: pieces do not overlap.
            let out = unsafe { out.part(y.row(piece.item, channel, piece.row) + piece.start, frames) };
            let bias = simd.splat_f32s(bias);
            each!(simd: S, out => _, &sums[..frames] => v; simd.add_f32s(v, bias));
        }
    }
}

/// Linear layers on each band, with tanh between them; the second half of the last one's rows gates the first: from
/// `[items, channels, bands, frames]` to the rows of all bands, `[items, rows, frames]`. `layers` has `depth` layers of
/// the first band, then those of the second, and so on.
pub fn masks((values, x): (&[f32], Extent), layers: &[Linear<'_>], depth: usize, out: &mut [f32]) {
    assert!(values.len() == x.len() && depth > 0 && layers.len() == depth * x.rows);
    // The first row of each band.
    let mut rows = vec![0];
    for layers in layers.chunks_exact(depth) {
        layers.iter().for_each(|layer| assert_eq!(layer.weights.rows(), layer.bias.len()));
        rows.push(rows[rows.len() - 1] + layers[depth - 1].weights.rows() / 2);
    }
    let y = Extent { channels: rows[x.rows], rows: 1, ..x };
    assert_eq!(out.len(), y.len());
    let out = Shared::new(out);
    pieces([x.items, x.rows, x.frames], chunk([x.items * x.rows, x.frames], FRAMES), |piece| {
        let layers = &layers[depth * piece.row..][..depth];
        dispatch(Mask { values, x, layers, first_row: rows[piece.row], y, out: &out, piece });
    });
}

struct Mask<'a> {
    values: &'a [f32],
    x: Extent,
    layers: &'a [Linear<'a>],
    first_row: usize,
    y: Extent,
    out: &'a Shared<'a>,
    /// Its row is the band.
    piece: Piece,
}

impl WithSimd for Mask<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { values, x, layers, first_row, y, out, piece } = self;
        let frames = piece.frames;
        let stride = row_stride::<S>(frames, 0);
        let most = layers.iter().map(|layer| layer.weights.rows()).fold(x.channels, usize::max);
        let offsets: Vec<usize> = (0..most).map(|term| term * stride).collect();
        let mut scratch = Scratch::take();
        let [mut input, mut sums] = scratch.slices([padded_rows(most) * stride; 2]);
        for (channel, input) in input.chunks_exact_mut(stride).take(x.channels).enumerate() {
            let at = x.row(piece.item, channel, piece.row) + piece.start;
            input[..frames].copy_from_slice(&values[at..at + frames]);
            input[frames..].fill(0.0);
        }
        let mut terms = x.channels;
        for (index, layer) in layers.iter().enumerate() {
            if index > 0 {
                for (input, &bias) in input.chunks_exact_mut(stride).zip(layers[index - 1].bias) {
                    let bias = simd.splat_f32s(bias);
                    each!(simd: S, &mut input[..frames] => v; tanh(simd, simd.add_f32s(v, bias)));
                }
            }
            let input_terms = Terms { values: input, offsets: &offsets[..terms] };
            product(simd, layer.weights, input_terms, frames, sums, stride, false);
            terms = layer.weights.rows();
            std::mem::swap(&mut input, &mut sums);
        }
        let bias = layers[layers.len() - 1].bias;
        let half = terms / 2;
        let (signals, gates) = input.split_at(half * stride);
        for (row, (signal, gate)) in signals.chunks_exact(stride).zip(gates.chunks_exact(stride)).enumerate() {
            // SAFETY: pieces do not overlap.
            let out = unsafe { out.part(y.row(piece.item, first_row + row, 0) + piece.start, frames) };
            let [signal_bias, gate_bias] = [bias[row], bias[half + row]].map(|bias| simd.splat_f32s(bias));
            each!(simd: S, out => _, &signal[..frames] => signal, &gate[..frames] => gate; {
                simd.mul_f32s(simd.add_f32s(signal, signal_bias), sigmoid(simd, simd.add_f32s(gate, gate_bias)))
            });
        }
    }
}

//! The residual branches: dilated convolutions in a few channels, normalised over each whole row.
//!
//! A row of the spectrogram stays in a core's cache for the whole branch. A row of the waveform is too long for that:
//! it is processed in pieces, in one pass per normalisation. The input of the second normalisation is wide, so it is never
//! stored: its moments follow from those of the few hidden channels, and it is computed for some frames at a time, just
//! before it is gated and added. With few hidden channels, it does not even leave the registers.

use pulp::{Simd, WithSimd};

use crate::gemm::{Panels, Terms, product, row_stride};
use crate::grid::{CHUNK, Extent, Piece, Shared, gather, pieces};
use crate::memory::Buffer;
use crate::norm::{EPSILON, Moments, fold_rows, moments};
use crate::scratch::Scratch;
use crate::simd::{dispatch, each, gelu, sigmoid};

/// The longest row that is processed in one pass.
const WHOLE: usize = 2 * CHUNK;

/// Frames whose wide channels are computed at a time: whole tiles for every vector width, few enough for the L1 cache.
const STRIP: usize = 96;

/// With fewer hidden channels, the wide ones are computed in registers. Their weights are always f32.
const FEW: usize = 16;

/// Taps of the dilated convolution.
pub const TAPS: usize = 3;

/// One layer of a branch.
#[derive(Clone, Copy)]
pub struct DConvLayer<'a> {
    /// `[hidden, channels · 3]`.
    pub compress: Panels<'a>,
    /// The bias of the first convolution.
    pub compress_bias: &'a [f32],
    /// Scale and shift of the normalisation, per hidden channel.
    pub norm1: [&'a [f32]; 2],
    /// `[2 · channels, hidden]`.
    pub expand: Panels<'a>,
    /// The bias of the second convolution.
    pub expand_bias: &'a [f32],
    /// Weight and bias of the second normalization.
    pub norm2: [&'a [f32]; 2],
    /// LayerScale, per channel.
    pub scale: &'a [f32],
    /// The dilation of the first convolution, in frames.
    pub dilation: usize,
}

/// Adds one layer's branch to `values`, each row separately.
///
/// # Panics
///
/// If the extents of the values and of the layer's parameters do not fit together.
pub fn dconv(values: &mut [f32], x: Extent, layer: &DConvLayer<'_>) {
    assert_eq!(values.len(), x.len());
    let (values, layer) = (&Shared::new(values), &Layer::new(layer, x.channels));
    if x.frames <= WHOLE {
        pieces([x.items, x.rows, x.frames], WHOLE, |piece| dispatch(Whole { values, x, layer, piece }));
    } else {
        layer.long(values, x);
    }
}

/// Some rows of values in scratch memory.
struct Rows<'a> {
    values: &'a mut [f32],
    stride: usize,
    /// Zeros or neighbouring frames on each side.
    edge: usize,
    frames: usize,
}

impl Rows<'_> {
    /// Returns a row with its edges.
    fn with_edges(&mut self, index: usize) -> &mut [f32] {
        &mut self.values[index * self.stride..][..self.frames + 2 * self.edge]
    }

    fn row(&mut self, index: usize) -> &mut [f32] {
        &mut self.values[index * self.stride + self.edge..][..self.frames]
    }

    /// Returns a row without edges, in vectors. The values after the last frame must be zero.
    #[inline(always)]
    fn vectors<S: Simd>(&self, index: usize) -> &[S::f32s] {
        let row = &self.values[index * self.stride..][..self.frames.next_multiple_of(S::F32_LANES)];
        S::as_simd_f32s(row).0
    }
}

/// Scratch memory for some frames of a row.
struct Work<'a> {
    /// The input, to which the output is added.
    x: Rows<'a>,
    /// The hidden channels.
    middle: Rows<'a>,
    /// A strip of the wide channels.
    wide: &'a mut [f32],
}

impl<'a> Work<'a> {
    fn new<S: Simd>(scratch: &'a mut Scratch, layer: &DConvLayer<'_>, frames: usize, edge: usize) -> Self {
        let stride = row_stride::<S>(frames, 2 * edge);
        let wide = layer.expand.padded_rows() * row_stride::<S>(STRIP, 0);
        let [x, middle, wide] =
            scratch.slices([layer.scale.len() * stride, layer.compress.padded_rows() * stride, wide]);
        let rows = |values, edge| Rows { values, stride, edge, frames };
        Self { x: rows(x, edge), middle: rows(middle, 0), wide }
    }
}

/// A layer, and what its second normalisation needs.
struct Layer<'a> {
    parameters: &'a DConvLayer<'a>,
    expansion: Expansion,
}

impl<'a> Layer<'a> {
    fn new(parameters: &'a DConvLayer<'a>, channels: usize) -> Self {
        let hidden = parameters.compress.rows();
        assert!(parameters.compress_bias.len() == hidden && parameters.scale.len() == channels);
        assert!(parameters.expand.rows() == 2 * channels && parameters.expand_bias.len() == 2 * channels);
        assert!(parameters.norm1.iter().all(|n| n.len() == hidden));
        assert!(parameters.norm2.iter().all(|n| n.len() == 2 * channels));
        Self { parameters, expansion: dispatch(Expanding(parameters)) }
    }

    fn hidden(&self) -> usize {
        self.parameters.compress.rows()
    }

    /// The dilated convolution of an input whose edges are as wide as the dilation. The normalisation adds the bias. Returns
    /// the moments of the output.
    #[inline(always)]
    fn compress<S: Simd>(&self, simd: S, Work { x, middle, .. }: &mut Work<'_>) -> Moments {
        let DConvLayer { compress, compress_bias, dilation, scale, .. } = *self.parameters;
        let offset = |term: usize| term / TAPS * x.stride + term % TAPS * dilation;
        let offsets: Vec<usize> = (0..TAPS * scale.len()).map(offset).collect();
        let input = Terms { values: x.values, offsets: &offsets };
        product(simd, compress, input, x.frames, middle.values, middle.stride, false);
        moments(simd, middle.values, middle.stride, x.frames, compress_bias)
    }

    /// Normalises the hidden channels and applies GELU. Returns what [`Expansion::measure`] returns for them.
    #[inline(always)]
    fn activate<S: Simd>(&self, simd: S, norm: [f32; 2], middle: &mut Rows<'_>) -> Vec<f64> {
        let DConvLayer { compress_bias, norm1: [weights, shifts], .. } = self.parameters;
        for channel in 0..self.hidden() {
            let affine = affine(norm, weights[channel], shifts[channel], compress_bias[channel]);
            let [scale, shift] = affine.map(|v| simd.splat_f32s(v));
            each!(simd: S, middle.row(channel) => v; gelu(simd, simd.mul_add_e_f32s(v, scale, shift)));
            let frames = middle.frames..middle.frames.next_multiple_of(S::F32_LANES);
            middle.values[channel * middle.stride..][frames].fill(0.0);
        }
        self.expansion.measure(simd, middle)
    }

    /// The second convolution, normalised, gated, scaled and added to the channels' rows.
    #[inline(always)]
    fn add<'r, S: Simd>(
        &self,
        simd: S,
        norm: [f32; 2],
        Work { middle, wide, .. }: &mut Work<'_>,
        row: impl Fn(usize) -> &'r mut [f32],
    ) {
        let DConvLayer { expand_bias, norm2: [weights, shifts], scale, .. } = self.parameters;
        let channels = scale.len();
        if let Some(plain) = &self.expansion.plain {
            let mut folded = vec![[0.0; 2]; self.hidden() + 1];
            for (channel, &scale) in scale.iter().enumerate() {
                let affine = |i: usize| affine(norm, weights[i], shifts[i], expand_bias[i]);
                let ([signal, shift], [gate, gate_shift]) = (affine(channel), affine(channels + channel));
                let of = |i: usize| plain[i * self.hidden()..][..self.hidden()].iter();
                for ((pair, w), g) in folded.iter_mut().zip(of(channel)).zip(of(channels + channel)) {
                    *pair = [w * (signal * scale), g * gate];
                }
                folded[self.hidden()] = [shift * scale, gate_shift];
                add_gated(simd, &folded, middle, row(channel));
            }
            return;
        }
        let stride = row_stride::<S>(STRIP, 0);
        for start in (0..middle.frames).step_by(STRIP) {
            let count = STRIP.min(middle.frames - start);
            expand(simd, self.parameters, (middle.values, middle.stride), [start, count], (wide, stride));
            let (signals, gates) = wide.split_at(channels * stride);
            for (channel, (signal, gate)) in signals.chunks_exact(stride).zip(gates.chunks(stride)).enumerate() {
                let affine = |i: usize| affine(norm, weights[i], shifts[i], expand_bias[i]).map(|v| simd.splat_f32s(v));
                let ([scale1, shift], [gate_scale, gate_shift]) = (affine(channel), affine(channels + channel));
                let layer_scale = simd.splat_f32s(scale[channel]);
                let x = &mut row(channel)[start..start + count];
                each!(simd: S, x => x, &signal[..count] => signal, &gate[..count] => gate; {
                    let open = sigmoid(simd, simd.mul_add_e_f32s(gate, gate_scale, gate_shift));
                    let signal = simd.mul_add_e_f32s(signal, scale1, shift);
                    simd.mul_add_e_f32s(simd.mul_f32s(signal, open), layer_scale, x)
                });
            }
        }
    }

    /// Processes long rows in pieces: compress and measure; activate and measure; expand and add.
    fn long(&self, values: &Shared<'_>, x: Extent) {
        let middle = Extent { channels: self.hidden(), ..x };
        let mut hidden = Buffer::of(middle.len());
        let long = Long { values, x, hidden: &Shared::new(&mut hidden), middle, layer: self };
        let (all, per_row) = ([x.items, x.rows, x.frames], x.frames.div_ceil(CHUNK));
        let of = |piece: Piece| piece.item * x.rows + piece.row;

        let moments = pieces(all, CHUNK, |piece| dispatch(Compress { long, piece }));
        let norm = |pieces: &[Moments]| fold_rows(pieces).over(middle.channels * x.frames);
        let norms: Vec<_> = moments.chunks(per_row).map(norm).collect();
        let measures = pieces(all, CHUNK, |piece| dispatch(Activate { long, piece, norm: norms[of(piece)] }));
        let norm = |pieces: &[Vec<f64>]| {
            let mut sums = vec![0.0; measures[0].len()];
            pieces.iter().for_each(|piece| sums.iter_mut().zip(piece).for_each(|(sum, v)| *sum += v));
            self.expansion.norm(&sums, x.frames)
        };
        let norms: Vec<_> = measures.chunks(per_row).map(norm).collect();
        pieces(all, CHUNK, |piece| dispatch(Add { long, piece, norm: norms[of(piece)] }));
    }
}

/// Turns a normalisation of values without their bias into a scale and a shift.
fn affine([mean, deviation]: [f32; 2], weight: f32, shift: f32, bias: f32) -> [f32; 2] {
    let scale = weight / deviation;
    [scale, (bias - mean).mul_add(scale, shift)]
}

/// Adds a channel to its row: a sum of the hidden channels, times the sigmoid of another. `folded` has the two weights of each
/// hidden channel, then the shifts of the sums.
#[inline(always)]
fn add_gated<S: Simd>(simd: S, folded: &[[f32; 2]], middle: &Rows<'_>, row: &mut [f32]) {
    const VECTORS: usize = 4;
    let (whole, tail) = S::as_mut_simd_f32s(row);
    let (strips, rest) = whole.as_chunks_mut::<VECTORS>();
    let after = strips.len() * VECTORS;
    for (index, strip) in strips.iter_mut().enumerate() {
        let made = gated::<S, VECTORS>(simd, folded, middle, index * VECTORS);
        for j in 0..VECTORS {
            strip[j] = simd.add_f32s(strip[j], made[j]);
        }
    }
    for (index, value) in rest.iter_mut().enumerate() {
        let [made] = gated::<S, 1>(simd, folded, middle, after + index);
        *value = simd.add_f32s(*value, made);
    }
    if !tail.is_empty() {
        let [made] = gated::<S, 1>(simd, folded, middle, after + rest.len());
        simd.partial_store_f32s(tail, simd.add_f32s(simd.partial_load_f32s(tail), made));
    }
}

/// Computes some vectors of [`add_gated`], from vector `first` of the hidden channels.
#[inline(always)]
fn gated<S: Simd, const VECTORS: usize>(
    simd: S,
    folded: &[[f32; 2]],
    middle: &Rows<'_>,
    first: usize,
) -> [S::f32s; VECTORS] {
    let (shifts, weights) = folded.split_last().expect("shifts");
    let [mut signals, mut gates] = shifts.map(|shift| [simd.splat_f32s(shift); VECTORS]);
    for (weights, hidden) in weights.iter().zip(middle.values.chunks_exact(middle.stride)) {
        let [weight, gate_weight] = [simd.splat_f32s(weights[0]), simd.splat_f32s(weights[1])];
        let hidden = &S::as_simd_f32s(&hidden[first * S::F32_LANES..][..VECTORS * S::F32_LANES]).0[..VECTORS];
        for j in 0..VECTORS {
            signals[j] = simd.mul_add_e_f32s(weight, hidden[j], signals[j]);
            gates[j] = simd.mul_add_e_f32s(gate_weight, hidden[j], gates[j]);
        }
    }
    for j in 0..VECTORS {
        signals[j] = simd.mul_f32s(signals[j], sigmoid(simd, gates[j]));
    }
    signals
}

/// The convolution of some frames to twice the channels, without its bias.
#[inline(always)]
fn expand<S: Simd>(
    simd: S,
    layer: &DConvLayer<'_>,
    (middle, stride): (&[f32], usize),
    [start, frames]: [usize; 2],
    (wide, wide_stride): (&mut [f32], usize),
) {
    let offsets: Vec<usize> = (0..layer.compress.rows()).map(|term| term * stride + start).collect();
    product(simd, layer.expand, Terms { values: middle, offsets: &offsets }, frames, wide, wide_stride, false);
}

/// What the second normalisation needs to know of the second convolution: sums over its rows of weights `w` and biases
/// `b`. With them, the moments of all `w · h + b` follow from the sums and products of the hidden channels `h`.
struct Expansion {
    hidden: usize,
    /// The weights, row by row, if the hidden channels are few.
    plain: Option<Vec<f32>>,
    rows: f64,
    /// `[hidden, hidden]`: the sums of `w · wᵀ`.
    products: Vec<f64>,
    /// The sums of `w`.
    weights: Vec<f64>,
    /// The sums of `b · w`.
    weighted: Vec<f64>,
    /// The sums of `b` and of its squares.
    biases: [f64; 2],
}

struct Expanding<'a>(&'a DConvLayer<'a>);

impl WithSimd for Expanding<'_> {
    type Output = Expansion;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Expansion {
        let Self(layer) = self;
        let hidden = layer.compress.rows();
        // The product with the identity matrix is the weights, whatever their format.
        let stride = row_stride::<S>(hidden, 0);
        let mut identity = vec![0.0; hidden * stride];
        (0..hidden).for_each(|i| identity[i * (stride + 1)] = 1.0);
        let mut weights = vec![0.0; layer.expand.padded_rows() * stride];
        expand(simd, layer, (&identity, stride), [0, hidden], (&mut weights, stride));

        let of_rows = || weights.chunks_exact(stride).take(layer.expand_bias.len());
        let mut sums = Expansion {
            hidden,
            plain: (hidden < FEW).then(|| of_rows().flat_map(|row| &row[..hidden]).copied().collect()),
            rows: 0.0,
            products: vec![0.0; hidden * hidden],
            weights: vec![0.0; hidden],
            weighted: vec![0.0; hidden],
            biases: [0.0; 2],
        };
        for (row, &bias) in of_rows().zip(layer.expand_bias) {
            let bias = f64::from(bias);
            sums.rows += 1.0;
            sums.biases[0] += bias;
            sums.biases[1] += bias * bias;
            for (i, products) in sums.products.chunks_exact_mut(hidden).enumerate() {
                let weight = f64::from(row[i]);
                sums.weights[i] += weight;
                sums.weighted[i] += bias * weight;
                products.iter_mut().zip(&row[..=i]).for_each(|(sum, &other)| *sum += weight * f64::from(other));
            }
        }
        for i in 0..hidden {
            (0..i).for_each(|j| sums.products[j * hidden + i] = sums.products[i * hidden + j]);
        }
        sums
    }
}

impl Expansion {
    /// Returns the sums over frames of the hidden channels and of their products in pairs. The values up to a whole
    /// vector after the last frame are zero.
    #[inline(always)]
    fn measure<S: Simd>(&self, simd: S, middle: &Rows<'_>) -> Vec<f64> {
        const BLOCK: usize = 4;
        let zero = simd.splat_f32s(0.0);
        let mut sums = Vec::with_capacity(self.hidden + self.hidden * (self.hidden + 1) / 2);
        for channel in 0..self.hidden {
            let total = middle.vectors::<S>(channel).iter().fold(zero, |sum, &v| simd.add_f32s(sum, v));
            sums.push(f64::from(simd.reduce_sum_f32s(total)));
        }
        for channel in 0..self.hidden {
            let own = middle.vectors::<S>(channel);
            for first in (0..=channel).step_by(BLOCK) {
                let others: [&[S::f32s]; BLOCK] =
                    std::array::from_fn(|i| &middle.vectors::<S>((first + i).min(channel))[..own.len()]);
                let mut totals = [zero; BLOCK];
                for (frame, &v) in own.iter().enumerate() {
                    for (total, other) in totals.iter_mut().zip(others) {
                        *total = simd.mul_add_e_f32s(v, other[frame], *total);
                    }
                }
                let count = BLOCK.min(channel + 1 - first);
                sums.extend(totals[..count].iter().map(|&total| f64::from(simd.reduce_sum_f32s(total))));
            }
        }
        sums
    }

    /// Returns the mean and the divisor of the normalisation of all wide channels, of which the hidden ones have these
    /// measures.
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "used as f32; counts below 2^53")]
    fn norm(&self, measures: &[f64], frames: usize) -> [f32; 2] {
        let (sums, mut pairs) = measures.split_at(self.hidden);
        let frames = frames as f64;
        let means: Vec<f64> = sums.iter().map(|sum| sum / frames).collect();
        let dot = |a: &[f64]| a.iter().zip(&means).map(|(a, mean)| a * mean).sum::<f64>();
        let mean = (dot(&self.weights) + self.biases[0]) / self.rows;
        // Of the rows' means, and within the rows.
        let (mut between, mut within) = (self.biases[1] + 2.0 * dot(&self.weighted), 0.0);
        for (i, products) in self.products.chunks_exact(self.hidden).enumerate() {
            between += means[i] * dot(products);
            let (own, rest) = pairs.split_at(i + 1);
            pairs = rest;
            for (j, pair) in own.iter().enumerate() {
                let covariance = pair / frames - means[i] * means[j];
                within += if i == j { 1.0 } else { 2.0 } * products[j] * covariance;
            }
        }
        let variance = (between + within) / self.rows - mean * mean;
        [mean as f32, (variance.max(0.0) + f64::from(EPSILON)).sqrt() as f32]
    }
}

struct Whole<'a> {
    values: &'a Shared<'a>,
    x: Extent,
    layer: &'a Layer<'a>,
    piece: Piece,
}

impl WithSimd for Whole<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { values, x, layer, piece } = self;
        // SAFETY: rows of different pieces do not overlap, and a piece uses its rows one at a time.
        let row = |channel| unsafe { values.part(x.row(piece.item, channel, piece.row), x.frames) };
        let edge = layer.parameters.dilation;
        let mut scratch = Scratch::take();
        let work = &mut Work::new::<S>(&mut scratch, layer.parameters, x.frames, edge);
        (0..x.channels).for_each(|i| gather(row(i), -edge.cast_signed(), work.x.with_edges(i)));
        let norm = layer.compress(simd, work).over(layer.hidden() * x.frames);
        let norm = layer.expansion.norm(&layer.activate(simd, norm, &mut work.middle), x.frames);
        layer.add(simd, norm, work, row);
    }
}

/// What the passes over long rows share.
#[derive(Clone, Copy)]
struct Long<'a> {
    values: &'a Shared<'a>,
    x: Extent,
    hidden: &'a Shared<'a>,
    middle: Extent,
    layer: &'a Layer<'a>,
}

impl<'a> Long<'a> {
    /// Returns the frames of a piece.
    fn own(&self, piece: Piece, channel: usize) -> &'a mut [f32] {
        // SAFETY: the pieces' own frames do not overlap, and a piece uses its rows one at a time.
        unsafe { self.values.part(self.x.row(piece.item, channel, piece.row) + piece.start, piece.frames) }
    }

    /// Returns the hidden frames of a piece.
    fn hidden(&self, piece: Piece, channel: usize) -> &'a mut [f32] {
        // SAFETY: as above.
        unsafe { self.hidden.part(self.middle.row(piece.item, channel, piece.row) + piece.start, piece.frames) }
    }
}

struct Compress<'a> {
    long: Long<'a>,
    piece: Piece,
}

impl WithSimd for Compress<'_> {
    type Output = Moments;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Moments {
        let Self { long: long @ Long { values, x, layer, .. }, piece } = self;
        let mut scratch = Scratch::take();
        let edge = layer.parameters.dilation;
        let work = &mut Work::new::<S>(&mut scratch, layer.parameters, piece.frames, edge);
        for channel in 0..x.channels {
            // SAFETY: this also reads the neighbours' frames, but no thread writes `values` in this pass.
            let row = unsafe { values.read(x.row(piece.item, channel, piece.row), x.frames) };
            gather(row, piece.start.cast_signed() - edge.cast_signed(), work.x.with_edges(channel));
        }
        let moments = layer.compress(simd, work);
        (0..layer.hidden()).for_each(|i| long.hidden(piece, i).copy_from_slice(work.middle.row(i)));
        moments
    }
}

struct Activate<'a> {
    long: Long<'a>,
    piece: Piece,
    norm: [f32; 2],
}

impl WithSimd for Activate<'_> {
    type Output = Vec<f64>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Vec<f64> {
        let Self { long: long @ Long { layer, .. }, piece, norm } = self;
        let mut scratch = Scratch::take();
        let Work { mut middle, .. } = Work::new::<S>(&mut scratch, layer.parameters, piece.frames, 0);
        (0..layer.hidden()).for_each(|i| middle.row(i).copy_from_slice(long.hidden(piece, i)));
        let measures = layer.activate(simd, norm, &mut middle);
        (0..layer.hidden()).for_each(|i| long.hidden(piece, i).copy_from_slice(middle.row(i)));
        measures
    }
}

struct Add<'a> {
    long: Long<'a>,
    piece: Piece,
    norm: [f32; 2],
}

impl WithSimd for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { long: long @ Long { layer, .. }, piece, norm } = self;
        let mut scratch = Scratch::take();
        let work = &mut Work::new::<S>(&mut scratch, layer.parameters, piece.frames, 0);
        (0..layer.hidden()).for_each(|i| work.middle.row(i).copy_from_slice(long.hidden(piece, i)));
        layer.add(simd, norm, work, |channel| long.own(piece, channel));
    }
}

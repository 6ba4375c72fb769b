//! Kernels with weights of fewer bits: their loss, and that threads do not change their results.

use rayon::ThreadPoolBuilder;
use vocalizer_kernels::attention::{Projection, attention};
use vocalizer_kernels::conv::{self, Axis, GluExtras};
use vocalizer_kernels::gemm::{Panels, Precision, pack_as};
use vocalizer_kernels::transformer::{self, Linear};
use vocalizer_kernels::{Extent, rms, rotary};

/// Returns values of a distribution close to the normal one.
fn noise(seed: u32, count: usize) -> Vec<f32> {
    let mut state = seed;
    let mut uniform = |()| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 16_777_216.0
    };
    (0..count).map(|_| [(); 12].map(&mut uniform).iter().sum::<f32>() - 6.0).collect()
}

struct Layer {
    packed: Vec<f32>,
    bias: Vec<f32>,
    terms: usize,
}

impl Layer {
    fn random(precision: Precision, rows: usize, terms: usize) -> Self {
        Self::packed_by(rows, terms, |at| pack_as(precision, rows, terms, at))
    }

    fn gated(precision: Precision, rows: usize, channels: usize, taps: [usize; 2]) -> Self {
        Self::packed_by(rows, channels * taps[0] * taps[1], |at| conv::pack_same(precision, rows, channels, taps, at))
    }

    fn packed_by(rows: usize, terms: usize, pack: impl Fn(&dyn Fn(usize, usize) -> f32) -> Vec<f32>) -> Self {
        let scale = (1.0 / terms as f32).sqrt();
        let weights = noise(3, rows * terms);
        let packed = pack(&|row, term| scale * weights[row * terms + term]);
        Self { packed, bias: noise(4, rows).iter().map(|v| v / 8.0).collect(), terms }
    }

    fn panels(&self) -> Panels<'_> {
        Panels::new(&self.packed, self.bias.len(), self.terms)
    }

    fn linear(&self) -> Linear<'_> {
        Linear { weights: self.panels(), bias: &self.bias }
    }
}

/// Checks the loss of a kernel in each precision, and that one thread computes the same as three.
fn check(kernel: impl Fn(Precision) -> Vec<f32> + Sync) {
    check_rounding(|precision| precision != Precision::F32, kernel);
}

/// Like [`check`]; `rounds` tells in which precisions something is rounded.
fn check_rounding(rounds: impl Fn(Precision) -> bool, kernel: impl Fn(Precision) -> Vec<f32> + Sync) {
    let with_threads = |threads: usize, precision: Precision| {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| kernel(precision))
    };
    let exact = with_threads(1, Precision::F32);
    for (precision, least) in
        [(Precision::F32, 300.0), (Precision::Bf16, 45.0), (Precision::Int16, 58.0), (Precision::Int8, 33.0)]
    {
        let made = with_threads(1, precision);
        assert!(made == with_threads(3, precision), "{precision:?}: threads change the result");
        let signal: f64 = exact.iter().map(|v| f64::from(*v).powi(2)).sum();
        let error: f64 = exact.iter().zip(&made).map(|(a, b)| f64::from(a - b).powi(2)).sum();
        let decibels = 10.0 * (signal / (error + 1e-40)).log10();
        assert!(decibels > least, "{precision:?}: {decibels:.1} dB");
        assert!(!rounds(precision) || decibels < 120.0, "{precision:?} is not used: {decibels:.1} dB");
    }
}

const X: Extent = Extent { items: 1, channels: 48, rows: 9, frames: 101 };

#[test]
fn convolutions_lose_little() {
    let values = noise(1, X.len());
    check(|precision| {
        let layer = Layer::gated(precision, 64, X.channels, [3, 3]);
        let mut out = vec![f32::NAN; 32 * X.rows * X.frames];
        conv::conv_glu((&values, X), &layer.packed, &layer.bias, [3, 3], GluExtras::default(), &mut out);
        out
    });
    for axis in [Axis::Rows, Axis::Frames] {
        let x = if axis == Axis::Rows { X } else { Extent { rows: 1, frames: X.rows * X.frames, ..X } };
        check(|precision| {
            let layer = Layer::random(precision, 40, conv::TAPS * x.channels);
            let mut out = vec![f32::NAN; conv::strided(x, 40, axis).len()];
            conv::strided_gelu((&values, x), layer.panels(), &layer.bias, axis, &mut out);
            out
        });
        check(|precision| {
            let layer = Layer::random(precision, conv::STRIDE * 24, 2 * x.channels);
            let y = conv::transposed(x, 24, axis, conv::STRIDE * x.frames - 3);
            let y = if axis == Axis::Rows { Extent { frames: x.frames, ..y } } else { y };
            let mut out = vec![f32::NAN; y.len()];
            conv::transposed_gelu((&values, x), layer.panels(), &layer.bias[..24], (axis, true), (&mut out, y));
            out
        });
    }
}

#[test]
fn layers_of_transformers_lose_little() {
    let values = noise(1, X.len());
    let [ones, zeros] = [vec![1.0; X.channels], vec![0.0; X.channels]];
    check(|precision| {
        let layer = Layer::random(precision, 100, X.channels);
        let mut out = vec![f32::NAN; 100 * X.rows * X.frames];
        transformer::linear((&values, X), Some([&ones, &zeros]), layer.linear(), &mut out);
        out
    });
    check(|precision| {
        let (up, down) = (Layer::random(precision, 700, X.channels), Layer::random(precision, X.channels, 700));
        let mut out = values.clone();
        transformer::feed_forward((&mut out, X), [&ones, &zeros], up.linear(), down.linear(), &ones);
        out
    });
    check(|precision| {
        let (up, down) = (Layer::random(precision, 700, X.channels), Layer::random(precision, X.channels, 700));
        let mut out = values.clone();
        rms::feed_forward((&mut out, X), up.linear(), down.linear());
        out
    });
}

#[test]
fn attention_loses_little() {
    let (heads, width) = (3, 32);
    let channels = heads * width;
    // Attention has no weights: without instructions, it is in f32.
    let rounds = |precision| match precision {
        Precision::F32 => false,
        Precision::Bf16 => precision.instructions().is_some(),
        Precision::Int16 | Precision::Int8 => Precision::Int16.instructions().is_some(),
    };
    for keys in [40, 120, 301] {
        let [x, other] = [X.frames, keys].map(|frames| Extent { items: 2, channels: 2 * channels, rows: 1, frames });
        let [from, to] = [noise(1, x.len()), noise(2, other.len())];
        check_rounding(rounds, |precision| {
            let projection = |values, extent, first| Projection { values, extent, first };
            let queries = projection(&from, x, 0);
            let [keys, values] = [0, channels].map(|first| projection(&to, other, first));
            let mut out = vec![f32::NAN; x.items * channels * x.frames];
            attention(queries, keys, values, [heads, channels], precision, &mut out);
            out
        });
    }
}

#[test]
fn nan_reaches_the_output_of_attention() {
    let (heads, width) = (2, 32);
    let channels = heads * width;
    let [x, other] = [50, 150].map(|frames| Extent { items: 1, channels: 2 * channels, rows: 1, frames });
    for precision in Precision::ALL {
        let run = |query: Option<usize>, key: Option<usize>, value: Option<usize>| {
            let [mut from, mut to] = [noise(1, x.len()), noise(2, other.len())];
            if let Some(at) = query {
                from[5 * x.frames + at] = f32::NAN;
            }
            if let Some(at) = key {
                to[7 * other.frames + at] = f32::NAN;
            }
            if let Some(at) = value {
                to[(channels + 9) * other.frames + at] = f32::NAN;
            }
            let projection = |values, extent, first| Projection { values, extent, first };
            let mut out = vec![0.0; channels * x.frames];
            let [keys, values] = [0, channels].map(|first| projection(&to, other, first));
            attention(projection(&from, x, 0), keys, values, [heads, channels], precision, &mut out);
            out
        };
        // Of the first head: one query, all queries, one channel of all queries.
        let is_nan = |out: &[f32], of: &dyn Fn(usize, usize) -> bool| {
            out.iter().enumerate().all(|(i, v)| v.is_nan() == of(i / x.frames, i % x.frames))
        };
        assert!(is_nan(&run(Some(20), None, None), &|channel, query| channel < width && query == 20), "{precision:?}");
        for at in [0, 119, 149] {
            assert!(is_nan(&run(None, Some(at), None), &|channel, _| channel < width), "{precision:?}, key {at}");
            assert!(is_nan(&run(None, None, Some(at)), &|channel, _| channel == 9), "{precision:?}, value {at}");
        }
    }
}

#[test]
fn rotary_attention_loses_little() {
    let (heads, width) = (3, 16);
    let values = noise(1, X.len());
    for (axis, length) in [(Axis::Frames, X.frames), (Axis::Rows, X.rows)] {
        let angles = noise(2, width / 2 * length);
        let [cos, sin] = [f32::cos, f32::sin].map(|of| angles.iter().map(|v| of(*v)).collect::<Vec<f32>>());
        check(|precision| {
            let layer = |rows, terms| Layer::random(precision, rows, terms);
            let (qkv, gates, out) =
                (layer(3 * heads * width, X.channels), layer(heads, X.channels), layer(X.channels, heads * width));
            let layer = rotary::Layer {
                qkv: qkv.panels(),
                gates: gates.linear(),
                out: out.panels(),
                cos: &cos,
                sin: &sin,
                heads,
                width,
            };
            let mut made = values.clone();
            rotary::attention((&mut made, X), layer, axis);
            made
        });
    }
}

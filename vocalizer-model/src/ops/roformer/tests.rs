//! Compares each operation on the CPU with burn's operations on the same values.

use burn::backend::{Flex, TensorMetadata};
use burn::tensor::{DType, Device, Tensor, TensorData};
use burn_flex::FlexTensor;
use proptest::prelude::*;

use super::super::parameters::LinearParameters;
use super::super::record::Recording;
use super::super::tests::{floats, frames, same, tensor};
use super::operations::RoformerOps;
use super::parameters::{AttentionParameters, Layers};
use super::{Linear, default};
use vocalizer_kernels::conv::Axis;
use vocalizer_kernels::gemm::Precision;

/// Returns a layer packed, and as burn's operations take it.
fn layer(seed: u64, rows: usize, terms: usize) -> [LinearParameters<Flex>; 2] {
    let (weight, bias) = (tensor(seed, [rows, terms]), tensor(seed + 1, [rows]));
    let packed = LinearParameters { weight: Flex::pack_rows(weight.clone(), Precision::F32), bias: bias.clone() };
    [packed, LinearParameters { weight, bias }]
}

/// Returns attention's parameters packed, and as burn's operations take them. The queries' weights are large, so that
/// some keys count much more than others.
fn attention(
    seed: u64,
    channels: usize,
    heads: usize,
    width: usize,
    positions: usize,
) -> [AttentionParameters<Flex>; 2] {
    let qkv = tensor(seed, [heads * 3 * width, channels]);
    let loud = TensorData::new(floats(qkv).into_iter().map(|v| 6.0 * v).collect(), [heads * 3 * width, channels]);
    let (qkv, out) = (FlexTensor::from_data(loud), tensor(seed + 1, [channels, heads * width]));
    let [gates, plain_gates] = layer(seed + 2, heads, channels);
    let table = |of: fn(f32) -> f32| {
        let angles = (0..width / 2 * positions).map(|i| (i % positions) as f32 / (1 + i / positions) as f32);
        FlexTensor::from_data(TensorData::new(angles.map(of).collect(), [width / 2, positions]))
    };
    let parameters = |qkv, gates: LinearParameters<Flex>, out| AttentionParameters {
        qkv,
        gates: gates.weight,
        gates_bias: gates.bias,
        out,
        cos: table(f32::cos),
        sin: table(f32::sin),
        heads,
        width,
    };
    let packed =
        parameters(Flex::pack_rows(qkv.clone(), Precision::F32), gates, Flex::pack_rows(out.clone(), Precision::F32));
    [packed, parameters(qkv, plain_gates, out)]
}

fn attend(axis: Axis, [items, channels, rows, frames]: [usize; 4], heads: usize, width: usize) {
    let x = tensor(1, [items, channels, rows, frames]);
    let [packed, plain] = attention(2, channels, heads, width, if axis == Axis::Frames { frames } else { rows });
    let reference = default::rotary_attention::<Flex>(x.clone(), &plain, axis);
    same(Flex::rotary_attention(x, packed, axis), reference);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn attention_along_frames(items in 1..3_usize, channels in 1..20_usize, rows in 1..4_usize, frames in frames(), heads in 1..4_usize, eighths in 1..4_usize) {
        attend(Axis::Frames, [items, channels, rows, frames], heads, 8 * eighths);
    }

    #[test]
    fn attention_along_rows(items in 1..3_usize, channels in 1..20_usize, rows in 1..140_usize, frames in 1..40_usize, heads in 1..4_usize, eighths in 1..4_usize) {
        attend(Axis::Rows, [items, channels, rows, frames], heads, 8 * eighths);
    }

    #[test]
    fn feed_forward_parts(items in 1..3_usize, channels in 1..30_usize, hidden in 1..600_usize, rows in 1..4_usize, frames in frames()) {
        let x = tensor(1, [items, channels, rows, frames]);
        let [first, plain_first] = layer(2, hidden, channels);
        let [second, plain_second] = layer(4, channels, hidden);
        let reference = default::rms_feed_forward::<Flex>(x.clone(), plain_first, plain_second);
        same(Flex::rms_feed_forward(x, first, second), reference);
    }

    #[test]
    fn norms(items in 1..3_usize, channels in 1..30_usize, rows in 1..4_usize, frames in frames()) {
        let (x, scale) = (tensor(1, [items, channels, rows, frames]), tensor(2, [channels]));
        let reference = default::rms_norm::<Flex>(x.clone(), scale.clone());
        same(Flex::rms_norm(x, scale), reference);
    }

    #[test]
    fn band_splits(items in 1..3_usize, channels in 1..30_usize, widths in prop::collection::vec(1..20_usize, 1..6), gap in 0..3_usize, frames in frames()) {
        // Bands overlap or leave gaps, as the case may be.
        let bands: Vec<[usize; 2]> = widths.iter().enumerate().map(|(index, &bins)| [index * (gap + 1), bins]).collect();
        let bins = bands.iter().map(|[first, bins]| first + bins).max().unwrap();
        let spectrum = tensor(1, [items, 4, bins, frames]);
        let layers = widths.iter().zip(2..).map(|(bins, seed)| layer(seed, channels, 4 * bins));
        let (packed, plain): (Vec<_>, Vec<_>) = layers.map(|[packed, plain]| (packed, plain)).unzip();
        let reference = default::split_bands::<Flex>(spectrum.clone(), Layers(plain), &bands);
        same(Flex::split_bands(spectrum, Layers(packed), bands), reference);
    }

    #[test]
    fn masks(items in 1..3_usize, channels in 1..20_usize, hidden in 1..40_usize, depth in 1..4_usize, widths in prop::collection::vec(1..6_usize, 1..5), frames in frames()) {
        let x = tensor(1, [items, channels, widths.len(), frames]);
        let (mut packed, mut plain) = (Vec::new(), Vec::new());
        for (seed, bins) in (2..).step_by(8).zip(&widths) {
            for index in 0..depth {
                let terms = if index == 0 { channels } else { hidden };
                let rows = if index + 1 == depth { 8 * bins } else { hidden };
                let [one, other] = layer(seed + 2 * index as u64, rows, terms);
                packed.push(one);
                plain.push(other);
            }
        }
        let reference = default::band_masks::<Flex>(x.clone(), Layers(plain), depth);
        same(Flex::band_masks(x, Layers(packed), depth), reference);
    }
}

/// Positions without signal are not divided by zero.
#[test]
fn silence_stays_finite() {
    let silent = || FlexTensor::from_data(TensorData::new(vec![0.0_f32; 8 * 3 * 50], [1, 8, 3, 50]));
    assert!(floats(Flex::rms_norm(silent(), tensor(1, [8]))).iter().all(|&v| v == 0.0));
    for axis in [Axis::Frames, Axis::Rows] {
        let [packed, _] = attention(2, 8, 2, 8, if axis == Axis::Frames { 50 } else { 3 });
        assert!(floats(Flex::rotary_attention(silent(), packed, axis)).iter().all(|&v| v == 0.0));
    }
    let ([first, _], [second, _]) = (layer(2, 32, 8), layer(4, 8, 32));
    assert!(floats(Flex::rms_feed_forward(silent(), first, second)).iter().all(|v| v.is_finite()));
}

/// In 16 bits, the least length and the squares of quiet and of loud values are out of range.
#[test]
fn norm_in_half_precision_has_length_one() {
    fn half<const N: usize>(values: Vec<f32>, shape: [usize; N]) -> FlexTensor {
        FlexTensor::from_data(TensorData::new(values, shape).convert_dtype(DType::F16))
    }
    for (loudness, length) in [(0.0, 0.0), (1e-5, 1.0), (1.0, 1.0), (5e3, 1.0)] {
        let x = half((0..8 * 50).map(|i| loudness * (1 + i % 7) as f32).collect(), [1, 8, 1, 50]);
        let y = default::rms_norm::<Flex>(x, half(vec![1.0; 8], [8])).into_data().convert::<f32>();
        let y: Vec<f32> = y.try_into_vec().unwrap();
        for frame in 0..50 {
            let squares: f32 = (0..8).map(|channel| y[channel * 50 + frame].powi(2)).sum();
            assert!((squares.sqrt() - length).abs() < 1e-2, "{loudness}: {squares}");
        }
    }
}

/// NaN spreads as far as attention reaches, and no further.
#[test]
fn nan_spreads_along_its_sequence_only() {
    for axis in [Axis::Frames, Axis::Rows] {
        let mut values = vec![1.0_f32; 8 * 3 * 50];
        values[50 + 7] = f32::NAN;
        let x = FlexTensor::from_data(TensorData::new(values, [1, 8, 3, 50]));
        let [packed, _] = attention(2, 8, 2, 8, if axis == Axis::Frames { 50 } else { 3 });
        let y = floats(Flex::rotary_attention(x, packed, axis));
        for (i, v) in y.iter().enumerate() {
            let (row, frame) = (i / 50 % 3, i % 50);
            let is_reached = if axis == Axis::Frames { row == 1 } else { frame == 7 };
            assert_eq!(v.is_nan(), is_reached, "{axis:?}: row {row}, frame {frame}");
        }
    }
    let mut values = vec![1.0_f32; 8 * 50];
    values[7] = f32::NAN;
    let x = FlexTensor::from_data(TensorData::new(values, [1, 8, 1, 50]));
    let ([first, _], [second, _]) = (layer(2, 32, 8), layer(4, 8, 32));
    for y in [
        Flex::rms_feed_forward(x.clone(), first.clone(), second.clone()),
        Flex::rms_norm(x.clone(), tensor(1, [8])),
        Flex::band_masks(x, Layers(vec![first, second]), 2),
    ] {
        let rows = floats(y);
        assert!(rows.chunks(50).all(|row| row.iter().enumerate().all(|(frame, v)| v.is_nan() == (frame == 7))));
    }
}

/// Scores far apart and far beyond the range of exp2: each query gets its own loud key's value, whichever block of keys
/// that is in.
#[test]
fn scores_beyond_the_range_of_exp2_are_handled() {
    let (width, frames) = (8, 300);
    // Queries and keys are ±200 by channel 0 and the frame's code in the other channels; values are channel 0.
    let mut x = vec![0.0_f32; width * frames];
    for (frame, v) in x.iter_mut().enumerate().take(frames) {
        *v = if frame % 2 == 0 { 1.0 } else { -1.0 };
    }
    let x = FlexTensor::from_data(TensorData::new(x, [1, width, 1, frames]));
    let mut qkv = vec![0.0_f32; 3 * width * width];
    (qkv[0], qkv[width * width], qkv[2 * width * width]) = (200.0, 200.0, 1.0);
    let mut out = vec![0.0_f32; width * width];
    out[0] = 1.0;
    let matrix = |values, shape: [usize; 2]| FlexTensor::from_data(TensorData::new(values, shape));
    let layer = AttentionParameters {
        qkv: Flex::pack_rows(matrix(qkv, [3 * width, width]), Precision::F32),
        gates: Flex::pack_rows(matrix(vec![0.0; width], [1, width]), Precision::F32),
        gates_bias: FlexTensor::from_data(TensorData::new(vec![100.0_f32], [1])),
        out: Flex::pack_rows(matrix(out, [width, width]), Precision::F32),
        cos: matrix(vec![1.0; width / 2 * frames], [width / 2, frames]),
        sin: matrix(vec![0.0; width / 2 * frames], [width / 2, frames]),
        heads: 1,
        width,
    };
    let y = floats(Flex::rotary_attention(x, layer, Axis::Frames));
    // The input plus the mean of the values of the keys that agree with the query.
    for (frame, v) in y.iter().enumerate().take(frames) {
        assert!((v - if frame % 2 == 0 { 2.0 } else { -2.0 }).abs() < 1e-3, "frame {frame}: {v}");
    }
}

/// One thread and several give the same bits.
#[test]
fn results_do_not_depend_on_thread_count() {
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let spectrum = tensor(1, [1, 4, 15, 210]);
            let bands = vec![[0, 3], [2, 5], [7, 8]];
            let layers = bands.iter().zip(2..).map(|([_, bins], seed)| layer(seed, 16, 4 * bins)[0].clone());
            let layers = Layers(layers.collect());
            let mut x = Flex::split_bands(spectrum, layers, bands);
            for axis in [Axis::Frames, Axis::Rows] {
                let positions = x.shape()[if axis == Axis::Frames { 3 } else { 2 }];
                x = Flex::rotary_attention(x, attention(10, 16, 2, 8, positions)[0].clone(), axis);
                x = Flex::rms_feed_forward(x, layer(20, 64, 16)[0].clone(), layer(22, 16, 64)[0].clone());
            }
            let x = Flex::rms_norm(x, tensor(24, [16]));
            let layers = Layers((0..3).map(|band| layer(30 + band, 24, 16)[0].clone()).collect());
            floats(Flex::band_masks(x, layers, 1))
        })
    };
    let one = run(1);
    assert!([2, 3, 7, 16, 64].into_iter().all(|threads| run(threads) == one));
}

/// The expected costs are counted by hand.
#[test]
fn costs_count_products_and_values() {
    let device = Device::flex();
    let x = || Tensor::<4>::ones([1, 4, 2, 10], &device);
    let layer = |rows: usize, terms: usize| Linear {
        weight: super::pack(Tensor::ones([rows, terms], &device), Precision::F32),
        bias: Tensor::ones([rows], &device),
    };
    let mut recording = Recording::begin();
    let mut cost = |run: &dyn Fn()| {
        run();
        let [record] = recording.take()[..] else { panic!("one operation") };
        [usize::try_from(record.cost.flop).unwrap(), record.cost.values]
    };
    let feed = || drop(super::feed_forward(x(), [&layer(16, 4), &layer(4, 16)]));
    assert_eq!(cost(&feed), [2 * 2 * 64 * 20, 128 + 160]);
    let split = || drop(super::split_bands(x(), &[layer(3, 8)], &[[0, 2]]));
    assert_eq!(cost(&split), [2 * 3 * 8 * 10, 24 + 10 * (8 + 3)]);
    let masks = || drop(super::band_masks(x(), &[layer(5, 4), layer(8, 5), layer(5, 4), layer(16, 5)], 2));
    assert_eq!(cost(&masks), [2 * 10 * (20 + 40 + 20 + 80), 160 + 10 * (8 + 4 + 8)]);
    let attention = super::Attention {
        qkv: super::pack(Tensor::ones([2 * 24, 4], &device), Precision::F32),
        gates: layer(2, 4),
        out: super::pack(Tensor::ones([4, 16], &device), Precision::F32),
        heads: 2,
        width: 8,
    };
    let table = || Tensor::<2>::ones([4, 10], &device);
    let attend = || drop(super::attention(x(), &attention, [table(), table()], Axis::Frames));
    let weights = 2 * 24 * 4 + 2 * 4 + 4 * 16;
    assert_eq!(cost(&attend), [2 * 20 * (weights + 2 * 16 * 10), weights + 160]);
}

//! Compares each operation on the CPU with burn's operations on the same values.

use burn::backend::ops::FloatTensorOps as _;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::TensorData;
use burn_flex::FlexTensor;
use proptest::prelude::*;
use vocalizer_kernels::band_conv::Band;
use vocalizer_kernels::gemm::Precision;

use super::default;
use super::network::ScnetOps;
use super::parameters::{BandsParameters, LstmParameters, UnitParameters};
use crate::ops::Axis;
use crate::ops::parameters::LinearParameters;
use crate::ops::tests::{axis, floats, layer, norm, same, tensor};

/// The two ways to pass an operation's parameters: packed, and as burn's operations take them.
fn bands_layers(seed: u64, make: impl Fn(u64, usize) -> [LinearParameters<Flex>; 2]) -> [BandsParameters<Flex>; 2] {
    let [low, mid, high] = [0, 1, 2].map(|band| make(seed + 2 * band as u64, band));
    let [[low, plain_low], [mid, plain_mid], [high, plain_high]] = [low, mid, high];
    [BandsParameters { low, mid, high }, BandsParameters { low: plain_low, mid: plain_mid, high: plain_high }]
}

fn transposed(seed: u64, [input, out]: [usize; 2], band: Band) -> [LinearParameters<Flex>; 2] {
    let (weight, bias) = (tensor(seed, [input, out * band.taps]), tensor(seed + 1, [out]));
    let packed = LinearParameters {
        weight: Flex::pack_band(weight.clone(), out, band.stride, Precision::F32),
        bias: bias.clone(),
    };
    [packed, LinearParameters { weight, bias }]
}

fn unit(seed: u64, channels: usize, hidden: usize) -> [UnitParameters<Flex>; 2] {
    let [compress, plain_compress] = layer(seed, 2 * hidden, 3 * channels);
    let [expand, plain_expand] = layer(seed + 2, channels, hidden);
    let (norm1, norm2) = (norm(seed + 4, channels), norm(seed + 6, hidden));
    let with = |compress: LinearParameters<Flex>, expand: LinearParameters<Flex>| UnitParameters {
        norm1: norm1.weight.clone(),
        norm1_bias: norm1.bias.clone(),
        compress: compress.weight,
        compress_bias: compress.bias,
        depthwise: tensor(seed + 8, [hidden, 3]),
        depthwise_bias: tensor(seed + 9, [hidden]),
        norm2: norm2.weight.clone(),
        norm2_bias: norm2.bias.clone(),
        expand: expand.weight,
        expand_bias: expand.bias,
    };
    [with(compress, expand), with(plain_compress, plain_expand)]
}

fn lstm(seed: u64, inputs: usize, hidden: usize) -> [LstmParameters<Flex>; 2] {
    // Small weights: with large ones, rounding differences grow from step to step.
    let small = |x| Flex::float_mul_scalar(x, (1.0 / (hidden as f32).sqrt()).into());
    let direction = |seed: u64| {
        let weights = || (tensor(seed, [4 * hidden, inputs]), small(tensor(seed + 1, [4 * hidden, hidden])));
        let bias = tensor(seed + 2, [4 * hidden]);
        let ((input, state), (plain_input, plain_state)) = (weights(), weights());
        let packed = LinearParameters { weight: Flex::pack_lstm(input, state, Precision::F32), bias: bias.clone() };
        [packed, LinearParameters { weight: Flex::float_cat(vec![plain_input, plain_state], 1), bias }]
    };
    let ([forward, plain_forward], [backward, plain_backward]) = (direction(seed), direction(seed + 3));
    [LstmParameters { forward, backward }, LstmParameters { forward: plain_forward, backward: plain_backward }]
}

/// Consecutive bands of these rows, with taps equal to the stride, or three taps without one.
fn bands(rows: [usize; 3], strides: [usize; 3]) -> [Band; 3] {
    let mut first = 0;
    std::array::from_fn(|i| {
        let taps = if strides[i] == 1 { 3 } else { strides[i] };
        let band = Band { first, rows: rows[i], taps, stride: strides[i] };
        first += rows[i];
        band
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn convolutions_of_bands(items in 1..3_usize, input in 1..6_usize, out in 1..9_usize, rows in [1..20_usize, 1..20, 1..40], strides in [1..5_usize, 1..5, 1..17], frames in 1..260_usize) {
        let bands = bands(rows, strides);
        let x = tensor(1, [items, input, rows.iter().sum(), frames]);
        let [packed, plain] = bands_layers(2, |seed, band| layer(seed, out, input * bands[band].taps));
        let reference = default::bands_conv::<Flex>(x.clone(), plain, bands);
        let coarse = Flex::bands_conv(x, packed, bands);
        same(coarse.clone(), reference);
        let [packed, plain] = bands_layers(8, |seed, band| transposed(seed, [out, input], bands[band]));
        let reference = default::bands_transposed::<Flex>(coarse.clone(), plain, bands);
        let restored = Flex::bands_transposed(coarse, packed, bands);
        assert_eq!(restored.shape()[2], rows.iter().sum::<usize>());
        same(restored, reference);
    }

    #[test]
    fn plain_convolutions(tall in 0..2_usize, wide in 0..3_usize, items in 1..3_usize, input in prop_oneof![1..7_usize, 40..50_usize], out in 1..20_usize, rows in 1..6_usize, frames in 1..500_usize) {
        let taps = [1 + 2 * tall, 1 + 2 * wide];
        let x = tensor(1, [items, input, rows, frames]);
        let [_, plain] = layer(2, out, input * taps[0] * taps[1]);
        let weight = Flex::pack_same(plain.weight.clone(), taps, Precision::F32);
        let packed = LinearParameters { weight, bias: plain.bias.clone() };
        same(Flex::same_conv(x.clone(), packed, taps), default::same_conv::<Flex>(x, plain, taps));
    }

    #[test]
    fn residual_units(items in 1..3_usize, channels in 1..20_usize, hidden in 1..7_usize, before in 0..3_usize, count in 1..4_usize, after in 0..3_usize, frames in 4..500_usize, activate: bool) {
        let x = tensor(1, [items, channels, before + count + after, frames]);
        let [packed, plain] = unit(2, channels, hidden);
        let reference = default::unit::<Flex>(x.clone(), plain, [before, count], activate);
        same(Flex::unit(x, packed, before, count, activate), reference);
    }

    #[test]
    fn lstms(axis in axis(), items in 1..3_usize, channels in 1..9_usize, hidden in prop_oneof![1..9_usize, 58..64_usize], rows in 1..20_usize, frames in prop_oneof![4..40_usize, 90..100_usize]) {
        let x = tensor(1, [items, channels, rows, frames]);
        let [packed, plain] = lstm(2, channels, hidden);
        let reference = default::bilstm::<Flex>(x.clone(), norm(8, channels), plain, axis);
        let y = Flex::bilstm(x.clone(), norm(8, channels), packed, axis);
        same(y.clone(), reference);
        let [packed, plain] = layer(10, channels, 2 * hidden);
        let reference = default::lstm_residual::<Flex>(x.clone(), y.clone(), plain, axis);
        same(Flex::lstm_residual(x, y, packed, axis), reference);
    }

    #[test]
    fn transforms(items in 1..3_usize, channels in 1..4_usize, rows in 1..4_usize, half in 1..130_usize) {
        let x = tensor(1, [items, channels, rows, 2 * half]);
        let reference = default::fourier::<Flex>(x.clone());
        let y = Flex::fourier(x.clone());
        same(y.clone(), reference);
        same(Flex::inverse_fourier(y, 2 * half), x);
        let z = tensor(2, [items, 2 * channels, rows, half + 1]);
        let reference = default::inverse_fourier::<Flex>(z.clone(), 2 * half);
        same(Flex::inverse_fourier(z, 2 * half), reference);
    }
}

/// An LSTM of one unit, step by step by hand: backwards it sees the steps in reverse order.
#[test]
fn lstm_of_one_unit_by_hand() {
    let steps = [0.5_f32, -1.0, 2.0];
    let of = |values: &[f32], shape: [usize; 2]| FlexTensor::from_data(TensorData::new(values.to_vec(), shape));
    let (input, state, bias) = ([0.3, -0.2, 0.7, 0.1], [0.4, 0.2, -0.5, 0.6], [0.1, 0.2, -0.3, 0.0]);
    let run = |steps: &[f32]| -> Vec<f32> {
        let sigmoid = |v: f32| 1.0 / (1.0 + (-v).exp());
        let (mut h, mut c) = (0.0_f32, 0.0_f32);
        let step = |x: &f32| {
            let [i, f, g, o] = std::array::from_fn(|gate| input[gate] * x + state[gate] * h + bias[gate]);
            c = sigmoid(f) * c + sigmoid(i) * g.tanh();
            h = sigmoid(o) * c.tanh();
            h
        };
        steps.iter().map(step).collect()
    };
    // Normalised input, so the shift and scale of the norm restore the steps.
    let mean = steps.iter().sum::<f32>() / 3.0;
    let deviation = (steps.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / 3.0 + 1e-5).sqrt();
    let one = |v: f32| FlexTensor::from_data(TensorData::new(vec![v], [1]));
    let norm = crate::ops::parameters::NormParameters { weight: one(deviation), bias: one(mean) };
    let direction = || LinearParameters {
        weight: Flex::pack_lstm(of(&input, [4, 1]), of(&state, [4, 1]), Precision::F32),
        bias: FlexTensor::from_data(TensorData::new(bias.to_vec(), [4])),
    };
    let lstm = LstmParameters { forward: direction(), backward: direction() };
    let x = FlexTensor::from_data(TensorData::new(steps.to_vec(), [1, 1, 3, 1]));
    let got = floats(Flex::bilstm(x, norm, lstm, Axis::Rows));
    let mut backward = run(&[2.0, -1.0, 0.5]);
    backward.reverse();
    let expected = [run(&steps), backward].concat();
    assert!(got.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-6), "{got:?}, not {expected:?}");
}

/// Gates far beyond the range of exp saturate, NaN propagates to its own sequence only, and silence stays finite.
#[test]
fn extreme_values_nan_and_silence_are_handled() {
    let [packed, _] = lstm(2, 4, 5);
    let run = |x: &[f32], scale: f32| {
        let mut norm = norm(8, 4);
        norm.weight = FlexTensor::from_data(TensorData::new(vec![scale; 4], [4]));
        let x = FlexTensor::from_data(TensorData::new(x.to_vec(), [1, 4, 3, 50]));
        floats(Flex::bilstm(x, norm, packed.clone(), Axis::Rows))
    };
    let noise = floats(tensor(1, [1, 4, 3, 50]));
    for scale in [1e4, 1e30] {
        let out = run(&noise, scale);
        assert!(out.iter().all(|v| v.abs() <= 1.0), "{scale}");
        assert!(out.iter().any(|v| v.abs() > 0.5), "{scale}");
    }
    assert!(run(&[0.0; 600], 1.0).iter().all(|v| v.is_finite()));
    let mut broken = noise;
    broken[7] = f32::NAN;
    // The norm spreads it over the item.
    assert!(run(&broken, 1.0).iter().all(|v| v.is_nan()));
    let [packed, _] = unit(2, 4, 2);
    let x = FlexTensor::from_data(TensorData::new(broken, [1, 4, 3, 50]));
    let out = floats(Flex::unit(x, packed, 0, 3, true));
    for (index, v) in out.iter().enumerate() {
        assert_eq!(v.is_nan(), index / 50 % 3 == 0, "value {index}: each row is normalised on its own");
    }
}

/// One thread and several give the same bits.
#[test]
fn results_do_not_depend_on_thread_count() {
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let bands = bands([5, 9, 20], [1, 4, 8]);
            let x = tensor(1, [1, 4, 34, 470]);
            let [packed, _] = bands_layers(2, |seed, band| layer(seed, 12, 4 * bands[band].taps));
            let x = Flex::bands_conv(x, packed, bands);
            let [packed, _] = unit(8, 12, 3);
            let x = Flex::unit(x, packed, 2, 6, true);
            let [packed, _] = layer(20, 12, 12 * 9);
            let mut x = Flex::same_conv(x, packed, [3, 3]);
            for axis in [Axis::Rows, Axis::Frames] {
                let [packed, _] = lstm(30, 12, 12);
                let y = Flex::bilstm(x.clone(), norm(40, 12), packed, axis);
                let [packed, _] = layer(50, 12, 24);
                x = Flex::lstm_residual(x, y, packed, axis);
            }
            let x = Flex::inverse_fourier(Flex::fourier(x), 470);
            let [packed, _] = bands_layers(60, |seed, band| transposed(seed, [12, 4], bands[band]));
            floats(Flex::bands_transposed(x, packed, bands))
        })
    };
    let one = run(1);
    assert!([2, 3, 7, 16, 64].into_iter().all(|threads| run(threads) == one));
}

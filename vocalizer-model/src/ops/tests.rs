//! Compares each operation on the CPU with burn's operations on the same values.

use burn::backend::{Flex, TensorMetadata};
use burn::tensor::{Device, Tensor, TensorData};
use burn_flex::FlexTensor;
use proptest::prelude::*;
use vocalizer_kernels::gemm::Precision;

use super::default;
use super::network::NetworkOps;
use super::parameters::{DConvParameters, GluExtra, LinearParameters, NormParameters};
use super::{Axis, Extra, Linear, Record, Recording, TAPS};

/// Returns pseudorandom values between -1 and 1.
pub(super) fn values<const N: usize>(seed: u64, shape: [usize; N]) -> TensorData {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let values: Vec<f32> = (0..shape.iter().product::<usize>())
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / 8_388_608.0 - 1.0
        })
        .collect();
    TensorData::new(values, shape)
}

pub(super) fn tensor<const N: usize>(seed: u64, shape: [usize; N]) -> FlexTensor {
    FlexTensor::from_data(values(seed, shape))
}

pub(super) fn floats(x: FlexTensor) -> Vec<f32> {
    x.into_data().try_into_vec().unwrap()
}

/// Checks that two results agree to f32 rounding, relative to the largest value.
pub(super) fn same(own: FlexTensor, reference: FlexTensor) {
    assert_eq!(own.shape(), reference.shape());
    let (own, reference) = (floats(own), floats(reference));
    let largest = reference.iter().fold(1.0_f32, |max, v| max.max(v.abs()));
    for (i, (a, b)) in own.iter().zip(&reference).enumerate() {
        assert!((a - b).abs() <= 2e-5 * largest, "value {i}: {a}, expected {b}; largest {largest}");
    }
}

/// Returns a layer packed, and as burn's operations take it.
pub(super) fn layer(seed: u64, rows: usize, terms: usize) -> [LinearParameters<Flex>; 2] {
    let (weight, bias) = (tensor(seed, [rows, terms]), tensor(seed + 1, [rows]));
    let packed = LinearParameters { weight: Flex::pack(weight.clone(), Precision::F32), bias: bias.clone() };
    [packed, LinearParameters { weight, bias }]
}

pub(super) fn norm(seed: u64, channels: usize) -> NormParameters<Flex> {
    NormParameters { weight: tensor(seed, [channels]), bias: tensor(seed + 1, [channels]) }
}

pub(super) fn axis() -> impl Strategy<Value = Axis> {
    prop_oneof![Just(Axis::Rows), Just(Axis::Frames)]
}

/// Numbers of frames: few, about one piece, and about two pieces.
pub(super) fn frames() -> impl Strategy<Value = usize> {
    prop_oneof![1..60_usize, 330..345_usize, 670..700_usize]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn strided_convolutions(axis in axis(), items in 1..3_usize, input in 1..6_usize, out in 1..20_usize, rows in 2..5_usize, frames in frames()) {
        let rows = if axis == Axis::Rows { 4 * rows } else { 1 };
        let x = tensor(1, [items, input, rows, frames]);
        let [packed, plain] = layer(2, out, 8 * input);
        same(Flex::strided_gelu(x.clone(), packed, axis), default::strided_gelu::<Flex>(x, plain, axis));
    }

    #[test]
    fn gated_convolutions(tall in 0..2_usize, wide in 0..3_usize, items in 1..3_usize, input in prop_oneof![1..7_usize, 40..50_usize], out in 1..11_usize, rows in 1..6_usize, frames in frames(), extra in 0..3) {
        let taps = [1 + 2 * tall, 1 + 2 * wide];
        let x = tensor(1, [items, input, rows, frames]);
        let [_, plain] = layer(2, 2 * out, input * taps[0] * taps[1]);
        let weight = Flex::pack_glu(plain.weight.clone(), taps, Precision::F32);
        let packed = LinearParameters { weight, bias: plain.bias.clone() };
        let extra = match extra {
            0 => GluExtra::None,
            1 => GluExtra::Skip(tensor(4, [items, input, rows, frames])),
            _ => GluExtra::Embedding(tensor(4, [out, rows])),
        };
        let reference = default::conv_glu::<Flex>(x.clone(), extra.clone(), plain, taps);
        same(Flex::conv_glu(x, extra, packed, taps), reference);
    }

    #[test]
    fn transposed_convolutions(axis in axis(), items in 1..3_usize, input in 1..7_usize, out in 1..11_usize, rows in 1..4_usize, frames in frames(), cut in 0..4_usize, activate: bool) {
        let rows = if axis == Axis::Rows { rows } else { 1 };
        let x = tensor(1, [items, input, rows, frames]);
        let (weight, bias) = (tensor(2, [input, 8 * out]), tensor(3, [out]));
        let packed = LinearParameters { weight: Flex::pack_transposed(weight.clone(), out, Precision::F32), bias: bias.clone() };
        let length = if axis == Axis::Rows { frames } else { 4 * frames - cut };
        let reference = default::transposed_gelu::<Flex>(x.clone(), LinearParameters { weight, bias }, axis, length, activate);
        same(Flex::transposed_gelu(x, packed, axis, length, activate), reference);
    }

    #[test]
    fn residual_branches(items in 1..3_usize, hidden in 1..7_usize, rows in 1..4_usize, frames in frames(), deep in 0..3_u32) {
        let channels = 8 * hidden;
        let dilation = 2_usize.pow(deep);
        let x = tensor(1, [items, channels, rows, frames]);
        let [compress, plain_compress] = layer(2, hidden, 3 * channels);
        let [expand, plain_expand] = layer(4, 2 * channels, hidden);
        let (norm1, norm2) = (norm(6, hidden), norm(8, 2 * channels));
        let branch = |compress: LinearParameters<Flex>, expand: LinearParameters<Flex>| DConvParameters {
            compress: compress.weight,
            compress_bias: compress.bias,
            norm1: norm1.weight.clone(),
            norm1_bias: norm1.bias.clone(),
            expand: expand.weight,
            expand_bias: expand.bias,
            norm2: norm2.weight.clone(),
            norm2_bias: norm2.bias.clone(),
            scale: tensor(10, [channels]),
            dilation,
        };
        let reference = default::dconv::<Flex>(x.clone(), branch(plain_compress, plain_expand));
        same(Flex::dconv(x, branch(compress, expand)), reference);
    }

    #[test]
    fn linear_layers(items in 1..3_usize, input in 1..40_usize, out in 1..40_usize, rows in 1..4_usize, frames in frames()) {
        let x = tensor(1, [items, input, rows, frames]);
        let [packed, plain] = layer(2, out, input);
        same(Flex::linear(x.clone(), packed.clone()), default::linear::<Flex>(x.clone(), plain.clone()));
        let reference = default::norm_linear::<Flex>(x.clone(), norm(4, input), plain);
        same(Flex::norm_linear(x, norm(4, input), packed), reference);
    }

    #[test]
    fn feed_forward_parts(items in 1..3_usize, channels in 2..30_usize, hidden in 1..50_usize, frames in frames()) {
        let x = tensor(1, [items, channels, 1, frames]);
        let y = tensor(11, [items, channels, 1, frames]);
        let [first, plain_first] = layer(2, hidden, channels);
        let [second, plain_second] = layer(4, channels, hidden);
        let [square, plain_square] = layer(12, channels, channels);
        let scale = tensor(8, [channels]);
        let reference = default::linear_residual::<Flex>(x.clone(), y.clone(), plain_square, scale.clone());
        same(Flex::linear_residual(x.clone(), y, square, scale.clone()), reference);
        let reference =
            default::feed_forward::<Flex>(x.clone(), norm(6, channels), plain_first, plain_second, scale.clone());
        same(Flex::feed_forward(x, norm(6, channels), first, second, scale), reference);
    }

    #[test]
    fn attention(items in 1..3_usize, heads in 1..4_usize, width in 1..20_usize, frames in frames(), others in frames()) {
        let channels = heads * width;
        let x = tensor(1, [items, channels, 1, frames]);
        let other = tensor(2, [items, 2 * channels, 1, others]);
        let firsts = [0, 0, channels];
        let reference = default::attention::<Flex>(x.clone(), other.clone(), firsts, [heads, channels]);
        same(Flex::attention(x, other, firsts, heads, channels, Precision::F32), reference);
    }

    #[test]
    fn norms(items in 1..3_usize, channels in 1..30_usize, rows in 1..4_usize, frames in frames()) {
        let x = tensor(1, [items, channels, rows, frames]);
        let table = tensor(2, [1, channels, rows, frames]);
        let reference = default::group_norm::<Flex>(x.clone(), norm(4, channels));
        same(Flex::group_norm(x.clone(), norm(4, channels)), reference);
        let reference = default::position_norm::<Flex>(x.clone(), norm(4, channels), table.clone());
        same(Flex::position_norm(x, norm(4, channels), table), reference);
    }
}

/// Scores far apart and far beyond the range of exp: each query gets the mean of the loud keys' values and nothing from
/// the others, whichever block of keys they are in.
#[test]
fn attention_handles_scores_beyond_exp_range() {
    let (queries, keys, channels) = (5, 700, 4);
    let x = FlexTensor::from_data(TensorData::new(vec![100.0_f32; channels * queries], [1, channels, 1, queries]));
    for loud in [0..10, 300..310, 690..700_usize] {
        let of_key = |key: usize| if loud.contains(&key) { 100.0 } else { -100.0 };
        let mut other: Vec<f32> = (0..channels * keys).map(|i| of_key(i % keys)).collect();
        other.extend((0..channels * keys).map(|i| (i % keys) as f32));
        let other = FlexTensor::from_data(TensorData::new(other, [1, 2 * channels, 1, keys]));
        let mean = (loud.start + loud.end - 1) as f32 / 2.0;
        let out = floats(Flex::attention(x.clone(), other, [0, 0, channels], 1, channels, Precision::F32));
        assert!(out.iter().all(|v| (v - mean).abs() < 1e-3), "{loud:?}: {out:?}");
    }
}

/// Unshared values are changed in place; shared values are copied.
#[test]
fn unshared_values_change_in_place() {
    let at = |x: &FlexTensor| x.storage::<f32>().as_ptr();
    let x = tensor(1, [1, 8, 1, 50]);
    let before = at(&x);
    let y = Flex::group_norm(x, norm(4, 8));
    assert_eq!(at(&y), before);
    let (held, values) = (y.clone(), floats(y.clone()));
    let z = Flex::group_norm(y, norm(6, 8));
    assert_ne!(at(&z), before);
    assert_eq!(floats(held), values);
}

/// Silence stays finite, NaN propagates, and denormals do not fail.
#[test]
fn silence_nan_and_denormals_are_handled() {
    let [packed, _] = layer(2, 12, 6);
    let of = |value: f32| {
        let x = FlexTensor::from_data(TensorData::new(vec![value; 6 * 50], [1, 6, 1, 50]));
        floats(Flex::conv_glu(x, GluExtra::None, packed.clone(), [1, 1]))
    };
    assert!(of(0.0).iter().all(|v| v.is_finite()));
    assert!(of(1e-40).iter().all(|v| v.is_finite()));
    assert!(of(1e30).iter().all(|v| v.is_finite()));
    assert!(of(f32::NAN).iter().all(|v| v.is_nan()));
    // NaN in the gate only; in the signal it would hide the sigmoid's result.
    let bias = [vec![1.0_f32; 6], vec![f32::NAN; 6]].concat();
    let gated = LinearParameters { bias: FlexTensor::from_data(TensorData::new(bias, [12])), ..packed.clone() };
    let x = FlexTensor::from_data(TensorData::new(vec![1.0_f32; 6 * 50], [1, 6, 1, 50]));
    assert!(floats(Flex::conv_glu(x, GluExtra::None, gated, [1, 1])).iter().all(|v| v.is_nan()));
    let silent = FlexTensor::from_data(TensorData::new(vec![0.0_f32; 8 * 50], [1, 8, 1, 50]));
    assert!(floats(Flex::group_norm(silent.clone(), norm(4, 8))).iter().all(|v| v.is_finite()));
    let [packed, _] = layer(2, 24, 8);
    let qkv = Flex::linear(silent, packed);
    assert!(floats(Flex::attention(qkv.clone(), qkv, [0, 8, 16], 2, 8, Precision::F32)).iter().all(|v| v.is_finite()));
}

/// One thread and several give the same bits.
#[test]
fn results_do_not_depend_on_thread_count() {
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let x = tensor(1, [1, 16, 1, 5000]);
            let parameters = DConvParameters {
                compress: Flex::pack(tensor(2, [2, 48]), Precision::F32),
                compress_bias: tensor(3, [2]),
                norm1: tensor(4, [2]),
                norm1_bias: tensor(5, [2]),
                expand: Flex::pack(tensor(6, [32, 2]), Precision::F32),
                expand_bias: tensor(7, [32]),
                norm2: tensor(8, [32]),
                norm2_bias: tensor(9, [32]),
                scale: tensor(10, [16]),
                dilation: 2,
            };
            let linear = |seed, rows, terms| LinearParameters {
                weight: Flex::pack(tensor(seed, [rows, terms]), Precision::F32),
                bias: tensor(seed + 1, [rows]),
            };
            let x = Flex::group_norm(Flex::dconv(x, parameters), norm(11, 16));
            let weight = Flex::pack_glu(tensor(13, [32, 48]), [1, 3], Precision::F32);
            let x = Flex::conv_glu(x, GluExtra::None, LinearParameters { weight, bias: tensor(14, [32]) }, [1, 3]);
            let x = Flex::strided_gelu(x, linear(15, 16, 128), Axis::Frames);
            let qkv = Flex::norm_linear(x.clone(), norm(17, 16), linear(19, 48, 16));
            let x = Flex::linear_residual(
                x,
                Flex::attention(qkv.clone(), qkv, [0, 16, 32], 2, 16, Precision::F32),
                linear(21, 16, 16),
                tensor(23, [16]),
            );
            let x = Flex::feed_forward(x, norm(24, 16), linear(26, 64, 16), linear(28, 16, 64), tensor(30, [16]));
            let weight = Flex::pack_transposed(tensor(31, [16, 16 * TAPS]), 16, Precision::F32);
            let layer = LinearParameters { weight, bias: tensor(32, [16]) };
            floats(Flex::transposed_gelu(x, layer, Axis::Frames, 5000, true))
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
        let [Record { cost, .. }] = recording.take()[..] else { panic!("one operation") };
        [usize::try_from(cost.flop).unwrap(), cost.values]
    };
    let linear = || drop(super::linear(x(), None, &layer(3, 4)));
    assert_eq!(cost(&linear), [2 * 3 * 4 * 20, 3 * 5 + 80 + 3 * 20]);
    let strided = || drop(super::strided_gelu(x(), &layer(3, 4 * TAPS), Axis::Rows));
    assert_eq!(cost(&strided)[0], 2 * 3 * 4 * 8 * 5);
    let gated = || drop(super::conv_glu(x(), Extra::Skip(x()), &layer(6, 36), [3, 3]));
    assert_eq!(cost(&gated), [2 * 6 * 36 * 20, 6 * 37 + 2 * 80 + 3 * 20]);
    let attention =
        || drop(super::attention(x(), Tensor::ones([1, 4, 1, 30], &device), [0, 0, 0], [2, 4], Precision::F32));
    assert_eq!(cost(&attention), [2 * 2 * 4 * 20 * 30, 4 * (20 + 20 + 30 + 30)]);
    drop(recording);
    linear();
    assert!(Recording::begin().take().is_empty(), "no recording was active");
}

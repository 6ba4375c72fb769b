//! Compares each operation on a GPU, with our kernels and with burn's operations, with the CPU, over the network's
//! shapes.

use burn::tensor::{Device, Tensor};
use vocalizer_kernels::gemm::Precision;

use super::tests::values;
use super::{Axis, DConvLayer, Extra, Linear, Norm, TAPS, kernels};
use crate::gpus;

fn tensor<const N: usize>(seed: u64, shape: [usize; N], device: &Device) -> Tensor<N> {
    Tensor::from_data(values(seed, shape), device)
}

fn layer(seed: u64, rows: usize, terms: usize, device: &Device) -> Linear {
    Linear {
        weight: super::pack(tensor(seed, [rows, terms], device), Precision::F32),
        bias: tensor(seed + 1, [rows], device),
    }
}

fn norm(seed: u64, channels: usize, device: &Device) -> Norm {
    Norm { weight: tensor(seed, [channels], device), bias: tensor(seed + 1, [channels], device) }
}

type Case = (String, Box<dyn Fn(&Device) -> Tensor<4>>);

/// Adds an operation of the network to the cases, with a name.
macro_rules! case {
    ($cases:ident, $device:ident => $operation:expr, $($name:tt)*) => {
        $cases.push((format!($($name)*), Box::new(move |$device: &Device| $operation)))
    };
}

/// Returns every operation with the channel counts of htdemucs at each level. Rows and frames are the network's own on
/// a GPU, and fewer, odd ones in software, which would take minutes otherwise.
fn cases(whole: bool, items: usize) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let levels = [(4, 48, 512, 85_995), (48, 96, 128, 21_499), (96, 192, 32, 5_375), (192, 384, 8, 1_344)];
    for (input, channels, rows, frames_t) in levels {
        let input_t = if input == 4 { 2 } else { input };
        let (rows, frames, frames_t) = if whole { (rows, 336, frames_t) } else { (3, 45, 301) };
        case!(cases, d => super::strided_gelu(tensor(1, [items, input, 4 * rows, frames], d), &layer(2, channels, TAPS * input, d), Axis::Rows),
            "encoder {input} to {channels} over rows");
        case!(cases, d => super::strided_gelu(tensor(1, [items, input_t, 1, 4 * frames_t - 1], d), &layer(2, channels, TAPS * input_t, d), Axis::Frames),
            "encoder {input_t} to {channels} over frames");
        for (rows, frames) in [(rows, frames), (1, frames_t)] {
            let shape = [items, channels, rows, frames];
            for dilation in [1, 2] {
                case!(cases, d => super::dconv(tensor(1, shape, d), &dconv_layer(channels, dilation, d)),
                    "dconv {shape:?}, dilation {dilation}");
            }
            case!(cases, d => super::conv_glu(tensor(1, shape, d), Extra::None, &layer(2, 2 * channels, channels, d), [1, 1]),
                "rewrite {shape:?}");
            let taps = if rows == 1 { [1, 3] } else { [3, 3] };
            case!(cases, d => super::conv_glu(tensor(1, shape, d), Extra::Skip(tensor(4, shape, d)), &layer(2, 2 * channels, channels * taps[0] * taps[1], d), taps),
                "rewrite {taps:?} with a skip {shape:?}");
        }
        case!(cases, d => super::conv_glu(tensor(1, [items, channels, rows, frames], d), Extra::Embedding(tensor(4, [channels, rows], d)), &layer(2, 2 * channels, channels, d), [1, 1]),
            "rewrite {channels} with an embedding");
        // The outermost level outputs the stems.
        let [out, out_t] = if input == 4 { [16, 8] } else { [input, input] };
        for activate in [false, true] {
            case!(cases, d => super::transposed_gelu(tensor(1, [items, channels, rows, frames], d), &transposed(channels, out, d), Axis::Rows, frames, activate),
                "decoder {channels} to {out} over rows, {activate}");
            case!(cases, d => super::transposed_gelu(tensor(1, [items, channels, 1, frames_t], d), &transposed(channels, out_t, d), Axis::Frames, 4 * frames_t - 3, activate),
                "decoder {channels} to {out_t} over frames, {activate}");
        }
    }
    // Narrow heads leave room for more keys at once, as on most GPUs.
    case!(cases, d => {
        let x = tensor(1, [items, 3 * 128, 3, 67], d);
        super::attention(x.clone() * 4.0, x, [0, 128, 256], [8, 128], Precision::F32)
    }, "attention of narrow heads");
    // The transformer, with and without samplers.
    for (channels, hidden) in [(512, 2048), (384, 1536)] {
        let (rows, frames, frames_t) = if whole { (8, 336, 1344) } else { (2, 37, 75) };
        let (shape, shape_t) = ([items, channels, rows, frames], [items, channels, 1, frames_t]);
        case!(cases, d => super::linear(tensor(1, [items, 384, rows, frames], d), None, &layer(2, channels, 384, d)), "sampler to {channels}");
        case!(cases, d => super::position_norm(tensor(1, shape, d), &norm(2, channels, d), tensor(4, [1, channels, rows, frames], d)), "positions {shape:?}");
        case!(cases, d => super::group_norm(tensor(1, shape, d), &norm(2, channels, d)), "group norm {shape:?}");
        case!(cases, d => super::linear(tensor(1, shape, d), Some(&norm(2, channels, d)), &layer(4, 3 * channels, channels, d)), "queries, keys and values {shape:?}");
        case!(cases, d => super::linear_residual(tensor(1, shape, d), tensor(2, shape, d), &layer(4, channels, channels, d), &tensor(6, [channels], d)), "projection {shape:?}");
        case!(cases, d => super::feed_forward(tensor(1, shape, d), &norm(2, channels, d), [&layer(4, hidden, channels, d), &layer(6, channels, hidden, d)], &tensor(8, [channels], d)), "feed forward {shape:?}");
        case!(cases, d => {
            let x = tensor(1, [items, 3 * channels, rows, frames], d);
            super::attention(x.clone() * 4.0, x, [0, channels, 2 * channels], [8, channels], Precision::F32)
        }, "attention {shape:?}");
        case!(cases, d => super::attention(tensor(1, shape_t, d) * 4.0, tensor(2, [items, 2 * channels, rows, frames], d), [0, 0, channels], [8, channels], Precision::F32),
            "attention of {shape_t:?} to {shape:?}");
    }
    cases
}

fn transposed(channels: usize, out: usize, device: &Device) -> Linear {
    Linear {
        weight: super::pack_transposed(tensor(2, [channels, TAPS * out], device), out, Precision::F32),
        bias: tensor(3, [out], device),
    }
}

fn dconv_layer(channels: usize, dilation: usize, device: &Device) -> DConvLayer {
    let hidden = channels / 8;
    DConvLayer {
        compress: layer(2, hidden, 3 * channels, device),
        norm1: norm(4, hidden, device),
        expand: layer(6, 2 * channels, hidden, device),
        norm2: norm(8, 2 * channels, device),
        scale: tensor(10, [channels], device),
        dilation,
    }
}

/// Returns the largest difference, relative to the largest value.
pub(super) fn difference(got: Tensor<4>, expected: Tensor<4>) -> Result<f32, String> {
    assert_eq!(got.dims(), expected.dims());
    let values = |x: Tensor<4>| -> Result<Vec<f32>, String> {
        Ok(x.try_into_data().map_err(|e| e.to_string())?.try_into_vec().expect("32-bit values"))
    };
    let (got, expected) = (values(got)?, values(expected)?);
    let largest = expected.iter().fold(1.0_f32, |max, v| max.max(v.abs()));
    let apart = got.iter().zip(&expected).map(|(a, b)| (a - b).abs());
    Ok(apart.fold(0.0_f32, |max, apart| if apart.is_nan() { apart } else { max.max(apart) }) / largest)
}

fn compare(plain: bool, items: usize) {
    let Some((gpus::Gpu { device: gpu, is_software, .. }, _one)) = gpus::for_tests() else { return };
    let device = Device::from(gpu.clone());
    kernels::set_plain(&gpu, plain);
    assert_eq!(kernels::ways(&gpu), [plain], "new networks must use the same kernels as loaded ones");
    let mut wrong = Vec::new();
    for (name, run) in cases(!is_software, items) {
        let began = std::time::Instant::now();
        let apart = difference(run(&device), run(&Device::flex()));
        println!("{name}: {apart:?} in {:.1?}", began.elapsed());
        if apart.as_ref().map_or(true, |apart| apart.is_nan() || *apart > 2e-5) {
            wrong.push(format!("{name}: {apart:?}"));
        }
    }
    kernels::set_plain(&gpu, false);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn our_kernels_match_cpu() {
    compare(false, 2);
}

#[test]
fn our_kernels_match_cpu_without_a_batch() {
    compare(false, 1);
}

#[test]
fn burn_operations_match_cpu() {
    compare(true, 1);
    compare(true, 2);
}

//! Compares the operations on a GPU, which are burn's, with the CPU.

use burn::tensor::{DType, Device, Tensor, TensorData};

use super::super::gpu_tests::difference;
use super::super::tests::values;
use super::{Attention, Linear};
use crate::gpus;
use vocalizer_kernels::conv::Axis;
use vocalizer_kernels::gemm::Precision;

fn tensor<const N: usize>(seed: u64, shape: [usize; N], device: &Device) -> Tensor<N> {
    Tensor::from_data(values(seed, shape), device)
}

fn layer(seed: u64, rows: usize, terms: usize, device: &Device) -> Linear {
    Linear {
        weight: super::pack(tensor(seed, [rows, terms], device), Precision::F32),
        bias: tensor(seed + 1, [rows], device),
    }
}

fn attend(device: &Device, axis: Axis, [channels, rows, frames]: [usize; 3]) -> Tensor<4> {
    let (heads, width) = (2, 16);
    let attention = Attention {
        qkv: super::pack(tensor(2, [heads * 3 * width, channels], device), Precision::F32),
        gates: layer(3, heads, channels, device),
        out: super::pack(tensor(5, [channels, heads * width], device), Precision::F32),
        heads,
        width,
    };
    let positions = if axis == Axis::Frames { frames } else { rows };
    let angles = tensor::<2>(6, [width / 2, positions], device) * 3.0;
    super::attention(
        tensor(1, [1, channels, rows, frames], device),
        &attention,
        [angles.clone().cos(), angles.sin()],
        axis,
    )
}

#[test]
fn operations_match_cpu() {
    let Some((gpus::Gpu { device: gpu, .. }, _one)) = gpus::for_tests() else { return };
    let gpu = Device::from(gpu);
    type Operation<'a> = &'a dyn Fn(&Device) -> Tensor<4>;
    let cases: [(&str, Operation<'_>); 6] = [
        ("split", &|d| {
            super::split_bands(
                tensor(1, [2, 4, 9, 21], d),
                &[layer(2, 8, 12, d), layer(4, 8, 28, d)],
                &[[0, 3], [2, 7]],
            )
        }),
        ("norm", &|d| super::rms_norm(tensor(1, [2, 12, 5, 21], d), &tensor(2, [12], d))),
        ("time", &|d| attend(d, Axis::Frames, [12, 5, 37])),
        ("bands", &|d| attend(d, Axis::Rows, [12, 5, 37])),
        ("feed", &|d| super::feed_forward(tensor(1, [2, 12, 5, 21], d), [&layer(2, 48, 12, d), &layer(4, 12, 48, d)])),
        ("masks", &|d| {
            let layers = [layer(2, 24, 12, d), layer(4, 16, 24, d), layer(6, 24, 12, d), layer(8, 40, 24, d)];
            super::band_masks(tensor(1, [2, 12, 2, 21], d), &layers, 2)
        }),
    ];
    for (name, run) in cases {
        let apart = difference(run(&gpu), run(&Device::flex()));
        assert!(apart.as_ref().is_ok_and(|apart| *apart < 2e-5), "{name}: {apart:?}");
    }
}

/// In 16 bits, the least length to divide by would be zero.
#[test]
fn silence_in_half_precision_stays_silent() {
    let Some((gpus::Gpu { device: gpu, .. }, _one)) = gpus::for_tests() else { return };
    let gpu = Device::from(gpu);
    if !gpu.supports_dtype(DType::F16) {
        println!("skipped: no half precision");
        return;
    }
    let scale = Tensor::from_data(values(2, [12]), (&gpu, DType::F16));
    let silent = Tensor::from_data(TensorData::zeros::<f32, _>([1, 12, 5, 21]), (&gpu, DType::F16));
    let y = super::rms_norm(silent, &scale).into_data().convert::<f32>();
    assert!(y.try_into_vec::<f32>().unwrap().iter().all(|&v| v == 0.0));
}

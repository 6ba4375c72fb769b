//! Times a full-size RoFormer with random weights on the CPU, by operation, and compares its speed with that of matrix
//! products that fit into the caches:
//!
//! ```console
//! cargo run --release -p vocalizer-kernels --example roformer -- mel-kim 8
//! ```
//!
//! The arguments are `mel-kim`, `bs-anvuew` or `bs-viperx`, and seconds of audio. The Fourier transforms are left out.

use std::collections::BTreeMap;
use std::time::Instant;

use vocalizer_kernels::conv::Axis;
use vocalizer_kernels::gemm::{Panels, padded_rows};
use vocalizer_kernels::memory::Keeper;
use vocalizer_kernels::transformer::Linear;
use vocalizer_kernels::{Extent, bands, rms, roofline, rotary};

/// Widths of Mel-Band RoFormer's bands.
const MEL: [usize; 60] = [
    7, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 7, 7, 7, 9, 9, 9, 10, 10, 11, 13, 13, 13, 15, 16, 17, 19, 20, 20, 22,
    24, 26, 28, 29, 31, 33, 36, 39, 41, 44, 47, 50, 54, 57, 61, 66, 71, 76, 80, 86, 93, 99, 105, 113, 122, 130,
];

const HEADS: usize = 8;
const WIDTH: usize = 64;

/// A linear layer's packed weights and bias.
struct Layer {
    weights: Vec<f32>,
    bias: Vec<f32>,
    terms: usize,
}

impl Layer {
    fn random(noise: &mut Noise, rows: usize, terms: usize) -> Self {
        let scale = (3.0 / terms as f32).sqrt();
        let weights = (0..padded_rows(rows) * terms).map(|_| scale * noise.next()).collect();
        Self { weights, bias: (0..rows).map(|_| noise.next() / 8.0).collect(), terms }
    }

    fn panels(&self) -> Panels<'_> {
        Panels::new(&self.weights, self.bias.len(), self.terms)
    }

    fn linear(&self) -> Linear<'_> {
        Linear { weights: self.panels(), bias: &self.bias }
    }
}

struct Noise(u32);

impl Noise {
    /// Returns a value between -1 and 1.
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) as f32 / 8_388_608.0 - 1.0
    }
}

/// Seconds and floating point operations by operation.
#[derive(Default)]
struct Times(BTreeMap<&'static str, [f64; 2]>);

impl Times {
    fn time(&mut self, name: &'static str, flop: usize, work: impl FnOnce()) {
        let began = Instant::now();
        work();
        let sums = self.0.entry(name).or_default();
        sums[0] += began.elapsed().as_secs_f64();
        sums[1] += flop as f64;
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let name = arguments.first().map_or("mel-kim", String::as_str);
    let (dim, depth, mask_depth, hop) = match name {
        "mel-kim" => (384, 6, 3, 441),
        "bs-anvuew" => (256, 12, 2, 512),
        "bs-viperx" => (512, 12, 2, 441),
        _ => panic!("unknown network {name}"),
    };
    let seconds: f64 = arguments.get(1).map_or(8.0, |text| text.parse().expect("seconds"));
    #[expect(clippy::cast_sign_loss, reason = "a length")]
    let frames = (seconds * 44_100.0 / f64::from(hop)) as usize + 1;
    let widths: Vec<usize> = if name == "mel-kim" {
        MEL.to_vec()
    } else {
        let groups = [(2, 24), (4, 12), (12, 8), (24, 8), (48, 8), (128, 1), (129, 1)];
        groups.iter().flat_map(|&(width, times)| std::iter::repeat_n(width, times)).collect()
    };
    let mut first = 0;
    let bands_at: Vec<[usize; 2]> = widths
        .iter()
        .map(|&bins| {
            first += bins;
            [(first - bins) % (1026 - bins), bins]
        })
        .collect();

    let mut noise = Noise(1);
    let splits: Vec<Layer> = widths.iter().map(|bins| Layer::random(&mut noise, dim, 4 * bins)).collect();
    let inner = HEADS * WIDTH;
    let blocks: Vec<[Layer; 5]> = (0..2 * depth)
        .map(|_| {
            [
                Layer::random(&mut noise, 3 * inner, dim),
                Layer::random(&mut noise, HEADS, dim),
                Layer::random(&mut noise, dim, inner),
                Layer::random(&mut noise, 4 * dim, dim),
                Layer::random(&mut noise, dim, 4 * dim),
            ]
        })
        .collect();
    let mut masks = Vec::new();
    for bins in &widths {
        for index in 0..mask_depth {
            let terms = if index == 0 { dim } else { 4 * dim };
            masks.push(Layer::random(&mut noise, if index + 1 == mask_depth { 8 * bins } else { 4 * dim }, terms));
        }
    }
    let table = |length: usize, of: fn(f32) -> f32| -> Vec<f32> {
        (0..WIDTH / 2 * length)
            .map(|i| of((i % length) as f32 * 10_000_f32.powf(-((i / length) as f32) / 32.0)))
            .collect()
    };

    let _keeper = Keeper::default();
    let spectrum: Vec<f32> = (0..4 * 1025 * frames).map(|_| noise.next()).collect();
    let from = Extent { items: 1, channels: 4, rows: 1025, frames };
    let x = Extent { items: 1, channels: dim, rows: widths.len(), frames };
    let positions = x.rows * x.frames;
    let mut values = vec![0.0; x.len()];
    let bins: usize = widths.iter().sum();
    let mut out = vec![0.0; 4 * bins * frames];
    let scale = vec![(dim as f32).sqrt(); dim];
    let peak = roofline::flop_per_second();
    let flop_of = |layers: &[Layer]| layers.iter().map(|layer| layer.bias.len() * layer.terms).sum::<usize>();
    for _ in 0..2 {
        let mut times = Times::default();
        times.time("split", 2 * frames * flop_of(&splits), || {
            let layers: Vec<_> = splits.iter().map(Layer::linear).collect();
            bands::split((&spectrum, from), &layers, &bands_at, &mut values);
        });
        for (index, [qkv, gates, out, up, down]) in blocks.iter().enumerate() {
            let (name, axis, length) = if index % 2 == 0 {
                ("attention, time", Axis::Frames, frames)
            } else {
                ("attention, bands", Axis::Rows, x.rows)
            };
            let weights = 4 * inner * dim + HEADS * dim;
            let (cos, sin) = (table(length, f32::cos), table(length, f32::sin));
            let layer = rotary::Layer {
                qkv: qkv.panels(),
                gates: gates.linear(),
                out: out.panels(),
                cos: &cos,
                sin: &sin,
                heads: HEADS,
                width: WIDTH,
            };
            times.time(name, 2 * positions * (weights + 2 * inner * length), || {
                rotary::attention((&mut values, x), layer, axis);
            });
            times.time("feed-forward", 16 * positions * dim * dim, || {
                rms::feed_forward((&mut values, x), up.linear(), down.linear());
            });
            times.time("norm", 0, || rms::rms_norm((&mut values, x), &scale));
        }
        times.time("masks", 2 * frames * flop_of(&masks), || {
            let layers: Vec<_> = masks.iter().map(Layer::linear).collect();
            bands::masks((&values, x), &layers, mask_depth, &mut out);
        });
        let all = times.0.values().fold([0.0; 2], |sum, one| [sum[0] + one[0], sum[1] + one[1]]);
        println!("{name}, {seconds} s of audio; products in the caches: {:.1} GFLOP/s", peak / 1e9);
        for (name, [seconds, flop]) in times.0.iter().chain([(&"all", &all)]) {
            let rate = flop / seconds / 1e9;
            println!("{name:18} {seconds:8.3} s {rate:8.1} GFLOP/s {:6.1} %", 1e11 * rate / peak);
        }
    }
    assert!(out.iter().all(|v| v.is_finite()));
}

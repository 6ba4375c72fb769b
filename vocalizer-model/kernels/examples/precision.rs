//! Times layers of HTDemucs and RoFormer in each precision, with random weights, and measures the loss:
//!
//! ```console
//! cargo run --release -p vocalizer-kernels --example precision
//! ```
//!
//! Each line has the GFLOP/s in f32, then for bf16, int16 and int8 the speed relative to it and the signal to error ratio.

mod layer;
mod noise;

use std::time::Instant;

use vocalizer_kernels::attention::{Projection, attention};
use vocalizer_kernels::conv::{self, Axis, GluExtras};
use vocalizer_kernels::gemm::Precision;
use vocalizer_kernels::memory::Keeper;
use vocalizer_kernels::transformer;
use vocalizer_kernels::{Extent, rms, roofline, rotary};

use self::layer::Layer;
use self::noise::Noise;

/// Rounds per layer; the fastest counts.
const ROUNDS: usize = 8;

/// Returns the floating point operations per position.
fn flop_of(layer: &Layer) -> usize {
    2 * layer.bias.len() * layer.terms
}

/// Prints a line; `work` writes its output to the memory, which holds the same values before each round.
fn measure(name: &str, flop: usize, start: &[f32], work: impl Fn(Precision, &mut [f32])) {
    let mut outs = Precision::ALL.map(|_| start.to_vec());
    let mut seconds = Precision::ALL.map(|_| f64::MAX);
    // By turns, so that the machine's other work does not change the ratios.
    for _ in 0..ROUNDS {
        for ((precision, out), seconds) in Precision::ALL.into_iter().zip(&mut outs).zip(&mut seconds) {
            out.copy_from_slice(start);
            let began = Instant::now();
            work(precision, out);
            *seconds = seconds.min(began.elapsed().as_secs_f64());
        }
    }
    let mut line = format!("{name:38} {:7.1}", flop as f64 / 1e9 / seconds[0]);
    let exact = &outs[0];
    for (out, other) in outs.iter().zip(seconds).skip(1) {
        let (mut signal, mut error) = (0.0, 0.0);
        for ((exact, made), start) in exact.iter().zip(out).zip(start) {
            signal += f64::from(exact - start).powi(2);
            error += f64::from(exact - made).powi(2);
        }
        line += &format!("   {:5.2} × {:5.1} dB", seconds[0] / other, 10.0 * (signal / error).log10());
    }
    println!("{line}");
}

fn main() {
    let _keeper = Keeper::default();
    let noise = &mut Noise(1);
    for precision in Precision::ALL {
        let rate = roofline::operations_per_second(precision) / 1e9;
        let with = precision.instructions().unwrap_or("expanded to f32");
        let registers = roofline::register_operations_per_second(precision).unwrap_or_default() / 1e9;
        println!("{precision:?}: {registers:.0} GFLOP/s in registers, {rate:.0} in the caches, {with}");
    }

    // HTDemucs' encoder and decoder of the spectrum, each with a quarter of its rows.
    for (channels, rows) in [(48, 128), (96, 32), (192, 32), (384, 8)] {
        let x = Extent { items: 1, channels, rows, frames: 336 };
        let values = noise.values(x.len());
        let positions = rows * x.frames;
        for taps in [[1, 1], [3, 3]] {
            let layer = Layer::with_taps(noise, 2 * channels, channels, taps);
            let name = format!("GLU convolution {} × {}, {channels}", taps[0], taps[1]);
            measure(&name, flop_of(&layer) * positions, &vec![0.0; x.len()], |precision, out| {
                let extras = GluExtras::default();
                conv::conv_glu((&values, x), layer.packed(precision), &layer.bias, taps, extras, out);
            });
        }
        let layer = Layer::random(noise, 2 * channels, conv::TAPS * channels);
        let y = conv::strided(x, 2 * channels, Axis::Rows);
        let name = format!("strided convolution, {channels}");
        measure(&name, flop_of(&layer) * y.rows * y.frames, &vec![0.0; y.len()], |precision, out| {
            conv::strided_gelu((&values, x), layer.panels(precision), &layer.bias, Axis::Rows, out);
        });
        let layer = Layer::random(noise, conv::STRIDE * channels / 2, 2 * channels);
        let y = conv::transposed(x, channels / 2, Axis::Rows, x.frames);
        let name = format!("transposed convolution, {channels}");
        measure(&name, flop_of(&layer) * positions, &vec![0.0; y.len()], |precision, out| {
            let weights = layer.panels(precision);
            let bias = &layer.bias[..channels / 2];
            conv::transposed_gelu((&values, x), weights, bias, (Axis::Rows, true), (out, y));
        });
    }

    // HTDemucs' transformer.
    let x = Extent { items: 1, channels: 512, rows: 8, frames: 336 };
    let positions = x.rows * x.frames;
    let values = noise.values(x.len());
    let [ones, zeros] = [vec![1.0; 512], vec![0.0; 512]];
    let layer = Layer::random(noise, 1536, 512);
    let y = Extent { channels: 1536, ..x };
    measure("HTDemucs, norm and projections", flop_of(&layer) * positions, &vec![0.0; y.len()], |precision, out| {
        transformer::linear((&values, x), Some([&ones, &zeros]), layer.linear(precision), out);
    });
    let projections = noise.values(Extent { channels: 1536, ..x }.len());
    let [queries, keys, others] =
        [0, 512, 1024].map(|first| Projection { values: &projections, extent: Extent { channels: 1536, ..x }, first });
    let flop = 4 * positions * positions * x.channels;
    measure("HTDemucs, attention", flop, &vec![0.0; x.len()], |precision, out| {
        attention(queries, keys, others, [8, x.channels], precision, out);
    });
    let [up, down] = [[2048, 512], [512, 2048]].map(|[rows, terms]| Layer::random(noise, rows, terms));
    measure("HTDemucs, feed-forward", (flop_of(&up) + flop_of(&down)) * positions, &values, |precision, out| {
        let layers = [&up, &down].map(|layer| layer.linear(precision));
        transformer::feed_forward((out, x), [&ones, &zeros], layers[0], layers[1], &ones);
    });

    // Mel-Band RoFormer, two seconds.
    let (heads, width) = (8, 64);
    let x = Extent { items: 1, channels: 384, rows: 60, frames: 201 };
    let positions = x.rows * x.frames;
    let values = noise.values(x.len());
    let [up, down] = [[1536, 384], [384, 1536]].map(|[rows, terms]| Layer::random(noise, rows, terms));
    measure("RoFormer, feed-forward", (flop_of(&up) + flop_of(&down)) * positions, &values, |precision, out| {
        rms::feed_forward((out, x), up.linear(precision), down.linear(precision));
    });
    let qkv = Layer::random(noise, 3 * heads * width, 384);
    let gates = Layer::random(noise, heads, 384);
    let out_layer = Layer::random(noise, 384, heads * width);
    for (name, axis, length) in [("time", Axis::Frames, x.frames), ("bands", Axis::Rows, x.rows)] {
        let angles = (0..width / 2 * length).map(|i| (i % length) as f32 / (1 + i / length) as f32);
        let (cos, sin): (Vec<f32>, Vec<f32>) = angles.map(|angle| (angle.cos(), angle.sin())).unzip();
        let flop = flop_of(&qkv) + flop_of(&gates) + flop_of(&out_layer) + 4 * heads * width * length;
        measure(&format!("RoFormer, attention over {name}"), flop * positions, &values, |precision, out| {
            let layer = rotary::Layer {
                qkv: qkv.panels(precision),
                gates: gates.linear(precision),
                out: out_layer.panels(precision),
                cos: &cos,
                sin: &sin,
                heads,
                width,
            };
            rotary::attention((out, x), layer, axis);
        });
    }
}

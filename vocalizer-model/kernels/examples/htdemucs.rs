//! Times the kernels of a segment of HTDemucs at its published size, by operation and precision, with random weights:
//!
//! ```console
//! cargo run --release -p vocalizer-kernels --example htdemucs -- 5 f32 int16
//! ```
//!
//! The arguments are the number of rounds and precisions, by default all. They take turns in each round, and the fastest round
//! of each operation counts. The Fourier transforms are left out.

mod layer;
mod noise;

use std::collections::BTreeMap;
use std::time::Instant;

use vocalizer_kernels::attention::{Projection, attention};
use vocalizer_kernels::conv::{self, Axis, GluExtras};
use vocalizer_kernels::dconv::{self, DConvLayer};
use vocalizer_kernels::gemm::Precision;
use vocalizer_kernels::memory::Keeper;
use vocalizer_kernels::transformer;
use vocalizer_kernels::{Extent, norm};

use self::layer::Layer;
use self::noise::Noise;

/// Frames of the spectrogram, and samples of the waveform.
const FRAMES: usize = 336;
const SAMPLES: usize = 343_980;
/// Channels and rows of the levels of the spectrogram.
const LEVELS: [[usize; 2]; 4] = [[48, 512], [96, 128], [192, 32], [384, 8]];
/// Channels of the transformer and of its feed-forward parts, and its heads.
const WIDTH: usize = 512;
const HIDDEN: usize = 2048;
const HEADS: usize = 8;

struct Run<'a> {
    noise: Noise,
    values: &'a [f32],
    out: &'a mut [f32],
    rounds: usize,
    precisions: Vec<Precision>,
    /// Seconds in each precision, by operation.
    times: BTreeMap<&'static str, [f64; 4]>,
}

impl Run<'_> {
    /// Times an operation, `times` times per segment; `work` gets the output memory, which holds random values at first.
    fn time(&mut self, name: &'static str, times: f64, work: impl Fn(Precision, &[f32], &mut [f32])) {
        let mut seconds = [f64::MAX; 4];
        for _ in 0..self.rounds {
            for &precision in &self.precisions {
                let seconds = &mut seconds[precision as usize];
                self.out.copy_from_slice(self.values);
                let began = Instant::now();
                work(precision, self.values, self.out);
                *seconds = seconds.min(began.elapsed().as_secs_f64());
            }
        }
        let all = self.times.entry(name).or_default();
        all.iter_mut().zip(seconds).for_each(|(sum, seconds)| *sum += times * seconds);
    }

    /// A level of the encoder, or of the decoder.
    fn level(&mut self, axis: Axis, x: Extent, y: Extent, decodes: bool) {
        let taps = match (decodes, axis) {
            (false, _) => [1, 1],
            (true, Axis::Rows) => [3, 3],
            (true, Axis::Frames) => [1, 3],
        };
        let glu = Layer::with_taps(&mut self.noise, 2 * y.channels, y.channels, taps);
        self.time(if decodes { "conv_glu, decoder" } else { "conv_glu, encoder" }, 1.0, |precision, values, out| {
            let extras = GluExtras { skip: decodes.then(|| &values[..y.len()]), embedding: None };
            let out = &mut out[..y.len()];
            conv::conv_glu((&values[..y.len()], y), glu.packed(precision), &glu.bias, taps, extras, out);
        });
        let hidden = y.channels / 8;
        let compress = Layer::random(&mut self.noise, hidden, dconv::TAPS * y.channels);
        let expand = Layer::random(&mut self.noise, 2 * y.channels, hidden);
        let ones = vec![1.0; 2 * y.channels];
        for dilation in [1, 2] {
            self.time("dconv", 1.0, |precision, _, out| {
                let layer = DConvLayer {
                    compress: compress.panels(precision),
                    compress_bias: &compress.bias,
                    norm1: [&ones[..hidden]; 2],
                    expand: expand.panels(precision),
                    expand_bias: &expand.bias,
                    norm2: [&ones; 2],
                    scale: &ones[..y.channels],
                    dilation,
                };
                dconv::dconv(&mut out[..y.len()], y, &layer);
            });
        }
        if decodes {
            let layer = Layer::random(&mut self.noise, conv::STRIDE * x.channels, 2 * y.channels);
            self.time("transposed_gelu", 1.0, |precision, values, out| {
                let weights = layer.panels(precision);
                let (values, out) = ((&values[..y.len()], y), (&mut out[..x.len()], x));
                conv::transposed_gelu(values, weights, &layer.bias[..x.channels], (axis, x.channels > 16), out);
            });
        } else {
            let layer = Layer::random(&mut self.noise, y.channels, conv::TAPS * x.channels);
            self.time("strided_gelu", 1.0, |precision, values, out| {
                let values = (&values[..x.len()], x);
                conv::strided_gelu(values, layer.panels(precision), &layer.bias, axis, &mut out[..y.len()]);
            });
        }
    }

    /// The layers of the transformer for one branch: `positions` of its own and `others` of the other branch.
    fn transformer(&mut self, positions: usize, others: usize) {
        let [x, other] = [positions, others].map(|frames| Extent { items: 1, channels: WIDTH, rows: 1, frames });
        let ones = [1.0; WIDTH];
        let mut layer = |rows, terms| Layer::random(&mut self.noise, rows, terms);
        let (three, one, two) = (layer(3 * WIDTH, WIDTH), layer(WIDTH, WIDTH), layer(2 * WIDTH, WIDTH));
        let (up, down) = (layer(HIDDEN, WIDTH), layer(WIDTH, HIDDEN));
        for (times, layer, x) in [(3.0, &three, x), (2.0, &one, x), (2.0, &two, other)] {
            self.time("linear", times, |precision, values, out| {
                let layer = layer.linear(precision);
                let rows = layer.bias.len();
                let out = &mut out[..rows * x.frames];
                transformer::linear((&values[..x.len()], x), Some([&ones, &ones]), layer, out);
            });
        }
        for (times, y) in [(3.0, x), (2.0, other)] {
            self.time("attention", times, |precision, values, out| {
                let wide = |y: Extent| Extent { channels: 3 * WIDTH, ..y };
                let of = |y: Extent, first: usize| Projection {
                    values: &values[..wide(y).len()],
                    extent: wide(y),
                    first: first * WIDTH,
                };
                attention(of(x, 0), of(y, 1), of(y, 2), [HEADS, WIDTH], precision, &mut out[..x.len()]);
            });
        }
        self.time("linear_residual", 5.0, |precision, values, out| {
            let layer = one.linear(precision);
            transformer::linear_residual((&values[..x.len()], x), layer, &ones, &mut out[..x.len()]);
        });
        self.time("feed_forward", 5.0, |precision, _, out| {
            let [up, down] = [&up, &down].map(|layer| layer.linear(precision));
            transformer::feed_forward((&mut out[..x.len()], x), [&ones; 2], up, down, &ones);
        });
        self.time("group_norm", 5.0, |_, _, out| norm::group_norm(&mut out[..x.len()], x, [&ones; 2]));
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let rounds = arguments.first().map_or(3, |text| text.parse().expect("rounds"));
    let is_wanted = |precision: &Precision| {
        arguments.len() < 2 || arguments[1..].contains(&format!("{precision:?}").to_lowercase())
    };
    let precisions: Vec<_> = Precision::ALL.into_iter().filter(is_wanted).collect();
    let _keeper = Keeper::default();
    let mut noise = Noise(1);
    let most = 16 * 2048 * FRAMES;
    let values = noise.values(most);
    let mut run = Run { noise, values: &values, out: &mut vec![0.0; most], rounds, precisions, times: BTreeMap::new() };

    let item = |channels, rows, frames| Extent { items: 1, channels, rows, frames };
    for decodes in [false, true] {
        let (mut x, mut xt) = if decodes {
            (item(16, 2048, FRAMES), item(8, 1, SAMPLES))
        } else {
            (item(4, 2048, FRAMES), item(2, 1, SAMPLES))
        };
        for [channels, rows] in LEVELS {
            let (y, yt) = (item(channels, rows, FRAMES), item(channels, 1, xt.frames.div_ceil(conv::STRIDE)));
            run.level(Axis::Rows, x, y, decodes);
            run.level(Axis::Frames, xt, yt, decodes);
            (x, xt) = (y, yt);
        }
    }
    run.transformer(2688, 1344);
    run.transformer(1344, 2688);

    let names: String = run.precisions.iter().map(|precision| format!("{precision:>9?}")).collect();
    println!("{:20} {names}", "milliseconds");
    let all = run.times.values().fold([0.0; 4], |sums, seconds| std::array::from_fn(|i| sums[i] + seconds[i]));
    for (name, seconds) in run.times.iter().chain([(&"all", &all)]) {
        let of = |precision: &Precision| format!("{:9.1}", 1e3 * seconds[*precision as usize]);
        println!("{name:20} {}", run.precisions.iter().map(of).collect::<String>());
    }
}

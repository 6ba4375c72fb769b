//! Times HTDemucs' convolutions with three taps over frames, directly and by Winograd's transform, with random weights, and
//! measures the loss of both against sums in f64:
//!
//! ```console
//! cargo run --release -p vocalizer-kernels --example winograd
//! ```
//!
//! Each line has the time directly and transformed, the speed relative to the direct one, and the signal to error ratio
//! of both: on a signal that changes slowly over frames, and on white noise.

mod noise;

use std::time::Instant;

use vocalizer_kernels::Extent;
use vocalizer_kernels::conv::{self, GluExtras};
use vocalizer_kernels::gemm::{Precision, pack_as};
use vocalizer_kernels::memory::Keeper;

use self::noise::Noise;

/// Rounds per layer; the fastest counts.
const ROUNDS: usize = 12;

/// Values of the output that are compared with f64.
const COMPARED: usize = 2000;

/// Returns values of which each resembles the one before it.
fn signal(noise: &mut Noise, count: usize) -> Vec<f32> {
    let mut last = 0.0;
    let next = |_| {
        last = 0.9 * last + 0.44 * noise.next();
        last
    };
    (0..count).map(next).collect()
}

/// A GLU convolution of as many channels as its input has, without a bias.
struct Layer {
    x: Extent,
    tall: usize,
    weights: Vec<f32>,
    packed: [Vec<f32>; 2],
}

impl Layer {
    fn random(noise: &mut Noise, x: Extent, tall: usize) -> Self {
        let (rows, terms) = (2 * x.channels, 3 * tall * x.channels);
        let scale = (1.0 / terms as f32).sqrt();
        let weights: Vec<f32> = noise.values(rows * terms).iter().map(|v| scale * v).collect();
        let at = |row: usize, term: usize| weights[row * terms + term];
        let direct = pack_as(Precision::F32, rows, terms, at);
        let packed = [direct, conv::pack_same(Precision::F32, rows, x.channels, [tall, 3], at)];
        Self { x, tall, weights, packed }
    }

    fn run(&self, packed: &[f32], values: &[f32], out: &mut [f32]) {
        let bias = vec![0.0; 2 * self.x.channels];
        conv::conv_glu((values, self.x), packed, &bias, [self.tall, 3], GluExtras::default(), out);
    }

    /// Returns the sum of one output in f64.
    fn exact(&self, values: &[f32], output: usize, [row, frame]: [usize; 2]) -> f64 {
        let terms = 3 * self.tall * self.x.channels;
        let mut sum = 0.0;
        for term in 0..terms {
            let from = (row + term / 3 % self.tall).checked_sub(self.tall / 2).filter(|row| *row < self.x.rows);
            let at = (frame + term % 3).checked_sub(1).filter(|frame| *frame < self.x.frames);
            if let (Some(row), Some(frame)) = (from, at) {
                let line = term / 3 / self.tall * self.x.rows + row;
                sum += f64::from(self.weights[output * terms + term]) * f64::from(values[line * self.x.frames + frame]);
            }
        }
        sum
    }

    /// Returns the signal to error ratio in both formats.
    fn decibels(&self, values: &[f32]) -> [f64; 2] {
        let mut out = vec![0.0; self.x.len()];
        self.packed.each_ref().map(|packed| {
            self.run(packed, values, &mut out);
            let (mut signal, mut error) = (0.0, 0.0);
            for index in (0..out.len()).step_by((out.len() / COMPARED).max(1) | 1) {
                let (line, frame) = (index / self.x.frames, index % self.x.frames);
                let (channel, row) = (line / self.x.rows, line % self.x.rows);
                let [sum, gate] = [channel, self.x.channels + channel].map(|o| self.exact(values, o, [row, frame]));
                let exact = sum / (1.0 + (-gate).exp());
                signal += exact * exact;
                error += (exact - f64::from(out[index])).powi(2);
            }
            10.0 * (signal / error).log10()
        })
    }
}

fn main() {
    let _keeper = Keeper::default();
    let noise = &mut Noise(1);
    let mut total = [0.0; 2];
    for [channels, rows, frames, tall] in [
        [384, 8, 336, 3],
        [192, 32, 336, 3],
        [96, 128, 336, 3],
        [48, 512, 336, 3],
        [384, 1, 1344, 1],
        [192, 1, 5375, 1],
        [96, 1, 21499, 1],
        [48, 1, 85995, 1],
    ] {
        let x = Extent { items: 1, channels, rows, frames };
        let layer = Layer::random(noise, x, tall);
        let [signal, white] = [signal(noise, x.len()), noise.values(x.len())];
        let mut out = vec![0.0; x.len()];
        let mut seconds = [f64::MAX; 2];
        // By turns, so that the machine's other work does not change the ratio.
        for _ in 0..ROUNDS {
            for (packed, seconds) in layer.packed.iter().zip(&mut seconds) {
                let began = Instant::now();
                layer.run(packed, &signal, &mut out);
                *seconds = seconds.min(began.elapsed().as_secs_f64());
            }
        }
        total.iter_mut().zip(seconds).for_each(|(total, seconds)| *total += seconds);
        let gflop = (2 * layer.weights.len() * rows * frames) as f64 / 1e9;
        let ([signal, signal_made], [noise, noise_made]) = (layer.decibels(&signal), layer.decibels(&white));
        println!(
            "{tall} × 3, {channels:3} channels: {:5.1} ms ({:3.0} GFLOP/s), {:5.1} ms, {:4.2} ×; \
             signal {signal:5.1} and {signal_made:5.1} dB, white noise {noise:5.1} and {noise_made:5.1} dB",
            1e3 * seconds[0],
            gflop / seconds[0],
            1e3 * seconds[1],
            seconds[0] / seconds[1],
        );
    }
    println!("all: {:.1} ms, {:.1} ms, {:.2} ×", 1e3 * total[0], 1e3 * total[1], total[0] / total[1]);
}

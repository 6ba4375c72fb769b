//! Residual branches against their definition, in f64: few hidden channels and many, whole rows and long ones.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

use rayon::ThreadPoolBuilder;
use vocalizer_kernels::Extent;
use vocalizer_kernels::dconv::{DConvLayer, TAPS, dconv};
use vocalizer_kernels::gemm::{Panels, pack};

/// Returns values between -1 and 1.
fn noise(seed: u32, count: usize) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn gelu(x: f64) -> f64 {
    let z = (x * FRAC_1_SQRT_2).clamp(-4.0, 4.0);
    let (mut sum, mut power) = (0.0, z);
    for n in 0..80 {
        sum += power / f64::from(2 * n + 1);
        power *= -z * z / f64::from(n + 1);
    }
    0.5 * x * (1.0 + FRAC_2_SQRT_PI * sum)
}

/// Normalises the values of all rows together.
fn normalise(rows: &mut [Vec<f64>], weights: &[f32], shifts: &[f32]) {
    let count = (rows.len() * rows[0].len()) as f64;
    let mean = rows.iter().flatten().sum::<f64>() / count;
    let variance = rows.iter().flatten().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
    for ((row, &weight), &shift) in rows.iter_mut().zip(weights).zip(shifts) {
        row.iter_mut().for_each(|v| *v = (*v - mean) / (variance + 1e-5).sqrt() * f64::from(weight) + f64::from(shift));
    }
}

/// The parameters of a layer, as plain matrices.
struct Layer {
    hidden: usize,
    dilation: usize,
    compress: Vec<f32>,
    expand: Vec<f32>,
    /// Biases, scales and shifts.
    rest: Vec<f32>,
}

impl Layer {
    fn random(channels: usize, hidden: usize, dilation: usize) -> Self {
        let compress = noise(1, hidden * channels * TAPS);
        Self { hidden, dilation, compress, expand: noise(2, 2 * channels * hidden), rest: noise(3, 2 * channels) }
    }

    fn run(&self, values: &mut [f32], x: Extent) {
        let (hidden, terms) = (self.hidden, x.channels * TAPS);
        let compress = pack(hidden, terms, |row, term| self.compress[row * terms + term]);
        let expand = pack(2 * x.channels, hidden, |row, term| self.expand[row * hidden + term]);
        let layer = DConvLayer {
            compress: Panels::new(&compress, hidden, terms),
            compress_bias: &self.rest[..hidden],
            norm1: [&self.rest[..hidden]; 2],
            expand: Panels::new(&expand, 2 * x.channels, hidden),
            expand_bias: &self.rest,
            norm2: [&self.rest; 2],
            scale: &self.rest[..x.channels],
            dilation: self.dilation,
        };
        dconv(values, x, &layer);
    }

    /// Adds the branch to the rows of the channels.
    fn defined(&self, channels: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let frames = channels[0].len();
        let at = |channel: usize, frame: usize, tap: usize| {
            let frame = (frame + tap * self.dilation).checked_sub(self.dilation);
            frame.and_then(|frame| channels[channel].get(frame)).copied().unwrap_or(0.0)
        };
        let wide = |weights: &[f32], rows: usize, sum: &dyn Fn(&[f32], usize) -> f64| -> Vec<Vec<f64>> {
            let terms = weights.len() / rows;
            let row = |row: usize| {
                let weights = &weights[row * terms..][..terms];
                (0..frames).map(|frame| sum(weights, frame) + f64::from(self.rest[row])).collect()
            };
            (0..rows).map(row).collect()
        };
        let mut hidden = wide(&self.compress, self.hidden, &|weights, frame| {
            let terms = weights.iter().enumerate();
            terms.map(|(term, w)| f64::from(*w) * at(term / TAPS, frame, term % TAPS)).sum()
        });
        normalise(&mut hidden, &self.rest, &self.rest);
        hidden.iter_mut().flatten().for_each(|v| *v = gelu(*v));
        let mut made = wide(&self.expand, 2 * channels.len(), &|weights, frame| {
            weights.iter().zip(&hidden).map(|(w, row)| f64::from(*w) * row[frame]).sum()
        });
        normalise(&mut made, &self.rest, &self.rest);
        let (signals, gates) = made.split_at(channels.len());
        let added = |channel: usize| {
            let gated = signals[channel].iter().zip(&gates[channel]).map(|(s, g)| s / (1.0 + (-g).exp()));
            let scale = f64::from(self.rest[channel]);
            channels[channel].iter().zip(gated).map(|(x, v)| x + scale * v).collect()
        };
        (0..channels.len()).map(added).collect()
    }
}

#[test]
fn branches_follow_their_definition() {
    for (channels, hidden, dilation, rows, frames) in [
        (24, 3, 1, 3, 101),
        (20, 1, 2, 2, 336),
        (17, 15, 1, 2, 45),
        (40, 20, 2, 2, 130),
        (24, 3, 2, 1, 1501),
        (24, 18, 1, 1, 700),
    ] {
        let x = Extent { items: 2, channels, rows, frames };
        let layer = Layer::random(channels, hidden, dilation);
        let values = noise(4, x.len());
        let run = |threads: usize| {
            let mut made = values.clone();
            let pool = ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
            pool.install(|| layer.run(&mut made, x));
            made
        };
        let made = run(1);
        assert!(made == run(3), "threads change the result");
        for (item, row) in (0..x.items).flat_map(|item| (0..rows).map(move |row| (item, row))) {
            let of = |values: &[f32], channel: usize| -> Vec<f64> {
                let start = ((item * channels + channel) * rows + row) * frames;
                values[start..start + frames].iter().map(|v| f64::from(*v)).collect()
            };
            let from: Vec<Vec<f64>> = (0..channels).map(|channel| of(&values, channel)).collect();
            for (channel, exact) in layer.defined(&from).iter().enumerate() {
                let apart = of(&made, channel).iter().zip(exact).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                assert!(
                    apart < 2e-5,
                    "{channels} channels, {hidden} hidden, {frames} frames, channel {channel}: {apart}"
                );
            }
        }
    }
}

#[test]
fn nan_reaches_its_row_only() {
    for (hidden, frames) in [(3, 101), (3, 1501), (20, 101)] {
        let x = Extent { items: 1, channels: 24, rows: 2, frames };
        let layer = Layer::random(x.channels, hidden, 1);
        let mut values = noise(4, x.len());
        values[frames + 50] = f32::NAN;
        layer.run(&mut values, x);
        for (index, row) in values.chunks(frames).enumerate() {
            assert!(row.iter().all(|v| v.is_nan() == (index % 2 == 1)), "{hidden} hidden, row {index}");
        }
    }
}

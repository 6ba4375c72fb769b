//! Measures the machine's peak rates with the same kernels.

use std::time::{Duration, Instant};

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::gemm::{Panels, Precision, Terms, pack_as, product, row_stride, spin};
use crate::scratch::Scratch;
use crate::simd::dispatch;

/// Rows, terms and columns of the measured product: typical of the transformer.
const SIDE: usize = 512;
const COLUMNS: usize = 96;

/// Repetitions of the instructions on registers.
const SPINS: usize = 1 << 20;

/// Bytes that each thread copies, about the size of a layer's tensors, and the limit for all threads together.
const COPIED_BYTES: usize = 32 << 20;
const ALL_COPIED_BYTES: usize = 256 << 20;

/// Products per thread, and rounds; the fastest round counts.
const TIMES: usize = 32;
const ROUNDS: usize = 3;

/// Returns the floating point operations per second of all threads, in matrix products that fit into the caches.
pub fn flop_per_second() -> f64 {
    operations_per_second(Precision::F32)
}

/// Returns the operations per second like [`flop_per_second`], for weights of this precision.
pub fn operations_per_second(precision: Precision) -> f64 {
    let weights = pack_as(precision, SIDE, SIDE, |_, _| 1e-3);
    let times = TIMES * rayon::current_num_threads();
    let took = fastest(|| {
        (0..times).into_par_iter().with_max_len(1).for_each(|_| dispatch(Product(Panels::new(&weights, SIDE, SIDE))));
    });
    #[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
    let flop = (2 * SIDE * SIDE * COLUMNS * times) as f64;
    flop / took.as_secs_f64()
}

/// Returns the operations per second of all threads on registers alone; `None` if this machine has no instructions for
/// the precision.
pub fn register_operations_per_second(precision: Precision) -> Option<f64> {
    let threads = rayon::current_num_threads();
    spin(precision, 1)?;
    let mut count = 0;
    let took = fastest(|| {
        let spins = (0..threads).into_par_iter().with_max_len(1).filter_map(|_| spin(precision, SPINS));
        count = spins.sum();
    });
    #[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
    let count = count as f64;
    Some(count / took.as_secs_f64())
}

/// Returns the bytes per second that all threads read and write when copying.
pub fn bytes_per_second() -> f64 {
    let threads = rayon::current_num_threads();
    let each = COPIED_BYTES.min(ALL_COPIED_BYTES / threads);
    let from = vec![1.0_f32; threads * (each / size_of::<f32>())];
    let mut to = vec![0.0_f32; from.len()];
    let took = fastest(|| {
        let chunk = from.len() / threads;
        to.par_chunks_mut(chunk).zip(from.par_chunks(chunk)).for_each(|(to, from)| to.copy_from_slice(from));
    });
    #[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
    let bytes = (2 * size_of_val(&*from)) as f64;
    bytes / took.as_secs_f64()
}

fn fastest(mut work: impl FnMut()) -> Duration {
    let timed = |()| {
        let began = Instant::now();
        work();
        began.elapsed()
    };
    // The first round warms caches, threads and clocks.
    [(); ROUNDS + 1].map(timed).into_iter().skip(1).min().unwrap_or_default()
}

struct Product<'a>(Panels<'a>);

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let stride = row_stride::<S>(COLUMNS, 0);
        let offsets: Vec<usize> = (0..SIDE).map(|term| term * stride).collect();
        let mut scratch = Scratch::take();
        let [input, out] = scratch.slices([SIDE * stride, self.0.padded_rows() * stride]);
        input.fill(1.0);
        product(simd, self.0, Terms { values: input, offsets: &offsets }, COLUMNS, out, stride, false);
    }
}

//! Profiles a segment by layer and compares it with the machine's limits. Prints a table for `benches/README.md`.
//!
//! `cargo bench -p vocalizer-benches --bench layers [-- --model NAME --segments N --precision PRECISION]`

use std::time::{Duration, Instant};

use gemm::Parallelism;
use vocalizer_benches::{separate, song_frames, tone};
use vocalizer_model::{ComputeOptions, Model, OperationProfile, Precision, Profile};

/// Rows, terms and columns of the reference product, the largest of the transformer.
const PRODUCT: [usize; 3] = [2048, 512, 2688];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<_> = std::env::args().collect();
    // `cargo test` also runs benchmarks, with `--test`.
    if arguments.iter().any(|argument| argument == "--test") {
        return Ok(());
    }
    let value = |option: &str| arguments.iter().skip_while(|argument| *argument != option).nth(1);
    let segments = value("--segments").map_or(Ok(8), |number| number.parse::<usize>())?;
    let precision = value("--precision").map_or(Ok(Precision::F32), |name| name.parse())?;
    let compute = ComputeOptions::default().with_precision(precision);
    let model = Model::named_with(value("--model").map_or("htdemucs", String::as_str), &compute)?;
    separate(&model, &tone(song_frames(&model, 1)), false)?;
    let peer = peer_gflop_per_s();
    let profile = separate(&model, &tone(song_frames(&model, segments)), true)?.ok_or("nothing was recorded")?;
    print(&profile, peer);
    Ok(())
}

/// Measures the `gemm` crate on one product with all threads, in GFLOP/s: the best result within a second.
fn peer_gflop_per_s() -> f64 {
    let [rows, terms, columns] = PRODUCT;
    let (a, b) = (vec![1e-3_f32; rows * terms], vec![1.0_f32; terms * columns]);
    let mut out = vec![0.0_f32; rows * columns];
    let mut best = Duration::MAX;
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(1) {
        let one = Instant::now();
        // SAFETY: the matrices are row-major and match these extents and strides.
        unsafe {
            gemm::gemm(
                rows,
                columns,
                terms,
                out.as_mut_ptr(),
                1,
                columns.cast_signed(),
                false,
                a.as_ptr(),
                1,
                terms.cast_signed(),
                b.as_ptr(),
                1,
                columns.cast_signed(),
                0.0,
                1.0,
                false,
                false,
                false,
                Parallelism::Rayon(0),
            );
        }
        best = best.min(one.elapsed());
    }
    (2 * rows * terms * columns) as f64 / 1e9 / best.as_secs_f64()
}

fn print(profile: &Profile, peer: f64) {
    let (segments, products) = (f64::from(profile.segments), profile.sgemm_gflop_per_s);
    println!(
        "{} threads, {}; {:.3} s per segment, mean of {}; products at best {products:.0} GFLOP/s (gemm crate: {peer:.0}), \
         copying {:.0} GB/s",
        profile.threads,
        profile.simd,
        profile.seconds / segments,
        profile.segments,
        profile.copy_gb_per_s,
    );
    println!("\n| layer | operation | ms | GFLOP | GFLOP/s | MB | of the floor |\n|---|---|---:|---:|---:|---:|---:|");
    for one in &profile.operations {
        let OperationProfile { layer, operation, seconds, gflop, gflop_per_s, bytes, share_of_floor, .. } = one;
        println!(
            "| {layer} | {operation} | {:.1} | {:.2} | {gflop_per_s:.0} | {:.0} | {:.0} % |",
            seconds / segments * 1e3,
            gflop / segments,
            *bytes as f64 / segments / 1e6,
            share_of_floor * 100.0,
        );
    }
    let mut kinds: Vec<(&str, f64, f64)> = Vec::new();
    for one in &profile.operations {
        match kinds.iter_mut().find(|kind| kind.0 == one.operation) {
            Some(kind) => (kind.1, kind.2) = (kind.1 + one.seconds, kind.2 + one.gflop),
            None => kinds.push((one.operation, one.seconds, one.gflop)),
        }
    }
    println!("\n| operation | ms | GFLOP | GFLOP/s | of products at best |\n|---|---:|---:|---:|---:|");
    for (operation, seconds, gflop) in &kinds {
        row(operation, *seconds / segments, *gflop / segments, products);
    }
    let multiplied = kinds.iter().filter(|kind| kind.2 > 0.0).fold([0.0, 0.0], |[s, g], kind| [s + kind.1, g + kind.2]);
    row("all convolutions and products", multiplied[0] / segments, multiplied[1] / segments, products);
}

fn row(name: &str, seconds: f64, gflop: f64, best: f64) {
    let speed = gflop / seconds;
    println!("| {name} | {:.1} | {gflop:.1} | {speed:.0} | {:.0} % |", seconds * 1e3, speed / best * 100.0);
}

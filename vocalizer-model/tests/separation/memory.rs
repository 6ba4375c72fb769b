//! The memory of a network of full size.

use super::support::{floats, golden, on, published, split};
use crate::audio::support::{RATE_HZ, read};
use crate::memory::{peaks_kib, print_peak};

/// Set for the child process.
const MEASURED: &str = "VOCALIZER_TEST_MEMORY";

/// Parameters of htdemucs in f32: 168 MB, and 28 more for the transformed weights of its convolutions.
const WEIGHTS_KIB: u64 = 192_000;

#[test]
fn htdemucs_takes_little_more_memory_than_its_weights_and_skip_connections() {
    let peaks = peaks_kib("separation::memory::child_that_separates_two_segments", MEASURED, "1");
    // None without the published weights.
    if let [loaded, separated] = peaks[..] {
        println!("{loaded} KiB after loading, {separated} KiB after separating");
        // A second copy of the weights in half precision would be 82,000 KiB.
        assert!(loaded < WEIGHTS_KIB + 60_000, "{loaded} KiB after loading");
        assert!(separated < WEIGHTS_KIB + 330_000, "{separated} KiB after separating");
    }
}

#[test]
fn child_that_separates_two_segments() {
    if std::env::var_os(MEASURED).is_none() {
        return;
    }
    let Some(model) = published(&on("cpu")) else { return print_peak() };
    print_peak();
    let song = &read(&golden("mix.flac")).1[..400_000];
    split(&model, song, RATE_HZ, &floats());
    print_peak();
}

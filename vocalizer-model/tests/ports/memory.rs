//! Memory use does not grow with the song.

use vocalizer_core::part::Format;
use vocalizer_core::ports::Renderer as _;
use vocalizer_model::audio::{AudioFormat, AudioLimits, StemWriter};
use vocalizer_model::ports::AudioRenderer;

use super::support::on_disk;
use crate::audio::support::{RATE_HZ, dir, song};
use crate::memory::{peaks_kib, print_peak};

/// Seconds to render, set for the child process.
const SECONDS: &str = "VOCALIZER_TEST_RENDER_S";

#[test]
fn mixing_memory_is_independent_of_length() {
    let [short, long] =
        ["5", "300"].map(|seconds| peaks_kib("ports::memory::child_that_prints_its_memory", SECONDS, seconds)[0]);
    println!("{short} KiB for 5 s, {long} KiB for 300 s");
    // Three songs of 300 s are 300 MiB of frames and a 150 MiB file.
    assert!(long < short + 16 * 1_024, "{short} KiB for 5 s, {long} KiB for 300 s");
}

#[test]
fn child_that_prints_its_memory() {
    let Some(seconds) = std::env::var(SECONDS).ok().and_then(|text| text.parse::<usize>().ok()) else { return };
    let dir = dir();
    let path = dir.path().join("song");
    let second = song(RATE_HZ as usize, RATE_HZ);
    let mut writer = StemWriter::create(&path, AudioFormat::Wav16, RATE_HZ).expect("a writer");
    (0..seconds).for_each(|_| writer.write(&second).expect("a written second"));
    writer.finish().expect("a finished file");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let renderer = AudioRenderer::new(dir.path().join("work"), AudioLimits::default());
        let blob = || on_disk(&path);
        let mut sum = renderer.render(vec![blob(), blob(), blob()], Format::Wav).await.expect("a sum");
        let mut bytes = 0;
        while let Some(chunk) = sum.next_chunk().await.expect("a chunk") {
            bytes += chunk.len();
        }
        assert!(bytes > 4 * seconds * RATE_HZ as usize);
    });
    print_peak();
}

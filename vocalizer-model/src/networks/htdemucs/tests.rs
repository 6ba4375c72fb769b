//! Compares the network with published weights with the reference, module by module.

use crate::audio::{AudioLimits, AudioReader};
use crate::loaded_device::Part;
use crate::networks::golden::{Comparison, path};
use crate::weights::{Cache, find};
use crate::{ComputeOptions, Model};

/// Needs the published weights in the cache; `./test` downloads and requires them.
#[test]
fn published_model_matches_reference_per_module() {
    let spec = find("htdemucs").unwrap();
    let cache = Cache::locate().unwrap();
    if !cache.has(spec) {
        assert!(std::env::var_os("VOCALIZER_TEST_WEIGHTS").is_none(), "the weights are not in the cache");
        println!("skipped: the weights of htdemucs are not in the cache");
        return;
    }
    let model = Model::cached(spec, &cache, &ComputeOptions::default()).unwrap();
    let mut reader = AudioReader::open(&path("mix.flac"), &AudioLimits::default()).unwrap();
    let mut song = Vec::new();
    while reader.read(&mut song).unwrap() {}
    let mono: Vec<f64> = song.iter().map(|[left, right]| f64::from((left + right) / 2.0)).collect();
    let n = mono.len() as f64;
    let mean = mono.iter().sum::<f64>() / n;
    let std = (mono.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
    let channel = |c: usize| {
        let segment = song.iter().take(model.segment_frames());
        segment.map(|frame| ((f64::from(frame[c]) - mean) / (1e-8 + std)) as f32).collect()
    };
    let mut comparison = Comparison::open("htdemucs", "", 90.0);
    let wanted: Vec<_> = (0..model.sources().len()).collect();
    let part = Part { network: 0, wanted: &wanted, segments: &[[channel(0), channel(1)]] };
    model.cards[0].separate(&part, &mut comparison).unwrap();
    // 4 × (tencoder, encoder, decoder, tdecoder), 5 × 2 transformer layers, 2 transformer outputs, 4 samplers.
    assert_eq!(comparison.seen.len(), 16 + 10 + 2 + 4, "modules compared");
    comparison.report();
}

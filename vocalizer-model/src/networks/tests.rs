//! Compares every family of networks with the reference: single chunks, and what each module makes of them.

use burn::tensor::Device;

use super::golden::{self, Comparison, Stored, check, decibels, path};
use super::{Format, Network, NetworkConfig, Watcher, check_network};
use crate::weights::WeightsFile;

/// A network of the reference data.
struct Case {
    name: &'static str,
    chunks: &'static [&'static str],
    /// Least decibels of the stems of a chunk, and of a module's output.
    least_db: [f64; 2],
    /// Number of modules that are compared.
    modules: usize,
}

const fn case(name: &'static str, chunks: &'static [&'static str], modules: usize) -> Case {
    Case { name, chunks, least_db: [110.0, 105.0], modules }
}

const CASES: [Case; 8] = [
    // 4 × (tencoder, encoder, decoder, tdecoder), 3 × 2 transformer layers, 2 transformer outputs, 4 samplers. The reference
    // is itself less exact here.
    Case { least_db: [100.0, 90.0], ..case("tiny-4s", &["segment"], 16 + 6 + 2 + 4) },
    Case { least_db: [100.0, 90.0], ..case("tiny-6s", &["segment"], 16 + 6 + 2) },
    // All 87 but the cells of 8 LSTMs, the input, and two forms of the output.
    case("tiny-scnet", &["chunk", "chunk2", "chunk3"], 76),
    case("tiny-scnet-norm", &["chunk"], 76),
    // Band split, two transformers per layer, final norm of BS-RoFormer, one estimator per stem.
    case("tiny-bs", &["chunk"], 1 + 4 + 1 + 2),
    case("tiny-bs-512", &["chunk"], 1 + 6 + 1 + 1),
    case("tiny-mel", &["chunk", "chunk2"], 1 + 4 + 1),
    case("tiny-mel-2", &["chunk"], 1 + 4 + 2),
];

fn open(name: &str) -> (WeightsFile, Box<dyn NetworkConfig>) {
    let file = WeightsFile::open(&path(&format!("{name}.safetensors"))).unwrap();
    let config = super::config(&file).unwrap();
    (file, config)
}

fn load(name: &str, stems: &[usize], device: &Device) -> Box<dyn Network> {
    let (file, config) = open(name);
    config.load(stems, &file, device, Format::F32).unwrap()
}

impl Case {
    fn golden(&self) -> Stored {
        Stored::open(&format!("{}.golden.safetensors", self.name))
    }

    fn load(&self, device: &Device) -> Box<dyn Network> {
        let all: Vec<_> = (0..open(self.name).1.sources().len()).collect();
        load(self.name, &all, device)
    }

    /// Separates a chunk and returns its stems in decibels from the reference's.
    fn stems(&self, network: &dyn Network, golden: &Stored, chunk: &str, watcher: &mut dyn Watcher) -> f64 {
        let (shape, expected) = &golden.0[&format!("{chunk}_stems")];
        let [stems, _, frames] = shape[..] else { panic!("{}: {shape:?}", self.name) };
        let wanted: Vec<_> = (0..stems).collect();
        let outputs = network.submit(&[golden.signal(chunk)], &wanted, watcher).unwrap();
        let stems = outputs(&mut ()).unwrap().remove(0);
        // The reference of Mel-Band RoFormer returns whole hops.
        let got: Vec<f32> = stems.iter().flatten().flat_map(|signal| &signal[..frames]).copied().collect();
        decibels(expected, &got)
    }
}

#[test]
fn chunks_match_reference_per_module() {
    for case in &CASES {
        let (network, golden) = (case.load(&Device::flex()), case.golden());
        let [stems_db, module_db] = case.least_db;
        let mut comparison = Comparison::open(case.name, "", module_db);
        for (index, chunk) in case.chunks.iter().enumerate() {
            let watcher: &mut dyn Watcher = if index == 0 { &mut comparison } else { &mut () };
            check(case.name, "cpu", chunk, case.stems(&*network, &golden, chunk, watcher), stems_db);
        }
        assert_eq!(comparison.seen.len(), case.modules, "modules of {}", case.name);
        comparison.report();
    }
}

/// On a GPU, or in software.
#[cfg(any(feature = "wgpu", feature = "cuda"))]
fn compare_on_gpu(names: &[&str]) {
    let Some((gpu, _one)) = crate::gpus::for_tests() else { return };
    for case in CASES.iter().filter(|case| names.contains(&case.name)) {
        let (network, golden) = (case.load(&Device::from(gpu.device.clone())), case.golden());
        for chunk in case.chunks {
            check(case.name, &gpu.id, chunk, case.stems(&*network, &golden, chunk, &mut ()), 90.0);
        }
    }
}

#[cfg(any(feature = "wgpu", feature = "cuda"))]
#[test]
fn chunks_match_reference_on_gpu() {
    compare_on_gpu(&["tiny-scnet", "tiny-mel-2"]);
}

#[cfg(any(feature = "wgpu", feature = "cuda"))]
#[test]
fn chunks_of_all_networks_match_reference_on_gpu() {
    compare_on_gpu(&CASES.map(|case| case.name));
}

/// RoFormers load only the heads of these stems; the others compute all stems at once.
#[test]
fn some_stems_are_the_same_as_of_all() {
    for (name, stems) in [("tiny-mel-2", [1]), ("tiny-bs", [0]), ("tiny-scnet", [2]), ("tiny-6s", [5])] {
        let case = CASES.iter().find(|case| case.name == name).unwrap();
        let segment = case.golden().signal(case.chunks[0]);
        let device = Device::flex();
        let separate = |network: Box<dyn Network>| {
            let outputs = network.submit(std::slice::from_ref(&segment), &stems, &mut ()).unwrap();
            outputs(&mut ()).unwrap()
        };
        assert!(separate(load(name, &stems, &device)) == separate(case.load(&device)), "{name}");
    }
}

/// The rest of the song needs the network's only head.
#[test]
fn rest_of_song_is_loaded_alone() {
    for name in ["tiny-mel", "tiny-bs-512"] {
        let case = CASES.iter().find(|case| case.name == name).unwrap();
        let segment = case.golden().signal("chunk");
        let network = load(name, &[1], &Device::flex());
        let outputs = network.submit(std::slice::from_ref(&segment), &[0, 1], &mut ()).unwrap();
        let stems = outputs(&mut ()).unwrap().remove(0);
        let sum = |at: usize| stems[0][0][at] + stems[1][0][at];
        assert!((0..segment[0].len()).all(|at| (sum(at) - segment[0][at]).abs() < 1e-6), "{name}");
    }
}

/// The first tensor that differs is named, with both shapes.
#[test]
fn configurations_must_fit_the_tensors() {
    for (name, key, value, says) in [
        ("tiny-bs", "dim", 16.into(), "wrong shape for band_split.to_features.0.1.bias: found [8], expected [16]"),
        ("tiny-bs", "depth", 3.into(), "lacks the tensor layers.2.0.layers.0.0.norm.gamma"),
        ("tiny-mel", "depth", 1.into(), "has an unexpected tensor: layers.1."),
        ("tiny-scnet", "compress", 1.into(), "wrong shape for encoder.0.conv_modules.0.layers.0.1.bias: found ["),
        ("tiny-scnet", "normalized", "maybe".into(), "invalid value of normalized: \"maybe\""),
    ] {
        let file = format!("{name}.safetensors");
        let mut config = golden::config(&file);
        config["model"][key] = value;
        let file = WeightsFile::open(&path(&file)).unwrap();
        let error = check_network(file.family(), &config, &file).unwrap_err().to_string();
        assert!(error.contains(says), "{name}: {error}");
    }
}

//! The fuzzer's seeds (`fuzz/README.md`). Its findings in weights belong here too.

use std::path::{Path, PathBuf};

use serde_json::Map;
use vocalizer_model::weights::{WeightsFile, import_onnx, read_toolkit_config};

use super::made::{Entry, open, zip};

/// The seeds of one target, and whether their names say that they must be rejected.
fn seeds(target: &str) -> Vec<(PathBuf, bool)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds").join(target);
    let paths = std::fs::read_dir(folder).expect("the seeds").map(|entry| entry.expect("a seed").path());
    let named = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("refused-"));
    let seeds: Vec<_> = paths.map(|path| (path.clone(), named(&path))).collect();
    assert!(seeds.iter().any(|(_, refused)| *refused) && seeds.iter().any(|(_, refused)| !refused));
    seeds
}

#[test]
fn every_safetensors_seed_loads_or_fails_as_named() {
    for (path, refused) in seeds("safetensors") {
        let checked = WeightsFile::open(&path).and_then(|file| file.check());
        assert_eq!(checked.is_err(), refused, "{}: {checked:?}", path.display());
    }
}

#[test]
fn every_onnx_seed_loads_or_fails_as_named() {
    let kwargs = r#"{"sources": ["a"], "channels": 2, "dconv_comp": 1, "t_layers": 2, "depth": 1, "nfft": 128}"#;
    let kwargs: Map<_, _> = serde_json::from_str(kwargs).expect("arguments");
    for (path, refused) in seeds("onnx") {
        let imported = import_onnx(std::fs::read(&path).expect("a seed"), &kwargs).map(|tensors| tensors.len());
        assert_eq!(imported.is_err(), refused, "{}: {imported:?}", path.display());
    }
}

/// A seed that is not an archive is the pickle of one, with two storages of 24 bytes, as the target makes it.
#[test]
fn every_checkpoint_seed_loads_or_fails_as_named() {
    for (path, refused) in seeds("checkpoint") {
        let mut bytes = std::fs::read(&path).expect("a seed");
        if !bytes.starts_with(b"PK") {
            let pickle = Entry::new("net/data.pkl", &bytes);
            bytes = zip(&[pickle, Entry::new("net/data/0", &[1; 24]), Entry::new("net/data/1", &[0; 24])]);
        }
        let opened = open(&bytes);
        assert_eq!(opened.is_err(), refused, "{}: {opened:?}", path.display());
    }
}

#[test]
fn every_configuration_seed_loads_or_fails_as_named() {
    for (path, refused) in seeds("toolkit_config") {
        let read = read_toolkit_config(&path);
        assert_eq!(read.is_err(), refused, "{}: {read:?}", path.display());
    }
}

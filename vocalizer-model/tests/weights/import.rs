//! Imports of checkpoints into the cache.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use half::f16;
use safetensors::SafeTensors;
use serde_json::{Value, json};
use tempfile::TempDir;
use vocalizer_model::weights::{
    Cache, Dtype, Family, Import, ImportPrecision, Imported, Tensors, WeightsError, check_layout, read_toolkit_config,
};

use super::made::{Entry, Pickle, View, checkpoint, entries, zip};
use super::support::{golden, names, sha256};

struct Place {
    dir: TempDir,
    cache: Cache,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let cache = Cache::at(dir.path().join("cache"));
        Self { dir, cache }
    }

    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::write(&path, bytes).expect("a file");
        path
    }

    fn files(&self) -> Vec<String> {
        names(&self.dir.path().join("cache/imported"))
    }

    /// Imports a file with this configuration, without a check of its layout.
    fn import(&self, source: &Path, name: &str, config: Option<Value>) -> Result<Imported, WeightsError> {
        let mut import = Import::new(source, name);
        import.config = config;
        self.cache.import(&import, &|_, _, _| Ok(()))
    }

    fn tiny(&self, tiny: &str, name: &str) -> Result<Imported, WeightsError> {
        self.import(&golden(&format!("{tiny}.ckpt")), name, Some(config(tiny)))
    }
}

fn config(tiny: &str) -> Value {
    read_toolkit_config(&golden(&format!("{tiny}.yaml"))).expect("a configuration")
}

/// A tensor's key, shape and values.
type Tensor = (String, Vec<usize>, Vec<f32>);

/// The values of a weights file by key, as f32, and the type of the first tensor.
fn values(path: &Path) -> (Vec<Tensor>, safetensors::Dtype) {
    let bytes = fs::read(path).expect("a file");
    let file = SafeTensors::deserialize(&bytes).expect("safetensors");
    let mut all = Vec::new();
    for (key, tensor) in file.iter() {
        let data = tensor.data();
        let values = match tensor.dtype() {
            safetensors::Dtype::F32 => data.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
            safetensors::Dtype::F16 => data.as_chunks().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect(),
            other => panic!("{other:?}"),
        };
        all.push((key.to_owned(), tensor.shape().to_vec(), values));
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    let dtype = file.iter().next().expect("a tensor").1.dtype();
    (all, dtype)
}

fn metadata(path: &Path) -> HashMap<String, String> {
    let bytes = fs::read(path).expect("a file");
    SafeTensors::read_metadata(&bytes).expect("safetensors").1.metadata().clone().expect("metadata")
}

/// A checkpoint of an SCNet with one tensor of these values.
fn scnet(storage: &'static str, key: &str, data: &[u8], count: i32) -> Vec<u8> {
    let first = View::of_six(0, &[2, 3], &[3, 1]);
    let second = View { storage, name: "1", values: count, ..View::of_six(0, &[count], &[1]) };
    let pickle = Pickle::state_dict(&[("encoder.0.SDlayer.convs.0.weight", first), (key, second)]);
    let mut entries = entries(&pickle);
    entries.push(Entry::new("net/data/1", data));
    zip(&entries)
}

const BIAS: &str = "encoder.0.SDlayer.convs.0.bias";

#[test]
fn imported_checkpoints_equal_their_safetensors() {
    for (tiny, family, dtype, stems) in [
        ("tiny-scnet", Family::Scnet, safetensors::Dtype::F32, &["drums", "bass", "other", "vocals"][..]),
        ("tiny-bs", Family::BsRoformer, safetensors::Dtype::F16, &["vocals", "other"]),
    ] {
        let place = Place::new();
        let source = golden(&format!("{tiny}.ckpt"));
        let mut import = Import::new(&source, "mine");
        import.config = Some(config(tiny));
        import.licence = Some("MIT");
        let model = place.cache.import(&import, &|_, _, _| Ok(())).expect("a model");
        assert_eq!(model.family, family);
        assert_eq!(model.stems, stems);
        assert_eq!(place.files(), ["mine.lock", "mine.safetensors"]);

        let expected = golden(&format!("{tiny}.safetensors"));
        let (found, found_dtype) = values(&model.path);
        assert_eq!(found_dtype, dtype, "{tiny}");
        assert!(found == values(&expected).0, "{tiny}");
        let (found, expected) = (metadata(&model.path), metadata(&expected));
        assert_eq!(found["family"], expected["family"]);
        let json = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
        assert_eq!(json(&found["config"]), json(&expected["config"]));
        assert_eq!((found["name"].as_str(), found["licence"].as_str()), ("mine", "MIT"));
        assert_eq!(found["source"], format!("{tiny}.ckpt"));
        assert_eq!(found["source_sha256"], sha256(&fs::read(&source).expect("the source")));

        let listed = place.cache.imported().expect("a list");
        assert!(matches!(&listed[..], [(name, Ok(listed))] if name == "mine" && *listed == model), "{listed:?}");
    }
}

#[test]
fn safetensors_files_are_imported_with_their_own_configuration() {
    let place = Place::new();
    let source = golden("tiny-bs.safetensors");
    let model = place.import(&source, "bs", None).expect("a model");
    // Every value is exact in half precision.
    let (found, dtype) = values(&model.path);
    assert_eq!(dtype, safetensors::Dtype::F16);
    assert!(found == values(&source).0);
    assert_eq!(model.config, config("tiny-bs"));

    let bare = place.put("bare.safetensors", &fs::read(golden("tiny-4s.safetensors")).expect("a file"));
    let error = place.import(&bare, "bare", None).expect_err("an error");
    assert!(matches!(&error, WeightsError::UnknownFamily { what, .. } if what.contains("HTDemucs")), "{error}");
}

#[test]
fn half_precision_is_used_if_exact_or_asked_for() {
    let place = Place::new();
    let singles = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>();
    let import = |name: &str, bytes: &[u8], precision| {
        let source = place.put("net.ckpt", bytes);
        let mut import = Import::new(&source, name);
        import.config = Some(config("tiny-scnet"));
        import.precision = precision;
        place.cache.import(&import, &|_, _, _| Ok(())).map(|model| values(&model.path).1)
    };
    let exact = scnet("FloatStorage", BIAS, &singles(&[0.5, -0.0]), 2);
    assert_eq!(import("a", &exact, ImportPrecision::Exact).expect("a model"), safetensors::Dtype::F16);
    let fine = scnet("FloatStorage", BIAS, &singles(&[0.1, 0.2]), 2);
    assert_eq!(import("b", &fine, ImportPrecision::Exact).expect("a model"), safetensors::Dtype::F32);
    assert_eq!(import("c", &fine, ImportPrecision::Half).expect("a model"), safetensors::Dtype::F16);
    // This double is exact in half precision only after rounding to single precision.
    let double = (1.0_f64 + f64::EPSILON).to_le_bytes();
    let source = place.put("double.ckpt", &scnet("DoubleStorage", BIAS, &double, 1));
    let model = place.import(&source, "d", Some(config("tiny-scnet"))).expect("a model");
    let bytes = fs::read(&model.path).expect("a file");
    let stored = SafeTensors::deserialize(&bytes).expect("safetensors");
    assert_eq!(stored.tensor(BIAS).expect("a tensor").data(), double);

    let large = scnet("FloatStorage", BIAS, &singles(&[70_000.5, 0.1]), 2);
    assert_eq!(import("e", &large, ImportPrecision::Exact).expect("a model"), safetensors::Dtype::F32);
    let error = import("f", &large, ImportPrecision::Half).expect_err("an error").to_string();
    assert!(error.contains(BIAS) && error.contains("too large for half precision"), "{error}");
    for value in [f32::INFINITY, f32::NAN] {
        let error = import("f", &scnet("FloatStorage", BIAS, &singles(&[value]), 1), ImportPrecision::Exact);
        let error = error.expect_err("an error").to_string();
        assert!(error.contains(BIAS) && error.contains("infinite or not a number"), "{error}");
    }
    assert_eq!(place.files().iter().filter(|file| file.ends_with(".safetensors")).count(), 5);
    assert!(!place.files().iter().any(|file| file.ends_with(".part")), "{:?}", place.files());
}

#[test]
fn frequencies_of_rotary_embeddings_are_not_rounded() {
    let place = Place::new();
    let gamma = "final_norm.gamma";
    let (bands, frequencies) = ("band_split.to_features.0.0.gamma", "layers.0.0.layers.0.0.rotary_embed.freqs");
    let view = || View::of_six(0, &[6], &[1]);
    let fine = View { name: "1", values: 2, ..View::of_six(0, &[2], &[1]) };
    let also = View { name: "1", values: 2, ..View::of_six(0, &[2], &[1]) };
    let pickle = Pickle::state_dict(&[(bands, view()), (gamma, fine), (frequencies, also)]);
    let mut entries = entries(&pickle);
    let singles: Vec<u8> = [0.1_f32, 0.2].iter().flat_map(|v| v.to_le_bytes()).collect();
    entries.push(Entry::new("net/data/1", &singles));
    let source = place.put("net.ckpt", &zip(&entries));
    let mut import = Import::new(&source, "rotary");
    import.config = Some(config("tiny-bs"));
    import.precision = ImportPrecision::Half;
    let model = place.cache.import(&import, &|_, _, _| Ok(())).expect("a model");
    let bytes = fs::read(&model.path).expect("a file");
    let file = SafeTensors::deserialize(&bytes).expect("safetensors");
    assert_eq!(file.tensor(gamma).expect("a tensor").dtype(), safetensors::Dtype::F16);
    assert_eq!(file.tensor(frequencies).expect("a tensor").data(), singles);
    let expected = vocalizer_model::weights::WeightsFile::open(&model.path).and_then(|file| file.tensor_digest());
    assert_eq!(metadata(&model.path)["tensor_digest"], expected.expect("a digest"));
}

#[test]
fn integers_are_refused_but_counters_left_out() {
    let place = Place::new();
    let counter = "separation_net.dp_modules.0.norm_layers.0.num_batches_tracked";
    let source = place.put("a.ckpt", &scnet("LongStorage", counter, &7_i64.to_le_bytes(), 1));
    let model = place.import(&source, "a", Some(config("tiny-scnet"))).expect("a model");
    assert_eq!(values(&model.path).0.len(), 1);
    let source = place.put("b.ckpt", &scnet("LongStorage", BIAS, &7_i64.to_le_bytes(), 1));
    let error = place.import(&source, "b", Some(config("tiny-scnet"))).expect_err("an error");
    assert!(matches!(&error, WeightsError::Unsupported(what) if what.contains(BIAS)), "{error}");
}

#[test]
fn prefixes_of_safetensors_are_removed() {
    let place = Place::new();
    let shape = vec![1];
    let data = 0.5_f32.to_le_bytes();
    let key = format!("module.model.{BIAS}");
    let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape, &data).expect("a tensor");
    let bytes = safetensors::serialize([(key, view)], None).expect("safetensors");
    let source = place.put("net.safetensors", &bytes);
    let error = place.import(&source, "a", None).expect_err("an error");
    assert!(matches!(error, WeightsError::MissingConfig), "{error}");
    let model = place.import(&source, "a", Some(config("tiny-scnet"))).expect("a model");
    assert_eq!(values(&model.path).0, [(BIAS.to_owned(), vec![1], vec![0.5])]);
}

#[test]
fn layout_is_checked_before_anything_is_written() {
    let place = Place::new();
    let source = golden("tiny-scnet.ckpt");
    let mut import = Import::new(&source, "mine");
    import.config = Some(config("tiny-scnet"));
    type Layout = BTreeMap<String, Vec<usize>>;
    let with = |change: &dyn Fn(&mut Layout)| {
        place.cache.import(&import, &|family, config, tensors: &dyn Tensors| {
            assert_eq!((family, &config["model"]["compress"]), (Family::Scnet, &json!(4)));
            let shape = |key: &str| tensors.shape(key).expect("a shape").to_vec();
            let mut layout: Layout = tensors.keys().into_iter().map(|key| (key.to_owned(), shape(key))).collect();
            change(&mut layout);
            assert_eq!(tensors.dtype(BIAS), Some(Dtype::F32));
            check_layout(&layout, tensors)
        })
    };
    let error = with(&|layout| _ = layout.insert(BIAS.into(), vec![16])).expect_err("an error");
    assert_eq!(error.to_string(), format!("has the wrong shape for {BIAS}: found [8], expected [16]"));
    let error = with(&|layout| _ = layout.insert("more".into(), vec![16])).expect_err("an error");
    assert!(matches!(&error, WeightsError::MissingKey(key) if key == "more"), "{error}");
    let error = with(&|layout| _ = layout.remove(BIAS)).expect_err("an error");
    assert!(matches!(&error, WeightsError::UnexpectedKey(key) if key == BIAS), "{error}");
    assert_eq!(place.files(), ["mine.lock"]);
    with(&|_| {}).expect("a model");
}

#[test]
fn configuration_must_fit_the_tensors() {
    let place = Place::new();
    let error = place.import(&golden("tiny-bs.ckpt"), "a", None).expect_err("an error");
    assert!(matches!(error, WeightsError::MissingConfig), "{error}");
    for (config, says) in [
        (config("tiny-scnet"), "the family bs_roformer, the configuration is for the family scnet"),
        (json!({"model": {"num_bands": 60}}), "the configuration is for the family mel_band_roformer"),
        (json!({"model": {"channels": 48}}), "the configuration is for none of the known networks"),
    ] {
        let error = place.import(&golden("tiny-bs.ckpt"), "a", Some(config)).expect_err("an error");
        assert!(matches!(&error, WeightsError::ConfigMismatch(what) if what.contains(says)), "{error}");
    }
    for (training, says) in [
        (json!({}), "training.instruments"),
        (json!({"instruments": []}), "training.instruments"),
        (json!({"instruments": ["../../etc"]}), "../../etc"),
        (json!({"instruments": ["a\u{1b}"]}), "instrument"),
        (json!({"instruments": ["Vocals", "vocals"]}), "occurs twice"),
        (json!({"instruments": ["vocals"], "target_instrument": 1}), "instrument"),
    ] {
        let mut config = config("tiny-bs");
        config["training"] = training;
        let error = place.import(&golden("tiny-bs.ckpt"), "a", Some(config)).expect_err(says);
        assert!(matches!(&error, WeightsError::Malformed(what) if what.contains(says)), "{error}");
    }
    for (training, says) in [
        (json!({"instruments": ["a+b", "c"]}), "a+b"),
        (json!({"instruments": ["lead vocals", "Lead-Vocals"]}), "two stems of the name lead-vocals"),
    ] {
        let mut config = config("tiny-bs");
        config["training"] = training;
        let error = place.import(&golden("tiny-bs.ckpt"), "a", Some(config)).expect_err(says);
        assert!(matches!(&error, WeightsError::Unsupported(what) if what.contains(says)), "{error}");
    }
    assert_eq!(place.files(), ["a.lock"]);
}

#[test]
fn stems_follow_the_target_instrument() {
    let place = Place::new();
    for (index, (instruments, target, stems)) in [
        (&["Vocals", "Other"][..], Some("Vocals"), &["vocals", "other"][..]),
        (&["vocals", "other"], Some("other"), &["other", "vocals"]),
        (&["vocals", "drums", "bass"], Some("drums"), &["drums", "instrumental"]),
        (&["instrumental"], Some("instrumental"), &["instrumental", "other"]),
        (&["vocals", "drums"], None, &["vocals", "drums"]),
        (&["Lead Vocals", "bowed_strings"], None, &["lead-vocals", "bowed_strings"]),
    ]
    .into_iter()
    .enumerate()
    {
        let mut config = config("tiny-bs");
        config["training"] = json!({"instruments": instruments, "target_instrument": target});
        let model = place.import(&golden("tiny-bs.ckpt"), &format!("m{index}"), Some(config)).expect("a model");
        assert_eq!(model.stems, stems);
    }
}

#[test]
fn unknown_families_are_named() {
    let place = Place::new();
    let view = || View::of_six(0, &[6], &[1]);
    for (keys, says) in [
        (&["conv.weight"][..], "an unknown network with the tensor conv.weight"),
        (&["tencoder.0.conv.weight"], "HTDemucs"),
        (
            &["encoder.0.SDlayer.convs.0.bias", "pos_embed"],
            "a variant of SCNet (masked, tran, …) with the tensor pos_embed",
        ),
        (&["band_split.to_features.0.0.gamma"], "a RoFormer with neither"),
        (&["band_split.to_features.0.0.gamma", "final_norm.gamma", "layers.0.0.norm.gamma"], "a RoFormer with neither"),
    ] {
        let items: Vec<_> = keys.iter().map(|key| (*key, view())).collect();
        let source = place.put("net.ckpt", &checkpoint(&Pickle::state_dict(&items)));
        let error = place.import(&source, "a", Some(config("tiny-bs"))).expect_err(says);
        let WeightsError::UnknownFamily { what, known } = &error else { panic!("{error}") };
        assert!(what.contains(says), "{what}");
        assert_eq!(known, "scnet, bs_roformer, mel_band_roformer");
    }
    let keys = ["band_split.to_features.0.0.gamma", "layers.0.1.norm.gamma"];
    assert_eq!(Family::of_keys(&keys).expect("a family"), Family::MelBandRoformer);
}

#[test]
fn existing_names_are_kept_unless_overwritten() {
    let place = Place::new();
    let first = place.tiny("tiny-scnet", "mine").expect("a model");
    let before = fs::read(&first.path).expect("a file");
    let error = place.tiny("tiny-bs", "mine").expect_err("an error");
    assert!(matches!(&error, WeightsError::NameTaken(name) if name == "mine"), "{error}");
    assert_eq!(fs::read(&first.path).expect("a file"), before);

    let source = golden("tiny-bs.ckpt");
    let mut import = Import::new(&source, "mine");
    import.overwrite = true;
    // A failed import leaves the old one.
    assert!(place.cache.import(&import, &|_, _, _| Ok(())).is_err());
    assert_eq!(fs::read(&first.path).expect("a file"), before);
    import.config = Some(config("tiny-bs"));
    let second = place.cache.import(&import, &|_, _, _| Ok(())).expect("a model");
    assert_eq!((second.path, second.family), (first.path, Family::BsRoformer));
}

#[test]
fn names_must_be_valid_file_names_on_every_system() {
    let place = Place::new();
    let source = golden("tiny-scnet.ckpt");
    for name in [
        "",
        "A",
        "a b",
        "../a",
        "a/b",
        "a\\b",
        ".a",
        "-a",
        "ä",
        "a\n",
        "a.",
        "a.safetensors",
        "con",
        "nul.x",
        "com1",
        "lpt9.a",
        "htdemucs",
        "htdemucs_6s",
        &"a".repeat(65),
    ] {
        let error = place.import(&source, name, Some(config("tiny-scnet"))).expect_err(name);
        assert!(matches!(error, WeightsError::InvalidName { .. }), "{name}: {error}");
        assert!(place.cache.import_path(name).is_err(), "{name}");
    }
    assert!(!place.dir.path().join("cache").exists());
    for name in ["a", "0", "scnet-xl_ihf.2", "common", "com10", &"a".repeat(64)] {
        assert!(place.cache.import_path(name).is_ok(), "{name}");
    }
}

#[test]
fn simultaneous_imports_of_one_name_have_one_winner() {
    let place = Place::new();
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| place.tiny("tiny-scnet", "mine"))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
    for error in results.into_iter().filter_map(Result::err) {
        assert!(matches!(&error, WeightsError::ImportRunning(_) | WeightsError::NameTaken(_)), "{error}");
    }
    assert_eq!(place.files(), ["mine.lock", "mine.safetensors"]);
}

/// The check runs while the import holds its lock.
#[test]
fn second_import_is_refused_while_one_runs() {
    let place = Place::new();
    let source = golden("tiny-scnet.ckpt");
    let mut import = Import::new(&source, "mine");
    import.config = Some(config("tiny-scnet"));
    let model = place.cache.import(&import, &|_, _, _| {
        let error = place.tiny("tiny-bs", "mine").expect_err("an error");
        assert!(matches!(&error, WeightsError::ImportRunning(name) if name == "mine"), "{error}");
        place.tiny("tiny-bs", "other").expect("another name");
        let listed = place.cache.imported().expect("a list");
        assert_eq!(listed.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["other"]);
        Ok(())
    });
    assert_eq!(model.expect("a model").family, Family::Scnet);
}

#[test]
fn remains_of_killed_import_are_not_listed_and_replaced() {
    let place = Place::new();
    let dir = place.dir.path().join("cache/imported");
    fs::create_dir_all(&dir).expect("a folder");
    fs::write(dir.join("mine.part"), b"half").expect("a file");
    fs::write(dir.join("mine.lock"), b"").expect("a file");
    assert!(place.cache.imported().expect("a list").is_empty());
    place.tiny("tiny-scnet", "mine").expect("a model");
    assert_eq!(place.files(), ["mine.lock", "mine.safetensors"]);
}

#[test]
fn damaged_import_is_listed_with_its_error() {
    let place = Place::new();
    let model = place.tiny("tiny-scnet", "cut").expect("a model");
    place.tiny("tiny-bs", "whole").expect("a model");
    let bytes = fs::read(&model.path).expect("a file");
    fs::write(&model.path, &bytes[..bytes.len() / 2]).expect("a file");
    let listed = place.cache.imported().expect("a list");
    let [(cut, Err(WeightsError::Malformed(_))), (whole, Ok(_))] = &listed[..] else { panic!("{listed:?}") };
    assert_eq!((cut.as_str(), whole.as_str()), ("cut", "whole"));
}

#[cfg(unix)]
#[test]
fn unwritable_cache_is_an_error() {
    let place = Place::new();
    place.put("cache", b"a file in the folder's place");
    let error = place.tiny("tiny-scnet", "mine").expect_err("an error");
    assert!(matches!(&error, WeightsError::Io { action, .. } if action.contains("imported")), "{error}");
}

//! ONNX exports: the protobuf, and the rules that assign each tensor to its place in the network.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};
use vocalizer_model::weights::{import_onnx, layout};

/// A small network with all layer types; `seed_weights.py` exports the same one.
static KWARGS: LazyLock<Map<String, Value>> = LazyLock::new(|| {
    let kwargs = r#"{"sources": ["a"], "channels": 2, "dconv_comp": 1, "t_layers": 2, "depth": 1, "nfft": 128}"#;
    serde_json::from_str(kwargs).expect("arguments")
});

fuzz_target!(|bytes: &[u8]| {
    let Ok(tensors) = import_onnx(bytes.to_vec(), &KWARGS) else { return };
    let expected = layout(&KWARGS).expect("a layout");
    assert!(tensors.keys().eq(expected.keys()), "tensors differ from the network's");
    for (key, tensor) in &tensors {
        assert_eq!(tensor.shape, expected[key], "{key}");
        assert_eq!(tensor.values.len(), tensor.shape.iter().product::<usize>(), "{key}");
    }
});

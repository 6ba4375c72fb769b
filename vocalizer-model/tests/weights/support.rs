//! Small networks for tests, and access to the parts of safetensors files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use half::f16;
use serde_json::{Map, Value};
use vocalizer_model::weights::{HalfTensor, Licence, MemberSpec, Source, Terms, WeightsFile, layout};

pub(crate) fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

pub(crate) fn tiny() -> Vec<u8> {
    std::fs::read(golden("tiny-4s.safetensors")).expect("the tiny model")
}

/// A safetensors file as editable header and data.
pub(crate) struct Parts {
    pub(crate) header: Map<String, Value>,
    pub(crate) data: Vec<u8>,
}

impl Parts {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let (length, rest) = bytes.split_first_chunk::<8>().expect("a length");
        let (header, data) = rest.split_at(usize::try_from(u64::from_le_bytes(*length)).expect("a small header"));
        Self { header: serde_json::from_slice(header).expect("a header"), data: data.to_vec() }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        file(&Value::Object(self.header.clone()).to_string(), &self.data)
    }

    /// A field of a tensor or of the metadata.
    pub(crate) fn field(&mut self, key: &str, field: &str) -> &mut Value {
        &mut self.header[key][field]
    }

    /// Removes the last tensor in the data and returns its key.
    pub(crate) fn without_last(&mut self) -> String {
        let held = self.data.len();
        let last = self.header.iter().find(|(_, info)| info["data_offsets"][1] == held);
        let (key, start) = last.map(|(key, info)| (key.clone(), &info["data_offsets"][0])).expect("a last tensor");
        self.data.truncate(start.as_u64().and_then(|start| usize::try_from(start).ok()).expect("an offset"));
        self.header.remove(&key);
        key
    }
}

/// A file with this header and data.
pub(crate) fn file(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

pub(crate) fn leak(text: impl Into<String>) -> &'static str {
    Box::leak(text.into().into_boxed_str())
}

/// The registry entry for a file with these bytes.
pub(crate) fn published(file: &'static str, bytes: &[u8]) -> MemberSpec {
    let revision = "0123456789abcdef0123456789abcdef01234567";
    let source = Source::Hub { repository: "someone/Net", revision, path: file };
    MemberSpec::new(file, source, bytes.len() as u64, leak(sha256(bytes)))
}

/// A licence that needs no consent.
pub(crate) fn mit() -> Licence {
    Licence::stated(Terms::Permissive, "MIT", "someone", None, "")
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The tiny model's arguments, and values that half precision represents exactly. All tensors differ, and so do the
/// values within a tensor.
pub(crate) fn network() -> (Map<String, Value>, BTreeMap<String, HalfTensor>) {
    let kwargs = WeightsFile::open(&golden("tiny-4s.safetensors")).expect("the tiny model").config().clone();
    let tensors = halves(&kwargs);
    (kwargs, tensors)
}

/// Tensors for a network with these arguments.
pub(crate) fn halves(kwargs: &Map<String, Value>) -> BTreeMap<String, HalfTensor> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let ten_bits = i16::try_from(state >> 22).expect("ten bits") - 512;
        f16::from_f32(f32::from(ten_bits) / 256.0)
    };
    let layout = layout(kwargs).expect("a layout");
    let tensors = layout.into_iter().map(|(key, shape)| {
        let values = (0..shape.iter().product()).map(|_| next()).collect();
        (key, HalfTensor { shape, values })
    });
    tensors.collect()
}

/// Sorted file names in a folder.
pub(crate) fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<_> = entries.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

//! The weights of one network in a safetensors file.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use half::{bf16, f16};
use memmap2::Mmap;
use safetensors::Dtype;
use safetensors::tensor::Metadata;
use serde_json::{Map, Value};

use super::digest::{self, Hasher};
use super::error::excerpt;
use super::{MemberSpec, WeightsError, layout};

/// The required value of `klass` in the metadata.
pub(super) const KLASS: &str = "demucs.htdemucs.HTDemucs";

/// The headers of the published models take about 60 kB.
const MAX_HEADER_BYTES: usize = 16 << 20;

/// The tensors of two-dimensional convolutions have four dimensions.
const MAX_DIMENSIONS: usize = 8;

/// A memory-mapped safetensors file, with the arguments of the network in it.
///
/// The file must not change while this value lives: truncating a mapped file kills the process.
pub struct WeightsFile {
    map: Mmap,
    entries: BTreeMap<String, Entry>,
    kwargs: Map<String, Value>,
}

/// A tensor's location in the file. The range lies inside the map and fits the shape.
struct Entry {
    dtype: Dtype,
    shape: Vec<usize>,
    range: std::ops::Range<usize>,
}

impl std::fmt::Debug for WeightsFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WeightsFile").field("tensors", &self.entries.len()).field("kwargs", &self.kwargs).finish()
    }
}

impl WeightsFile {
    /// Maps the file and reads its header. Tensors are read on demand.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Io`] if it cannot be opened, [`WeightsError::Malformed`] if it is not safetensors or its
    /// metadata lacks `klass` or `kwargs`, [`WeightsError::Unsupported`] if it holds another network.
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        let file = File::open(path).map_err(WeightsError::io("cannot be opened"))?;
        // SAFETY: the map is only read, through `&[u8]`. Files in the cache appear whole, by a rename, and are never
        // written again; the type's documentation requires the same of other files.
        let map = unsafe { Mmap::map(&file) }.map_err(WeightsError::io("cannot be read"))?;
        let (data_start, header) = header(&map)?;
        let kwargs = kwargs(&header)?;
        let held = map.len() - data_start;
        let mut entries = BTreeMap::new();
        let mut wanted = 0;
        for (key, info) in header.tensors() {
            let (start, end) = info.data_offsets;
            wanted = wanted.max(end);
            if end > held {
                continue;
            }
            if info.shape.len() > MAX_DIMENSIONS {
                let what = format!("tensor {} has {} dimensions", excerpt(&key), info.shape.len());
                return Err(WeightsError::Malformed(what));
            }
            let range = data_start + start..data_start + end;
            entries.insert(key, Entry { dtype: info.dtype, shape: info.shape.clone(), range });
        }
        if wanted != held {
            let what = format!("the header declares {wanted} bytes of tensors, but {held} follow it");
            return Err(WeightsError::Malformed(what));
        }
        Ok(Self { map, entries, kwargs })
    }

    /// Returns the keyword arguments that the network was created with.
    pub fn kwargs(&self) -> &Map<String, Value> {
        &self.kwargs
    }

    /// Returns the keys of the tensors, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Returns the shape of one tensor.
    pub fn shape(&self, key: &str) -> Option<&[usize]> {
        self.entries.get(key).map(|entry| entry.shape.as_slice())
    }

    /// Reads the values of one tensor, in row-major order.
    ///
    /// # Errors
    ///
    /// [`WeightsError::MissingKey`] if the file has no such tensor, [`WeightsError::Unsupported`] if its values are not
    /// floating point numbers.
    pub fn f32s(&self, key: &str) -> Result<Vec<f32>, WeightsError> {
        let (entry, bytes) = self.entry(key)?;
        Ok(match entry.dtype {
            Dtype::F32 => bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
            Dtype::F16 => bytes.as_chunks().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect(),
            Dtype::BF16 => bytes.as_chunks().0.iter().map(|b| bf16::from_le_bytes(*b).to_f32()).collect(),
            #[expect(clippy::cast_possible_truncation, reason = "rounding is intended")]
            Dtype::F64 => bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b) as f32).collect(),
            other => return Err(WeightsError::Unsupported(format!("tensor {} of type {other:?}", excerpt(key)))),
        })
    }

    /// Returns the SHA-256 over all tensors in key order: the key, a zero byte, the values as little-endian f16. The
    /// digest does not depend on the file's tensor order, metadata or precision.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Unsupported`] if a tensor's values are not floating point numbers.
    pub fn tensor_digest(&self) -> Result<String, WeightsError> {
        let mut hasher = Hasher::default();
        for key in self.entries.keys() {
            let (entry, bytes) = self.entry(key)?;
            hasher.update(key.as_bytes());
            hasher.update(&[0]);
            if entry.dtype == Dtype::F16 {
                hasher.update(bytes);
            } else {
                let values = self.f32s(key)?;
                hasher.update(&values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect::<Vec<_>>());
            }
        }
        Ok(hasher.finish())
    }

    /// Checks the file against the network that its own arguments describe.
    ///
    /// # Errors
    ///
    /// [`WeightsError::MissingKey`], [`WeightsError::UnexpectedKey`] or [`WeightsError::WrongShape`] for the first
    /// tensor that differs; [`WeightsError::Malformed`] or [`WeightsError::Unsupported`] if the arguments do not
    /// describe a network.
    pub fn check(&self) -> Result<(), WeightsError> {
        let expected = layout(&self.kwargs)?;
        for (key, shape) in &expected {
            let found = self.shape(key).ok_or_else(|| WeightsError::MissingKey(key.clone()))?;
            if found != shape {
                let (key, expected, found) = (key.clone(), shape.clone(), found.to_vec());
                return Err(WeightsError::WrongShape { key, expected, found });
            }
        }
        match self.keys().find(|key| !expected.contains_key(*key)) {
            Some(key) => Err(WeightsError::UnexpectedKey(excerpt(key))),
            None => Ok(()),
        }
    }

    /// Checks the file against the published digest: that of the tensors if it is known, else that of the whole file.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Digest`] if the digest differs, [`WeightsError::Unsupported`] as [`Self::tensor_digest`].
    pub fn verify(&self, member: &MemberSpec) -> Result<(), WeightsError> {
        let (expected, found) = match member.tensor_digest {
            Some(expected) => (expected, self.tensor_digest()?),
            None => (member.sha256, digest::of_bytes(&self.map)),
        };
        if found == expected { Ok(()) } else { Err(WeightsError::Digest { expected: expected.into(), found }) }
    }

    fn entry(&self, key: &str) -> Result<(&Entry, &[u8]), WeightsError> {
        let entry = self.entries.get(key).ok_or_else(|| WeightsError::MissingKey(excerpt(key)))?;
        Ok((entry, self.map.get(entry.range.clone()).unwrap_or_default()))
    }
}

/// Returns the offset of the data, and the header. The header checks its shapes against its offsets; the caller must
/// check that the offsets lie in the file.
fn header(bytes: &[u8]) -> Result<(usize, Metadata), WeightsError> {
    let short = || WeightsError::Malformed("the file is too short for safetensors".into());
    let (length, rest) = bytes.split_first_chunk::<8>().ok_or_else(short)?;
    let length = usize::try_from(u64::from_le_bytes(*length))
        .ok()
        .filter(|&length| length <= MAX_HEADER_BYTES)
        .ok_or_else(|| WeightsError::Malformed("the start of the file is not a safetensors header".into()))?;
    let header = rest.get(..length).ok_or_else(short)?;
    let metadata = serde_json::from_slice(header)
        .map_err(|e| WeightsError::Malformed(format!("invalid header: {}", excerpt(&e.to_string()))))?;
    Ok((8 + length, metadata))
}

/// Reads the network's arguments from the metadata.
fn kwargs(header: &Metadata) -> Result<Map<String, Value>, WeightsError> {
    let text = |key: &str| {
        let map = header.metadata().as_ref();
        map.and_then(|m| m.get(key)).ok_or_else(|| WeightsError::Malformed(format!("the metadata lacks {key}")))
    };
    let klass = text("klass")?;
    if klass != KLASS {
        return Err(WeightsError::Unsupported(format!("network class {}", excerpt(klass))));
    }
    let json = |key: &str| {
        let value = serde_json::from_str::<Value>(text(key)?);
        value
            .map_err(|e| WeightsError::Malformed(format!("invalid {key} in the metadata: {}", excerpt(&e.to_string()))))
    };
    if !json("args")?.as_array().is_some_and(Vec::is_empty) {
        return Err(WeightsError::Unsupported("positional arguments".into()));
    }
    match json("kwargs")? {
        Value::Object(map) => Ok(map),
        _ => Err(WeightsError::Malformed("kwargs in the metadata is not an object".into())),
    }
}

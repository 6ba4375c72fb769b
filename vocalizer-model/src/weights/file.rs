//! One network's weights, read from a safetensors file.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use half::{bf16, f16};
use memmap2::Mmap;
use safetensors::Dtype;
use safetensors::tensor::Metadata;
use serde_json::{Map, Value};

use super::digest::{self, Hasher};
use super::{MemberSpec, WeightsError, layout};

/// The class that the metadata must name.
pub(super) const KLASS: &str = "demucs.htdemucs.HTDemucs";

/// Headers of the published models take about 60 kB.
const MAX_HEADER_BYTES: usize = 16 << 20;

/// Convolutions over two dimensions have four.
const MAX_DIMENSIONS: usize = 8;

/// A safetensors file, mapped into memory, with the arguments of the network it holds.
///
/// The file must stay as it is while this value lives: shortening a mapped file ends the process.
pub struct WeightsFile {
    map: Mmap,
    entries: BTreeMap<String, Entry>,
    kwargs: Map<String, Value>,
}

/// A tensor's place in the file; the range lies inside the map and fits the shape.
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
    /// Maps the file and reads its header; tensors are read when asked for.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Io`] where it cannot be opened, [`WeightsError::Malformed`] where it is not safetensors or its
    /// metadata does not hold `klass` and `kwargs`, [`WeightsError::Unsupported`] where it holds another network.
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        let file = File::open(path).map_err(WeightsError::io("cannot be opened"))?;
        // SAFETY: the map is only read, through `&[u8]`; files in the cache are put there whole by a rename and never
        // written again, and the type's documentation asks the same of any other file.
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
                let what = format!("its tensor {} has {} dimensions", excerpt(&key), info.shape.len());
                return Err(WeightsError::Malformed(what));
            }
            let range = data_start + start..data_start + end;
            entries.insert(key, Entry { dtype: info.dtype, shape: info.shape.clone(), range });
        }
        if wanted != held {
            let what = format!("its header tells of tensors of {wanted} bytes together, and {held} follow");
            return Err(WeightsError::Malformed(what));
        }
        Ok(Self { map, entries, kwargs })
    }

    /// The keyword arguments that the network was made with.
    pub fn kwargs(&self) -> &Map<String, Value> {
        &self.kwargs
    }

    /// The tensors' keys, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// The shape of one tensor.
    pub fn shape(&self, key: &str) -> Option<&[usize]> {
        self.entries.get(key).map(|entry| entry.shape.as_slice())
    }

    /// The values of one tensor, the last dimension running fastest.
    ///
    /// # Errors
    ///
    /// [`WeightsError::MissingKey`] where there is none of this key, [`WeightsError::Unsupported`] where its values are
    /// not floating point numbers.
    pub fn f32s(&self, key: &str) -> Result<Vec<f32>, WeightsError> {
        let (entry, bytes) = self.entry(key)?;
        Ok(match entry.dtype {
            Dtype::F32 => bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
            Dtype::F16 => bytes.as_chunks().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect(),
            Dtype::BF16 => bytes.as_chunks().0.iter().map(|b| bf16::from_le_bytes(*b).to_f32()).collect(),
            #[expect(clippy::cast_possible_truncation, reason = "rounding is what is asked for")]
            Dtype::F64 => bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b) as f32).collect(),
            other => return Err(WeightsError::Unsupported(format!("{} in {other:?}", excerpt(key)))),
        })
    }

    /// SHA-256 over every tensor in the order of keys: the key, a zero byte, the values as little-endian f16. It is the
    /// same for the same weights whatever the file's order, metadata or precision.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Unsupported`] where a tensor's values are not floating point numbers.
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

    /// Holds the file to the network that its own arguments describe.
    ///
    /// # Errors
    ///
    /// [`WeightsError::MissingKey`], [`WeightsError::UnexpectedKey`] or [`WeightsError::WrongShape`] for the first
    /// tensor that differs; [`WeightsError::Malformed`] or [`WeightsError::Unsupported`] where the arguments do not
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

    /// Holds the file to what was published: its tensors where their digest is known, else the whole file.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Digest`] where it holds something else, [`WeightsError::Unsupported`] as
    /// [`Self::tensor_digest`].
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

/// Where the data starts, and the header before it. The header checks its own shapes against its own offsets; that
/// they lie in the file is for the caller to check.
fn header(bytes: &[u8]) -> Result<(usize, Metadata), WeightsError> {
    let short = || WeightsError::Malformed("it is too short for safetensors".into());
    let (length, rest) = bytes.split_first_chunk::<8>().ok_or_else(short)?;
    let length = usize::try_from(u64::from_le_bytes(*length))
        .ok()
        .filter(|&length| length <= MAX_HEADER_BYTES)
        .ok_or_else(|| WeightsError::Malformed("it does not start as safetensors do".into()))?;
    let header = rest.get(..length).ok_or_else(short)?;
    let metadata = serde_json::from_slice(header)
        .map_err(|e| WeightsError::Malformed(format!("its header: {}", excerpt(&e.to_string()))))?;
    Ok((8 + length, metadata))
}

/// The network's arguments out of the metadata.
fn kwargs(header: &Metadata) -> Result<Map<String, Value>, WeightsError> {
    let text = |key: &str| {
        let map = header.metadata().as_ref();
        map.and_then(|m| m.get(key)).ok_or_else(|| WeightsError::Malformed(format!("its metadata lacks {key}")))
    };
    let klass = text("klass")?;
    if klass != KLASS {
        return Err(WeightsError::Unsupported(format!("the network {}", excerpt(klass))));
    }
    let json = |key: &str| {
        let value = serde_json::from_str::<Value>(text(key)?);
        value.map_err(|e| WeightsError::Malformed(format!("{key} in its metadata: {}", excerpt(&e.to_string()))))
    };
    if !json("args")?.as_array().is_some_and(Vec::is_empty) {
        return Err(WeightsError::Unsupported("positional arguments".into()));
    }
    match json("kwargs")? {
        Value::Object(map) => Ok(map),
        _ => Err(WeightsError::Malformed("kwargs in its metadata is not an object".into())),
    }
}

/// As much of a text from outside as a message should carry, without anything that moves a terminal's cursor.
pub(super) fn excerpt(text: &str) -> String {
    let mut shown: String = text.chars().take(120).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(120).is_some() {
        shown.pop();
        shown.push('…');
    }
    shown
}

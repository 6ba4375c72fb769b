//! A safetensors file, whatever network it is for.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use safetensors::tensor::Metadata;

use super::error::excerpt;
use super::{Dtype, Tensors, WeightsError, digest};

/// The headers of the published models take up to 2 MB.
pub(super) const MAX_HEADER_BYTES: usize = 16 << 20;

/// The tensors of two-dimensional convolutions have four dimensions.
pub(super) const MAX_DIMENSIONS: usize = 8;

/// The tensors of a safetensors file and its metadata. The file is read, not mapped: pages of a map would stay in memory, beside
/// the weights that were made of them.
pub(super) struct Container {
    file: Mutex<File>,
    size_bytes: u64,
    entries: BTreeMap<String, Entry>,
    metadata: HashMap<String, String>,
}

/// A tensor's location in the file. The range lies inside the file and fits the shape.
struct Entry {
    dtype: safetensors::Dtype,
    shape: Vec<usize>,
    range: Range<usize>,
}

impl Container {
    /// Opens the file and reads its header.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Io`] if it cannot be opened, [`WeightsError::Malformed`] if it is not safetensors.
    pub(super) fn open(path: &Path) -> Result<Self, WeightsError> {
        let mut file = File::open(path).map_err(WeightsError::io("cannot be opened"))?;
        let size_bytes = file.metadata().map_err(WeightsError::io("cannot be read"))?.len();
        let (data_start, header) = header(&mut file)?;
        let held = usize::try_from(size_bytes).unwrap_or(usize::MAX).saturating_sub(data_start);
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
        let metadata = header.metadata().clone().unwrap_or_default();
        Ok(Self { file: Mutex::new(file), size_bytes, entries, metadata })
    }

    /// Returns an entry of the metadata.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Malformed`] if there is none.
    pub(super) fn text(&self, key: &str) -> Result<&str, WeightsError> {
        self.metadata
            .get(key)
            .map(String::as_str)
            .ok_or_else(|| WeightsError::Malformed(format!("the metadata lacks {key}")))
    }

    /// Returns an entry of the metadata as JSON.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Malformed`] if there is none, or if it is not JSON.
    pub(super) fn json(&self, key: &str) -> Result<serde_json::Value, WeightsError> {
        serde_json::from_str(self.text(key)?)
            .map_err(|e| WeightsError::Malformed(format!("invalid {key} in the metadata: {}", excerpt(&e.to_string()))))
    }

    /// Returns the size of the file.
    pub(super) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns the type and the place of one tensor.
    ///
    /// # Errors
    ///
    /// [`WeightsError::MissingKey`] if the file has no such tensor, [`WeightsError::Unsupported`] if its type is unknown.
    fn place(&self, key: &str) -> Result<(Dtype, Range<usize>), WeightsError> {
        let entry = self.entries.get(key).ok_or_else(|| WeightsError::MissingKey(excerpt(key)))?;
        let dtype = Dtype::of_safetensors(entry.dtype)
            .ok_or_else(|| WeightsError::Unsupported(format!("tensor {} of type {:?}", excerpt(key), entry.dtype)))?;
        Ok((dtype, entry.range.clone()))
    }

    /// Reads the bytes of one tensor. Returns their type.
    ///
    /// # Errors
    ///
    /// As [`Tensors::bytes`]; [`WeightsError::Io`] if the file cannot be read.
    pub(super) fn read(&self, key: &str, bytes: &mut Vec<u8>) -> Result<Dtype, WeightsError> {
        let (dtype, range) = self.place(key)?;
        bytes.resize(range.len(), 0);
        let mut file = self.file();
        let read = file.seek(SeekFrom::Start(range.start as u64)).and_then(|_| file.read_exact(bytes));
        read.map_err(WeightsError::io("cannot be read"))?;
        Ok(dtype)
    }

    /// Returns the digest of the whole file, which is not kept in memory.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Io`] if the file cannot be read.
    pub(super) fn file_digest(&self) -> Result<String, WeightsError> {
        let mut file = self.file();
        file.rewind().and_then(|()| digest::of_reader(&*file)).map_err(WeightsError::io("cannot be read"))
    }

    fn file(&self) -> MutexGuard<'_, File> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tensors for Container {
    fn keys(&self) -> Vec<&str> {
        self.entries.keys().map(String::as_str).collect()
    }

    fn shape(&self, key: &str) -> Option<&[usize]> {
        self.entries.get(key).map(|entry| entry.shape.as_slice())
    }

    fn dtype(&self, key: &str) -> Option<Dtype> {
        Dtype::of_safetensors(self.entries.get(key)?.dtype)
    }

    fn bytes(&self, key: &str) -> Result<Cow<'_, [u8]>, WeightsError> {
        let mut bytes = Vec::new();
        self.read(key, &mut bytes)?;
        Ok(bytes.into())
    }
}

/// Returns the offset of the data, and the header. The header checks its shapes against its offsets; the caller must
/// check that the offsets lie in the file.
fn header(file: &mut File) -> Result<(usize, Metadata), WeightsError> {
    let short = || WeightsError::Malformed("the file is too short for safetensors".into());
    let mut read = |bytes: &mut [u8]| match file.read_exact(bytes) {
        Err(e) if e.kind() == ErrorKind::UnexpectedEof => Err(short()),
        read => read.map_err(WeightsError::io("cannot be read")),
    };
    let mut length = [0; 8];
    read(&mut length)?;
    let length = usize::try_from(u64::from_le_bytes(length))
        .ok()
        .filter(|&length| length <= MAX_HEADER_BYTES)
        .ok_or_else(|| WeightsError::Malformed("the start of the file is not a safetensors header".into()))?;
    let mut header = vec![0; length];
    read(&mut header)?;
    let metadata = serde_json::from_slice(&header)
        .map_err(|e| WeightsError::Malformed(format!("invalid header: {}", excerpt(&e.to_string()))))?;
    Ok((8 + length, metadata))
}

//! Reads PyTorch checkpoints, which are programs, as data.

mod archive;
mod opcodes;
mod pickle;
mod state_dict;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::path::Path;

use memmap2::Mmap;

use self::archive::Archive;
use self::pickle::{Values, View};
use super::error::excerpt;
use super::{Dtype, Tensors, WeightsError};

/// The pickle of the largest published checkpoint has 3 MB.
const MAX_PICKLE_BYTES: usize = 32 << 20;

/// A memory-mapped checkpoint, as `torch.save` of PyTorch 1.6 and later writes it: the tensors of its state dict.
///
/// Nothing in the file is run. Its pickle may name tensors, storages and ordered dictionaries; a file with any other name
/// is refused. The prefixes `module.` and `model.` are removed if all keys have them.
///
/// The file must not change while this value lives: truncating a mapped file kills the process.
pub struct CheckpointFile {
    map: Mmap,
    tensors: BTreeMap<String, Tensor>,
}

/// A tensor's place in the file. Every value lies inside the map.
struct Tensor {
    dtype: Dtype,
    shape: Vec<usize>,
    /// In values, one for each dimension.
    strides: Vec<usize>,
    /// The bytes from the first to the last value.
    range: Range<usize>,
}

impl std::fmt::Debug for CheckpointFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CheckpointFile").field("tensors", &self.tensors.len()).finish_non_exhaustive()
    }
}

impl CheckpointFile {
    /// Maps the file and reads its pickle. Tensors are read on demand.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Io`] if it cannot be opened, [`WeightsError::Malformed`] if it is not a whole checkpoint,
    /// [`WeightsError::Unsupported`] if it is of another kind, or needs more than a state dict does.
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        let file = File::open(path).map_err(WeightsError::io("cannot be opened"))?;
        // SAFETY: the map is only read, through `&[u8]`, and the documentation requires that the file does not change.
        let map = unsafe { Mmap::map(&file) }.map_err(WeightsError::io("cannot be read"))?;
        let tensors = read(&map)?;
        Ok(Self { map, tensors })
    }

    /// Returns the keys of the tensors, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Returns the shape of one tensor.
    pub fn shape(&self, key: &str) -> Option<&[usize]> {
        self.tensors.get(key).map(|tensor| tensor.shape.as_slice())
    }

    /// Returns the type of one tensor's values.
    pub fn dtype(&self, key: &str) -> Option<Dtype> {
        self.tensors.get(key).map(|tensor| tensor.dtype)
    }

    /// Reads the values of one tensor, in row-major order.
    ///
    /// # Errors
    ///
    /// [`WeightsError::MissingKey`] if the file has no such tensor, [`WeightsError::Unsupported`] if its values are not
    /// floating point numbers.
    pub fn f32s(&self, key: &str) -> Result<Vec<f32>, WeightsError> {
        Tensors::f32s(self, key)
    }

    pub(super) fn file_bytes(&self) -> &[u8] {
        &self.map
    }
}

impl Tensors for CheckpointFile {
    fn keys(&self) -> Vec<&str> {
        self.keys().collect()
    }

    fn shape(&self, key: &str) -> Option<&[usize]> {
        self.shape(key)
    }

    fn dtype(&self, key: &str) -> Option<Dtype> {
        self.dtype(key)
    }

    fn bytes(&self, key: &str) -> Result<Cow<'_, [u8]>, WeightsError> {
        let tensor = self.tensors.get(key).ok_or_else(|| WeightsError::MissingKey(excerpt(key)))?;
        let held = self.map.get(tensor.range.clone()).unwrap_or_default();
        Ok(if is_contiguous(&tensor.shape, &tensor.strides) { held.into() } else { gather(tensor, held).into() })
    }
}

/// Finds the tensors of a checkpoint.
fn read(file: &[u8]) -> Result<BTreeMap<String, Tensor>, WeightsError> {
    if !file.starts_with(b"PK") {
        return Err(match file.first() {
            Some(0x80) => WeightsError::Unsupported(
                "a checkpoint in the format of PyTorch before 1.6; load it with PyTorch and save it again".into(),
            ),
            _ => WeightsError::Malformed("not a checkpoint, which is a zip archive".into()),
        });
    }
    let archive = Archive::open(file)?;
    if archive.size_bytes("byteorder").is_some() && archive.bytes("byteorder")? != b"little" {
        return Err(WeightsError::Unsupported("a checkpoint with big-endian numbers".into()));
    }
    if archive.size_bytes("data.pkl").is_some_and(|size| size > MAX_PICKLE_BYTES) {
        return Err(WeightsError::Unsupported(format!("a pickle of more than {MAX_PICKLE_BYTES} bytes")));
    }
    let values = Values::read(archive.bytes("data.pkl")?)?;
    let views = state_dict::find(&values)?;
    let mut storages = BTreeMap::new();
    let mut tensors = BTreeMap::new();
    let mut total: usize = 0;
    for (key, view) in views {
        let name = view.storage.name;
        let storage = match storages.get(name) {
            Some(found) => Range::clone(found),
            None => {
                let found = archive.range(&format!("data/{name}"))?;
                storages.insert(name, found.clone());
                found
            }
        };
        let tensor = tensor(view, storage)
            .map_err(|why| WeightsError::Malformed(format!("the tensor {} {why}", excerpt(key))))?;
        total = total.saturating_add(tensor.shape.iter().product::<usize>() * tensor.dtype.width_bytes());
        tensors.insert(key.to_owned(), tensor);
    }
    // Tensors may share values, but a small file must not hold a large network.
    if total / 2 > file.len() {
        let what = format!("its tensors claim {total} bytes in all, but the file has {}", file.len());
        return Err(WeightsError::Malformed(what));
    }
    Ok(tensors)
}

/// Places a tensor in the bytes of its storage.
fn tensor(view: &View<'_>, storage: Range<usize>) -> Result<Tensor, String> {
    let View { storage: claimed, offset, shape, strides } = view;
    let width = claimed.dtype.width_bytes();
    let values = storage.len() / width;
    if claimed.values.checked_mul(width) != Some(storage.len()) {
        let (claimed, name, held) = (claimed.values, excerpt(claimed.name), storage.len());
        return Err(format!("is in a storage of {claimed} values, but data/{name} has {held} bytes"));
    }
    if shape.len() != strides.len() {
        return Err(format!("has the shape {shape:?}, but the strides {strides:?}"));
    }
    let outside = || {
        format!("of shape {shape:?} and strides {strides:?} from {offset} is not inside its storage of {values} values")
    };
    let count = shape.iter().try_fold(1_usize, |count, size| count.checked_mul(*size)).ok_or_else(outside)?;
    // A view that repeats values can claim any number of them.
    if count > values {
        return Err(outside());
    }
    let last = shape
        .iter()
        .zip(strides)
        .try_fold(*offset, |last, (size, stride)| last.checked_add(size.saturating_sub(1).checked_mul(*stride)?));
    let (first, end) = match (count, last) {
        (0, _) => (0, 0),
        (_, Some(last)) if last < values => (*offset, last + 1),
        _ => return Err(outside()),
    };
    let range = storage.start + first * width..storage.start + end * width;
    Ok(Tensor { dtype: claimed.dtype, shape: shape.clone(), strides: strides.clone(), range })
}

/// Returns whether the values are next to each other, in row-major order.
fn is_contiguous(shape: &[usize], strides: &[usize]) -> bool {
    let mut expected = 1;
    shape.contains(&0)
        || shape.iter().zip(strides).rev().all(|(size, stride)| {
            let fits = *size == 1 || *stride == expected;
            expected *= size;
            fits
        })
}

/// Collects the values of a tensor that are spread over `held`.
fn gather(tensor: &Tensor, held: &[u8]) -> Vec<u8> {
    let width = tensor.dtype.width_bytes();
    let count: usize = tensor.shape.iter().product();
    let mut out = Vec::with_capacity(count * width);
    let mut index = vec![0; tensor.shape.len()];
    for _ in 0..count {
        let at: usize = index.iter().zip(&tensor.strides).map(|(i, stride)| i * stride).sum::<usize>() * width;
        out.extend_from_slice(held.get(at..at + width).unwrap_or_default());
        for (i, size) in index.iter_mut().zip(&tensor.shape).rev() {
            *i += 1;
            if *i < *size {
                break;
            }
            *i = 0;
        }
    }
    out
}

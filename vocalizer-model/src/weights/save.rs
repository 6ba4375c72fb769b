//! Writes weights as safetensors.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde_json::{Map, Value, json};

use super::file::KLASS;
use super::{Dtype, HalfTensor, WeightsError};

/// Writes a network's weights in the published format: f16, with the network's arguments in the metadata.
///
/// The file is written under a temporary name and renamed: `path` always holds the old file or the whole new one.
///
/// # Errors
///
/// [`WeightsError::Io`] if the file cannot be written.
pub fn save_half(
    path: &Path,
    kwargs: &Map<String, Value>,
    tensors: &BTreeMap<String, HalfTensor>,
) -> Result<(), WeightsError> {
    write_half(path, kwargs, tensors).map_err(WeightsError::io(format!("{} cannot be written", path.display())))
}

fn write_half(path: &Path, kwargs: &Map<String, Value>, tensors: &BTreeMap<String, HalfTensor>) -> io::Result<()> {
    let kwargs = Value::Object(kwargs.clone()).to_string();
    let described = tensors.iter().map(|(key, tensor)| (key.as_str(), Dtype::F16, tensor.shape.as_slice()));
    let header = header(json!({"args": "[]", "klass": KLASS, "kwargs": kwargs}), described);

    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".weights-");
    // Temporary files are private by default; the final file gets the permissions that the umask allows.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(dir)?;
    let mut out = BufWriter::new(file.as_file_mut());
    out.write_all(&header)?;
    for tensor in tensors.values() {
        let bytes: Vec<u8> = tensor.values.iter().flat_map(|v| v.to_le_bytes()).collect();
        out.write_all(&bytes)?;
    }
    out.flush()?;
    drop(out);
    file.as_file().sync_all()?;
    file.persist(path)?;
    sync_dir(path)
}

/// Returns the start of a safetensors file with this metadata and these tensors: key, type and shape, in the order of the
/// values that follow.
pub(super) fn header<'a>(metadata: Value, tensors: impl Iterator<Item = (&'a str, Dtype, &'a [usize])>) -> Vec<u8> {
    let mut header = Map::from_iter([("__metadata__".to_owned(), metadata)]);
    let mut end = 0;
    for (key, dtype, shape) in tensors {
        let start = end;
        end += dtype.width_bytes() * shape.iter().product::<usize>();
        header.insert(key.into(), json!({"dtype": dtype.name(), "shape": shape, "data_offsets": [start, end]}));
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    [&(header.len() as u64).to_le_bytes(), header.as_slice()].concat()
}

/// Renames a complete file into place, durably.
pub(super) fn put(whole: &Path, path: &Path) -> io::Result<()> {
    std::fs::rename(whole, path)?;
    sync_dir(path)
}

/// Makes a rename into the folder of `path` durable.
fn sync_dir(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::File::open(dir)?.sync_all()?;
    }
    Ok(())
}

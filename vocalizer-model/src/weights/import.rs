//! Imports checkpoints into the cache.

use std::borrow::Cow;
use std::fs::{self, File, TryLockError};
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use half::f16;
use serde_json::{Value, json};

use super::container::{Container, MAX_HEADER_BYTES};
use super::digest::Hasher;
use super::error::excerpt;
use super::file::TENSOR_DIGEST;
use super::imported::stems;
use super::{Cache, CheckpointFile, Dtype, Family, Imported, Tensors, WeightsError, digest, dtype, prefixes, save};

/// The tables of angles of rotary embeddings. Rounded to half precision, they alone limit a segment of 8 s to 62 dB.
const FREQUENCIES: &str = ".rotary_embed.freqs";

/// Terms of use longer than this belong in a file.
const MAX_LICENCE_BYTES: usize = 4096;

/// What to import, and how.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Import<'a> {
    /// A checkpoint of PyTorch, or a safetensors file.
    pub source: &'a Path,
    /// Name of the new model.
    pub name: &'a str,
    /// The configuration, from [`read_toolkit_config`](super::read_toolkit_config). A safetensors file may have one in its
    /// metadata.
    pub config: Option<Value>,
    /// Terms of use of the weights.
    pub licence: Option<&'a str>,
    /// Precision of the new file.
    pub precision: ImportPrecision,
    /// Replaces an imported model of the same name.
    pub overwrite: bool,
}

impl<'a> Import<'a> {
    /// Describes the import of a file under a name, with defaults for all else.
    pub fn new(source: &'a Path, name: &'a str) -> Self {
        Self { source, name, config: None, licence: None, precision: ImportPrecision::default(), overwrite: false }
    }
}

/// The precision of an imported model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ImportPrecision {
    /// Half if that is exact for every value, else that of the source.
    #[default]
    Exact,
    /// Half, rounded. The frequencies of rotary embeddings keep the source's.
    Half,
}

/// Checks the tensors of an import against the network that a configuration describes. [`check_layout`](super::check_layout)
/// compares them with a layout.
pub type ImportCheck<'a> = dyn Fn(Family, &Value, &dyn Tensors) -> Result<(), WeightsError> + 'a;

impl Cache {
    /// Imports a model: writes its tensors and its configuration to one safetensors file in the cache.
    ///
    /// The file appears whole or not at all. It keeps all keys, without the prefixes that all of them have. Counters of
    /// batches (`num_batches_tracked`) are left out.
    ///
    /// # Errors
    ///
    /// [`WeightsError::InvalidName`], [`WeightsError::NameTaken`] or [`WeightsError::ImportRunning`] for the name;
    /// [`WeightsError::UnknownFamily`], [`WeightsError::MissingConfig`] or [`WeightsError::ConfigMismatch`] if it is not
    /// clear which network the tensors are for; the error of `check`; [`WeightsError::Unsupported`] if a tensor holds
    /// integers, or values that the precision cannot hold; [`WeightsError::Malformed`] as [`CheckpointFile::open`], and for
    /// infinite values; [`WeightsError::Io`] if a file cannot be read or written.
    pub fn import(&self, import: &Import<'_>, check: &ImportCheck<'_>) -> Result<Imported, WeightsError> {
        let target = self.import_path(import.name)?;
        let dir = self.imported_dir();
        fs::create_dir_all(&dir)
            .map_err(WeightsError::io(format!("the folder {} cannot be created", dir.display())))?;
        let _lock = lock(&dir.join(format!("{}.lock", import.name)), import.name)?;
        if target.exists() && !import.overwrite {
            return Err(WeightsError::NameTaken(import.name.into()));
        }
        let source = Source::open(import.source)?;
        let (family, config) = source.described(import.config.clone())?;
        stems(&config)?;
        check(family, &config, &source)?;
        let metadata = metadata(import, family, &config, &source)?;

        // The lock makes this name ours; a killed import may have left the file.
        let part = dir.join(format!("{}.part", import.name));
        let written = write(&part, metadata, &source, import.precision);
        let written = written.and_then(|()| {
            save::put(&part, &target).map_err(WeightsError::io(format!("{} cannot be written", target.display())))
        });
        if written.is_err() {
            let _ = fs::remove_file(&part);
        }
        written?;
        Imported::read(import.name, &target)
    }
}

/// Converts a published checkpoint to a weights file in half precision. The file at `to` is new and complete, unless an error
/// is returned.
///
/// # Errors
///
/// As [`Cache::import`], but for the name.
#[cfg(feature = "fetch")]
pub(super) fn convert(
    checkpoint: &Path,
    member: &super::MemberSpec,
    config: &str,
    to: &Path,
) -> Result<(), WeightsError> {
    let source = Source::open(checkpoint).map_err(|error| match error {
        WeightsError::Io { action, source } => {
            WeightsError::Io { action: format!("{} {action}", checkpoint.display()), source }
        }
        error => error,
    })?;
    let config = serde_json::from_str(config).map_err(|e| WeightsError::Malformed(e.to_string()))?;
    let (family, config) = source.described(Some(config))?;
    let name = member.file.strip_suffix(".safetensors").unwrap_or(member.file);
    let import = Import::new(Path::new(member.source.file_name()), name);
    let metadata = metadata(&import, family, &config, &source)?;
    write(to, metadata, &source, ImportPrecision::Half)
}

/// Keeps other imports of this name out until the returned handle is dropped. The lock file itself stays.
fn lock(path: &Path, name: &str) -> Result<File, WeightsError> {
    let action = || WeightsError::io(format!("{} cannot be locked against other imports", path.display()));
    let file = File::options().create(true).truncate(false).write(true).open(path).map_err(action())?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(WeightsError::ImportRunning(name.into())),
        Err(TryLockError::Error(e)) => Err(action()(e)),
    }
}

fn metadata(import: &Import<'_>, family: Family, config: &Value, source: &Source) -> Result<Value, WeightsError> {
    let file = import.source.file_name().unwrap_or_default().to_string_lossy();
    let mut metadata = json!({
        "family": family.name(),
        "config": config.to_string(),
        "name": import.name,
        "source": excerpt(&file),
        "source_sha256": source.digest()?,
    });
    if let Some(licence) = import.licence {
        if licence.len() > MAX_LICENCE_BYTES {
            let what = format!("a licence of {} bytes, at most {MAX_LICENCE_BYTES} are kept", licence.len());
            return Err(WeightsError::Unsupported(what));
        }
        metadata["licence"] = licence.into();
    }
    Ok(metadata)
}

/// The file that is imported: its tensors under their keys without prefixes.
struct Source {
    file: SourceFile,
    /// The prefix of all keys.
    prefix: String,
}

enum SourceFile {
    Checkpoint(CheckpointFile),
    Safetensors(Container),
}

impl Source {
    fn open(path: &Path) -> Result<Self, WeightsError> {
        let is_safetensors = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("safetensors"));
        let file = match is_safetensors {
            true => SourceFile::Safetensors(Container::open(path)?),
            false => SourceFile::Checkpoint(CheckpointFile::open(path)?),
        };
        let mut source = Self { file, prefix: String::new() };
        let keys = source.tensors().keys();
        let length = prefixes::shared(keys.iter().copied());
        source.prefix = keys.first().and_then(|key| key.get(..length)).unwrap_or_default().to_owned();
        Ok(source)
    }

    fn tensors(&self) -> &dyn Tensors {
        match &self.file {
            SourceFile::Checkpoint(file) => file,
            SourceFile::Safetensors(file) => file,
        }
    }

    /// Returns the digest of the whole file.
    fn digest(&self) -> Result<String, WeightsError> {
        match &self.file {
            SourceFile::Checkpoint(file) => Ok(digest::of_bytes(file.file_bytes())),
            SourceFile::Safetensors(file) => file.file_digest(),
        }
    }

    /// Returns the network's family and configuration: the given one, or that in the metadata.
    fn described(&self, given: Option<Value>) -> Result<(Family, Value), WeightsError> {
        let family = Family::of_keys(&self.keys())?;
        let config = match (given, &self.file) {
            (Some(given), _) => given,
            (None, SourceFile::Safetensors(file)) if file.text("config").is_ok() => file.json("config")?,
            (None, _) => return Err(WeightsError::MissingConfig),
        };
        family.check_config(&config)?;
        Ok((family, config))
    }

    /// Returns the key in the file.
    fn full<'k>(&self, key: &'k str) -> Cow<'k, str> {
        if self.prefix.is_empty() { key.into() } else { format!("{}{key}", self.prefix).into() }
    }
}

impl Tensors for Source {
    fn keys(&self) -> Vec<&str> {
        let keys = self.tensors().keys().into_iter().filter_map(|key| key.strip_prefix(&*self.prefix));
        keys.filter(|key| !key.ends_with(".num_batches_tracked")).collect()
    }

    fn shape(&self, key: &str) -> Option<&[usize]> {
        self.tensors().shape(&self.full(key))
    }

    fn dtype(&self, key: &str) -> Option<Dtype> {
        self.tensors().dtype(&self.full(key))
    }

    fn bytes(&self, key: &str) -> Result<Cow<'_, [u8]>, WeightsError> {
        self.tensors().bytes(&self.full(key))
    }
}

/// Writes a weights file, durably.
fn write(path: &Path, mut metadata: Value, source: &Source, precision: ImportPrecision) -> Result<(), WeightsError> {
    let mut tensors = Vec::new();
    let mut is_exact = true;
    let mut hasher = Hasher::default();
    for key in source.keys() {
        let (dtype, shape) = float_tensor(source, key)?;
        let halves = halves(key, dtype, &source.bytes(key)?)?;
        is_exact &= halves.is_exact;
        hasher.update(key.as_bytes());
        hasher.update(&[0]);
        hasher.update(&halves.bytes());
        tensors.push((key, dtype, shape));
    }
    // As `WeightsFile::tensor_digest` computes it.
    metadata[TENSOR_DIGEST] = hasher.finish().into();
    let is_half = |key: &str| is_exact || precision == ImportPrecision::Half && !key.ends_with(FREQUENCIES);
    let stored = |key: &str, dtype| if is_half(key) { Dtype::F16 } else { dtype };
    let header = save::header(metadata, tensors.iter().map(|(key, dtype, shape)| (*key, stored(key, *dtype), *shape)));
    if header.len() > MAX_HEADER_BYTES {
        return Err(WeightsError::Unsupported("too many tensors for a safetensors header".into()));
    }
    let failed = || WeightsError::io(format!("{} cannot be written", path.display()));
    let mut out = BufWriter::new(File::create(path).map_err(failed())?);
    out.write_all(&header).map_err(failed())?;
    for (key, dtype, _) in tensors {
        let bytes = source.bytes(key)?;
        let bytes = match is_half(key) && dtype != Dtype::F16 {
            true => halves(key, dtype, &bytes)?.finite_bytes(key)?.into(),
            false => bytes,
        };
        out.write_all(&bytes).map_err(failed())?;
    }
    let file = out.into_inner().map_err(io::IntoInnerError::into_error).map_err(failed())?;
    file.sync_all().map_err(failed())
}

/// Returns the type and the shape of a tensor of floating point numbers.
fn float_tensor<'s>(source: &'s Source, key: &str) -> Result<(Dtype, &'s [usize]), WeightsError> {
    let dtype = source.dtype(key).filter(|dtype| dtype.is_float());
    let dtype = dtype.ok_or_else(|| {
        let what = format!("the tensor {}, which does not hold floating point numbers", excerpt(key));
        WeightsError::Unsupported(what)
    })?;
    Ok((dtype, source.shape(key).ok_or_else(|| WeightsError::MissingKey(excerpt(key)))?))
}

/// The values of a tensor, rounded to half precision.
struct Halves {
    values: Vec<f16>,
    is_exact: bool,
}

impl Halves {
    fn finite_bytes(&self, key: &str) -> Result<Vec<u8>, WeightsError> {
        if self.values.iter().any(|value| !value.is_finite()) {
            let what = format!("values of the tensor {} are too large for half precision", excerpt(key));
            return Err(WeightsError::Unsupported(what));
        }
        Ok(self.bytes())
    }

    fn bytes(&self) -> Vec<u8> {
        self.values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }
}

/// Rounds the values of a tensor. A double is exact if rounding it twice, first to single precision, loses nothing.
fn halves(key: &str, dtype: Dtype, bytes: &[u8]) -> Result<Halves, WeightsError> {
    let singles = dtype::f32s(key, dtype, bytes)?;
    let is_single = dtype != Dtype::F64
        || singles
            .iter()
            .zip(bytes.as_chunks().0)
            .all(|(single, double)| f64::from(*single) == f64::from_le_bytes(*double));
    let values: Vec<_> = singles.iter().map(|value| f16::from_f32(*value)).collect();
    if singles.iter().any(|value| !value.is_finite()) {
        let what = format!("the tensor {} has a value that is infinite or not a number", excerpt(key));
        return Err(WeightsError::Malformed(what));
    }
    let is_exact = is_single && singles.iter().zip(&values).all(|(single, half)| *single == half.to_f32());
    Ok(Halves { values, is_exact })
}

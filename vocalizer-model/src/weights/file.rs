//! The weights of one network in a safetensors file.

use std::borrow::Cow;
use std::path::Path;

use half::f16;
use serde_json::{Map, Value};

use super::container::Container;
use super::digest::Hasher;
use super::error::excerpt;
use super::{Dtype, Family, MemberSpec, Tensors, WeightsError, check_layout, dtype, layout};

/// The required value of `klass` in the metadata.
pub(super) const KLASS: &str = "demucs.htdemucs.HTDemucs";

/// The key of [`WeightsFile::tensor_digest`] in the metadata of imported and converted files.
pub(super) const TENSOR_DIGEST: &str = "tensor_digest";

/// A safetensors file, with the configuration of the network in it.
pub struct WeightsFile {
    container: Container,
    family: Family,
    config: Map<String, Value>,
}

impl std::fmt::Debug for WeightsFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WeightsFile").field("tensors", &self.container.len()).field("family", &self.family).finish()
    }
}

impl WeightsFile {
    /// Opens the file and reads its header. Tensors are read on demand.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Io`] if it cannot be opened, [`WeightsError::Malformed`] if it is not safetensors or its
    /// metadata lacks the network's family or configuration, [`WeightsError::Unsupported`] or
    /// [`WeightsError::UnknownFamily`] if it holds another network.
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        let container = Container::open(path)?;
        let (family, config) = network(&container)?;
        Ok(Self { container, family, config })
    }

    /// Returns the family of the network.
    pub fn family(&self) -> Family {
        self.family
    }

    /// Returns the network's configuration: for HTDemucs the keyword arguments of its class, else the sections `audio`, `model`,
    /// `training` and `inference` of its training configuration.
    pub fn config(&self) -> &Map<String, Value> {
        &self.config
    }

    /// Returns the keys of the tensors, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.container.keys().into_iter()
    }

    /// Returns the shape of one tensor.
    pub fn shape(&self, key: &str) -> Option<&[usize]> {
        self.container.shape(key)
    }

    /// Reads the values of one tensor, in row-major order.
    ///
    /// # Errors
    ///
    /// [`WeightsError::MissingKey`] if the file has no such tensor, [`WeightsError::Unsupported`] if its values are not
    /// floating point numbers.
    pub fn f32s(&self, key: &str) -> Result<Vec<f32>, WeightsError> {
        self.container.f32s(key)
    }

    /// Returns the SHA-256 over all tensors in key order: the key, a zero byte, the values as little-endian f16. The
    /// digest does not depend on the file's tensor order, metadata or precision. Tensors are read one at a time.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Unsupported`] if a tensor's values are not floating point numbers, [`WeightsError::Io`] if the
    /// file cannot be read.
    pub fn tensor_digest(&self) -> Result<String, WeightsError> {
        let (mut hasher, mut bytes) = (Hasher::default(), Vec::new());
        for key in self.keys() {
            let dtype = self.container.read(key, &mut bytes)?;
            hasher.update(key.as_bytes());
            hasher.update(&[0]);
            if dtype == Dtype::F16 {
                hasher.update(&bytes);
            } else {
                let values = dtype::f32s(key, dtype, &bytes)?;
                hasher.update(&values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect::<Vec<_>>());
            }
        }
        Ok(hasher.finish())
    }

    /// Checks the file against the HTDemucs that its own arguments describe. [`check_network`](crate::check_network) checks
    /// networks of every family.
    ///
    /// # Errors
    ///
    /// [`WeightsError::MissingKey`], [`WeightsError::UnexpectedKey`] or [`WeightsError::WrongShape`] for the first
    /// tensor that differs; [`WeightsError::Malformed`] or [`WeightsError::Unsupported`] if the arguments do not
    /// describe a network.
    pub fn check(&self) -> Result<(), WeightsError> {
        match self.family {
            Family::Htdemucs => check_layout(&layout(&self.config)?, &self.container),
            Family::Scnet | Family::BsRoformer | Family::MelBandRoformer => Ok(()),
        }
    }

    /// Checks the file against the published digest: that of the tensors if it is known, else that of the whole file. A
    /// converted file must be made from the published checkpoint with the registry's configuration, and have the tensors that
    /// the conversion wrote.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Digest`] if a digest differs, [`WeightsError::ConfigMismatch`] if the configuration does,
    /// [`WeightsError::Malformed`] if a converted file does not say what it was made from, [`WeightsError::Unsupported`] as
    /// [`Self::tensor_digest`].
    pub fn verify(&self, member: &MemberSpec) -> Result<(), WeightsError> {
        if let Some(config) = member.config {
            same(member.sha256, self.container.text("source_sha256")?.to_owned())?;
            if serde_json::from_str::<Map<String, Value>>(config).ok().as_ref() != Some(&self.config) {
                let what = "it was converted with another one than that of this version of Vocalizer";
                return Err(WeightsError::ConfigMismatch(what.into()));
            }
            return same(self.container.text(TENSOR_DIGEST)?, self.tensor_digest()?);
        }
        let (expected, found) = match member.tensor_digest {
            Some(expected) => (expected, self.tensor_digest()?),
            None => (member.sha256, self.container.file_digest()?),
        };
        same(expected, found)
    }

    /// Returns the digest that [`Self::verify`] or [`Self::verify_import`] has checked; that of the tensors if the file
    /// states none.
    ///
    /// # Errors
    ///
    /// As [`Self::tensor_digest`].
    #[cfg(feature = "separate")]
    pub(crate) fn verified_digest(&self, member: Option<&MemberSpec>) -> Result<String, WeightsError> {
        let stated = self.container.text(TENSOR_DIGEST).map(str::to_owned);
        match member {
            Some(member) if member.config.is_none() => Ok(member.tensor_digest.unwrap_or(member.sha256).to_owned()),
            Some(_) => stated,
            None => stated.or_else(|_| self.tensor_digest()),
        }
    }

    /// Checks the tensors of an imported file against the digest that the import wrote. Files without one pass.
    ///
    /// # Errors
    ///
    /// As [`Self::verify`].
    #[cfg(feature = "separate")]
    pub(crate) fn verify_import(&self) -> Result<(), WeightsError> {
        match self.container.text(TENSOR_DIGEST) {
            Ok(expected) => same(expected, self.tensor_digest()?),
            Err(_) => Ok(()),
        }
    }
}

fn same(expected: &str, found: String) -> Result<(), WeightsError> {
    if found == expected {
        Ok(())
    } else {
        Err(WeightsError::Digest { expected: excerpt(expected), found: excerpt(&found) })
    }
}

impl Tensors for WeightsFile {
    fn keys(&self) -> Vec<&str> {
        self.container.keys()
    }

    fn shape(&self, key: &str) -> Option<&[usize]> {
        self.container.shape(key)
    }

    fn dtype(&self, key: &str) -> Option<Dtype> {
        self.container.dtype(key)
    }

    fn bytes(&self, key: &str) -> Result<Cow<'_, [u8]>, WeightsError> {
        self.container.bytes(key)
    }
}

/// Reads the network's family and configuration from the metadata.
fn network(container: &Container) -> Result<(Family, Map<String, Value>), WeightsError> {
    let object = |key: &str| match container.json(key)? {
        Value::Object(map) => Ok(map),
        _ => Err(WeightsError::Malformed(format!("{key} in the metadata is not an object"))),
    };
    if let Ok(family) = container.text("family") {
        return Ok((Family::named(family)?, object("config")?));
    }
    let klass = container.text("klass")?;
    if klass != KLASS {
        return Err(WeightsError::Unsupported(format!("network class {}", excerpt(klass))));
    }
    if !container.json("args")?.as_array().is_some_and(Vec::is_empty) {
        return Err(WeightsError::Unsupported("positional arguments".into()));
    }
    Ok((Family::Htdemucs, object("kwargs")?))
}

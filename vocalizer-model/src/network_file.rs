//! The weights files of a model.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::Error;
use crate::networks::{self, NetworkConfig};
use crate::weights::{MemberSpec, WeightsError, WeightsFile};

/// One network of a bag, independent of devices.
pub(crate) struct Member {
    pub(crate) config: Box<dyn NetworkConfig>,
    /// Weight for each stem.
    pub(crate) mix: Vec<f32>,
    /// Positions of the stems to load, in the configuration's sources.
    pub(crate) stems: Vec<usize>,
}

/// The open weights file of one network.
pub(crate) struct NetworkFile {
    path: PathBuf,
    pub(crate) file: WeightsFile,
    /// The published model's name and network, for files in the cache.
    pub(crate) published: Option<Published>,
    pub(crate) member: Member,
}

/// The name of a published model, and one of its networks.
type Published = (&'static str, &'static MemberSpec);

impl NetworkFile {
    pub(crate) fn open(path: PathBuf, published: Option<Published>, mix: &[f32]) -> Result<Self, Error> {
        let opened = (|| {
            let file = WeightsFile::open(&path)?;
            networks::check_network(file.family(), &Value::Object(file.config().clone()), &file)?;
            let config = networks::config(&file)?;
            Ok((file, config))
        })();
        let (file, config) = opened.map_err(|source| wrong(&path, published, source))?;
        let mix = if mix.is_empty() { vec![1.0; config.sources().len()] } else { mix.to_vec() };
        let stems = (0..config.sources().len()).collect();
        Ok(Self { path, file, published, member: Member { config, mix, stems } })
    }

    /// Verifies the file against its published digest, or against that of its import.
    pub(crate) fn verify(&self) -> Result<(), Error> {
        let verified = match self.published {
            Some((_, member)) => self.file.verify(member),
            None => self.file.verify_import(),
        };
        verified.map_err(|source| self.wrong(source))
    }

    /// Returns the digest of the weights, once they are verified.
    pub(crate) fn digest(&self) -> Result<String, Error> {
        self.file.verified_digest(self.published.map(|(_, member)| member)).map_err(|source| self.wrong(source))
    }

    pub(crate) fn wrong(&self, source: WeightsError) -> Error {
        wrong(&self.path, self.published, source)
    }
}

fn wrong(path: &Path, published: Option<Published>, source: WeightsError) -> Error {
    let path = path.to_owned();
    match published {
        Some((model, _)) => Error::CachedWeights { path, model, source },
        None => Error::WeightsFile { path, source },
    }
}

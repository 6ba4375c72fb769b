//! The weights files of a model.

use std::path::PathBuf;

use crate::Error;
use crate::dsp::stft::Stft;
use crate::htdemucs::HtdemucsConfig;
use crate::weights::{MemberSpec, WeightsError, WeightsFile};

/// One network of a bag, independent of devices.
pub(crate) struct Member {
    pub(crate) config: HtdemucsConfig,
    /// Weight for each stem.
    pub(crate) mix: Vec<f32>,
    pub(crate) stft: Stft,
}

/// The open weights file of one network.
pub(crate) struct NetworkFile {
    path: PathBuf,
    pub(crate) file: WeightsFile,
    pub(crate) published: Option<&'static MemberSpec>,
    pub(crate) member: Member,
}

impl NetworkFile {
    pub(crate) fn open(path: PathBuf, published: Option<&'static MemberSpec>, mix: &[f32]) -> Result<Self, Error> {
        let opened = (|| {
            let file = WeightsFile::open(&path)?;
            file.check()?;
            let config = HtdemucsConfig::from_kwargs(file.kwargs())?;
            Ok((file, config))
        })();
        let (file, config) = opened.map_err(|source| Error::WeightsFile { path: path.clone(), source })?;
        let mix = if mix.is_empty() { vec![1.0; config.sources.len()] } else { mix.to_vec() };
        let stft = Stft::new(config.nfft);
        Ok(Self { path, file, published, member: Member { config, mix, stft } })
    }

    /// Verifies the file against its published digest.
    pub(crate) fn verify(&self) -> Result<(), Error> {
        self.published.map_or(Ok(()), |published| self.file.verify(published)).map_err(|source| self.wrong(source))
    }

    pub(crate) fn wrong(&self, source: WeightsError) -> Error {
        Error::WeightsFile { path: self.path.clone(), source }
    }
}

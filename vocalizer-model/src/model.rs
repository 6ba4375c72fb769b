//! A loaded model: one network, or a weighted bag of networks, on one or more devices.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use vocalizer_core::part::Stem;

use crate::Error;
use crate::choose::{self, Chosen};
use crate::device::{ComputeOptions, DeviceChoice, interfaces};
use crate::loaded_device::LoadedDevice;
use crate::network_file::{Member, NetworkFile};
use crate::weights::{self, WeightsError};

/// A separation model in memory.
pub struct Model {
    pub(crate) members: Vec<Member>,
    pub(crate) cards: Vec<LoadedDevice>,
    /// Number of songs started.
    songs: AtomicUsize,
    sources: Vec<Stem>,
    device: String,
    remarks: Vec<String>,
}

impl Model {
    /// Loads a published or an imported model onto the best available device. Downloads the weights of a published model if
    /// they are not in the cache.
    ///
    /// ```no_run
    /// use vocalizer_model::Model;
    ///
    /// # fn main() -> Result<(), vocalizer_model::Error> {
    /// let model = Model::named("htdemucs_6s")?;
    /// println!("{:?} on {}", model.sources(), model.device());
    /// for remark in model.remarks() {
    ///     eprintln!("{remark}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Weights`] if the name is unknown, or the weights cannot be downloaded or fail their check.
    pub fn named(name: &str) -> Result<Self, Error> {
        Self::named_with(name, &ComputeOptions::default())
    }

    /// [`Self::named`] with these compute options.
    ///
    /// ```no_run
    /// use vocalizer_model::{ComputeOptions, Model, Precision};
    ///
    /// # fn main() -> Result<(), vocalizer_model::Error> {
    /// let compute = ComputeOptions::default().with_device("cuda:0".parse()?).with_precision(Precision::F16);
    /// let model = Model::named_with("htdemucs", &compute)?;
    /// println!("{:?} segments per batch", model.batches());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Self::named`]; [`Error::Device`] and [`Error::Options`] if the device cannot be used as requested.
    pub fn named_with(name: &str, compute: &ComputeOptions) -> Result<Self, Error> {
        let cache = weights::Cache::locate()?;
        if let Some(path) = cache.import_path(name).ok().filter(|path| path.exists()) {
            return Self::from_file(&path, compute);
        }
        let spec = weights::find(name)?;
        #[cfg(feature = "fetch")]
        weights::fetch(spec, &cache, &mut weights::NoListener)?;
        Self::cached(spec, &cache, compute)
    }

    /// Loads a model whose weights are already in the cache.
    ///
    /// ```no_run
    /// use vocalizer_model::{ComputeOptions, Model};
    /// use vocalizer_model::weights::{Cache, find};
    ///
    /// # fn main() -> Result<(), vocalizer_model::Error> {
    /// let (spec, cache) = (find("htdemucs")?, Cache::at("/opt/vocalizer"));
    /// if cache.has(spec) {
    ///     let model = Model::cached(spec, &cache, &ComputeOptions::default())?;
    ///     println!("{} needs no network", model.device());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::CachedWeights`] if a file is missing or fails its check, [`Error::Device`] and [`Error::Options`] if the
    /// device cannot be used as requested.
    pub fn cached(spec: &weights::ModelSpec, cache: &weights::Cache, compute: &ComputeOptions) -> Result<Self, Error> {
        let members = spec.members.iter().zip(spec.weights);
        let sources =
            members.map(|(member, mix)| NetworkFile::open(cache.member_path(member), Some((spec.name, member)), mix));
        Self::load(sources.collect::<Result<_, _>>()?, compute, Some(cache))
    }

    /// Loads a model from one weights file: safetensors with the class and its arguments in the metadata.
    ///
    /// ```no_run
    /// use vocalizer_model::{ComputeOptions, DeviceChoice, Model, Stem};
    ///
    /// # fn main() -> Result<(), vocalizer_model::Error> {
    /// let compute = ComputeOptions::default().with_device(DeviceChoice::Cpu);
    /// let model = Model::from_file("fine-tuned.safetensors".as_ref(), &compute)?;
    /// assert!(model.sources().contains(&Stem::VOCALS));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::WeightsFile`] if the file cannot be read, lacks a tensor, or has one with the wrong shape,
    /// [`Error::Device`] and [`Error::Options`] if the device cannot be used as requested.
    pub fn from_file(path: &Path, compute: &ComputeOptions) -> Result<Self, Error> {
        let cache = weights::Cache::locate().ok();
        Self::load(vec![NetworkFile::open(path.to_owned(), None, &[])?], compute, cache.as_ref())
    }

    /// Returns the stems of the model in a weights file. This reads only headers.
    ///
    /// # Errors
    ///
    /// [`Error::WeightsFile`] if the file cannot be read, or its tensors do not fit its configuration.
    pub fn stems_of_file(path: &Path) -> Result<Vec<Stem>, Error> {
        Ok(NetworkFile::open(path.to_owned(), None, &[])?.member.config.sources().to_vec())
    }

    /// Loads a model. `cache` keeps the CPU's reference output for the check of GPUs.
    fn load(files: Vec<NetworkFile>, compute: &ComputeOptions, cache: Option<&weights::Cache>) -> Result<Self, Error> {
        let sources = files.first().map(|file| file.member.config.sources().to_vec()).unwrap_or_default();
        let agree = files.iter().all(|f| f.member.config.sources() == sources && f.member.mix.len() == sources.len());
        if sources.is_empty() || !agree {
            return Err(WeightsError::Malformed("the members of the model have different stems".into()).into());
        }
        if compute.batch == Some(0) {
            return Err(Error::Options("invalid batch of 0 segments: use 1 or more".into()));
        }
        let verify = || files.iter().try_for_each(NetworkFile::verify);
        let choose = || choose::cards(&files, compute, cache);
        let (verified, chosen) = if compute.device == DeviceChoice::Cpu || interfaces().is_empty() {
            rayon::join(verify, choose)
        } else {
            // The check of a GPU caches the CPU's output, so the weights must be verified first.
            verify()?;
            (Ok(()), choose())
        };
        verified?;
        let Chosen { cards, device, remarks } = chosen?;
        let members = files.into_iter().map(|file| file.member).collect();
        Ok(Self { members, cards, songs: AtomicUsize::new(0), sources, device, remarks })
    }

    /// Returns the index of the device that the next song starts on.
    pub(crate) fn next_card(&self) -> usize {
        self.songs.fetch_add(1, Ordering::Relaxed) % self.cards.len()
    }

    /// Returns the stems that this model separates, in its own order.
    pub fn sources(&self) -> &[Stem] {
        &self.sources
    }

    /// Returns the position of a stem in [`Self::sources`].
    pub(crate) fn position(&self, stem: Stem) -> Result<usize, Error> {
        self.sources.iter().position(|&source| source == stem).ok_or_else(|| {
            let has: Vec<_> = self.sources.iter().map(ToString::to_string).collect();
            Error::Options(format!("this model has no stem '{stem}'; it has {}", has.join(", ")))
        })
    }

    /// Returns the ids of its devices, such as `cpu` or `cuda:0,cuda:1`.
    pub fn device(&self) -> &str {
        &self.device
    }

    /// Returns the batch size of each device, in segments.
    pub fn batches(&self) -> Vec<usize> {
        self.cards.iter().map(LoadedDevice::batch).collect()
    }

    /// Returns the memory that the model uses on each GPU in bytes, including what is kept for reuse. `None` for the
    /// CPU, which uses the memory of the process.
    pub fn memory_bytes(&self) -> Vec<Option<u64>> {
        self.cards.iter().map(LoadedDevice::reserved_bytes).collect()
    }

    /// Returns why the device was selected and why others were rejected, one sentence each.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// Returns the sample rate that the model works at, in Hz.
    pub fn rate_hz(&self) -> u32 {
        44_100
    }

    /// Returns the longest segment that the model takes, in frames at [`Self::rate_hz`].
    pub fn segment_frames(&self) -> usize {
        self.members.iter().map(|m| m.config.segment_frames()).min().unwrap_or_default()
    }
}

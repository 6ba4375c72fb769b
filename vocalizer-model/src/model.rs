//! A loaded model: one network, a weighted bag of networks, or a recipe of several, on one or more devices.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use vocalizer_core::part::Stem;

use crate::Error;
use crate::choose::{self, Chosen};
use crate::device::{ComputeOptions, DeviceChoice, Precision, interfaces};
use crate::loaded_device::LoadedDevice;
use crate::network_file::{Member, NetworkFile};
use crate::profile::Profile;
use crate::steps::{Bag, Steps};
use crate::weights::{self, WeightsError};

/// A separation model in memory.
pub struct Model {
    /// The networks of all bags.
    pub(crate) members: Vec<Member>,
    pub(crate) cards: Vec<LoadedDevice>,
    pub(crate) bags: Vec<Bag>,
    pub(crate) steps: Steps,
    /// Number of songs started.
    songs: AtomicUsize,
    device: String,
    precision: Precision,
    remarks: Vec<String>,
    weights_digest: String,
}

impl Model {
    /// Loads a published or an imported model, or a [recipe](weights::Recipe), onto the best available device. Downloads the
    /// weights of a published model, or of all models of a recipe, if they are not in the cache.
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
    /// [`Error::Weights`] if the name is unknown, if the weights cannot be downloaded or fail their check, or if they have no
    /// stated licence and [`Cache::accept_licence`](weights::Cache::accept_licence) was not called.
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
        if let Some(path) = imported(&cache, name) {
            return Self::from_file(&path, compute);
        }
        if let Some(recipe) = weights::recipe(name) {
            #[cfg(feature = "fetch")]
            for model in recipe.models() {
                weights::fetch(weights::find(model)?, &cache, &mut weights::NoListener)?;
            }
            return Self::from_recipe(recipe, &cache, compute);
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
        Self::load(vec![("", published(spec, cache)?)], None, compute, Some(cache))
    }

    /// Loads the models of a recipe, which are in the cache: published or imported. With [`ComputeOptions::with_stems`], loads only
    /// the models of the steps that these stems need.
    ///
    /// All networks are loaded onto each device and stay there, so that a second song starts at once. A song is split in one step
    /// after the other; only the segments of the current step are in memory. What later steps need waits in unnamed temporary
    /// files in the folder of the stems ([`split_file`](crate::split_file)), or in memory ([`split_frames`](crate::split_frames)).
    ///
    /// ```no_run
    /// use vocalizer_model::weights::{Cache, recipe};
    /// use vocalizer_model::{ComputeOptions, Model};
    ///
    /// # fn main() -> Result<(), vocalizer_model::Error> {
    /// let best = recipe("best").expect("a recipe of this version");
    /// let model = Model::from_recipe(best, &Cache::at("/opt/vocalizer"), &ComputeOptions::default())?;
    /// println!("{:?} by {}", model.sources(), best.models().join(", "));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Weights`] with [`WeightsError::Recipe`] if a model is unknown or not in the cache, lacks a stem of its step, or two
    /// steps give the same stem; those of [`Self::cached`] for a damaged file, [`Error::Device`] and [`Error::Options`] if the
    /// device cannot be used as requested.
    pub fn from_recipe(
        recipe: &weights::Recipe,
        cache: &weights::Cache,
        compute: &ComputeOptions,
    ) -> Result<Self, Error> {
        let refused = |why| WeightsError::Recipe { name: recipe.name.to_owned(), why };
        let steps = Steps::of(recipe, &compute.stems)?;
        let (mut bags, mut missing) = (Vec::new(), Vec::new());
        for name in steps.models() {
            if let Some(path) = imported(cache, name) {
                bags.push((name, vec![NetworkFile::open(path, None, &[])?]));
                continue;
            }
            let spec = weights::find(name).map_err(|_| {
                refused(format!(
                    "it needs the model {name}, which is neither published nor imported; import it, or correct the name"
                ))
            })?;
            if cache.has(spec) {
                bags.push((name, published(spec, cache)?));
            } else {
                missing.push(name);
            }
        }
        if !missing.is_empty() {
            let fetch: Vec<_> = missing.iter().map(|name| format!("`vocalizer models fetch {name}`")).collect();
            let (missing, fetch) = (missing.join(" and "), fetch.join(" and "));
            return Err(refused(format!("the cache lacks usable weights of {missing}; run {fetch}")).into());
        }
        Self::load(bags, Some(steps), compute, Some(cache))
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
        Self::load(vec![("", vec![NetworkFile::open(path.to_owned(), None, &[])?])], None, compute, cache.as_ref())
    }

    /// Returns the stems of the model in a weights file. This reads only headers.
    ///
    /// # Errors
    ///
    /// [`Error::WeightsFile`] if the file cannot be read, or its tensors do not fit its configuration.
    pub fn stems_of_file(path: &Path) -> Result<Vec<Stem>, Error> {
        Ok(NetworkFile::open(path.to_owned(), None, &[])?.member.config.sources().to_vec())
    }

    /// Loads a model of named bags: one, or those of a recipe. `cache` keeps the CPU's reference output for the check of GPUs.
    fn load(
        opened: Vec<(&'static str, Vec<NetworkFile>)>,
        steps: Option<Steps>,
        compute: &ComputeOptions,
        cache: Option<&weights::Cache>,
    ) -> Result<Self, Error> {
        let (mut files, mut bags) = (Vec::new(), Vec::new());
        for (name, of_bag) in opened {
            bags.push(Bag::new(name, files.len(), &of_bag)?);
            files.extend(of_bag);
        }
        let mut steps = match (steps, bags.first()) {
            (Some(steps), _) => steps,
            (None, Some(bag)) => Steps::plain(bag, &compute.stems)?,
            (None, None) => return Err(WeightsError::Malformed("the model has no networks".into()).into()),
        };
        steps.link(&bags)?;
        for (at, bag) in bags.iter().enumerate() {
            let stems = steps.stems_of(at);
            for file in &mut files[bag.members.clone()] {
                file.member.stems.retain(|&place| stems.contains(&bag.outputs[place]));
            }
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
        let Chosen { cards, device, precision, remarks } = chosen?;
        let digests = files.iter().map(NetworkFile::digest).collect::<Result<Vec<_>, _>>()?;
        let weights_digest = weights::of_networks(&digests);
        let members = files.into_iter().map(|file| file.member).collect();
        let songs = AtomicUsize::new(0);
        Ok(Self { members, cards, bags, steps, songs, device, precision, remarks, weights_digest })
    }

    /// Returns an empty profile of songs on its devices.
    pub(crate) fn new_profile(&self) -> Profile {
        Profile::new(self.device(), self.precision, &self.cards[0])
    }

    /// Returns the index of the device that the next song starts on.
    pub(crate) fn next_card(&self) -> usize {
        self.songs.fetch_add(1, Ordering::Relaxed) % self.cards.len()
    }

    /// Returns the stems that this model separates, in its own order: all, or those of
    /// [`ComputeOptions::with_stems`].
    pub fn sources(&self) -> &[Stem] {
        &self.steps.sources
    }

    /// Returns the position of a stem in [`Self::sources`].
    pub(crate) fn position(&self, stem: Stem) -> Result<usize, Error> {
        self.steps.position(stem)
    }

    /// Returns the ids of its devices, such as `cpu` or `cuda:0,cuda:1`.
    pub fn device(&self) -> &str {
        &self.device
    }

    /// Returns the number format that its devices compute in: never [`Precision::Auto`], but what that took.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Returns the SHA-256 of the weights, in hexadecimal digits: that by which they were verified, or of several networks the
    /// digest of their digests in order.
    pub fn weights_digest(&self) -> &str {
        &self.weights_digest
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

    /// Returns the longest segment that the model, or each model of a recipe, takes, in frames at [`Self::rate_hz`].
    pub fn segment_frames(&self) -> usize {
        self.bags.iter().map(|bag| bag.segment_frames).min().unwrap_or_default()
    }
}

/// Returns the file of an imported model.
fn imported(cache: &weights::Cache, name: &str) -> Option<PathBuf> {
    cache.import_path(name).ok().filter(|path| path.exists())
}

/// Opens the files of a published model.
fn published(spec: &weights::ModelSpec, cache: &weights::Cache) -> Result<Vec<NetworkFile>, Error> {
    let members = spec.members.iter().zip(spec.weights);
    let files =
        members.map(|(member, mix)| NetworkFile::open(cache.member_path(member), Some((spec.name, member)), mix));
    files.collect()
}

//! A model ready to run: one network, or a bag of them with weights, on one device or several.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use vocalizer_core::part::Stem;

use crate::Error;
use crate::card::{Card, Member};
use crate::choose::{self, Chosen};
use crate::device::{ComputeOptions, DeviceChoice, interfaces};
use crate::htdemucs::HtdemucsConfig;
use crate::weights::{self, MemberSpec, WeightsError, WeightsFile};

/// A separation model in memory.
pub struct Model {
    pub(crate) members: Vec<Member>,
    pub(crate) cards: Vec<Card>,
    /// Songs that were begun.
    songs: AtomicUsize,
    sources: Vec<Stem>,
    device: String,
    remarks: Vec<String>,
}

impl Model {
    /// The model of this name from the cache, fetched first where it is not there yet, on the best device there is.
    ///
    /// # Errors
    ///
    /// [`Error::Weights`] where there is no such model, or its weights cannot be had or do not check.
    pub fn named(name: &str) -> Result<Self, Error> {
        Self::named_with(name, &ComputeOptions::default())
    }

    /// [`Self::named`] on a device of one's choice.
    ///
    /// # Errors
    ///
    /// Those of [`Self::named`], and [`Error::Device`] and [`Error::Options`] where the device cannot be used so.
    pub fn named_with(name: &str, compute: &ComputeOptions) -> Result<Self, Error> {
        let spec = weights::find(name)?;
        let cache = weights::Cache::locate()?;
        #[cfg(feature = "fetch")]
        weights::fetch(spec, &cache, &mut weights::NoListener)?;
        Self::cached(spec, &cache, compute)
    }

    /// A model whose weights are in the cache already.
    ///
    /// # Errors
    ///
    /// [`Error::WeightsFile`] where a file is missing or does not hold what it should, [`Error::Device`] and
    /// [`Error::Options`] where the device cannot be used as asked.
    pub fn cached(spec: &weights::ModelSpec, cache: &weights::Cache, compute: &ComputeOptions) -> Result<Self, Error> {
        let members = spec.members.iter().zip(spec.weights);
        let sources = members.map(|(member, mix)| Source::open(cache.member_path(member), Some(member), mix));
        Self::load(sources.collect::<Result<_, _>>()?, compute, Some(cache))
    }

    /// A model from one weights file: safetensors with the class and its arguments in the metadata.
    ///
    /// # Errors
    ///
    /// [`Error::WeightsFile`] where the file cannot be read, lacks a tensor, or holds one of another shape,
    /// [`Error::Device`] and [`Error::Options`] where the device cannot be used as asked.
    pub fn from_file(path: &Path, compute: &ComputeOptions) -> Result<Self, Error> {
        let cache = weights::Cache::locate().ok();
        Self::load(vec![Source::open(path.to_owned(), None, &[])?], compute, cache.as_ref())
    }

    /// Numbers that cards are held to are kept in `cache`.
    fn load(files: Vec<Source>, compute: &ComputeOptions, cache: Option<&weights::Cache>) -> Result<Self, Error> {
        let sources = files.first().map(|file| file.member.config.sources.clone()).unwrap_or_default();
        let agree = files.iter().all(|f| f.member.config.sources == sources && f.member.mix.len() == sources.len());
        if sources.is_empty() || !agree {
            return Err(WeightsError::Malformed("the members of the model do not agree on its stems".into()).into());
        }
        if compute.batch == Some(0) {
            return Err(Error::Options("a batch of 0 segments cannot be: give 1 or more".into()));
        }
        let verify = || files.iter().try_for_each(Source::verify);
        let choose = || choose::cards(&files, compute, cache);
        let (verified, chosen) = if compute.device == DeviceChoice::Cpu || interfaces().is_empty() {
            rayon::join(verify, choose)
        } else {
            // What the CPU makes of the weights is kept, and has to be of the right ones.
            verify()?;
            (Ok(()), choose())
        };
        verified?;
        let Chosen { cards, device, remarks } = chosen?;
        let members = files.into_iter().map(|file| file.member).collect();
        Ok(Self { members, cards, songs: AtomicUsize::new(0), sources, device, remarks })
    }

    /// The card that the next song begins with.
    pub(crate) fn next_card(&self) -> usize {
        self.songs.fetch_add(1, Ordering::Relaxed) % self.cards.len()
    }

    /// The stems this model gives, in its own order.
    pub fn sources(&self) -> &[Stem] {
        &self.sources
    }

    /// What it computes on, as in `cpu` or `cuda:0,cuda:1`.
    pub fn device(&self) -> &str {
        &self.device
    }

    /// Segments that are separated at once on each of its devices.
    pub fn batches(&self) -> Vec<usize> {
        self.cards.iter().map(Card::batch).collect()
    }

    /// Bytes of each card's memory that the networks and what is computed take, with what is kept for the next segments; none
    /// for the CPU, where it is the process's own.
    pub fn memory_bytes(&self) -> Vec<Option<u64>> {
        self.cards.iter().map(Card::reserved_bytes).collect()
    }

    /// Which device was taken and why, and what was found wrong with others: a sentence each.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// The rate the model works at, in Hz.
    pub fn rate_hz(&self) -> u32 {
        44_100
    }

    /// The longest segment the model takes, in frames at [`Self::rate_hz`].
    pub fn segment_frames(&self) -> usize {
        self.members.iter().map(|m| m.config.segment_frames).min().unwrap_or_default()
    }
}

/// A network's file, open.
pub(crate) struct Source {
    path: PathBuf,
    pub(crate) file: WeightsFile,
    pub(crate) published: Option<&'static MemberSpec>,
    pub(crate) member: Member,
}

impl Source {
    fn open(path: PathBuf, published: Option<&'static MemberSpec>, mix: &[f32]) -> Result<Self, Error> {
        let opened = (|| {
            let file = WeightsFile::open(&path)?;
            file.check()?;
            let config = HtdemucsConfig::from_kwargs(file.kwargs())?;
            Ok((file, config))
        })();
        let (file, config) = opened.map_err(|source| Error::WeightsFile { path: path.clone(), source })?;
        let mix = if mix.is_empty() { vec![1.0; config.sources.len()] } else { mix.to_vec() };
        Ok(Self { path, file, published, member: Member::new(config, mix) })
    }

    /// Whether the file holds what was published.
    fn verify(&self) -> Result<(), Error> {
        self.published.map_or(Ok(()), |published| self.file.verify(published)).map_err(|source| self.wrong(source))
    }

    /// Puts the network on a device.
    ///
    /// # Errors
    ///
    /// What is wrong with the file; within, what the device says where it fails.
    pub(crate) fn load_on(&self, card: &mut Card) -> Result<Result<(), String>, Error> {
        card.load(&self.member, &self.file).map_err(|source| self.wrong(source))
    }

    pub(crate) fn wrong(&self, source: WeightsError) -> Error {
        Error::WeightsFile { path: self.path.clone(), source }
    }
}

//! The mapping of separated stems to output files.

use std::path::{Path, PathBuf};

use rayon::prelude::*;
use vocalizer_core::part::Stem;

use crate::audio::{Frame, WriteOptions};
use crate::pipeline::add;
use crate::sink::{SinkFormat, StemSink};
use crate::{Cancel, Clip, Complement, Error, Model, SplitOptions};

/// The output files of a song.
pub(crate) struct Outputs {
    /// The stems to separate.
    pub(crate) separated: Vec<Stem>,
    files: Vec<Output>,
}

struct Output {
    name: String,
    sound: Sound,
}

/// The content of a file; stems are indices into the separated stems.
enum Sound {
    /// The sum of these stems.
    Sum(Vec<usize>),
    /// The mixture without these stems.
    Without(Vec<usize>),
}

/// The finished files.
pub(crate) struct Finished {
    pub(crate) files: Vec<PathBuf>,
    /// The gain that all files have in common.
    pub(crate) gain: f32,
    /// The gain of each file, by its name.
    pub(crate) gains: Vec<(String, f32)>,
}

impl Outputs {
    /// # Errors
    ///
    /// [`Error::Options`] if the model lacks a requested stem, or the options exclude each other.
    pub(crate) fn plan(model: &Model, options: &SplitOptions) -> Result<Self, Error> {
        let only_minus = options.stems.is_empty() && !options.mix_minus.is_empty();
        let mut outputs = match (options.two_stems, options.four_stems) {
            (None, false) if only_minus => Self { separated: Vec::new(), files: Vec::new() },
            (None, false) => Self::choice(model, &options.stems)?,
            (None, true) => Self::four(model)?,
            (Some(_), _) if !options.stems.is_empty() => {
                return Err(Error::Options("two stems and a selection of stems exclude each other; choose one".into()));
            }
            (Some(pair), _) => Self::pair(model, pair)?,
        };
        if let Some(name) = options.mix_minus_name() {
            outputs.add_mix_minus(model, &options.mix_minus, name)?;
        }
        outputs.check_names()?;
        Ok(outputs)
    }

    /// Plans one file per wanted stem, or per stem of the model if none is given.
    fn choice(model: &Model, wanted: &[Stem]) -> Result<Self, Error> {
        for &stem in wanted {
            model.position(stem)?;
        }
        let all = model.sources().iter();
        let separated: Vec<_> = all.filter(|stem| wanted.is_empty() || wanted.contains(stem)).copied().collect();
        let files = separated.iter().enumerate().map(|(k, stem)| Output::new(stem, Sound::Sum(vec![k]))).collect();
        Ok(Self { separated, files })
    }

    /// Plans a file for one stem and a file for everything else.
    fn pair(model: &Model, (stem, complement): (Stem, Complement)) -> Result<Self, Error> {
        let (all, index) = (model.sources(), model.position(stem)?);
        // Both are the same if the stems add up to the song, and the second needs fewer steps.
        let complement = if model.steps.rest.is_some() { Complement::Minus } else { complement };
        if complement == Complement::Add && all.len() < model.steps.all.len() {
            let what =
                "the sum of the other stems needs a model that was loaded for all of them; subtract the stem instead";
            return Err(Error::Options(what.into()));
        }
        let (separated, index, rest) = match complement {
            Complement::Add => (all.to_vec(), index, Sound::Sum((0..all.len()).filter(|&k| k != index).collect())),
            Complement::Minus => (vec![stem], 0, Sound::Without(vec![0])),
        };
        let files = vec![Output::new(stem, Sound::Sum(vec![index])), Output::new(format!("no_{stem}"), rest)];
        Ok(Self { separated, files })
    }

    /// Plans the four standard stems; every stem of the model is added to one of them.
    fn four(model: &Model) -> Result<Self, Error> {
        let all = model.sources();
        check_four(all)?;
        let file = |four: Stem| {
            let places = all.iter().enumerate().filter(|&(_, &stem)| among_four(stem) == four).map(|(k, _)| k);
            Output::new(four, Sound::Sum(places.collect()))
        };
        Ok(Self { separated: all.to_vec(), files: Stem::FOUR.into_iter().map(file).collect() })
    }

    /// Adds a file with everything but these stems.
    fn add_mix_minus(&mut self, model: &Model, minus: &[Stem], name: String) -> Result<(), Error> {
        for &stem in minus {
            model.position(stem)?;
        }
        let minus: Vec<_> = model.sources().iter().filter(|stem| minus.contains(stem)).copied().collect();
        if minus.len() == model.steps.all.len() {
            return Err(Error::Options("the mix minus all stems of the model is empty; name fewer stems".into()));
        }
        let place = |&stem: &Stem| {
            self.separated.iter().position(|&separated| separated == stem).unwrap_or_else(|| {
                self.separated.push(stem);
                self.separated.len() - 1
            })
        };
        let places = minus.iter().map(place).collect();
        self.files.push(Output::new(name, Sound::Without(places)));
        Ok(())
    }

    /// Checks that each file has a name of its own: the stems of a model may have any names.
    fn check_names(&self) -> Result<(), Error> {
        let names = self.files.iter().map(|output| &output.name);
        match names.enumerate().find(|(at, name)| self.files[..*at].iter().any(|output| output.name == **name)) {
            Some((_, name)) => Err(Error::Options(format!(
                "two files would be named '{name}', because the model has a stem of that name; leave out one of them"
            ))),
            None => Ok(()),
        }
    }

    /// Creates the files. `options` returns how to write the file of this name.
    pub(crate) fn open(
        &self,
        dir: &Path,
        format: SinkFormat,
        options: impl Fn(&str) -> WriteOptions,
    ) -> Result<Vec<StemSink>, Error> {
        let sink = |Output { name, .. }: &Output| {
            let path = dir.join(format!("{name}.{}", format.format.extension()));
            StemSink::create(path, format, options(name))
        };
        self.files.iter().map(sink).collect()
    }

    /// Writes frames to every file: `stems` are the separated stems, `mixture` is their input.
    pub(crate) fn write(&self, sinks: &mut [StemSink], stems: &[&[Frame]], mixture: &[Frame]) -> Result<(), Error> {
        sinks.par_iter_mut().zip(&self.files).try_for_each(|(sink, Output { sound, .. })| match sound {
            Sound::Sum(places) => match places.as_slice() {
                [place] => sink.write(stems[*place]),
                places => {
                    let mut sum = vec![[0.0; 2]; stems.first().map_or(0, |stem| stem.len())];
                    places.iter().for_each(|&place| add(&mut sum, stems[place], 1.0));
                    sink.write(&sum)
                }
            },
            Sound::Without(places) => {
                let mut rest = mixture.to_vec();
                places.iter().for_each(|&place| add(&mut rest, stems[place], -1.0));
                sink.write(&rest)
            }
        })
    }

    /// Finishes the files. After an error, none is left.
    pub(crate) fn finish(&self, mut sinks: Vec<StemSink>, clip: Clip, cancel: &Cancel) -> Result<Finished, Error> {
        sinks.par_iter_mut().try_for_each(|sink| sink.end(cancel))?;
        let needed: Vec<_> = sinks.iter().map(|sink| sink.needed_gain().unwrap_or(1.0)).collect();
        let least = needed.iter().copied().fold(1.0, f32::min);
        let (gain, gains) = match clip {
            Clip::Common => (least, vec![least; needed.len()]),
            Clip::Each | Clip::Clamp | Clip::None => (1.0, needed),
        };
        let finished: Vec<_> =
            sinks.into_par_iter().zip(&gains).map(|(sink, &gain)| sink.finish(gain, cancel)).collect();
        if finished.iter().any(Result::is_err) {
            for file in finished.iter().flatten() {
                let _ = std::fs::remove_file(file);
            }
        }
        let files = finished.into_iter().collect::<Result<_, _>>()?;
        let names = self.files.iter().map(|output| output.name.clone());
        Ok(Finished { files, gain, gains: names.zip(gains).collect() })
    }
}

impl Output {
    fn new(name: impl ToString, sound: Sound) -> Self {
        Self { name: name.to_string(), sound }
    }
}

/// Checks that stems add up to the four standard ones.
///
/// # Errors
///
/// [`Error::Options`] names those that are missing.
pub(crate) fn check_four(stems: &[Stem]) -> Result<(), Error> {
    let is_missing = |four: &Stem| !stems.iter().any(|&stem| among_four(stem) == *four);
    let missing: Vec<_> = Stem::FOUR.into_iter().filter(is_missing).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = |stems: &[Stem]| stems.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    Err(Error::Options(format!(
        "the four stems need a model that separates {}; this one has no {}, only {}",
        names(&Stem::FOUR),
        names(&missing),
        names(stems)
    )))
}

/// Returns which of the four standard stems a stem belongs to.
fn among_four(stem: Stem) -> Stem {
    if Stem::FOUR.contains(&stem) { stem } else { Stem::OTHER }
}

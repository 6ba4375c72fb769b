//! The mapping of separated stems to output files.

use std::path::Path;

use rayon::prelude::*;
use vocalizer_core::part::Stem;

use crate::audio::{AudioFormat, Frame};
use crate::sink::StemSink;
use crate::{Clip, Complement, Error, Model, SplitOptions};

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
    /// The mixture without a stem.
    Without(usize),
}

impl Outputs {
    /// # Errors
    ///
    /// [`Error::Options`] if the model lacks a requested stem, or the options exclude each other.
    pub(crate) fn plan(model: &Model, options: &SplitOptions) -> Result<Self, Error> {
        match (options.two_stems, options.four_stems) {
            (None, false) => Self::choice(model, &options.stems),
            (None, true) => Self::four(model),
            (Some(_), _) if !options.stems.is_empty() => {
                Err(Error::Options("two stems and a selection of stems exclude each other; choose one".into()))
            }
            (Some(pair), _) => Self::pair(model, pair),
        }
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
        let (separated, index, rest) = match complement {
            Complement::Add => (all.to_vec(), index, Sound::Sum((0..all.len()).filter(|&k| k != index).collect())),
            Complement::Minus => (vec![stem], 0, Sound::Without(0)),
        };
        let files = vec![Output::new(stem, Sound::Sum(vec![index])), Output::new(format!("no_{stem}"), rest)];
        Ok(Self { separated, files })
    }

    /// Plans the four standard stems; every stem of the model is added to one of them.
    fn four(model: &Model) -> Result<Self, Error> {
        let all = model.sources();
        let file = |four: Stem| {
            model.position(four)?;
            let places = all.iter().enumerate().filter(|&(_, &stem)| among_four(stem) == four).map(|(k, _)| k);
            Ok(Output::new(four, Sound::Sum(places.collect())))
        };
        let files = Stem::FOUR.into_iter().map(file).collect::<Result<_, Error>>()?;
        Ok(Self { separated: all.to_vec(), files })
    }

    pub(crate) fn open(
        &self,
        dir: &Path,
        options: &SplitOptions,
        rates: (u32, u32),
        frames: u64,
    ) -> Result<Vec<StemSink>, Error> {
        let clip =
            options.clip.unwrap_or(if options.format == AudioFormat::WavF32 { Clip::None } else { Clip::Rescale });
        let sink = |Output { name, .. }: &Output| {
            let path = dir.join(format!("{name}.{}", options.format.extension()));
            StemSink::create(path, options.format, clip, rates, frames)
        };
        self.files.iter().map(sink).collect()
    }

    /// Writes frames to every file: `stems` are the separated stems, `mixture` is their input.
    pub(crate) fn write(&self, sinks: &mut [StemSink], stems: &[Vec<Frame>], mixture: &[Frame]) -> Result<(), Error> {
        sinks.par_iter_mut().zip(&self.files).try_for_each(|(sink, Output { sound, .. })| match sound {
            Sound::Sum(places) => match places.as_slice() {
                [place] => sink.write(&stems[*place]),
                places => {
                    let mut sum = vec![[0.0; 2]; stems.first().map_or(0, Vec::len)];
                    places.iter().for_each(|&place| add(&mut sum, &stems[place], 1.0));
                    sink.write(&sum)
                }
            },
            Sound::Without(place) => {
                let mut rest = mixture.to_vec();
                add(&mut rest, &stems[*place], -1.0);
                sink.write(&rest)
            }
        })
    }
}

impl Output {
    fn new(name: impl ToString, sound: Sound) -> Self {
        Self { name: name.to_string(), sound }
    }
}

/// Returns which of the four standard stems a stem belongs to.
const fn among_four(stem: Stem) -> Stem {
    match stem {
        Stem::Drums | Stem::Bass | Stem::Other | Stem::Vocals => stem,
        Stem::Guitar | Stem::Piano => Stem::Other,
    }
}

fn add(frames: &mut [Frame], other: &[Frame], sign: f32) {
    for (frame, other) in frames.iter_mut().zip(other) {
        frame[0] += sign * other[0];
        frame[1] += sign * other[1];
    }
}

//! The steps of a model that the wanted stems of a song need, one after the other.

use std::borrow::Cow;
use std::path::Path;

use vocalizer_core::part::Stem;

use crate::audio::Frame;
use crate::ensemble::Ensemble;
use crate::profile::Profile;
use crate::spool::{Spool, SpoolReader};
use crate::steps::Step;
use crate::{Cancel, Error, Model, SeparationOptions, SongStatistics, Statistics};

/// The steps that run.
pub(crate) struct Pipeline<'a> {
    model: &'a Model,
    options: &'a SeparationOptions,
    /// The steps, and the stems that each separates.
    steps: Vec<(&'a Step, Vec<Stem>)>,
    /// Where each wanted stem is among these stems. `None` is the rest of the song.
    places: Vec<Option<usize>>,
}

/// What a song's frames come from, go to, and what watches them.
pub(crate) struct Streams<'a> {
    pub(crate) statistics: SongStatistics,
    /// Folder for what waits for later steps; `None` keeps it in memory.
    pub(crate) dir: Option<&'a Path>,
    /// Appends the next frames of the song, at the model's rate.
    pub(crate) read: &'a mut Reader<'a>,
    /// Takes the next frames of the wanted stems, and of the song.
    pub(crate) write: &'a mut Writer<'a>,
    /// Takes the progress over all steps, from 0 to 1.
    pub(crate) report: &'a mut dyn FnMut(f64),
    pub(crate) cancel: &'a Cancel,
}

type Reader<'a> = dyn FnMut(&mut Vec<Frame>) -> Result<(), Error> + 'a;
/// Gets the next frames of the wanted stems and of the song.
pub(crate) type Writer<'a> = dyn FnMut(&[&[Frame]], &[Frame]) -> Result<(), Error> + Send + 'a;
/// Gets the next frames of a step's stems and of its input.
type StepWriter<'a> = dyn FnMut(&[Vec<Frame>], &[Frame]) -> Result<(), Error> + Send + 'a;

/// Frames that are read from a spool at once.
const BLOCK: usize = 4096;

impl<'a> Pipeline<'a> {
    /// Plans the steps. A step that is not needed for the wanted stems does not run.
    ///
    /// # Errors
    ///
    /// [`Error::Options`] if an option is out of range or the model lacks a stem.
    pub(crate) fn new(model: &'a Model, wanted: &[Stem], options: &'a SeparationOptions) -> Result<Self, Error> {
        for &stem in wanted {
            model.position(stem)?;
        }
        options.check()?;
        // The shortest of all models, so that a later step does not refuse it.
        options.segment_frames(model.segment_frames(), model.rate_hz())?;
        let steps = model.steps.needed(wanted);
        let place = |wanted: &Stem| steps.iter().flat_map(|(_, stems)| stems).position(|stem| stem == wanted);
        let places = wanted.iter().map(place).collect();
        Ok(Self { model, options, steps, places })
    }

    /// Separates a song. With a profile, records the costs of its segments.
    ///
    /// # Errors
    ///
    /// Those of reading and writing; [`Error::Device`] if a device fails, [`Error::Io`] if a temporary file cannot be used,
    /// [`Error::Cancelled`].
    pub(crate) fn run(&self, streams: Streams<'_>, profile: &mut Option<Profile>) -> Result<(), Error> {
        let Streams { mut statistics, dir, read, write, report, cancel } = streams;
        let cost: f64 = self.steps.iter().map(|(step, _)| step.cost).sum();
        let mut done_cost = 0.0;
        let mut input: Option<SpoolReader> = None;
        // The stems of earlier steps.
        let mut earlier: Vec<SpoolReader> = Vec::new();
        for (at, (step, stems)) in self.steps.iter().enumerate() {
            let mut ensemble = Ensemble::new(self.model, step, stems, statistics, self.options)?;
            ensemble.profile = profile.take();
            let mut read = |out: &mut Vec<Frame>| match &mut input {
                Some(residual) => residual.read(BLOCK, out),
                None => read(out),
            };
            let mut report = |done: f64| report((done_cost + step.cost * done) / cost);
            if at + 1 == self.steps.len() {
                let mut write = |stems: &[Vec<Frame>], input: &[Frame]| self.give(&mut earlier, stems, input, write);
                run(&mut ensemble, stems.len(), &mut read, &mut write, &mut report, cancel)?;
            } else {
                let (mut residual, mut measured) = (Spool::new(dir)?, Statistics::default());
                let mut spools = stems.iter().map(|_| Spool::new(dir)).collect::<Result<Vec<_>, _>>()?;
                let mut write = |stems: &[Vec<Frame>], input: &[Frame]| -> Result<(), Error> {
                    let left = without(input, stems);
                    measured.push(&left);
                    residual.write(&left)?;
                    spools.iter_mut().zip(stems).try_for_each(|(spool, stem)| spool.write(stem))
                };
                run(&mut ensemble, stems.len(), &mut read, &mut write, &mut report, cancel)?;
                statistics = measured.finish();
                input = Some(residual.reader()?);
                for spool in spools {
                    earlier.push(spool.reader()?);
                }
            }
            *profile = ensemble.profile.take();
            done_cost += step.cost;
        }
        Ok(())
    }

    /// Passes on the wanted stems. `stems` and `input` belong to the last step.
    fn give(
        &self,
        earlier: &mut [SpoolReader],
        stems: &[Vec<Frame>],
        input: &[Frame],
        write: &mut Writer<'_>,
    ) -> Result<(), Error> {
        let mut all: Vec<Cow<'_, [Frame]>> = Vec::new();
        let mut song = Cow::Borrowed(input);
        for reader in earlier {
            let mut frames = Vec::with_capacity(input.len());
            reader.read(input.len(), &mut frames)?;
            add(song.to_mut(), &frames, 1.0);
            all.push(frames.into());
        }
        all.extend(stems.iter().map(|stem| stem.as_slice().into()));
        let rest = if self.places.contains(&None) { without(input, stems) } else { Vec::new() };
        let wanted: Vec<_> =
            self.places.iter().map(|place| place.map_or(rest.as_slice(), |at| all[at].as_ref())).collect();
        write(&wanted, song.as_ref())
    }
}

/// Runs a step: reads its input, separates it, and writes its stems with the input that they belong to.
fn run(
    ensemble: &mut Ensemble<'_>,
    stems: usize,
    read: &mut dyn FnMut(&mut Vec<Frame>) -> Result<(), Error>,
    write: &mut StepWriter<'_>,
    report: &mut dyn FnMut(f64),
    cancel: &Cancel,
) -> Result<(), Error> {
    // What is separated, and the input, which are not written yet.
    let mut separated = vec![Vec::new(); stems];
    let mut input: Vec<Frame> = Vec::new();
    loop {
        while ensemble.wants_frames() && !ensemble.has_segment() {
            cancel.check()?;
            let before = input.len();
            read(&mut input)?;
            ensemble.push(&input[before..]);
        }
        cancel.check()?;
        let finished = std::mem::replace(&mut separated, vec![Vec::new(); stems]);
        let ready = finished.first().map_or(0, Vec::len);
        let whole = input.get(..ready).unwrap_or(&input);
        let mut written = Ok(());
        let stepped = if ensemble.profile.is_some() {
            // Writing in parallel would take CPU time from the layers and distort their times.
            written = write(&finished, whole);
            if written.is_ok() { ensemble.step() } else { Ok(false) }
        } else {
            // Write finished frames while the next segment is separated, and free them. The segment stays on this thread: in
            // the pool, a thread that waits inside another song could pick it up.
            let (written, write) = (&mut written, &mut *write);
            rayon::in_place_scope(|scope| {
                scope.spawn(move |_| *written = write(&finished, whole));
                ensemble.step()
            })
        };
        written?;
        if !stepped? {
            return Ok(());
        }
        input.drain(..ready.min(input.len()));
        ensemble.drain(&mut separated);
        report(ensemble.done());
    }
}

/// Returns frames without the stems.
fn without(frames: &[Frame], stems: &[Vec<Frame>]) -> Vec<Frame> {
    let mut left = frames.to_vec();
    stems.iter().for_each(|stem| add(&mut left, stem, -1.0));
    left
}

/// Adds frames, or subtracts them if the sign is -1.
pub(crate) fn add(frames: &mut [Frame], other: &[Frame], sign: f32) {
    for (frame, other) in frames.iter_mut().zip(other) {
        frame[0] += sign * other[0];
        frame[1] += sign * other[1];
    }
}

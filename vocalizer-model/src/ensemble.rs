//! The separations of one step: one for each model, on the same frames, and the mean of their stems.

use vocalizer_core::part::Stem;

use crate::audio::Frame;
use crate::dsp::mean::SpectralMean;
use crate::profile::Profile;
use crate::steps::Step;
use crate::weights::Mean;
use crate::{Error, Model, Separation, SeparationOptions, SongStatistics};

/// One step of a song, as a stream; compare [`Separation`].
pub(crate) struct Ensemble<'a> {
    separations: Vec<Separation<'a>>,
    /// Names of the models, if the model has several.
    names: Vec<Option<&'static str>>,
    /// Frames that some of the models have not separated yet: `[separations][stems]`.
    ready: Vec<Vec<Vec<Frame>>>,
    /// For each stem; empty for the mean of the waveforms.
    means: Vec<SpectralMean>,
    pub(crate) profile: Option<Profile>,
}

impl<'a> Ensemble<'a> {
    /// Prepares the separation of these stems of the step.
    pub(crate) fn new(
        model: &'a Model,
        step: &Step,
        stems: &[Stem],
        statistics: SongStatistics,
        options: &SeparationOptions,
    ) -> Result<Self, Error> {
        let options = options.with_overlap_of(step);
        let bags: Vec<_> = step.bags.iter().map(|&bag| &model.bags[bag]).collect();
        let separations = bags.iter().map(|bag| Separation::of_bag(model, bag, stems, statistics, &options));
        let separations = separations.collect::<Result<Vec<_>, _>>()?;
        let has_several = model.bags.len() > 1;
        let means = match step.mean {
            Mean::Spectrum if bags.len() > 1 => {
                stems.iter().map(|_| SpectralMean::new(bags.len(), statistics.frames)).collect()
            }
            Mean::Spectrum | Mean::Waveform => Vec::new(),
        };
        Ok(Self {
            names: bags.iter().map(|bag| has_several.then_some(bag.name)).collect(),
            ready: vec![vec![Vec::new(); stems.len()]; separations.len()],
            separations,
            means,
            profile: None,
        })
    }

    /// Appends the next frames of the step's input.
    pub(crate) fn push(&mut self, frames: &[Frame]) {
        self.separations.iter_mut().for_each(|separation| separation.push(frames));
    }

    /// Returns whether some remaining segment still lacks frames.
    pub(crate) fn wants_frames(&self) -> bool {
        self.separations.iter().any(Separation::wants_frames)
    }

    /// Returns whether there is something to separate for one of the models.
    pub(crate) fn has_segment(&self) -> bool {
        self.separations.iter().any(Separation::has_segment)
    }

    /// Separates segments of each model whose frames are there. Returns whether there was something to do.
    pub(crate) fn step(&mut self) -> Result<bool, Error> {
        let mut stepped = false;
        for (separation, name) in self.separations.iter_mut().zip(&self.names) {
            // All models record into one profile.
            separation.profile = self.profile.take();
            if let Some(profile) = &mut separation.profile {
                profile.running = *name;
            }
            stepped |= separation.step()?;
            self.profile = separation.profile.take();
        }
        Ok(stepped)
    }

    /// Returns the progress, from 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "a number of models")]
    pub(crate) fn done(&self) -> f64 {
        let done: f64 = self.separations.iter().map(|separation| separation.done().min(1.0)).sum();
        done / self.separations.len() as f64
    }

    /// Moves the frames that every model has finished to `out`, one list of frames for each stem.
    pub(crate) fn drain(&mut self, out: &mut [Vec<Frame>]) {
        if let [only] = self.separations.as_mut_slice() {
            return only.drain(out);
        }
        self.separations.iter_mut().zip(&mut self.ready).for_each(|(separation, ready)| separation.drain(ready));
        let frames = self.ready.iter().filter_map(|ready| ready.first()).map(Vec::len).min().unwrap_or_default();
        for (stem, out) in out.iter_mut().enumerate() {
            let estimates: Vec<_> = self.ready.iter().map(|ready| &ready[stem][..frames]).collect();
            match self.means.get_mut(stem) {
                Some(mean) => mean.push(&estimates, out),
                None => out.extend((0..frames).map(|at| mean_of(&estimates, at))),
            }
        }
        self.ready.iter_mut().flatten().for_each(|ready| drop(ready.drain(..frames)));
    }
}

/// Returns the mean of a frame.
fn mean_of(estimates: &[&[Frame]], at: usize) -> Frame {
    let (mut sum, mut count) = ([0.0_f32; 2], 0.0_f32);
    for frames in estimates {
        sum[0] += frames[at][0];
        sum[1] += frames[at][1];
        count += 1.0;
    }
    sum.map(|x| x / count)
}

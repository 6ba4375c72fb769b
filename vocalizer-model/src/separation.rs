//! Streaming separation: takes a song's frames, returns its stems' frames.

use std::collections::VecDeque;

use vocalizer_core::part::Stem;

use crate::audio::Frame;
use crate::dsp::chunk::{Chunks, OverlapAdd, Plan};
use crate::dsp::fades::Fades;
use crate::loaded_device::{LoadedDevice, Pending, Work};
use crate::networks::{Chunking, Level, Watcher};
use crate::ops::Keeper;
use crate::profile::{Clock, Profile};
use crate::steps::{Bag, Step, position};
use crate::{Error, Model, SongStatistics};

/// How a song is cut into segments and how often it is separated.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct SeparationOptions {
    /// Overlap of consecutive segments as a fraction of their length, from 0 to below 1, with segments weighted by a triangle. By
    /// default, segments overlap and fade as in the model's reference implementation, or as its recipe says.
    pub overlap: Option<f64>,
    /// Segment length in seconds. `None` takes the model's own length, which is also the longest.
    pub segment_s: Option<f64>,
    /// Passes over the song to average, each shifted by up to half a second. 0 is one pass without a shift.
    pub shifts: u32,
    /// Seed of the random shifts: the same seed gives the same stems.
    pub seed: u64,
    /// Treat a constant part of the song (DC) as the reference implementation: every stem carries all of it, and the stems
    /// add up to the song with several times its DC. By default, the stem `other` carries it, or the last stem of a model
    /// without `other`. The stem that a recipe makes of the rest of the song always makes its stems add up.
    pub reference_dc: bool,
}

impl SeparationOptions {
    pub(crate) fn check(&self) -> Result<(), Error> {
        match self.overlap {
            Some(overlap) if !(0.0..=0.99).contains(&overlap) => {
                Err(Error::Options(format!("invalid overlap {overlap}: use 0 to 0.99")))
            }
            _ => Ok(()),
        }
    }

    /// Returns these options, with the overlap of the step by default.
    pub(crate) fn with_overlap_of(&self, step: &Step) -> Self {
        Self { overlap: self.overlap.or(step.overlap), ..self.clone() }
    }

    /// Returns the length of segments for a network that takes up to `longest` frames.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "checked range"
    )]
    pub(crate) fn segment_frames(&self, longest: usize, rate_hz: u32) -> Result<usize, Error> {
        let Some(segment_s) = self.segment_s else { return Ok(longest) };
        let rate = f64::from(rate_hz);
        let longest_s = longest as f64 / rate;
        // Also rejects NaN.
        if !(0.1..=longest_s).contains(&segment_s) {
            return Err(Error::Options(format!(
                "invalid segment length {segment_s} s: this model takes 0.1 to {longest_s:.1} s"
            )));
        }
        Ok((segment_s * rate) as usize)
    }
}

/// The separation of one song, for programs that have the song's frames as a stream.
///
/// Frames go in at the model's rate with [`push`](Self::push), [`step`](Self::step) separates the next segments, and
/// [`drain`](Self::drain) returns the frames that are finished. The network normalises with properties of the whole song, so
/// a first pass over it measures them with [`Statistics`](crate::Statistics). Memory use does not grow with the length of the
/// song.
///
/// A recipe of several models needs the whole song for each step and cannot be streamed: [`split_file`](crate::split_file) and
/// [`split_frames`](crate::split_frames) run it.
///
/// ```no_run
/// use vocalizer_model::audio::Frame;
/// use vocalizer_model::{Error, Model, Separation, SeparationOptions, Statistics};
///
/// /// `blocks` starts the song again and returns it in blocks; `play` gets the next frames of every stem.
/// fn separate<I: Iterator<Item = Vec<Frame>>>(
///     model: &Model,
///     blocks: impl Fn() -> I,
///     mut play: impl FnMut(&[Vec<Frame>]),
/// ) -> Result<(), Error> {
///     let mut statistics = Statistics::default();
///     blocks().for_each(|block| statistics.push(&block));
///     let options = SeparationOptions::default();
///     let mut separation = Separation::new(model, model.sources(), statistics.finish(), &options)?;
///     let mut song = blocks();
///     let mut stems = vec![Vec::new(); model.sources().len()];
///     loop {
///         while separation.wants_frames() && !separation.has_segment() {
///             let Some(block) = song.next() else { break };
///             separation.push(&block);
///         }
///         if !separation.step()? {
///             return Ok(());
///         }
///         stems.iter_mut().for_each(Vec::clear);
///         separation.drain(&mut stems);
///         play(&stems);
///     }
/// }
/// ```
pub struct Separation<'a> {
    model: &'a Model,
    /// Positions of the wanted stems in the outputs of the bag.
    wanted: Vec<usize>,
    passes: Vec<Pass>,
    /// What the song is divided by before the network.
    scale: f32,
    /// What is subtracted from each channel before that.
    offset: [f32; 2],
    /// The stem that carries the offset; `None` for every stem.
    offset_stem: Option<usize>,
    done_frames: u64,
    /// Batches that the devices are working on, in the order of submission.
    in_flight: VecDeque<Flight<'a>>,
    /// The device that gets the next batch.
    card: usize,
    pub(crate) profile: Option<Profile>,
    _memory: Keeper,
}

/// A batch of one pass's segments on a device.
struct Flight<'a> {
    pass: usize,
    pending: Pending<'a>,
}

/// One pass of one member over the song.
struct Pass {
    member: usize,
    /// The sources that it separates.
    sources: Vec<usize>,
    chunks: Box<dyn Chunks>,
    stride_frames: usize,
    /// Finished frames of each of these sources.
    ready: Vec<VecDeque<Frame>>,
}

impl<'a> Separation<'a> {
    /// Prepares the passes that the wanted stems need. Members of a bag whose weight is 0 for all of them do not run.
    ///
    /// # Errors
    ///
    /// [`Error::Options`] if an option is out of range, the model lacks a stem, or it is a recipe of several models.
    pub fn new(
        model: &'a Model,
        wanted: &[Stem],
        statistics: SongStatistics,
        options: &SeparationOptions,
    ) -> Result<Self, Error> {
        for &stem in wanted {
            model.position(stem)?;
        }
        match (model.bags.as_slice(), model.steps.steps.as_slice(), model.steps.rest) {
            ([bag], [step], None) => Self::of_bag(model, bag, wanted, statistics, &options.with_overlap_of(step)),
            _ => Err(Error::Options(
                "this model is a recipe that needs the whole song and cannot be streamed: split a file, or frames in memory"
                    .into(),
            )),
        }
    }

    /// Prepares the separation by one bag of the model.
    pub(crate) fn of_bag(
        model: &'a Model,
        bag: &Bag,
        wanted: &[Stem],
        statistics: SongStatistics,
        options: &SeparationOptions,
    ) -> Result<Self, Error> {
        let wanted = wanted.iter().map(|&stem| position(&bag.outputs, stem)).collect::<Result<Vec<_>, _>>()?;
        options.check()?;
        let segment_frames = options.segment_frames(bag.segment_frames, model.rate_hz())?;
        let mut random = SplitMix(options.seed);
        let mut passes = Vec::new();
        for member in bag.members.clone() {
            let network = &model.members[member];
            let is_wanted = |&k: &usize| wanted.contains(&k) && network.mix.get(k).is_some_and(|w| *w != 0.0);
            let sources: Vec<_> = (0..bag.outputs.len()).filter(is_wanted).collect();
            for _ in 0..options.shifts.max(1) {
                // Draws every member's shifts, so that a subset of stems gets the same shifts as all of them.
                let lead_frames = if options.shifts == 0 { 0 } else { random.up_to(model.rate_hz() / 2) };
                if sources.is_empty() {
                    continue;
                }
                let (stride_frames, fades) = match (options.overlap, network.config.chunking()) {
                    (Some(overlap), _) => (stride_frames(segment_frames, overlap), false),
                    (None, Chunking::Triangle) => (stride_frames(segment_frames, 0.25), false),
                    (None, Chunking::Fades(times)) => ((segment_frames / times.max(1)).max(1), true),
                };
                let plan = Plan { song_frames: statistics.frames, segment_frames, stride_frames, lead_frames };
                let chunks: Box<dyn Chunks> = if fades {
                    Box::new(Fades::new(plan, sources.len()))
                } else {
                    Box::new(OverlapAdd::new(plan, sources.len()))
                };
                let ready = vec![VecDeque::new(); sources.len()];
                passes.push(Pass { member, sources: sources.clone(), chunks, stride_frames, ready });
            }
        }
        let (in_flight, memory) = (VecDeque::new(), Keeper::default());
        // Concurrent songs start on different devices.
        let card = model.next_card();
        let level = model.members.get(bag.members.start).map_or(Level::Unchanged, |member| member.config.level());
        let (offset, offset_stem) = if level == Level::Unchanged {
            ([0.0; 2], None)
        } else if options.reference_dc {
            ([statistics.mean; 2], None)
        } else {
            let other = bag.outputs.iter().position(|&stem| stem == Stem::OTHER);
            (statistics.channel_means, other.or(bag.outputs.len().checked_sub(1)))
        };
        let scale = match level {
            Level::Unchanged => 1.0,
            Level::Unbiased => statistics.std + QUIET,
            Level::Population => statistics.population_std() + QUIET,
        };
        Ok(Self {
            model,
            wanted,
            passes,
            scale,
            offset,
            offset_stem,
            done_frames: 0,
            in_flight,
            card,
            profile: None,
            _memory: memory,
        })
    }

    /// Starts to record the costs of segments.
    pub fn record(&mut self) {
        let model = self.model;
        self.profile.get_or_insert_with(|| model.new_profile());
    }

    /// Returns the costs of the segments since [`Self::record`].
    pub fn profile(&self) -> Option<&Profile> {
        self.profile.as_ref()
    }

    /// Appends the next frames of the song, at the model's rate.
    pub fn push(&mut self, frames: &[Frame]) {
        let ([left, right], scale) = (self.offset, self.scale);
        let normal: Vec<Frame> = frames.iter().map(|f| [(f[0] - left) / scale, (f[1] - right) / scale]).collect();
        for pass in &mut self.passes {
            pass.chunks.push(&normal);
        }
    }

    /// Returns whether some remaining segment still lacks frames.
    pub fn wants_frames(&self) -> bool {
        self.passes.iter().any(|pass| !pass.chunks.has_segments(usize::MAX) && pass.chunks.segments_left() > 0)
    }

    /// Returns whether a full batch of segments, or all that are left, have their frames.
    pub fn has_segment(&self) -> bool {
        let batch = self.model.cards[self.card].batch();
        self.passes.iter().any(|pass| pass.chunks.has_segments(batch))
    }

    /// Separates segments of one pass, if their frames are there. Returns whether there was something to do. On GPUs,
    /// submits the next batches before it waits for the results of the earlier ones.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] if a device fails with a single segment.
    pub fn step(&mut self) -> Result<bool, Error> {
        // A recorded batch must finish before the next one starts.
        let depth = if self.profile.is_some() { 1 } else { self.model.cards.iter().map(LoadedDevice::depth).sum() };
        let mut clock = self.profile.is_some().then(Clock::start);
        let mut no_watcher = ();
        let watcher: &mut dyn Watcher = match &mut clock {
            Some(clock) => clock,
            None => &mut no_watcher,
        };
        let submitted = self.in_flight.len() < depth && {
            let model = self.model;
            let card = &model.cards[self.card];
            let ready = self.passes.iter().position(|pass| pass.chunks.has_segments(card.batch()));
            if let Some(pass) = ready {
                let Pass { member, chunks, sources, .. } = &mut self.passes[pass];
                let segments = (0..card.batch()).map_while(|_| chunks.next_segment()).collect();
                let work = Work { network: *member, wanted: sources.clone(), segments };
                let pending = card.submit(work, watcher);
                self.in_flight.push_back(Flight { pass, pending });
                self.card = (self.card + 1) % model.cards.len();
            }
            ready.is_some()
        };
        if submitted && self.in_flight.len() < depth {
            return Ok(true);
        }
        let Some(Flight { pass, pending }) = self.in_flight.pop_front() else { return Ok(false) };
        let stems = pending.finish(watcher)?;
        let segments = stems.len();
        let pass = &mut self.passes[pass];
        for stems in &stems {
            pass.chunks.add(stems, &mut pass.ready);
        }
        self.done_frames += (segments * pass.stride_frames) as u64;
        if let (Some(profile), Some(clock)) = (&mut self.profile, clock) {
            profile.add(clock, segments);
        }
        Ok(true)
    }

    /// Returns the progress over all passes, from 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "a fraction")]
    pub fn done(&self) -> f64 {
        let all: u64 = self.passes.iter().map(|p| p.chunks.segments() * p.stride_frames as u64).sum();
        if all == 0 { 1.0 } else { self.done_frames as f64 / all as f64 }
    }

    /// Returns whether the whole song is separated.
    pub fn is_done(&self) -> bool {
        self.passes.iter().all(|p| p.chunks.is_done())
    }

    /// Moves the frames that every pass has finished to `out`, one list of frames for each wanted stem.
    ///
    /// # Panics
    ///
    /// If the length of `out` is not the number of wanted stems.
    pub fn drain(&mut self, out: &mut [Vec<Frame>]) {
        assert_eq!(out.len(), self.wanted.len(), "one list for each wanted stem");
        let scale = self.scale;
        let frames = self.passes.iter().flat_map(|p| p.ready.first()).map(VecDeque::len).min().unwrap_or_default();
        for (&source, out) in self.wanted.iter().zip(out) {
            let mut sums = vec![[0.0_f32; 2]; frames];
            let mut total = 0.0;
            for pass in &self.passes {
                let Some(place) = pass.sources.iter().position(|&other| other == source) else { continue };
                let weight = self.model.members[pass.member].mix[source];
                total += weight;
                for (sum, frame) in sums.iter_mut().zip(&pass.ready[place]) {
                    sum[0] += weight * frame[0];
                    sum[1] += weight * frame[1];
                }
            }
            let carries_offset = self.offset_stem.is_none_or(|stem| stem == source);
            let [left, right] = if carries_offset { self.offset } else { [0.0; 2] };
            out.extend(sums.into_iter().map(|f| [f[0] / total * scale + left, f[1] / total * scale + right]));
        }
        for queue in self.passes.iter_mut().flat_map(|p| &mut p.ready) {
            queue.drain(..frames);
        }
    }
}

/// Keeps the normalisation of a silent song finite, as in the reference.
const QUIET: f32 = 1e-8;

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "checked range"
)]
fn stride_frames(segment_frames: usize, overlap: f64) -> usize {
    (((1.0 - overlap) * segment_frames as f64) as usize).max(1)
}

/// A small random number generator for the shifts, the same on every machine.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number from 0 to `most`. The small bias does not matter for a shift.
    fn up_to(&mut self, most: u32) -> usize {
        usize::try_from(self.next() % (u64::from(most) + 1)).unwrap_or_default()
    }
}

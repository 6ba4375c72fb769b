//! What the parts of splitting a file share: the options and the cancellation flag.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use vocalizer_core::part::Stem;

use crate::audio::{AudioFormat, AudioLimits, Bitrate, MP3_KBPS, ReadOptions};
use crate::{Error, SeparationOptions};

/// What to do with stems that exceed full scale.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Clip {
    /// Scale all stems down by one common gain, just enough for the loudest: they keep their levels against each other and
    /// add up to the song times that gain.
    #[default]
    Common,
    /// Scale each stem down on its own, just enough, as the reference implementation: a loud stem gets quieter than the
    /// others.
    Each,
    /// Clamp samples to ±0.99.
    Clamp,
    /// Leave it to the format: integers and MP3 clip at full scale, floats do not.
    None,
}

/// How to make the complement of a stem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Complement {
    /// The sum of the other stems.
    Add,
    /// The mixture without the stem.
    Minus,
}

/// What to separate and how to write it.
///
/// ```
/// use vocalizer_model::audio::{AudioFormat, Bitrate};
/// use vocalizer_model::{Complement, SplitOptions, Stem};
///
/// # fn main() -> Result<(), vocalizer_model::Error> {
/// let mut karaoke = SplitOptions::default();
/// karaoke.two_stems = Some((Stem::VOCALS, Complement::Minus));
/// karaoke.format = AudioFormat::Mp3(Bitrate::Cbr(256));
/// karaoke.start_s = Some(30.0);
/// karaoke.separation.shifts = 2;
/// karaoke.check()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SplitOptions {
    /// How the song is cut into segments and how often it is separated.
    pub separation: SeparationOptions,
    /// The stems to write; empty for all stems of the model.
    pub stems: Vec<Stem>,
    /// One stem and everything else (`no_<stem>`), instead of `stems`.
    pub two_stems: Option<(Stem, Complement)>,
    /// Write [`Stem::FOUR`] instead of `stems`: further stems of the model are added to `other`, or are `other` if it has none.
    pub four_stems: bool,
    /// Everything but these stems, as [one file](Self::mix_minus_name): the mixture without them. It is added
    /// to the other files, or is the only one if neither `stems`, `two_stems` nor `four_stems` is set.
    pub mix_minus: Vec<Stem>,
    /// File format of the stems.
    pub format: AudioFormat,
    /// Write files of one channel, the average of left and right.
    pub mono: bool,
    /// Carry the song's tags and cover into the files, with the stem's name in the title. Needs the feature `tags`.
    pub tags: bool,
    /// What to do if a stem clips. `None` is [`Clip::Common`], except for the float format, which does not clip.
    pub clip: Option<Clip>,
    /// How to read the song: which track, and what to do about damage.
    pub read: ReadOptions,
    /// Where the part to split starts, in seconds. `None` is the start of the song.
    pub start_s: Option<f64>,
    /// Where the part to split ends, in seconds. `None` is the end of the song. A part that does not lie in the song is an
    /// error, which states the song's length.
    pub end_s: Option<f64>,
    /// Write at the song's sample rate, not at the model's.
    pub keep_rate: bool,
    /// Limits on the input.
    pub limits: AudioLimits,
    /// Record the costs of the segments, for [`Report::profile`](crate::Report::profile).
    pub profile: bool,
}

impl Default for SplitOptions {
    fn default() -> Self {
        Self {
            separation: SeparationOptions::default(),
            stems: Vec::new(),
            two_stems: None,
            four_stems: false,
            mix_minus: Vec::new(),
            format: AudioFormat::Wav16,
            mono: false,
            tags: true,
            clip: None,
            read: ReadOptions::default(),
            start_s: None,
            end_s: None,
            keep_rate: true,
            limits: AudioLimits::default(),
            profile: false,
        }
    }
}

impl SplitOptions {
    /// Checks the options as far as possible without a model; [`split_file`](crate::split_file) checks the rest.
    ///
    /// ```
    /// use vocalizer_model::SplitOptions;
    ///
    /// let mut options = SplitOptions::default();
    /// options.separation.overlap = Some(1.0);
    /// assert_eq!(options.check().unwrap_err().to_string(), "invalid overlap 1: use 0 to 0.99");
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Options`] with the problem and the remedy.
    pub fn check(&self) -> Result<(), Error> {
        self.separation.check()?;
        self.check_part()?;
        if self.four_stems && !(self.stems.is_empty() && self.two_stems.is_none()) {
            return Err(Error::Options(
                "the four stems and a selection of stems exclude each other; choose one".into(),
            ));
        }
        match self.format {
            AudioFormat::Mp3(Bitrate::Cbr(kbps)) if !MP3_KBPS.contains(&kbps) => Err(Error::Options(format!(
                "unsupported MP3 bitrate: {kbps} kbit/s; use one of {}",
                MP3_KBPS.map(|k| k.to_string()).join(", ")
            ))),
            AudioFormat::Mp3(Bitrate::Vbr(quality)) if quality > 9 => {
                Err(Error::Options(format!("unsupported MP3 quality: {quality}; use 0 (best) to 9")))
            }
            _ => Ok(()),
        }
    }

    /// Returns the name of the file of [`mix_minus`](Self::mix_minus), without its extension: `minus_<stem>_<stem>`, with the
    /// stems sorted. `None` if there is no such file.
    #[must_use]
    pub fn mix_minus_name(&self) -> Option<String> {
        let minus: BTreeSet<_> = self.mix_minus.iter().collect();
        let name: String = minus.iter().map(|stem| format!("_{stem}")).collect();
        (!name.is_empty()).then(|| format!("minus{name}"))
    }

    /// Returns the stems that a model must separate for these options, sorted, for
    /// [`ComputeOptions::with_stems`](crate::ComputeOptions::with_stems); empty if it must separate all of its stems.
    ///
    /// ```
    /// use vocalizer_model::{Complement, SplitOptions, Stem};
    ///
    /// let mut options = SplitOptions::default();
    /// options.two_stems = Some((Stem::VOCALS, Complement::Minus));
    /// assert_eq!(options.needed_stems(), [Stem::VOCALS]);
    /// options.two_stems = Some((Stem::VOCALS, Complement::Add));
    /// assert!(options.needed_stems().is_empty());
    /// ```
    #[must_use]
    pub fn needed_stems(&self) -> Vec<Stem> {
        let files = match self.two_stems {
            _ if self.four_stems => return Vec::new(),
            Some((_, Complement::Add)) => return Vec::new(),
            Some((stem, Complement::Minus)) => vec![stem],
            None if self.stems.is_empty() && self.mix_minus.is_empty() => return Vec::new(),
            None => self.stems.clone(),
        };
        let needed: BTreeSet<_> = files.into_iter().chain(self.mix_minus.iter().copied()).collect();
        needed.into_iter().collect()
    }

    fn check_part(&self) -> Result<(), Error> {
        let start_s = self.start_s.unwrap_or(0.0);
        // Also rejects NaN and infinity.
        if !(0.0..=MAX_POSITION_S).contains(&start_s) {
            return Err(Error::Options(format!("invalid start {start_s} s: use 0 or more seconds")));
        }
        match self.end_s {
            Some(end_s) if !(start_s..=MAX_POSITION_S).contains(&end_s) || end_s <= start_s => Err(Error::Options(
                format!("invalid end {end_s} s: it must be after the start, which is at {start_s} s"),
            )),
            _ => Ok(()),
        }
    }

    pub(crate) fn clip(&self) -> Clip {
        self.clip.unwrap_or(if self.format == AudioFormat::WavF32 { Clip::None } else { Clip::Common })
    }
}

/// More than a century: positions stay exact when they are counted in frames.
const MAX_POSITION_S: f64 = 4e9;

/// A cancellation flag, shared by its clones. It stops a song between two segments.
///
/// ```
/// use vocalizer_model::Cancel;
///
/// let cancel = Cancel::default();
/// // For a signal handler or a button; the song gets `&cancel`.
/// let button = cancel.clone();
/// std::thread::spawn(move || button.cancel()).join().unwrap();
/// assert!(cancel.is_cancelled());
/// ```
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Cancels every song that uses this flag.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Returns whether the flag is set.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }
}

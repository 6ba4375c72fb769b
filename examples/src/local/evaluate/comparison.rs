//! Reads true and estimated stems side by side and scores them.

use vocalizer_core::causes::chain;
use vocalizer_model::Stem;
use vocalizer_model::audio::evaluation::{StemComparison, score};
use vocalizer_model::audio::{AudioLimits, AudioReader, Frame, ReadOptions};

use super::dataset::{Recording, Recordings};
use super::pairing::Pair;
use super::results::Score;

/// The sample rate of the models and the data sets.
const RATE_HZ: u32 = 44_100;

/// Frames that are read at once.
const BLOCK_FRAMES: usize = 1 << 15;

/// An open recording.
pub(super) struct Signal {
    name: String,
    reader: AudioReader,
    read: Vec<Frame>,
    ended: bool,
}

impl Signal {
    /// Opens a recording.
    ///
    /// # Errors
    ///
    /// A text that names the file and the problem.
    pub(super) fn open(recording: &Recording) -> Result<Self, String> {
        let name = recording.to_string();
        let mut options = ReadOptions::default();
        (options.track, options.strict) = (recording.track, true);
        let reader = AudioReader::open_with(&recording.path, &AudioLimits::default(), &options)
            .map_err(|e| format!("cannot read {name}: {}", chain(&e)))?;
        let rate_hz = reader.info().rate_hz;
        if rate_hz != RATE_HZ {
            return Err(format!("{name} has {rate_hz} Hz; convert it to {RATE_HZ} Hz, the rate of the models"));
        }
        Ok(Self { name, reader, read: Vec::new(), ended: false })
    }

    /// Returns the next frames. Only the last block is shorter.
    fn next(&mut self) -> Result<Vec<Frame>, String> {
        while self.read.len() < BLOCK_FRAMES && !self.ended {
            let more = self.reader.read(&mut self.read);
            self.ended = !more.map_err(|e| format!("cannot read {}: {}", self.name, chain(&e)))?;
        }
        let frames = self.read.len().min(BLOCK_FRAMES);
        Ok(self.read.drain(..frames).collect())
    }
}

/// The true stems of a song, open.
pub(super) struct Comparison<'a> {
    pairs: &'a [Pair],
    /// Those of each pair.
    truth: Vec<Vec<Signal>>,
}

/// The scores of a song.
pub(super) struct Scored {
    pub(super) scores: Vec<Score>,
    /// Whether the estimates were longer or shorter than the true stems.
    pub(super) lengths_differ: bool,
}

impl<'a> Comparison<'a> {
    /// Opens the true stems.
    ///
    /// # Errors
    ///
    /// A text that states the problem, if one is missing or cannot be used.
    pub(super) fn open(pairs: &'a [Pair], stems: &Recordings) -> Result<Self, String> {
        let signals = |pair: &Pair| open_all(&pair.truth, stems, "the true stem");
        Ok(Self { pairs, truth: pairs.iter().map(signals).collect::<Result<_, _>>()? })
    }

    /// Compares the true stems with estimates.
    ///
    /// # Errors
    ///
    /// A text that states the problem, if a recording is missing, cannot be used or has another length than those it is added to.
    pub(super) fn with(mut self, estimates: &Recordings) -> Result<Scored, String> {
        let signals = |pair: &Pair| open_all(&pair.estimate, estimates, "the estimated stem");
        let mut estimates = self.pairs.iter().map(signals).collect::<Result<Vec<_>, _>>()?;
        let mut comparisons: Vec<_> = self.pairs.iter().map(|_| StemComparison::new(RATE_HZ)).collect();
        let mut lengths_differ = false;
        loop {
            // Name and length of the first true stem's block.
            let mut first: Option<(String, usize)> = None;
            let signals = self.truth.iter_mut().zip(&mut estimates);
            for ((truth, estimate), comparison) in signals.zip(&mut comparisons) {
                let (true_block, estimated_block) = (next_sum(truth)?, next_sum(estimate)?);
                lengths_differ |= true_block.len() != estimated_block.len();
                comparison.push(&true_block, &estimated_block);
                let name = || truth.first().map(|signal| signal.name.clone()).unwrap_or_default();
                let (other, frames) = first.get_or_insert_with(|| (name(), true_block.len()));
                if *frames != true_block.len() {
                    return Err(different_lengths(other, &name()));
                }
            }
            if first.is_none_or(|(_, frames)| frames < BLOCK_FRAMES) {
                break;
            }
        }
        let scores = self.pairs.iter().zip(score(&comparisons)).map(|(pair, score)| Score::new(pair.name, &score));
        Ok(Scored { scores: scores.collect(), lengths_differ })
    }
}

fn open_all(stems: &[Stem], recordings: &Recordings, what: &str) -> Result<Vec<Signal>, String> {
    let open = |stem: &Stem| {
        let recording = recordings.get(stem).ok_or_else(|| format!("{what} {stem} is missing"))?;
        Signal::open(recording)
    };
    stems.iter().map(open).collect()
}

/// Returns the sum of the next frames of several signals.
fn next_sum(signals: &mut [Signal]) -> Result<Vec<Frame>, String> {
    let Some((first, others)) = signals.split_first_mut() else { return Ok(Vec::new()) };
    let mut sum = first.next()?;
    for other in others {
        let block = other.next()?;
        if block.len() != sum.len() {
            return Err(different_lengths(&first.name, &other.name));
        }
        for (sum, frame) in sum.iter_mut().zip(block) {
            sum[0] += frame[0];
            sum[1] += frame[1];
        }
    }
    Ok(sum)
}

fn different_lengths(one: &str, other: &str) -> String {
    format!("{one} and {other} have different lengths")
}

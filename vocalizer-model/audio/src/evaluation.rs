//! Scores of a separation: how close estimated stems are to the true ones.
//!
//! Two metrics are in use, and published numbers are one or the other. Both are signal-to-distortion ratios (SDR) in dB: ten times the
//! logarithm of the energy of the true stem over the energy of the error, which is the difference of the two stems.
//!
//! - [`StemScore::sdr_db`] is over the whole song, all samples of both channels. The Music Demixing Challenge 2021, the Sound Demixing
//!   Challenge 2023 and the tables of later models use it. As there, 1e-7 is added to both energies, with full scale at 1.
//! - [`StemScore::median_sdr_db`] is the median over windows of one second, as museval computes it (BSS eval version 4, its default).
//!   museval splits the error into three parts, for which it estimates filters, but the SDR needs only their sum.
//!
//! ```
//! use vocalizer_audio::evaluation::{StemComparison, score};
//!
//! let truth: Vec<_> = (0..44_100).map(|n| [(n as f32 * 0.05).sin(); 2]).collect();
//! let estimate: Vec<_> = truth.iter().map(|[left, right]| [left * 0.9, right * 0.9]).collect();
//! let mut vocals = StemComparison::new(44_100);
//! for (truth, estimate) in truth.chunks(1000).zip(estimate.chunks(1000)) {
//!     vocals.push(truth, estimate);
//! }
//! let scores = score(&[vocals]);
//! // The error has a tenth of the amplitude, so a hundredth of the energy.
//! assert!(scores[0].sdr_db.is_some_and(|db| (db - 20.0).abs() < 0.001));
//! ```

use super::Frame;

/// What the challenges add to both energies.
const DELTA: f64 = 1e-7;

/// The largest SDR of a window. Without an error, museval reports about as much, because of rounding.
const MOST_DB: f64 = 300.0;

/// The comparison of an estimated stem with the true one, block by block. Memory grows by a few bytes for each second.
#[derive(Debug, Clone)]
pub struct StemComparison {
    window_frames: u32,
    whole: Window,
    /// Windows that are complete.
    windows: Vec<Window>,
    /// The window that is not complete, and its frames.
    current: Window,
    current_frames: u32,
}

/// Energies of a stretch of the song.
#[derive(Debug, Clone, Copy, Default)]
struct Window {
    truth: f64,
    error: f64,
    /// Whether the sum of the channels is other than 0 anywhere: museval's definition of a stem that is not silent.
    has_truth: bool,
    has_estimate: bool,
}

/// The scores of one stem.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct StemScore {
    /// SDR over the whole song in dB. `None` if the true stem is silent.
    pub sdr_db: Option<f64>,
    /// Median of the SDRs of the windows in dB. `None` if no window has one.
    pub median_sdr_db: Option<f64>,
    /// Number of windows that have an SDR.
    pub scored_windows: usize,
    /// Number of windows: full seconds, or one if the song is shorter.
    pub windows: usize,
}

impl StemComparison {
    /// Starts a comparison of stems with this sample rate.
    pub fn new(rate_hz: u32) -> Self {
        Self {
            window_frames: rate_hz.max(1),
            whole: Window::default(),
            windows: Vec::new(),
            current: Window::default(),
            current_frames: 0,
        }
    }

    /// Adds the next frames of both stems. As in museval, frames that the estimate lacks are silence, and further frames of it are
    /// ignored.
    pub fn push(&mut self, truth: &[Frame], estimate: &[Frame]) {
        let silence = std::iter::repeat(&[0.0; 2]);
        for (truth, estimate) in truth.iter().zip(estimate.iter().chain(silence)) {
            self.current.add(truth.map(f64::from), estimate.map(f64::from));
            self.current_frames += 1;
            if self.current_frames == self.window_frames {
                self.windows.push(self.current);
                self.whole.include(&self.current);
                (self.current, self.current_frames) = (Window::default(), 0);
            }
        }
    }

    /// Returns the energies of the whole song.
    fn whole(&self) -> Window {
        let mut whole = self.whole;
        whole.include(&self.current);
        whole
    }

    /// Returns the windows that count: the complete ones, or the only one of a shorter song.
    fn windows(&self) -> &[Window] {
        match self.current_frames {
            1.. if self.windows.is_empty() => std::slice::from_ref(&self.current),
            _ => &self.windows,
        }
    }
}

impl Window {
    fn add(&mut self, truth: [f64; 2], estimate: [f64; 2]) {
        for (truth, estimate) in truth.into_iter().zip(estimate) {
            self.truth += truth * truth;
            self.error += (truth - estimate) * (truth - estimate);
        }
        self.has_truth |= truth[0] + truth[1] != 0.0;
        self.has_estimate |= estimate[0] + estimate[1] != 0.0;
    }

    fn include(&mut self, other: &Self) {
        self.truth += other.truth;
        self.error += other.error;
        self.has_truth |= other.has_truth;
        self.has_estimate |= other.has_estimate;
    }

    fn is_silent(&self) -> bool {
        !self.has_truth || !self.has_estimate
    }

    fn sdr_db(&self) -> f64 {
        let db = 10.0 * (self.truth / self.error).log10();
        // `min` would hide NaN.
        if db > MOST_DB { MOST_DB } else { db }
    }
}

/// Returns the scores of stems that belong to one song and were compared over the same frames.
///
/// As in museval, a window in which any of these stems is silent, be it the true or the estimated one, counts for none of them. A stem
/// that is silent in the whole song has no median and does not affect the others; museval refuses such a song.
pub fn score(stems: &[StemComparison]) -> Vec<StemScore> {
    let is_heard = |stem: &&StemComparison| !stem.whole().is_silent();
    let heard: Vec<_> = stems.iter().filter(is_heard).collect();
    let counts = |at: usize| !heard.iter().any(|stem| stem.windows().get(at).is_some_and(Window::is_silent));
    let score = |stem: &StemComparison| {
        let (whole, windows) = (stem.whole(), stem.windows());
        let counted = windows.iter().enumerate().filter(|&(at, _)| !whole.is_silent() && counts(at));
        let sdrs_db: Vec<_> = counted.map(|(_, window)| window.sdr_db()).filter(|db| db.is_finite()).collect();
        let sdr_db = 10.0 * ((whole.truth + DELTA) / (whole.error + DELTA)).log10();
        StemScore {
            sdr_db: (whole.truth > 0.0 && sdr_db.is_finite()).then_some(sdr_db),
            median_sdr_db: median(&sdrs_db),
            scored_windows: sdrs_db.len(),
            windows: windows.len(),
        }
    };
    stems.iter().map(score).collect()
}

/// Returns the mean of some values; `None` if there are none.
#[expect(clippy::cast_precision_loss, reason = "a count")]
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Returns the median of some values, which is the mean of the middle two if their number is even; `None` if there are none.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let first = if sorted.len().is_multiple_of(2) { middle.checked_sub(1)? } else { middle };
    mean(sorted.get(first..=middle)?)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use flac_codec::decode::FlacSampleReader;

    use super::{StemComparison, StemScore, mean, median, score};
    use crate::Frame;

    const RATE_HZ: usize = 44_100;

    /// A true and an estimated stem.
    type Stem = (Vec<Frame>, Vec<Frame>);

    /// The demo song's drums, bass, other and vocals, and estimates of them, as benches/sdr.py makes them.
    fn demo_song() -> Vec<Stem> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo/first-light.stems.flac");
        let mut small = Vec::new();
        FlacSampleReader::open(path).unwrap().read_to_end(&mut small).unwrap();
        let frames = small.len() / 4 * RATE_HZ / 8_000;
        let delayed = |samples: &[i32], by: usize| [&vec![0; by][..], &samples[..frames - by]].concat();
        let channels: Vec<[Vec<i32>; 2]> = (0..4)
            .map(|stem| {
                let left: Vec<_> = (0..frames).map(|i| small[i * 80 / 441 * 4 + stem]).collect();
                let right = delayed(&left, 20).iter().map(|sample| sample / 2).collect();
                [left, right]
            })
            .collect();
        let stem = |k: usize| {
            let estimate = [0, 1].map(|c| {
                let (own, next) = (&channels[k][c], &channels[(k + 1) % 4][c]);
                let late = delayed(own, 5);
                (0..frames).map(|i| (7 * own[i] + next[i]) / 8 + late[i] / 16).collect::<Vec<_>>()
            });
            (stereo(&channels[k]), stereo(&estimate))
        };
        let mut stems: Vec<Stem> = (0..4).map(stem).collect();
        let second = |index: usize| index * RATE_HZ..(index + 1) * RATE_HZ;
        stems[0].0[second(3)].iter_mut().for_each(|frame| frame[1] = -frame[0]);
        stems[1].1[second(5)].fill([0.0; 2]);
        let (truth, estimate) = &mut stems[3];
        estimate[second(7)].copy_from_slice(&truth[second(7)]);
        stems
    }

    fn stereo([left, right]: &[Vec<i32>; 2]) -> Vec<Frame> {
        left.iter().zip(right).map(|(&left, &right)| [left, right].map(|sample| sample as f32 / 32_768.0)).collect()
    }

    fn compare((truth, estimate): &Stem) -> StemComparison {
        let mut comparison = StemComparison::new(44_100);
        comparison.push(truth, estimate);
        comparison
    }

    fn scores(stems: &[Stem]) -> Vec<StemScore> {
        score(&stems.iter().map(compare).collect::<Vec<_>>())
    }

    fn sum(stems: &[Vec<Frame>]) -> Vec<Frame> {
        let frame = |i: usize| [0, 1].map(|c| stems.iter().map(|stem| stem[i][c]).sum());
        (0..stems[0].len()).map(frame).collect()
    }

    #[test]
    fn scores_equal_those_of_museval_and_the_challenges() {
        let four = demo_song();
        let map = |change: &dyn Fn(&Stem) -> Stem| four.iter().map(change).collect::<Vec<_>>();
        let others: (Vec<_>, Vec<_>) = four[..3].iter().cloned().unzip();
        let part = 10 * RATE_HZ..10 * RATE_HZ + 17_640;
        let cases = [
            ("two", vec![four[3].clone(), (sum(&others.0), sum(&others.1))]),
            ("short", map(&|(t, e)| (t[part.clone()].to_vec(), e[part.clone()].to_vec()))),
            ("longer", map(&|(t, e)| (t.clone(), [e, &e[..1000]].concat()))),
            ("shorter", map(&|(t, e)| (t.clone(), e[..e.len() - 70_000].to_vec()))),
            ("four", four.clone()),
        ];
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/museval.txt");
        let expected = std::fs::read_to_string(path).unwrap();
        let mut checked = 0;
        for (case, stems) in cases {
            let lines = expected.lines().filter_map(|line| line.strip_prefix(case)?.strip_prefix(' '));
            for (line, score) in lines.zip(scores(&stems)) {
                let [stem, sdr_db, median_sdr_db, counted, windows] = line.split(' ').collect::<Vec<_>>()[..] else {
                    panic!("{line}")
                };
                let is_near = |found: Option<f64>, text: &str| {
                    found.is_some_and(|db| (db - text.parse::<f64>().unwrap()).abs() < 0.001)
                };
                let is_right = is_near(score.sdr_db, sdr_db) && is_near(score.median_sdr_db, median_sdr_db);
                assert!(is_right, "{case}, {stem}: {score:?}, expected {line}");
                let is_right = score.scored_windows.to_string() == counted && score.windows.to_string() == windows;
                assert!(is_right, "{case}, {stem}: {score:?}, expected {line}");
                checked += 1;
            }
        }
        assert_eq!(checked, 18);
    }

    #[test]
    fn scores_do_not_depend_on_the_blocks() {
        let (truth, estimate) = &demo_song()[2];
        let mut in_blocks = StemComparison::new(44_100);
        for (truth, estimate) in truth.chunks(1_234).zip(estimate.chunks(1_234)) {
            in_blocks.push(truth, estimate);
        }
        assert_eq!(score(&[in_blocks]), scores(&[(truth.clone(), estimate.clone())]));
    }

    #[test]
    fn silent_stem_has_no_score_and_leaves_the_others_alone() {
        let four = demo_song();
        let (truth, estimate) = four[2].clone();
        let silence = vec![[0.0; 2]; truth.len()];
        let alone = scores(&[(truth.clone(), estimate.clone())])[0];
        let both = scores(&[(truth.clone(), estimate.clone()), (silence.clone(), estimate)]);
        assert_eq!(both[0], alone);
        assert_eq!((both[1].sdr_db, both[1].median_sdr_db, both[1].scored_windows), (None, None, 0));
        // The estimate of a stem that is not silent, however, may be.
        let missed = scores(&[(truth, silence)])[0];
        assert!(missed.sdr_db.is_some_and(|db| db.abs() < 1e-6), "{missed:?}");
        assert_eq!((missed.median_sdr_db, missed.scored_windows, missed.windows), (None, 0, 24));
    }

    #[test]
    fn perfect_estimate_has_finite_scores() {
        let truth = vec![[0.5, 0.25]; 3 * RATE_HZ];
        let found = scores(&[(truth.clone(), truth)])[0];
        assert!(found.sdr_db.is_some_and(|db| db > 100.0 && db.is_finite()), "{found:?}");
        assert_eq!((found.median_sdr_db, found.scored_windows), (Some(300.0), 3));
    }

    #[test]
    fn samples_that_are_not_numbers_have_no_score() {
        let truth = vec![[0.5; 2]; RATE_HZ];
        let found = scores(&[(truth, vec![[f32::NAN; 2]; RATE_HZ])])[0];
        assert_eq!((found.sdr_db, found.median_sdr_db, found.scored_windows), (None, None, 0));
        assert_eq!(scores(&[(Vec::new(), Vec::new())])[0].windows, 0);
    }

    #[test]
    fn means_and_medians() {
        assert_eq!((mean(&[]), median(&[])), (None, None));
        assert_eq!((mean(&[3.0, 1.0, 8.0]), median(&[3.0, 1.0, 8.0])), (Some(4.0), Some(3.0)));
        assert_eq!(median(&[4.0, 1.0, 8.0, 2.0]), Some(3.0));
        assert_eq!(median(&[-2.5]), Some(-2.5));
    }
}

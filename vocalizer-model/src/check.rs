//! Whether a card gives what the CPU gives: a segment through every network, before the first song.

use std::fs;
use std::path::{Path, PathBuf};

use crate::card::{Card, Member, Segment};
use crate::device::Precision;
use crate::weights::{Cache, WeightsError, WeightsFile};

/// Every so many values of the stems are compared.
const STEP: usize = 997;

/// How close a card must come to the CPU, in dB of signal over difference.
pub(crate) fn least_decibels(precision: Precision) -> f64 {
    match precision {
        Precision::F32 => 90.0,
        Precision::F16 => 40.0,
        Precision::Bf16 => 25.0,
    }
}

/// What the CPU gives for the probe.
pub(crate) struct Probe {
    expected: Vec<f32>,
}

impl Probe {
    /// The numbers of a network, from the cache where they are there already, and otherwise from the CPU, which takes a
    /// second or two.
    pub(crate) fn of(
        member: &Member,
        file: &WeightsFile,
        digest: Option<&str>,
        cache: Option<&Cache>,
    ) -> Result<Self, WeightsError> {
        let digest = match digest {
            Some(digest) => digest.to_owned(),
            None => file.tensor_digest()?,
        };
        let kept = cache.map(|cache| cache.probe_path(&digest, file.kwargs()));
        let count = (member.config.sources.len() * 2 * member.config.segment_frames).div_ceil(STEP);
        if let Some(expected) = kept.as_deref().and_then(|path| read(path, count)) {
            return Ok(Self { expected });
        }
        let mut cpu = Card::cpu();
        cpu.load(member, file)?.expect("the CPU does not fail");
        let expected = picked(&run(&cpu, (0, member), 1).expect("the CPU does not fail"));
        if let Some(path) = kept {
            // Where it cannot be kept, the next start makes it again.
            let _ = write(&path, &expected);
        }
        Ok(Self { expected })
    }

    /// How close a card comes, in dB, with so many segments at once: the last of them is looked at.
    ///
    /// # Errors
    ///
    /// What the card says where it fails.
    pub(crate) fn decibels(&self, card: &Card, member: (usize, &Member), batch: usize) -> Result<f64, String> {
        let got = picked(&run(card, member, batch)?);
        let signal: f64 = self.expected.iter().map(|&x| f64::from(x).powi(2)).sum();
        let apart = self.expected.iter().zip(&got).map(|(&x, &y)| (f64::from(x) - f64::from(y)).powi(2)).sum::<f64>();
        let decibels = 10.0 * (signal / (apart + 1e-30)).log10();
        // What gives no number is as far away as can be.
        Ok(if decibels.is_nan() { f64::NEG_INFINITY } else { decibels })
    }
}

/// The stems of the last of so many segments; the others are the same upside down, so that one that is taken for another
/// shows.
fn run(card: &Card, member: (usize, &Member), batch: usize) -> Result<Vec<Segment>, String> {
    let signal = signal(member.1.config.segment_frames);
    let other = signal.each_ref().map(|channel| channel.iter().map(|x| -x).collect());
    let mut segments = vec![other; batch - 1];
    segments.push(signal);
    Ok(card.separate(member, &segments, &mut ())?.pop().unwrap_or_default())
}

/// Chords, a drum every half second and noise, of a music's level: every layer has something to do.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "a signal, stored as f32")]
fn signal(frames: usize) -> Segment {
    let mut state = 1_u32;
    let mut channels = [Vec::with_capacity(frames), Vec::with_capacity(frames)];
    for i in 0..frames {
        let t = i as f64 / 44_100.0;
        let chord: f64 =
            [110.0, 220.0, 277.2, 329.6, 1_318.5].iter().map(|hz| (std::f64::consts::TAU * hz * t).sin()).sum();
        let beat = t % 0.5;
        let drum = (std::f64::consts::TAU * 60.0 * beat).sin() * (-30.0 * beat).exp();
        for (side, channel) in channels.iter_mut().enumerate() {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = f64::from(state) / f64::from(u32::MAX) - 0.5;
            let side = if side == 0 { 1.0 } else { 0.7 };
            channel.push((0.3 * side * chord + drum + 0.1 * noise) as f32);
        }
    }
    channels
}

fn picked(stems: &[Segment]) -> Vec<f32> {
    stems.iter().flatten().flatten().step_by(STEP).copied().collect()
}

fn read(path: &Path, count: usize) -> Option<Vec<f32>> {
    let bytes = fs::read(path).ok()?;
    let (values, rest) = bytes.as_chunks::<4>();
    let values: Vec<f32> = values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    (values.len() == count && rest.is_empty() && values.iter().all(|value| value.is_finite())).then_some(values)
}

fn write(path: &PathBuf, values: &[f32]) -> std::io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(dir)?;
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    std::io::Write::write_all(&mut file, &bytes)?;
    file.persist(path)?;
    Ok(())
}

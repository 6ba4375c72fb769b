//! Checks a GPU against the CPU: runs a probe segment through every network before the first song.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::device::Precision;
use crate::loaded_device::{LoadedDevice, Part};
use crate::network_file::{Member, NetworkFile};
use crate::networks::Segment;
use crate::weights::Cache;

/// Only every 997th value of the stems is compared.
const STEP: usize = 997;

/// Returns the minimum signal-to-difference ratio between GPU and CPU, in dB.
pub(crate) fn least_decibels(precision: Precision) -> f64 {
    match precision {
        Precision::F32 | Precision::Auto | Precision::Int16 | Precision::Int8 => 90.0,
        Precision::F16 => 40.0,
        Precision::Bf16 => 25.0,
    }
}

/// The CPU's reference output for the probe segment.
pub(crate) struct Probe {
    expected: Vec<f32>,
}

impl Probe {
    /// Returns the reference output of a network, from the cache if it is there, else computed on the CPU, which takes
    /// a second or two.
    pub(crate) fn of(network: &NetworkFile, cache: Option<&Cache>) -> Result<Self, Error> {
        let NetworkFile { file, member, .. } = network;
        let digest = match network.published.and_then(|(_, member)| member.tensor_digest) {
            Some(digest) => digest.to_owned(),
            None => file.tensor_digest().map_err(|source| network.wrong(source))?,
        };
        let kept = cache.map(|cache| cache.probe_path(&digest, file.config(), &member.stems));
        let count = (member.stems.len() * 2 * member.config.segment_frames()).div_ceil(STEP);
        if let Some(expected) = kept.as_deref().and_then(|path| read(path, count)) {
            return Ok(Self { expected });
        }
        let mut cpu = LoadedDevice::cpu(vocalizer_kernels::gemm::Precision::F32);
        cpu.load(network)?;
        let expected = sampled(&run(&cpu, (0, member), 1)?);
        if let Some(path) = kept {
            // If it cannot be cached, the next start computes it again.
            let _ = write(&path, &expected);
        }
        Ok(Self { expected })
    }

    /// Returns how closely a GPU matches the CPU, in dB, in a batch of this size; compares the last segment of the
    /// batch.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] if the GPU fails.
    pub(crate) fn decibels(&self, card: &LoadedDevice, member: (usize, &Member), batch: usize) -> Result<f64, Error> {
        let got = sampled(&run(card, member, batch)?);
        let signal: f64 = self.expected.iter().map(|&x| f64::from(x).powi(2)).sum();
        let apart = self.expected.iter().zip(&got).map(|(&x, &y)| (f64::from(x) - f64::from(y)).powi(2)).sum::<f64>();
        let decibels = 10.0 * (signal / (apart + 1e-30)).log10();
        // NaN counts as no match at all.
        Ok(if decibels.is_nan() { f64::NEG_INFINITY } else { decibels })
    }
}

/// Separates a batch and returns the stems of the last segment. The other segments are the negated signal, so that
/// mixed-up segments change the result.
fn run(card: &LoadedDevice, member: (usize, &Member), batch: usize) -> Result<Vec<Segment>, Error> {
    let (network, Member { config, stems, .. }) = member;
    let signal = signal(config.segment_frames());
    let other = signal.each_ref().map(|channel| channel.iter().map(|x| -x).collect());
    let mut segments = vec![other; batch - 1];
    segments.push(signal);
    let part = Part { network, wanted: stems, segments: &segments };
    Ok(card.separate(&part, &mut ())?.pop().unwrap_or_default())
}

/// Returns the probe signal: chords, a drum every half second and noise at the level of music, to exercise every layer.
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

fn sampled(stems: &[Segment]) -> Vec<f32> {
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

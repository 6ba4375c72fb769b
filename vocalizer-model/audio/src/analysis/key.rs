//! The key of a song, from the pitches that it has.

use std::f64::consts::{PI, TAU};

use vocalizer_api::{Key, Mode, Tonic};

use super::spectra::Spectra;
use super::{RATE_HZ, whole};

const WINDOW: usize = 8_192;
const HOP: usize = 4_096;

/// Below this, windows this long do not tell semitones apart; above, there are hardly any fundamentals.
const LOWEST_HZ: f64 = 65.0;
const HIGHEST_HZ: f64 = 2_100.0;

/// Peaks further below the loudest of their window do not count.
const FLOOR: f32 = 0.01;

/// A window below this is silence.
const SILENCE: f32 = 1e-4;

/// Values per semitone, to find the tuning.
const FINE: usize = 10;

/// How often each note from the tonic upwards occurs in pieces in major and in minor: Temperley, Music and Probability (2007), from the
/// Kostka-Payne corpus.
const MAJOR: [f64; 12] = [0.748, 0.060, 0.488, 0.082, 0.670, 0.460, 0.096, 0.715, 0.104, 0.366, 0.057, 0.400];
const MINOR: [f64; 12] = [0.712, 0.084, 0.474, 0.618, 0.049, 0.460, 0.105, 0.747, 0.404, 0.067, 0.133, 0.330];

/// Of sound without a key, correlations are below this.
const LEAST_CORRELATION: f64 = 0.5;

/// The lead over the next key at which a key is certain.
const CERTAIN_LEAD: f64 = 0.12;

/// How much there is of each pitch, without its octave.
pub(super) struct Chroma {
    spectra: Spectra,
    /// From C upwards, in tenths of a semitone.
    fine: [f64; 12 * FINE],
}

impl Chroma {
    pub(super) fn new() -> Self {
        Self { spectra: Spectra::new(WINDOW, HOP), fine: [0.0; 12 * FINE] }
    }

    pub(super) fn push(&mut self, samples: &[f32]) {
        let Self { spectra, fine } = self;
        spectra.push(samples, |spectrum| add(fine, spectrum));
    }

    /// Returns the key with the highest correlation.
    pub(super) fn key(&self) -> Option<Key> {
        let notes = self.notes();
        let mut found: Vec<_> = Tonic::ALL
            .into_iter()
            .enumerate()
            .flat_map(|(at, tonic)| {
                let mut from_tonic = notes;
                from_tonic.rotate_left(at);
                let of = move |profile, mode| (correlation(&from_tonic, profile), tonic, mode);
                [of(&MAJOR, Mode::Major), of(&MINOR, Mode::Minor)]
            })
            .collect();
        found.sort_by(|a, b| b.0.total_cmp(&a.0));
        let [(best, tonic, mode), (next, ..), ..] = found[..] else { return None };
        if best < LEAST_CORRELATION {
            return None;
        }
        let confidence = ((best - next) / CERTAIN_LEAD).clamp(0.0, 1.0) * best;
        Some(Key::new(tonic, mode, (confidence * 100.0).round() / 100.0))
    }

    /// Returns how much there is of each note, at the song's own tuning.
    fn notes(&self) -> [f64; 12] {
        // The mean distance from the nearest note, as a direction.
        let (mut x, mut y) = (0.0, 0.0);
        for (at, amount) in self.fine.iter().enumerate() {
            let angle = TAU * (at % FINE) as f64 / FINE as f64;
            x += amount * angle.cos();
            y += amount * angle.sin();
        }
        let tuning = y.atan2(x) / TAU;
        let mut notes = [0.0; 12];
        for (at, amount) in self.fine.iter().enumerate() {
            let pitch = at as f64 / FINE as f64 - tuning;
            for (note, sum) in notes.iter_mut().enumerate() {
                let distance = (pitch - note as f64 + 18.0).rem_euclid(12.0) - 6.0;
                if distance.abs() < 0.5 {
                    *sum += amount * (PI * distance).cos().powi(2);
                }
            }
        }
        notes
    }
}

/// Adds the peaks of a spectrum. Every window counts the same, whether it is loud or not.
fn add(fine: &mut [f64; 12 * FINE], spectrum: &[f32]) {
    let bin_hz = f64::from(RATE_HZ) / WINDOW as f64;
    let range = whole(LOWEST_HZ / bin_hz)..whole(HIGHEST_HZ / bin_hz);
    let Some(inside) = spectrum.get(range.start - 1..=range.end) else { return };
    let loudest = inside.iter().copied().fold(0.0, f32::max);
    if loudest < SILENCE {
        return;
    }
    let mut peaks = Vec::new();
    let mut total = 0.0;
    for (bin, around) in (range.start..).zip(inside.windows(3)) {
        let &[before, here, after] = around else { continue };
        if here < FLOOR * loudest || here < before || here <= after {
            continue;
        }
        // The top of the parabola through the logarithms is close to the frequency of a steady sine.
        let [before, top, after] = [before, here, after].map(|value| f64::from(value.max(f32::MIN_POSITIVE)).ln());
        let bend = before - 2.0 * top + after;
        let shift = if bend < 0.0 { 0.5 * (before - after) / bend } else { 0.0 };
        let hz = (bin as f64 + shift) * bin_hz;
        // Semitones above a C.
        let pitch = 12.0 * (hz / 440.0).log2() + 9.0;
        let amount = f64::from(here).sqrt();
        peaks.push((pitch, amount));
        total += amount;
    }
    for (pitch, amount) in peaks {
        let at = whole((pitch * FINE as f64).round().rem_euclid((12 * FINE) as f64));
        fine[at % (12 * FINE)] += amount / total;
    }
}

/// Pearson's coefficient; 0 if one of them is the same everywhere.
fn correlation(a: &[f64; 12], b: &[f64; 12]) -> f64 {
    let mean = |values: &[f64; 12]| values.iter().sum::<f64>() / 12.0;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (a - mean_a, b - mean_b);
        ab += a * b;
        aa += a * a;
        bb += b * b;
    }
    if aa * bb > 0.0 { ab / (aa * bb).sqrt() } else { 0.0 }
}

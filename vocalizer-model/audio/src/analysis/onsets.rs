//! How much new sound begins at each moment.

use super::RATE_HZ;
use super::spectra::Spectra;

const WINDOW: usize = 1_024;
const HOP: usize = 256;

/// Values per second.
pub(super) const RATE: f64 = RATE_HZ as f64 / HOP as f64;

const BANDS: usize = 36;
const LOWEST_HZ: f64 = 27.5;
const HIGHEST_HZ: f64 = 9_000.0;

/// Magnitudes far below this count linearly, those above logarithmically.
const KNEE: f32 = 1e-3;

/// The rise is measured over this many windows, so that their overlap hides less of it.
const LAG: usize = 2;

/// The onsets of a song.
pub(super) struct Onsets {
    spectra: Spectra,
    /// The first bin of each mel band, and the weights from there on.
    bands: Vec<(usize, Vec<f32>)>,
    /// The loudness of the bands in the last windows, the oldest first.
    past: [[f32; BANDS]; LAG],
    /// The sum of the rises of all bands: counts quiet instruments as well as loud ones.
    strengths: Vec<f32>,
    /// The same of the magnitudes, not their logarithms: what is loud dominates.
    accents: Vec<f32>,
    past_magnitudes: [[f32; BANDS]; LAG],
}

impl Onsets {
    pub(super) fn new() -> Self {
        Self {
            spectra: Spectra::new(WINDOW, HOP),
            bands: bands(),
            past: [[0.0; BANDS]; LAG],
            strengths: Vec::new(),
            accents: Vec::new(),
            past_magnitudes: [[0.0; BANDS]; LAG],
        }
    }

    pub(super) fn push(&mut self, samples: &[f32]) {
        let Self { spectra, bands, past, strengths, accents, past_magnitudes } = self;
        spectra.push(samples, |spectrum| {
            let mut now = [0.0; BANDS];
            for (value, (first, weights)) in now.iter_mut().zip(&*bands) {
                *value = spectrum.iter().skip(*first).zip(weights).map(|(magnitude, weight)| magnitude * weight).sum();
            }
            let loudness = now.map(|magnitude| (magnitude / KNEE).ln_1p());
            strengths.push(rise(&past[0], &loudness));
            accents.push(rise(&past_magnitudes[0], &now));
            past.rotate_left(1);
            past[LAG - 1] = loudness;
            past_magnitudes.rotate_left(1);
            past_magnitudes[LAG - 1] = now;
        });
    }

    pub(super) fn strengths(&self) -> &[f32] {
        &self.strengths
    }

    pub(super) fn accents(&self) -> &[f32] {
        &self.accents
    }
}

fn rise(before: &[f32], now: &[f32]) -> f32 {
    before.iter().zip(now).map(|(before, now)| (now - before).max(0.0)).sum()
}

/// Triangles that are equally wide on the mel scale.
fn bands() -> Vec<(usize, Vec<f32>)> {
    let mel = |hz: f64| 1_127.0 * (hz / 700.0).ln_1p();
    let (low, high) = (mel(LOWEST_HZ), mel(HIGHEST_HZ));
    let step = (high - low) / (BANDS + 1) as f64;
    let weight = |band: usize, bin: usize| {
        let at = mel(bin as f64 * f64::from(RATE_HZ) / WINDOW as f64);
        let middle = low + step * (band + 1) as f64;
        (1.0 - (at - middle).abs() / step).max(0.0) as f32
    };
    let bins = 0..=WINDOW / 2;
    let band = |band| {
        let first = bins.clone().find(|&bin| weight(band, bin) > 0.0).unwrap_or(0);
        let weights = (first..=WINDOW / 2).map(|bin| weight(band, bin)).take_while(|&weight| weight > 0.0).collect();
        (first, weights)
    };
    (0..BANDS).map(band).collect()
}

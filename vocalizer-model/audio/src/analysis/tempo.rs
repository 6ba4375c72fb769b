//! The tempo of a song, from its onsets.

use vocalizer_api::Tempo;

use super::onsets::{Onsets, RATE};
use super::whole;

const SLOWEST_BPM: f64 = 40.0;
const FASTEST_BPM: f64 = 240.0;

/// The step from one candidate to the next.
const STEP: f64 = 1.0025;

/// Where people tap if a song allows several tempi, and the deviation in octaves.
const PREFERRED_BPM: f64 = 120.0;
const SPREAD_OCTAVES: f64 = 1.0;

/// Periods that a comb sums.
const TEETH: usize = 4;

/// Pulses are beats if every other one is at least about this strong, compared with the others: a snare and a kick are both beats, but an
/// eighth between two beats is weaker.
const EVEN: f64 = 0.82;
const EVEN_WIDTH: f64 = 0.05;

/// What remains of the score of a period that is the half or the double of a beat.
const LEAST_LEVEL: f64 = 0.25;

/// Onsets are compared with the mean of this long a stretch around them.
const AROUND_S: f64 = 0.8;

/// Shorter songs have too few beats.
const LEAST_S: f64 = 6.0;

/// The sum of a comb below which there is no steady beat, and the one from which on it is certain.
const LEAST_STRENGTH: f64 = 0.08;
const CERTAIN_STRENGTH: f64 = 0.4;

/// The lead over the next other tempo at which a tempo is certain.
const CERTAIN_LEAD: f64 = 0.3;

/// Tempi as close as this are the same.
const SAME: f64 = 1.06;

/// The longest span whose beats are counted to measure a period, in periods.
const LONGEST_SPAN: usize = 32;

/// Intervals of a beat in which its onsets are counted.
const PHASES: usize = 48;

/// The rise over two windows is largest this long after an onset.
const LATE_S: f64 = 0.012;

/// Finds the tempo; `None` if there is no steady beat.
pub(super) fn find(onsets: &Onsets) -> Option<Tempo> {
    let strengths = prominent(onsets.strengths());
    let accents = prominent(onsets.accents());
    if (strengths.len() as f64) < LEAST_S * RATE {
        return None;
    }
    let similarity = [&strengths, &accents].map(|each| autocorrelation(each));
    let scored: Vec<_> = candidates(&similarity).into_iter().map(|bpm| (bpm, score(&similarity, bpm))).collect();
    let &(bpm, best) = scored.iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
    let strength = strength(&similarity, period(bpm));
    if strength < LEAST_STRENGTH {
        return None;
    }
    let is_other = |other: f64| other > bpm * SAME || other < bpm / SAME;
    let next = scored.iter().filter(|(other, _)| is_other(*other)).map(|(_, score)| *score).fold(0.0, f64::max);
    let lead = ((best - next) / best / CERTAIN_LEAD).clamp(0.0, 1.0);
    let confidence = (strength / CERTAIN_STRENGTH).min(1.0) * (0.5 + 0.5 * lead);

    let period = measured(&similarity[0], period(bpm));
    let first_s = (first_beat(&accents, period) / RATE - LATE_S).rem_euclid(period / RATE);
    let rounded = |value: f64, digits: f64| (value * digits).round() / digits;
    Some(Tempo::new(rounded(60.0 * RATE / period, 100.0), rounded(confidence, 100.0), whole(first_s * 1_000.0) as u64))
}

/// The tempi whose beats are more similar than those of slightly slower and faster ones.
fn candidates(similarity: &[Vec<f64>; 2]) -> Vec<f64> {
    let tempi = std::iter::successors(Some(SLOWEST_BPM / STEP), |bpm| Some(bpm * STEP));
    let tempi: Vec<_> = tempi
        .take_while(|&bpm| bpm <= FASTEST_BPM * STEP)
        .map(|bpm| (bpm, strength(similarity, period(bpm))))
        .collect();
    let is_top = |around: &&[(f64, f64)]| around[1].1 >= around[0].1 && around[1].1 > around[2].1;
    tempi.windows(3).filter(is_top).map(|around| around[1].0).collect()
}

fn period(bpm: f64) -> f64 {
    60.0 * RATE / bpm
}

fn score(similarity: &[Vec<f64>; 2], bpm: f64) -> f64 {
    let octaves = (bpm / PREFERRED_BPM).log2() / SPREAD_OCTAVES;
    let period = period(bpm);
    let [_, accents] = similarity;
    let is_even = evenness(accents, period);
    let is_half_even = evenness(accents, period / 2.0);
    let level = |share: f64| LEAST_LEVEL + (1.0 - LEAST_LEVEL) * share;
    let preference = (-0.5 * octaves * octaves).exp();
    strength(similarity, period).max(0.0) * level(is_even) * level(1.0 - is_half_even) * preference
}

/// The mean similarity at multiples of a period.
fn strength(similarity: &[Vec<f64>; 2], period: f64) -> f64 {
    let comb = |each: &Vec<f64>| (1..=TEETH).map(|tooth| at(each, period * tooth as f64)).sum::<f64>() / TEETH as f64;
    similarity.iter().map(comb).sum::<f64>() / 2.0
}

/// Whether the pulses of a period are about equally strong, from 0 to 1. If every other one is weaker, odd multiples of the period are less similar than
/// even ones.
fn evenness(similarity: &[f64], period: f64) -> f64 {
    let sum = |first: usize| (first..=TEETH).step_by(2).map(|tooth| at(similarity, period * tooth as f64)).sum::<f64>();
    let (odd, even) = (sum(1), sum(2));
    if even <= 0.0 {
        return 0.0;
    }
    1.0 / (1.0 + ((EVEN - odd / even) / EVEN_WIDTH).exp())
}

/// The value between two others.
fn at(values: &[f64], place: f64) -> f64 {
    let low = place.floor();
    let (here, next) = (values.get(whole(low)), values.get(whole(low) + 1));
    here.zip(next).map_or(0.0, |(here, next)| here + (place - low) * (next - here))
}

/// What stands out from its surroundings.
fn prominent(onsets: &[f32]) -> Vec<f32> {
    let half = whole(AROUND_S * RATE / 2.0);
    let mut sums = vec![0.0];
    sums.extend(onsets.iter().scan(0.0, |sum, &value| {
        *sum += f64::from(value);
        Some(*sum)
    }));
    let stands_out = |(place, &value): (usize, &f32)| {
        let (from, to) = (place.saturating_sub(half), (place + half + 1).min(onsets.len()));
        (value - ((sums[to] - sums[from]) / (to - from) as f64) as f32).max(0.0)
    };
    onsets.iter().enumerate().map(stands_out).collect()
}

/// How similar the onsets are to themselves some time later, from -1 to 1; up to the longest time that is needed or that the song allows.
fn autocorrelation(values: &[f32]) -> Vec<f64> {
    let longest = whole(period(SLOWEST_BPM) * (TEETH * 2) as f64);
    let mean = values.iter().sum::<f32>() / values.len() as f32;
    let centred: Vec<_> = values.iter().map(|value| value - mean).collect();
    let power = centred.iter().map(|value| value * value).sum::<f32>() / values.len() as f32;
    let similar = |lag: usize| {
        let pairs = centred.iter().zip(&centred[lag..]);
        let mean = pairs.map(|(now, later)| now * later).sum::<f32>() / (centred.len() - lag) as f32;
        if power > 0.0 { f64::from(mean / power) } else { 0.0 }
    };
    (0..longest.min(values.len() / 2)).map(similar).collect()
}

/// Measures a period over longer and longer spans, each of twice as many beats, as long as they are similar.
fn measured(similarity: &[f64], near: f64) -> f64 {
    let mut period = near;
    let mut beats = 1;
    while beats <= LONGEST_SPAN {
        // The last span tells within half a value where the next one ends.
        let middle = whole((period * beats as f64).round());
        let range = middle.saturating_sub(2)..middle + 3;
        let Some(inside) = similarity.get(range.clone()) else { break };
        let Some((top, value)) = range.zip(inside).max_by(|a, b| a.1.total_cmp(b.1)) else { break };
        let (Some(&before), Some(&after)) = (similarity.get(top.saturating_sub(1)), similarity.get(top + 1)) else {
            break;
        };
        let bend = before - 2.0 * value + after;
        if *value < LEAST_STRENGTH || bend >= 0.0 || *value < before || *value < after {
            break;
        }
        period = (top as f64 + 0.5 * (before - after) / bend) / beats as f64;
        beats *= 2;
    }
    period
}

/// Returns the place of the first beat: where onsets are, on average over all periods.
fn first_beat(onsets: &[f32], period: f64) -> f64 {
    let mut phases = [0.0; PHASES];
    for (place, &value) in onsets.iter().enumerate() {
        let phase = (place as f64 / period).fract() * PHASES as f64;
        let (low, part) = (whole(phase), phase.fract());
        phases[low % PHASES] += f64::from(value) * (1.0 - part);
        phases[(low + 1) % PHASES] += f64::from(value) * part;
    }
    let near = |phase: usize| phases[(phase + PHASES - 1) % PHASES] + phases[phase] + phases[(phase + 1) % PHASES];
    let top = (0..PHASES).max_by(|&a, &b| near(a).total_cmp(&near(b))).unwrap_or(0);
    let (before, here, after) = (near((top + PHASES - 1) % PHASES), near(top), near((top + 1) % PHASES));
    let bend = before - 2.0 * here + after;
    let shift = if bend < 0.0 { 0.5 * (before - after) / bend } else { 0.0 };
    (top as f64 + shift) / PHASES as f64 * period
}

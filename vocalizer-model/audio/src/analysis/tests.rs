//! Tempi and keys of synthetic songs. `benches/analysis.py` measures the accuracy on rendered ones.

use std::f64::consts::TAU;

use vocalizer_api::{Analysis, Mode, Tonic};

use super::*;

const SONG_HZ: u32 = 44_100;

/// A song in the making.
struct Band {
    samples: Vec<f32>,
    noise: u32,
}

impl Band {
    fn new(seconds: f64) -> Self {
        Self { samples: vec![0.0; frames(seconds)], noise: 1 }
    }

    /// Adds a sound that begins at a time; it is given the seconds since then, and a random number from -1 to 1.
    fn add(&mut self, at_s: f64, length_s: f64, sound: impl Fn(f64, f64) -> f64) {
        let start = frames(at_s);
        for n in 0..frames(length_s) {
            self.noise = self.noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let random = f64::from(self.noise >> 8) / f64::from(1 << 23) - 1.0;
            if let Some(sample) = self.samples.get_mut(start + n) {
                *sample += sound(n as f64 / f64::from(SONG_HZ), random) as f32;
            }
        }
    }

    fn kick(&mut self, at_s: f64) {
        self.add(at_s, 0.2, |s, _| {
            0.5 * (TAU * (50.0 * s + 3.0 * (1.0 - (-30.0 * s).exp()))).sin() * (-18.0 * s).exp()
        });
    }

    fn snare(&mut self, at_s: f64) {
        self.add(at_s, 0.2, |s, random| (0.05 * random + 0.15 * (TAU * 190.0 * s).sin()) * (-22.0 * s).exp());
    }

    fn hat(&mut self, at_s: f64) {
        self.add(at_s, 0.06, |s, random| 0.06 * random * (TAU * 9_000.0 * s).sin() * (-70.0 * s).exp());
    }

    /// A note with overtones, counted in semitones from the A at 440 Hz.
    fn note(&mut self, at_s: f64, length_s: f64, semitones: f64) {
        let hz = 440.0 * 2_f64.powf(semitones / 12.0);
        self.add(at_s, length_s, |s, _| {
            let tone: f64 = (1..=5).map(|n| (TAU * hz * f64::from(n) * s).sin() / f64::from(n * n)).sum();
            0.08 * tone * (-1.5 * s).exp() * (s * 200.0).min(1.0)
        });
    }

    fn analysed(&self) -> Analysis {
        let frames: Vec<_> = self.samples.iter().map(|&sample| [sample; 2]).collect();
        let mut analyzer = Analyzer::new(SONG_HZ).unwrap();
        for block in frames.chunks(5_000) {
            analyzer.push(block).unwrap();
        }
        analyzer.finish().unwrap()
    }
}

fn frames(seconds: f64) -> usize {
    whole(seconds * f64::from(SONG_HZ))
}

/// Which drums play on each eighth of a bar.
type Pattern = [&'static str; 8];

const ROCK: Pattern = ["kh", "h", "sh", "h", "kh", "kh", "sh", "h"];
const DISCO: Pattern = ["k", "h", "k", "h", "k", "h", "k", "h"];
const PLAIN: Pattern = ["k", "", "s", "", "k", "", "s", ""];

fn drums(bpm: f64, pattern: &Pattern, first_s: f64) -> Band {
    let mut band = Band::new(24.0);
    let eighth = 30.0 / bpm;
    for (number, hits) in (0..).zip(pattern.iter().cycle()) {
        let at = first_s + f64::from(number) * eighth;
        if at > 23.5 {
            break;
        }
        for hit in hits.chars() {
            match hit {
                'k' => band.kick(at),
                's' => band.snare(at),
                _ => band.hat(at),
            }
        }
    }
    band
}

#[test]
fn tempi_of_drum_patterns_are_exact_or_an_octave_off() {
    let mut octaves = Vec::new();
    for (name, pattern) in [("rock", &ROCK), ("disco", &DISCO), ("plain", &PLAIN)] {
        for bpm in [72.0, 84.0, 96.0, 104.0, 117.0, 128.0, 140.0, 160.0] {
            let found = drums(bpm, pattern, 0.3).analysed().tempo.map_or(0.0, |tempo| tempo.bpm);
            let is = |ratio: f64| (found / ratio - bpm).abs() < 0.2;
            assert!(is(0.5) || is(1.0) || is(2.0), "{name} at {bpm}: {found}");
            if !is(1.0) {
                octaves.push(format!("{name} at {bpm}: {found}"));
            }
        }
    }
    // A slow pattern with eighths sounds like a fast one with quarters.
    assert!(octaves.len() <= 3, "{octaves:?}");
}

#[test]
fn first_beat_is_where_the_drums_begin() {
    for first_s in [0.0, 0.11, 0.25, 0.4] {
        let tempo = drums(120.0, &ROCK, first_s).analysed().tempo.unwrap();
        let first_ms = tempo.first_beat_ms as f64;
        // Beats repeat every half second.
        let error = (first_ms - 1_000.0 * first_s + 250.0).rem_euclid(500.0) - 250.0;
        assert!(error.abs() < 20.0, "{first_s} s: {tempo:?}");
    }
}

/// Four chords of a key, in bars of two seconds.
fn song_in(tonic: i32, mode: Mode, tuning_cents: f64) -> Band {
    let mut band = Band::new(16.0);
    // I vi IV V, and i VI iv V, each as semitones above the tonic.
    let chords = match mode {
        Mode::Major => [[0, 4, 7], [9, 12, 16], [5, 9, 12], [7, 11, 14]],
        Mode::Minor => [[0, 3, 7], [8, 12, 15], [5, 8, 12], [7, 11, 14]],
    };
    for (number, chord) in (0..).zip(chords.iter().cycle().take(8)) {
        for note in chord {
            let semitones = f64::from(tonic + note - 21) + tuning_cents / 100.0;
            band.note(2.0 * f64::from(number), 2.0, semitones);
        }
        band.note(2.0 * f64::from(number), 2.0, f64::from(tonic + chord[0] - 33) + tuning_cents / 100.0);
    }
    band
}

#[test]
fn keys_of_chords_are_found_in_any_tuning() {
    for (tonic, expected) in (0..).zip(Tonic::ALL) {
        for mode in [Mode::Major, Mode::Minor] {
            for cents in [0.0, 35.0, -40.0] {
                let key = song_in(tonic, mode, cents).analysed().key.map(|key| (key.tonic, key.mode));
                assert_eq!(key, Some((expected, mode)), "{cents} cents");
            }
        }
    }
}

#[test]
fn sound_without_beat_or_key_has_neither() {
    let silence = Band::new(12.0);
    assert_eq!(silence.analysed(), Analysis::default());
    let mut noise = Band::new(12.0);
    noise.add(0.0, 12.0, |_, random| 0.3 * random);
    assert_eq!(noise.analysed(), Analysis::default());
    let mut tone = Band::new(12.0);
    tone.add(0.0, 12.0, |s, _| 0.3 * (TAU * 440.0 * s).sin());
    assert_eq!(tone.analysed().tempo, None);
    // Too short for a tempo.
    assert_eq!(Band::new(0.1).analysed(), Analysis::default());
    assert_eq!(Analyzer::new(SONG_HZ).unwrap().finish().unwrap(), Analysis::default());
}

#[test]
fn samples_that_are_no_numbers_are_silence() {
    let mut band = drums(120.0, &ROCK, 0.0);
    band.samples[50_000] = f32::NAN;
    band.samples[90_000] = f32::INFINITY;
    let tempo = band.analysed().tempo.unwrap();
    assert!((tempo.bpm - 120.0).abs() < 0.2, "{tempo:?}");
}

#[test]
fn only_the_beginning_of_a_long_song_is_used() {
    let mut analyzer = Analyzer::new(8_000).unwrap();
    let minute = vec![[0.0; 2]; 60 * 8_000];
    for _ in 0..4 {
        assert!(!analyzer.is_complete());
        analyzer.push(&minute).unwrap();
    }
    assert!(analyzer.is_complete());
    let before = analyzer.onsets.strengths().len();
    analyzer.push(&minute).unwrap();
    assert_eq!(analyzer.onsets.strengths().len(), before);
}

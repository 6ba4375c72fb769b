//! Resampling: exact lengths, alignment and quality.

use vocalizer_model::audio::{Frame, ResampleError, Resampler};

use super::support::{resample, snr_db, song};

fn sine(hz: f64, rate_hz: u32, frames: usize) -> Vec<Frame> {
    (0..frames)
        .map(|n| {
            let phase = std::f64::consts::TAU * hz * n as f64 / f64::from(rate_hz);
            [(0.7 * phase.sin()) as f32, (0.7 * phase.cos()) as f32]
        })
        .collect()
}

#[test]
fn equal_rates_pass_through() {
    let song = song(12_345, 44_100);
    assert!(resample(&song, 44_100, 44_100) == song);
}

#[test]
fn output_length_is_rounded_half_up() {
    for (from, to) in
        [(48_000, 44_100), (44_100, 48_000), (8_000, 44_100), (96_000, 44_100), (44_100, 22_050), (44_101, 44_100)]
    {
        for frames in [0, 1, 2, 3, 147, 4_096, 10_001] {
            let expected = (2 * frames * to as usize + from as usize) / (2 * from as usize);
            assert_eq!(resample(&vec![[0.1, 0.2]; frames], from, to).len(), expected, "{frames} from {from} to {to}");
        }
    }
}

#[test]
fn sine_keeps_shape_and_phase() {
    for (from, to) in
        [(48_000, 44_100), (44_100, 48_000), (96_000, 44_100), (22_050, 44_100), (44_100, 16_000), (192_000, 44_100)]
    {
        for hz in [50.0, 997.0, 6_500.0] {
            let frames = 2 * from as usize;
            let out = resample(&sine(hz, from, frames), from, to);
            let expected = sine(hz, to, out.len());
            // The ends ring, because the sine starts and stops there.
            let inside = 10_000..out.len() - 10_000;
            let snr = snr_db(&expected[inside.clone()], &out[inside]);
            assert!(snr > 100.0, "{hz} Hz from {from} to {to}: {snr:.1} dB");
        }
    }
}

#[test]
fn high_band_passes_and_aliases_are_removed() {
    let out = resample(&sine(20_000.0, 48_000, 96_000), 48_000, 44_100);
    let inside = 10_000..out.len() - 10_000;
    assert!(snr_db(&sine(20_000.0, 44_100, out.len())[inside.clone()], &out[inside.clone()]) > 80.0);
    let out = resample(&sine(23_000.0, 48_000, 96_000), 48_000, 44_100);
    let loudest = out[inside].iter().flatten().fold(0.0_f32, |max, s| max.max(s.abs()));
    assert!(loudest < 1e-4, "an alias of {loudest}");
}

#[test]
fn result_is_independent_of_block_size() {
    let song = song(30_000, 48_000);
    let whole = resample(&song, 48_000, 44_100);
    let mut resampler = Resampler::new(48_000, 44_100).expect("a resampler");
    let mut out = Vec::new();
    let mut rest = song.as_slice();
    for n in (1..).map(|n| n * 37 % 5_000) {
        let (now, later) = rest.split_at(n.min(rest.len()));
        resampler.push(now, &mut out).expect("a pushed block");
        rest = later;
        if rest.is_empty() {
            break;
        }
    }
    resampler.finish(&mut out).expect("a finished stream");
    assert!(out == whole);
}

#[test]
fn misuse_is_an_error() {
    assert!(matches!(Resampler::new(0, 44_100), Err(ResampleError::Rate { from_hz: 0, to_hz: 44_100 })));
    assert!(matches!(Resampler::new(44_100, 0), Err(ResampleError::Rate { .. })));
    let mut resampler = Resampler::new(48_000, 44_100).expect("a resampler");
    let mut out = Vec::new();
    resampler.finish(&mut out).expect("a finished stream");
    assert!(out.is_empty());
    assert!(matches!(resampler.finish(&mut out), Err(ResampleError::Finished)));
    assert!(matches!(resampler.push(&[[0.0; 2]], &mut out), Err(ResampleError::Finished)));
}

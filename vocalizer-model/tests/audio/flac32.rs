//! FLAC of 32 bits per sample.

use flac_codec::encode::{FlacSampleWriter, Options};
use vocalizer_model::audio::{AudioWarning, Frame};

use super::measure::{has, noise, read_bytes};
use super::support::{RATE_HZ, snr_db};

/// Samples up to full scale, so that the difference of left and right needs 33 bits, in their exact and rounded forms.
fn samples(frames: usize) -> (Vec<i32>, Vec<Frame>) {
    let samples: Vec<i32> = (0..2 * frames)
        .map(|n| {
            let (t, side) = ((n / 2) as f64 / f64::from(RATE_HZ), n % 2);
            let sign = if side == 0 { 1.0 } else { -1.0 };
            (sign * 2_147_480_000.0 * (std::f64::consts::TAU * (300.0 + 7.0 * t) * t).sin()) as i32
        })
        .collect();
    let frames =
        samples.as_chunks().0.iter().map(|frame: &[i32; 2]| frame.map(|s| (f64::from(s) / 2_147_483_648.0) as f32));
    let rounded = frames.collect();
    (samples, rounded)
}

fn encoded(samples: &[i32]) -> Vec<u8> {
    let mut file = std::io::Cursor::new(Vec::new());
    let mut writer =
        FlacSampleWriter::new(&mut file, Options::default(), RATE_HZ, 32, 2, None).expect("a writer of 32 bits");
    writer.write(samples).expect("written samples");
    writer.finalize().expect("a finished file");
    file.into_inner()
}

#[test]
fn flac_of_32_bits_is_exact() {
    let (samples, expected) = samples(100_003);
    let (info, frames, warnings) = read_bytes("32 bits", &encoded(&samples));
    assert_eq!((info.format, info.rate_hz, info.channels, info.frames), ("flac", RATE_HZ, 2, Some(100_003)));
    assert_eq!(warnings, []);
    assert!(frames == expected, "{} frames, {:.1} dB", frames.len(), snr_db(&expected, &frames));
}

#[test]
fn damaged_flac_of_32_bits_keeps_its_place() {
    let (samples, expected) = samples(100_003);
    let mut file = encoded(&samples);
    let middle = file.len() / 2;
    file[middle..middle + 500].copy_from_slice(&noise(500));
    let (_, frames, warnings) = read_bytes("32 bits", &file);
    assert!(has(&warnings, "damaged"), "{warnings:?}");
    assert!(!warnings.contains(&AudioWarning::WrongChecksum), "{warnings:?}");
    assert_eq!(frames.len(), expected.len());
    assert!(frames[80_000..] == expected[80_000..]);
}

//! A generated test song, and checks of downloaded audio.

use vocalizer_client::Format;

const RATE_HZ: u32 = 44_100;
const SECONDS: u32 = 5;

/// Generates a few seconds of a chord with a beat, as WAV. Different seeds give different bytes, because a server reuses
/// the result of a song it has already split.
#[expect(clippy::cast_possible_truncation, reason = "16-bit samples, within range")]
pub(super) fn tone(seed: u32) -> Vec<u8> {
    let frames = RATE_HZ * SECONDS;
    let data_bytes = frames * 4;
    let mut wav = Vec::new();
    wav.extend_from_slice(b"RIFF");
    wav.extend_from_slice(&(36 + data_bytes).to_le_bytes());
    wav.extend_from_slice(b"WAVEfmt ");
    wav.extend_from_slice(&16_u32.to_le_bytes());
    // PCM, two channels.
    wav.extend_from_slice(&1_u16.to_le_bytes());
    wav.extend_from_slice(&2_u16.to_le_bytes());
    wav.extend_from_slice(&RATE_HZ.to_le_bytes());
    wav.extend_from_slice(&(RATE_HZ * 4).to_le_bytes());
    wav.extend_from_slice(&4_u16.to_le_bytes());
    wav.extend_from_slice(&16_u16.to_le_bytes());
    wav.extend_from_slice(b"data");
    wav.extend_from_slice(&data_bytes.to_le_bytes());
    let base_hz = 200.0 + 100.0 * f64::from(seed) / f64::from(u32::MAX);
    for frame in 0..frames {
        let at_s = f64::from(frame) / f64::from(RATE_HZ);
        let tones: f64 =
            [0.25, 1.0, 1.25, 1.5].iter().map(|ratio| (std::f64::consts::TAU * base_hz * ratio * at_s).sin()).sum();
        let beat = (-8.0 * (at_s * 2.0).fract()).exp();
        let sample = ((tones * 0.15 * (0.4 + 0.6 * beat)) * f64::from(i16::MAX)) as i16;
        wav.extend_from_slice(&sample.to_le_bytes());
        wav.extend_from_slice(&sample.to_le_bytes());
    }
    wav
}

/// Whether these bytes start with this format's signature and are not empty.
pub(super) fn looks_like(bytes: &[u8], format: Format) -> bool {
    let begins = match format {
        // An ID3 tag, or a frame's eleven sync bits.
        Format::Mp3 => bytes.starts_with(b"ID3") || matches!(bytes, [0xff, second, ..] if second & 0xe0 == 0xe0),
        Format::Wav => bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WAVE"),
        Format::Flac => bytes.starts_with(b"fLaC"),
    };
    begins && bytes.len() > 100
}

/// Whether these bytes start with the ZIP signature and are not empty.
pub(super) fn looks_like_zip(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04") && bytes.len() > 100
}

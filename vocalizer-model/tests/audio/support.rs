//! Test songs, comparison, handmade headers, and ffmpeg.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use vocalizer_model::audio::{
    AudioFormat, AudioInfo, AudioLimits, AudioReader, DecodeError, Frame, Resampler, StemWriter,
};

pub(crate) const RATE_HZ: u32 = 44_100;

pub(crate) fn dir() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

/// Chords with a beat, different on left and right, with a peak of about 0.7, rounded to 16 bits so that integer
/// formats are lossless.
pub(crate) fn song(frames: usize, rate_hz: u32) -> Vec<Frame> {
    let tau = std::f64::consts::TAU;
    (0..frames)
        .map(|n| {
            let t = n as f64 / f64::from(rate_hz);
            let beat = 0.35 + 0.65 * (-6.0 * (t * 2.0).fract()).exp();
            let tone = |hz: f64, phase: f64| (tau * hz * t + phase).sin();
            let left = 0.3 * tone(220.0, 0.1) + 0.2 * tone(554.37, 0.7) + 0.15 * tone(1_318.5, 1.9);
            let right = 0.3 * tone(220.0, 0.4) + 0.2 * tone(659.25, 0.2) + 0.1 * tone(2_093.0, 2.9);
            [left, right].map(|s| ((s * beat * 32_768.0).round() / 32_768.0) as f32)
        })
        .collect()
}

pub(crate) fn write(path: &Path, format: AudioFormat, rate_hz: u32, frames: &[Frame]) {
    let mut writer = StemWriter::create(path, format, rate_hz).expect("a writer");
    for block in frames.chunks(5_000) {
        writer.write(block).expect("a written block");
    }
    writer.finish().expect("a finished file");
}

pub(crate) fn try_read(path: &Path) -> Result<(AudioInfo, Vec<Frame>), DecodeError> {
    try_read_within(path, &AudioLimits::default())
}

pub(crate) fn try_read_within(path: &Path, limits: &AudioLimits) -> Result<(AudioInfo, Vec<Frame>), DecodeError> {
    let mut reader = AudioReader::open(path, limits)?;
    let mut frames = Vec::new();
    while reader.read(&mut frames)? {}
    assert!(!reader.read(&mut frames)?, "a read after the end returns no frames");
    Ok((reader.info().clone(), frames))
}

pub(crate) fn read(path: &Path) -> (AudioInfo, Vec<Frame>) {
    try_read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

pub(crate) fn resample(frames: &[Frame], from_hz: u32, to_hz: u32) -> Vec<Frame> {
    let mut resampler = Resampler::new(from_hz, to_hz).expect("a resampler");
    let mut out = Vec::new();
    for block in frames.chunks(1_000) {
        resampler.push(block, &mut out).expect("a pushed block");
    }
    resampler.finish(&mut out).expect("a finished stream");
    out
}

/// Signal-to-error ratio in dB over both channels and the common length.
pub(crate) fn snr_db(expected: &[Frame], actual: &[Frame]) -> f64 {
    let pairs = expected.iter().flatten().zip(actual.iter().flatten());
    let (signal, noise) = pairs.fold((0.0, 0.0), |(signal, noise), (&e, &a)| {
        (signal + f64::from(e).powi(2), noise + (f64::from(e) - f64::from(a)).powi(2))
    });
    10.0 * (signal / f64::max(noise, 1e-30)).log10()
}

/// Runs ffmpeg with the arguments between input and output.
pub(crate) fn ffmpeg(input: &[&str], arguments: &[&str], output: &Path) -> PathBuf {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin", "-y"]).args(input).args(arguments).arg(output);
    let done = command.output().unwrap_or_else(|e| panic!("ffmpeg is required (./test installs it): {e}"));
    assert!(done.status.success(), "ffmpeg failed: {}", String::from_utf8_lossy(&done.stderr));
    output.to_owned()
}

/// The length of [`converted`] songs.
pub(crate) const FRAMES: usize = 20_011;

/// Converts a song with ffmpeg.
pub(crate) fn converted(dir: &Path, name: &str, arguments: &[&str]) -> PathBuf {
    let original = dir.join("original.wav");
    write(&original, AudioFormat::WavF32, RATE_HZ, &song(FRAMES, RATE_HZ));
    ffmpeg(&["-i", original.to_str().expect("a plain path")], arguments, &dir.join(name))
}

/// Decodes a file with ffmpeg, which must report no errors. Stereo only.
pub(crate) fn decoded_by_ffmpeg(path: &Path) -> Vec<Frame> {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin", "-xerror", "-i"]).arg(path).args(["-f", "f32le", "-"]);
    let done = command.output().unwrap_or_else(|e| panic!("ffmpeg is required (./test installs it): {e}"));
    assert!(done.status.success() && done.stderr.is_empty(), "{}", String::from_utf8_lossy(&done.stderr));
    let samples: Vec<f32> = done.stdout.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    samples.as_chunks().0.to_vec()
}

/// A WAV with the given header fields and data; `stated` is the length that its data chunk claims.
pub(crate) fn wav(tag: u16, channels: u16, rate_hz: u32, bits: u16, data: &[u8], stated: u32) -> Vec<u8> {
    let align = channels.wrapping_mul(bits / 8);
    let mut file = b"RIFF".to_vec();
    file.extend(stated.saturating_add(36).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0");
    file.extend(tag.to_le_bytes());
    file.extend(channels.to_le_bytes());
    file.extend(rate_hz.to_le_bytes());
    file.extend(rate_hz.wrapping_mul(u32::from(align)).to_le_bytes());
    file.extend(align.to_le_bytes());
    file.extend(bits.to_le_bytes());
    file.extend(b"data");
    file.extend(stated.to_le_bytes());
    file.extend(data);
    file
}

/// An AIFF with 16 bits.
pub(crate) fn aiff(channels: u16, rate_hz: u16, data: &[u8], stated: u32) -> Vec<u8> {
    let frames = stated / u32::from(channels.max(1)) / 2;
    let mut file = b"FORM".to_vec();
    file.extend((stated + 46).to_be_bytes());
    file.extend(b"AIFFCOMM\0\0\0\x12");
    file.extend(channels.to_be_bytes());
    file.extend(frames.to_be_bytes());
    file.extend(16_u16.to_be_bytes());
    file.extend((16_383 + 15_u16).to_be_bytes());
    file.extend((u64::from(rate_hz) << 48).to_be_bytes());
    file.extend(b"SSND");
    file.extend((stated + 8).to_be_bytes());
    file.extend([0; 8]);
    file.extend(data);
    file
}

//! Reading with options, decoding by ffmpeg in spite of errors, and measured comparisons.

use std::path::Path;
use std::process::Command;

use vocalizer_model::audio::{AudioInfo, AudioLimits, AudioReader, AudioWarning, DecodeError, Frame, ReadOptions};

use super::support::snr_db;

pub(crate) type Read = (AudioInfo, Vec<Frame>, Vec<AudioWarning>);

pub(crate) fn strictly() -> ReadOptions {
    let mut options = ReadOptions::default();
    options.strict = true;
    options
}

pub(crate) fn track(number: u32) -> ReadOptions {
    let mut options = ReadOptions::default();
    options.track = Some(number);
    options
}

pub(crate) fn try_read_with(path: &Path, options: &ReadOptions) -> Result<Read, DecodeError> {
    let mut reader = AudioReader::open_with(path, &AudioLimits::default(), options)?;
    let mut frames = Vec::new();
    while reader.read(&mut frames)? {}
    assert!(!reader.read(&mut frames)?, "a read after the end returns no frames");
    Ok((reader.info().clone(), frames, reader.warnings()))
}

/// Reads bytes under a name, which only serves messages.
pub(crate) fn try_read_bytes(bytes: &[u8], options: &ReadOptions) -> Result<Read, DecodeError> {
    let dir = super::support::dir();
    let path = dir.path().join("song");
    std::fs::write(&path, bytes).expect("a written file");
    try_read_with(&path, options)
}

pub(crate) fn read_bytes(name: &str, bytes: &[u8]) -> Read {
    try_read_bytes(bytes, &ReadOptions::default()).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// Decodes to stereo with ffmpeg, which may report errors.
pub(crate) fn by_ffmpeg(path: &Path, arguments: &[&str]) -> Vec<Frame> {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "quiet", "-nostdin", "-i"]).arg(path).args(arguments).args(["-ac", "2", "-f", "f32le", "-"]);
    let done = command.output().unwrap_or_else(|e| panic!("ffmpeg is required (./test installs it): {e}"));
    let samples: Vec<f32> = done.stdout.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    samples.as_chunks().0.to_vec()
}

/// The offset from -`most` to `most` frames at which `actual` resembles `expected` most.
pub(crate) fn lag(expected: &[Frame], actual: &[Frame], most: isize) -> isize {
    let score = |lag: isize| {
        let (from, to) = (lag.max(0).unsigned_abs(), (-lag).max(0).unsigned_abs());
        let pairs = expected.iter().skip(to).zip(actual.iter().skip(from)).step_by(3);
        pairs.map(|(e, a)| f64::from(e[0]) * f64::from(a[0]) + f64::from(e[1]) * f64::from(a[1])).sum::<f64>()
    };
    (-most..=most).max_by(|a, b| score(*a).total_cmp(&score(*b))).unwrap_or(0)
}

/// Panics unless both have the same length and differ by less than `db` from frame `from` on.
pub(crate) fn assert_alike(name: &str, expected: &[Frame], actual: &[Frame], from: usize, db: f64) {
    assert_eq!(actual.len(), expected.len(), "{name}: the number of frames");
    let snr = snr_db(&expected[from..], &actual[from..]);
    assert!(snr > db, "{name}: {snr:.1} dB from frame {from}, lag {}", lag(&expected[from..], &actual[from..], 3_000));
}

pub(crate) fn has(warnings: &[AudioWarning], code: &str) -> bool {
    warnings.iter().any(|warning| warning.code() == code)
}

/// Pseudo-random bytes.
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_u32;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_be_bytes()[0]
    };
    (0..len).map(next).collect()
}

//! Arbitrary frames to MP3 and back: the number of frames is unchanged, and all samples are finite.

#![no_main]

use std::path::{Path, PathBuf};

use libfuzzer_sys::{Corpus, fuzz_target};
use tempfile::TempDir;
use vocalizer_model::audio::{AudioFormat, AudioLimits, AudioReader, Bitrate, EncodeError, Frame, StemWriter};

const RATES_HZ: [u32; 10] = [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000];
const MOST_FRAMES: usize = 8_192;

thread_local! {
    static DIR: (TempDir, PathBuf) = {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("stem.mp3");
        (dir, path)
    };
}

struct Song {
    rate_hz: u32,
    bitrate: Bitrate,
    block_frames: usize,
    frames: Vec<Frame>,
}

impl Song {
    /// Parses a six-byte header and samples (16-bit integers or raw floats), which repeat until there are enough.
    fn of(bytes: &[u8]) -> Option<Self> {
        let ([rate, rate_of_bits, len_low, len_high, block, how], samples) = bytes.split_first_chunk::<6>()?;
        let rate_hz = RATES_HZ[usize::from(*rate) % RATES_HZ.len()];
        let bitrate = match rate_of_bits {
            vbr @ 0..12 => Bitrate::Vbr(*vbr),
            kbps => Bitrate::Cbr(u16::from(*kbps) / 2 * 8),
        };
        let samples: Vec<f32> = if how % 2 == 0 {
            samples.as_chunks().0.iter().map(|b| f32::from(i16::from_le_bytes(*b)) / 32_768.0).collect()
        } else {
            samples.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).filter(|s| s.is_finite()).collect()
        };
        if samples.is_empty() {
            return None;
        }
        let len = usize::from(u16::from_le_bytes([*len_low, *len_high])) % MOST_FRAMES + 1;
        let mut samples = samples.into_iter().cycle();
        let frames = (0..len).map_while(|_| Some([samples.next()?, samples.next()?])).collect();
        Some(Self { rate_hz, bitrate, block_frames: 16 * usize::from(*block) + 1, frames })
    }
}

fuzz_target!(init: vocalizer_fuzz::print_caught_panics(), |bytes: &[u8]| -> Corpus {
    let Some(song) = Song::of(bytes) else { return Corpus::Reject };
    DIR.with(|(_, path)| round_trip(&song, path))
});

fn round_trip(song: &Song, path: &Path) -> Corpus {
    let mut writer = match StemWriter::create(path, AudioFormat::Mp3(song.bitrate), song.rate_hz) {
        Ok(writer) => writer,
        Err(EncodeError::Unsupported(_)) => return Corpus::Reject,
        Err(e) => panic!("{e:?}"),
    };
    for block in song.frames.chunks(song.block_frames) {
        writer.write(block).expect("a written block");
    }
    writer.finish().expect("a finished file");
    let mut reader = AudioReader::open(path, &AudioLimits::default()).expect("a song");
    let mut frames = Vec::new();
    while reader.read(&mut frames).expect("a block") {}
    assert_eq!((reader.info().rate_hz, reader.info().channels), (song.rate_hz, 2));
    assert_eq!(frames.len(), song.frames.len());
    assert!(frames.iter().flatten().all(|sample| sample.is_finite()));
    Corpus::Keep
}

//! Decodes a song without splitting it, for comparisons with other decoders.
//!
//! `decode FILE [TRACK]` writes the stereo frames to standard output, as little-endian `f32` at the rate of the file. Standard
//! error gets one line each for what is known of the song: a name, a tab and the value. Exit code 1: the song was refused.

use std::error::Error;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::ExitCode;

use vocalizer_audio::{AudioLimits, AudioReader, ReadOptions, SongTags};

fn main() -> ExitCode {
    match decode() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error\t{error}");
            ExitCode::FAILURE
        }
    }
}

fn decode() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let file = arguments.next().ok_or("usage: decode FILE [TRACK] > SAMPLES")?;
    let mut options = ReadOptions::default();
    options.track = arguments.next().map(|track| track.to_string_lossy().parse()).transpose()?;
    let mut song = AudioReader::open_with(Path::new(&file), &AudioLimits::default(), &options)?;
    let info = song.info();
    eprintln!("format\t{}\nrate\t{}\nchannels\t{}", info.format, info.rate_hz, info.channels);
    if let Some(frames) = info.frames {
        eprintln!("stated\t{frames}");
    }
    let tags = SongTags::read(Path::new(&file));
    for (name, value) in [("title", tags.title), ("artist", tags.artist), ("album", tags.album)] {
        if let Some(value) = value {
            eprintln!("{name}\t{value}");
        }
    }
    if let Some(cover) = tags.cover {
        eprintln!("cover\t{} {}", cover.media_type, cover.bytes.len());
    }
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut frames = Vec::new();
    while song.read(&mut frames)? {
        for sample in frames.drain(..).flatten() {
            out.write_all(&sample.to_le_bytes())?;
        }
    }
    out.flush()?;
    for warning in song.warnings() {
        eprintln!("warning\t{}", warning.code());
    }
    Ok(())
}

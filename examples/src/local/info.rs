//! `vocalizer info`.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use serde_json::json;
use vocalizer_core::causes::chain;
use vocalizer_core::song::{SongHash, SongHasher};
use vocalizer_model::audio::{AudioLimits, AudioReader};

use super::args::Info;
use crate::exit::Exit;
use crate::output::outln;
use crate::voice::Voice;

pub(crate) fn run(args: &Info) -> Exit {
    let Info { files, json: as_json } = args;
    let as_json = *as_json;
    let voice = Voice::choose(as_json);
    let mut failed = 0;
    for file in files {
        if let Err(why) = print_info(file, as_json) {
            failed += 1;
            voice.input_error(Some(file), &format!("cannot read {}: {}", file.display(), chain(why.as_ref())));
        }
    }
    match failed {
        0 => Exit::Done,
        n if n == files.len() => Exit::AllFailed,
        _ => Exit::Failed,
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds for display")]
fn print_info(file: &Path, as_json: bool) -> Result<(), Box<dyn std::error::Error>> {
    let mut reader = AudioReader::open(file, &AudioLimits::default())?;
    let (mut frames, mut block) = (0_u64, Vec::new());
    loop {
        block.clear();
        let more = reader.read(&mut block)?;
        frames += block.len() as u64;
        if !more {
            break;
        }
    }
    let info = reader.info();
    let seconds = frames as f64 / f64::from(info.rate_hz.max(1));
    let hash = hash(file)?;
    if as_json {
        outln!(
            "{}",
            json!({
                "file": file.to_string_lossy(), "format": info.format, "rate_hz": info.rate_hz,
                "channels": info.channels, "frames": frames, "seconds": seconds, "hash": hash.to_string(),
            })
        );
    } else {
        outln!("{}", file.display());
        outln!("  format    {}", info.format);
        outln!("  rate      {} Hz", info.rate_hz);
        outln!("  channels  {}", info.channels);
        let ms = frames * 1000 / u64::from(info.rate_hz.max(1));
        outln!("  duration  {}:{:02}.{:03} ({frames} frames)", ms / 60_000, ms / 1000 % 60, ms % 1000);
        outln!("  hash      {hash}");
    }
    Ok(())
}

fn hash(file: &Path) -> std::io::Result<SongHash> {
    let mut hasher = SongHasher::new();
    let mut reader = BufReader::new(File::open(file)?);
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = reader.read(&mut buffer)?;
        if read == 0 {
            return Ok(hasher.finish());
        }
        hasher.update(&buffer[..read]);
    }
}

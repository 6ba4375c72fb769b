//! Finds tempo and key of songs, without a server.
//!
//! `analyse FILE…` writes a line for each file, with tabs between: tempo, its confidence, the first beat in milliseconds, key, its confidence, and
//! the path. `-` stands for what was not found. Exit code 1: a file was refused.

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use vocalizer_audio::analysis::Analyzer;
use vocalizer_audio::{AudioLimits, AudioReader};

fn main() -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for file in std::env::args_os().skip(1) {
        let path = Path::new(&file);
        match analyse(path) {
            Ok(found) => println!("{found}\t{}", path.display()),
            Err(error) => {
                eprintln!("{}: {error}", path.display());
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}

fn analyse(path: &Path) -> Result<String, Box<dyn Error>> {
    let mut song = AudioReader::open(path, &AudioLimits::default())?;
    let mut analyzer = Analyzer::new(song.info().rate_hz)?;
    let mut frames = Vec::new();
    while !analyzer.is_complete() && song.read(&mut frames)? {
        analyzer.push(&frames)?;
        frames.clear();
    }
    let found = analyzer.finish()?;
    let tempo = found.tempo.map(|tempo| format!("{}\t{}\t{}", tempo.bpm, tempo.confidence, tempo.first_beat_ms));
    let key = found.key.map(|key| format!("{key}\t{}", key.confidence));
    Ok([tempo.unwrap_or_else(|| "-\t-\t-".to_owned()), key.unwrap_or_else(|| "-\t-".to_owned())].join("\t"))
}

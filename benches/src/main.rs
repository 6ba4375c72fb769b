//! Times separations, one for each line of standard input, so that a script can alternate with other engines.
//!
//! `vocalizer-benches [MODEL [PRECISION]]`. An empty line means one segment of a tone. Otherwise it is the path of a song:
//! stereo samples as 32-bit floating point numbers, left and right in turn. A second path, after a tab, gets the stems, one
//! after the other in the same format. Prints the seconds, including the STFT and its inverse.

use std::fs;
use std::io::{self, BufRead, Write};
use std::time::Instant;

use vocalizer_benches::{separate_with, song_frames, tone};
use vocalizer_model::audio::Frame;
use vocalizer_model::{ComputeOptions, Model};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_else(|| "htdemucs".to_owned());
    let mut compute = ComputeOptions::default();
    if let Some(precision) = arguments.next() {
        compute = compute.with_precision(precision.parse()?);
    }
    let model = Model::named_with(&name, &compute)?;
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let line = line?;
        let (song, stems_to) = line.split_once('\t').unwrap_or((&line, ""));
        let song = if song.is_empty() { tone(song_frames(&model, 1)) } else { read(song)? };
        let mut stems = vec![Vec::new(); model.sources().len()];
        let began = Instant::now();
        separate_with(&model, &song, false, |frames| {
            if !stems_to.is_empty() {
                stems.iter_mut().zip(frames).for_each(|(stem, frames)| stem.extend_from_slice(frames));
            }
        })?;
        let seconds = began.elapsed().as_secs_f64();
        if !stems_to.is_empty() {
            fs::write(stems_to, stems.iter().flatten().flatten().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>())?;
        }
        writeln!(out, "{seconds}")?;
        out.flush()?;
    }
    Ok(())
}

fn read(path: &str) -> io::Result<Vec<Frame>> {
    let bytes = fs::read(path)?;
    let values: Vec<f32> = bytes.as_chunks().0.iter().map(|value| f32::from_le_bytes(*value)).collect();
    Ok(values.as_chunks().0.to_vec())
}

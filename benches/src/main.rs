//! Times one segment for each line of standard input, so that a script can alternate with other engines.
//!
//! Prints the seconds per segment, including the STFT and its inverse.

use std::io::{self, BufRead, Write};
use std::time::Instant;

use vocalizer_benches::{separate, song_frames, tone};
use vocalizer_model::Model;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let model = Model::named("htdemucs")?;
    let song = tone(song_frames(&model, 1));
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        line?;
        let began = Instant::now();
        separate(&model, &song, false)?;
        writeln!(out, "{}", began.elapsed().as_secs_f64())?;
        out.flush()?;
    }
    Ok(())
}

//! Times one segment for each line of standard input, so that a script can take turns with a peer in one run.
//!
//! Answers each line with the seconds that the segment took, STFT and its inverse included.

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

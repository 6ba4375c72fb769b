//! Times one segment for each line of standard input, so that a script can take turns with a peer in one run.
//!
//! Answers each line with the seconds that the segment took, STFT and its inverse included.

use std::io::{self, BufRead, Write};
use std::time::Duration;

use vocalizer_model::Model;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let model = Model::named("htdemucs")?;
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        line?;
        let took: Duration = model.profile_segment().iter().map(|(_, took)| *took).sum();
        writeln!(out, "{}", took.as_secs_f64())?;
        out.flush()?;
    }
    Ok(())
}

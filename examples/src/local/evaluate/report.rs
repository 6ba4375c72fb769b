//! Output of `evaluate`: lines and tables, JSON, and CSV.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use serde_json::{Map, Value, json};
use vocalizer_model::Error;

use super::dataset::Track;
use super::results::Score;
use super::table::{System, print_comparison};
use crate::exit::Exit;
use crate::paths::plain;
use crate::voice::Voice;

/// Collects and prints scores.
pub(super) struct Report<'a> {
    voice: Voice,
    csv: Option<Csv<'a>>,
    systems: Vec<System>,
    scored: usize,
    resumed: usize,
    failed: usize,
}

impl<'a> Report<'a> {
    /// # Errors
    ///
    /// [`Error::Io`] if the CSV file cannot be created.
    pub(super) fn new(voice: Voice, csv: Option<&'a Path>) -> Result<Self, Error> {
        let csv = csv.map(Csv::create).transpose()?;
        Ok(Self { voice, csv, systems: Vec::new(), scored: 0, resumed: 0, failed: 0 })
    }

    /// Begins the scores of a model.
    pub(super) fn begin(&mut self, name: String) {
        self.systems.push(System { name, songs: Vec::new() });
    }

    /// Adds the scores of a song. `is_resumed`: by an earlier run.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the CSV file cannot be written.
    pub(super) fn scored(&mut self, track: &Track, scores: &[Score], is_resumed: bool) -> Result<(), Error> {
        match is_resumed {
            true => self.resumed += 1,
            false => self.scored += 1,
        }
        let Some(system) = self.systems.last_mut() else { return Ok(()) };
        system.songs.push((track.name.clone(), scores.to_vec()));
        if self.voice == Voice::Json {
            let stems: Map<_, _> = scores.iter().map(|score| (score.stem.name().to_owned(), fields(score))).collect();
            let event = json!({
                "event": "track", "model": system.name, "track": track.name, "resumed": is_resumed, "stems": stems,
            });
            self.voice.say(&event, "");
        } else if !is_resumed {
            let score = |score: &Score| {
                let db = score.sdr_db.map_or("silent".to_owned(), |db| format!("{db:.2} dB"));
                format!("{} {db}", score.stem)
            };
            let scores: Vec<_> = scores.iter().map(score).collect();
            self.voice.line(&format!("{}: {}: {}", plain(&system.name), plain(&track.name), scores.join(", ")));
        }
        self.csv.as_mut().map_or(Ok(()), |csv| csv.add(&system.name, &track.name, scores))
    }

    /// Reports a song that could not be scored.
    pub(super) fn failed(&mut self, track: &Track, why: &str) {
        self.failed += 1;
        self.voice.input_error(Some(&track.path), &format!("{}: {}", plain(&track.name), plain(why)));
    }

    /// Ends the scores of a model: prints its table.
    pub(super) fn end(&self) {
        let Some(system) = self.systems.last().filter(|system| !system.songs.is_empty()) else { return };
        if self.voice != Voice::Json {
            system.print();
        }
        for (stem, songs) in system.unscored() {
            self.voice.remark(&format!(
                "{}: {stem} has no median in {songs} of {} songs, because it is silent; they are left out",
                plain(&system.name),
                system.songs.len()
            ));
        }
    }

    /// Prints the comparison of models, or the summary.
    pub(super) fn finish(&self) {
        if self.voice == Voice::Json {
            let models: Vec<_> = self.systems.iter().map(System::summary).collect();
            let event = json!({
                "event": "summary", "done": self.scored, "skipped": self.resumed, "failed": self.failed,
                "models": models,
            });
            self.voice.say(&event, "");
        } else if self.systems.len() > 1 {
            print_comparison(&self.systems);
        }
    }

    /// Returns the exit code.
    pub(super) fn exit(&self) -> Exit {
        match (self.scored + self.resumed, self.failed) {
            (_, 0) => Exit::Done,
            (0, _) => Exit::AllFailed,
            _ => Exit::Failed,
        }
    }
}

fn fields(score: &Score) -> Value {
    json!({
        "sdr_db": score.sdr_db, "median_sdr_db": score.median_sdr_db, "scored_windows": score.scored_windows,
        "windows": score.windows,
    })
}

/// A table with a line for each song and stem. Created before the first song, so that an error is reported at once.
struct Csv<'a> {
    path: &'a Path,
    file: File,
}

impl<'a> Csv<'a> {
    fn create(path: &'a Path) -> Result<Self, Error> {
        let io = |source| Error::Io { path: path.to_owned(), source };
        let mut file = File::create(path).map_err(io)?;
        writeln!(file, "model,track,stem,sdr_db,median_sdr_db,scored_windows,windows").map_err(io)?;
        Ok(Self { path, file })
    }

    fn add(&mut self, model: &str, track: &str, scores: &[Score]) -> Result<(), Error> {
        let number = |db: Option<f64>| db.map(|db| format!("{db:.4}")).unwrap_or_default();
        let line = |score: &Score| {
            let Score { stem, sdr_db, median_sdr_db, scored_windows, windows } = score;
            let (song, median) = (number(*sdr_db), number(*median_sdr_db));
            format!("{},{},{stem},{song},{median},{scored_windows},{windows}\n", quoted(model), quoted(track))
        };
        let lines: String = scores.iter().map(line).collect();
        let written: io::Result<()> = self.file.write_all(lines.as_bytes());
        written.map_err(|source| Error::Io { path: self.path.to_owned(), source })
    }
}

/// Quotes a field of CSV if that is necessary.
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn fields_of_csv_are_quoted_if_necessary() {
        for (field, expected) in
            [("Artist - Song", "Artist - Song"), ("One, Two", "\"One, Two\""), ("a \"b\"", "\"a \"\"b\"\"\"")]
        {
            assert_eq!(quoted(field), expected);
        }
    }
}

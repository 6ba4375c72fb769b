//! Scores of a model in a file, by which a later run continues: one line of JSON says what was scored, and one follows for each song.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use vocalizer_core::song::SongHash;
use vocalizer_model::Stem;
use vocalizer_model::audio::evaluation::StemScore;

use crate::local::split::safe_name;

/// The most that is read of a file. A line has less than a kilobyte.
const MAX_BYTES: u64 = 64 << 20;

/// Digits of the hash in the file's name.
const HASH_DIGITS: usize = 12;

/// The scores of a stem.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Score {
    pub(super) stem: Stem,
    pub(super) sdr_db: Option<f64>,
    pub(super) median_sdr_db: Option<f64>,
    pub(super) scored_windows: usize,
    pub(super) windows: usize,
}

impl Score {
    pub(super) fn new(stem: Stem, score: &StemScore) -> Self {
        let &StemScore { sdr_db, median_sdr_db, scored_windows, windows, .. } = score;
        // As many decimals as museval keeps, so that a number is the same after writing and reading.
        let rounded = |db: f64| (db * 1e5).round() / 1e5;
        Self { stem, sdr_db: sdr_db.map(rounded), median_sdr_db: median_sdr_db.map(rounded), scored_windows, windows }
    }
}

/// The scores of a song.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    track: String,
    /// Changes with the song's files.
    state: String,
    stems: Vec<Score>,
}

/// The file of a model and a set of options.
pub(super) struct Results {
    pub(super) path: PathBuf,
    file: File,
    entries: Vec<Entry>,
}

impl Results {
    /// Opens or creates the file. `made_by` is the model and the options, which the file's name depends on.
    pub(super) fn open(folder: &Path, model: &str, made_by: &Value) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let hash = SongHash::of(made_by.to_string().as_bytes()).to_string();
        let path = folder.join(format!("{}-{}.jsonl", safe_name(model), hash.get(..HASH_DIGITS).unwrap_or(&hash)));
        let mut file = File::options().read(true).append(true).create(true).open(&path)?;
        let mut text = String::new();
        (&file).take(MAX_BYTES).read_to_string(&mut text)?;
        if text.is_empty() {
            writeln!(file, "{made_by}")?;
        } else if !text.ends_with('\n') {
            // An earlier run was killed while it wrote this line.
            writeln!(file)?;
        }
        let entries = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        Ok(Self { path, file, entries })
    }

    /// Returns the scores of a song whose files have not changed.
    pub(super) fn find(&self, track: &str, state: &str) -> Option<&[Score]> {
        let entry = self.entries.iter().rev().find(|entry| entry.track == track && entry.state == state)?;
        Some(&entry.stems)
    }

    /// Adds the scores of a song.
    pub(super) fn add(&mut self, track: &str, state: &str, stems: &[Score]) -> io::Result<()> {
        let entry = Entry { track: track.to_owned(), state: state.to_owned(), stems: stems.to_vec() };
        let line = serde_json::to_string(&entry).map_err(io::Error::other)?;
        // In one call, so that the lines of two runs do not mix.
        self.file.write_all(format!("{line}\n").as_bytes())?;
        self.entries.push(entry);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use serde_json::json;
    use vocalizer_model::Stem;

    use super::{Results, Score};

    fn scores(sdr_db: f64) -> Vec<Score> {
        let score = |stem, sdr_db| Score { stem, sdr_db, median_sdr_db: None, scored_windows: 3, windows: 5 };
        vec![score(Stem::VOCALS, Some(sdr_db)), score(Stem::DRUMS, None)]
    }

    #[test]
    fn scores_are_found_again_for_the_same_files_and_options() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("a/b");
        let options = json!({"shifts": 0});
        let mut results = Results::open(&dir, "tiny.safetensors", &options).unwrap();
        assert!(results.path.file_name().unwrap().to_string_lossy().starts_with("tiny.safetensors-"));
        results.add("test/A", "1", &scores(1.5)).unwrap();
        results.add("test/A", "2", &scores(2.5)).unwrap();
        drop(results);
        let results = Results::open(&dir, "tiny.safetensors", &options).unwrap();
        assert_eq!(results.find("test/A", "1"), Some(&scores(1.5)[..]));
        assert_eq!(results.find("test/A", "2"), Some(&scores(2.5)[..]));
        assert_eq!((results.find("test/A", "3"), results.find("A", "1")), (None, None));
        let other = Results::open(&dir, "tiny.safetensors", &json!({"shifts": 1})).unwrap();
        assert_eq!(other.find("test/A", "1"), None);
    }

    #[test]
    fn half_written_line_does_not_spoil_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Results::open(folder.path(), "tiny", &json!({})).unwrap();
        let mut results = open();
        results.add("A", "1", &scores(1.5)).unwrap();
        results.file.write_all(br#"{"track": "B", "sta"#).unwrap();
        drop(results);
        let mut results = open();
        assert!(results.find("A", "1").is_some());
        results.add("B", "1", &scores(2.5)).unwrap();
        drop(results);
        assert_eq!(open().find("B", "1"), Some(&scores(2.5)[..]));
    }
}

//! Tables of scores for people, and the numbers of the summary.

use serde_json::{Map, Value, json};
use vocalizer_model::Stem;
use vocalizer_model::audio::evaluation::{mean, median};

use super::results::Score;
use crate::output::outln;
use crate::paths::plain;

/// Longer names are cut.
const MAX_NAME_CHARS: usize = 40;

/// Width of a number.
const CELL: usize = 8;

/// The scores of one model, or of one folder of estimates.
#[derive(Debug, Default)]
pub(super) struct System {
    pub(super) name: String,
    /// The songs and the scores of their stems.
    pub(super) songs: Vec<(String, Vec<Score>)>,
}

/// SDR of the whole song and median of the windows' SDR, in dB.
type Cell = [Option<f64>; 2];

type Statistic = fn(&[f64]) -> Option<f64>;

impl System {
    /// Returns the stems in the order of the columns.
    fn stems(&self) -> Vec<Stem> {
        let mut stems: Vec<_> = self.songs.iter().flat_map(|(_, scores)| scores).map(|score| score.stem).collect();
        stems.sort_unstable();
        stems.dedup();
        stems
    }

    /// Returns one of the two metrics of a stem for the songs that have it.
    fn values(&self, stem: Stem, metric: fn(&Score) -> Option<f64>) -> Vec<f64> {
        let scores = self.songs.iter().flat_map(|(_, scores)| scores);
        scores.filter(|score| score.stem == stem).filter_map(metric).collect()
    }

    /// Returns a statistic of both metrics.
    fn cell(&self, stem: Stem, statistics: [Statistic; 2]) -> Cell {
        let [of_songs, of_medians] = statistics;
        [of_songs(&self.values(stem, whole)), of_medians(&self.values(stem, windows))]
    }

    /// Prints the scores of each song, their mean and their median.
    pub(super) fn print(&self) {
        let stems = self.stems();
        let mut rows: Vec<(String, Vec<Cell>)> = Vec::new();
        for (name, scores) in &self.songs {
            let of = |&stem: &Stem| {
                let score = scores.iter().find(|score| score.stem == stem);
                score.map_or([None, None], |score| [whole(score), windows(score)])
            };
            rows.push((shortened(name), stems.iter().map(of).collect()));
        }
        let statistics: [(&str, Statistic); 2] = [("mean", mean), ("median", median)];
        for (name, statistic) in statistics {
            rows.push((name.to_owned(), stems.iter().map(|&stem| self.cell(stem, [statistic; 2])).collect()));
        }
        outln!("\n{}: SDR in dB of the song, and median SDR of its seconds", plain(&self.name));
        print(&stems, &rows);
    }

    /// Returns how many songs lack a score of a stem, for each stem of which some do.
    pub(super) fn unscored(&self) -> Vec<(Stem, usize)> {
        let lacking = |stem| (stem, self.songs.len().saturating_sub(self.values(stem, windows).len()));
        self.stems().into_iter().map(lacking).filter(|&(_, count)| count > 0).collect()
    }

    /// Returns the means and medians for the summary.
    pub(super) fn summary(&self) -> Value {
        let statistics =
            |values: &[f64]| json!({"mean": mean(values), "median": median(values), "tracks": values.len()});
        let of = |stem: Stem| {
            let (songs, medians) = (self.values(stem, whole), self.values(stem, windows));
            (stem.name().to_owned(), json!({"sdr_db": statistics(&songs), "median_sdr_db": statistics(&medians)}))
        };
        let stems: Map<_, _> = self.stems().into_iter().map(of).collect();
        json!({"model": self.name, "tracks": self.songs.len(), "stems": stems})
    }
}

/// Prints one row for each model, with the numbers that are usually published.
pub(super) fn print_comparison(systems: &[System]) {
    let mut stems: Vec<_> = systems.iter().flat_map(System::stems).collect();
    stems.sort_unstable();
    stems.dedup();
    let row = |system: &System| -> (String, Vec<Cell>) {
        let name = format!("{} ({})", shortened(&system.name), system.songs.len());
        (name, stems.iter().map(|&stem| system.cell(stem, [mean, median])).collect())
    };
    let rows: Vec<_> = systems.iter().map(row).collect();
    outln!("\ncomparison (number of songs): mean SDR in dB of the songs, and median of their medians");
    print(&stems, &rows);
}

fn whole(score: &Score) -> Option<f64> {
    score.sdr_db
}

fn windows(score: &Score) -> Option<f64> {
    score.median_sdr_db
}

fn print(stems: &[Stem], rows: &[(String, Vec<Cell>)]) {
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    // A long name of a stem widens its first column.
    let widths: Vec<_> = stems.iter().map(|stem| (stem.name().len() + 2).saturating_sub(CELL).max(CELL)).collect();
    let columns = || stems.iter().zip(&widths);
    let heads: String = columns().map(|(stem, first)| format!("{:>1$}", stem.name(), first + CELL)).collect();
    outln!("{:width$}{heads}", "");
    let heads: String = widths.iter().map(|&first| format!("{:>first$}{:>CELL$}", "song", "median")).collect();
    outln!("{:width$}{heads}", "");
    for (name, cells) in rows {
        let cells = cells.iter().zip(&widths);
        let line: String = cells
            .map(|([song, median], &first)| format!("{:>first$}{:>CELL$}", number(*song), number(*median)))
            .collect();
        outln!("{name:width$}{line}");
    }
}

fn number(db: Option<f64>) -> String {
    db.map_or("-".to_owned(), |db| format!("{db:.2}"))
}

fn shortened(name: &str) -> String {
    let name = plain(name);
    match name.char_indices().nth(MAX_NAME_CHARS) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use vocalizer_model::Stem;

    use super::{Score, System};

    fn song(name: &str, sdr_db: f64, median_sdr_db: Option<f64>) -> (String, Vec<Score>) {
        let score = Score { stem: Stem::VOCALS, sdr_db: Some(sdr_db), median_sdr_db, scored_windows: 1, windows: 1 };
        (name.to_owned(), vec![score])
    }

    #[test]
    fn summary_leaves_out_what_has_no_score() {
        let songs = vec![song("A", 1.0, Some(5.0)), song("B", 2.0, None), song("C", 6.0, Some(7.0))];
        let system = System { name: "tiny".into(), songs };
        let expected = json!({
            "model": "tiny", "tracks": 3,
            "stems": {"vocals": {
                "sdr_db": {"mean": 3.0, "median": 2.0, "tracks": 3},
                "median_sdr_db": {"mean": 6.0, "median": 6.0, "tracks": 2},
            }},
        });
        assert_eq!(system.summary(), expected);
        assert_eq!(system.unscored(), [(Stem::VOCALS, 1)]);
    }
}

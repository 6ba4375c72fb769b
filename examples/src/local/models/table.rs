//! The table of models.

use console::Term;

use super::entry::Entry;
use crate::output::outln;

/// Columns of a terminal below which the names of the stems give way to their number.
const NARROW: usize = 110;

const NOTES: &str = "
SIZE: of the download. COST: work per second of a song; htdemucs is 1.
VOCALS: published SDR of the vocals on the songs of Multisong, in dB.
`vocalizer models show NAME` tells the rest: scores, licence, sources.";

/// Prints the models as a table that fits the terminal, with all stems if there is no terminal.
pub(super) fn print(entries: &[Entry]) {
    let width = Term::stdout().size_checked().map(|(_, columns)| usize::from(columns));
    lines(entries, width).iter().for_each(|line| outln!("{line}"));
    outln!("{NOTES}");
}

/// Returns the lines of the table for a terminal of this width.
fn lines(entries: &[Entry], width: Option<usize>) -> Vec<String> {
    let name_width = entries.iter().map(|entry| entry.name.len()).max().unwrap_or_default().max(4);
    let line = |name: &str, size: &str, cost: &str, vocals: &str, licence: &str, state: &str, stems: &str| {
        let row = format!("{name:<name_width$} {size:>8} {cost:>6} {vocals:>7}  {licence:<10}  {state:<11}  {stems}");
        row.trim_end().to_owned()
    };
    let header = line("NAME", "SIZE", "COST", "VOCALS", "LICENCE", "STATE", "STEMS");
    let rows = entries.iter().map(|entry| {
        let stems = match width {
            Some(columns) if columns < NARROW => entry.stems.len().to_string(),
            Some(columns) => cut(&entry.stems.join(", "), columns.saturating_sub(name_width + 51)),
            None => entry.stems.join(", "),
        };
        let size = entry.bytes.map(|bytes| format!("{} MB", bytes.saturating_add(500_000) / 1_000_000));
        let cost = entry.cost.map(|cost| format!("{cost:.1}"));
        let vocals = entry.vocals_db.map(|db| format!("{db:.2}"));
        let cell = |text: Option<String>| text.unwrap_or_else(|| "-".into());
        let licence = cut(&entry.licence, 10);
        line(&entry.name, &cell(size), &cell(cost), &cell(vocals), &licence, entry.state, &stems)
    });
    std::iter::once(header).chain(rows).collect()
}

/// Shortens a text to this many characters.
fn cut(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some(_) => text.chars().take(chars.saturating_sub(1)).chain(['…']).collect(),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use vocalizer_model::weights::{Cache, MODELS};

    use super::super::entry::Entry;
    use super::lines;

    fn entries() -> Vec<Entry> {
        let dir = tempfile::tempdir().expect("a folder");
        let cache = Cache::at(dir.path());
        MODELS.iter().map(|spec| Entry::published(spec, &cache)).collect()
    }

    fn widest(lines: &[String]) -> usize {
        lines.iter().map(|line| line.chars().count()).max().unwrap_or_default()
    }

    #[test]
    fn table_fits_the_terminal() {
        let entries = entries();
        for (columns, stems) in [(80, "not fetched  53"), (120, "accordion, "), (400, "acoustic-guitar, back-vocal")] {
            let lines = lines(&entries, Some(columns));
            assert!(widest(&lines) <= columns, "{columns}: {}", lines.join("\n"));
            assert!(lines.last().is_some_and(|line| line.contains(stems)), "{columns}: {}", lines.join("\n"));
        }
        assert!(super::NOTES.lines().all(|line| line.len() <= 80));
    }

    #[test]
    fn table_in_a_pipe_has_all_stems() {
        let lines = lines(&entries(), None);
        assert!(lines.last().is_some_and(|line| line.ends_with("wind, wind-chimes, woodwind")), "{}", lines.join("\n"));
        let kim = lines.iter().find(|line| line.starts_with("mel-roformer-kim ")).expect("a line");
        for cell in ["913 MB", " 13.6 ", " 10.98 ", " MIT ", " not fetched ", "vocals, other"] {
            assert!(kim.contains(cell), "{cell}: {kim}");
        }
    }
}

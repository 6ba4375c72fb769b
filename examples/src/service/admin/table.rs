//! Tables that fit the terminal.

use console::{Term, measure_text_width};
use vocalizer_core::api::text::is_invisible;

use crate::output::outln;

/// A column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub(super) name: &'static str,
    /// Whether numbers line up at the right.
    pub(super) is_number: bool,
    /// A narrow terminal drops the columns with the highest rank first; those with 0 stay and are shortened.
    pub(super) rank: u8,
}

/// Returns a column of texts.
pub(super) const fn text(name: &'static str, rank: u8) -> Column {
    Column { name, is_number: false, rank }
}

/// Returns a column of numbers.
pub(super) const fn number(name: &'static str, rank: u8) -> Column {
    Column { name, is_number: true, rank }
}

/// Prints a table that fits the terminal; the whole one if there is no terminal.
pub(super) fn print(columns: &[Column], rows: &[Vec<String>]) {
    let width = Term::stdout().size_checked().map(|(_, columns)| usize::from(columns));
    lines(columns, rows, width).iter().for_each(|line| outln!("{line}"));
}

/// Returns the lines of a table for a terminal of this width.
fn lines(columns: &[Column], rows: &[Vec<String>], width: Option<usize>) -> Vec<String> {
    let header: Vec<String> = columns.iter().map(|column| column.name.to_owned()).collect();
    let rows: Vec<Vec<String>> =
        std::iter::once(header).chain(rows.iter().map(|row| row.iter().map(|cell| plain(cell)).collect())).collect();
    let mut widths: Vec<usize> = (0..columns.len())
        .map(|at| {
            rows.iter().filter_map(|row| row.get(at)).map(|cell| measure_text_width(cell)).max().unwrap_or_default()
        })
        .collect();
    let mut kept: Vec<usize> = (0..columns.len()).collect();
    if let Some(width) = width {
        let total = |kept: &[usize], widths: &[usize]| {
            kept.iter().filter_map(|&at| widths.get(at)).map(|width| width + 2).sum::<usize>().saturating_sub(2)
        };
        while total(&kept, &widths) > width {
            let rank = |at: usize| columns.get(at).map_or(0, |column| column.rank);
            match kept.iter().copied().filter(|&at| rank(at) > 0).max_by_key(|&at| rank(at)) {
                Some(least) => kept.retain(|&at| at != least),
                None => {
                    // The widest gives way.
                    let excess = total(&kept, &widths) - width;
                    let widest = kept.iter().copied().max_by_key(|&at| widths.get(at).copied().unwrap_or_default());
                    if let Some(cell) = widest.and_then(|at| widths.get_mut(at)) {
                        *cell = cell.saturating_sub(excess).max(4);
                    }
                    break;
                }
            }
        }
    }
    let line = |row: &Vec<String>| {
        let cells = kept.iter().map(|&at| {
            let width = widths.get(at).copied().unwrap_or_default();
            let cell = cut(row.get(at).map(String::as_str).unwrap_or_default(), width);
            let space = " ".repeat(width.saturating_sub(measure_text_width(&cell)));
            match columns.get(at).is_some_and(|column| column.is_number) {
                true => format!("{space}{cell}"),
                false => format!("{cell}{space}"),
            }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// Shortens a text to this many columns.
fn cut(text: &str, width: usize) -> String {
    if measure_text_width(text) <= width {
        return text.to_owned();
    }
    let mut short = String::new();
    for c in text.chars() {
        short.push(c);
        if measure_text_width(&short) >= width {
            short.pop();
            break;
        }
    }
    short + "…"
}

/// Replaces what could change the terminal: titles and reasons come from others.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || is_invisible(c) { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 3] = [text("NAME", 0), number("SONGS", 1), text("REGISTERED", 2)];

    fn rows() -> Vec<Vec<String>> {
        let row = |name: &str, songs: &str| vec![name.to_owned(), songs.to_owned(), "2030-12-31T23:59:59Z".to_owned()];
        vec![row("ada", "3"), row("a-name-of-thirty-characters-xx", "1200")]
    }

    #[test]
    fn table_drops_columns_and_shortens_the_rest() {
        let wide = lines(&COLUMNS, &rows(), None);
        assert_eq!(wide[0], format!("{:<30}  SONGS  REGISTERED", "NAME"));
        assert_eq!(lines(&COLUMNS, &rows(), Some(57))[1], format!("{:<30}      3", "ada"));
        let narrow = lines(&COLUMNS, &rows(), Some(12));
        assert_eq!(narrow, ["NAME", "ada", "a-name-of-t…"]);
    }

    #[test]
    fn cells_cannot_control_the_terminal() {
        let lines = lines(&[text("TITLE", 0)], &[vec!["a\u{1b}[31mb\nc\u{202e}d".to_owned()]], None);
        assert_eq!(lines[1], "a [31mb c d");
    }
}

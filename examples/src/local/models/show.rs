//! All that is known about one model, as text.

use console::Term;

use super::entry::Entry;
use crate::output::outln;

/// Width of the labels.
const LABEL: usize = 10;

/// Prints what is known about a model.
pub(super) fn print(entry: &Entry) {
    let columns = Term::stdout().size_checked().map_or(usize::MAX, |(_, columns)| usize::from(columns));
    outln!("{}", entry.name);
    for (label, text) in &entry.lines {
        let mut label = *label;
        for line in wrap(text, columns.saturating_sub(LABEL + 3).max(20)) {
            outln!("  {label:<LABEL$} {line}");
            label = "";
        }
    }
}

/// Breaks a text at its spaces into lines of at most this many characters. Longer words stay whole.
fn wrap(text: &str, chars: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + word.chars().count() < chars => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::wrap;

    #[test]
    fn text_is_broken_at_spaces() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("a https://example.org/long b", 8), ["a", "https://example.org/long", "b"]);
        assert_eq!(wrap("one two three", usize::MAX), ["one two three"]);
    }
}

//! What songs are searched and sorted by.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// Most words of a search that count.
pub const MAX_WORDS: usize = 6;

/// Most characters of a folded title or artist. Longer texts have equal places.
const MAX_CHARS: usize = 200;

/// Folds a text so that equal letters are equal: without case, accents and other marks, with single spaces. Cyrillic `ё` is
/// `е`, and `й` is `и`, as many people type them.
///
/// ```
/// use vocalizer_core::song::fold;
///
/// assert_eq!(fold("  Für  ELISE "), "fur elise");
/// assert_eq!(fold("Ёлка"), fold("елка"));
/// assert_eq!(fold("ΣΊΣΥΦΟΣ"), fold("σίσυφος"));
/// assert_eq!(fold("Straße"), "strasse");
/// ```
#[must_use]
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let letters = text.nfkd().filter(|&c| !is_combining_mark(c));
    // Per character, because `str::to_lowercase` treats a final sigma differently.
    for c in letters.flat_map(char::to_lowercase).flat_map(char::to_uppercase).flat_map(char::to_lowercase) {
        match c {
            c if c.is_whitespace() || c.is_control() => {
                if !folded.is_empty() && !folded.ends_with(' ') {
                    folded.push(' ');
                }
            }
            // Letters that Unicode does not decompose.
            'ø' => folded.push('o'),
            'ł' => folded.push('l'),
            'đ' => folded.push('d'),
            'ı' => folded.push('i'),
            'æ' => folded.push_str("ae"),
            'œ' => folded.push_str("oe"),
            // Some capitals become a letter and a mark in lower case.
            c if is_combining_mark(c) => {}
            c => folded.push(c),
        }
    }
    folded.truncate(folded.trim_end().len());
    folded
}

/// Returns the folded words of a search, at most [`MAX_WORDS`].
///
/// ```
/// use vocalizer_core::song::words;
///
/// assert_eq!(words(" Élise  für "), ["elise", "fur"]);
/// ```
#[must_use]
pub fn words(text: &str) -> Vec<String> {
    fold(text).split_whitespace().take(MAX_WORDS).map(str::to_owned).collect()
}

/// Returns the keys that stores sort and search by: of the title before the artist, and of the artist before the title. Both
/// have all words of a song.
#[must_use]
pub fn sort_keys(title: &str, artist: Option<&str>) -> (String, String) {
    let short = |text: &str| fold(text).chars().take(MAX_CHARS).collect::<String>();
    let (title, artist) = (short(title), short(artist.unwrap_or_default()));
    // The line break is before every character of a text.
    (format!("{title}\n{artist}"), format!("{artist}\n{title}"))
}

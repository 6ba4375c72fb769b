//! Characters that do not show as they are.

/// Selects a variant of the preceding character, as in emoji.
#[must_use]
pub fn is_variation_selector(c: char) -> bool {
    matches!(c, '\u{fe00}'..='\u{fe0f}')
}

/// Returns whether a character is invisible by itself: those of [`changes_layout`], zero-width characters, direction marks,
/// fillers and tags.
#[must_use]
pub fn is_invisible(c: char) -> bool {
    changes_layout(c)
        || is_variation_selector(c)
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' | '\u{3164}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// Returns whether a character changes the layout of the text around it: control characters, the two Unicode line
/// breaks, and the direction overrides that can make `gpj.exe` read as `exe.jpg`.
#[must_use]
pub fn changes_layout(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

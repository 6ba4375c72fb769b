//! Prefixes that training programs put before every key.

/// Of parallel training, and of a wrapping module.
const PREFIXES: [&str; 2] = ["module.", "model."];

/// Returns the length of the prefixes that all keys have. Keys that differ stay different without them.
pub(super) fn shared<'a>(keys: impl Iterator<Item = &'a str> + Clone) -> usize {
    let mut length = 0;
    while let Some(prefix) = PREFIXES.iter().find(|prefix| {
        let mut rests = keys.clone().map(|key| key.get(length..).unwrap_or_default()).peekable();
        rests.peek().is_some() && rests.all(|rest| rest.starts_with(**prefix))
    }) {
        length += prefix.len();
    }
    length
}

//! Positions in a song, as `90`, `1:30` or `1:02:03.5`.

/// Parses seconds, minutes and seconds, or hours, minutes and seconds.
pub(super) fn parse(text: &str) -> Result<f64, String> {
    let wrong = || format!("expected seconds or minutes, as in 90, 1:30 or 1:02:03.5, not {text:?}");
    let parts: Vec<&str> = text.split(':').collect();
    let (Some((seconds, whole)), true) = (parts.split_last(), parts.len() <= 3) else { return Err(wrong()) };
    // `parse` would also take "inf", "1e9" and signs.
    let is_plain = |part: &str| part.starts_with(|c: char| c.is_ascii_digit()) && part.len() <= 12;
    let is_number = |part: &str| is_plain(part) && part.chars().all(|c| c.is_ascii_digit() || c == '.');
    if !is_number(seconds) || !whole.iter().all(|part| is_number(part) && !part.contains('.')) {
        return Err(wrong());
    }
    let mut total_s: f64 = seconds.parse().map_err(|_| wrong())?;
    if !whole.is_empty() && total_s >= 60.0 {
        return Err(wrong());
    }
    for (index, part) in whole.iter().rev().enumerate() {
        let number: f64 = part.parse().map_err(|_| wrong())?;
        if index + 1 < whole.len() && number >= 60.0 {
            return Err(wrong());
        }
        total_s += number * if index == 0 { 60.0 } else { 3_600.0 };
    }
    Ok(total_s)
}

/// Writes seconds as `m:ss` or `h:mm:ss`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole seconds, not negative")]
pub(super) fn shown(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    let (hours, minutes, seconds) = (whole / 3_600, whole / 60 % 60, whole % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

#[cfg(test)]
mod tests {
    use super::{parse, shown};

    #[test]
    fn positions_are_parsed() {
        for (text, seconds) in
            [("0", 0.0), ("90", 90.0), ("90.25", 90.25), ("1:30", 90.0), ("100:00", 6_000.0), ("1:02:03.5", 3_723.5)]
        {
            assert_eq!(parse(text), Ok(seconds), "{text}");
        }
        for text in [
            "", ":", "1:", ":30", "1:60", "1:99:00", "1:2:3:4", "-5", "+5", "inf", "NaN", "1e3", "1.5:00", "1..2", "a",
            " 1", "1 ",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn durations_are_shown() {
        for (seconds, text) in [(0.0, "0:00"), (59.6, "1:00"), (2_463.0, "41:03"), (3_723.0, "1:02:03"), (-1.0, "0:00")]
        {
            assert_eq!(shown(seconds), text);
        }
    }
}

//! Validation of titles and usernames.

use proptest::prelude::*;
use vocalizer_core::account::{Username, UsernameError};
use vocalizer_core::song::{Title, TitleError};

const ANY_TEXT: &str = "\\PC{0,80}|[\\x00-\\x7f]{0,30}|\\s{0,5}[\\w\u{202e}\u{2066}\u{2028} ]{0,30}\\s{0,5}";

/// Returns whether titles drop a character, for the characters that these strategies generate.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200c}' | '\u{200d}'
        | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e0fff}')
}

#[test]
fn invisible_characters_are_removed_from_titles() {
    for (text, expected) in [
        ("Für\u{200b} Eli\u{ad}se\u{feff}", "Für Elise"),
        ("\u{200e}Imagine\u{200f}", "Imagine"),
        ("a\u{200d}b\u{200c}c", "abc"),
        ("Imagine\u{e0041}\u{2060}\u{3164}", "Imagine"),
        ("\u{200b} x \u{2060}", "x"),
        // Joiners in emoji and Persian stay.
        ("👨\u{200d}👩\u{200d}👧 ❤\u{fe0f}", "👨\u{200d}👩\u{200d}👧 ❤\u{fe0f}"),
        ("می\u{200c}خواهم", "می\u{200c}خواهم"),
        ("می\u{200c}\u{200c}خواهم\u{200c}", "می\u{200c}خواهم"),
    ] {
        let title = Title::parse(text, 200).map(|title| title.to_string());
        assert_eq!(title.as_deref(), Ok(expected), "{text:?}");
        assert_eq!(Title::parse(expected, 200).map(|title| title.to_string()).as_deref(), Ok(expected));
    }
    for text in ["\u{200b}", " \u{feff}\u{200d} ", "\u{2800}\u{2800}", "\u{fe0f}", "\u{3164}", "\u{ad}\u{2060}"] {
        assert_eq!(Title::parse(text, 200), Err(TitleError::Empty), "{text:?}");
    }
    for text in ["a\u{202e}b", "a\u{2066}b", "a\0b", "a\nb", "a\u{2028}b"] {
        assert_eq!(Title::parse(text, 200), Err(TitleError::Control { at_char: 1 }), "{text:?}");
    }
}

#[test]
fn confusable_usernames_are_rejected() {
    for name in [
        "ada",
        "Ada.Löwe+x@example.org",
        "straße",
        "Мария2",
        "ольга",
        "όσος",
        "太郎",
        "taro太郎",
        "김민수",
        "חנה",
        "ada_1",
    ] {
        assert_eq!(Username::register(name).map(|name| name.to_string()).as_deref(), Ok(name));
    }
    // A Cyrillic a, a Greek o, a Cyrillic c.
    for name in ["\u{430}da", "b\u{3bf}b", "ali\u{441}e", "adа1"] {
        assert_eq!(Username::register(name), Err(UsernameError::MixedScripts), "{name}");
    }
    // All Cyrillic or all Greek, but readable as Latin.
    for name in ["\u{441}\u{43e}\u{441}\u{43e}", "\u{440}\u{430}\u{443}\u{440}\u{430}", "\u{3bf}\u{3bf}"] {
        assert_eq!(Username::register(name), Err(UsernameError::LooksLatin), "{name}");
    }
    // Different spellings of one name are normalized.
    for (typed, name) in [("ａｄａ", "ada"), ("ﬁn", "fin"), ("e\u{301}va", "éva"), ("\u{212b}sa", "Åsa")] {
        assert_eq!(Username::register(typed).map(|name| name.to_string()).as_deref(), Ok(name), "{typed}");
    }
    for name in ["a\u{200b}b", "a b", "", "a\u{202e}b", "x\u{301}\u{301}"] {
        assert!(Username::register(name).is_err(), "{name:?}");
    }
}

#[test]
fn older_confusable_usernames_still_log_in() {
    for name in ["\u{430}da", "ａｄａ", "ﬁn", "\u{441}\u{43e}\u{441}\u{43e}"] {
        let before: Username = name.parse().expect("an older name");
        assert!(Username::meant(name).iter().any(|meant| meant.key() == before.key()), "{name}");
    }
    assert_eq!(Username::meant("ada").len(), 1);
    assert!(Username::meant("e\u{301}va").iter().any(|meant| meant.as_str() == "éva"));
    assert!(Username::meant("a b").is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn title_is_trimmed_and_single_line(text in ANY_TEXT, max_chars in 1_usize..60) {
        prop_assume!(!text.chars().any(is_invisible));
        let trimmed = text.trim();
        match Title::parse(&text, max_chars) {
            Ok(title) => {
                prop_assert_eq!(title.as_str(), trimmed);
                prop_assert!((1..=max_chars).contains(&trimmed.chars().count()));
                let is_control = |c: char| {
                    c.is_control() || "\u{2028}\u{2029}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}".contains(c)
                };
                prop_assert!(!trimmed.chars().any(is_control));
                prop_assert_eq!(Title::parse(title.as_str(), usize::MAX), Ok(title));
            }
            Err(TitleError::Empty) => prop_assert_eq!(trimmed, ""),
            Err(TitleError::TooLong { max_chars: limit, found_chars }) => {
                prop_assert_eq!((limit, found_chars), (max_chars, trimmed.chars().count()));
                prop_assert!(found_chars > max_chars);
            }
            Err(TitleError::Control { at_char }) => {
                let c = trimmed.chars().nth(at_char).expect("a character there");
                let is_control = c.is_control() || ('\u{2028}'..='\u{2069}').contains(&c);
                prop_assert!(is_control);
            }
            Err(e) => prop_assert!(false, "{}", e),
        }
    }

    #[test]
    fn plain_title_within_limit_is_accepted(text in "[\\p{L}\\p{N}\\p{P}\\p{So}]{1,200}") {
        prop_assume!(!text.chars().any(is_invisible));
        prop_assert_eq!(Title::parse(&format!("  {text}\n"), 200).map(|title| title.to_string()), Ok(text));
    }

    #[test]
    fn username_allows_letters_digits_and_five_symbols(text in ANY_TEXT) {
        let trimmed = text.trim();
        let fits = |c: char| c.is_alphanumeric() || "._-+@".contains(c);
        match text.parse::<Username>() {
            Ok(name) => {
                prop_assert_eq!(name.as_str(), trimmed);
                prop_assert!((1..=64).contains(&trimmed.chars().count()) && trimmed.chars().all(fits));
            }
            Err(UsernameError::Empty) => prop_assert_eq!(trimmed, ""),
            Err(UsernameError::TooLong { found_chars }) => prop_assert!(found_chars > 64),
            Err(UsernameError::Character { at_char }) => {
                prop_assert!(!fits(trimmed.chars().nth(at_char).expect("a character there")));
            }
            Err(e) => prop_assert!(false, "{}", e),
        }
    }

    #[test]
    fn usernames_are_case_insensitive(name in "[a-zA-Zäöüßçéσςσабв0-9._@+-]{1,40}") {
        let parse = |text: &str| text.parse::<Username>().expect("a name");
        let key = parse(&name).key();
        prop_assert_eq!(&parse(&name.to_uppercase()).key(), &key);
        prop_assert_eq!(&parse(&name.to_lowercase()).key(), &key);
        let folded = parse(&key);
        prop_assert_eq!(folded.key(), key);
    }
}

#[test]
fn different_usernames_are_distinct() {
    for (one, other) in [("ada", "adá"), ("ada", "ada1"), ("a.b", "ab"), ("a_b", "a-b")] {
        let key = |text: &str| text.parse::<Username>().expect("a name").key();
        assert_ne!(key(one), key(other));
    }
}

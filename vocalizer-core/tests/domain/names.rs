//! Titles and usernames: what is accepted is clean, and what is clean is accepted.

use proptest::prelude::*;
use vocalizer_core::account::{Username, UsernameError};
use vocalizer_core::song::{Title, TitleError};

const ANY_TEXT: &str = "\\PC{0,80}|[\\x00-\\x7f]{0,30}|\\s{0,5}[\\w\u{202e}\u{2066}\u{2028} ]{0,30}\\s{0,5}";

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_title_is_trimmed_and_on_one_line(text in ANY_TEXT, max_chars in 1_usize..60) {
        let trimmed = text.trim();
        match Title::parse(&text, max_chars) {
            Ok(title) => {
                prop_assert_eq!(title.as_str(), trimmed);
                prop_assert!((1..=max_chars).contains(&trimmed.chars().count()));
                let steers = |c: char| {
                    c.is_control() || "\u{2028}\u{2029}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}".contains(c)
                };
                prop_assert!(!trimmed.chars().any(steers));
                prop_assert_eq!(Title::parse(title.as_str(), usize::MAX), Ok(title));
            }
            Err(TitleError::Empty) => prop_assert_eq!(trimmed, ""),
            Err(TitleError::TooLong { max_chars: limit, found_chars }) => {
                prop_assert_eq!((limit, found_chars), (max_chars, trimmed.chars().count()));
                prop_assert!(found_chars > max_chars);
            }
            Err(TitleError::Control { at_char }) => {
                let c = trimmed.chars().nth(at_char).expect("a character there");
                let steers = c.is_control() || ('\u{2028}'..='\u{2069}').contains(&c);
                prop_assert!(steers);
            }
            Err(e) => prop_assert!(false, "{}", e),
        }
    }

    #[test]
    fn every_plain_title_within_the_limit_is_accepted(text in "[\\p{L}\\p{N}\\p{P}\\p{So}]{1,200}") {
        prop_assert_eq!(Title::parse(&format!("  {text}\n"), 200).map(|title| title.to_string()), Ok(text));
    }

    #[test]
    fn a_username_holds_letters_digits_and_five_marks(text in ANY_TEXT) {
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
    fn names_that_differ_in_case_alone_are_one_users(name in "[a-zA-Zäöüßçéσςσабв0-9._@+-]{1,40}") {
        let parse = |text: &str| text.parse::<Username>().expect("a name");
        let key = parse(&name).key();
        prop_assert_eq!(&parse(&name.to_uppercase()).key(), &key);
        prop_assert_eq!(&parse(&name.to_lowercase()).key(), &key);
        let folded = parse(&key);
        prop_assert_eq!(folded.key(), key);
    }
}

#[test]
fn names_that_differ_in_more_are_two_users() {
    for (one, other) in [("ada", "adá"), ("ada", "ada1"), ("a.b", "ab"), ("a_b", "a-b")] {
        let key = |text: &str| text.parse::<Username>().expect("a name").key();
        assert_ne!(key(one), key(other));
    }
}

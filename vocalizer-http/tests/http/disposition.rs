use percent_encoding::percent_decode_str;
use proptest::prelude::*;
use vocalizer_core::part::Part;
use vocalizer_core::song::Title;
use vocalizer_http::disposition::{Kind, Label, header, numbered_name};

fn header_of(title: &str) -> String {
    let title = Title::parse(title, usize::MAX).unwrap();
    header(Kind::Attachment, &title, Part::Song, "mp3").to_str().unwrap().to_owned()
}

#[test]
fn ascii_title_is_sent_once() {
    assert_eq!(header_of("Clair de lune (1905)"), "attachment; filename=\"Clair de lune (1905).mp3\"");
}

#[test]
fn file_name_contains_stem_and_format() {
    let title = Title::parse("Song", 10).unwrap();
    assert_eq!(header(Kind::Inline, &title, Part::Drums, "flac"), "inline; filename=\"Song (drums).flac\"");
}

#[test]
fn numbered_name_fits_file_systems() {
    let name = |title: &str, tempo_bpm, key: Option<&str>| {
        let title = Title::parse(title, usize::MAX).unwrap();
        let label = Label { tempo_bpm, key: key.map(str::to_owned) };
        numbered_name(&title, 7, Part::Vocals, "flac", &label)
    };
    assert_eq!(name("Song", None, None), "07 Song (vocals).flac");
    assert_eq!(name("a/b", Some(98), None), "07 a_b (vocals) 98 BPM.flac");
    assert_eq!(name("Song", Some(98), Some("F#m")), "07 Song (vocals) 98 BPM F#m.flac");
    assert_eq!(name("Song", None, Some("C")), "07 Song (vocals) C.flac");
    assert!(name(&"\u{1d11e}".repeat(200), Some(999), Some("F#m")).len() <= 255);
}

#[test]
fn non_ascii_title_has_ascii_fallback() {
    assert_eq!(
        header_of("naïve €"),
        "attachment; filename=\"na_ve _.mp3\"; filename*=UTF-8''na%C3%AFve%20%E2%82%AC.mp3"
    );
}

#[test]
fn title_cannot_escape_quotes() {
    for title in ["a\"; filename=\"evil.exe", "a\\", "a\\\"b", "100%41", "a;b=c"] {
        let value = header_of(title);
        let rest = value.strip_prefix("attachment; filename=\"").unwrap();
        let (quoted, after) = rest.split_once('"').unwrap();
        assert!(quoted.ends_with(".mp3") && !quoted.contains(['\\', '%']), "{value}");
        assert!(after.is_empty() || after.starts_with("; filename*=UTF-8''"), "{value}");
        assert_eq!(value.matches('"').count(), 2, "{value}");
    }
}

#[test]
fn title_cannot_contain_path() {
    for title in ["../../etc/passwd", "..\\x", ".bashrc", "C:x", "a/b"] {
        let value = header_of(title);
        assert!(!value.contains(['/', '\\', ':']) && !value.contains("%2F") && !value.contains("%5C"), "{value}");
        assert!(!value.contains("filename=\"."), "{value}");
    }
}

#[test]
fn long_title_fits_file_name_limit() {
    let value = header_of(&"𝄞".repeat(10_000));
    let encoded = value.split("UTF-8''").nth(1).unwrap();
    let name = percent_decode_str(encoded).decode_utf8().unwrap();
    assert!(name.len() <= 255 && name.ends_with("𝄞.mp3"), "{} bytes", name.len());
}

proptest! {
    #[test]
    fn every_title_round_trips(title in "\\PC{1,50}") {
        let Ok(title) = Title::parse(&title, usize::MAX) else { return Ok(()) };
        let value = header(Kind::Attachment, &title, Part::Song, "mp3");
        let text = value.to_str().unwrap();
        prop_assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        prop_assert_eq!(text.matches('"').count(), 2);
        let sent = match text.split_once("; filename*=UTF-8''") {
            Some((_, encoded)) => percent_decode_str(encoded).decode_utf8().unwrap().into_owned(),
            None => text.split('"').nth(1).unwrap().to_owned(),
        };
        let same = sent.chars().zip(title.as_str().chars()).all(|(sent, meant)| sent == meant || sent == '_');
        prop_assert!(same, "{} became {}", title, sent);
        prop_assert_eq!(sent.chars().count(), title.as_str().chars().count() + ".mp3".len());
    }
}

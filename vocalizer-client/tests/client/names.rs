use vocalizer_client::{Archive, Format, Part, SongFile};

#[test]
fn names_contain_title_and_part() {
    for (file, expected) in [
        (SongFile::from(Part::Song), "Für Elise.mp3"),
        (Part::Vocals.into(), "Für Elise (vocals).mp3"),
        ((Part::Accompaniment, Format::Flac).into(), "Für Elise (accompaniment).flac"),
        (SongFile::stems(Archive::Zip, Format::Wav), "Für Elise (stems, WAV).zip"),
        (SongFile::stems(Archive::Tar, Format::Wav), "Für Elise (stems, WAV).tar"),
    ] {
        assert_eq!(file.name("Für Elise"), expected);
    }
}

#[test]
fn name_is_valid_for_any_title() {
    for (title, expected) in [
        ("", "song.mp3"),
        (" . ", "song.mp3"),
        ("..", "song.mp3"),
        ("../../etc/passwd", "_.._.._etc_passwd.mp3"),
        ("/etc/passwd", "_etc_passwd.mp3"),
        (r"C:\Windows", "C__Windows.mp3"),
        (".hidden", "_.hidden.mp3"),
        ("AC/DC: what?", "AC_DC_ what_.mp3"),
        ("a\u{1b}[2J\r\n\0b", "a_[2J___b.mp3"),
        ("gpj\u{202e}exe", "gpj_exe.mp3"),
        ("con", "_con.mp3"),
        ("LPT1.old", "_LPT1.old.mp3"),
        ("Concert", "Concert.mp3"),
        ("ends with dots...", "ends with dots.mp3"),
    ] {
        assert_eq!(SongFile::from(Part::Song).name(title), expected, "{title:?}");
    }
}

/// File systems allow 255 bytes, including `.part`.
#[test]
fn longest_name_fits_file_name_limit() {
    let name = SongFile::from((Part::Accompaniment, Format::Flac)).name(&"🎵".repeat(200));
    assert!(name.len() + ".part".len() <= 255 && name.ends_with("🎵 (accompaniment).flac"), "{name}");
}

//! Hidden files and what systems leave behind are no songs.

use super::support::{Place, inputs_of};

#[test]
fn droppings_of_systems_are_passed_over() {
    let place = Place::new();
    place.song("a/song.wav", 3_000);
    place.song("a/side b/last.wav", 3_000);
    place.song("a/...more.wav", 3_000);
    for hidden in [
        "a/.hidden.wav",
        "a/.Trashes/old.wav",
        "a/__MACOSX/song.wav",
        "a/@eaDir/song.wav/SYNOAUDIO.wav",
        "a/#recycle/old.wav",
        "a/$RECYCLE.BIN/old.wav",
        "a/System Volume Information/old.wav",
        "a/lost+found/old.wav",
    ] {
        place.song(hidden, 3_000);
    }
    for (name, bytes) in [
        ("a/._song.wav", &b"\0\x05\x16\x07\0\x02\0\0Mac OS X        "[..]),
        ("a/.DS_Store", b"\0\0\0\x01Bud1"),
        ("a/Thumbs.db", b"\xd0\xcf\x11\xe0"),
        ("a/desktop.ini", b"[.ShellClassInfo]"),
        ("a/cover.jpg", b"\xff\xd8\xff"),
        ("a/notes.txt", b"text"),
    ] {
        place.put(name, bytes);
    }
    let (events, run) = place.events(&["a", "--stems", "drums"]);
    assert_eq!(
        (run.code, inputs_of(&events, "done")),
        (Some(0), vec!["...more.wav".to_owned(), "last.wav".to_owned(), "song.wav".to_owned()]),
        "{run:?}"
    );
    assert!(inputs_of(&events, "error").is_empty(), "{run:?}");
    // What is named is split.
    let (events, run) = place.events(&["a/.hidden.wav", "--stems", "drums", "-o", "b"]);
    assert_eq!((run.code, inputs_of(&events, "done")), (Some(0), vec![".hidden.wav".to_owned()]), "{run:?}");
    assert_eq!(place.files("b"), ["hidden/drums.wav"]);
    let (events, _) = place.events(&["a/@eaDir", "--stems", "drums", "-o", "b"]);
    assert_eq!(inputs_of(&events, "done").len(), 1, "{events:?}");
}

#[test]
fn folder_of_droppings_has_no_songs() {
    let place = Place::new();
    place.put("a/._song.wav", b"\0\x05\x16\x07");
    place.separate(&["a"]).failed(4, &["a: no audio files in this folder"]);
}

#[cfg(unix)]
#[test]
fn only_files_are_songs() {
    let place = Place::new();
    place.song("a/song.wav", 3_000);
    std::fs::create_dir(place.path("a/folder.wav")).expect("a folder");
    std::os::unix::fs::symlink(place.path("a"), place.path("a/loop.wav")).expect("a link");
    let made = std::process::Command::new("mkfifo").arg(place.path("a/pipe.wav")).status();
    assert!(made.expect("mkfifo").success());
    let (events, run) = place.events(&["a", "--stems", "drums"]);
    assert_eq!((run.code, inputs_of(&events, "done")), (Some(0), vec!["song.wav".to_owned()]), "{run:?}");
}

#[cfg(unix)]
#[test]
fn links_that_lead_nowhere_are_reported() {
    use std::os::unix::fs::symlink;
    let place = Place::new();
    place.song("a/song.wav", 3_000);
    // A folder is not followed up again, and a file that is not there is an error.
    for (target, link) in
        [("..", "a/up"), ("ring.wav", "a/round.wav"), ("round.wav", "a/ring.wav"), ("gone", "a/dead.wav")]
    {
        symlink(target, place.path(link)).expect("a link");
    }
    let (events, run) = place.events(&["a", "--stems", "drums"]);
    assert_eq!((run.code, inputs_of(&events, "done")), (Some(1), vec!["song.wav".to_owned()]), "{run:?}");
    assert_eq!(inputs_of(&events, "error"), ["dead.wav", "ring.wav", "round.wav"]);
}

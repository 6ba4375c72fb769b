//! Stems of one song never replace those of another, and a song that is done can be left out.

use std::time::{Duration, Instant};

use super::support::{Place, RATE_HZ, Run, STEMS, inputs_of, of_kind, read};

/// Two albums whose songs have the same name.
fn two_albums() -> Place {
    let place = Place::new();
    place.song("cd1/01.wav", 3_000);
    place.song("cd2/01.wav", 3_500);
    place
}

fn drums(place: &Place, arguments: &[&str]) -> Run {
    place.separate(&[arguments, &["--stems", "drums"]].concat())
}

fn frames(place: &Place, stem: &str) -> usize {
    read(&place.path(stem)).0.len()
}

#[test]
fn second_album_gets_folders_of_its_own() {
    let place = two_albums();
    drums(&place, &["cd1", "-o", "x"]).succeeded();
    drums(&place, &["cd2", "-o", "x"]).succeeded();
    let expected = ["01 (cd2)/drums.wav", "01/drums.wav"];
    assert_eq!(place.files("x"), expected);
    assert_eq!((frames(&place, "x/01/drums.wav"), frames(&place, "x/01 (cd2)/drums.wav")), (3_000, 3_500));
    // Each finds its folder again, in any order, alone or together.
    for inputs in [&["cd2"][..], &["cd1"], &["cd2", "cd1"], &["."]] {
        drums(&place, &[inputs, &["-o", "x"]].concat()).succeeded();
        assert_eq!(place.files("x"), expected, "{inputs:?}");
        assert_eq!((frames(&place, "x/01/drums.wav"), frames(&place, "x/01 (cd2)/drums.wav")), (3_000, 3_500));
    }
    // The folder without the album's name is free again, but the song keeps its own.
    std::fs::remove_dir_all(place.path("x/01")).expect("a removed folder");
    drums(&place, &["cd2", "-o", "x"]).succeeded();
    assert_eq!(place.files("x"), ["01 (cd2)/drums.wav"]);
}

#[test]
fn two_albums_at_once() {
    let place = two_albums();
    place.song("more/cd2/01.wav", 4_000);
    for _ in 0..2 {
        drums(&place, &["cd1", "cd2", "more", "-o", "y"]).succeeded();
        assert_eq!(place.files("y"), ["01 (2)/drums.wav", "01 (cd2)/drums.wav", "01/drums.wav"]);
        let lengths = ["01", "01 (cd2)", "01 (2)"].map(|folder| frames(&place, &format!("y/{folder}/drums.wav")));
        assert_eq!(lengths, [3_000, 3_500, 4_000]);
    }
    drums(&place, &["cd1", "cd2", "-o", "z", "--overwrite"]).succeeded();
    assert_eq!(place.files("z"), ["01 (cd2)/drums.wav", "01/drums.wav"], "not even then within one run");
}

#[test]
fn song_is_recognised_by_its_content() {
    let place = two_albums();
    drums(&place, &["cd1", "cd2", "-o", "x"]).succeeded();
    // Moved, and the other way round.
    std::fs::rename(place.path("cd1"), place.path("cd3")).expect("a renamed folder");
    std::fs::rename(place.path("cd2"), place.path("cd1")).expect("a renamed folder");
    std::fs::rename(place.path("cd3"), place.path("cd2")).expect("a renamed folder");
    std::fs::copy(place.path("cd2/01.wav"), place.path("01.wav")).expect("a copy");
    let (events, _) = place.events(&["01.wav", "-o", "x", "--stems", "drums", "--skip-existing"]);
    assert_eq!(of_kind(&events, "skipped")[0]["folder"], "x/01");
    // New content with the old name, size and time of modification.
    let path = place.path("01.wav");
    let modified = std::fs::metadata(&path).and_then(|meta| meta.modified()).expect("a time");
    let mut bytes = std::fs::read(&path).expect("the song");
    *bytes.last_mut().expect("a byte") ^= 1;
    std::fs::write(&path, bytes).expect("a written file");
    std::fs::File::options().write(true).open(&path).and_then(|file| file.set_modified(modified)).expect("a set time");
    let before = std::fs::read(place.path("x/01/drums.wav")).expect("a stem");
    let (events, _) = place.events(&["01.wav", "-o", "x", "--stems", "drums", "--skip-existing"]);
    assert_eq!(of_kind(&events, "done").len(), 1);
    assert_eq!(std::fs::read(place.path("x/01/drums.wav")).expect("a stem"), before);
}

#[test]
fn foreign_files_are_kept() {
    let place = Place::new();
    place.song("album/song.wav", 3_000);
    place.put("x/song/drums.wav", b"mine");
    place.put("x/song/vocalizer.json", b"{\"mine\": true}");
    drums(&place, &["album", "-o", "x"]).succeeded();
    assert_eq!(place.files("x"), ["song (album)/drums.wav", "song/drums.wav"]);
    assert_eq!(std::fs::read(place.path("x/song/drums.wav")).expect("the file"), b"mine");
    // A file where the folder would be.
    place.put("y/song", b"mine");
    drums(&place, &["album", "-o", "y"]).succeeded();
    assert_eq!(place.files("y"), ["song", "song (album)/drums.wav"]);
    // An empty folder is free, also with what a system leaves in it.
    place.put("z/song/.DS_Store", b"");
    drums(&place, &["album", "-o", "z"]).succeeded();
    assert_eq!(place.files("z"), ["song/.DS_Store", "song/drums.wav"]);
}

#[test]
fn overwrite_replaces_stems_of_another_song() {
    let place = two_albums();
    place.separate(&["cd1", "-o", "x"]).succeeded();
    place.put("x/01/notes.txt", b"mine");
    drums(&place, &["cd2", "-o", "x", "--overwrite"]).succeeded();
    // No stem of the other song is left beside the new ones.
    assert_eq!(place.files("x"), ["01/drums.wav", "01/notes.txt"]);
    assert_eq!(frames(&place, "x/01/drums.wav"), 3_500);
    let songs = place.manifest("x/01")["songs"].as_array().cloned().expect("songs");
    assert_eq!(
        (songs.len(), &songs[0]["source"]["size_bytes"]),
        (1, &std::fs::metadata(place.path("cd2/01.wav")).expect("it").len().into())
    );
    // After a failure, the stems of the other song are still there.
    let broken = place.put("cd3/01.wav", b"no song");
    drums(&place, &[broken.to_str().expect("text"), "-o", "x", "--overwrite"]).failed(4, &["01.wav"]);
    assert_eq!(place.files("x"), ["01/drums.wav", "01/notes.txt"]);
    assert_eq!(place.manifest("x/01")["songs"].as_array().map(Vec::len), Some(1));
}

/// Models have stems of other names than the usual six.
#[test]
fn files_with_the_names_of_other_stems_are_kept() {
    let place = Place::new();
    place.song("album/song.wav", 3_000);
    place.put("out/song-instrumental.wav", b"mine");
    let instrumental = place.song("in/song/instrumental.wav", 3_100);
    let before = std::fs::read(&instrumental).expect("a song");
    let model = super::imports::golden("tiny-bs-512.safetensors");
    let separate = |arguments: &[&str]| {
        let mut command = place.command();
        Run::of(command.args(["separate", "--model"]).arg(&model).args(arguments))
    };
    separate(&["album", "-o", "out", "--out-template", "{track}-{stem}.{ext}"]).succeeded();
    let files = ["song (album)-instrumental.wav", "song (album)-vocals.wav", "song-instrumental.wav"];
    assert_eq!(place.files("out"), files);
    assert_eq!(std::fs::read(place.path("out/song-instrumental.wav")).expect("the file"), b"mine");
    separate(&["album/song.wav", "in/song/instrumental.wav", "-o", "in", "--overwrite"]).succeeded();
    assert!(std::fs::read(instrumental).expect("a song") == before);
}

/// `--overwrite` means stems, never songs.
#[test]
fn songs_are_never_overwritten() {
    let place = Place::new();
    let song = place.song("x.wav", 3_000);
    let drums_song = place.song("x/drums.wav", 3_100);
    let before = [&song, &drums_song].map(|path| std::fs::read(path).expect("a song"));
    for arguments in [
        &["x.wav", "x/drums.wav", "-o", ".", "--overwrite"][..],
        &["x.wav", "-o", ".", "--overwrite", "--out-template", "{track}.{ext}"],
        &["x.wav", "-o", ".", "--out-template", "{track}.{ext}"],
    ] {
        drums(&place, arguments).succeeded();
        let after = [&song, &drums_song].map(|path| std::fs::read(path).expect("a song"));
        assert!(before == after, "{arguments:?}: {:?}", place.files(""));
    }
}

#[test]
fn done_songs_are_skipped_in_no_time() {
    let place = Place::new();
    let names: Vec<_> = (1..=10).map(|n| format!("album/{n:02}.wav")).collect();
    for (n, name) in names.iter().enumerate() {
        place.song(name, RATE_HZ as usize * 2 + n);
    }
    let (events, run) = place.events(&["album", "--skip-existing"]);
    assert_eq!((of_kind(&events, "done").len(), run.code), (10, Some(0)));
    let started = Instant::now();
    let (events, run) = place.events(&["album", "--skip-existing"]);
    let took = started.elapsed();
    println!("ten songs skipped in {took:?}");
    assert_eq!((of_kind(&events, "skipped").len(), of_kind(&events, "done").len(), run.code), (10, 0, Some(0)));
    assert!(took < Duration::from_secs(1), "{took:?}");
    let run = place.separate(&["album", "--skip-existing"]);
    assert!(run.err.contains("album/01.wav: skipped, done before in separated/01"), "{}", run.err);
    assert!(run.err.contains("10 songs: 0 done, 10 skipped, 0 failed"), "{}", run.err);
}

#[test]
fn only_what_is_the_same_is_skipped() {
    let place = Place::new();
    place.song("a.wav", 3_000);
    let again = |arguments: &[&str]| {
        let (events, run) = place.events(&[&["a.wav", "--skip-existing"], arguments].concat());
        assert_eq!(run.code, Some(0), "{run:?}");
        inputs_of(&events, "skipped").len()
    };
    for arguments in [
        &[][..],
        &["--format", "flac"],
        &["--format", "mp3", "--bitrate", "128"],
        &["--format", "mp3", "--vbr", "2"],
        &["--shifts", "1"],
        &["--shifts", "1", "--seed", "3"],
        &["--overlap", "0.3"],
        &["--segment", "0.55"],
        &["--stems", "drums,bass"],
        &["--two-stems", "vocals"],
        &["--two-stems", "vocals", "--other-method", "minus"],
        &["--clip", "none"],
        &["--start", "0.01", "--end", "0.05"],
        &["--mono"],
        &["--no-tags"],
    ] {
        assert_eq!((again(arguments), again(arguments)), (0, 1), "{arguments:?}");
    }
    // These change nothing in the stems.
    again(&["--stems", "drums,bass"]);
    for same in [&["--stems", "bass,drums"][..], &["--stems", "bass,drums,bass", "--threads", "1", "--seed", "5"]] {
        assert_eq!(again(same), 1, "{same:?}");
    }
    // A stem that is gone or changed is made again.
    std::fs::remove_file(place.path("separated/a/bass.wav")).expect("a removed file");
    assert_eq!(again(&["--stems", "drums,bass"]), 0);
    place.put("separated/a/bass.wav", b"cut");
    assert_eq!(again(&["--stems", "drums,bass"]), 0);
    assert_eq!(
        place.files("separated").iter().filter(|file| file.ends_with(".wav")).count(),
        STEMS.len() + 1,
        "with no_vocals"
    );
}

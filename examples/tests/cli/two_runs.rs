//! Two programs at once that write to the same folder.

use super::running::Running;
use super::support::{MANIFEST, Place, RATE_HZ, inputs_of, of_kind};

/// A place with a song that takes a while.
fn long_song() -> Place {
    let place = Place::new();
    place.song("song.wav", 60 * RATE_HZ as usize);
    place
}

#[test]
fn song_is_split_by_one_run_at_a_time() {
    let place = long_song();
    let drums = ["song.wav", "--stems", "drums"];
    let first = Running::suspended(&place, &drums);
    for more in [&[][..], &["--skip-existing"], &["--overwrite"], &["--format", "flac"]] {
        place
            .separate(&[&drums[..], more].concat())
            .failed(4, &["song.wav: cannot use separated/song", "another run is writing there; wait", "-o"]);
        assert!(place.path("separated/song").join(MANIFEST).is_file(), "{more:?}");
    }
    // Another song of the name has a folder of its own, and another output folder is free.
    place.song("album/song.wav", 3_000);
    place.separate(&["album", "--stems", "drums"]).succeeded();
    place.separate(&["album/song.wav", "--stems", "drums", "-o", "other"]).succeeded();
    first.signal("CONT");
    let (code, events) = first.wait();
    assert_eq!((code, of_kind(&events, "done").len()), (Some(0), 1), "{events:?}");
    assert_eq!(place.files("separated"), ["song (album)/drums.wav", "song/drums.wav"]);
    let (events, _) = place.events(&[&drums[..], &["--skip-existing"]].concat());
    assert_eq!(of_kind(&events, "skipped").len(), 1);
}

/// Two runs with `--overwrite`, each with a song of its own.
#[test]
fn place_is_not_overwritten_while_a_run_writes_there() {
    let place = long_song();
    place.song("album/song.wav", 3_000);
    place.separate(&["album", "--stems", "bass"]).succeeded();
    let first = Running::suspended(&place, &["song.wav", "--stems", "drums", "--overwrite"]);
    place.separate(&["album", "--stems", "drums"]).failed(4, &["separated/song", "another run"]);
    assert_eq!(place.files("separated/song").iter().filter(|file| !file.starts_with('.')).count(), 1);
    first.signal("CONT");
    assert_eq!(first.wait().0, Some(0));
    assert_eq!(place.files("separated"), ["song/drums.wav"]);
}

/// The system releases the locks of a process that was killed.
#[test]
fn next_run_takes_the_folder_of_a_killed_one() {
    let place = long_song();
    let drums = ["song.wav", "--stems", "drums"];
    for template in ["{track}/{stem}.{ext}", "{stem}/{track}.{ext}"] {
        let arguments = [&drums[..], &["-o", "out", "--out-template", template]].concat();
        let killed = Running::suspended(&place, &arguments);
        place.separate(&arguments).failed(4, &["another run"]);
        drop(killed);
        place.separate(&arguments).succeeded();
        let files = place.files("out");
        assert!(!files.iter().any(|file| file.ends_with(".lock")), "{files:?}");
        assert_eq!(files.iter().filter(|file| file.ends_with(".wav")).count(), 1, "{files:?}");
        std::fs::remove_dir_all(place.path("out")).expect("a removed folder");
    }
}

/// Songs that share a folder share a manifest.
#[test]
fn runs_keep_each_others_entries_of_a_manifest() {
    let place = Place::new();
    for n in 0..12 {
        place.song(&format!("a/a{n}.wav"), 1_000 + n);
        place.song(&format!("b/b{n}.wav"), 2_000 + n);
    }
    let options = ["--stems", "drums", "-o", "out", "--out-template", "{stem}/{track}.{ext}", "--jobs", "4"];
    let start = |folder: &'static str| Running::separate(&place, &[&[folder][..], &options].concat());
    let runs = [start("a"), start("b")];
    for run in runs {
        let (code, events) = run.wait();
        assert_eq!(code, Some(0), "{events:?}");
    }
    assert_eq!(place.manifest("out")["songs"].as_array().map(Vec::len), Some(24));
    assert_eq!(place.files("out").len(), 24, "{:?}", place.files("out"));
    let (events, _) = place.events(&[&["a", "b", "--skip-existing"][..], &options].concat());
    assert_eq!(of_kind(&events, "skipped").len(), 24);
}

#[test]
fn two_runs_split_each_song_of_an_album_once() {
    let place = Place::new();
    let names: Vec<_> = (0..8).map(|n| format!("{n}.wav")).collect();
    for (n, name) in names.iter().enumerate() {
        place.song(&format!("album/{name}"), 2 * RATE_HZ as usize + n);
    }
    let start = || Running::separate(&place, &["album", "--stems", "drums", "--skip-existing"]);
    let ends = [start(), start()].map(Running::wait);
    let mut done: Vec<_> = ends.iter().flat_map(|(_, events)| inputs_of(events, "done")).collect();
    done.sort();
    assert_eq!(done, names, "{ends:?}");
    for error in ends.iter().flat_map(|(_, events)| of_kind(events, "error")) {
        assert!(error["error"].as_str().is_some_and(|error| error.contains("another run")), "{error}");
    }
    assert_eq!(place.files("separated").len(), names.len(), "{:?}", place.files("separated"));
}

/// The list of songs was made before.
#[test]
fn song_that_disappears_is_reported() {
    let place = long_song();
    place.song("2.wav", 3_000);
    place.song("3.wav", 3_000);
    let run = Running::suspended(&place, &["song.wav", "2.wav", "3.wav", "--stems", "drums"]);
    std::fs::remove_file(place.path("2.wav")).expect("a removed file");
    run.signal("CONT");
    let (code, events) = run.wait();
    assert_eq!((code, inputs_of(&events, "done")), (Some(1), vec!["3.wav".into(), "song.wav".into()]), "{events:?}");
    let errors = of_kind(&events, "error");
    assert_eq!((errors.len(), &errors[0]["input"]), (1, &"2.wav".into()), "{errors:?}");
    assert!(errors[0]["error"].as_str().is_some_and(|error| error.contains("No such file")), "{errors:?}");
    assert_eq!(place.files("separated"), ["3/drums.wav", "song/drums.wav"]);
}

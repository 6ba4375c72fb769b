//! Whatever a song is called, its stems stay below the output folder, under names that every system takes.

use std::path::{Component, Path};

use super::support::Place;

const NAMES: &[&str] = &[
    "...wav",
    "..wav",
    ".wav",
    "....wav",
    " .wav",
    ". .wav",
    "..\\..\\up.wav",
    "C:song.wav",
    "CON.wav",
    "nul.tar.wav",
    "com1.wav",
    "LPT9 .wav",
    ".hidden.wav",
    "trailing. . .wav",
    "a<b>c\"d|e?f*g:h.wav",
    "line\nbreak\ttab\x1b[31m.wav",
    "-rf.wav",
    "~.wav",
    "$(touch oops).wav",
    "{stem}.wav",
    "vocalizer.json.wav",
    "\u{202e}gpj.wav",
    "Ёлка 雨 🎵.wav",
    "no ending",
];

/// Every path below a folder, folders too.
fn everything(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(everything(&path));
        }
        found.push(path);
    }
    found
}

#[cfg(unix)]
#[test]
fn every_name_stays_below_the_output_folder() {
    let place = Place::new();
    place.put("drums.wav", b"precious");
    let long = format!("{}.wav", "ü".repeat(120));
    let names: Vec<_> = NAMES.iter().copied().chain([&*long]).collect();
    for (n, name) in names.iter().enumerate() {
        place.song(&format!("in/{name}"), 500 + n);
    }
    let before = place.files("in");
    let inputs: Vec<_> = names.iter().map(|name| format!("in/{name}")).collect();
    let inputs: Vec<_> = inputs.iter().map(String::as_str).collect();
    let run = place.separate(&[&inputs[..], &["-o", "out", "--stems", "drums"]].concat());
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(place.files("in"), before);
    assert_eq!(std::fs::read(place.path("drums.wav")).expect("the file"), b"precious");
    let mut top: Vec<_> =
        std::fs::read_dir(place.dir.path()).expect("it").map(|entry| entry.expect("it").file_name()).collect();
    top.sort();
    assert_eq!(top, ["drums.wav", "in", "out"]);
    let out = place.path("out");
    let found = everything(&out);
    assert_eq!(
        found.iter().filter(|path| path.ends_with("drums.wav")).count(),
        names.len(),
        "each has a folder of its own"
    );
    for path in found {
        for part in path.strip_prefix(&out).expect("below").components() {
            let Component::Normal(part) = part else { panic!("{path:?}") };
            let part = part.to_str().expect("UTF-8");
            assert!(!part.starts_with('.') && !part.ends_with(['.', ' ']) && part.len() <= 210, "{path:?}");
            assert!(!part.contains(|c: char| c.is_control() || "<>:\"/\\|?*\u{202e}".contains(c)), "{path:?}");
            let base = part.split('.').next().unwrap_or_default().trim_end().to_uppercase();
            assert!(!["CON", "NUL", "COM1", "LPT9"].contains(&&*base), "{path:?}");
        }
    }
    // And again, from the folder: the same folders.
    let before = place.files("out");
    place.separate(&[&inputs[..], &["-o", "out", "--stems", "drums"]].concat()).succeeded();
    assert_eq!(place.files("out"), before);
}

/// Many file systems, to which stems may be copied, do not tell them apart.
#[cfg(target_os = "linux")]
#[test]
fn names_that_differ_only_by_case_get_different_names() {
    let place = Place::new();
    for (n, name) in ["SONG.wav", "Song.wav", "song.wav", "Ёлка.wav", "ёлка.wav"].iter().enumerate() {
        place.song(&format!("in/{name}"), 500 + n);
    }
    for (out, template, jobs) in [
        ("a", "{track}/{stem}.{ext}", "1"),
        ("b", "{stem}/{track}.{ext}", "1"),
        ("c", "{track}/{stem}.{ext}", "4"),
        ("d", "{stem}-{track}.{ext}", "4"),
    ] {
        let arguments = ["in", "-o", out, "--out-template", template, "--jobs", jobs, "--stems", "drums"];
        place.separate(&arguments).succeeded();
        let files = place.files(out);
        let mut folded: Vec<_> = files.iter().map(|file| file.to_lowercase()).collect();
        folded.sort();
        folded.dedup();
        assert_eq!(folded.len(), 5, "{files:?}");
        // Each finds its place again, together and alone.
        place.separate(&arguments).succeeded();
        let run = place.separate(&[&["in/song.wav", "--skip-existing"], &arguments[1..]].concat());
        assert!(run.err.contains("in/song.wav: skipped"), "{}", run.err);
        assert_eq!(place.files(out), files);
    }
}

/// The longest names that file systems allow, which are cut for the stems.
#[cfg(target_os = "linux")]
#[test]
fn longest_names_that_start_alike_get_different_names() {
    let place = Place::new();
    for n in 1..=3 {
        place.song(&format!("in/{}{n}.wav", "x".repeat(250)), 500 + n);
    }
    for (out, template) in [("a", "{track}/{stem}.{ext}"), ("b", "{stem}/{track}.{ext}"), ("c", "{track}_{stem}.{ext}")]
    {
        for _ in 0..2 {
            place.separate(&["in", "-o", out, "--out-template", template, "--stems", "drums"]).succeeded();
            let files = place.files(out);
            assert!(files.len() == 3 && files.iter().all(|file| file.ends_with(".wav")), "{files:?}");
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_are_not_utf8_are_in_json_without_loss() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    let place = Place::new();
    let name = OsStr::from_bytes(b"caf\xe9.wav");
    std::fs::rename(place.song("song.wav", 3_000), place.dir.path().join(name)).expect("a renamed file");
    let mut command = place.command();
    command.args(["separate", "--json", "--stems", "drums", "--model"]).arg(super::support::tiny()).arg(name);
    let run = super::support::Run::of(&mut command);
    assert_eq!(run.code, Some(0), "{run:?}");
    let done = run.events().into_iter().find(|event| event["event"] == "done").expect("an event");
    assert_eq!((&done["input"], &done["input_bytes"]), (&"caf\u{fffd}.wav".into(), &"636166e92e776176".into()));
    assert_eq!(done["files"][0], "separated/caf\u{fffd}/drums.wav");
    assert_eq!(place.files("separated"), ["caf\u{fffd}/drums.wav"]);
    let source = place.manifest("separated/caf\u{fffd}")["songs"][0]["source"].clone();
    assert_eq!((&source["name"], &source["name_bytes"]), (&"caf\u{fffd}.wav".into(), &"636166e92e776176".into()));
    let mut command = place.command();
    command.args(["info", "--json"]).arg(name);
    let info = super::support::Run::of(&mut command).events().remove(0);
    assert_eq!(info["file_bytes"], "636166e92e776176");
    // An output folder whose name is not UTF-8.
    let mut command = place.command();
    command.args(["separate", "--json", "--stems", "drums", "--model"]).arg(super::support::tiny()).arg(name);
    let run = super::support::Run::of(command.arg("-o").arg(OsStr::from_bytes(b"\xff")));
    let done = run.events().into_iter().find(|event| event["event"] == "done").expect("an event");
    assert_eq!(done["files_bytes"][0], format!("ff2f{}2f6472756d732e776176", "636166efbfbd"));
    assert_eq!(done["folder_bytes"], "ff2f636166efbfbd");
}

#[test]
fn control_characters_do_not_reach_the_terminal() {
    let place = Place::new();
    place.put("a\x1b[2Jb\nvocalizer: c.wav", b"no song");
    let run = place.separate(&["a\x1b[2Jb\nvocalizer: c.wav"]);
    run.failed(4, &["a\u{fffd}[2Jb"]);
    let run = place.run(&["info", "a\x1b[2Jb\nvocalizer: c.wav"]);
    run.failed(4, &["a\u{fffd}[2Jb"]);
    // Names of other things than songs.
    place.song("song.wav", 500);
    for arguments in [["--model", "a\x1b[2J"], ["--profile-json", "a\x1b[2J/b"]] {
        let run = place.run(&["separate", "song.wav", arguments[0], arguments[1]]);
        assert!(run.err.contains("[2J") && !run.err.contains('\x1b'), "{run:?}");
    }
}

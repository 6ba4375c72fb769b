//! What an earlier run wrote is never taken for songs.

use std::process::Command;

use super::support::{Place, Run, inputs_of, of_kind, tiny};

/// Two songs, in a folder of their own, so that the output may be beside them.
fn album() -> Place {
    let place = Place::new();
    place.song("x.wav", 3_000);
    place.song("y.wav", 3_100);
    place
}

/// The names of the songs that a shell command line splits.
fn split(place: &Place, arguments: &str) -> (Vec<String>, Run) {
    let mut shell = place.prepared(Command::new("sh"));
    let script = format!("\"$0\" separate --json --device cpu --stems drums --model \"$1\" {arguments}");
    let run = Run::of(shell.args(["-c", &script, env!("CARGO_BIN_EXE_vocalizer")]).arg(tiny()));
    (inputs_of(&run.events(), "done"), run)
}

#[test]
fn three_runs_split_the_same_two_songs() {
    for arguments in [
        ".",
        "./",
        "\"$PWD\"",
        "../\"$(basename \"$PWD\")\"",
        "*",
        "./*",
        ". -o .",
        "* -o .",
        ". -o \"$PWD\"",
        ". -o ./out",
        ". -o out/.",
        ". -o ./out/../out",
        "\"$PWD\" -o out",
        ". -o \"$PWD/out\"",
        ". -o ./alb/stems",
        "*.wav -o .",
        ". -o . --out-template '{track}_{stem}.{ext}'",
        "*.wav -o . --out-template '{track}_{stem}.{ext}'",
        ". -o . --out-template '{stem}/{track}.{ext}'",
        "* -o out --out-template '{stem}/{track}.{ext}'",
    ] {
        let place = album();
        let mut before = Vec::new();
        for count in 1..=3 {
            let (songs, run) = split(&place, arguments);
            assert_eq!(
                (songs, run.code),
                (vec!["x.wav".into(), "y.wav".into()], Some(0)),
                "{arguments}, run {count}: {run:?}"
            );
            let files = place.files("");
            assert_eq!(files.len(), 4, "{arguments}, run {count}: {files:?}");
            assert!(count == 1 || files == before, "{arguments}: {before:?}, then {files:?}");
            before = files;
        }
    }
}

/// Each run has another output folder; none is taken for songs by the others.
#[test]
fn output_is_recognised_in_other_folders() {
    let place = album();
    for out in ["a", "b/c", "d"] {
        let (songs, run) = split(&place, &format!(". -o {out}"));
        assert_eq!((songs.len(), run.code), (2, Some(0)), "{run:?}");
    }
    // The folder was moved and renamed.
    std::fs::rename(place.path("a"), place.path("e")).expect("a renamed folder");
    std::fs::rename(place.path("e/x"), place.path("e/z")).expect("a renamed folder");
    assert_eq!(split(&place, ". -o f").0, ["x.wav", "y.wav"]);
}

#[cfg(unix)]
#[test]
fn links_do_not_hide_the_output_folder() {
    use std::os::unix::fs::symlink;
    let place = album();
    std::fs::create_dir(place.path("real")).expect("a folder");
    symlink(place.path("real"), place.path("link")).expect("a link");
    symlink(place.dir.path(), place.path("self")).expect("a link");
    for arguments in [". -o link", ". -o real", "self -o link", "self/real/.. -o real", "link . -o link"] {
        assert_eq!(split(&place, arguments).0, ["x.wav", "y.wav"], "{arguments}");
    }
    // A link to a stem, outside of the output folder.
    symlink(place.path("real/x/drums.wav"), place.path("favourite.wav")).expect("a link");
    assert_eq!(split(&place, ". -o real").0, ["x.wav", "y.wav"]);
    assert_eq!(place.files("real"), ["x/drums.wav", "y/drums.wav"]);
}

#[test]
fn named_stem_is_split_on_its_own() {
    let place = album();
    split(&place, "x.wav");
    let (songs, run) = split(&place, "separated/x/drums.wav");
    assert_eq!((songs, run.code), (vec!["drums.wav".into()], Some(0)));
    assert_eq!(place.files("separated"), ["drums/drums.wav", "x/drums.wav"]);
    // A pattern that matches song and stem.
    let (songs, run) = split(&place, "x.wav separated/x/drums.wav");
    assert_eq!((songs, run.code), (vec!["x.wav".into()], Some(0)));
    assert!(run.out.contains("a stem of x.wav, left out"), "{}", run.out);
}

#[test]
fn folder_with_only_output_is_named() {
    let place = album();
    split(&place, ".");
    let run = place.separate(&["separated"]);
    run.failed(4, &["separated", "earlier run", "name a file"]);
    let run = place.separate(&["separated/x"]);
    run.failed(4, &["separated/x", "earlier run"]);
    let run = place.separate(&["separated", "x.wav"]);
    run.succeeded();
    assert!(run.err.contains("separated: only stems"), "{}", run.err);
}

/// A run that was killed leaves the manifest without a result.
#[test]
fn unfinished_output_is_recognised() {
    let place = album();
    split(&place, ".");
    let mut manifest = place.manifest("separated/x");
    manifest["songs"][0]["results"] = serde_json::json!([]);
    place.put("separated/x/vocalizer.json", manifest.to_string().as_bytes());
    assert_eq!(split(&place, "separated . -o other").0, ["x.wav", "y.wav"]);
    assert_eq!(split(&place, ".").0, ["x.wav", "y.wav"]);
    assert_eq!(place.files("separated"), ["x/drums.wav", "y/drums.wav"]);
}

#[test]
fn each_file_is_split_once() {
    let place = album();
    place.song("alb/z.wav", 3_200);
    let run = place.separate(&["x.wav", "./x.wav", "alb", "alb/z.wav", "./alb/", "--json", "--stems", "drums"]);
    assert_eq!(
        (inputs_of(&run.events(), "done"), run.code),
        (vec!["x.wav".into(), "z.wav".into()], Some(0)),
        "{run:?}"
    );
}

#[test]
fn manifest_tells_where_stems_come_from() {
    let place = album();
    place.separate(&["x.wav", "--shifts", "1", "--seed", "7", "--format", "flac"]).succeeded();
    let manifest = place.manifest("separated/x");
    assert_eq!((&manifest["program"], &manifest["format"]), (&"vocalizer".into(), &1.into()));
    let song = &manifest["songs"][0];
    let bytes = std::fs::metadata(place.path("x.wav")).expect("the song").len();
    assert_eq!((&song["source"]["name"], &song["source"]["size_bytes"]), (&"x.wav".into(), &bytes.into()));
    let sum = |path| {
        let out = Command::new("sha256sum").arg(path).output().expect("sha256sum").stdout;
        String::from_utf8_lossy(&out[..64]).into_owned()
    };
    assert_eq!(song["source"]["sha256"], sum(place.path("x.wav")));
    let result = &song["results"][0];
    assert_eq!(result["model"]["name"], "tiny-4s.safetensors");
    assert_eq!(result["model"]["weights_sha256"][0], sum(tiny()));
    assert_eq!((&result["options"]["shifts"], &result["options"]["seed"]), (&1.into(), &7.into()));
    assert_eq!((&result["frames"], &result["rate_hz"]), (&3_000.into(), &44_100.into()));
    assert_eq!((&result["warnings"], &result["version"]), (&serde_json::json!([]), &env!("CARGO_PKG_VERSION").into()));
    let files: Vec<_> = result["files"].as_array().expect("files").iter().collect();
    assert_eq!(files.len(), 4);
    for file in files {
        let path = place.path("separated/x").join(file["path"].as_str().expect("a path"));
        assert_eq!(file["size_bytes"], std::fs::metadata(path).expect("the stem").len());
    }
    // A second set of options is a second result.
    place.separate(&["x.wav", "--stems", "drums"]).succeeded();
    assert_eq!(place.manifest("separated/x")["songs"][0]["results"].as_array().map(Vec::len), Some(2));
    let (events, _) = place.events(&["x.wav", "--stems", "drums", "--skip-existing"]);
    assert_eq!(of_kind(&events, "skipped").len(), 1);
}

//! `--out-template`.

use std::process::Command;

use super::support::{Place, STEMS};

/// A song with these tags.
fn tagged(place: &Place, name: &str, seconds: &str, tags: &[(&str, &str)]) {
    let mut arguments = vec![format!("sine=440:d={seconds}")];
    for (key, value) in tags {
        arguments.extend(["-metadata".to_owned(), format!("{key}={value}")]);
    }
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    std::fs::create_dir_all(place.path(name).parent().expect("a folder")).expect("a folder");
    place.ffmpeg(name, &arguments);
}

const TAGS: &str = "{artist}/{album}/{title}/{stem}.{ext}";

#[test]
fn tags_make_the_path() {
    let place = Place::new();
    tagged(
        &place,
        "01.flac",
        "0.1",
        &[("artist", "AC/DC"), ("album", "Let There Be Rock."), ("title", "Whole Lotta: Rosie?"), ("track", "8/8")],
    );
    tagged(&place, "02.mp3", "0.1", &[("artist", "Ёлка")]);
    for name in ["01.flac", "02.mp3"] {
        place.separate(&[name, "--out-template", TAGS]).succeeded();
    }
    let first = STEMS.map(|stem| format!("AC_DC/Let There Be Rock/Whole Lotta_ Rosie_/{stem}.wav"));
    let second = STEMS.map(|stem| format!("Ёлка/Unknown album/02/{stem}.wav"));
    assert_eq!(place.files("separated"), [first, second].concat());
    let options = ["--out-template", "{number} {title}-{stem}.{ext}", "--format", "flac", "--stems", "bass"];
    let arguments = [["01.flac", "-o", "b"].as_slice(), &options].concat();
    let run = place.separate(&arguments);
    run.succeeded();
    assert_eq!(run.out, "b/08 Whole Lotta_ Rosie_-bass.flac\n");
    assert_eq!(place.files("b"), ["08 Whole Lotta_ Rosie_-bass.flac"]);
    // Done already, though the folder is shared.
    let run = place.separate(&[arguments.as_slice(), &["--skip-existing"]].concat());
    assert!(run.err.contains("skipped, done before in b"), "{}", run.err);
}

#[test]
fn tags_never_lead_out_of_the_folder() {
    let place = Place::new();
    for (n, text) in ["../../up", "/etc/passwd", "..", "CON", "\u{202e}x", ".hidden", "a\\b", ""].iter().enumerate() {
        tagged(&place, &format!("in/{n}.flac"), "0.05", &[("artist", text), ("album", text), ("title", text)]);
    }
    let run = place.separate(&["in", "-o", "deep/er/out", "--out-template", TAGS, "--stems", "drums"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let out = place.files("deep/er/out");
    assert_eq!(out.len(), 8, "{out:?}");
    let all = Command::new("find").arg(place.dir.path()).args(["-name", "drums.wav"]).output().expect("find").stdout;
    let all = String::from_utf8(all).expect("text");
    assert!(all.lines().count() == 8 && all.lines().all(|line| line.contains("/deep/er/out/")), "{all}");
    assert!(out.iter().all(|path| path.split('/').all(|part| !part.starts_with('.') && part != "CON")), "{out:?}");
}

#[test]
fn songs_with_the_same_tags_do_not_share_a_path() {
    let place = Place::new();
    let tags = [("artist", "A"), ("title", "T")];
    tagged(&place, "cd1/1.flac", "0.1", &tags);
    tagged(&place, "cd2/1.flac", "0.2", &tags);
    for (out, template, files) in [
        ("a", TAGS, ["A/Unknown album/T (cd2)/drums.wav", "A/Unknown album/T/drums.wav"]),
        ("b", "{title}-{stem}.{ext}", ["T (cd2)-drums.wav", "T-drums.wav"]),
        ("c", "{stem}/{title}.{ext}", ["drums/T (cd2).wav", "drums/T.wav"]),
        ("d", "{artist}/{stem}.{ext}", ["A/drums (cd2).wav", "A/drums.wav"]),
    ] {
        for inputs in [&["cd1"][..], &["cd2"], &["cd1", "cd2"]] {
            place
                .separate(&[inputs, &["-o", out, "--out-template", template, "--stems", "drums"]].concat())
                .succeeded();
        }
        assert_eq!(place.files(out), files, "{template}");
    }
}

/// `no_vocals` of one song and `vocals` of another.
#[test]
fn names_that_meet_in_the_middle_are_not_replaced() {
    let place = Place::new();
    place.song("a.wav", 3_000);
    place.song("a_no.wav", 3_100);
    let options = ["-o", "out", "--out-template", "{track}_{stem}.{ext}"];
    let run = |arguments: &[&str]| place.separate(&[arguments, &options].concat());
    run(&["a.wav", "--stems", "drums"]).succeeded();
    run(&["a_no.wav", "--stems", "vocals"]).succeeded();
    let files = ["a_drums.wav", "a_no_vocals.wav"];
    assert_eq!(place.files("out"), files);
    let before = std::fs::read(place.path("out/a_no_vocals.wav")).expect("a stem");
    run(&["a.wav", "--two-stems", "vocals"])
        .failed(4, &["out/a_no_vocals.wav", "stem of another song", "--out-template"]);
    assert_eq!(place.files("out"), files);
    assert!(std::fs::read(place.path("out/a_no_vocals.wav")).expect("a stem") == before);
}

#[test]
fn wrong_templates_are_refused() {
    let place = Place::new();
    place.song("song.wav", 5_000);
    for (template, says) in [
        ("../{track}/{stem}.{ext}", "below the output folder"),
        ("/tmp/{stem}.{ext}", "below the output folder"),
        ("{track}/{stem}", "must end"),
        ("{genre}/{stem}.{ext}", "unknown placeholder {genre}; use {artist}, {album}"),
        ("{track}.{ext}", "no {stem}"),
    ] {
        let run = place.separate(&["song.wav", "--out-template", template]);
        assert_eq!(run.code, Some(2), "{template}: {run:?}");
        assert!(run.err.contains(says), "{template}: {}", run.err);
        assert_eq!(place.files("separated"), [""; 0]);
    }
}

/// A file of another program, or of a later version of this one.
#[test]
fn folder_whose_manifest_cannot_be_read_is_not_shared() {
    let place = Place::new();
    place.song("song.wav", 3_000);
    for text in ["{\"mine\": true}", "not JSON", "{\"program\": \"vocalizer\", \"format\": 2, \"shared\": true}"] {
        place.put("out/vocalizer.json", text.as_bytes());
        for more in [&[][..], &["--overwrite"], &["--skip-existing"]] {
            let arguments = [&["song.wav", "-o", "out", "--out-template", "{stem}/{track}.{ext}"], more].concat();
            place.separate(&arguments).failed(4, &["cannot use out", "vocalizer.json there", "-o"]);
            assert_eq!(std::fs::read(place.path("out/vocalizer.json")).expect("the file"), text.as_bytes());
        }
        // A folder of its own is free.
        place.separate(&["song.wav", "-o", "out", "--stems", "drums"]).succeeded();
    }
    assert_eq!(place.files("out"), ["song/drums.wav"]);
}

/// A failure leaves no folder, no manifest and no temporary file.
#[test]
fn failure_leaves_nothing() {
    let place = Place::new();
    place.put("song.mp3", b"no song");
    for template in [TAGS, "{track}-{stem}.{ext}", "{track}/{stem}.{ext}", "{stem}/{track}.{ext}"] {
        place.separate(&["song.mp3", "-o", "out/er", "--out-template", template]).failed(4, &["song.mp3"]);
        assert!(!place.path("out").exists(), "{template}");
    }
}

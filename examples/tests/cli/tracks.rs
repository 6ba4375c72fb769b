//! Files with several tracks, damaged files, and what `info` says about them and about refused ones.

use std::path::PathBuf;

use serde_json::Value;

use super::support::{Place, RATE_HZ, of_kind, read};

/// A file with a quiet and a loud track.
fn two_tracks(place: &Place, name: &str, codecs: [&str; 2]) -> PathBuf {
    let [first, second] = codecs;
    place.ffmpeg(
        name,
        &[
            "sine=440:d=1:r=44100,volume=-20dB",
            "-f",
            "lavfi",
            "-i",
            "sine=880:d=2:r=44100",
            "-map",
            "0:a",
            "-map",
            "1:a",
            "-c:a:0",
            first,
            "-c:a:1",
            second,
            "-metadata:s:a:0",
            "language=eng",
            "-metadata:s:a:1",
            "language=deu",
        ],
    )
}

#[test]
fn track_is_chosen_by_number() {
    let place = Place::new();
    two_tracks(&place, "two.mkv", ["flac", "flac"]);
    for (arguments, seconds) in [(&[][..], 1), (&["--track", "1"], 1), (&["--track", "2"], 2)] {
        place.separate(&[&["two.mkv", "--stems", "drums"], arguments].concat()).succeeded();
        assert_eq!(read(&place.path("separated/two/drums.wav")).0.len(), seconds * RATE_HZ as usize, "{arguments:?}");
    }
    place.separate(&["two.mkv", "--track", "3"]).failed(4, &["track 3", "2"]);
    assert_eq!(place.separate(&["two.mkv", "--track", "0"]).code, Some(2));
}

#[test]
fn info_lists_tracks() {
    let place = Place::new();
    two_tracks(&place, "two.mkv", ["ac3", "flac"]);
    let run = place.run(&["info", "two.mkv"]);
    run.succeeded();
    for text in ["track 1   ac-3", "not supported", "track 2   flac", "deu", "2 audio tracks"] {
        assert!(run.out.contains(text), "{text}: {}", run.out);
    }
    let info: Value = serde_json::from_str(&place.run(&["info", "--json", "two.mkv"]).out).expect("JSON");
    let tracks = info["tracks"].as_array().expect("tracks");
    assert_eq!(
        (tracks.len(), &tracks[0]["is_supported"], &tracks[1]["is_supported"]),
        (2, &false.into(), &true.into())
    );
    assert_eq!((&tracks[1]["language"], &info["warnings"][0]["code"]), (&"deu".into(), &"several_tracks".into()));
    assert_eq!((&info["supported"], &info["frames"]), (&true.into(), &(2 * RATE_HZ).into()));
}

/// The first seven tenths of a file of three seconds.
fn cut(place: &Place, name: &str, arguments: &[&str]) {
    let path = place.ffmpeg(name, &[&["anoisesrc=d=3:r=44100:a=0.1"], arguments].concat());
    let bytes = std::fs::read(&path).expect("a file");
    std::fs::write(&path, &bytes[..bytes.len() * 7 / 10]).expect("a shorter file");
}

/// The same rule in each container.
#[test]
fn damage_is_a_warning_unless_strict() {
    let place = Place::new();
    cut(&place, "cut.mp3", &["-b:a", "128k"]);
    cut(&place, "cut.flac", &[]);
    cut(&place, "cut.m4a", &["-movflags", "+faststart"]);
    cut(&place, "cut.wav", &[]);
    for name in ["cut.mp3", "cut.flac", "cut.m4a", "cut.wav"] {
        let arguments = [name, "--stems", "drums", "-o", name.trim_start_matches("cut.")];
        let (events, run) = place.events(&arguments);
        assert_eq!(run.code, Some(0), "{run:?}");
        let warnings = of_kind(&events, "warning");
        assert_eq!(
            (warnings.len(), &warnings[0]["code"], &warnings[0]["input"]),
            (1, &"ends_early".into(), &name.into()),
            "{run:?}"
        );
        let done = of_kind(&events, "done")[0];
        assert_eq!(
            (&done["warnings"][0]["code"], &done["warnings"][0]["message"]),
            (&"ends_early".into(), &warnings[0]["message"])
        );
        let result = place.manifest(&format!("{}/cut", arguments[4]))["songs"][0]["results"][0].clone();
        assert_eq!(result["warnings"], done["warnings"]);
        let run = place.separate(&arguments);
        assert!(run.err.contains(&format!("{name}: warning: the file ends early")), "{}", run.err);
        place.separate(&[name, "--stems", "drums", "--strict", "-o", "strict"]).failed(4, &[name]);
        assert!(!place.path("strict").exists());
        // A result with warnings is not good enough for a strict run.
        place.separate(&[&arguments[..], &["--strict", "--skip-existing"]].concat()).failed(4, &[name]);
        let run = place.separate(&[&arguments[..], &["--skip-existing"]].concat());
        assert!(run.err.contains("skipped"), "{}", run.err);
        let run = place.run(&["info", name]);
        run.succeeded();
        assert!(run.out.contains("  warning   the file ends early"), "{name}: {}", run.out);
    }
}

/// Files that are refused: exit code 4, and a word on what they are.
#[test]
fn info_says_what_a_refused_file_is() {
    let place = Place::new();
    place.put(
        "song.wma",
        b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c, and then the rest of the header",
    );
    place.put("song.ape", b"MAC \x96\x0f\0\0, and then the rest of the header");
    place.put("song.mid", b"MThd\0\0\0\x06\0\x01\0\x02\x01\xe0, and then the rest of the header");
    for (name, format) in [("song.wma", "WMA"), ("song.ape", "Monkey's Audio"), ("song.mid", "MIDI")] {
        let run = place.run(&["info", name]);
        run.failed(4, &[name, "unsupported"]);
        assert!(run.out.contains(format) && run.out.contains("(refused)"), "{name}: {}", run.out);
        let run = place.run(&["info", "--json", name]);
        let events = run.events();
        assert_eq!((run.code, events.len()), (Some(4), 2), "{run:?}");
        assert!(
            events[0]["format"].as_str().is_some_and(|text| text.contains(format)) && events[0]["supported"] == false,
            "{run:?}"
        );
        assert!(events[1]["error"].as_str().is_some_and(|text| text.contains("unsupported")), "{run:?}");
    }
    place.put("image.mp3", b"\x89PNG\r\n\x1a\n, and then the rest of the picture");
    place.run(&["info", "image.mp3"]).failed(4, &["image.mp3", "picture"]);
}

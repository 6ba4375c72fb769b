//! What the command says: to people, to pipes, to programs, to shells.

use std::process::{Command, Stdio};

use serde_json::Value;

use super::support::{Place, RATE_HZ, Ran, STEMS, tiny};

#[test]
fn json_lines_tell_every_step() {
    let place = Place::new();
    let song = place.song("song.wav", RATE_HZ as usize * 3);
    place.put("empty.mp3", b"");
    let ran = place.separate(&["song.wav", "empty.mp3", "--json"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(1), ""));
    let events: Vec<Value> = ran.out.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    let of = |kind: &str| events.iter().filter(|e| e["event"] == kind).collect::<Vec<_>>();
    let stages: Vec<_> = of("stage").into_iter().filter(|e| e["input"] == "song.wav").map(|e| &e["stage"]).collect();
    assert_eq!(stages, ["reading", "separating", "writing"]);
    let progress: Vec<_> = of("progress").iter().map(|e| e["done_s"].as_f64().expect("seconds")).collect();
    assert!(progress.is_sorted() && progress.first() == Some(&0.0) && progress.last() == Some(&3.0), "{progress:?}");
    assert_eq!(of("stem").len(), 4);
    let done = of("done");
    let [done] = done[..] else { panic!("one song is done: {}", ran.out) };
    assert_eq!((&done["frames"], &done["rate_hz"]), (&(RATE_HZ * 3).into(), &RATE_HZ.into()));
    for file in done["files"].as_array().expect("files") {
        assert!(place.path(file.as_str().expect("a path")).is_file());
    }
    let errors = of("error");
    let [error] = errors[..] else { panic!("one song fails: {}", ran.out) };
    assert_eq!(error["input"], "empty.mp3");
    assert!(song.is_file());
}

#[test]
fn a_profile_tells_what_each_layer_cost() {
    let place = Place::new();
    place.song("one.wav", RATE_HZ as usize * 3);
    place.song("two.wav", 5_000);
    place.separate(&["one.wav", "two.wav", "--threads", "1", "--profile-json", "profile.json"]).done();
    let text = std::fs::read_to_string(place.path("profile.json")).expect("a profile");
    let songs: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    let [one, two] = &songs[..] else { panic!("two songs: {text}") };
    assert_eq!((&one["input"], &two["input"], &one["song_s"]), (&"one.wav".into(), &"two.wav".into(), &3.0.into()));
    let profile = &one["profile"];
    assert!(profile["segments"].as_u64() > Some(1) && profile["threads"] == 1, "{profile}");
    let number = |value: &Value, key: &str| value[key].as_f64().unwrap_or_else(|| panic!("{key} in {value}"));
    let operations = profile["operations"].as_array().expect("operations");
    let seconds: f64 = operations.iter().map(|one| number(one, "seconds")).sum();
    assert!((0.9..1.01).contains(&(seconds / number(profile, "seconds"))), "the parts are the whole: {profile}");
    let conv = operations.iter().find(|one| one["layer"] == "decoder.0" && one["operation"] == "conv_glu");
    let conv = conv.expect("a layer by its name in the weights");
    for key in ["seconds", "gflop", "gflop_per_s", "bytes", "share_of_floor"] {
        assert!(number(conv, key) > 0.0, "{key} of {conv}");
    }
    let gflop = |of: &Value| -> f64 {
        let operations = of["profile"]["operations"].as_array().expect("operations");
        let all: f64 = operations.iter().map(|one| number(one, "gflop")).sum();
        all / number(&of["profile"], "segments")
    };
    assert!((gflop(one) / gflop(two) - 1.0).abs() < 1e-6, "every segment costs the same arithmetic");
}

#[test]
fn a_pipe_gets_plain_lines() {
    let place = Place::new();
    place.song("song.wav", RATE_HZ as usize * 3);
    let ran = place.separate(&["song.wav"]);
    ran.done();
    assert!(ran.err.lines().any(|line| line.starts_with("song.wav: 100% (")), "{}", ran.err);
    assert!(ran.err.lines().last().is_some_and(|line| line.contains("x real time")), "{}", ran.err);
    assert!(!ran.err.contains(['\r', '\x1b']), "{:?}", ran.err);
}

#[test]
fn a_reader_that_goes_away_harms_no_song() {
    let place = Place::new();
    place.song("song.wav", 20_000);
    let mut command = place.command();
    command.args(["separate", "song.wav", "--json", "--model"]).arg(tiny());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a child");
    drop(child.stdout.take());
    let ran = Ran::from(child.wait_with_output().expect("an end"));
    ran.done();
    assert_eq!(place.files("separated/song"), STEMS.map(|stem| format!("{stem}.wav")));
}

#[test]
fn info_tells_what_a_file_holds() {
    let place = Place::new();
    place.ffmpeg("song.flac", &["sine=440:r=48000:d=61.5", "-ac", "1"]);
    let ran = place.run(&["info", "song.flac"]);
    ran.done();
    for text in ["song.flac", "flac", "48000 Hz", "1:01.500 (2952000 frames)"] {
        assert!(ran.out.contains(text), "{text}: {}", ran.out);
    }
    let told: Value = serde_json::from_str(&place.run(&["info", "--json", "song.flac"]).out).expect("JSON");
    assert_eq!((&told["channels"], &told["rate_hz"], &told["frames"]), (&1.into(), &48_000.into(), &2_952_000.into()));
    let sum = Command::new("sha256sum").arg(place.path("song.flac")).output().expect("sha256sum").stdout;
    assert_eq!(told["hash"].as_str().map(str::as_bytes), sum.get(..64));
}

#[test]
fn wrong_options_say_what_would_be_right() {
    let place = Place::new();
    place.song("song.wav", 5_000);
    for (arguments, says) in [
        (&["--bitrate", "123", "--format", "mp3"][..], "320"),
        (&["--overlap", "1"], "overlap"),
        (&["--segment", "0"], "segment"),
        (&["--segment", "1000"], "segment"),
        (&["--stems", "guitar"], "drums, bass, other, vocals"),
        (&["--two-stems", "piano"], "drums, bass, other, vocals"),
        (&["--stems", "voice"], "voice"),
        (&["--format", "ogg"], "flac"),
        (&["--stems", "drums", "--two-stems", "vocals"], "--two-stems"),
        (&["--threads", "0"], "1..=1024"),
        (&["--rate", "48000"], "44100"),
    ] {
        let ran = place.separate(&[&["song.wav"], arguments].concat());
        assert_eq!(ran.code, Some(2), "{arguments:?}: {ran:?}");
        assert!(ran.err.contains(says), "{arguments:?}: {}", ran.err);
        assert_eq!(place.files("separated"), [""; 0]);
    }
    assert_eq!(place.run(&["separate"]).code, Some(2));
    assert_eq!(place.run(&[]).code, Some(2));
}

#[test]
fn help_tells_the_exit_codes() {
    let place = Place::new();
    for arguments in [&["--help"][..], &["separate", "--help"]] {
        let ran = place.run(arguments);
        ran.done();
        for line in ["0    success", "4    all inputs failed", "130  interrupted"] {
            assert!(ran.out.contains(line), "{}", ran.out);
        }
    }
}

#[test]
fn completions_and_the_manual_page_are_sound() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = place.run(&["completions", shell]);
        ran.done();
        assert!(ran.out.contains("two-stems"), "{shell}");
        if shell == "bash" {
            let file = place.put("completions", ran.out.as_bytes());
            assert!(Command::new("bash").arg("-n").arg(file).status().expect("bash").success());
        }
    }
    let ran = place.run(&["man"]);
    ran.done();
    for text in [".TH vocalizer 1", ".SH SYNOPSIS", "separate"] {
        assert!(ran.out.contains(text), "{text}");
    }
    let ran = place.run(&["man", "separate"]);
    ran.done();
    for text in ["two\\-stems", "all inputs failed"] {
        assert!(ran.out.contains(text), "{text}");
    }
    place.run(&["man", "dance"]).failed(2, &["separate, models, devices, info"]);
}

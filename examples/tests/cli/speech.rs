//! Output for people, pipes, programs and shells.

use std::process::{Command, Stdio};

use serde_json::Value;

use super::support::{Place, RATE_HZ, Run, STEMS, tiny};

#[test]
fn json_output_reports_every_step() {
    let place = Place::new();
    let song = place.song("song.wav", RATE_HZ as usize * 3);
    place.put("empty.mp3", b"");
    let run = place.separate(&["song.wav", "empty.mp3", "--json"]);
    assert_eq!((run.code, run.err.as_str()), (Some(1), ""));
    let events: Vec<Value> = run.out.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    let events_of = |kind: &str| events.iter().filter(|e| e["event"] == kind).collect::<Vec<_>>();
    let stages: Vec<_> =
        events_of("stage").into_iter().filter(|e| e["input"] == "song.wav").map(|e| &e["stage"]).collect();
    assert_eq!(stages, ["reading", "separating", "writing"]);
    let progress: Vec<_> = events_of("progress").iter().map(|e| e["done_s"].as_f64().expect("seconds")).collect();
    assert!(progress.is_sorted() && progress.first() == Some(&0.0) && progress.last() == Some(&3.0), "{progress:?}");
    assert_eq!(events_of("stem").len(), 4);
    let done = events_of("done");
    let [done] = done[..] else { panic!("expected one finished song: {}", run.out) };
    assert_eq!((&done["frames"], &done["rate_hz"]), (&(RATE_HZ * 3).into(), &RATE_HZ.into()));
    for file in done["files"].as_array().expect("files") {
        assert!(place.path(file.as_str().expect("a path")).is_file());
    }
    let errors = events_of("error");
    let [error] = errors[..] else { panic!("expected one failed song: {}", run.out) };
    assert_eq!(error["input"], "empty.mp3");
    assert!(song.is_file());
}

#[test]
fn profile_reports_cost_of_each_layer() {
    let place = Place::new();
    place.song("one.wav", RATE_HZ as usize * 3);
    place.song("two.wav", 5_000);
    place.separate(&["one.wav", "two.wav", "--threads", "1", "--profile-json", "profile.json"]).succeeded();
    let text = std::fs::read_to_string(place.path("profile.json")).expect("a profile");
    let songs: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    let [one, two] = &songs[..] else { panic!("expected two songs: {text}") };
    assert_eq!((&one["input"], &two["input"], &one["song_s"]), (&"one.wav".into(), &"two.wav".into(), &3.0.into()));
    let profile = &one["profile"];
    assert!(profile["segments"].as_u64() > Some(1) && profile["threads"] == 1, "{profile}");
    let number = |value: &Value, key: &str| value[key].as_f64().unwrap_or_else(|| panic!("{key} in {value}"));
    let operations = profile["operations"].as_array().expect("operations");
    let seconds: f64 = operations.iter().map(|one| number(one, "seconds")).sum();
    assert!(
        (0.9..1.01).contains(&(seconds / number(profile, "seconds"))),
        "the operations add up to the total: {profile}"
    );
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
    assert!((gflop(one) / gflop(two) - 1.0).abs() < 1e-6, "every segment takes the same number of operations");
}

#[test]
fn piped_output_is_plain_lines() {
    let place = Place::new();
    place.song("song.wav", RATE_HZ as usize * 3);
    let run = place.separate(&["song.wav"]);
    run.succeeded();
    assert!(run.err.lines().any(|line| line.starts_with("song.wav: 100% (")), "{}", run.err);
    assert!(run.err.lines().last().is_some_and(|line| line.contains("x real time")), "{}", run.err);
    assert!(!run.err.contains(['\r', '\x1b']), "{:?}", run.err);
}

#[test]
fn closed_stdout_does_not_stop_separation() {
    let place = Place::new();
    place.song("song.wav", 20_000);
    let mut command = place.command();
    command.args(["separate", "song.wav", "--json", "--model"]).arg(tiny());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a child");
    drop(child.stdout.take());
    let run = Run::from(child.wait_with_output().expect("an exit status"));
    run.succeeded();
    assert_eq!(place.files("separated/song"), STEMS.map(|stem| format!("{stem}.wav")));
}

#[test]
fn info_describes_a_file() {
    let place = Place::new();
    place.ffmpeg("song.flac", &["sine=440:r=48000:d=61.5", "-ac", "1"]);
    let run = place.run(&["info", "song.flac"]);
    run.succeeded();
    for text in ["song.flac", "flac", "48000 Hz", "1:01.500 (2952000 frames)"] {
        assert!(run.out.contains(text), "{text}: {}", run.out);
    }
    let info: Value = serde_json::from_str(&place.run(&["info", "--json", "song.flac"]).out).expect("JSON");
    assert_eq!((&info["channels"], &info["rate_hz"], &info["frames"]), (&1.into(), &48_000.into(), &2_952_000.into()));
    let sum = Command::new("sha256sum").arg(place.path("song.flac")).output().expect("sha256sum").stdout;
    assert_eq!(info["hash"].as_str().map(str::as_bytes), sum.get(..64));
}

#[test]
fn info_finds_tempo_and_key() {
    let place = Place::new();
    let demo = concat!(env!("CARGO_MANIFEST_DIR"), "/../demo/first-light.mp3");
    let run = place.run(&["info", demo]);
    run.succeeded();
    assert!(run.out.contains("  tempo     104") && run.out.contains("  key       A\n"), "{}", run.out);
    let info: Value = serde_json::from_str(&place.run(&["info", "--json", demo]).out).expect("JSON");
    assert_eq!((&info["key"]["tonic"], &info["key"]["mode"]), (&"A".into(), &"major".into()));
    assert!(info["tempo"]["bpm"].as_f64().is_some_and(|bpm| (bpm - 104.0).abs() < 0.3), "{info}");
}

#[test]
fn invalid_options_name_the_valid_values() {
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
        let run = place.separate(&[&["song.wav"], arguments].concat());
        assert_eq!(run.code, Some(2), "{arguments:?}: {run:?}");
        assert!(run.err.contains(says), "{arguments:?}: {}", run.err);
        assert_eq!(place.files("separated"), [""; 0]);
    }
    assert_eq!(place.run(&["separate"]).code, Some(2));
    assert_eq!(place.run(&[]).code, Some(2));
}

#[test]
fn help_lists_exit_codes() {
    let place = Place::new();
    for arguments in [&["--help"][..], &["separate", "--help"]] {
        let run = place.run(arguments);
        run.succeeded();
        for line in ["0    success", "4    all inputs failed", "130  interrupted"] {
            assert!(run.out.contains(line), "{}", run.out);
        }
    }
}

#[test]
fn completions_and_man_pages_are_valid() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let run = place.run(&["completions", shell]);
        run.succeeded();
        assert!(run.out.contains("two-stems"), "{shell}");
        if shell == "bash" {
            let file = place.put("completions", run.out.as_bytes());
            assert!(Command::new("bash").arg("-n").arg(file).status().expect("bash").success());
        }
    }
    let run = place.run(&["man"]);
    run.succeeded();
    for text in [".TH vocalizer 1", ".SH SYNOPSIS", "separate"] {
        assert!(run.out.contains(text), "{text}");
    }
    let run = place.run(&["man", "separate"]);
    run.succeeded();
    for text in ["two\\-stems", "all inputs failed"] {
        assert!(run.out.contains(text), "{text}");
    }
    place.run(&["man", "dance"]).failed(2, &["separate, watch, models, evaluate, devices, info"]);
}

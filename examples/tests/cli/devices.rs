//! What there is to compute on, and what is said where it is not there.

use std::process::Command;

use serde_json::Value;

use super::support::{Place, Ran, STEMS, tiny};

/// What `vocalizer devices` finds.
fn devices(place: &Place) -> Vec<String> {
    let ran = place.run(&["devices", "--json"]);
    ran.done();
    let lines = ran.out.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
    lines.map(|device| device["id"].as_str().expect("an id").to_owned()).collect()
}

#[test]
fn the_cpu_is_listed_first_and_what_is_missing_is_said() {
    let place = Place::new();
    let found = devices(&place);
    assert_eq!(found[0], "cpu");
    let ran = place.run(&["devices"]);
    ran.done();
    for id in &found {
        assert!(ran.out.lines().any(|line| line.split_whitespace().next() == Some(id)), "{id} in {}", ran.out);
    }
    for (interface, built) in [("cuda", cfg!(feature = "cuda")), ("wgpu", cfg!(feature = "wgpu"))] {
        let is_there = found.iter().any(|id| id.starts_with(interface));
        assert!(built || !is_there, "{found:?}");
        let says = if built { "(no device found)" } else { "(not supported by this build)" };
        let line = ran.out.lines().find(|line| line.split_whitespace().next() == Some(interface));
        assert_eq!(line.map(|line| line.ends_with(says)), (!is_there).then_some(true), "{interface} in {}", ran.out);
    }
}

#[test]
fn a_device_that_is_not_there_is_an_error_and_nothing_is_written() {
    let place = Place::new();
    place.song("song.wav", 5_000);
    for device in ["cuda:99", "wgpu:99"] {
        place
            .separate(&["song.wav", "--device", device])
            .failed(5, &["cannot compute on", device.split_once(':').unwrap().0]);
    }
    assert_eq!(place.files("separated"), [""; 0]);
    let ran = place.separate(&["song.wav", "--device", "gpu"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("expected auto, cpu, wgpu or cuda"), "{}", ran.err);
    place
        .separate(&["song.wav", "--device", "cpu", "--precision", "f16"])
        .failed(2, &["the CPU computes in f32, not in f16"]);
}

/// No driver for anything: as on a machine without a card.
#[test]
fn the_cpu_is_taken_where_there_is_no_card() {
    let place = Place::new();
    place.song("song.wav", 5_000);
    let mut command = place.command();
    command.args(["separate", "song.wav", "--device", "auto", "--model"]).arg(tiny());
    let ran = Ran::of(command.env("VK_DRIVER_FILES", "/nowhere.json").env("CUDA_VISIBLE_DEVICES", ""));
    ran.done();
    assert_eq!(place.files("separated"), STEMS.map(|stem| format!("song/{stem}.wav")));
    if cfg!(any(feature = "wgpu", feature = "cuda")) {
        assert!(ran.err.contains("computing on the CPU"), "{}", ran.err);
    }
}

#[test]
fn a_song_through_every_device() {
    let place = Place::new();
    place.song("song.wav", 5_000);
    for device in devices(&place) {
        let ran = place.separate(&["song.wav", "--device", &device, "-o", &device]);
        ran.done();
        assert_eq!(place.files(&device), STEMS.map(|stem| format!("song/{stem}.wav")), "{device}");
        if device != "cpu" {
            assert!(ran.err.contains(&format!("computing on {device}")), "{}", ran.err);
        }
    }
}

#[test]
fn a_worker_that_is_told_to_use_a_card_that_is_not_there_ends_at_once() {
    let place = Place::new();
    let mut command = place.prepared(Command::new(env!("CARGO_BIN_EXE_worker")));
    command.env("DEVICE", "cuda:99").env("MODEL", tiny()).env("WORKER_TOKEN", "0123456789abcdef0123456789abcdef");
    let ran = Ran::of(command.env("BACKEND_ADDR", "http://127.0.0.1:9").env("LISTEN_ADDR", "127.0.0.1:0"));
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("cannot compute on cuda"), "{}", ran.err);
}

//! Compute devices, and errors for missing ones.

use serde_json::Value;

use super::support::{Place, Run, STEMS, tiny};

/// The identifiers that `vocalizer devices` lists.
fn devices(place: &Place) -> Vec<String> {
    let run = place.run(&["devices", "--json"]);
    run.succeeded();
    let lines = run.out.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
    lines.map(|device| device["id"].as_str().expect("an id").to_owned()).collect()
}

#[test]
fn cpu_is_listed_first_with_reasons_for_missing_devices() {
    let place = Place::new();
    let found = devices(&place);
    assert_eq!(found[0], "cpu");
    let run = place.run(&["devices"]);
    run.succeeded();
    for id in &found {
        assert!(run.out.lines().any(|line| line.split_whitespace().next() == Some(id)), "{id} in {}", run.out);
    }
    for (interface, built) in [("cuda", cfg!(feature = "cuda")), ("wgpu", cfg!(feature = "wgpu"))] {
        let is_there = found.iter().any(|id| id.starts_with(interface));
        assert!(built || !is_there, "{found:?}");
        let says = if built { "(no device found)" } else { "(not supported by this build)" };
        let line = run.out.lines().find(|line| line.split_whitespace().next() == Some(interface));
        assert_eq!(line.map(|line| line.ends_with(says)), (!is_there).then_some(true), "{interface} in {}", run.out);
    }
}

#[test]
fn missing_device_is_an_error_and_writes_nothing() {
    let place = Place::new();
    place.song("song.wav", 5_000);
    for device in ["cuda:99", "wgpu:99"] {
        place
            .separate(&["song.wav", "--device", device])
            .failed(5, &["cannot compute on", device.split_once(':').unwrap().0]);
    }
    assert_eq!(place.files("separated"), [""; 0]);
    let run = place.separate(&["song.wav", "--device", "gpu"]);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.err.contains("expected auto, cpu, wgpu or cuda"), "{}", run.err);
    place
        .separate(&["song.wav", "--device", "cpu", "--precision", "f16"])
        .failed(2, &["the CPU computes in f32, bf16, int16 or int8, not in f16"]);
    place
        .separate(&["song.wav", "--precision", "f64"])
        .misused(&["unknown precision 'f64'", "expected auto, f32, f16, bf16, int16 or int8"]);
}

/// No GPU driver, as on a machine without a GPU.
#[test]
fn auto_falls_back_to_cpu_without_gpu() {
    let place = Place::new();
    place.song("song.wav", 5_000);
    let mut command = place.command();
    command.args(["separate", "song.wav", "--device", "auto", "--model"]).arg(tiny());
    let run = Run::of(command.env("VK_DRIVER_FILES", "/nowhere.json").env("CUDA_VISIBLE_DEVICES", ""));
    run.succeeded();
    assert_eq!(place.files("separated"), STEMS.map(|stem| format!("song/{stem}.wav")));
    if cfg!(any(feature = "wgpu", feature = "cuda")) {
        assert!(run.err.contains("computing on the CPU"), "{}", run.err);
    }
}

#[test]
fn every_device_separates_a_song() {
    let place = Place::new();
    place.song("song.wav", 5_000);
    for device in devices(&place) {
        let run = place.separate(&["song.wav", "--device", &device, "-o", &device]);
        run.succeeded();
        assert_eq!(place.files(&device), STEMS.map(|stem| format!("song/{stem}.wav")), "{device}");
        if device != "cpu" {
            assert!(run.err.contains(&format!("computing on {device}")), "{}", run.err);
        }
    }
}

#[test]
fn worker_with_missing_gpu_exits_at_once() {
    let place = Place::new();
    let mut command = place.command();
    command
        .arg("worker")
        .env("DEVICE", "cuda:99")
        .env("MODEL", tiny())
        .env("WORKER_TOKEN", "0123456789abcdef0123456789abcdef");
    let run = Run::of(command.env("BACKEND_ADDR", "http://127.0.0.1:9").env("LISTEN_ADDR", "127.0.0.1:0"));
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.err.contains("cannot compute on cuda"), "{}", run.err);
}

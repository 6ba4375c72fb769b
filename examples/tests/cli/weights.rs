//! Missing, invalid and unreachable model weights.

use super::support::{Place, Run, tiny};

/// Writes the tiny model with one header text replaced by another of the same length.
fn changed(place: &Place, from: &str, to: &str) -> String {
    assert_eq!(from.len(), to.len());
    let mut bytes = std::fs::read(tiny()).expect("the tiny model");
    let at = bytes.windows(from.len()).position(|window| window == from.as_bytes()).expect("the text");
    bytes[at..at + from.len()].copy_from_slice(to.as_bytes());
    place.put("changed.safetensors", &bytes).to_str().expect("a plain path").to_owned()
}

fn separate_with(place: &Place, model: &str) -> Run {
    place.song("song.wav", 5_000);
    let run = place.run(&["separate", "song.wav", "--model", model]);
    assert_eq!(place.files("separated"), [""; 0]);
    run
}

#[test]
fn unknown_model_error_lists_known_models() {
    let place = Place::new();
    for arguments in [&["models", "fetch", "spleeter"][..], &["models", "path", "spleeter"]] {
        place.run(arguments).failed(2, &["spleeter", "htdemucs, htdemucs_ft, htdemucs_6s"]);
    }
    separate_with(&place, "spleeter").failed(3, &["spleeter", "htdemucs, htdemucs_ft, htdemucs_6s"]);
}

#[test]
fn missing_or_malformed_weights_file_is_an_error() {
    let place = Place::new();
    separate_with(&place, "mine.safetensors").failed(3, &["mine.safetensors", "No such file"]);
    place.put("text.safetensors", b"these are not weights");
    separate_with(&place, "text.safetensors").failed(3, &["text.safetensors", "malformed"]);
}

#[test]
fn weights_with_wrong_tensors_are_rejected() {
    let place = Place::new();
    let missing = changed(&place, "channel_upsampler.bias", "channel_upsampler.bi_s");
    separate_with(&place, &missing).failed(3, &["changed.safetensors", "channel_upsampler.bias"]);
    let shape = changed(&place, "[64,32,1]", "[32,64,1]");
    separate_with(&place, &shape).failed(3, &["changed.safetensors", "channel_downsampler.weight", "[64, 32, 1]"]);
}

/// Weights in the cache that are cut or changed are fetched again; here, no source can be reached.
#[test]
fn modified_cached_weights_are_not_used() {
    let place = Place::new();
    place.song("song.wav", 5_000);
    let path = place.run(&["models", "path", "htdemucs"]).out;
    let tiny = std::fs::read(tiny()).expect("the tiny model");
    for bytes in [&tiny[..], &tiny[..tiny.len() / 2]] {
        place.put(path.trim_end(), bytes);
        let mut command = place.command();
        command.env("npm_config_registry", "http://127.0.0.1:9").env("npm_config_fetch_retries", "0");
        let run = Run::of(command.args(["separate", "song.wav"]));
        run.failed(3, &["955717e8.safetensors", "could not be downloaded", "the cache"]);
        assert_eq!(place.files("separated"), [""; 0]);
    }
    assert_eq!(std::fs::read(path.trim_end()).expect("the file").len(), tiny.len() / 2, "kept until there is another");
}

#[test]
fn unreachable_download_sources_are_named() {
    let place = Place::new();
    place.song("song.wav", 5_000);
    let mut command = place.command();
    // Nothing listens on this port, neither as the hub nor as a proxy to any other source.
    command.env("npm_config_registry", "http://127.0.0.1:9").args(["separate", "song.wav"]);
    let run = Run::of(&mut command);
    run.failed(3, &["955717e8.safetensors", "could not be downloaded", "npm", "ECONNREFUSED", "VOCALIZER_HUB"]);
    assert!(
        run.err.contains("80.13 MiB") && run.err.contains("research"),
        "size and licence are printed first: {}",
        run.err
    );
    assert_eq!(place.files("cache"), ["models/955717e8.safetensors.lock"], "only the lock file remains");
}

#[test]
fn models_lists_what_is_cached() {
    let place = Place::new();
    let run = place.run(&["models"]);
    run.succeeded();
    for model in ["htdemucs ", "htdemucs_ft ", "htdemucs_6s "] {
        let line = run.out.lines().find(|line| line.starts_with(model));
        assert!(line.is_some_and(|line| line.contains("not fetched") && line.contains("vocals")), "{}", run.out);
    }
}

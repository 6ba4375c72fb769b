//! Weights that are not there, or not what they should be.

use super::support::{Place, Ran, tiny};

/// The tiny model with one text of its header put in place of another as long.
fn changed(place: &Place, from: &str, to: &str) -> String {
    assert_eq!(from.len(), to.len());
    let mut bytes = std::fs::read(tiny()).expect("the tiny model");
    let at = bytes.windows(from.len()).position(|window| window == from.as_bytes()).expect("the text");
    bytes[at..at + from.len()].copy_from_slice(to.as_bytes());
    place.put("changed.safetensors", &bytes).to_str().expect("a plain path").to_owned()
}

fn separate_with(place: &Place, model: &str) -> Ran {
    place.song("song.wav", 5_000);
    let ran = place.run(&["separate", "song.wav", "--model", model]);
    assert_eq!(place.files("separated"), [""; 0]);
    ran
}

#[test]
fn an_unknown_model_lists_the_known_ones() {
    let place = Place::new();
    for arguments in [&["models", "fetch", "spleeter"][..], &["models", "path", "spleeter"]] {
        place.run(arguments).failed(2, &["spleeter", "htdemucs, htdemucs_ft, htdemucs_6s"]);
    }
    separate_with(&place, "spleeter").failed(3, &["spleeter", "htdemucs, htdemucs_ft, htdemucs_6s"]);
}

#[test]
fn a_file_that_is_missing_or_no_weights() {
    let place = Place::new();
    separate_with(&place, "mine.safetensors").failed(3, &["mine.safetensors", "No such file"]);
    place.put("text.safetensors", b"these are no weights");
    separate_with(&place, "text.safetensors").failed(3, &["text.safetensors", "malformed"]);
}

#[test]
fn weights_that_do_not_fit_the_network() {
    let place = Place::new();
    let missing = changed(&place, "channel_upsampler.bias", "channel_upsampler.bi_s");
    separate_with(&place, &missing).failed(3, &["changed.safetensors", "channel_upsampler.bias"]);
    let shape = changed(&place, "[64,32,1]", "[32,64,1]");
    separate_with(&place, &shape).failed(3, &["changed.safetensors", "channel_downsampler.weight", "[64, 32, 1]"]);
}

#[test]
fn cached_weights_that_changed_are_not_used() {
    let place = Place::new();
    let path = place.run(&["models", "path", "htdemucs"]).out;
    let tiny = std::fs::read(tiny()).expect("the tiny model");
    place.put(path.trim_end(), &tiny);
    separate_with(&place, "htdemucs").failed(3, &["955717e8.safetensors", "SHA-256", "delete the file"]);
}

#[test]
fn sources_that_cannot_be_reached_are_named() {
    let place = Place::new();
    place.song("song.wav", 5_000);
    let mut command = place.command();
    // Nothing answers at this port, neither as the hub nor as a proxy on the way to any other source.
    command.env("npm_config_registry", "http://127.0.0.1:9").args(["separate", "song.wav"]);
    let ran = Ran::of(&mut command);
    ran.failed(3, &["955717e8.safetensors", "could not be downloaded", "npm", "ECONNREFUSED", "VOCALIZER_HUB"]);
    assert!(ran.err.contains("80.13 MiB") && ran.err.contains("research"), "size and licence come first: {}", ran.err);
    assert_eq!(place.files("cache"), ["models/955717e8.safetensors.lock"], "nothing but what keeps others waiting");
}

#[test]
fn the_list_tells_what_is_here() {
    let place = Place::new();
    let ran = place.run(&["models"]);
    ran.done();
    for model in ["htdemucs ", "htdemucs_ft ", "htdemucs_6s "] {
        let line = ran.out.lines().find(|line| line.starts_with(model));
        assert!(line.is_some_and(|line| line.contains("not fetched") && line.contains("vocals")), "{}", ran.out);
    }
}

//! Models with other stems than the usual ones, and recipes.

use std::path::Path;

use super::support::{Place, Run};

/// A tiny model that separates vocals and leaves the instrumental.
fn separate(place: &Place, arguments: &[&str]) -> Run {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vocalizer-model/tests/golden/tiny-bs-512.safetensors");
    Run::of(place.command().args(["separate", "--model"]).arg(model).args(arguments))
}

#[test]
fn stems_of_any_name_are_written() {
    let place = Place::new();
    place.song("song.wav", 5_000);
    separate(&place, &["song.wav"]).succeeded();
    assert_eq!(place.files("separated"), ["song/instrumental.wav", "song/vocals.wav"]);
    separate(&place, &["song.wav", "-o", "one", "--stems", "instrumental"]).succeeded();
    assert_eq!(place.files("one"), ["song/instrumental.wav"]);
    for method in ["add", "minus"] {
        separate(&place, &["song.wav", "-o", method, "--two-stems", "vocals", "--other-method", method]).succeeded();
        assert_eq!(place.files(method), ["song/no_vocals.wav", "song/vocals.wav"]);
    }
    separate(&place, &["song.wav", "-o", "no", "--two-stems", "instrumental"]).succeeded();
    assert_eq!(place.files("no"), ["song/instrumental.wav", "song/no_instrumental.wav"]);
}

#[test]
fn missing_stem_error_lists_the_stems_of_the_model() {
    let place = Place::new();
    place.song("song.wav", 5_000);
    for arguments in [["--stems", "kick"], ["--two-stems", "kick"], ["--mix-minus", "kick"]] {
        let run = separate(&place, &[&["song.wav"][..], &arguments].concat());
        run.failed(2, &["no stem 'kick'; it has vocals, instrumental"]);
    }
    separate(&place, &["song.wav", "--stems", "Vocals"]).misused(&["Vocals", "lower-case letters"]);
    assert_eq!(place.files("separated"), [""; 0]);
}

/// Files of any stem of the model are left alone, not only of the usual stems.
#[test]
fn stem_of_any_name_does_not_replace_a_file() {
    let place = Place::new();
    place.song("in/song.wav", 5_000);
    for name in ["song_instrumental.wav", "song_no_instrumental.wav"] {
        let other = place.put(&format!("{name}.d/{name}"), b"precious");
        let folder = format!("{name}.d");
        let arguments = ["in/song.wav", "-o", &folder, "--out-template", "{track}_{stem}.{ext}"];
        separate(&place, &[&arguments[..], &["--two-stems", "instrumental"]].concat()).succeeded();
        assert_eq!(std::fs::read(other).expect("the file"), b"precious");
        let stems = ["song (in)_instrumental.wav", "song (in)_no_instrumental.wav", name];
        assert_eq!(place.files(&folder), stems);
    }
}

#[test]
fn recipe_names_the_weights_that_it_needs() {
    let place = Place::new();
    place.song("song.wav", 5_000);
    let paths = place.run(&["models", "path", "best"]);
    paths.succeeded();
    assert!(paths.out.lines().count() == 2 && paths.out.contains("mel-roformer-kim"), "{}", paths.out);
    let list = place.run(&["models"]);
    list.succeeded();
    let best = list.out.lines().find(|line| line.starts_with("best ")).unwrap_or_else(|| panic!("{}", list.out));
    assert!(best.contains("not fetched") && best.contains(" MIT "), "{best}");
    let shown = place.run(&["models", "show", "best"]);
    shown.succeeded();
    for text in ["mel-roformer-kim, licence: MIT, stated by", "scnet-large, licence: MIT", "28.5 times htdemucs"] {
        assert!(shown.out.contains(text), "{text}: {}", shown.out);
    }
    let mut command = place.command();
    let run = Run::of(
        command.env("npm_config_registry", "http://127.0.0.1:9").args(["separate", "song.wav", "--model", "best"]),
    );
    run.failed(3, &["MelBandRoformer.ckpt could not be downloaded"]);
    assert_eq!(place.files("separated"), [""; 0]);
}

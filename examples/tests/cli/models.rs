//! The list of models, what is shown about one, and consent to weights without a stated licence.

use serde_json::{Value, json};

use super::support::{Place, Run};

fn names(models: &[Value]) -> Vec<&str> {
    models.iter().map(|model| model["name"].as_str().expect("a name")).collect()
}

#[test]
fn models_are_listed_as_json() {
    let place = Place::new();
    let models = place.run(&["models", "--json"]).events();
    assert_eq!(models.len(), 13, "{:?}", names(&models));
    assert_eq!(place.run(&["models", "list", "--json"]).events(), models);
    let kim = models.iter().find(|model| model["name"] == "mel-roformer-kim").expect("the model");
    assert_eq!((&kim["kind"], &kim["state"]), (&json!("published"), &json!("not fetched")));
    assert_eq!((&kim["family"], &kim["stems"]), (&json!("mel_band_roformer"), &json!(["vocals", "other"])));
    assert_eq!(kim["bytes"], 913_106_900);
    let licence = &kim["licence"];
    assert_eq!((&licence["identifier"], &licence["terms"]), (&json!("MIT"), &json!("permissive")));
    assert_eq!(licence["must_be_accepted"], false);
    assert_eq!(kim["scores"][0]["stems_db"], json!({"vocals": 10.98}));
    assert!(kim["files"][0]["url"].as_str().expect("an address").ends_with("/MelBandRoformer.ckpt"));
    assert_eq!(kim["files"][0]["is_checkpoint"], true);
    assert!(kim["relative_cost"].as_f64().is_some_and(|cost| (13.5..13.7).contains(&cost)), "{kim}");
    let best = models.iter().find(|model| model["name"] == "best").expect("the recipe");
    assert_eq!((&best["kind"], &best["state"]), (&json!("recipe"), &json!("not fetched")));
    assert_eq!(best["models"], json!(["mel-roformer-kim", "scnet-large"]));
    assert_eq!(best["licence"], json!({"name": "MIT", "terms": "permissive"}));
    assert_eq!(best["bytes"], 913_106_900_u64 + 168_852_258);
}

#[test]
fn models_are_filtered_by_licence() {
    let place = Place::new();
    let listed = |terms: &str| {
        let models = place.run(&["models", "--licence", terms, "--json"]).events();
        names(&models).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(listed("permissive"), ["scnet", "scnet-large", "mel-roformer-kim", "mvsep-mega-53", "best", "fast"]);
    assert_eq!(listed("copyleft"), ["bs-roformer-anvuew"]);
    assert_eq!(listed("research"), ["htdemucs", "htdemucs_ft", "htdemucs_6s"]);
    assert_eq!(listed("not-stated"), ["scnet-xl-ihf", "mel-roformer-karaoke", "bs-roformer-viperx-1297"]);
    let table = place.run(&["models", "--licence", "permissive"]);
    table.succeeded();
    assert!(table.out.contains("\nscnet ") && !table.out.contains("\nhtdemucs "), "{}", table.out);
    place.run(&["models", "--licence", "free"]).misused(&["permissive, copyleft, research, not-stated"]);
    place.run(&["models", "--json", "path", "htdemucs"]).misused(&["--json"]);
}

#[test]
fn all_that_is_known_is_shown() {
    let place = Place::new();
    let run = place.run(&["models", "show", "scnet"]);
    run.succeeded();
    for text in [
        "drums, bass, other, vocals",
        "2.6 times htdemucs",
        "MIT, stated by the author in issue 35 of starrytong/SCNet, on 2026-07-17.",
        "Multisong (MVSEP): mean 8.87, bass 11.07",
        "pretrained_models.md of MSST",
        "scnet_checkpoint_musdb18.ckpt, 42434986 bytes",
        "1bc0d1abb20bfdf966dcd07637bafd03e4bc13653d09ef18bc9b3e342eafe2aa",
    ] {
        assert!(run.out.contains(text), "{text}: {}", run.out);
    }
    let shown = place.run(&["models", "show", "scnet", "--json"]).events();
    assert!(place.run(&["models", "--json"]).events().contains(&shown[0]));
    place.run(&["models", "show", "spleeter"]).failed(2, &["spleeter", "htdemucs"]);
}

/// Neither the hub nor a proxy to any other host listens.
fn fetch(place: &Place, arguments: &[&str]) -> Run {
    let mut command = place.command();
    for variable in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        command.env(variable, "http://127.0.0.1:9");
    }
    Run::of(command.args(arguments))
}

#[test]
fn weights_without_a_stated_licence_are_fetched_only_with_consent() {
    let place = Place::new();
    place.song("song.wav", 5_000);
    let model = "mel-roformer-karaoke";
    let refused = ["the licence of mel-roformer-karaoke is not stated", "--accept-licence"];
    let run = fetch(&place, &["models", "fetch", model]);
    run.failed(3, &refused);
    assert!(run.err.contains("870.80 MiB") && run.err.contains("licence: not stated"), "announced first: {}", run.err);
    fetch(&place, &["separate", "song.wav", "--model", model]).failed(3, &refused);
    assert_eq!(place.files("cache"), [""; 0]);

    let unreachable =
        ["mel_band_roformer_karaoke_aufr33_viperx_sdr_10.1956.ckpt could not be downloaded", "github.com"];
    fetch(&place, &["separate", "song.wav", "--model", model, "--accept-licence"]).failed(3, &unreachable);
    assert_eq!(place.files("cache/licences"), [model]);
    fetch(&place, &["models", "fetch", model]).failed(3, &unreachable);
    // A stated licence needs no consent.
    fetch(&place, &["models", "fetch", "scnet", "--accept-licence"]).failed(3, &["could not be downloaded"]);
    assert_eq!(place.files("cache/licences"), [model]);
}

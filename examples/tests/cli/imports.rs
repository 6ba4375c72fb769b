//! Importing checkpoints.

use std::path::{Path, PathBuf};

use super::support::{Place, Run};

pub(crate) fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../vocalizer-model/tests/golden").join(name)
}

/// Imports a checkpoint of the reference data with one of its configurations.
fn import(place: &Place, checkpoint: &str, config: &str, more: &[&str]) -> Run {
    let mut command = place.command();
    command.args(["models", "import"]).arg(golden(checkpoint)).arg("--config").arg(golden(config));
    Run::of(command.args(more))
}

#[test]
fn imported_models_are_listed() {
    let place = Place::new();
    let run = import(&place, "tiny-scnet.ckpt", "tiny-scnet.yaml", &["--name", "my-scnet", "--licence", "MIT"]);
    run.succeeded();
    assert!(run.out.starts_with("imported my-scnet: scnet, "), "{}", run.out);
    let run = import(&place, "tiny-bs.ckpt", "tiny-bs.yaml", &["--name", "bs", "--json"]);
    run.succeeded();
    let [event] = &run.events()[..] else { panic!("{}", run.out) };
    assert_eq!(
        (&event["event"], &event["name"], &event["family"]),
        (&"imported".into(), &"bs".into(), &"bs_roformer".into())
    );
    assert_eq!(event["stems"], serde_json::json!(["vocals", "other"]));

    let run = place.run(&["models"]);
    run.succeeded();
    let line =
        |name: &str| run.out.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{}", run.out));
    let (bs, scnet) = (line("bs "), line("my-scnet "));
    assert!(scnet.contains(" MIT ") && scnet.contains(" imported "), "{scnet}");
    assert!(scnet.ends_with("drums, bass, other, vocals"), "{scnet}");
    assert!(bs.contains(" not stated ") && bs.ends_with("vocals, other"), "{bs}");
    let permissive = place.run(&["models", "--licence", "permissive"]).out;
    assert!(permissive.contains("my-scnet ") && !permissive.contains("bs "), "{permissive}");
    let shown = place.run(&["models", "show", "bs"]).out;
    assert!(shown.contains("tiny-bs.ckpt, SHA-256 ") && shown.contains("bs_roformer"), "{shown}");
    assert!(line("htdemucs ").contains("not fetched"));
    let path = place.run(&["models", "path", "bs"]).out;
    assert!(Path::new(path.trim_end()).ends_with("cache/imported/bs.safetensors"), "{path}");
    assert_eq!(path.trim_end(), event["path"].as_str().expect("a path"));
}

#[test]
fn taken_and_invalid_names_are_usage_errors() {
    let place = Place::new();
    let again = |more: &[&str]| import(&place, "tiny-bs.ckpt", "tiny-bs.yaml", &[&["--name", "bs"], more].concat());
    again(&[]).succeeded();
    again(&[]).failed(2, &["an imported model named bs exists", "--overwrite"]);
    again(&["--overwrite", "--precision", "f16"]).succeeded();
    for name in ["htdemucs", "../bs", "Bs"] {
        import(&place, "tiny-bs.ckpt", "tiny-bs.yaml", &["--name", name]).failed(2, &[name, "the name of"]);
    }
    assert_eq!(place.files("cache"), ["imported/bs.lock", "imported/bs.safetensors"]);
}

#[test]
fn unusable_checkpoints_are_errors_that_name_the_file() {
    let place = Place::new();
    let name = &["--name", "mine"];
    import(&place, "evil.ckpt", "tiny-bs.yaml", name).failed(3, &["evil.ckpt: ", "__builtin__ print"]);
    import(&place, "tiny-scnet.ckpt", "tiny-bs.yaml", name)
        .failed(3, &["tiny-scnet.ckpt: does not fit its configuration", "family scnet", "family bs_roformer"]);
    let config = std::fs::read_to_string(golden("tiny-bs.yaml")).expect("a configuration");
    let wide = place.put("wide.yaml", config.replace("  dim: 8\n", "  dim: 16\n").as_bytes());
    import(&place, "tiny-bs.ckpt", wide.to_str().expect("a path"), name)
        .failed(3, &["tiny-bs.ckpt: has the wrong shape for ", "found [8], expected [16]"]);
    import(&place, "no.ckpt", "tiny-bs.yaml", name).failed(3, &["no.ckpt: cannot be opened"]);
    import(&place, "tiny-bs.ckpt", "no.yaml", name).failed(3, &["no.yaml: cannot be opened"]);
    import(&place, "tiny-bs.ckpt", "evil.ckpt", name).failed(3, &["evil.ckpt: is malformed", "UTF-8"]);
    import(&place, "tiny-4s.safetensors", "tiny-bs.yaml", name)
        .failed(3, &["unknown family", "HTDemucs", "mel_band_roformer"]);
    let mut command = place.command();
    let run = Run::of(command.args(["models", "import", "--name", "mine"]).arg(golden("tiny-bs.ckpt")));
    run.failed(2, &["tiny-bs.ckpt: needs the configuration", ".yaml", "--config"]);
    assert_eq!(place.files("cache"), ["imported/mine.lock"]);

    let run = import(&place, "evil.ckpt", "tiny-bs.yaml", &["--name", "mine", "--json"]);
    assert_eq!(run.code, Some(3), "{run:?}");
    let [event] = &run.events()[..] else { panic!("{}", run.out) };
    assert_eq!(event["event"], "error");
    assert!(event["input"].as_str().is_some_and(|input| input.ends_with("evil.ckpt")), "{event}");
}

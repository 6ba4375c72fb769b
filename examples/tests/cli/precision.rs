//! The precision that is computed in, by default and on request, and where it is recorded.

use std::process::Command;

use serde_json::Value;
use vocalizer_model::audio::AudioFormat;
use vocalizer_model::{ComputeOptions, DeviceChoice, Model, SplitOptions, split_file};

use super::support::{Place, Run, auto_on_cpu, of_kind, read, tiny};

/// Whether this machine has fast instructions for products of integers.
#[cfg(target_arch = "x86_64")]
fn has_integers() -> bool {
    let has_vnni = is_x86_feature_detected!("avx512vnni") || is_x86_feature_detected!("avxvnni");
    has_vnni
        || is_x86_feature_detected!("vaes") && is_x86_feature_detected!("avx2") && !is_x86_feature_detected!("avx512f")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_integers() -> bool {
    false
}

/// `vocalizer` without the instructions that `auto` needs for anything but f32.
fn without_integers(place: &Place) -> Command {
    let mut command = place.command();
    command.env("VOCALIZER_SIMD", "avx2");
    command
}

/// Splits the song on the CPU and returns the events.
fn split(place: &Place, arguments: &[&str]) -> Vec<Value> {
    let (events, run) = place.events(&[&["song.wav", "--device", "cpu", "--stems", "bass"], arguments].concat());
    assert_eq!(run.code, Some(0), "{run:?}");
    events
}

#[test]
fn devices_tell_what_auto_takes_and_why() {
    let place = Place::new();
    let json = Run::of(place.command().args(["devices", "--json"]).env_remove("VOCALIZER_SIMD"));
    json.succeeded();
    let plain = Run::of(place.command().arg("devices").env_remove("VOCALIZER_SIMD"));
    plain.succeeded();
    for device in json.events() {
        let [id, precision, reason] = ["id", "auto_precision", "auto_reason"].map(|key| device[key].as_str());
        let (id, precision, reason) = (id.expect("an id"), precision.expect("a precision"), reason.expect("a reason"));
        let on_cpu = if has_integers() { "int16" } else { "f32" };
        assert_eq!(precision, if id == "cpu" { on_cpu } else { "f32" }, "{device}");
        let mut lines = plain.out.lines().skip_while(|line| line.split_whitespace().next() != Some(id));
        let line = lines.nth(1).expect("a second line");
        assert_eq!(line.trim(), format!("--precision auto takes {precision}: {reason}"), "{}", plain.out);
    }
    let run = Run::of(without_integers(&place).arg("devices"));
    run.succeeded();
    assert!(run.out.contains("--precision auto takes f32: no fast integer instructions"), "{}", run.out);
}

#[test]
fn default_is_auto_and_what_it_takes_is_recorded() {
    let place = Place::new();
    place.song("song.wav", 5_000);
    let (taken, _) = auto_on_cpu(&place);
    let events = split(&place, &["--profile-json", "profile.json"]);
    assert_eq!(of_kind(&events, "done")[0]["precision"], taken);
    assert_eq!(place.manifest("separated/song")["songs"][0]["results"][0]["options"]["precision"], taken);
    let profile = std::fs::read_to_string(place.path("profile.json")).expect("a profile");
    let profile: Value = serde_json::from_str(&profile).expect("a line of JSON");
    assert_eq!(profile["profile"]["precision"], taken);
    let run = place.separate(&["song.wav", "--device", "cpu", "--stems", "bass", "-v"]);
    assert!(run.err.contains(&format!("computed in {taken}; gains")), "{}", run.err);
    let mut worker = place.command();
    worker.args(["worker", "--check-config", "--worker-token", "0123456789abcdef0123456789abcdef"]);
    let run = Run::of(worker.env_remove("PRECISION"));
    assert!(run.out.lines().any(|line| line == "PRECISION=auto"), "{}", run.out);
    let run = Run::of(worker.env("PRECISION", "f64"));
    run.misused(&["expected auto, f32, f16, bf16, int16 or int8"]);
}

#[test]
fn f32_on_request_gives_the_stems_of_the_library() {
    let place = Place::new();
    let song = place.song("song.wav", 30_000);
    let events = split(&place, &["--precision", "f32", "--format", "wavf32"]);
    assert_eq!(of_kind(&events, "done")[0]["precision"], "f32");
    assert_eq!(place.manifest("separated/song")["songs"][0]["results"][0]["options"]["precision"], "f32");
    let compute = ComputeOptions::default().with_device(DeviceChoice::Cpu);
    let model = Model::from_file(&tiny(), &compute).expect("the tiny model");
    let mut options = SplitOptions::default();
    options.format = AudioFormat::WavF32;
    split_file(&model, &song, &place.path("library"), &options).expect("a split song");
    assert!(read(&place.path("separated/song/bass.wav")) == read(&place.path("library/bass.wav")));
}

#[test]
fn auto_skips_songs_that_were_split_in_its_precision_or_in_f32() {
    let place = Place::new();
    place.song("song.wav", 5_000);
    let is_skipped = |arguments: &[&str]| {
        let events = split(&place, &[arguments, &["--skip-existing"]].concat());
        of_kind(&events, "skipped").len() == 1
    };
    split(&place, &["--precision", "f32"]);
    assert!(is_skipped(&[]) && is_skipped(&["--precision", "auto"]) && is_skipped(&["--precision", "f32"]));
    assert!(!is_skipped(&["--precision", "int8"]), "another precision was asked for");
    assert!(!is_skipped(&[]), "auto never takes int8");
    let (taken, _) = auto_on_cpu(&place);
    assert!(is_skipped(&["--precision", &taken]), "auto was recorded as {taken}");
    assert_eq!(is_skipped(&["--precision", "f32"]), taken == "f32");
    // Where auto takes f32, only f32 is as good.
    split(&place, &["--precision", "int16"]);
    let mut command = without_integers(&place);
    command.args(["separate", "song.wav", "--device", "cpu", "--stems", "bass", "--json", "--skip-existing"]);
    let run = Run::of(command.arg("--model").arg(tiny()));
    assert_eq!((run.code, of_kind(&run.events(), "done").len()), (Some(0), 1), "{run:?}");
}

//! `vocalizer evaluate`: scores of models and of estimated stems.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use vocalizer_model::audio::Frame;

use super::support::{Place, RATE_HZ, Run, STEMS, auto_on_cpu, of_kind, tiny};

const SECOND: usize = RATE_HZ as usize;

/// A true and an estimated stem.
type Stem = (Vec<Frame>, Vec<Frame>);

fn repository(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// The demo song's drums, bass, other and vocals, and estimates of them, as benches/sdr.py makes them.
fn demo_song() -> [(&'static str, Stem); 4] {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-nostdin", "-i"]).arg(repository("demo/first-light.stems.flac"));
    let output = ffmpeg.args(["-f", "s16le", "-"]).output().expect("ffmpeg, which ./test installs");
    let samples: Vec<_> =
        output.stdout.chunks_exact(2).map(|pair| i32::from(i16::from_le_bytes([pair[0], pair[1]]))).collect();
    let frames = samples.len() / 4 * SECOND / 8_000;
    assert_eq!(frames, 49 * SECOND / 2);
    let delayed = |samples: &[i32], by: usize| [&vec![0; by][..], &samples[..frames - by]].concat();
    let channels: Vec<[Vec<i32>; 2]> = (0..4)
        .map(|stem| {
            let left: Vec<_> = (0..frames).map(|i| samples[i * 80 / 441 * 4 + stem]).collect();
            let right = delayed(&left, 20).iter().map(|sample| sample / 2).collect();
            [left, right]
        })
        .collect();
    let stereo = |[left, right]: &[Vec<i32>; 2]| -> Vec<Frame> {
        left.iter().zip(right).map(|(&left, &right)| [left, right].map(|sample| sample as f32 / 32_768.0)).collect()
    };
    let names = ["drums", "bass", "other", "vocals"];
    let mut stems = [0, 1, 2, 3].map(|k| {
        let estimate = [0, 1].map(|c| {
            let (own, next) = (&channels[k][c], &channels[(k + 1) % 4][c]);
            let late = delayed(own, 5);
            (0..frames).map(|i| (7 * own[i] + next[i]) / 8 + late[i] / 16).collect::<Vec<_>>()
        });
        (names[k], (stereo(&channels[k]), stereo(&estimate)))
    });
    let second = |index: usize| index * SECOND..(index + 1) * SECOND;
    stems[0].1.0[second(3)].iter_mut().for_each(|frame| frame[1] = -frame[0]);
    stems[1].1.1[second(5)].fill([0.0; 2]);
    let (truth, estimate) = &mut stems[3].1;
    estimate[second(7)].copy_from_slice(&truth[second(7)]);
    stems
}

fn sum<'a>(stems: impl Iterator<Item = &'a Vec<Frame>>) -> Vec<Frame> {
    let mut sum: Vec<Frame> = Vec::new();
    for stem in stems {
        sum.resize(stem.len(), [0.0; 2]);
        sum.iter_mut().zip(stem).for_each(|(sum, frame)| [0, 1].into_iter().for_each(|c| sum[c] += frame[c]));
    }
    sum
}

/// Tones and pulses, different for each stem of each song.
fn tone(seed: usize, frames: usize) -> Vec<Frame> {
    let step = 0.01 * (seed + 2) as f32;
    (0..frames).map(|n| [(n as f32 * step).sin() * 0.2, (n as f32 * step * 1.5).cos() * 0.1]).collect()
}

/// A song of a data set in `folder`, of this many frames.
fn song(place: &Place, folder: &str, seed: usize, frames: usize) {
    let stems: Vec<_> = (0..4).map(|stem| tone(seed * 4 + stem, frames)).collect();
    for (name, stem) in STEMS.iter().zip(&stems) {
        place.frames(&format!("{folder}/{name}.wav"), stem);
    }
    place.frames(&format!("{folder}/mixture.wav"), &sum(stems.iter()));
}

/// Runs `vocalizer evaluate --json` and returns the events.
fn evaluate(place: &Place, arguments: &[&str]) -> (Vec<Value>, Run) {
    let run = place.run(&[&["evaluate", "--json", "--device", "cpu"], arguments].concat());
    (run.events(), run)
}

/// Asserts that a song has the scores of a case of museval.txt, to within 0.01 dB.
fn assert_scores(event: &Value, case: &str) {
    let text = std::fs::read_to_string(repository("vocalizer-model/tests/golden/museval.txt")).expect("the scores");
    let mut checked = 0;
    for line in text.lines().filter_map(|line| line.strip_prefix(case)?.strip_prefix(' ')) {
        let [stem, sdr_db, median_sdr_db, ..] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        for (field, expected) in [("sdr_db", sdr_db), ("median_sdr_db", median_sdr_db)] {
            let found = event["stems"][stem][field].as_f64().unwrap_or(f64::NAN);
            let difference_db = found - expected.parse::<f64>().expect("a number");
            assert!(difference_db.abs() < 0.01, "{case}: {field} of {stem} is {found}, expected {expected}: {event}");
        }
        checked += 1;
    }
    assert_eq!(Some(checked), event["stems"].as_object().map(serde_json::Map::len), "{event}");
}

#[test]
fn estimates_get_the_scores_of_museval() {
    let place = Place::new();
    let stems = demo_song();
    place.frames("data/test/first light/mixture.wav", &sum(stems.iter().map(|(_, (truth, _))| truth)));
    for (name, (truth, estimate)) in &stems {
        place.frames(&format!("data/test/first light/{name}.wav"), truth);
        place.frames(&format!("four/first light/{name}.wav"), estimate);
        place.frames(&format!("longer/test/first light/{name}.wav"), &[estimate, &estimate[..1_000]].concat());
    }
    place.frames("two/first light/vocals.wav", &stems[3].1.1);
    let rest = sum(stems[..3].iter().map(|(_, (_, estimate))| estimate));
    place.frames("two/first light/no_vocals.wav", &rest);
    let estimates = ["--estimates", "four", "--estimates", "two", "--estimates", "longer"];
    let arguments = [&["--dataset", "data", "--csv", "scores.csv"], &estimates[..]].concat();
    let (events, run) = evaluate(&place, &arguments);
    assert_eq!(run.code, Some(0), "{run:?}");
    let tracks = of_kind(&events, "track");
    assert_eq!(tracks.len(), 3, "{run:?}");
    for (event, (model, case)) in tracks.iter().zip([("four", "four"), ("two", "two"), ("longer", "longer")]) {
        assert_eq!((&event["model"], &event["track"]), (&model.into(), &"test/first light".into()));
        assert_scores(event, case);
    }
    let notes = of_kind(&events, "note");
    let says = |text: &str| notes.iter().any(|note| note["message"].as_str().is_some_and(|note| note.contains(text)));
    assert!(says("instrumental is instrumental; the true one is the sum of drums, bass, other"), "{run:?}");
    assert!(says("the end was cut or filled with silence"), "{run:?}");

    let summary = events.last().expect("a summary");
    assert_eq!((&summary["event"], &summary["done"], &summary["failed"]), (&"summary".into(), &3.into(), &0.into()));
    let vocals = &summary["models"][0]["stems"]["vocals"];
    assert_eq!(vocals["sdr_db"]["mean"], tracks[0]["stems"]["vocals"]["sdr_db"]);
    assert_eq!(vocals["median_sdr_db"]["median"], tracks[0]["stems"]["vocals"]["median_sdr_db"]);

    let table = std::fs::read_to_string(place.path("scores.csv")).expect("a table");
    let lines: Vec<_> = table.lines().collect();
    assert_eq!((lines.len(), lines[0]), (11, "model,track,stem,sdr_db,median_sdr_db,scored_windows,windows"));
    assert!(
        lines[4].starts_with("four,test/first light,vocals,16.6329,16.95") && lines[4].ends_with(",17,24"),
        "{table}"
    );

    let run = place.run(&[&["evaluate", "--dataset", "data"], &estimates[..]].concat());
    run.succeeded();
    for text in ["four: SDR in dB", "test/first light", "   16.63   16.96", "mean", "median", "comparison", "two (1)"] {
        assert!(run.out.contains(text), "{text}: {}", run.out);
    }
    assert!(!place.path("evaluation").exists(), "estimates need no folder of results");
}

#[test]
fn model_is_scored_like_its_stems_and_a_second_run_continues() {
    let place = Place::new();
    song(&place, "data/one", 1, 3 * SECOND);
    song(&place, "data/two", 2, 2 * SECOND + 100);
    let model = tiny();
    let model = model.to_str().expect("a plain path");
    let by_model = ["--dataset", "data", "--model", model, "-o", "scores"];
    let (first, run) = evaluate(&place, &[&by_model[..], &["--limit", "1"]].concat());
    assert_eq!((run.code, of_kind(&first, "track").len()), (Some(0), 1), "{run:?}");

    let (second, run) = evaluate(&place, &by_model);
    assert_eq!(run.code, Some(0), "{run:?}");
    let tracks = of_kind(&second, "track");
    let resumed: Vec<_> = tracks.iter().map(|event| (&event["track"], &event["resumed"])).collect();
    assert_eq!(resumed, [(&"one".into(), &true.into()), (&"two".into(), &false.into())]);
    assert_eq!(tracks[0]["stems"], of_kind(&first, "track")[0]["stems"]);
    assert!(run.out.contains("1 of 2 songs were scored before"), "{run:?}");
    let files = place.files("scores");
    assert!(files.len() == 1 && files[0].starts_with("tiny-4s.safetensors-"), "no temporary file is left: {files:?}");
    let scores = std::fs::read_to_string(place.path(&format!("scores/{}", files[0]))).expect("the scores");
    let made_by: Value = serde_json::from_str(scores.lines().next().expect("a line")).expect("a line of JSON");
    assert_eq!(made_by["network"]["precision"], auto_on_cpu(&place).0);

    let songs = ["data/one/mixture.wav", "data/two/mixture.wav", "--out-template", "{folder}/{stem}.{ext}"];
    place.separate(&[&songs[..], &["--format", "wavf32", "--device", "cpu", "-o", "stems"]].concat()).succeeded();
    let (stems, run) = evaluate(&place, &["--dataset", "data", "--estimates", "stems"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    for (event, expected) in of_kind(&stems, "track").iter().zip(&tracks) {
        assert_eq!((&event["track"], &event["stems"]), (&expected["track"], &expected["stems"]));
    }

    // Other options and changed files are other scores.
    for other in [["--shifts", "1"], ["--precision", "int8"]] {
        let (events, _) = evaluate(&place, &[&by_model[..], &other].concat());
        assert!(of_kind(&events, "track").iter().all(|event| event["resumed"] == false), "{events:?}");
    }
    song(&place, "data/two", 2, 2 * SECOND + 200);
    let (events, _) = evaluate(&place, &by_model);
    let resumed: Vec<_> = of_kind(&events, "track").iter().map(|event| event["resumed"] == true).collect();
    assert_eq!(resumed, [true, false]);
}

#[test]
fn models_are_compared_on_the_stems_that_they_have() {
    let place = Place::new();
    song(&place, "data/one", 1, SECOND);
    let (four, two) = (tiny(), repository("vocalizer-model/tests/golden/tiny-bs.safetensors"));
    let models = ["--model", four.to_str().expect("a path"), "--model", two.to_str().expect("a path")];
    let run = place.run(&[&["evaluate", "--dataset", "data", "--device", "cpu"], &models[..]].concat());
    run.succeeded();
    assert!(run.err.contains("instrumental is other; the true one is the sum of drums, bass, other"), "{run:?}");
    let comparison = run.out.split("comparison").nth(1).expect("a comparison");
    for text in ["drums", "other", "vocals", "instrumental", "tiny-4s.safetensors (1)", "tiny-bs.safetensors (1)"] {
        assert!(comparison.contains(text), "{text}: {}", run.out);
    }
    let vocals = [&["--dataset", "data", "--stems", "vocals", "-o", "vocals"], &models[..]].concat();
    let (events, run) = evaluate(&place, &vocals);
    assert_eq!(run.code, Some(0), "{run:?}");
    let stems = of_kind(&events, "track").into_iter().map(|event| event["stems"].as_object().map(serde_json::Map::len));
    assert_eq!(stems.collect::<Vec<_>>(), [Some(1), Some(1)]);
}

#[test]
fn songs_that_cannot_be_scored_are_named_and_left_out() {
    let place = Place::new();
    for (seed, name) in ["good", "cut", "garbage", "lacks bass", "other rate", "short drums"].iter().enumerate() {
        song(&place, &format!("data/{name}"), seed, SECOND);
        song(&place, &format!("estimates/{name}"), seed, SECOND);
    }
    std::fs::remove_file(place.path("data/lacks bass/bass.wav")).expect("a removed file");
    place.put("data/garbage/other.wav", b"no audio at all, but long enough for a header of a file with audio");
    place.frames("data/short drums/drums.wav", &tone(0, SECOND - 1));
    place.ffmpeg("data/other rate/vocals.wav", &["sine=440:r=48000:d=1"]);
    let cut = place.path("data/cut/vocals.wav");
    let bytes = std::fs::read(&cut).expect("a file");
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).expect("a shorter file");

    let (events, run) = evaluate(&place, &["--dataset", "data", "--estimates", "estimates"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    let tracks = of_kind(&events, "track");
    assert_eq!((tracks.len(), &tracks[0]["track"]), (1, &"good".into()), "{run:?}");
    let errors = of_kind(&events, "error");
    let expected = [
        ("cut", "vocals.wav"),
        ("garbage", "other.wav"),
        ("lacks bass", "the true stem bass is missing"),
        ("other rate", "48000 Hz"),
        ("short drums", "have different lengths"),
    ];
    assert_eq!(errors.len(), expected.len(), "{run:?}");
    for (event, (song, text)) in errors.iter().zip(expected) {
        let (input, error) = (event["input"].as_str().expect("a path"), event["error"].as_str().expect("a text"));
        assert!(input.ends_with(song) && error.starts_with(song) && error.contains(text), "{event}");
    }
    let summary = events.last().expect("a summary");
    assert_eq!((&summary["done"], &summary["failed"]), (&1.into(), &5.into()));

    let model = tiny();
    let model = ["--dataset", "data", "--tracks", "lacks", "--model", model.to_str().expect("a path")];
    let run = place.run(&[&["evaluate", "--device", "cpu"], &model[..]].concat());
    run.failed(4, &["lacks bass: the true stem bass is missing"]);
    // The stem is not needed for this one.
    let (_, run) = evaluate(&place, &[&model[..], &["--stems", "vocals"]].concat());
    assert_eq!(run.code, Some(0), "{run:?}");
    place.frames("data/good/mixture.wav", &tone(0, SECOND + 1));
    let run = place.run(&[&["evaluate", "--device", "cpu"], &model[..2], &model[4..], &["--tracks", "good"]].concat());
    run.failed(4, &["good: the mixture and the true stems have different lengths"]);
}

#[test]
fn silent_stems_are_left_out_and_counted() {
    let place = Place::new();
    for (seed, name) in ["one", "two"].iter().enumerate() {
        song(&place, &format!("data/{name}"), seed, 2 * SECOND);
        song(&place, &format!("estimates/{name}"), seed + 2, 2 * SECOND);
    }
    place.frames("data/two/vocals.wav", &vec![[0.0; 2]; 2 * SECOND]);
    let (events, run) = evaluate(&place, &["--dataset", "data", "--estimates", "estimates"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let tracks = of_kind(&events, "track");
    assert!(tracks[1]["stems"]["vocals"]["sdr_db"].is_null() && tracks[1]["stems"]["drums"]["sdr_db"].is_f64());
    let stems = &events.last().expect("a summary")["models"][0]["stems"];
    assert_eq!((&stems["vocals"]["sdr_db"]["tracks"], &stems["drums"]["sdr_db"]["tracks"]), (&1.into(), &2.into()));
    assert!(run.out.contains("vocals has no median in 1 of 2 songs"), "{run:?}");
}

#[test]
fn stem_files_are_read_by_track() {
    let place = Place::new();
    song(&place, "wav/one", 1, 2 * SECOND);
    std::fs::create_dir(place.path("data")).expect("a folder");
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.current_dir(place.path("wav/one")).args(["-v", "error", "-nostdin"]);
    for name in ["mixture", "drums", "bass", "other", "vocals"] {
        ffmpeg.args(["-i", &format!("{name}.wav")]);
    }
    for track in 0..5 {
        ffmpeg.args(["-map", &format!("{track}:a")]);
    }
    let done = ffmpeg.args(["-c:a", "aac", "-b:a", "256k"]).arg(place.path("data/one.stem.mp4")).status();
    assert!(done.expect("ffmpeg, which ./test installs").success());
    let (events, run) = evaluate(&place, &["--dataset", "data", "--estimates", "wav"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let stems = &of_kind(&events, "track")[0]["stems"];
    for stem in STEMS {
        assert!(stems[stem]["sdr_db"].as_f64().is_some_and(|db| db > 20.0), "{stem}: {stems}");
    }
}

#[test]
fn what_cannot_be_evaluated_is_an_error() {
    let place = Place::new();
    song(&place, "data/one", 1, 1_000);
    place.put("empty/notes.txt", b"");
    place.put("strings/one/strings.wav", b"");
    place.run(&["evaluate", "--dataset", "empty"]).failed(4, &["no songs in empty", "mixture.wav"]);
    place.run(&["evaluate", "--dataset", "no"]).failed(4, &["cannot read the folder no"]);
    place.run(&["evaluate", "--dataset", "data", "--subset", "test"]).failed(4, &["cannot read the folder data/test"]);
    let data = |arguments: &[&str]| place.run(&[&["evaluate", "--dataset", "data"], arguments].concat());
    data(&["--tracks", "three"]).failed(2, &["\"three\"", "--tracks"]);
    data(&["--model", "no-such-model"]).failed(3, &["no-such-model"]);
    data(&["--estimates", "empty"]).failed(2, &["no estimated stems in empty"]);
    data(&["--estimates", "strings"]).failed(2, &["nothing to compare", "strings"]);
    data(&["--estimates", "data", "--stems", "piano"]).failed(2, &["no stem 'piano'", "drums, bass, other, vocals"]);
    data(&["--estimates", "data", "--csv", "no/scores.csv"]).failed(2, &["no/scores.csv"]);
}

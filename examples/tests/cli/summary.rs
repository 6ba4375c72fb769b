//! The summary at the end, how much is said before, and what a failure means for the other songs.

use serde_json::Value;

use super::support::{Place, RATE_HZ, inputs_of, of_kind};

/// Two good songs around a bad one.
fn mixed() -> Place {
    let place = Place::new();
    place.song("1.wav", RATE_HZ as usize);
    place.put("2.mp3", b"");
    place.song("3.wav", RATE_HZ as usize / 2);
    place
}

#[test]
fn summary_counts_songs() {
    let place = mixed();
    place.separate(&["3.wav", "--stems", "bass"]).succeeded();
    let (events, run) = place.events(&["1.wav", "2.mp3", "3.wav", "--stems", "bass", "--skip-existing"]);
    assert_eq!(run.code, Some(1));
    let last = events.last().expect("an event");
    let counts = ["done", "skipped", "failed"].map(|key| last[key].as_u64());
    assert_eq!((&last["event"], counts), (&"summary".into(), [Some(1), Some(1), Some(1)]), "{last}");
    let number = |key: &str| last[key].as_f64().unwrap_or_else(|| panic!("{key} in {last}"));
    assert_eq!(number("seconds"), 1.0);
    assert!((number("speed") * number("elapsed_s") - 1.0).abs() < 1e-6, "{last}");
    std::fs::remove_dir_all(place.path("separated")).expect("a removed folder");
    let run = place.separate(&["1.wav", "2.mp3", "3.wav", "--stems", "bass"]);
    let line = run.err.lines().last().expect("a line");
    assert!(line.starts_with("3 songs: 2 done, 0 skipped, 1 failed; "), "{line}");
    assert!(line.contains("; 0:02 of audio in ") && line.ends_with(" x real time)"), "{line}");
    // One song needs no summary.
    let run = place.separate(&["1.wav", "--stems", "bass"]);
    assert!(!run.err.contains(" songs:"), "{}", run.err);
}

#[test]
fn others_are_split_unless_a_failure_is_to_stop_the_run() {
    let place = mixed();
    for (arguments, done) in [
        (&[][..], &["1.wav", "3.wav"][..]),
        (&["--keep-going"], &["1.wav", "3.wav"]),
        (&["--fail-fast"], &["1.wav"]),
        (&["--fail-fast", "--keep-going"], &["1.wav", "3.wav"]),
        (&["--keep-going", "--fail-fast"], &["1.wav"]),
    ] {
        let (events, run) = place.events(&[&["1.wav", "2.mp3", "3.wav", "--stems", "bass"], arguments].concat());
        assert_eq!(
            (run.code, inputs_of(&events, "done")),
            (Some(1), done.iter().map(ToString::to_string).collect()),
            "{arguments:?}"
        );
        assert_eq!(of_kind(&events, "summary").len(), 1, "{arguments:?}");
    }
}

#[test]
fn songs_at_once_give_the_same_stems() {
    let place = Place::new();
    for n in 0..6 {
        place.song(&format!("album/{n}.wav"), 20_000 + n);
        place.song(&format!("other/{n}.wav"), 30_000 + n);
    }
    place.put("album/bad.mp3", b"");
    let (_, one) = place.events(&["album", "other", "-o", "one"]);
    let (events, four) = place.events(&["album", "other", "-o", "four", "--jobs", "4"]);
    assert_eq!((one.code, four.code), (Some(1), Some(1)), "{four:?}");
    let last = events.last().expect("an event");
    assert_eq!((&last["done"], &last["failed"]), (&12.into(), &1.into()));
    let files = place.files("one");
    assert_eq!(files.len(), 48);
    // Which of two songs gets the plain name depends on the threads; the sets of stems are the same.
    let contents = |out: &str| {
        let mut all: Vec<_> = place
            .files(out)
            .iter()
            .map(|file| std::fs::read(place.path(&format!("{out}/{file}"))).expect("a stem"))
            .collect();
        all.sort();
        all
    };
    assert!(contents("one") == contents("four"));
    // Songs that share a manifest.
    let shared =
        ["album", "other", "-o", "shared", "--out-template", "{stem}/{folder}-{track}.{ext}", "--stems", "bass"];
    let (_, run) = place.events(&[&shared[..], &["--jobs", "4"]].concat());
    assert_eq!((run.code, place.files("shared").len()), (Some(1), 12), "{run:?}");
    assert_eq!(place.manifest("shared")["songs"].as_array().map(Vec::len), Some(12));
    let (events, _) = place.events(&[&shared[..], &["--jobs", "4", "--skip-existing"]].concat());
    assert_eq!(of_kind(&events, "skipped").len(), 12);
}

#[test]
fn quiet_prints_errors_only() {
    let place = mixed();
    let run = place.separate(&["1.wav", "2.mp3", "3.wav", "-q", "--stems", "bass"]);
    run.failed(1, &["2.mp3"]);
    // Graphics drivers may print lines of their own.
    let ours = run.err.lines().filter(|line| !line.contains("XDG_RUNTIME_DIR")).count();
    assert_eq!((run.out.as_str(), ours), ("", 1), "{run:?}");
    let (events, _) = place.events(&["1.wav", "2.mp3", "-q", "--stems", "bass"]);
    let kinds: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap_or_default()).collect();
    assert_eq!(kinds, ["done", "error", "summary"]);
}

#[test]
fn verbose_tells_folder_hash_and_gains() {
    let place = mixed();
    let quiet = place.separate(&["1.wav", "--stems", "bass"]).err;
    let run = place.separate(&["1.wav", "-v", "--stems", "bass"]);
    run.succeeded();
    for text in ["SHA-256 ", "folder separated/1", "44100 frames at 44100 Hz", "bass "] {
        assert!(run.err.contains(text) && !quiet.contains(text), "{text}: {}", run.err);
    }
}

/// A song that clips, made loud enough for any model.
fn hot(place: &Place) {
    let loud: Vec<_> = (0..RATE_HZ).map(|n| [(n as f32 * 0.05).sin().signum() * 3.0; 2]).collect();
    place.frames("hot.wav", &loud);
}

#[test]
fn common_gain_is_told_everywhere() {
    let place = Place::new();
    hot(&place);
    let (events, run) = place.events(&["hot.wav"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let done = of_kind(&events, "done")[0].clone();
    let gain = done["gain"].as_f64().expect("a gain");
    assert!(gain < 0.95, "{done}");
    let gains = done["gains"].as_object().expect("gains");
    assert!(gains.len() == 4 && gains.values().all(|one| one.as_f64() == Some(gain)), "{done}");
    let result = place.manifest("separated/hot")["songs"][0]["results"][0].clone();
    assert_eq!(result["gain"].as_f64(), Some(gain));
    let run = place.separate(&["hot.wav"]);
    let quieter = format!("all stems are {:.1} dB quieter", -20.0 * gain.log10());
    assert!(run.err.contains(&quieter), "{quieter}: {}", run.err);
    let (events, _) = place.events(&["hot.wav", "--clip", "each"]);
    let done = of_kind(&events, "done")[0].clone();
    assert_eq!(done["gain"], 1.0);
    let least = done["gains"].as_object().expect("gains").values().filter_map(Value::as_f64).fold(1.0, f64::min);
    assert!((least - gain).abs() < 1e-6, "the loudest stem decides: {done}");
    let run = place.separate(&["hot.wav", "--clip", "each"]);
    assert!(run.err.contains("quieter, so that they do not clip: "), "{}", run.err);
    for clip in ["clamp", "none"] {
        let run = place.separate(&["hot.wav", "--clip", clip]);
        assert!(!run.err.contains("quieter"), "{clip}: {}", run.err);
    }
}

//! `vocalizer watch`.

use std::time::Duration;

use super::running::Running;
use super::support::{Place, RATE_HZ, tiny};

fn watch(place: &Place, output: &str, more: &[&str]) -> Running {
    let mut command = place.command();
    command.args(["watch", "in", "-o", output, "--settle", "1", "--json", "--stems", "drums", "--model"]);
    Running::start(command.arg(tiny()).args(more))
}

#[test]
fn songs_are_split_once_also_after_a_restart() {
    let place = Place::new();
    place.song("in/1.wav", 3_000);
    let watcher = watch(&place, "out", &[]);
    assert_eq!(watcher.next(&["done", "error"])["input"], "in/1.wav");
    // A song that is still being copied is left alone until it is complete.
    let whole = std::fs::read(place.song("2.wav", 4_000)).expect("a song");
    let mut written = 0;
    for part in whole.chunks(whole.len() / 5) {
        written += part.len();
        place.put("in/deep/2.wav", &whole[..written]);
        std::thread::sleep(Duration::from_millis(400));
    }
    let done = watcher.next(&["done", "error"]);
    assert_eq!((&done["input"], &done["frames"]), (&"in/deep/2.wav".into(), &4_000.into()));
    // A bad file is reported once, and split when it is good.
    place.put("in/3.mp3", b"no song");
    assert_eq!(watcher.next(&["done", "error"])["input"], "in/3.mp3");
    place.put("in/.hidden.wav", b"no song");
    watcher.is_idle();
    std::fs::copy(place.path("2.wav"), place.path("in/3.mp3")).expect("a copy");
    let done = watcher.next(&["done", "error"]);
    assert_eq!((&done["event"], &done["files"][0]), (&"done".into(), &"out/3/drums.wav".into()), "{done}");
    let (code, summary) = watcher.stop();
    assert_eq!(
        (code, &summary["event"], &summary["done"], &summary["failed"]),
        (Some(0), &"summary".into(), &3.into(), &1.into())
    );
    let files = ["1/drums.wav", "2/drums.wav", "3/drums.wav"];
    assert_eq!(place.files("out"), files);

    let watcher = watch(&place, "out", &[]);
    let skipped: Vec<_> = (0..3).map(|_| watcher.next(&["skipped", "done", "error"])["event"].clone()).collect();
    assert_eq!(skipped, ["skipped"; 3]);
    watcher.is_idle();
    place.song("in/4.wav", 5_000);
    assert_eq!(watcher.next(&["done", "error"])["input"], "in/4.wav");
    assert_eq!(watcher.stop().0, Some(0));
    assert_eq!(place.files("out").len(), 4);
}

/// The output folder may be in the watched folder.
#[test]
fn own_stems_are_not_split() {
    let place = Place::new();
    place.song("in/1.wav", 3_000);
    let watcher = watch(&place, "in", &[]);
    assert_eq!(watcher.next(&["done", "error"])["input"], "in/1.wav");
    watcher.is_idle();
    assert_eq!(watcher.stop().0, Some(0));
    assert_eq!(place.files("in"), ["1.wav", "1/drums.wav"]);
}

#[test]
fn songs_at_once_are_split_once() {
    let place = Place::new();
    // Files of the same name with other content, and with the same.
    for (at, folder) in ["a", "b", "c"].into_iter().enumerate() {
        for n in 1..=3 {
            place.song(&format!("in/{folder}/{n}.wav"), 3_000 + 100 * at + n);
        }
    }
    place.song("in/a/4.wav", 4_000);
    std::fs::copy(place.path("in/a/4.wav"), place.path("in/b/4.wav")).expect("a copy");
    place.put("in/5.mp3", b"no song");
    let watcher = watch(&place, "out", &["--jobs", "4"]);
    let mut ends: Vec<_> = (0..12).map(|_| watcher.next(&["done", "skipped", "error"])).collect();
    watcher.is_idle();
    ends.sort_by_key(|event| event["input"].to_string());
    let of = |kind: &str| ends.iter().filter(|event| event["event"] == kind).count();
    assert_eq!((of("done"), of("skipped"), of("error")), (10, 1, 1), "{ends:?}");
    ends.dedup_by_key(|event| event["input"].to_string());
    assert_eq!(ends.len(), 12, "each file once");
    // While it runs, more songs come, one after the other and together.
    place.song("in/6.wav", 5_000);
    assert_eq!(watcher.next(&["done", "error"])["input"], "in/6.wav");
    let (code, summary) = watcher.stop();
    assert_eq!((code, &summary["done"], &summary["failed"]), (Some(0), &11.into(), &1.into()), "{summary}");
    let before = place.files("out");
    assert_eq!(before.len(), 11, "{before:?}");

    let watcher = watch(&place, "out", &["--jobs", "3"]);
    let ends: Vec<_> = (0..13).map(|_| watcher.next(&["done", "skipped", "error"])).collect();
    let skipped = ends.iter().filter(|event| event["event"] == "skipped").count();
    assert_eq!(skipped, 12, "{ends:?}");
    watcher.is_idle();
    assert_eq!((watcher.stop().0, place.files("out")), (Some(0), before));
}

#[test]
fn song_of_a_killed_watcher_is_split_after_a_restart() {
    let place = Place::new();
    place.song("in/1.wav", 60 * RATE_HZ as usize);
    let watcher = watch(&place, "out", &[]);
    while watcher.next(&["stage", "done", "error"])["stage"] != "separating" {}
    drop(watcher);
    let watcher = watch(&place, "out", &["--jobs", "2"]);
    assert_eq!(watcher.next(&["done", "skipped", "error"])["event"], "done");
    watcher.is_idle();
    assert_eq!(watcher.stop().0, Some(0));
    let files = place.files("out");
    assert_eq!(files.iter().filter(|file| file.ends_with(".wav")).collect::<Vec<_>>(), ["1/drums.wav"], "{files:?}");
}

/// Another program splits the song already.
#[test]
fn song_of_another_run_waits() {
    let place = Place::new();
    place.song("in/1.wav", 60 * RATE_HZ as usize);
    let other = Running::suspended(&place, &["in/1.wav", "-o", "out", "--stems", "drums"]);
    let watcher = watch(&place, "out", &[]);
    let note = |event: &serde_json::Value| event["message"].as_str().unwrap_or_default().to_owned();
    while !note(&watcher.next(&["note", "done", "error"])).contains("in/1.wav: waits") {}
    watcher.is_idle();
    // Others do not wait with it.
    place.song("in/2.wav", 3_000);
    assert_eq!(watcher.next(&["done", "error"])["input"], "in/2.wav");
    other.signal("CONT");
    assert_eq!(other.wait().0, Some(0));
    assert_eq!(watcher.next(&["skipped", "done", "error"])["event"], "skipped");
    let (code, summary) = watcher.stop();
    assert_eq!((code, &summary["done"], &summary["skipped"]), (Some(0), &1.into(), &1.into()));
    assert_eq!(place.files("out"), ["1/drums.wav", "2/drums.wav"]);
}

#[test]
fn what_cannot_be_watched_is_an_error() {
    let place = Place::new();
    place.song("song.wav", 3_000);
    let model = tiny();
    let model = ["--model", model.to_str().expect("a plain path")];
    for (arguments, code, says) in
        [(&["nowhere"][..], 2, "No such file"), (&["song.wav"], 2, "Not a directory"), (&[".", "-o", "-"], 2, "-o -")]
    {
        place.run(&[&["watch"], arguments, &model].concat()).failed(code, &[says]);
    }
    place.run(&["watch", ".", "--model", "spleeter"]).failed(3, &["spleeter"]);
}

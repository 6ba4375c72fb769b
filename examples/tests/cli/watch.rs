//! `vocalizer watch`.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::support::{Place, tiny};

/// A running `vocalizer watch` and its events.
struct Watcher {
    child: Child,
    events: Receiver<Value>,
}

impl Watcher {
    fn start(place: &Place, output: &str) -> Self {
        let mut command = place.command();
        command
            .args(["watch", "in", "-o", output, "--settle", "1", "--json", "--stems", "drums", "--model"])
            .arg(tiny());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a child");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let (sender, events) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = sender.send(serde_json::from_str(&line).expect("a line of JSON"));
            }
        });
        Self { child, events }
    }

    /// The next event of these kinds.
    fn next(&self, kinds: &[&str]) -> Value {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let event = self.events.recv_timeout(until - Instant::now()).expect("an event in time");
            if kinds.iter().any(|kind| event["event"] == *kind) {
                return event;
            }
        }
    }

    /// Asserts that nothing is split for some seconds.
    fn is_idle(&self) {
        let until = Instant::now() + Duration::from_secs(4);
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            match self.events.recv_timeout(left) {
                Ok(event) => assert!(!["done", "stage", "error"].iter().any(|kind| event["event"] == *kind), "{event}"),
                Err(RecvTimeoutError::Timeout) => return,
                Err(RecvTimeoutError::Disconnected) => panic!("the watcher has ended"),
            }
        }
    }

    /// Interrupts it and returns the exit code and the last event.
    fn stop(mut self) -> (Option<i32>, Value) {
        let kill = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        assert!(kill.expect("kill").success());
        let status = self.child.wait().expect("an exit status");
        (status.code(), self.events.iter().last().expect("a summary"))
    }
}

#[test]
fn songs_are_split_once_also_after_a_restart() {
    let place = Place::new();
    place.song("in/1.wav", 3_000);
    let watcher = Watcher::start(&place, "out");
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

    let watcher = Watcher::start(&place, "out");
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
    let watcher = Watcher::start(&place, "in");
    assert_eq!(watcher.next(&["done", "error"])["input"], "in/1.wav");
    watcher.is_idle();
    assert_eq!(watcher.stop().0, Some(0));
    assert_eq!(place.files("in"), ["1.wav", "1/drums.wav"]);
}

#[test]
fn what_cannot_be_watched_is_an_error() {
    let place = Place::new();
    place.song("song.wav", 3_000);
    let model = tiny();
    let model = ["--model", model.to_str().expect("a plain path")];
    for (arguments, code, says) in [
        (&["nowhere"][..], 2, "No such file"),
        (&["song.wav"], 2, "Not a directory"),
        (&[".", "-o", "-"], 2, "-o -"),
        (&[".", "--jobs", "2"], 2, "--jobs"),
    ] {
        place.run(&[&["watch"], arguments, &model].concat()).failed(code, &[says]);
    }
    place.run(&["watch", ".", "--model", "spleeter"]).failed(3, &["spleeter"]);
}

//! A running program, its events, and signals to it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::support::{Place, tiny};

/// A command that prints lines of JSON. Dropping it kills the process.
pub(crate) struct Running {
    child: Child,
    events: Receiver<Value>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("a child");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let (sender, events) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = sender.send(serde_json::from_str(&line).expect("a line of JSON"));
            }
        });
        Self { child, events }
    }

    /// Starts `vocalizer separate` with the tiny model.
    pub(crate) fn separate(place: &Place, arguments: &[&str]) -> Self {
        let mut command = place.command();
        Self::start(command.args(["separate", "--json", "--model"]).arg(tiny()).args(arguments))
    }

    /// Starts `vocalizer separate` and suspends it while it separates its first song, which must be long.
    #[cfg(unix)]
    pub(crate) fn suspended(place: &Place, arguments: &[&str]) -> Self {
        let running = Self::separate(place, arguments);
        while running.next(&["stage", "error", "done"])["stage"] != "separating" {}
        running.signal("STOP");
        running
    }

    /// The next event of these kinds.
    pub(crate) fn next(&self, kinds: &[&str]) -> Value {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let event = self.events.recv_timeout(left).expect("an event in time");
            if kinds.iter().any(|kind| event["event"] == *kind) {
                return event;
            }
        }
    }

    /// Asserts that nothing is split for some seconds.
    pub(crate) fn is_idle(&self) {
        let until = Instant::now() + Duration::from_secs(4);
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            match self.events.recv_timeout(left) {
                Ok(event) => assert!(!["done", "stage", "error"].iter().any(|kind| event["event"] == *kind), "{event}"),
                Err(RecvTimeoutError::Timeout) => return,
                Err(RecvTimeoutError::Disconnected) => panic!("the program has ended"),
            }
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        let kill = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(kill.expect("kill").success());
    }

    /// Waits for the end. Returns the exit code and the events that are left.
    pub(crate) fn wait(mut self) -> (Option<i32>, Vec<Value>) {
        let events = self.events.iter().collect();
        (self.child.wait().expect("an exit status").code(), events)
    }

    /// Interrupts it and returns the exit code and the last event.
    pub(crate) fn stop(self) -> (Option<i32>, Value) {
        self.signal("INT");
        let (code, mut events) = self.wait();
        (code, events.pop().expect("a summary"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

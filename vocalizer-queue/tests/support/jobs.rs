//! Jobs, and a process that is killed while it uses a durable queue.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use vocalizer_core::ports::{Job, JobPayload, JobQueue};
use vocalizer_core::song::SongHash;

pub(crate) fn hash(name: &str) -> SongHash {
    SongHash::of(name.as_bytes())
}

pub(crate) fn job(name: &str) -> Job {
    Job::new(hash(name), JobPayload::Stored)
}

/// Publishes continuously, acknowledges every other job, and prints what is done.
pub(crate) async fn publish_until_killed(queue: &dyn JobQueue) {
    for number in 0_u64.. {
        let name = number.to_string();
        queue.publish(job(&name)).await.unwrap();
        println!("published {name}");
        let lease = queue.lease().await.unwrap();
        if number % 2 == 0 {
            let hash = lease.job().hash;
            lease.acknowledge().await.unwrap();
            println!("acknowledged {hash}");
        } else {
            // Held until the end, so that each job is leased at most once.
            std::mem::forget(lease);
        }
    }
}

/// What a killed process has done.
pub(crate) struct Done {
    pub(crate) published: Vec<SongHash>,
    pub(crate) acknowledged: BTreeSet<SongHash>,
}

impl Done {
    /// Whether the process may have acknowledged a job without printing it.
    pub(crate) fn may_be_acknowledged(&self, hash: &SongHash) -> bool {
        self.published.iter().rev().take(2).any(|last| last == hash)
    }
}

/// Runs a test that calls [`publish_until_killed`] in a process of its own, and kills it after this many lines.
pub(crate) fn run_and_kill(test: &str, variable: &str, value: impl AsRef<OsStr>, lines: u32) -> Done {
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(variable, value)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut done = Done { published: Vec::new(), acknowledged: BTreeSet::new() };
    let mut output = BufReader::new(process.stdout.take().unwrap()).lines();
    let mut count = 0;
    // Everything printed counts, including output after the signal.
    while let Some(Ok(line)) = output.next() {
        if let Some((_, name)) = line.split_once("published ") {
            done.published.push(hash(name));
        } else if let Some(hash) = line.strip_prefix("acknowledged ") {
            done.acknowledged.insert(hash.parse().unwrap());
        } else {
            continue;
        }
        count += 1;
        if count == lines {
            process.kill().unwrap();
        }
    }
    assert!(!process.wait().unwrap().success(), "the process was not killed");
    assert!(!done.published.is_empty());
    done
}

//! The whole protocol, many times over, in virtual time and with everything going wrong that may: servers, workers, a
//! broker, a database, blobs and users on one thread, in an order that a seed chooses.
//!
//! `VOCALIZER_SEED=n` runs one seed and prints what happens in it; `VOCALIZER_SEEDS=n` runs so many.

#![expect(clippy::unwrap_used, reason = "the leave that clippy.toml gives tests does not reach their helpers")]

mod audio;
mod blobs;
mod broker;
mod calls;
mod chance;
mod commons;
mod database;
mod desk;
mod direct;
mod durable;
mod executor;
mod ghost;
mod given_up;
mod kernel;
mod lease;
mod network;
mod original;
mod plan;
mod planted;
mod trace;
mod users;
mod world;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use direct::{Outcome, run};
use planted::Bug;

const SEEDS: u64 = 10_000;

/// What so many runs are to meet, or they show less than they seem to.
const TO_BE_MET: [&str; 31] = [
    "again after a failure",
    "answer lost",
    "archive taken",
    "asked for again by a sweep",
    "bytes stopped coming",
    "connection cut under a lease",
    "crash at an await point",
    "deleted",
    "done and not answered",
    "ended FAILED",
    "ended SPLIT",
    "gave up after attempts",
    "gave up at once",
    "given up by the queue",
    "handed back by a sweep",
    "job lost",
    "job twice",
    "later",
    "lease lost",
    "lease ran out",
    "leased at another server",
    "leased over a desk",
    "listened",
    "orphans swept",
    "published again and known",
    "request twice",
    "retried",
    "separation failed",
    "separation hung",
    "settlement lost",
    "source damaged",
];

/// A planted fault that so many seeds do not meet is not met.
const FEW: u64 = 200;

/// For a fault that needs a deletion, a crash and an upload within two seconds. Seed 23,474 is the first that finds it.
const MANY: u64 = 60_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs seeds on all cores, until one breaks a promise or there are no more.
fn search(seeds: u64, bug: Option<Bug>, met: &Mutex<BTreeMap<&'static str, u64>>) -> Option<(u64, String)> {
    let (next, broken) = (AtomicU64::new(0), Mutex::new(None::<(u64, String)>));
    let work = || {
        let mut mine = BTreeMap::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds || broken.lock().unwrap().is_some() {
                break;
            }
            let Outcome { violation, met, .. } = run(seed, bug, false);
            for (what, times) in met {
                *mine.entry(what).or_insert(0) += times;
            }
            if let Some(violation) = violation {
                let mut broken = broken.lock().unwrap();
                if broken.as_ref().is_none_or(|(other, _)| seed < *other) {
                    *broken = Some((seed, violation));
                }
            }
        }
        let mut met = met.lock().unwrap();
        for (what, times) in mine {
            *met.entry(what).or_insert(0) += times;
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    broken.into_inner().unwrap()
}

#[test]
fn every_promise_is_kept_whatever_goes_wrong() {
    if let Some(seed) = number("VOCALIZER_SEED") {
        let Outcome { violation, steps, met, .. } = run(seed, None, true);
        println!("{steps} steps, met {met:#?}");
        assert_eq!(violation, None, "seed {seed}");
        return;
    }
    let met = Mutex::default();
    if let Some((seed, violation)) = search(number("VOCALIZER_SEEDS").unwrap_or(SEEDS), None, &met) {
        panic!(
            "seed {seed}: {violation}\nto see it happen: VOCALIZER_SEED={seed} cargo test -p vocalizer-core \
             --all-features --test simulation every_promise -- --nocapture"
        );
    }
    let met = met.into_inner().unwrap();
    println!("{met:#?}");
    for what in TO_BE_MET {
        assert!(met.contains_key(what), "no run met this: {what}");
    }
}

#[test]
fn a_seed_gives_the_same_run_each_time() {
    for seed in 0..200 {
        let (once, again) = (run(seed, None, false), run(seed, None, false));
        assert_eq!((once.trace, once.steps, once.met), (again.trace, again.steps, again.met), "seed {seed}");
    }
}

fn is_found(bug: Bug, seeds: u64) {
    let found = search(seeds, Some(bug), &Mutex::default());
    println!("{bug:?}: {found:?}");
    assert!(found.is_some(), "{bug:?} was not found in {seeds} seeds");
}

#[test]
fn a_worker_that_acknowledges_before_it_delivers_is_found() {
    is_found(Bug::AcknowledgesBeforeDelivering, FEW);
}

#[test]
fn a_wish_that_is_crossed_off_before_its_job_is_published_is_found() {
    is_found(Bug::CrossesOffBeforePublishing, FEW);
}

#[test]
fn blobs_that_are_deleted_without_the_lock_are_found() {
    is_found(Bug::DeletesWithoutTheLock, FEW);
}

#[test]
fn a_sweep_that_takes_leased_jobs_for_lost_is_found() {
    is_found(Bug::SweepHandsBackWhatIsLeased, FEW);
}

#[test]
fn outages_that_count_as_attempts_are_found() {
    is_found(Bug::OutagesCountAsAttempts, FEW);
}

#[test]
fn deletions_that_outlive_who_asked_for_them_are_found() {
    is_found(Bug::DeletesLandLate, MANY);
}

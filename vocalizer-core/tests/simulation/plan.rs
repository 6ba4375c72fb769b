//! The plan of a run, derived from the seed: its participants and faults.

use bytes::Bytes;
use vocalizer_core::song::SongHash;

use super::chance::Chance;
use super::planted::Bug;

pub(crate) const SECOND: u64 = 1_000_000;
pub(crate) const MINUTE: u64 = 60 * SECOND;
pub(crate) const HOUR: u64 = 60 * MINUTE;

/// The content of a song, which several songs may share.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    pub(crate) bytes: Bytes,
    pub(crate) hash: SongHash,
    /// Whether every separation of it fails.
    pub(crate) unsplittable: bool,
}

/// Fault rates in per mille of the occasions; zero disables a kind of fault.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rates {
    /// A process crashes at an await point.
    pub(crate) crash: u64,
    /// The database, the blob store or the broker refuses a call.
    pub(crate) refused: u64,
    /// A call takes effect, but its response is lost.
    pub(crate) no_response: u64,
    /// A request between processes is lost.
    pub(crate) request_lost: u64,
    /// Its response is lost.
    pub(crate) response_lost: u64,
    /// It is duplicated; the second one arrives at any later time.
    pub(crate) request_duplicated: u64,
    /// A published job is duplicated.
    pub(crate) job_duplicated: u64,
    /// A published job is lost.
    pub(crate) job_lost: u64,
    /// A settlement is confirmed but lost.
    pub(crate) settlement_lost: u64,
    /// A separation fails or hangs.
    pub(crate) separation: u64,
    /// A call is slow.
    pub(crate) slow: u64,
    /// A stored source is damaged.
    pub(crate) damaged: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) servers: usize,
    pub(crate) workers: usize,
    pub(crate) users: usize,
    pub(crate) contents: Vec<Content>,
    /// Whether the queue reports job states, like the embedded one; otherwise it cannot, like RabbitMQ.
    pub(crate) exact: bool,
    /// The largest inline song, and the broker's limit, which may be smaller.
    pub(crate) inline_bytes: u64,
    pub(crate) carried_bytes: u64,
    /// Whether a single server keeps its shared state in memory and loses it in a crash.
    pub(crate) local_coordination: bool,
    /// Whether workers use HTTP, and servers hold their leases.
    pub(crate) desks: bool,
    /// Whether the queue stores those leases.
    pub(crate) durable: bool,
    /// Whether all workers but one are of the original system.
    pub(crate) original: bool,
    /// The duration of the busy phase, with users and faults.
    pub(crate) busy_us: u64,
    pub(crate) rates: Rates,
    pub(crate) crashes: u64,
    /// Whether there are outages, cut connections, lost jobs and killed processes.
    pub(crate) disturbed: bool,
    /// Whether a request is cancelled when its caller is gone.
    pub(crate) hangs_up: bool,
    /// The maximum clock skew of a process, in seconds.
    pub(crate) skew_s: u64,
    pub(crate) longest_split_us: u64,
    pub(crate) bug: Option<Bug>,
}

impl Plan {
    pub(crate) fn of(seed: u64, bug: Option<Bug>) -> Self {
        let mut chance = Chance::new(seed);
        let chance = &mut chance;
        let servers = chance.between(1, 3) as usize;
        let exact = chance.one_in(2) || bug.is_some_and(Bug::needs_exact_queue);
        let contents = (0..chance.between(1, 6)).map(|number| content(chance, number)).collect();
        // Separate randomness, so that planted bugs are found in the same seeds as before.
        let mut aside = Chance::new(seed ^ 0x0064_616d_6167_6564);
        let damaged = if bug.is_none() && aside.one_in(2) { aside.between(1, 200) } else { 0 };
        // Each kind of fault occurs in about half of the seeds, so that all combinations occur.
        let mut rate = |most: u64| if chance.one_in(2) { chance.between(1, most) } else { 0 };
        let rates = Rates {
            crash: rate(8),
            refused: rate(40),
            no_response: rate(40),
            request_lost: rate(80),
            response_lost: rate(80),
            request_duplicated: rate(80),
            job_duplicated: if exact { 0 } else { rate(200) },
            job_lost: if rate(3) == 3 { 100 } else { 0 },
            settlement_lost: if exact { 0 } else { rate(100) },
            separation: rate(400),
            slow: rate(60),
            damaged,
        };
        Self {
            servers,
            workers: chance.between(1, 4) as usize,
            users: chance.between(1, 5) as usize,
            contents,
            exact,
            inline_bytes: 64,
            carried_bytes: if chance.one_in(4) { 16 } else { 1 << 20 },
            local_coordination: servers == 1 && chance.one_in(2),
            desks: exact && bug.is_none() && chance.one_in(3),
            durable: Chance::new(!seed).one_in(2),
            original: !exact && bug.is_none() && chance.one_in(4),
            busy_us: chance.between(2, 12) * MINUTE,
            rates,
            crashes: chance.between(1, 12),
            disturbed: !chance.one_in(3),
            hangs_up: chance.one_in(3),
            skew_s: if chance.one_in(3) { chance.between(1, 10) } else { 0 },
            longest_split_us: chance.between(2, 120) * SECOND,
            bug,
        }
    }

    /// Returns the index of the content with this hash.
    pub(crate) fn content(&self, hash: &SongHash) -> usize {
        self.contents.iter().position(|content| content.hash == *hash).expect("a planned content")
    }

    /// Returns the server of a process. Processes are the outside, then the servers, then the workers.
    pub(crate) const fn server(&self, process: usize) -> Option<usize> {
        if process >= 1 && process <= self.servers { Some(process - 1) } else { None }
    }

    pub(crate) const fn worker(&self, process: usize) -> Option<usize> {
        if process > self.servers && process <= self.servers + self.workers {
            Some(process - self.servers - 1)
        } else {
            None
        }
    }

    pub(crate) const fn processes(&self) -> usize {
        1 + self.servers + self.workers
    }
}

fn content(chance: &mut Chance, number: u64) -> Content {
    // Some are too large for an inline payload.
    let padding = if chance.one_in(2) { 80 } else { 0 };
    let bytes = Bytes::from(format!("song {number}{}", "-".repeat(padding)));
    Content { hash: SongHash::of(&bytes), bytes, unsplittable: chance.one_in(6) }
}

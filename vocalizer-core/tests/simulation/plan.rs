//! What a seed decides before anything runs: who is there, and which faults there are to be.

use bytes::Bytes;
use vocalizer_core::song::SongHash;

use super::chance::Chance;
use super::planted::Bug;

pub(crate) const SECOND: u64 = 1_000_000;
pub(crate) const MINUTE: u64 = 60 * SECOND;
pub(crate) const HOUR: u64 = 60 * MINUTE;

/// The bytes of a song, which several songs may share.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    pub(crate) bytes: Bytes,
    pub(crate) hash: SongHash,
    /// No separator ever makes stems of it.
    pub(crate) hopeless: bool,
}

/// How often what goes wrong, per mille of the occasions; zero for kinds of fault that a seed does without.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rates {
    /// A process dies at an await point.
    pub(crate) crash: u64,
    /// The database, the blobs or the broker refuse a call.
    pub(crate) refused: u64,
    /// They do what they are asked and the answer is lost.
    pub(crate) unanswered: u64,
    /// A request between processes is lost on the way there.
    pub(crate) request_lost: u64,
    /// Its answer is lost on the way back.
    pub(crate) answer_lost: u64,
    /// It comes twice, the second time whenever it likes.
    pub(crate) request_twice: u64,
    /// A job that is published comes twice.
    pub(crate) job_twice: u64,
    /// A job that is published is never seen again.
    pub(crate) job_lost: u64,
    /// A settlement is taken and forgotten.
    pub(crate) settlement_lost: u64,
    /// A separation fails, or hangs.
    pub(crate) separation: u64,
    /// A call takes its time.
    pub(crate) slow: u64,
    /// A source is not what was stored.
    pub(crate) damaged: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) servers: usize,
    pub(crate) workers: usize,
    pub(crate) users: usize,
    pub(crate) contents: Vec<Content>,
    /// The queue knows its jobs, as the embedded one does; else it cannot tell, as RabbitMQ.
    pub(crate) exact: bool,
    /// The largest song that travels along, and the most that the broker carries: it may be less.
    pub(crate) inline_bytes: u64,
    pub(crate) carried_bytes: u64,
    /// A single server may keep its commons for itself, and lose it when it dies.
    pub(crate) local_commons: bool,
    /// Workers come over HTTP, and servers keep their leases.
    pub(crate) desks: bool,
    /// The queue does so for them.
    pub(crate) durable: bool,
    /// All workers but one are of the original system.
    pub(crate) original: bool,
    /// How long there are users and faults.
    pub(crate) busy_us: u64,
    pub(crate) rates: Rates,
    pub(crate) crashes: u64,
    /// What comes over the whole: outages, cut connections, lost jobs, killed processes.
    pub(crate) disturbed: bool,
    /// A request whose caller has gone is dropped.
    pub(crate) hangs_up: bool,
    /// The most that servers' clocks differ by, in seconds.
    pub(crate) skew_s: u64,
    pub(crate) longest_split_us: u64,
    pub(crate) bug: Option<Bug>,
}

impl Plan {
    pub(crate) fn of(seed: u64, bug: Option<Bug>) -> Self {
        let mut chance = Chance::new(seed);
        let chance = &mut chance;
        let servers = chance.between(1, 3) as usize;
        let exact = chance.one_in(2) || bug.is_some_and(Bug::needs_an_exact_queue);
        let contents = (0..chance.between(1, 6)).map(|number| content(chance, number)).collect();
        // Drawn beside the others, so that planted faults are found in the seeds that they were found in before.
        let mut aside = Chance::new(seed ^ 0x0064_616d_6167_6564);
        let damaged = if bug.is_none() && aside.one_in(2) { aside.between(1, 200) } else { 0 };
        // A kind of fault is there in about half of the seeds, so that each also meets the others alone.
        let mut rate = |most: u64| if chance.one_in(2) { chance.between(1, most) } else { 0 };
        let rates = Rates {
            crash: rate(8),
            refused: rate(40),
            unanswered: rate(40),
            request_lost: rate(80),
            answer_lost: rate(80),
            request_twice: rate(80),
            job_twice: if exact { 0 } else { rate(200) },
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
            local_commons: servers == 1 && chance.one_in(2),
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

    /// Which content has this hash.
    pub(crate) fn content(&self, hash: &SongHash) -> usize {
        self.contents.iter().position(|content| content.hash == *hash).expect("nobody uploads anything else")
    }

    /// Processes: the director, then the servers, then the workers.
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
    // Some are too large to travel along with their job.
    let padding = if chance.one_in(2) { 80 } else { 0 };
    let bytes = Bytes::from(format!("song {number}{}", "-".repeat(padding)));
    Content { hash: SongHash::of(&bytes), bytes, hopeless: chance.one_in(6) }
}

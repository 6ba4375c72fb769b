//! Locks that last longer than a transaction, those of a whole server on one connection.
//!
//! A task of its own has that connection and tries for whoever waits. Whoever goes away meanwhile, at whatever moment,
//! leaves no lock behind: it is in what he is answered with, and goes when that goes.

use std::future::pending;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection as _, Error, query_scalar};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};
use vocalizer_core::ports::RepositoryError;

use super::error::repository;
use super::open::timed_out;

/// How long to wait before it is tried again, at first and at the longest: those on other servers tell nobody when they
/// are done.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(200));

/// What is locked.
pub(super) type Key = (i32, i32);

type Answer = Result<Option<Lock>, RepositoryError>;

/// A lock, once it has a term: the time of one connection.
pub(super) struct Lock {
    key: Key,
    term: Option<u64>,
    orders: mpsc::UnboundedSender<Order>,
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Some(term) = self.term {
            // Where nobody is left to let it go, its connection is gone, and the lock with it.
            let _ = self.orders.send(Order::LetGo { key: self.key, term });
        }
    }
}

enum Order {
    Take(Wait),
    LetGo { key: Key, term: u64 },
}

/// Somebody who wants a lock.
struct Wait {
    lock: Lock,
    patient: bool,
    answer: oneshot::Sender<Answer>,
    since: Instant,
    due: Instant,
    pause: Duration,
}

/// Where to ask for locks. Whoever asks sees to it that nobody else of this server has what is asked for: to the database
/// they are one and the same.
#[derive(Clone)]
pub(super) struct Locks {
    orders: mpsc::UnboundedSender<Order>,
}

impl Locks {
    /// Connects when the first lock is asked for. `patience` is for the database, not for locks.
    pub(super) fn new(options: PgConnectOptions, patience: Duration) -> Self {
        let (orders, of_all) = mpsc::unbounded_channel();
        let keeper = Keeper { options, patience, connection: None, term: 0, waiting: Vec::new(), given_up: None };
        tokio::spawn(keeper.keep(of_all));
        Self { orders }
    }

    /// Waits for a lock.
    pub(super) async fn wait(&self, key: Key) -> Result<Lock, RepositoryError> {
        loop {
            if let Some(lock) = self.ask(key, true).await? {
                return Ok(lock);
            }
        }
    }

    /// A lock, unless another server has it.
    pub(super) async fn take(&self, key: Key) -> Result<Option<Lock>, RepositoryError> {
        self.ask(key, false).await
    }

    async fn ask(&self, key: Key, patient: bool) -> Answer {
        let (answer, answered) = oneshot::channel();
        let lock = Lock { key, term: None, orders: self.orders.clone() };
        let since = Instant::now();
        let wait = Wait { lock, patient, answer, since, due: since, pause: PAUSES.0 };
        // Where the order does not arrive, neither does an answer.
        let _ = self.orders.send(Order::Take(wait));
        answered.await.unwrap_or_else(|gone| Err(RepositoryError::Unavailable(gone.into())))
    }
}

struct Keeper {
    options: PgConnectOptions,
    patience: Duration,
    connection: Option<PgConnection>,
    term: u64,
    waiting: Vec<Wait>,
    /// When the database was last given up.
    given_up: Option<Instant>,
}

impl Keeper {
    /// Keeps locks until nobody is left who could ask for one or hold one.
    async fn keep(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        loop {
            let due = self.waiting.iter().map(|wait| wait.due).min();
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::Take(wait)) => self.consider(wait).await,
                    Some(Order::LetGo { key, term }) => self.let_go(key, term).await,
                    None => break,
                },
                () = reached(due) => {
                    let now = Instant::now();
                    let due = self.waiting.extract_if(.., |wait| wait.due <= now).collect::<Vec<_>>();
                    for wait in due {
                        self.consider(wait).await;
                    }
                }
            }
        }
        if let Some(connection) = self.connection {
            let _ = timeout(self.patience, connection.close()).await;
        }
    }

    /// Tries for somebody.
    async fn consider(&mut self, mut wait: Wait) {
        if wait.answer.is_closed() {
            return;
        }
        // Nobody waits for a database that is away once more, after the one before him did.
        let answer = match self.given_up {
            Some(at) if wait.since <= at => Err(timed_out()),
            _ => self.lock(wait.lock.key).await,
        };
        let answer = match answer {
            Ok(true) => {
                wait.lock.term = Some(self.term);
                Ok(Some(wait.lock))
            }
            Ok(false) if wait.patient => {
                wait.due = Instant::now() + wait.pause;
                wait.pause = (wait.pause * 2).min(PAUSES.1);
                self.waiting.push(wait);
                return;
            }
            Ok(false) => Ok(None),
            Err(error) => Err(repository(error)),
        };
        // Where nobody listens any more the lock comes back, and is let go.
        let _ = wait.answer.send(answer);
    }

    async fn lock(&mut self, key: Key) -> Result<bool, Error> {
        const SQL: &str = "SELECT pg_try_advisory_lock($1, $2)";
        // The connection may have broken long ago.
        if self.connection.is_some()
            && let Ok(locked) = self.ask(SQL, key).await
        {
            return Ok(locked);
        }
        let answer = self.ask(SQL, key).await;
        if answer.is_err() {
            self.given_up = Some(Instant::now());
        }
        answer
    }

    async fn let_go(&mut self, key: Key, term: u64) {
        if term == self.term {
            // Where that fails the connection is given up, and with it what it has locked.
            let _ = self.ask("SELECT pg_advisory_unlock($1, $2)", key).await;
        }
    }

    async fn ask(&mut self, sql: &'static str, (one, other): Key) -> Result<bool, Error> {
        let asked = timeout(self.patience, async {
            let connection = match &mut self.connection {
                Some(connection) => connection,
                none => none.insert(PgConnection::connect_with(&self.options).await?),
            };
            query_scalar(sql).bind(one).bind(other).fetch_one(connection).await
        });
        let answer = asked.await.unwrap_or_else(|_| Err(timed_out()));
        if answer.is_err() {
            self.connection = None;
            self.term += 1;
        }
        answer
    }
}

async fn reached(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => pending().await,
    }
}

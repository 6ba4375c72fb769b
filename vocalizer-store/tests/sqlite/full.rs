//! A temporarily full disk only fails the writes that do not fit.
//!
//! A file size limit simulates the disk: writes beyond it fail. The limit holds for a whole process, so the test runs
//! itself as a child process.

use std::path::PathBuf;

use time::OffsetDateTime;
use vocalizer_core::account::Viewer;
use vocalizer_core::ports::{RepositoryError, SongFilter, SongRepository};
use vocalizer_store::sqlite::SqliteStore;

use super::file::{run_test_with_limits, set_log_limit};
use super::support::{TestFile, song};

/// Path of the child process's database. If it is not set, the child test does nothing.
const DATABASE: &str = "VOCALIZER_TEST_FULL_STORE";

/// Number of simulated full disks, each at another size.
const ROUNDS: u64 = 100;

/// The child process. Prints the stored songs.
#[tokio::test]
async fn child_process() {
    let Some(database) = std::env::var_os(DATABASE).map(PathBuf::from) else { return };
    let store = SqliteStore::open(&database).await.unwrap();
    let new = |name: String| song(&name, None, OffsetDateTime::UNIX_EPOCH);
    for round in 0..ROUNDS {
        set_log_limit(&database, Some(round * 331));
        let mut number = 0;
        let error = loop {
            match store.admit(&new(format!("{round}.{number}"))).await {
                Ok(stored) => println!("stored {}", stored.id()),
                Err(error) => break error,
            }
            number += 1;
        };
        assert!(matches!(error, RepositoryError::Unavailable(_)), "{error:?}");
        set_log_limit(&database, None);
        let stored = store.admit(&new(format!("{round} after"))).await;
        println!("stored {}", stored.unwrap_or_else(|error| panic!("round {round}: {error:?}")).id());
    }
}

#[tokio::test]
async fn store_recovers_from_a_full_disk_without_losing_songs() {
    let place = TestFile::new();
    let output = run_test_with_limits("sqlite::full::child_process", DATABASE, &place.path());
    let listed = place.open().await.list(&SongFilter::all_of(Viewer::Anonymous)).await.unwrap();
    let listed: Vec<_> = listed.iter().map(|song| song.id().to_string()).collect();
    let stored: Vec<_> = output.lines().filter_map(|line| line.split_once("stored ")).map(|(_, id)| id).collect();
    assert!(stored.len() >= usize::try_from(ROUNDS).unwrap(), "{output}");
    for id in stored {
        assert!(listed.iter().any(|listed| listed == id), "stored song {id} is lost");
    }
}

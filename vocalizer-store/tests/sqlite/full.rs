//! A disk that is full for a moment costs what could not be written, and nothing after it.
//!
//! A limit on the size of files stands for the disk: writes beyond it fail. It holds for a whole process, so the test runs
//! itself as a child.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rlimit::Resource;
use time::OffsetDateTime;
use vocalizer_core::account::Viewer;
use vocalizer_core::ports::{RepositoryError, SongQuery, SongRepository};
use vocalizer_store::sqlite::SqliteStore;

use super::support::{Place, song};

/// The database of the child. Not set, the child's test is none.
const DATABASE: &str = "VOCALIZER_TEST_FULL_STORE";

/// How often the disk is full, each time at another place.
const ROUNDS: u64 = 100;

/// Files may grow up to so many bytes, or without a limit.
fn room(bytes: Option<u64>) {
    let (_, most) = Resource::FSIZE.get().unwrap();
    Resource::FSIZE.set(bytes.unwrap_or(most), most).unwrap();
}

fn log_bytes(database: &Path) -> u64 {
    std::fs::metadata(database.with_extension("sqlite-wal")).map_or(0, |found| found.len())
}

/// The child. Prints the songs that were stored.
#[tokio::test]
async fn the_process_whose_disk_fills_up() {
    let Some(database) = std::env::var_os(DATABASE).map(PathBuf::from) else { return };
    let store = SqliteStore::open(&database).await.unwrap();
    let new = |name: String| song(&name, None, OffsetDateTime::UNIX_EPOCH);
    for round in 0..ROUNDS {
        room(Some(log_bytes(&database) + round * 331));
        let mut number = 0;
        let refused = loop {
            match store.admit(&new(format!("{round}.{number}"))).await {
                Ok(stored) => println!("stored {}", stored.id()),
                Err(refused) => break refused,
            }
            number += 1;
        };
        assert!(matches!(refused, RepositoryError::Unavailable(_)), "{refused:?}");
        room(None);
        let stored = store.admit(&new(format!("{round} after"))).await;
        println!("stored {}", stored.unwrap_or_else(|error| panic!("round {round}: {error:?}")).id());
    }
}

#[tokio::test]
async fn a_full_disk_ends_with_room_and_costs_no_stored_song() {
    let place = Place::new();
    let exe = std::env::current_exe().unwrap();
    // Without the trap the signal that comes with the limit would end the child.
    let child = Command::new("sh")
        .args(["-c", r#"trap '' XFSZ; exec "$0" "$@""#])
        .arg(exe)
        .args(["--exact", "sqlite::full::the_process_whose_disk_fills_up", "--nocapture"])
        .env(DATABASE, place.path())
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let output = String::from_utf8(child.stdout).unwrap();
    assert!(child.status.success(), "{output}");
    let listed = place.open().await.list(&SongQuery::all_of(Viewer::Anonymous)).await.unwrap();
    let listed: Vec<_> = listed.iter().map(|song| song.id().to_string()).collect();
    let stored: Vec<_> = output.lines().filter_map(|line| line.split_once("stored ")).map(|(_, id)| id).collect();
    assert!(stored.len() >= usize::try_from(ROUNDS).unwrap(), "{output}");
    for id in stored {
        assert!(listed.iter().any(|listed| listed == id), "{id} was stored and is lost");
    }
}

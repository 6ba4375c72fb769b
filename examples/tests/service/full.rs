//! A disk that is full at any moment: what was acknowledged stays, and with room again everything works.
//!
//! `VOCALIZER_SMALL_DISK` names a folder on a small disk of its own, which is filled up. Without it a limit on the size of
//! the server's files stands for the disk.
#![cfg(target_os = "linux")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::database::until_ready;
use super::server::Server;
use super::support::{Answer, Browser, archive, from, id, random, song, stems};

/// At how many places the disk is full. `VOCALIZER_FULL_PLACES` asks for more.
fn places() -> u32 {
    std::env::var("VOCALIZER_FULL_PLACES").map_or(5, |places| places.parse().unwrap())
}

/// What fills a disk up, or limits the files of a server.
struct Disk {
    dir: tempfile::TempDir,
    filler: Option<PathBuf>,
}

impl Disk {
    fn new() -> Self {
        match std::env::var_os("VOCALIZER_SMALL_DISK") {
            Some(small) => {
                let dir = tempfile::tempdir_in(small).unwrap();
                Self { filler: Some(dir.path().join("filler")), dir }
            }
            None => Self { dir: tempfile::tempdir().unwrap(), filler: None },
        }
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Leaves room for so many bytes.
    fn fill(&self, server: &Server, left_bytes: u64) {
        let Some(filler) = &self.filler else {
            // A song, a stem or the log ends at the limit. The log is written from its start again and again.
            let log_bytes = if random(2) == 0 { 0 } else { size(&self.data().join("vocalizer.db-wal")) };
            return server.room(Some(random(log_bytes + left_bytes + 1)));
        };
        let mut file = std::fs::File::create(filler).unwrap();
        let _ = std::io::copy(&mut std::io::repeat(1), &mut file);
        file.set_len(size(filler).saturating_sub(left_bytes)).unwrap();
    }

    /// Makes room again. A server that is not there any more had a limit of its own.
    fn empty(&self, server: Option<&Server>) {
        match (&self.filler, server) {
            (Some(filler), _) => std::fs::remove_file(filler).unwrap(),
            (None, Some(server)) => server.room(None),
            (None, None) => {}
        }
    }
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |found| found.len())
}

/// What the server has acknowledged.
#[derive(Default)]
struct Acknowledged {
    songs: BTreeMap<String, u32>,
    split: BTreeSet<String>,
    deleted: BTreeSet<String>,
    users: BTreeSet<String>,
}

/// Whether it is acknowledged, or refused as a full disk is.
fn acknowledged(answer: &Answer) -> bool {
    if answer.status != 200 {
        assert!(matches!(answer.status, 503 | 507), "{answer:?}");
        return false;
    }
    answer.data();
    true
}

impl Acknowledged {
    /// Writes in every way that there is, and says how much of it was acknowledged.
    async fn write(&mut self, browser: &Browser, number: u32) -> usize {
        let mut good = 0;
        let name = format!("user{number}");
        let register_request = browser.new_client().register_request(&name, "correct horse");
        if acknowledged(&Browser::send(from(number, register_request)).await) {
            self.users.insert(name);
            good += 1;
        }
        let uploaded = browser.try_upload("x", song(number)).await;
        if !acknowledged(&uploaded) {
            return good;
        }
        good += 1;
        let uploaded = uploaded.data()["song"].clone();
        if acknowledged(&browser.result(&uploaded, archive()).await) {
            self.split.insert(id(&uploaded).to_owned());
            good += 1;
        }
        if number.is_multiple_of(3) {
            if acknowledged(&browser.delete(&format!("/songs/{}", id(&uploaded))).await) {
                self.deleted.insert(id(&uploaded).to_owned());
                return good + 1;
            }
            // It is there or not, and so are its bytes.
            self.split.remove(id(&uploaded));
            return good;
        }
        self.songs.insert(id(&uploaded).to_owned(), number);
        good
    }

    async fn check(&self, browser: &Browser, place: u32) {
        for (id, number) in &self.songs {
            let download = browser.get(&format!("/songs/{id}/song.mp3")).await;
            assert!(download.bytes == song(*number)[..], "place {place}: the bytes of {id} are lost: {download:?}");
            if self.split.contains(id) {
                let download = browser.get(&format!("/songs/{id}/vocals.mp3")).await;
                assert!(download.bytes == stems().vocals, "place {place}: the stems of {id} are lost: {download:?}");
            }
        }
        for id in &self.deleted {
            browser.get(&format!("/songs/{id}")).await.refused(404, "not_found");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_disk_loses_no_acknowledged_write() {
    let disk = Disk::new();
    let start = || Server::with(&disk.data(), &["--min-free-bytes", "0", "--trusted-proxies", "127.0.0.1/32"]);
    let (mut server, mut known, mut number, mut refusals) = (start(), Acknowledged::default(), 0, 0);
    for place in 0..places() {
        disk.fill(&server, random(96 * 1024));
        // Until something is refused, which most often is soon.
        for _ in 0..20 {
            number += 1;
            if known.write(&server.browser(), number).await < 3 {
                refusals += 1;
                break;
            }
        }
        // Some servers are killed while it is full.
        if place % 8 == 3 {
            drop(server);
            disk.empty(None);
            server = start();
        } else {
            disk.empty(Some(&server));
        }
        let browser = server.browser();
        number += 1;
        let good = known.write(&browser, number).await;
        assert_eq!(good, 3 + usize::from(number.is_multiple_of(3)), "place {place}: with room again");
        until_ready(&browser, true).await;
        if place % 10 == 9 {
            known.check(&browser, place).await;
        }
        // So that small disks last.
        for id in known.songs.keys().take(known.songs.len().saturating_sub(20)).cloned().collect::<Vec<_>>() {
            browser.delete(&format!("/songs/{id}")).await.data();
            known.songs.remove(&id);
        }
    }
    drop(server);
    let server = start();
    known.check(&server.browser(), places()).await;
    assert!(refusals * 2 > places(), "{refusals} refusals: the disk was hardly ever full");
    println!(
        "full at {} places, {refusals} refusals: {number} attempts to write, {} users, {} deletions, nothing lost",
        places(),
        known.users.len(),
        known.deleted.len(),
    );
    for name in known.users.iter().take(20) {
        server.browser().login(name, "correct horse").await.data();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_log_disk_loses_only_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let no_room = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let server = Server::logging_to(no_room.into(), &dir.path().join("data"), &[]);
    let browser = server.browser();
    browser.register("ada", "correct horse").await.data();
    browser.register("ada", "correct horse").await.refused(409, "conflict");
    let uploaded = browser.upload("x", &song(1)).await;
    browser.result(&uploaded, archive()).await.data();
    browser.until(&uploaded, "SPLIT").await;
}

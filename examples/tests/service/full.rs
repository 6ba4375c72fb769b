//! A disk that fills up at random moments: acknowledged writes stay, and everything works again once there is space.
//!
//! `VOCALIZER_SMALL_DISK` names a folder on a small dedicated disk, which is filled. Without it, a file size limit of
//! the server simulates a full disk.
#![cfg(target_os = "linux")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::database::until_ready;
use super::server::Server;
use super::support::{Answer, Browser, archive, from_address, id, random, song, stems};

/// Number of times the disk fills up; `VOCALIZER_FULL_PLACES` sets another.
fn places() -> u32 {
    std::env::var("VOCALIZER_FULL_PLACES").map_or(5, |places| places.parse().unwrap())
}

/// Fills a disk, or limits the server's file size.
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

    /// Leaves `left_bytes` of free space.
    fn fill(&self, server: &Server, left_bytes: u64) {
        let Some(filler) = &self.filler else {
            // A song, a stem or the WAL ends at the limit. The WAL is rewritten from its start repeatedly.
            let log_bytes = if random(2) == 0 { 0 } else { size(&self.data().join("vocalizer.db-wal")) };
            return server.limit_file_size(Some(random(log_bytes + left_bytes + 1)));
        };
        let mut file = std::fs::File::create(filler).unwrap();
        let _ = std::io::copy(&mut std::io::repeat(1), &mut file);
        file.set_len(size(filler).saturating_sub(left_bytes)).unwrap();
    }

    /// Frees the space. A limit ended with a server that is gone.
    fn empty(&self, server: Option<&Server>) {
        match (&self.filler, server) {
            (Some(filler), _) => std::fs::remove_file(filler).unwrap(),
            (None, Some(server)) => server.limit_file_size(None),
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

/// Whether a write is acknowledged; a rejection must be the one for a full disk.
fn acknowledged(answer: &Answer) -> bool {
    if answer.status != 200 {
        assert!(matches!(answer.status, 503 | 507), "{answer:?}");
        return false;
    }
    answer.data();
    true
}

impl Acknowledged {
    /// Does one write of each kind and returns the number of acknowledged ones.
    async fn write(&mut self, browser: &Browser, number: u32) -> usize {
        let mut acknowledged_writes = 0;
        let name = format!("user{number}");
        let register_request = browser.new_client().register_request(&name, "correct horse");
        if acknowledged(&Browser::send(from_address(number, register_request)).await) {
            self.users.insert(name);
            acknowledged_writes += 1;
        }
        let uploaded = browser.try_upload("x", song(number)).await;
        if !acknowledged(&uploaded) {
            return acknowledged_writes;
        }
        acknowledged_writes += 1;
        let uploaded = uploaded.data()["song"].clone();
        if acknowledged(&browser.result(&uploaded, archive()).await) {
            self.split.insert(id(&uploaded).to_owned());
            acknowledged_writes += 1;
        }
        if number.is_multiple_of(3) {
            if acknowledged(&browser.delete(&format!("/songs/{}", id(&uploaded))).await) {
                self.deleted.insert(id(&uploaded).to_owned());
                return acknowledged_writes + 1;
            }
            // The deletion may have taken effect or not.
            self.split.remove(id(&uploaded));
            return acknowledged_writes;
        }
        self.songs.insert(id(&uploaded).to_owned(), number);
        acknowledged_writes
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
    let (mut server, mut known, mut number, mut rejections) = (start(), Acknowledged::default(), 0, 0);
    for place in 0..places() {
        disk.fill(&server, random(96 * 1024));
        // Write until a request is rejected, usually soon.
        for _ in 0..20 {
            number += 1;
            if known.write(&server.browser(), number).await < 3 {
                rejections += 1;
                break;
            }
        }
        // Kill some servers while the disk is full.
        if place % 8 == 3 {
            drop(server);
            disk.empty(None);
            server = start();
        } else {
            disk.empty(Some(&server));
        }
        let browser = server.browser();
        number += 1;
        let acknowledged_writes = known.write(&browser, number).await;
        assert_eq!(
            acknowledged_writes,
            3 + usize::from(number.is_multiple_of(3)),
            "place {place}: after freeing space"
        );
        until_ready(&browser, true).await;
        if place % 10 == 9 {
            known.check(&browser, place).await;
        }
        // Delete old songs so that a small disk suffices.
        for id in known.songs.keys().take(known.songs.len().saturating_sub(20)).cloned().collect::<Vec<_>>() {
            browser.delete(&format!("/songs/{id}")).await.data();
            known.songs.remove(&id);
        }
    }
    drop(server);
    let server = start();
    known.check(&server.browser(), places()).await;
    assert!(rejections * 2 > places(), "only {rejections} rejections: the disk was rarely full");
    println!(
        "full at {} places, {rejections} rejections: {number} attempts to write, {} users, {} deletions, nothing lost",
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
    let full_device = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let server = Server::logging_to(full_device.into(), &dir.path().join("data"), &[]);
    let browser = server.browser();
    browser.register("ada", "correct horse").await.data();
    browser.register("ada", "correct horse").await.refused(409, "conflict");
    let uploaded = browser.upload("x", &song(1)).await;
    browser.result(&uploaded, archive()).await.data();
    browser.until(&uploaded, "SPLIT").await;
}

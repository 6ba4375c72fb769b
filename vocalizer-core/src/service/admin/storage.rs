//! Files across all users: what is stored, whether it is intact, and what no song needs.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use vocalizer_api::{SpaceView, StorageData, StoredView};

use super::AdminService;
use crate::causes::chain;
use crate::part::Format;
use crate::ports::{Action, AudioProbe, BlobError, BlobKey, BlobStore, SongCounts, Space};
use crate::service::storage::Storage;
use crate::service::{ServiceError, SongSettings};
use crate::song::{SongHash, SongHasher, StatusKind, StemsInfo};

/// Files of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stored {
    /// The number of files.
    pub files: u64,
    /// Their size.
    pub bytes: u64,
}

/// What is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StorageReport {
    /// The number of songs in each status, in the order of [`StatusKind::ALL`], without those in the trash.
    pub songs: SongCounts,
    /// The number of songs in the trash, whose files are kept.
    pub trashed: u64,
    /// The number of different uploaded files that have songs.
    pub hashes: u64,
    /// Uploaded files.
    pub sources: Stored,
    /// Stems as MP3.
    pub mp3: Stored,
    /// Stems as FLAC.
    pub flac: Stored,
    /// Cached renditions and peaks.
    pub made: Stored,
    /// The number of hashes that have files and no song.
    pub orphans: u64,
    /// The space of the disk, if it is known.
    pub space: Option<Space>,
}

/// A file that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file.
    pub key: BlobKey,
    /// What is wrong with it.
    pub what: String,
}

/// The result of [`AdminService::collect`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collected {
    /// The hashes whose files were or would be removed.
    pub removed: Vec<SongHash>,
    /// Whether the running server removes them at its next sweep.
    pub is_left: bool,
    /// The number of hashes without a song whose files are too new to be removed.
    pub young: u64,
    /// The number of hashes without a song, if they are most of those stored: nothing is removed then, because the database may
    /// be the wrong one.
    pub suspicious: Option<u64>,
}

impl From<Stored> for StoredView {
    fn from(Stored { files, bytes }: Stored) -> Self {
        Self { files, bytes }
    }
}

impl From<&StorageReport> for StorageData {
    fn from(report: &StorageReport) -> Self {
        let StorageReport { songs, trashed, hashes, sources, mp3, flac, made, orphans, space } = *report;
        let songs = StatusKind::ALL.iter().zip(songs).map(|(kind, songs)| (kind.name().to_owned(), songs));
        let files = [("sources", sources), ("mp3", mp3), ("flac", flac), ("cached", made)];
        Self {
            songs: songs.collect(),
            trashed,
            hashes,
            files: files.into_iter().map(|(kind, stored)| (kind.to_owned(), stored.into())).collect(),
            orphans,
            space: space.map(|Space { free_bytes, total_bytes }| SpaceView { free_bytes, total_bytes }),
        }
    }
}

impl AdminService {
    /// Counts what is stored.
    ///
    /// # Errors
    ///
    /// Those of every method.
    pub async fn report(&self) -> Result<StorageReport, ServiceError> {
        let (songs, blobs) = (&self.stores.songs, self.blobs()?);
        let trashed = songs.census().await?.trashed;
        let mut report = StorageReport { songs: songs.count().await?, trashed, ..StorageReport::default() };
        for hash in self.hashes().await? {
            report.hashes += 1;
            add(&mut report.sources, blobs.size_bytes(&BlobKey::Source(hash)).await?);
            for key in stems_of(&self.stores.songs.results(&hash).await?) {
                let kind = if matches!(key, BlobKey::Stem(..)) { &mut report.mp3 } else { &mut report.flac };
                add(kind, blobs.size_bytes(&key).await?);
            }
        }
        for made in blobs.made().await? {
            add(&mut report.made, Some(made.size_bytes));
        }
        report.orphans = self.storage()?.orphans().await?.hashes.len() as u64;
        report.space = blobs.space().await?;
        Ok(report)
    }

    /// Reads every uploaded file and every stem that songs need, and reports those that are missing or damaged: a source by its
    /// hash, a stem by decoding it as `probe` does. Copies of stems are in `scratch` meanwhile. Returns how many files were read.
    ///
    /// # Errors
    ///
    /// Those of every method.
    pub async fn verify(
        &self,
        probe: &dyn AudioProbe,
        scratch: &dyn BlobStore,
        report: &mut (dyn FnMut(Fault) + Send),
    ) -> Result<Stored, ServiceError> {
        let mut read = Stored::default();
        self.blobs()?.check().await?;
        for hash in self.hashes().await? {
            for key in self.expected(&hash).await? {
                let fault = match check(self.blobs()?.as_ref(), &key, probe, scratch, &mut read).await {
                    Ok(fault) => fault,
                    Err(BlobError::Full) => return Err(ServiceError::Full),
                    Err(error) => Some(format!("is unreadable: {}", chain(&error))),
                };
                // Its song may have been deleted meanwhile, or be split again.
                if let Some(what) = fault
                    && self.expected(&hash).await?.contains(&key)
                {
                    report(Fault { key, what });
                }
            }
        }
        Ok(read)
    }

    /// Removes files that have no song, by the rules of the servers' sweep, or with `dry_run` finds out which.
    ///
    /// # Errors
    ///
    /// Those of every method.
    pub async fn collect(&self, dry_run: bool) -> Result<Collected, ServiceError> {
        let (storage, mut collected) = (self.storage()?, Collected::default());
        let orphans = storage.orphans().await?;
        if orphans.is_suspicious() {
            return Ok(Collected { suspicious: Some(orphans.hashes.len() as u64), ..collected });
        }
        collected.is_left = !self.stores.has_locks && !dry_run;
        for hash in orphans.hashes {
            if !storage.is_old(&hash, orphans.before).await? {
                collected.young += 1;
            } else if dry_run {
                collected.removed.push(hash);
            } else if collected.is_left {
                self.stores.administration.request_erasure(&hash, self.now()).await?;
                collected.removed.push(hash);
            } else if storage.remove(&hash, orphans.before).await? {
                collected.removed.push(hash);
            }
        }
        if !dry_run && !collected.removed.is_empty() {
            let details = format!("{} hashes without a song", collected.removed.len());
            self.audit(Action::StorageCollected, None, Some(details)).await?;
        }
        Ok(collected)
    }

    pub(super) fn blobs(&self) -> Result<&Arc<dyn BlobStore>, ServiceError> {
        self.stores.blobs.as_ref().ok_or_else(|| ServiceError::Internal("the files are not open".into()))
    }

    fn storage(&self) -> Result<Storage, ServiceError> {
        let super::AdminStores { songs, coordination, .. } = &self.stores;
        Ok(Storage {
            songs: Arc::clone(songs),
            blobs: Arc::clone(self.blobs()?),
            coordination: Arc::clone(coordination),
            clock: Arc::clone(self.accounts.clock()),
            keep_orphans: SongSettings::default().keep_orphans,
        })
    }

    /// Returns the hashes that have songs, also in the trash.
    async fn hashes(&self) -> Result<BTreeSet<SongHash>, ServiceError> {
        let mut hashes = BTreeSet::new();
        for key in self.stores.songs.known_keys().await? {
            // Further keys belong to results.
            if !self.stores.songs.with_hash(&key).await?.is_empty() {
                hashes.insert(key);
            }
        }
        Ok(hashes)
    }

    /// Returns the files that the songs with a hash need.
    async fn expected(&self, hash: &SongHash) -> Result<Vec<BlobKey>, ServiceError> {
        let songs = self.stores.songs.with_hash(hash).await?;
        let mut keys: Vec<_> = songs.first().map(|_| BlobKey::Source(*hash)).into_iter().collect();
        keys.extend(stems_of(&self.stores.songs.results(hash).await?));
        Ok(keys)
    }
}

/// Returns the keys of the stems of results.
fn stems_of(results: &[StemsInfo]) -> Vec<BlobKey> {
    let mut keys = Vec::new();
    for (result, key) in results.iter().filter_map(|result| Some((result, result.key?))) {
        if result.formats.has(Format::Mp3) {
            keys.extend(result.names().iter().map(|&stem| BlobKey::Stem(key, stem)));
        }
        if result.formats.is_lossless() {
            keys.extend(result.names().iter().map(|&stem| BlobKey::Lossless(key, stem)));
        }
    }
    keys
}

/// Reads a file and returns what is wrong with it, if anything.
async fn check(
    blobs: &dyn BlobStore,
    key: &BlobKey,
    probe: &dyn AudioProbe,
    scratch: &dyn BlobStore,
    read: &mut Stored,
) -> Result<Option<String>, BlobError> {
    let Some(mut blob) = blobs.open(key, None).await? else {
        return Ok(Some("is missing".to_owned()));
    };
    let (mut hasher, mut copy) = (SongHasher::new(), None);
    if !matches!(key, BlobKey::Source(_)) {
        // A decoder needs a local file. It is dropped without becoming visible.
        copy = Some(scratch.begin().await?);
    }
    while let Some(chunk) = blob.next_chunk().await? {
        read.bytes += chunk.len() as u64;
        hasher.update(&chunk);
        if let Some(copy) = &mut copy {
            copy.write(Bytes::clone(&chunk)).await?;
        }
    }
    read.files += 1;
    let Some(mut copy) = copy else {
        let is_right = hasher.finish() == *key.hash();
        return Ok((!is_right).then(|| "is damaged: its hash does not match".to_owned()));
    };
    let file = copy.reader().await?;
    let decoded = match key {
        BlobKey::Lossless(..) => probe.verify(file).await,
        _ => probe.probe(file).await,
    };
    Ok(decoded.err().map(|error| format!("is damaged: {}", chain(&error))))
}

fn add(stored: &mut Stored, size_bytes: Option<u64>) {
    if let Some(bytes) = size_bytes {
        stored.files += 1;
        stored.bytes = stored.bytes.saturating_add(bytes);
    }
}

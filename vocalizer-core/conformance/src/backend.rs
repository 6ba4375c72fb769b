//! The suite for [`Backend`].

#![expect(missing_docs, reason = "each check is named after the guarantee it tests")]

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use vocalizer_core::api::Provenance;
use vocalizer_core::part::{Format, Stem, StemFormats};
use vocalizer_core::ports::{Backend, BackendError, Blob, BlobError, Job, JobPayload, StemSet, Stems, Wanted};
use vocalizer_core::song::{FailureReason, SongHash, StatusKind};

use crate::support::{POLLS, hash, interrupt, provenance, read};

/// A backend for one test, and the service behind it.
#[async_trait]
pub trait BackendPlace: Send + Sync {
    /// Returns the backend.
    fn backend(&self) -> Arc<dyn Backend>;

    /// Stores a song with these bytes, as an upload does. Repeated with the same bytes, it stores another song.
    async fn upload(&self, song: Bytes);

    /// Deletes all songs with this hash.
    async fn delete(&self, hash: &SongHash);

    /// Returns the status of each song with this hash.
    async fn statuses(&self, hash: &SongHash) -> Vec<StatusKind>;

    /// Returns the stored bytes of a stem; `None` if there are none.
    async fn stem(&self, hash: &SongHash, stem: Stem) -> Option<Bytes>;

    /// Returns the stored bytes of a stem as FLAC; `None` if there are none.
    async fn lossless(&self, hash: &SongHash, stem: Stem) -> Option<Bytes>;

    /// Returns what is known of the stems of each song with this hash.
    async fn known(&self, hash: &SongHash) -> Vec<(StemFormats, Option<Provenance>)>;

    /// Returns the bytes of a song that can be uploaded; another one for each number.
    fn song(&self, number: u8) -> Bytes {
        Bytes::from(vec![number; 1_000])
    }

    /// Returns stems that the backend accepts, other ones for each number.
    fn stems(&self, number: u8) -> Stems {
        let stem = |name: &str| Bytes::from(format!("{name} {number}"));
        Stems { drums: stem("drums"), bass: stem("bass"), other: stem("other"), vocals: stem("vocals") }
    }

    /// Returns a FLAC file that the backend accepts as a stem.
    fn flac(&self) -> Bytes {
        Bytes::from_static(b"lossless")
    }
}

/// A place with an uploaded song.
struct Waiting<'a, P> {
    place: &'a P,
    backend: Arc<dyn Backend>,
    song: Bytes,
    hash: SongHash,
}

impl<'a, P: BackendPlace> Waiting<'a, P> {
    async fn new(place: &'a P) -> Self {
        let song = place.song(1);
        place.upload(song.clone()).await;
        Self { place, backend: place.backend(), hash: SongHash::of(&song), song }
    }

    async fn assert(&self, statuses: &[StatusKind]) {
        assert_eq!(self.place.statuses(&self.hash).await, statuses);
    }

    async fn deliver(&self, number: u8) -> Wanted {
        self.backend.deliver(&self.hash, &self.place.stems(number)).await.unwrap()
    }

    async fn assert_stems(&self, number: u8) {
        let stems = self.place.stems(number);
        for stem in Stem::FOUR {
            let expected = read(stems.open(stem).await.unwrap()).await.unwrap();
            assert!(self.place.stem(&self.hash, stem).await == Some(expected), "{stem}");
        }
    }
}

pub async fn begun_song_is_splitting(place: &impl BackendPlace) {
    let song = Waiting::new(place).await;
    song.assert(&[StatusKind::Uploaded]).await;
    for _ in 0..2 {
        assert_eq!(song.backend.begin(&song.hash).await.unwrap(), Wanted::Yes);
        song.assert(&[StatusKind::Splitting]).await;
    }
}

pub async fn source_has_uploaded_bytes(place: &impl BackendPlace) {
    let song = Waiting::new(place).await;
    let job = Job::new(song.hash, JobPayload::Stored);
    for _ in 0..2 {
        let source = song.backend.source(&job).await.unwrap().unwrap();
        assert_eq!(read(source).await.unwrap(), song.song);
    }
    place.delete(&song.hash).await;
    assert!(song.backend.source(&job).await.unwrap().is_none());
}

pub async fn delivery_splits_every_song_with_the_hash(place: &impl BackendPlace) {
    let song = Waiting::new(place).await;
    place.upload(song.song.clone()).await;
    song.backend.begin(&song.hash).await.unwrap();
    song.assert(&[StatusKind::Splitting; 2]).await;
    assert_eq!(song.backend.progress(&song.hash, 50).await.unwrap(), Wanted::Yes);
    assert_eq!(song.deliver(1).await, Wanted::Yes);
    song.assert(&[StatusKind::Split; 2]).await;
    song.assert_stems(1).await;
    place.upload(song.song.clone()).await;
    song.assert(&[StatusKind::Split; 3]).await;
}

/// Stems as MP3 and FLAC, with a provenance.
struct Lossless {
    mp3: Stems,
    flac: Bytes,
    formats: StemFormats,
    provenance: Provenance,
}

#[async_trait]
impl StemSet for Lossless {
    async fn open(&self, stem: Stem) -> Result<Blob, BlobError> {
        self.mp3.open(stem).await
    }

    async fn open_as(&self, stem: Stem, format: Format) -> Result<Blob, BlobError> {
        if format == Format::Flac { Ok(self.flac.clone().into()) } else { self.open(stem).await }
    }

    fn formats(&self) -> StemFormats {
        self.formats
    }

    fn provenance(&self) -> Option<&Provenance> {
        Some(&self.provenance)
    }
}

pub async fn lossless_delivery_is_stored_with_its_provenance(place: &impl BackendPlace) {
    let song = Waiting::new(place).await;
    place.upload(song.song.clone()).await;
    song.backend.begin(&song.hash).await.unwrap();
    let (flac, formats) = (place.flac(), StemFormats::Both);
    let stems = Lossless { mp3: place.stems(1), flac: flac.clone(), formats, provenance: provenance() };
    assert_eq!(song.backend.deliver(&song.hash, &stems).await.unwrap(), Wanted::Yes);
    song.assert(&[StatusKind::Split; 2]).await;
    song.assert_stems(1).await;
    for stem in Stem::FOUR {
        assert!(place.lossless(&song.hash, stem).await == Some(flac.clone()), "{stem}");
    }
    place.upload(song.song.clone()).await;
    assert_eq!(place.known(&song.hash).await, vec![(formats, Some(provenance())); 3]);
}

pub async fn delivery_of_mp3_is_known_as_such(place: &impl BackendPlace) {
    let song = Waiting::new(place).await;
    song.deliver(1).await;
    assert_eq!(place.known(&song.hash).await, [(StemFormats::Mp3, None)]);
}

pub async fn invalid_provenance_is_refused(place: &impl BackendPlace) {
    let song = Waiting::new(place).await;
    song.backend.begin(&song.hash).await.unwrap();
    let mut invalid = provenance();
    invalid.device = Some("x".repeat(Provenance::MAX_CHARS + 1));
    let (mp3, formats) = (place.stems(1), StemFormats::Mp3);
    let stems = Lossless { mp3, flac: Bytes::new(), formats, provenance: invalid };
    let refused = song.backend.deliver(&song.hash, &stems).await;
    assert!(matches!(&refused, Err(BackendError::Refused { why }) if why.contains("device")), "{refused:?}");
    song.assert(&[StatusKind::Splitting]).await;
}

pub async fn repeated_delivery_changes_nothing(place: &impl BackendPlace) {
    let song = Waiting::new(place).await;
    song.deliver(1).await;
    assert_ne!(song.deliver(2).await, Wanted::Gone);
    song.assert_stems(1).await;
    assert_eq!(song.backend.begin(&song.hash).await.unwrap(), Wanted::Done);
    assert_eq!(song.backend.progress(&song.hash, 10).await.unwrap(), Wanted::Done);
    song.assert(&[StatusKind::Split]).await;
}

pub async fn late_failure_does_not_affect_split_songs(place: &impl BackendPlace) {
    let song = Waiting::new(place).await;
    song.deliver(1).await;
    song.backend.fail(&song.hash, &FailureReason::new("too late")).await.unwrap();
    song.backend.hand_back(&song.hash).await.unwrap();
    song.assert(&[StatusKind::Split]).await;
    song.assert_stems(1).await;
}

pub async fn unknown_and_deleted_songs_are_gone(place: &impl BackendPlace) {
    let song = Waiting::new(place).await;
    song.backend.begin(&song.hash).await.unwrap();
    place.delete(&song.hash).await;
    for gone in [song.hash, hash("never uploaded")] {
        assert_eq!(song.backend.begin(&gone).await.unwrap(), Wanted::Gone);
        assert_eq!(song.backend.progress(&gone, 1).await.unwrap(), Wanted::Gone);
        assert_eq!(song.backend.deliver(&gone, &place.stems(1)).await.unwrap(), Wanted::Gone);
        song.backend.hand_back(&gone).await.unwrap();
        song.backend.fail(&gone, &FailureReason::new("whatever")).await.unwrap();
        assert!(place.stem(&gone, Stem::BASS).await.is_none());
        assert!(place.statuses(&gone).await.is_empty());
    }
}

pub async fn song_handed_back_waits_again(place: &impl BackendPlace) {
    let song = Waiting::new(place).await;
    song.backend.begin(&song.hash).await.unwrap();
    for _ in 0..2 {
        song.backend.hand_back(&song.hash).await.unwrap();
        song.assert(&[StatusKind::Uploaded]).await;
    }
    assert_eq!(song.backend.begin(&song.hash).await.unwrap(), Wanted::Yes);
}

pub async fn failure_fails_every_song_with_the_hash(place: &impl BackendPlace) {
    let song = Waiting::new(place).await;
    place.upload(song.song.clone()).await;
    song.backend.begin(&song.hash).await.unwrap();
    for _ in 0..2 {
        song.backend.fail(&song.hash, &FailureReason::new("not a song")).await.unwrap();
        song.assert(&[StatusKind::Failed; 2]).await;
    }
    // A worker that was still busy delivers after all.
    song.deliver(1).await;
    song.assert(&[StatusKind::Split; 2]).await;
}

/// The stems of a song, except the last one.
struct Incomplete(Stems);

#[async_trait]
impl StemSet for Incomplete {
    async fn open(&self, stem: Stem) -> Result<Blob, BlobError> {
        match stem == Stem::FOUR[3] {
            true => Err(BlobError::Unavailable("the disk failed".into())),
            false => self.0.open(stem).await,
        }
    }
}

pub async fn incomplete_delivery_stores_nothing(place: &impl BackendPlace) {
    let song = Waiting::new(place).await;
    song.backend.begin(&song.hash).await.unwrap();
    assert!(song.backend.deliver(&song.hash, &Incomplete(place.stems(1))).await.is_err());
    song.assert(&[StatusKind::Splitting]).await;
    for stem in Stem::FOUR {
        assert!(place.stem(&song.hash, stem).await.is_none(), "{stem}");
    }
    assert_eq!(song.deliver(2).await, Wanted::Yes);
    song.assert_stems(2).await;
}

pub async fn dropped_delivery_is_atomic(place: &impl BackendPlace) {
    let song = Waiting::new(place).await;
    song.backend.begin(&song.hash).await.unwrap();
    for polls in POLLS {
        interrupt(song.deliver(1), polls).await;
        // Split with all stems, or not at all.
        if place.statuses(&song.hash).await == [StatusKind::Split] {
            song.assert_stems(1).await;
        }
    }
    song.deliver(1).await;
    song.assert(&[StatusKind::Split]).await;
    song.assert_stems(1).await;
}

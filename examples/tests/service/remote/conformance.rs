//! Conformance tests of the backend over HTTP.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use vocalizer_conformance::backend::BackendPlace;
use vocalizer_core::account::Viewer;
use vocalizer_core::api::Provenance;
use vocalizer_core::part::{Stem, StemFormats};
use vocalizer_core::ports::{Backend, Stems};
use vocalizer_core::song::{Song, SongHash, StatusKind};
use vocalizer_model::audio::AudioFormat;

use super::place::{SmallService, backend, upload};
use crate::support::{mp3, song, tone};

struct OverHttp(SmallService);

impl OverHttp {
    async fn new() -> Self {
        Self(SmallService::start(Duration::from_secs(60)).await)
    }

    async fn songs(&self, hash: &SongHash) -> Vec<Song> {
        self.0.songs.repository().with_hash(hash).await.unwrap()
    }

    async fn file(&self, hash: &SongHash, name: &str) -> Option<Bytes> {
        let song = self.songs(hash).await.into_iter().next()?;
        let response = reqwest::get(format!("http://{}/songs/{}/{name}", self.0.address, song.id())).await.unwrap();
        if response.status() == 200 { Some(response.bytes().await.unwrap()) } else { None }
    }
}

#[async_trait]
impl BackendPlace for OverHttp {
    fn backend(&self) -> Arc<dyn Backend> {
        Arc::new(backend(self.0.address))
    }

    async fn upload(&self, song: Bytes) {
        upload(&self.0, &song).await;
    }

    async fn delete(&self, hash: &SongHash) {
        for song in self.songs(hash).await {
            self.0.songs.delete(Viewer::Anonymous, song.id()).await.unwrap();
        }
    }

    async fn statuses(&self, hash: &SongHash) -> Vec<StatusKind> {
        self.songs(hash).await.iter().map(|song| song.status().kind()).collect()
    }

    async fn stem(&self, hash: &SongHash, stem: Stem) -> Option<Bytes> {
        self.file(hash, &format!("{stem}.mp3")).await
    }

    async fn lossless(&self, hash: &SongHash, stem: Stem) -> Option<Bytes> {
        self.file(hash, &format!("{stem}.flac")).await
    }

    async fn known(&self, hash: &SongHash) -> Vec<(StemFormats, Option<Provenance>)> {
        self.songs(hash).await.iter().map(|song| (song.stems().formats, song.stems().provenance.clone())).collect()
    }

    fn song(&self, number: u8) -> Bytes {
        song(number.into()).into()
    }

    fn stems(&self, number: u8) -> Stems {
        let stem = |index| mp3(u32::from(number) * 4 + index);
        Stems { drums: stem(0), bass: stem(1), other: stem(2), vocals: stem(3) }
    }

    fn flac(&self) -> Bytes {
        tone(AudioFormat::Flac, 9)
    }
}

vocalizer_conformance::backend_conformance!(
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    OverHttp::new().await
);

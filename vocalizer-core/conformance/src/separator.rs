//! The suite for [`Separator`].

#![expect(missing_docs, reason = "each check is named after the guarantee it tests")]

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::future::join;
use vocalizer_core::part::{Format, Stem};
use vocalizer_core::ports::{AudioError, Progress, Separator, StemSet};

use crate::support::{POLLS, interrupt, read};

/// A separator for one test, and songs for it.
pub trait SeparatorPlace: Send + Sync {
    /// Returns the separator.
    fn separator(&self) -> Arc<dyn Separator>;

    /// Returns the bytes of a short song that can be split.
    fn song(&self) -> Bytes;

    /// Returns bytes that cannot be split; `None` if the separator accepts all.
    fn no_song(&self) -> Option<Bytes> {
        Some(Bytes::from_static(b"not a song"))
    }
}

#[derive(Default)]
struct Recorder(Mutex<Vec<u8>>);

impl Progress for Recorder {
    fn report(&self, percent: u8) {
        self.0.lock().unwrap().push(percent);
    }
}

async fn separate(place: &impl SeparatorPlace) -> Result<Box<dyn StemSet>, AudioError> {
    place.separator().separate(place.song().into(), Arc::new(())).await
}

pub async fn song_has_four_stems(place: &impl SeparatorPlace) {
    let stems = separate(place).await.unwrap();
    for stem in Stem::FOUR {
        assert!(!read(stems.open(stem).await.unwrap()).await.unwrap().is_empty(), "{stem}");
    }
}

pub async fn every_announced_format_can_be_opened(place: &impl SeparatorPlace) {
    let stems = separate(place).await.unwrap();
    for (stem, &format) in
        Stem::FOUR.into_iter().flat_map(|stem| stems.formats().formats().iter().map(move |f| (stem, f)))
    {
        let file = read(stems.open_as(stem, format).await.unwrap()).await.unwrap();
        assert!(!file.is_empty(), "{stem}.{format}");
        assert!(format != Format::Flac || file.starts_with(b"fLaC"), "{stem}");
    }
    assert!(stems.provenance().is_none_or(|provenance| provenance.check().is_ok()));
}

pub async fn stems_can_be_read_repeatedly(place: &impl SeparatorPlace) {
    let stems = separate(place).await.unwrap();
    let (first, second) = (stems.open(Stem::VOCALS).await.unwrap(), stems.open(Stem::VOCALS).await.unwrap());
    let (first, second) = join(read(first), read(second)).await;
    assert_eq!(first.unwrap(), second.unwrap());
}

pub async fn progress_never_decreases(place: &impl SeparatorPlace) {
    let recorder = Arc::new(Recorder::default());
    place.separator().separate(place.song().into(), Arc::clone(&recorder) as _).await.unwrap();
    let percents = recorder.0.lock().unwrap().clone();
    assert!(percents.is_sorted() && percents.iter().all(|&percent| percent <= 100), "{percents:?}");
}

pub async fn bytes_that_are_no_song_fail_permanently(place: &impl SeparatorPlace) {
    let Some(no_song) = place.no_song() else { return };
    let error = place.separator().separate(no_song.into(), Arc::new(())).await.err().unwrap();
    assert!(error.is_permanent(), "{error}");
}

pub async fn dropped_separation_does_not_affect_the_next(place: &impl SeparatorPlace) {
    for polls in POLLS {
        interrupt(separate(place), polls.min(1_000)).await;
    }
    separate(place).await.unwrap();
}

pub async fn songs_are_split_concurrently(place: &impl SeparatorPlace) {
    let (first, second) = join(separate(place), separate(place)).await;
    let (first, second) = (first.unwrap(), second.unwrap());
    drop(first);
    assert!(!read(second.open(Stem::BASS).await.unwrap()).await.unwrap().is_empty(), "stems have separate files");
}

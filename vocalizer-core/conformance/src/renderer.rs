//! The suite for [`Renderer`].

#![expect(missing_docs, reason = "each check is named after the guarantee it tests")]

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join;
use vocalizer_core::part::Format;
use vocalizer_core::ports::{AudioError, Blob, Peaks, Renderer};

use crate::support::{POLLS, interrupt, read};

/// A renderer for one test, and files for it.
pub trait RendererPlace: Send + Sync {
    /// Returns the renderer.
    fn renderer(&self) -> Arc<dyn Renderer>;

    /// Returns a short audio file, different for each number.
    fn file(&self, number: u8) -> Bytes;

    /// Returns bytes that cannot be decoded; `None` if the renderer accepts all.
    fn no_file(&self) -> Option<Bytes> {
        Some(Bytes::from_static(b"not audio"))
    }
}

fn files(place: &impl RendererPlace) -> Vec<Blob> {
    (0..4).map(|number| place.file(number).into()).collect()
}

pub async fn files_are_rendered_in_each_format(place: &impl RendererPlace) {
    for format in [Format::Mp3, Format::Wav, Format::Flac] {
        let rendered = place.renderer().render(files(place), format).await.unwrap();
        assert!(!read(rendered).await.unwrap().is_empty(), "{format}");
    }
}

pub async fn gains_are_accepted(place: &impl RendererPlace) {
    let tracks = files(place).into_iter().zip([0.0, 0.5, 1.0, 2.0]).collect();
    assert!(!read(place.renderer().mix(tracks, Format::Wav).await.unwrap()).await.unwrap().is_empty());
}

pub async fn previews_are_not_larger_than_files_at_full_quality(place: &impl RendererPlace) {
    let preview = read(place.renderer().preview(files(place)).await.unwrap()).await.unwrap();
    let full = read(place.renderer().render(files(place), Format::Mp3).await.unwrap()).await.unwrap();
    assert!(!preview.is_empty() && preview.len() <= full.len(), "{} and {} bytes", preview.len(), full.len());
}

pub async fn peaks_are_limited(place: &impl RendererPlace) {
    let peaks = place.renderer().peaks(files(place)).await.unwrap();
    assert!(peaks.rate_hz() > 0 && (1..=Peaks::MOST).contains(&peaks.values().len()), "{peaks:?}");
}

pub async fn analysis_is_within_bounds_or_unsupported(place: &impl RendererPlace) {
    let analysis = match place.renderer().analyse(place.file(0).into()).await {
        Err(AudioError::Unsupported { .. }) => return,
        analysis => analysis.unwrap(),
    };
    if let Some(tempo) = analysis.tempo {
        assert!(tempo.bpm > 0.0 && (0.0..=1.0).contains(&tempo.confidence), "{tempo:?}");
        // The first beat comes before the second could.
        assert!((tempo.first_beat_ms as f64) <= 60_000.0 / tempo.bpm, "{tempo:?}");
    }
    if let Some(key) = analysis.key {
        assert!((0.0..=1.0).contains(&key.confidence), "{key:?}");
    }
}

pub async fn file_without_tags_has_neither_cover_nor_lyrics(place: &impl RendererPlace) {
    assert_eq!(place.renderer().cover(place.file(0).into()).await.unwrap(), None);
    assert_eq!(place.renderer().lyrics(place.file(0).into()).await.unwrap(), None);
}

pub async fn files_that_are_no_audio_are_rejected(place: &impl RendererPlace) {
    let Some(no_file) = place.no_file() else { return };
    assert!(place.renderer().render(vec![no_file.clone().into()], Format::Wav).await.is_err());
    assert!(place.renderer().peaks(vec![no_file.clone().into()]).await.is_err());
    assert!(place.renderer().analyse(no_file.into()).await.is_err());
}

pub async fn dropped_rendering_does_not_affect_the_next(place: &impl RendererPlace) {
    for polls in POLLS {
        interrupt(place.renderer().render(files(place), Format::Mp3), polls.min(1_000)).await;
    }
    place.renderer().render(files(place), Format::Mp3).await.unwrap();
}

pub async fn files_are_rendered_concurrently(place: &impl RendererPlace) {
    let renderer = place.renderer();
    let (first, second) =
        join(renderer.render(files(place), Format::Wav), renderer.render(files(place), Format::Wav)).await;
    let (first, second) = (read(first.unwrap()).await.unwrap(), read(second.unwrap()).await.unwrap());
    assert_eq!(first, second);
}

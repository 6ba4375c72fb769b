//! Separators that deliver other formats than MP3.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tempfile::TempDir;
use vocalizer_conformance::separator::SeparatorPlace;
use vocalizer_core::part::Stem;
use vocalizer_core::ports::{AudioError, Blob, BlobError, Progress, Separator, StemSet, Stems};
use vocalizer_core::worker::EncodedSeparator;
use vocalizer_model::audio::{AudioFormat, AudioLimits, Frame};
use vocalizer_model::ports::AudioRenderer;

use super::support::{bytes_of, decode, file};
use crate::audio::support::{RATE_HZ, dir, snr_db, song};

/// Delivers the same file for every stem.
struct Delivers(Bytes);

#[async_trait]
impl Separator for Delivers {
    async fn separate(&self, _: Blob, progress: Arc<dyn Progress>) -> Result<Box<dyn StemSet>, AudioError> {
        progress.report(100);
        let stem = || self.0.clone();
        Ok(Box::new(Stems { drums: stem(), bass: stem(), other: stem(), vocals: stem() }))
    }
}

struct Place {
    separator: Arc<EncodedSeparator<Delivers>>,
    _dir: TempDir,
}

fn place(stem: Bytes) -> Place {
    let dir = dir();
    let renderer = AudioRenderer::new(dir.path().join("work"), AudioLimits::default());
    Place { separator: Arc::new(EncodedSeparator::new(Delivers(stem), Arc::new(renderer))), _dir: dir }
}

fn frames() -> Vec<Frame> {
    song(100_003, RATE_HZ)
}

#[tokio::test]
async fn wav_and_flac_stems_become_mp3() {
    for format in [AudioFormat::Wav16, AudioFormat::Wav24, AudioFormat::Flac] {
        let place = place(file(format, RATE_HZ, &frames()));
        let stems = place.separator.separate(Bytes::new().into(), Arc::new(())).await.expect("stems");
        for stem in Stem::FOUR {
            let mp3 = Bytes::from(bytes_of(&mut stems.open(stem).await.expect("a stem")).await);
            assert!(mp3.starts_with(&[0xff, 0xfb]), "{stem} of {format:?} is not an MP3");
            let (rate_hz, decoded) = decode(mp3.into()).await;
            assert_eq!((rate_hz, decoded.len()), (RATE_HZ, frames().len()));
            assert!(snr_db(&frames(), &decoded) > 30.0);
        }
    }
}

#[tokio::test]
async fn stem_that_is_not_audio_is_an_error() {
    let place = place(Bytes::from_static(b"not a stem"));
    let stems = place.separator.separate(Bytes::new().into(), Arc::new(())).await.expect("stems");
    let error = stems.open(Stem::BASS).await.expect_err("an error");
    assert!(matches!(&error, BlobError::Unavailable(source) if source.to_string().contains("audio")), "{error:?}");
}

impl SeparatorPlace for Place {
    fn separator(&self) -> Arc<dyn Separator> {
        Arc::clone(&self.separator) as _
    }

    fn song(&self) -> Bytes {
        Bytes::from_static(b"any song")
    }

    fn no_song(&self) -> Option<Bytes> {
        None
    }
}

vocalizer_conformance::separator_conformance!(
    #[tokio::test]
    place(file(AudioFormat::Wav16, RATE_HZ, &song(1_000, RATE_HZ)))
);

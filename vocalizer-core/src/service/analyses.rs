//! The tempo and the key of a song.

use vocalizer_api::{Analysis, Key, Mode, Tempo, Tonic};

use super::ServiceError;
use super::songs::SongService;
use crate::account::{Client, Viewer};
use crate::part::Part;
use crate::ports::BlobKey;
use crate::song::{SongHash, SongId};

/// The version of the stored form, and of the method. An analysis of another version is made again.
const VERSION: u8 = 1;

impl SongService {
    /// Returns the tempo and the key of a song. They are found in the uploaded file on request and cached, like other formats, so they are
    /// known whichever worker splits the song, and before it is split. If the file cannot be analysed, or
    /// [`analyses`](super::RenderingSettings::analyses) are turned off, both are missing.
    ///
    /// ```
    /// # #[cfg(not(feature = "memory"))] fn main() {}
    /// # #[cfg(feature = "memory")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::{sync::Arc, time::Duration};
    /// # use vocalizer_core::{account::*, api::*, limits::*, memory::*, part::*, ports::*, service::*, song::*};
    /// # let (songs, blobs, queue) = (Arc::<MemorySongs>::default(), Arc::<MemoryBlobs>::default(), Arc::new(IdleQueue));
    /// # let clock = Arc::new(ManualClock::new());
    /// # struct Metronome;
    /// # #[async_trait::async_trait]
    /// # impl Renderer for Metronome {
    /// #     async fn mix(&self, _: Vec<Track>, _: Format) -> Result<Blob, AudioError> { unreachable!() }
    /// #     async fn peaks(&self, _: Vec<Blob>) -> Result<Peaks, AudioError> { unreachable!() }
    /// #     async fn analyse(&self, _: Blob) -> Result<Analysis, AudioError> {
    /// #         Ok(Analysis::new(Some(Tempo::new(120.0, 1.0, 0)), None))
    /// #     }
    /// # }
    /// # let builder = SongService::builder_with_clock(songs, blobs, queue, clock);
    /// # let service = builder.with_renderer(Arc::new(Metronome)).build();
    /// # let mut upload = service.begin_upload(Viewer::Anonymous).await?;
    /// # upload.write("the file".into()).await?;
    /// # let song = upload.finish("Clair de lune").await?;
    /// let analysis = service.analysis(Viewer::Anonymous.into(), song.id).await?;
    /// if let Some(tempo) = analysis.tempo {
    ///     println!("{:.0} BPM", tempo.bpm);
    /// }
    /// # assert_eq!(analysis.tempo.map(|tempo| tempo.bpm), Some(120.0));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The errors of [`Self::part`].
    pub async fn analysis(&self, client: Client, id: SongId) -> Result<Analysis, ServiceError> {
        let song = self.with_part(client.viewer, id, Part::Song).await?;
        if !self.settings().renderings.analyses {
            return Ok(Analysis::default());
        }
        let (hash, key) = (*song.hash(), BlobKey::Analysis(*song.hash()));
        if let Some(analysis) = self.kept_analysis(&key).await? {
            return Ok(analysis);
        }
        let work = move |service: Self| async move { service.analyse(hash, key).await };
        let _pin = self.make(client.share(), key, work).await?;
        // Nothing is kept of a file that cannot be analysed.
        Ok(self.kept_analysis(&key).await?.unwrap_or_default())
    }

    /// Returns the tempo and the key of a song if they are cached.
    ///
    /// # Errors
    ///
    /// The errors of [`Self::part`] except [`ServiceError::Busy`] and [`ServiceError::Full`].
    pub async fn known_analysis(&self, viewer: Viewer, id: SongId) -> Result<Option<Analysis>, ServiceError> {
        let song = self.with_part(viewer, id, Part::Song).await?;
        if !self.settings().renderings.analyses {
            return Ok(Some(Analysis::default()));
        }
        self.kept_analysis(&BlobKey::Analysis(*song.hash())).await
    }

    /// Analyses a song and stores the result.
    async fn analyse(&self, hash: SongHash, key: BlobKey) -> Result<(), ServiceError> {
        if self.kept_analysis(&key).await?.is_some() {
            return Ok(());
        }
        let source = self.ports().blobs.open(&BlobKey::Source(hash), None).await?.ok_or(ServiceError::NO_SONG)?;
        let analysis = match self.ports().renderer.analyse(source).await {
            Err(error) if error.is_permanent() => {
                tracing::debug!(%hash, %error, "the song cannot be analysed");
                return Ok(());
            }
            analysis => analysis?,
        };
        self.keep_bytes(&hash, &key, to_bytes(&analysis)).await
    }

    /// Returns the cached analysis, if it can be read and has the current version.
    async fn kept_analysis(&self, key: &BlobKey) -> Result<Option<Analysis>, ServiceError> {
        Ok(self.kept(key).await?.and_then(|bytes| from_bytes(&bytes)))
    }
}

/// Encodes an analysis: the version; of a tempo 1, its numbers and the first beat, else 0; of a key 1, tonic, mode and confidence, else 0.
fn to_bytes(analysis: &Analysis) -> Vec<u8> {
    let mut bytes = vec![VERSION, u8::from(analysis.tempo.is_some())];
    if let Some(Tempo { bpm, confidence, first_beat_ms, .. }) = analysis.tempo {
        bytes.extend([bpm.to_le_bytes(), confidence.to_le_bytes(), first_beat_ms.to_le_bytes()].concat());
    }
    bytes.push(u8::from(analysis.key.is_some()));
    if let Some(Key { tonic, mode, confidence, .. }) = analysis.key {
        let tonic = (0..).zip(Tonic::ALL).find(|&(_, each)| each == tonic).map_or(0, |(at, _)| at);
        bytes.extend([tonic, u8::from(mode == Mode::Minor)]);
        bytes.extend(confidence.to_le_bytes());
    }
    bytes
}

/// Takes eight bytes from the front.
fn number(bytes: &mut &[u8]) -> Option<[u8; 8]> {
    let (number, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*number)
}

fn from_bytes(bytes: &[u8]) -> Option<Analysis> {
    let (&[VERSION, has_tempo], mut rest) = bytes.split_first_chunk()? else { return None };
    let tempo = match has_tempo {
        0 => None,
        _ => {
            let [bpm, confidence] = [number(&mut rest)?, number(&mut rest)?].map(f64::from_le_bytes);
            Some(Tempo::new(bpm, confidence, u64::from_le_bytes(number(&mut rest)?)))
        }
    };
    let key = match rest {
        [0] => None,
        [1, tonic, mode, confidence @ ..] => {
            let mode = if *mode == 1 { Mode::Minor } else { Mode::Major };
            let confidence = f64::from_le_bytes(confidence.try_into().ok()?);
            Some(Key::new(*Tonic::ALL.get(usize::from(*tonic))?, mode, confidence))
        }
        _ => return None,
    };
    Some(Analysis::new(tempo, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_analyses_are_read_back_and_others_are_made_again() {
        let (tempo, key) = (Tempo::new(103.98, 0.9, 577), Key::new(Tonic::FSharp, Mode::Minor, 0.5));
        for analysis in [
            Analysis::default(),
            Analysis::new(Some(tempo), None),
            Analysis::new(None, Some(key)),
            Analysis::new(Some(tempo), Some(key)),
        ] {
            let bytes = to_bytes(&analysis);
            assert_eq!(from_bytes(&bytes), Some(analysis));
            assert_eq!(from_bytes(&bytes[..bytes.len() - 1]), None, "cut");
            let other = [&[VERSION + 1], &bytes[1..]].concat();
            assert_eq!(from_bytes(&other), None, "of another version");
        }
    }
}

//! Core's `AudioProbe` port: checks uploaded files.

use async_trait::async_trait;
use vocalizer_core::ports::{AudioError, AudioFacts, AudioProbe, LocalRead};

use super::error;
use super::pool::{self, Turns};
use crate::audio::{AudioLimits, AudioReader, DecodeError, ReadOptions};

/// Blocks to decode: enough to reject a file that only starts like audio.
const BLOCKS: usize = 4;

/// Opens files with [`AudioReader`], which checks their headers against the limits, and decodes the first blocks.
#[derive(Debug, Clone)]
pub struct FileProbe {
    limits: AudioLimits,
    turns: Turns,
}

impl FileProbe {
    /// Creates a probe with these limits that checks as many files at once as there are cores.
    #[must_use]
    pub fn new(limits: AudioLimits) -> Self {
        Self { limits, turns: Turns::default() }
    }

    /// Sets the number of files checked at once, at least one.
    #[must_use]
    pub fn with_at_once(mut self, at_once: usize) -> Self {
        self.turns = Turns::new(at_once);
        self
    }
}

#[async_trait]
impl AudioProbe for FileProbe {
    async fn probe(&self, file: Box<dyn LocalRead>) -> Result<AudioFacts, AudioError> {
        self.look(file, ReadOptions::default(), BLOCKS, true).await
    }

    async fn verify(&self, file: Box<dyn LocalRead>) -> Result<AudioFacts, AudioError> {
        let mut options = ReadOptions::default();
        options.strict = true;
        self.look(file, options, usize::MAX, false).await
    }
}

impl FileProbe {
    async fn look(
        &self,
        file: Box<dyn LocalRead>,
        options: ReadOptions,
        blocks: usize,
        has_tags: bool,
    ) -> Result<AudioFacts, AudioError> {
        let turn = self.turns.take().await?;
        let limits = self.limits;
        pool::run(move || {
            let _turn = turn;
            let (file, tags) = if has_tags { read_tags(file) } else { (file, None) };
            let facts = look(file, &limits, &options, blocks).map_err(error::decode)?;
            Ok(AudioFacts {
                artist: tags.as_ref().and_then(|tags| tags.0.clone()),
                has_cover: tags.map(|tags| tags.1),
                ..facts
            })
        })
        .await
    }
}

/// The artist, and whether there is a cover.
type TagFacts = (Option<String>, bool);

/// Reads the artist, and whether there is a cover. Returns the file too, which is read from the start later.
#[cfg(feature = "tags")]
fn read_tags(mut file: Box<dyn LocalRead>) -> (Box<dyn LocalRead>, Option<TagFacts>) {
    let tags = crate::audio::SongTags::from_reader(&mut file);
    (file, Some((tags.artist, tags.cover.is_some())))
}

#[cfg(not(feature = "tags"))]
fn read_tags(file: Box<dyn LocalRead>) -> (Box<dyn LocalRead>, Option<TagFacts>) {
    (file, None)
}

fn look(
    file: Box<dyn LocalRead>,
    limits: &AudioLimits,
    options: &ReadOptions,
    blocks: usize,
) -> Result<AudioFacts, DecodeError> {
    let mut reader = AudioReader::from_reader_with(file, limits, options)?;
    let mut frames = Vec::new();
    for _ in 0..blocks {
        frames.clear();
        if !reader.read(&mut frames)? {
            break;
        }
    }
    let info = reader.info();
    Ok(AudioFacts {
        format: info.format.to_owned(),
        rate_hz: info.rate_hz,
        channels: info.channels,
        duration_ms: info.frames.map(|frames| frames.saturating_mul(1_000) / u64::from(info.rate_hz.max(1))),
        ..AudioFacts::default()
    })
}

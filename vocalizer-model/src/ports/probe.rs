//! Looking into files.

use std::path::Path;

use async_trait::async_trait;
use vocalizer_core::ports::{AudioError, AudioFacts, AudioProbe};

use super::error;
use super::pool::{self, Turns};
use crate::audio::{AudioLimits, AudioReader, DecodeError};

/// How much is decoded: what merely begins like a song shows it by then.
const BLOCKS: u32 = 4;

/// Opens files as [`AudioReader`] does, which holds their headers to the limits, and decodes their first moments.
#[derive(Debug, Clone)]
pub struct FileProbe {
    limits: AudioLimits,
    turns: Turns,
}

impl FileProbe {
    /// A probe that keeps these limits and looks into as many files at once as there are cores.
    #[must_use]
    pub fn new(limits: AudioLimits) -> Self {
        Self { limits, turns: Turns::default() }
    }

    /// Looks into so many files at once, at least one.
    #[must_use]
    pub fn with_at_once(mut self, at_once: usize) -> Self {
        self.turns = Turns::new(at_once);
        self
    }
}

#[async_trait]
impl AudioProbe for FileProbe {
    async fn probe(&self, file: &Path) -> Result<AudioFacts, AudioError> {
        let turn = self.turns.take().await?;
        let (file, limits) = (file.to_owned(), self.limits);
        pool::run(move || {
            let _turn = turn;
            look(&file, &limits).map_err(error::decode)
        })
        .await
    }
}

fn look(file: &Path, limits: &AudioLimits) -> Result<AudioFacts, DecodeError> {
    let mut reader = AudioReader::open(file, limits)?;
    let mut frames = Vec::new();
    for _ in 0..BLOCKS {
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
    })
}

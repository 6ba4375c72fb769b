//! The audio tracks of a container, and which one is read.

use symphonia::core::codecs::audio::AudioCodecParameters;

use super::codecs;
use super::error::DecodeError;
use super::options::TrackInfo;
use super::refused;

/// The audio tracks of a container.
#[derive(Debug, Default)]
pub(super) struct AudioTracks {
    pub(super) tracks: Vec<TrackInfo>,
    /// Why they cannot be decoded.
    errors: Vec<Option<DecodeError>>,
}

/// What a container states of a track.
#[derive(Debug, Default)]
pub(super) struct Stated {
    /// The name of a codec that has no identifier in symphonia.
    pub(super) name: Option<&'static str>,
    /// The number of channels if the parameters do not have it.
    pub(super) channels: Option<u16>,
    pub(super) language: Option<String>,
    pub(super) is_default: bool,
}

impl AudioTracks {
    /// Adds a track: the parameters for its decoder, and why it cannot be decoded if it cannot.
    pub(super) fn add(&mut self, params: &AudioCodecParameters, error: Option<DecodeError>, stated: Stated) {
        let unnamed = if error.is_none() { "pcm" } else { "unknown" };
        self.tracks.push(TrackInfo {
            number: u32::try_from(self.tracks.len() + 1).unwrap_or(u32::MAX),
            codec: codecs::name(params.codec).or(stated.name).unwrap_or(unnamed),
            rate_hz: params.sample_rate.filter(|&rate_hz| rate_hz > 0),
            channels: params.channels.as_ref().and_then(|all| u16::try_from(all.count()).ok()).or(stated.channels),
            bits: codecs::bits(params),
            language: stated.language.filter(|language| language != "und"),
            is_default: stated.is_default,
            is_supported: error.is_none(),
        });
        self.errors.push(error);
    }

    /// Returns the index of the track to read.
    pub(super) fn choose(&mut self, wanted: Option<u32>) -> Result<usize, DecodeError> {
        let index = index_of(&self.tracks, wanted)?;
        match self.errors.get_mut(index).and_then(Option::take) {
            Some(error) => Err(error),
            None => Ok(index),
        }
    }
}

/// The error for a codec in MP4 that the demuxer does not know.
pub(super) fn unknown(letters: [u8; 4]) -> DecodeError {
    match named_by(letters) {
        Some(name) => refused::codec(name),
        None => refused::codec(&format!("MP4 or QuickTime with the codec `{}`", letters.escape_ascii())),
    }
}

/// Returns the name of a codec in MP4 that has no identifier in symphonia.
pub(super) fn named_by(letters: [u8; 4]) -> Option<&'static str> {
    Some(match &letters {
        b"samr" | b"sawb" | b"sawp" => "amr",
        b"ac-3" => "ac-3",
        b"ec-3" => "e-ac-3",
        b"ac-4" => "ac-4",
        b"dtsc" | b"dtsh" | b"dtsl" | b"dtse" | b"dtsx" => "dts",
        b"mlpa" => "truehd",
        b"mha1" | b"mha2" | b"mhm1" | b"mhm2" => "mpeg-h 3d audio",
        b"QDM2" | b"QDMC" => "qdesign music",
        b"MAC3" | b"MAC6" => "mace",
        b"enca" | b"drms" => "encrypted sound",
        b"Qclp" | b"sqcp" => "qcelp",
        b"agsm" => "gsm",
        _ => return None,
    })
}

/// Returns the index of the track to read: the wanted one, or the default that can be decoded, or the first that can, or
/// the first.
pub(super) fn index_of(tracks: &[TrackInfo], wanted: Option<u32>) -> Result<usize, DecodeError> {
    if tracks.is_empty() {
        return Err(DecodeError::NoAudioTrack);
    }
    match wanted {
        Some(track) => {
            let index = usize::try_from(track).ok().and_then(|number| number.checked_sub(1));
            let tracks = (tracks.len(), u32::try_from(tracks.len()).unwrap_or(u32::MAX));
            index.filter(|&index| index < tracks.0).ok_or(DecodeError::NoSuchTrack { track, tracks: tracks.1 })
        }
        None => {
            let default = tracks.iter().position(|track| track.is_default && track.is_supported);
            Ok(default.or_else(|| tracks.iter().position(|track| track.is_supported)).unwrap_or(0))
        }
    }
}

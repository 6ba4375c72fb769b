//! The audio tracks of a container, and which one is read.

use symphonia::core::codecs::audio::AudioCodecParameters;
use symphonia::core::formats::{FormatReader, TrackFlags};

use super::codec::Codec;
use super::codecs;
use super::error::DecodeError;
use super::mp4::Movie;
use super::options::TrackInfo;
use super::refused;

/// Tracks beyond this number are not tried.
const MAX_TRACKS: usize = 64;

/// The audio tracks of a container.
#[derive(Debug, Default)]
pub(super) struct AudioTracks {
    pub(super) tracks: Vec<TrackInfo>,
    /// Their identifiers in the container.
    ids: Vec<u32>,
    /// Why they cannot be decoded.
    errors: Vec<Option<DecodeError>>,
}

/// Returns the audio tracks of a demuxer, and tries to make a decoder for each.
pub(super) fn audio_tracks(
    format: &dyn FormatReader,
    make: impl Fn(&AudioCodecParameters) -> Result<Box<dyn Codec>, DecodeError>,
) -> AudioTracks {
    let mut found = AudioTracks::default();
    for track in format.tracks().iter().take(MAX_TRACKS) {
        let Some(params) = track.codec_params.as_ref().and_then(|params| params.audio()) else { continue };
        let error = make(params).err();
        let unnamed = if error.is_none() { "pcm" } else { "unknown" };
        found.tracks.push(TrackInfo {
            number: u32::try_from(found.ids.len() + 1).unwrap_or(u32::MAX),
            codec: codecs::name(params.codec).unwrap_or(unnamed),
            rate_hz: params.sample_rate.filter(|&rate_hz| rate_hz > 0),
            channels: params.channels.as_ref().and_then(|channels| u16::try_from(channels.count()).ok()),
            language: track.language.clone().filter(|language| language != "und"),
            is_default: track.flags.contains(TrackFlags::DEFAULT),
            is_supported: error.is_none(),
        });
        found.ids.push(track.id);
        found.errors.push(error);
    }
    found
}

impl AudioTracks {
    /// Adds what the index of an MP4 file says. Returns an error if the demuxer knows none of its tracks.
    pub(super) fn describe(&mut self, movie: &Movie) -> Result<(), DecodeError> {
        if let Some(stated) = movie.tracks.first().filter(|_| self.tracks.is_empty()) {
            return Err(unknown(stated.codec));
        }
        for ((track, id), error) in self.tracks.iter_mut().zip(&self.ids).zip(&mut self.errors) {
            let Some(stated) = movie.tracks.iter().find(|stated| stated.id == *id) else { continue };
            track.is_default = stated.is_enabled;
            track.language = stated.language.clone().or(track.language.take());
            track.channels = track.channels.or(Some(stated.channels).filter(|&channels| channels > 0));
            if track.codec == "unknown" {
                track.codec = named_by(stated.codec);
                *error = Some(unknown(stated.codec));
            }
        }
        Ok(())
    }

    /// Sets which tracks are the default.
    pub(super) fn set_defaults(&mut self, is_default: impl Fn(u32) -> bool) {
        for (track, id) in self.tracks.iter_mut().zip(&self.ids) {
            track.is_default = is_default(*id);
        }
    }

    /// Returns the identifier of the track at an index.
    pub(super) fn id(&self, index: usize) -> Result<u32, DecodeError> {
        self.ids.get(index).copied().ok_or(DecodeError::NoAudioTrack)
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
fn unknown(letters: [u8; 4]) -> DecodeError {
    match named_by(letters) {
        "unknown" => refused::codec(&format!("MP4 or QuickTime with the codec `{}`", letters.escape_ascii())),
        name => refused::codec(name),
    }
}

/// Returns the name of a codec in MP4 that has no identifier in symphonia.
fn named_by(letters: [u8; 4]) -> &'static str {
    match &letters {
        b"samr" | b"sawb" | b"sawp" => "amr",
        b"ac-3" => "ac-3",
        b"ec-3" => "e-ac-3",
        b"ac-4" => "ac-4",
        b"dtsc" | b"dtsh" | b"dtsl" | b"dtse" | b"dtsx" => "dts",
        b"mlpa" => "truehd",
        b"mha1" | b"mha2" | b"mhm1" | b"mhm2" => "mpeg-h 3d audio",
        b"QDM2" | b"QDMC" => "qdesign music",
        b"MAC3" | b"MAC6" => "mace",
        b"ima4" => "ima adpcm",
        b"enca" | b"drms" => "encrypted sound",
        b"Qclp" | b"sqcp" => "qcelp",
        b"agsm" => "gsm",
        b"alaw" => "a-law in QuickTime",
        b"ulaw" => "mu-law in QuickTime",
        b"alac" => "alac in QuickTime",
        _ => "unknown",
    }
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

//! Selects symphonia's demuxer and decoder for a container, and computes how to trim the track.

use std::io::{Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};

use symphonia::core::codecs::audio::well_known as id;
use symphonia::core::codecs::audio::{AudioCodecId, AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::formats::{FormatOptions, FormatReader, Track};
use symphonia::core::io::{MediaSourceStream, ReadBytes};
use symphonia::default::formats::{
    AdtsReader, AiffReader, FlacReader, IsoMp4Reader, MkvReader, MpaReader, OggReader, WavReader,
};

use super::container::Kind;
use super::error::DecodeError;
use super::input_file::InputFile;

/// How to trim a track, and its minimum length.
#[derive(Debug, Default)]
pub(super) struct Trim {
    /// Frames to drop at the start.
    pub(super) skip: u64,
    /// Frames to return after those.
    pub(super) total: Option<u64>,
    /// The length that the container states.
    pub(super) stated: Option<u64>,
    /// Fewer frames than this mean that the file is truncated.
    pub(super) needed: u64,
    /// The last frame is incomplete.
    pub(super) cut: bool,
}

/// Calls symphonia and turns a panic into an error: a bug there must not end the process.
pub(super) fn guard<T>(run: impl FnOnce() -> Result<T, DecodeError>) -> Result<T, DecodeError> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err(DecodeError::Malformed("the decoder crashed".into())))
}

pub(super) fn translate(error: Error) -> DecodeError {
    match error {
        Error::IoError(source) => DecodeError::read(source),
        Error::Unsupported(what) => DecodeError::Unsupported(what.into()),
        Error::LimitError(what) => DecodeError::Limit(what.into()),
        Error::DecodeError(what) => DecodeError::Malformed(what.into()),
        other => DecodeError::Malformed(other.to_string()),
    }
}

/// Calls the demuxers directly: the container is known, and the tags are not needed.
pub(super) fn open_format(kind: &Kind, file: InputFile, start: u64) -> Result<Box<dyn FormatReader>, DecodeError> {
    let mut stream = MediaSourceStream::new(file.rewound()?, Default::default());
    stream.seek(SeekFrom::Start(start)).map_err(DecodeError::read)?;
    let options = FormatOptions::default();
    let format: Result<Box<dyn FormatReader>, Error> = match kind {
        Kind::Wav => WavReader::try_new(stream, options).map(|r| Box::new(r) as _),
        Kind::Aiff => AiffReader::try_new(stream, options).map(|r| Box::new(r) as _),
        Kind::Flac => FlacReader::try_new(stream, options).map(|r| Box::new(r) as _),
        Kind::Ogg => OggReader::try_new(stream, options).map(|r| Box::new(r) as _),
        Kind::Mkv(_) => MkvReader::try_new(stream, options).map(|r| Box::new(r) as _),
        Kind::Mpeg(_) => MpaReader::try_new(stream, options).map(|r| Box::new(r) as _),
        Kind::Adts(_) => AdtsReader::try_new(stream, options).map(|r| Box::new(r) as _),
        Kind::Mp4(_) => {
            // This demuxer expects to start after the first four bytes of its marker.
            stream.read_quad_bytes().map_err(DecodeError::read)?;
            IsoMp4Reader::try_new(stream, options).map(|r| Box::new(r) as _)
        }
    };
    format.map_err(translate)
}

#[cfg_attr(not(feature = "opus"), expect(unused_variables, reason = "only Opus needs the container"))]
pub(super) fn make_decoder(
    kind: &Kind,
    params: &AudioCodecParameters,
    options: &AudioDecoderOptions,
) -> Result<Box<dyn AudioDecoder>, DecodeError> {
    #[cfg(feature = "opus")]
    if params.codec == id::CODEC_ID_OPUS {
        return guard(|| Ok(Box::new(super::opus::OpusDecoder::new(params, matches!(kind, Kind::Mp4(_)))?) as _));
    }
    let made = guard(|| Ok(symphonia::default::get_codecs().make_audio_decoder(params, options)))?;
    made.map_err(|error| match (params.codec, error) {
        (id::CODEC_ID_OPUS, _) => {
            DecodeError::Unsupported("opus (this build lacks the feature opus); convert the file to FLAC or WAV".into())
        }
        (id::CODEC_ID_AAC, Error::Unsupported(_)) => {
            DecodeError::Unsupported("AAC profile; only AAC-LC in mono or stereo is supported, not HE-AAC".into())
        }
        (_, Error::Unsupported(_)) => DecodeError::Unsupported("codec; convert the file to FLAC or WAV".into()),
        (_, error) => translate(error),
    })
}

pub(super) fn trim(kind: &Kind, track: &Track, rate_hz: u32) -> Trim {
    let stated = track.num_frames.filter(|&frames| frames > 0);
    match kind {
        Kind::Wav | Kind::Aiff | Kind::Flac => Trim { stated, needed: stated.unwrap_or(0), ..Trim::default() },
        Kind::Ogg => {
            // Unlike Vorbis, Opus includes the frames to drop at the start in the length.
            let audio = track.codec_params.as_ref().and_then(|params| params.audio());
            let is_opus = audio.is_some_and(|params| params.codec == id::CODEC_ID_OPUS);
            let delay = if is_opus { u64::from(track.delay.unwrap_or(0)) } else { 0 };
            Trim { stated: stated.map(|frames| frames.saturating_sub(delay)), ..Trim::default() }
        }
        Kind::Mkv(_) => Trim::default(),
        Kind::Adts(walk) => Trim { cut: walk.cut, ..Trim::default() },
        Kind::Mpeg(walk) => {
            let skip = u64::from(track.delay.unwrap_or(0));
            // Concatenated files, and files whose editor kept the first frame, state a wrong length.
            let plausible = walk.stated_frames.filter(|&stated| stated + 2 >= walk.frames);
            let Some(_) = plausible else { return Trim { skip, cut: walk.cut, ..Trim::default() } };
            let needed = stated.unwrap_or(0).saturating_sub(2 * walk.samples_per_frame);
            Trim { skip, total: stated, stated, needed, cut: false }
        }
        Kind::Mp4(gapless) => {
            let gapless = gapless.unwrap_or_default();
            let scale = |ticks: u64| match gapless.timescale {
                0 => ticks,
                scale if scale == rate_hz => ticks,
                scale => u64::try_from(u128::from(ticks) * u128::from(rate_hz) / u128::from(scale)).unwrap_or(u64::MAX),
            };
            let skip = scale(gapless.skip);
            let available = stated.map(|ticks| scale(ticks).saturating_sub(skip));
            let total = match (gapless.total.map(scale), available) {
                (Some(total), Some(available)) if total.abs_diff(available) <= scale(gapless.slack) => Some(available),
                (Some(total), Some(available)) => Some(total.min(available)),
                (total, available) => total.or(available),
            };
            let needed = total.unwrap_or(0).saturating_sub(2_048);
            Trim { skip, total, stated: total, needed, cut: false }
        }
    }
}

pub(super) fn name(kind: &Kind, codec: AudioCodecId) -> &'static str {
    match (kind, codec) {
        (Kind::Wav, _) => "wav",
        (Kind::Aiff, _) => "aiff",
        (Kind::Ogg, id::CODEC_ID_VORBIS) => "ogg vorbis",
        (_, id::CODEC_ID_VORBIS) => "vorbis",
        (_, id::CODEC_ID_FLAC) => "flac",
        (_, id::CODEC_ID_MP3) => "mp3",
        (_, id::CODEC_ID_MP2) => "mp2",
        (_, id::CODEC_ID_MP1) => "mp1",
        (_, id::CODEC_ID_AAC) => "aac",
        (_, id::CODEC_ID_ALAC) => "alac",
        (_, id::CODEC_ID_OPUS) => "opus",
        _ => "pcm",
    }
}

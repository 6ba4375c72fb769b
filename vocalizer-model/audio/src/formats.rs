//! Opens a container: finds its audio tracks, chooses one, and prepares its packets, its decoder and its trimming.

use std::io::{Seek, SeekFrom};

use symphonia::core::codecs::audio::well_known as id;
use symphonia::core::codecs::audio::{AudioCodecId, AudioCodecParameters, CODEC_ID_NULL_AUDIO};
use symphonia::core::formats::{FormatOptions, FormatReader, Track};
use symphonia::core::io::{MediaSourceStream, ReadBytes};
use symphonia::default::formats::{FlacReader, IsoMp4Reader};

use super::aac;
use super::chunk_table::ChunkReader;
use super::codec::Codec;
use super::codecs;
use super::container::Kind;
use super::elementary::{Elementary, Walk};
use super::error::DecodeError;
use super::guard::{guard, translate};
use super::input_file::InputFile;
use super::layout;
use super::limits::AudioLimits;
use super::mkv::{self, Mkv};
use super::mkv_tracks::MkvTrack;
use super::mp4::{Movie, SoundTrack};
use super::ogg;
use super::options::{ReadOptions, TrackInfo};
use super::raw::{RawReader, RawTrack};
use super::refused;
use super::source::{Demuxed, Source};
use super::tracks::{AudioTracks, Stated, index_of, named_by, unknown};
use super::trim::Trim;

/// Packets at the start of an MP3 that may fail: a file cut out of a longer one refers to missing bits.
const LENIENT_PACKETS: u32 = 8;

/// Tracks of Matroska beyond this number are not tried.
const MAX_TRACKS: usize = 64;

/// An opened file, ready for decoding.
pub(super) struct Opened {
    pub(super) source: Box<dyn Source>,
    pub(super) codec: Box<dyn Codec>,
    /// Name of the container or codec.
    pub(super) name: &'static str,
    pub(super) tracks: Vec<TrackInfo>,
    /// The index of the chosen track.
    pub(super) chosen: usize,
    pub(super) trim: Trim,
    /// Undecodable packets at the start that are no damage.
    pub(super) lenient_packets: u32,
}

/// Opens the container that was found.
pub(super) fn open(
    kind: Kind,
    file: InputFile,
    start: u64,
    limits: &AudioLimits,
    options: &ReadOptions,
) -> Result<Opened, DecodeError> {
    match kind {
        Kind::Raw(raw) => open_raw(&raw, file, limits, options),
        Kind::Flac(mask) => open_flac(mask, file, start, limits, options),
        Kind::Ogg => open_ogg(file, start, limits, options),
        Kind::Mkv => open_mkv(file, start, limits, options),
        Kind::Mp4(movie) => open_mp4(&movie, file, start, limits, options),
        Kind::Mpeg(walk) => open_elementary(file, false, walk, options),
        Kind::Adts(walk) => open_elementary(file, true, walk, options),
    }
}

fn stream(file: InputFile, start: u64) -> Result<MediaSourceStream<'static>, DecodeError> {
    let mut stream = MediaSourceStream::new(file.rewound()?, Default::default());
    stream.seek(SeekFrom::Start(start)).map_err(DecodeError::read)?;
    Ok(stream)
}

/// Takes the chosen track's parameters out of a demuxer.
fn params_of(format: &dyn FormatReader, id: u32) -> Result<AudioCodecParameters, DecodeError> {
    let track = format.tracks().iter().find(|track| track.id == id).and_then(|track| track.codec_params.as_ref());
    track.and_then(|params| params.audio()).cloned().ok_or(DecodeError::NoAudioTrack)
}

/// Makes the decoder of a track.
fn decoder(
    params: &AudioCodecParameters,
    in_mp4: bool,
    verify: bool,
    limits: &AudioLimits,
) -> Result<Box<dyn Codec>, DecodeError> {
    params.channels.as_ref().map_or(Ok(()), |channels| limits.check_channels(channels.count()))?;
    codecs::make(params, in_mp4, verify)
}

/// Returns the list of a container with only one track.
fn single(params: &AudioCodecParameters, options: &ReadOptions) -> Result<(Vec<TrackInfo>, usize), DecodeError> {
    let mut found = AudioTracks::default();
    found.add(params, None, Stated::default());
    let chosen = found.choose(options.track)?;
    Ok((found.tracks, chosen))
}

fn open_raw(
    raw: &RawTrack,
    file: InputFile,
    limits: &AudioLimits,
    options: &ReadOptions,
) -> Result<Opened, DecodeError> {
    let codec = decoder(&raw.params, false, false, limits)?;
    let (tracks, chosen) = single(&raw.params, options)?;
    let reader = guard(|| RawReader::new(stream(file, 0)?, raw).map_err(translate))?;
    let name = raw.name.unwrap_or_else(|| codecs::name(raw.params.codec).unwrap_or("pcm"));
    let trim = Trim::frames(raw.skip, Some(raw.frames), Some(raw.frames), raw.needed);
    let source = Box::new(Demuxed::new(Box::new(reader), 0, false, (1, 1), false));
    Ok(Opened { source, codec, name, tracks, chosen, trim, lenient_packets: 0 })
}

fn open_flac(
    mask: Option<u32>,
    file: InputFile,
    start: u64,
    limits: &AudioLimits,
    options: &ReadOptions,
) -> Result<Opened, DecodeError> {
    let format: Box<dyn FormatReader> = guard(|| {
        Ok(Box::new(FlacReader::try_new(stream(file, start)?, FormatOptions::default()).map_err(translate)?))
    })?;
    let Some(track) = format.tracks().first() else { return Err(DecodeError::NoAudioTrack) };
    let (id, stated) = (track.id, track.num_frames.filter(|&frames| frames > 0));
    let mut params = params_of(&*format, id)?;
    if let (Some(channels), Some(mask)) = (&params.channels, mask) {
        let channels = u16::try_from(channels.count()).unwrap_or(u16::MAX);
        params.with_channels(layout::of_mask(channels, Some(mask)));
    }
    let codec = decoder(&params, false, true, limits)?;
    let (tracks, chosen) = single(&params, options)?;
    let trim = Trim::frames(0, None, stated, stated.unwrap_or(0));
    let source = Box::new(Demuxed::new(format, id, true, (1, 1), false));
    Ok(Opened { source, codec, name: "flac", tracks, chosen, trim, lenient_packets: 0 })
}

fn open_ogg(
    mut file: InputFile,
    start: u64,
    limits: &AudioLimits,
    options: &ReadOptions,
) -> Result<Opened, DecodeError> {
    let lengths = ogg::lengths(&mut file, start)?;
    let opened = ogg::open(file, start)?;
    let tracks = opened.tracks.clone();
    let chosen = index_of(&tracks, options.track)?;
    if let Some(track) = tracks.get(chosen).filter(|track| !track.is_supported) {
        return Err(refused::codec(track.codec));
    }
    let (source, stream) = opened.take(chosen)?;
    let stated = lengths.of(&stream);
    let codec = decoder(&stream.params, false, false, limits)?;
    let name = tracks.get(chosen).map_or("ogg", |track| track.codec);
    let trim = Trim::frames(stream.pre_skip, None, stated, 0);
    Ok(Opened { source: Box::new(source), codec, name, tracks, chosen, trim, lenient_packets: 0 })
}

fn open_mkv(
    mut file: InputFile,
    start: u64,
    limits: &AudioLimits,
    options: &ReadOptions,
) -> Result<Opened, DecodeError> {
    let segment = mkv::layout(&mut file, start, limits)?;
    let mut found = AudioTracks::default();
    let sounds: Vec<_> = segment.tracks.iter().filter(|track| track.is_sound()).take(MAX_TRACKS).collect();
    let made = |track: &MkvTrack| match track.refusal() {
        Some(error) => Err(error),
        None => decoder(&with_config(track.params()), false, false, limits),
    };
    for &track in &sounds {
        let (language, is_default) = (Some(track.language.clone()), track.is_default);
        found.add(&track.params(), made(track).err(), Stated { language, is_default, ..Stated::default() });
    }
    let chosen = found.choose(options.track)?;
    let Some(&track) = sounds.get(chosen) else { return Err(DecodeError::NoAudioTrack) };
    let (params, codec) = (track.params(), made(track)?);
    let name = codecs::name(params.codec).unwrap_or("pcm");
    let skip = match params.codec {
        id::CODEC_ID_OPUS => params.extra_data.as_deref().map_or(0, ogg::opus_pre_skip),
        _ => 0,
    };
    let trim = Trim::frames(skip, None, None, 0);
    let source = Box::new(Mkv::new(file, &segment, track));
    Ok(Opened { source, codec, name, tracks: found.tracks, chosen, trim, lenient_packets: 0 })
}

fn open_mp4(
    movie: &Movie,
    file: InputFile,
    start: u64,
    limits: &AudioLimits,
    options: &ReadOptions,
) -> Result<Opened, DecodeError> {
    let len_bytes = file.len_bytes();
    let format: Box<dyn FormatReader> = guard(|| {
        let mut stream = stream(file, start)?;
        // This demuxer expects to start after the first four bytes of its marker.
        stream.read_quad_bytes().map_err(DecodeError::read)?;
        Ok(Box::new(IsoMp4Reader::try_new(stream, FormatOptions::default()).map_err(translate)?))
    })?;
    let mut found = AudioTracks::default();
    for track in &movie.tracks {
        let (params, error) = match mp4_params(track, &*format) {
            Ok(params) => {
                let made = decoder(&params, true, false, limits);
                (params, made.err())
            }
            Err(error) => (AudioCodecParameters::new(), Some(error)),
        };
        let (name, channels) = (named_by(track.codec), Some(track.entry.channels).filter(|&channels| channels > 0));
        let (language, is_default) = (track.language.clone(), track.is_enabled);
        found.add(&params, error, Stated { name, channels, language, is_default });
    }
    let chosen = found.choose(options.track)?;
    let Some(track) = movie.tracks.get(chosen) else { return Err(DecodeError::NoAudioTrack) };
    let params = mp4_params(track, &*format)?;
    let codec = decoder(&params, true, false, limits)?;
    let name = codecs::name(params.codec).unwrap_or("pcm");
    let gapless = track.gapless;
    let rate_hz = u64::from(params.sample_rate.unwrap_or(0));
    if let Some(table) = track.chunks.clone() {
        let ticks = u128::from(table.frames()) * u128::from(gapless.timescale) / u128::from(rate_hz.max(1));
        let trim = Trim::mp4(gapless, u64::try_from(ticks).ok());
        let file = InputFile::new(Box::new(format.into_inner()), len_bytes);
        let source = Box::new(ChunkReader::new(file, table, movie.cut));
        return Ok(Opened { source, codec, name, tracks: found.tracks, chosen, trim, lenient_packets: 0 });
    }
    let id = track.id;
    let ticks = format.tracks().iter().find(|track| track.id == id).and_then(ticks_of);
    // The duration of HE-AAC packets is stated at either of its two rates.
    let scale = match (params.codec, rate_hz) {
        (id::CODEC_ID_AAC, _) | (_, 0) => (0, 1),
        (_, rate_hz) => (rate_hz, u64::from(gapless.timescale)),
    };
    let trim = Trim::mp4(gapless, ticks.filter(|_| !movie.is_indexed_in_parts));
    let source = Box::new(Demuxed::new(format, id, false, scale, movie.cut));
    Ok(Opened { source, codec, name, tracks: found.tracks, chosen, trim, lenient_packets: 0 })
}

/// Returns the parameters for the decoder of a track, or why it has none.
fn mp4_params(track: &SoundTrack, format: &dyn FormatReader) -> Result<AudioCodecParameters, DecodeError> {
    match &track.entry.params {
        Some(Ok(params)) => Ok(params.clone()),
        Some(Err(what)) => Err(refused::codec(what)),
        None => match params_of(format, track.id) {
            Ok(params) if params.codec != CODEC_ID_NULL_AUDIO => Ok(with_config(params)),
            _ => Err(unknown(track.codec)),
        },
    }
}

fn ticks_of(track: &Track) -> Option<u64> {
    track.duration.map(|duration| duration.get()).filter(|&ticks| ticks > 0)
}

fn open_elementary(file: InputFile, adts: bool, walk: Walk, options: &ReadOptions) -> Result<Opened, DecodeError> {
    let codec_id: AudioCodecId = if adts { id::CODEC_ID_AAC } else { codecs::codec_of_layer(walk.layer) };
    let mut params = AudioCodecParameters::new();
    params.for_codec(codec_id).with_sample_rate(walk.rate_hz);
    let codec = codecs::make(&params, false, false)?;
    let name = codecs::name(codec_id).unwrap_or("mp3");
    let tracks = vec![TrackInfo {
        number: 1,
        codec: name,
        rate_hz: Some(walk.rate_hz).filter(|&rate_hz| rate_hz > 0),
        channels: None,
        bits: None,
        language: None,
        is_default: false,
        is_supported: true,
    }];
    let chosen = index_of(&tracks, options.track)?;
    let total = walk.samples.saturating_sub(walk.skip + walk.padding);
    // The samples of ADTS are those before the doubling of HE-AAC.
    let trim = match (adts, walk.missing) {
        (true, _) => Trim::frames(0, None, None, 0),
        (false, 0) if walk.is_mixed || walk.cut => Trim::frames(walk.skip, None, Some(total), 0),
        (false, 0) => Trim::frames(walk.skip, Some(total), Some(total), 0),
        (false, missing) => Trim::frames(walk.skip, None, Some(total + missing), 0),
    };
    let lenient_packets = if adts { 0 } else { LENIENT_PACKETS };
    let source = Box::new(Elementary::new(file, adts, walk));
    Ok(Opened { source, codec, name, tracks, chosen, trim, lenient_packets })
}

/// Adds the configuration of AAC if the container states only the rate and the channels.
fn with_config(mut params: AudioCodecParameters) -> AudioCodecParameters {
    if params.codec == id::CODEC_ID_AAC && params.extra_data.as_ref().is_none_or(|data| data.len() < 2) {
        let channels = params.channels.as_ref().map_or(2, |channels| channels.count());
        params.extra_data = params.sample_rate.and_then(|rate_hz| aac::plain_config(rate_hz, channels));
    }
    params
}

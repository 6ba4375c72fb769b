//! The block-wise audio decoder.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

use symphonia::core::audio::Channels;
use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::formats::{FormatReader, Track, TrackType};

use super::Frame;
use super::container::{self, Kind};
use super::downmix::Downmix;
use super::error::DecodeError;
use super::formats::{guard, make_decoder, name, open_format, translate, trim};
use super::input_file::InputFile;
use super::limits::AudioLimits;

/// Packets at the start of an MP3 that may fail: a file cut out of a longer one refers to missing bits.
const LENIENT_PACKETS: u32 = 8;

/// Audio properties from a file's header.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AudioInfo {
    /// Name of the container or codec: "mp3", "flac", "wav", "aiff", "ogg vorbis", "aac", "alac" and so on.
    pub format: &'static str,
    /// The sample rate in Hz.
    pub rate_hz: u32,
    /// The number of channels in the file, before the downmix.
    pub channels: u16,
    /// The length in frames that the container states, without the encoder's delay and padding. `None` if it states
    /// none, or an implausible one.
    pub frames: Option<u64>,
}

/// Decodes a file to stereo frames at the file's sample rate.
///
/// Trims the encoder's delay and padding if the file states their length (LAME tag, `iTunSMPB`, edit lists, Ogg granule
/// positions), so the result has the original length. Duplicates mono and mixes more than two channels down: centre and
/// surrounds at -3 dB, LFE dropped, divided by the sum of the coefficients to prevent clipping.
pub struct AudioReader {
    format: Box<dyn FormatReader>,
    decoder: Box<dyn AudioDecoder>,
    track_id: u32,
    info: AudioInfo,
    layout: Channels,
    mixer: Downmix,
    limits: AudioLimits,
    samples: Vec<f32>,
    ready: Vec<Frame>,
    /// Frames left to drop at the start.
    skip: u64,
    /// The number of frames to return.
    total: Option<u64>,
    /// Fewer frames than this mean that the file is truncated.
    needed: u64,
    /// Whether the last frame is incomplete, according to the frame headers.
    cut: bool,
    given: u64,
    /// Whether the container states no end of the data, so that the file may end anywhere.
    open_ended: bool,
    lenient_packets: u32,
    broken_packet: Option<String>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Ended,
    Failed,
}

impl std::fmt::Debug for AudioReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AudioReader").field("info", &self.info).field("given", &self.given).finish_non_exhaustive()
    }
}

impl AudioReader {
    /// Opens a file, detects its format from the content and checks its header.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Io`] if the file cannot be opened or read; [`DecodeError::NotAudio`], also for a directory;
    /// [`DecodeError::Unsupported`] for known formats that are not supported; [`DecodeError::Malformed`] and
    /// [`DecodeError::Truncated`] for headers that contradict themselves or the file's size; [`DecodeError::Limit`] if
    /// the file exceeds the limits; [`DecodeError::NoAudioTrack`]; [`DecodeError::Empty`].
    pub fn open(path: &Path, limits: &AudioLimits) -> Result<Self, DecodeError> {
        let opened = |source| DecodeError::Io { action: "opened", source };
        let meta = std::fs::metadata(path).map_err(opened)?;
        if meta.is_dir() {
            return Err(DecodeError::NotAudio("it is a directory".into()));
        }
        if !meta.is_file() {
            return Err(DecodeError::NotAudio("it is not a regular file".into()));
        }
        Self::from_reader(File::open(path).map_err(opened)?, limits)
    }

    /// Opens audio that is read from `reader`, such as an [`std::io::Cursor`] of bytes in memory.
    ///
    /// # Errors
    ///
    /// Those of [`Self::open`].
    pub fn from_reader(
        mut reader: impl Read + Seek + Send + Sync + 'static,
        limits: &AudioLimits,
    ) -> Result<Self, DecodeError> {
        let len_bytes = reader.seek(SeekFrom::End(0)).map_err(DecodeError::read)?;
        if len_bytes == 0 {
            return Err(DecodeError::Empty("the file is empty"));
        }
        let mut file = InputFile::new(Box::new(reader), len_bytes);
        let (kind, start) = container::identify(&mut file, limits)?;
        let format = guard(|| open_format(&kind, file, start))?;
        let track = format.default_track(TrackType::Audio).or_else(|| format.first_track(TrackType::Audio)).cloned();
        let Some(track) = track else { return Err(DecodeError::NoAudioTrack) };
        let Some(params) = track.codec_params.as_ref().and_then(|params| params.audio()) else {
            return Err(DecodeError::NoAudioTrack);
        };
        if let Some(rate_hz) = params.sample_rate {
            limits.check_rate(rate_hz)?;
        }
        if let Some(channels) = &params.channels {
            limits.check_channels(channels.count())?;
        }
        // MP3 and MP4 are trimmed here: symphonia estimates the length of an MP3 without an information frame, and
        // ignores edit lists.
        let ours = matches!(kind, Kind::Mpeg(_) | Kind::Mp4(_));
        let options = AudioDecoderOptions::default().gapless(!ours).verify(matches!(kind, Kind::Flac));
        let decoder = make_decoder(&kind, params, &options)?;
        let mut reader = Self {
            track_id: track.id,
            info: AudioInfo { format: name(&kind, params.codec), rate_hz: 0, channels: 0, frames: None },
            layout: Channels::None,
            mixer: Downmix::Mono,
            limits: *limits,
            samples: Vec::new(),
            ready: Vec::new(),
            skip: 0,
            total: None,
            needed: 0,
            cut: false,
            given: 0,
            open_ended: matches!(kind, Kind::Mkv(true)),
            lenient_packets: if matches!(kind, Kind::Mpeg(_)) { LENIENT_PACKETS } else { 0 },
            broken_packet: None,
            state: State::Running,
            format,
            decoder,
        };
        reader.first_block(&kind, &track)?;
        Ok(reader)
    }

    /// Returns the properties from the header.
    pub fn info(&self) -> &AudioInfo {
        &self.info
    }

    /// Appends the next block of frames to `out`. Returns `Ok(false)`, with nothing appended, at the end.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Malformed`] for undecodable data and for samples that are not numbers; [`DecodeError::Truncated`]
    /// if the file ends too early; [`DecodeError::Limit`] if the audio is longer than allowed; [`DecodeError::Empty`]
    /// if it has no samples; [`DecodeError::Io`]. After an error, every further call fails.
    pub fn read(&mut self, out: &mut Vec<Frame>) -> Result<bool, DecodeError> {
        match self.state {
            State::Ended => return Ok(false),
            State::Failed => return Err(DecodeError::Malformed("an earlier read failed".into())),
            State::Running => {}
        }
        let result = self.next_frames(out);
        match &result {
            Ok(true) => {}
            Ok(false) => self.state = State::Ended,
            Err(_) => self.state = State::Failed,
        }
        result
    }

    /// Decodes the first block, which has the true sample rate and channels, and sets up the trimming.
    fn first_block(&mut self, kind: &Kind, track: &Track) -> Result<(), DecodeError> {
        if !self.decode_block()? {
            self.check_end()?;
            return Err(match trim(kind, track, self.info.rate_hz).stated {
                Some(_) => DecodeError::Truncated("no samples after the header".into()),
                None => DecodeError::Empty("the audio has no samples"),
            });
        }
        let trim = trim(kind, track, self.info.rate_hz);
        if let Some(frames) = trim.stated {
            self.limits.check_frames(frames, self.info.rate_hz)?;
        }
        if trim.total == Some(0) {
            return Err(DecodeError::Empty("the audio has no samples"));
        }
        self.info.frames = trim.stated;
        (self.skip, self.total, self.needed, self.cut) = (trim.skip, trim.total, trim.needed, trim.cut);
        Ok(())
    }

    fn next_frames(&mut self, out: &mut Vec<Frame>) -> Result<bool, DecodeError> {
        let before = out.len();
        while out.len() == before {
            if self.total.is_some_and(|total| self.given >= total) {
                return Ok(false);
            }
            if self.ready.is_empty() && !self.decode_block()? {
                self.check_end()?;
                return Ok(false);
            }
            let have = self.ready.len() as u64;
            let skip = self.skip.min(have);
            self.skip -= skip;
            let left = self.total.map_or(u64::MAX, |total| total - self.given);
            let keep = (have - skip).min(left);
            // Both are at most the length of `ready`, so they fit.
            let (from, to) = (usize::try_from(skip).unwrap_or(0), usize::try_from(skip + keep).unwrap_or(0));
            out.extend_from_slice(self.ready.get(from..to).unwrap_or_default());
            self.given += keep;
            self.ready.clear();
            self.limits.check_frames(self.given, self.info.rate_hz)?;
        }
        Ok(true)
    }

    /// Decodes packets until `ready` has frames. Returns false at the end of the file.
    fn decode_block(&mut self) -> Result<bool, DecodeError> {
        while self.ready.is_empty() {
            let packet = match guard(|| Ok(self.format.next_packet()))? {
                Ok(Some(packet)) => packet,
                Ok(None) => return Ok(false),
                Err(Error::IoError(e)) if e.kind() == ErrorKind::UnexpectedEof && self.open_ended => return Ok(false),
                Err(Error::IoError(e)) if e.kind() == ErrorKind::UnexpectedEof => {
                    return Err(DecodeError::Truncated("the file ends in the middle of its data".into()));
                }
                Err(Error::ResetRequired) => {
                    return Err(DecodeError::Unsupported("chained streams in one file".into()));
                }
                Err(e) => return Err(translate(e)),
            };
            if packet.track_id != self.track_id {
                continue;
            }
            let samples = &mut self.samples;
            let decoder = &mut self.decoder;
            let decoded = guard(|| {
                Ok(decoder.decode(&packet).map(|block| {
                    block.copy_to_vec_interleaved(samples);
                    (block.spec().rate(), block.spec().channels().clone(), block.frames())
                }))
            })?;
            match decoded {
                Ok((_, _, 0)) => {}
                Ok((rate_hz, channels, _)) => {
                    if let Some(what) = self.broken_packet.take() {
                        return Err(DecodeError::Malformed(what));
                    }
                    self.accept(rate_hz, channels)?;
                }
                Err(Error::DecodeError(what)) => self.bad_packet(what.to_owned()),
                Err(Error::IoError(_)) => self.bad_packet("a packet is too short".into()),
                Err(e) => return Err(translate(e)),
            }
        }
        Ok(true)
    }

    /// Handles an undecodable packet: ignored at the start of an MP3; as the last packet it means that the file is
    /// truncated.
    fn bad_packet(&mut self, what: String) {
        if self.lenient_packets > 0 {
            self.lenient_packets -= 1;
        } else if self.broken_packet.is_none() {
            self.broken_packet = Some(what);
        }
    }

    fn accept(&mut self, rate_hz: u32, channels: Channels) -> Result<(), DecodeError> {
        self.lenient_packets = 0;
        if self.info.rate_hz == 0 {
            self.limits.check_rate(rate_hz)?;
            self.limits.check_channels(channels.count())?;
            self.info.rate_hz = rate_hz;
            self.info.channels = u16::try_from(channels.count()).unwrap_or(u16::MAX);
            self.mixer = Downmix::new(&channels)?;
            self.layout = channels;
        } else if rate_hz != self.info.rate_hz || channels != self.layout {
            return Err(DecodeError::Malformed("the sample rate or the channels change within the file".into()));
        }
        if let Some(at) = self.samples.iter().position(|s| !s.is_finite()) {
            let frame = self.given + (at / usize::from(self.info.channels.max(1))) as u64;
            return Err(DecodeError::Malformed(format!("sample {frame} is not a number")));
        }
        self.mixer.mix(&self.samples, &mut self.ready);
        Ok(())
    }

    /// Checks at the end of the data that the file is complete.
    fn check_end(&mut self) -> Result<(), DecodeError> {
        if self.given < self.needed {
            let (is, stated) = (self.given, self.info.frames.unwrap_or(self.needed));
            return Err(DecodeError::Truncated(format!(
                "the header states {stated} samples, but only {is} could be decoded"
            )));
        }
        if self.cut || self.broken_packet.is_some() {
            return Err(DecodeError::Truncated("the last packet is incomplete or damaged".into()));
        }
        if self.info.rate_hz != 0 && self.given == 0 {
            return Err(DecodeError::Empty("the audio has no samples"));
        }
        if guard(|| Ok(self.decoder.finalize()))?.verify_ok == Some(false) {
            return Err(DecodeError::Malformed("the samples do not match the file's checksum".into()));
        }
        Ok(())
    }
}

//! The block-wise audio decoder.

mod packets;

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use symphonia::core::audio::Channels;

use super::Frame;
use super::codec::Codec;
use super::codecs;
use super::container;
use super::downmix::Downmix;
use super::error::DecodeError;
use super::formats;
use super::guard::guard;
use super::input_file::InputFile;
use super::limits::AudioLimits;
use super::options::{AudioWarning, ReadOptions, TrackInfo};
use super::source::{Next, Source};
use super::tally::Tally;
use super::timeline::Timeline;
use super::trim::{Range, Trim};

/// Packets that are missing in one place; more are a wrong number.
const MAX_LOST_PACKETS: u64 = 100_000;

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
    /// none, or an implausible one. MP3 files state it by their number of frames.
    pub frames: Option<u64>,
    /// The bits per sample of lossless audio, as in [`TrackInfo::bits`].
    pub bits: Option<u32>,
    /// The audio tracks.
    pub tracks: Vec<TrackInfo>,
}

/// Decodes a file to stereo frames at the file's sample rate.
///
/// Trims the encoder's delay and padding if the file states their length (LAME tag, `iTunSMPB`, edit lists, Ogg granule
/// positions, padding of WebM), so the result has the original length. Duplicates mono and mixes more than two channels
/// down: centre and surrounds at -3 dB, LFE dropped, divided by the sum of the coefficients to prevent clipping. Where
/// the sample rate or the channels change, the first rate is kept.
///
/// A file that is damaged or ends early is read as far as possible: silence replaces what cannot be decoded, so that the
/// rest keeps its position, and [`warnings`](Self::warnings) tells. [`ReadOptions::strict`] makes an error of it.
///
/// ```
/// use vocalizer_audio::{AudioLimits, AudioReader};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("song.wav");
/// # let mut writer = vocalizer_audio::StemWriter::create(&path, vocalizer_audio::AudioFormat::Wav16, 44_100)?;
/// # writer.write(&[[0.5, -0.5]; 44_100])?;
/// # writer.finish()?;
/// let mut song = AudioReader::open(&path, &AudioLimits::default())?;
/// let (mut block, mut peak) = (Vec::new(), 0.0_f32);
/// while song.read(&mut block)? {
///     peak = block.iter().flatten().fold(peak, |peak, sample| peak.max(sample.abs()));
///     block.clear();
/// }
/// assert!((peak - 0.5).abs() < 0.001);
/// # Ok(())
/// # }
/// ```
pub struct AudioReader {
    source: Box<dyn Source>,
    codec: Box<dyn Codec>,
    info: AudioInfo,
    layout: Channels,
    /// The rate of the current part of the stream.
    rate_hz: u32,
    mixer: Downmix,
    limits: AudioLimits,
    samples: Vec<f32>,
    timeline: Timeline,
    trim: Trim,
    range: Range,
    tally: Tally,
    given: u64,
    /// The number of frames of the last decoded packet: the likely length of one that cannot be decoded.
    usual: u64,
    /// Undecodable packets before the first decoded one, and the frames that are known of them.
    waiting: (u64, u64),
    /// Whether packets come in pages.
    in_pages: bool,
    /// The stream's position 0 in the counts of the packets.
    origin: u64,
    /// The time at position 0, if the packets have times.
    origin_ns: Option<i64>,
    lenient_packets: u32,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    /// The source has ended; decoded frames may be left.
    Draining,
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
    /// ```
    /// use vocalizer_audio::{AudioLimits, AudioReader, DecodeError};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("song.wav");
    /// # let mut writer = vocalizer_audio::StemWriter::create(&path, vocalizer_audio::AudioFormat::Wav16, 44_100)?;
    /// # writer.write(&[[0.5, -0.5]; 44_100])?;
    /// # writer.finish()?;
    /// let limits = AudioLimits { max_duration_s: 600, ..AudioLimits::default() };
    /// let song = AudioReader::open(&path, &limits)?;
    /// let info = song.info();
    /// println!("{}, {} Hz, {} channels, {:?} frames", info.format, info.rate_hz, info.channels, info.frames);
    ///
    /// let studio_only = AudioLimits { min_rate_hz: 48_000, ..limits };
    /// assert!(matches!(AudioReader::open(&path, &studio_only), Err(DecodeError::Limit(_))));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Self::open_with`].
    pub fn open(path: &Path, limits: &AudioLimits) -> Result<Self, DecodeError> {
        Self::open_with(path, limits, &ReadOptions::default())
    }

    /// Opens a file as the options say.
    ///
    /// ```
    /// use vocalizer_audio::{AudioLimits, AudioReader, DecodeError, ReadOptions};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("song.wav");
    /// # let mut writer = vocalizer_audio::StemWriter::create(&path, vocalizer_audio::AudioFormat::Wav16, 44_100)?;
    /// # writer.write(&[[0.5, -0.5]; 44_100])?;
    /// # writer.finish()?;
    /// let mut second_track = ReadOptions::default();
    /// second_track.track = Some(2);
    /// let opened = AudioReader::open_with(&path, &AudioLimits::default(), &second_track);
    /// // This file has one track.
    /// assert!(matches!(opened, Err(DecodeError::NoSuchTrack { .. })));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`DecodeError::Io`] if the file cannot be opened or read; [`DecodeError::NotAudio`], also for a directory;
    /// [`DecodeError::Unsupported`] for known formats that are not supported; [`DecodeError::Malformed`] and
    /// [`DecodeError::Truncated`] for headers that make no sense, and if nothing can be decoded;
    /// [`DecodeError::Limit`] if the file exceeds the limits; [`DecodeError::NoAudioTrack`];
    /// [`DecodeError::NoSuchTrack`]; [`DecodeError::Empty`].
    pub fn open_with(path: &Path, limits: &AudioLimits, options: &ReadOptions) -> Result<Self, DecodeError> {
        let opened = |source| DecodeError::Io { action: "opened", source };
        let meta = std::fs::metadata(path).map_err(opened)?;
        if meta.is_dir() {
            return Err(DecodeError::NotAudio("it is a directory".into()));
        }
        if !meta.is_file() {
            return Err(DecodeError::NotAudio("it is not a regular file".into()));
        }
        Self::from_reader_with(File::open(path).map_err(opened)?, limits, options)
    }

    /// Opens audio that is read from `reader`, such as an [`std::io::Cursor`] of bytes in memory.
    ///
    /// ```
    /// use vocalizer_audio::{AudioLimits, AudioReader};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::io::Cursor;
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("song.wav");
    /// # let mut writer = vocalizer_audio::StemWriter::create(&path, vocalizer_audio::AudioFormat::Wav16, 44_100)?;
    /// # writer.write(&[[0.5, -0.5]; 44_100])?;
    /// # writer.finish()?;
    /// # let bytes = std::fs::read(&path)?;
    /// let mut song = AudioReader::from_reader(Cursor::new(bytes), &AudioLimits::default())?;
    /// assert_eq!((song.info().format, song.info().rate_hz), ("wav", 44_100));
    ///
    /// let mut frames = Vec::new();
    /// while song.read(&mut frames)? {}
    /// assert_eq!(frames.len(), 44_100);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Self::open_with`].
    pub fn from_reader(
        reader: impl Read + Seek + Send + Sync + 'static,
        limits: &AudioLimits,
    ) -> Result<Self, DecodeError> {
        Self::from_reader_with(reader, limits, &ReadOptions::default())
    }

    /// Opens audio that is read from `reader` as the options say.
    ///
    /// ```
    /// use vocalizer_audio::{AudioLimits, AudioReader, DecodeError, ReadOptions};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::io::Cursor;
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("song.wav");
    /// # let mut writer = vocalizer_audio::StemWriter::create(&path, vocalizer_audio::AudioFormat::Wav16, 44_100)?;
    /// # writer.write(&[[0.5, -0.5]; 44_100])?;
    /// # writer.finish()?;
    /// # let bytes = std::fs::read(&path)?;
    /// let mut strict = ReadOptions::default();
    /// strict.strict = true;
    /// let cut_off = Cursor::new(bytes[..bytes.len() / 2].to_vec());
    /// let opened = AudioReader::from_reader_with(cut_off, &AudioLimits::default(), &strict);
    /// let read = opened.and_then(|mut song| {
    ///     while song.read(&mut Vec::new())? {}
    ///     Ok(())
    /// });
    /// assert!(matches!(read, Err(DecodeError::Truncated(_))));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Self::open_with`].
    pub fn from_reader_with(
        mut reader: impl Read + Seek + Send + Sync + 'static,
        limits: &AudioLimits,
        options: &ReadOptions,
    ) -> Result<Self, DecodeError> {
        let len_bytes = reader.seek(SeekFrom::End(0)).map_err(DecodeError::read)?;
        if len_bytes == 0 {
            return Err(DecodeError::Empty("the file is empty"));
        }
        let mut file = InputFile::new(Box::new(reader), len_bytes);
        let (kind, start) = container::identify(&mut file, limits)?;
        let in_pages = matches!(kind, container::Kind::Ogg);
        let opened = formats::open(kind, file, start, limits, options)?;
        let number = opened.tracks.get(opened.chosen).map_or(1, |track| track.number);
        let bits = opened.tracks.get(opened.chosen).and_then(|track| track.bits);
        if let Some(track) = opened.tracks.get(opened.chosen) {
            track.rate_hz.map_or(Ok(()), |rate_hz| limits.check_rate(rate_hz))?;
            track.channels.map_or(Ok(()), |channels| limits.check_channels(channels.into()))?;
        }
        let count = u32::try_from(opened.tracks.len()).unwrap_or(u32::MAX);
        let mut reader = Self {
            source: opened.source,
            codec: opened.codec,
            info: AudioInfo { format: opened.name, rate_hz: 0, channels: 0, frames: None, bits, tracks: opened.tracks },
            layout: Channels::None,
            rate_hz: 0,
            mixer: Downmix::Mono,
            limits: *limits,
            samples: Vec::new(),
            timeline: Timeline::default(),
            trim: opened.trim,
            range: Range::default(),
            tally: Tally { strict: options.strict, track: (number, count), ..Tally::default() },
            given: 0,
            usual: 0,
            waiting: (0, 0),
            in_pages,
            origin: 0,
            origin_ns: None,
            lenient_packets: opened.lenient_packets,
            state: State::Running,
        };
        while reader.info.rate_hz == 0 && reader.state == State::Running {
            reader.advance()?;
        }
        if reader.info.rate_hz == 0 {
            return Err(reader.nothing());
        }
        Ok(reader)
    }

    /// Returns the properties from the header.
    pub fn info(&self) -> &AudioInfo {
        &self.info
    }

    /// Returns what a listener should know about the file. Complete after the last [`read`](Self::read).
    ///
    /// ```
    /// use vocalizer_audio::{AudioLimits, AudioReader, AudioWarning};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::io::Cursor;
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("song.wav");
    /// # let mut writer = vocalizer_audio::StemWriter::create(&path, vocalizer_audio::AudioFormat::Wav16, 44_100)?;
    /// # writer.write(&[[0.5, -0.5]; 44_100])?;
    /// # writer.finish()?;
    /// # let mut bytes = std::fs::read(&path)?;
    /// # bytes.truncate(bytes.len() / 2);
    /// // The second half of the file is missing.
    /// let mut song = AudioReader::from_reader(Cursor::new(bytes), &AudioLimits::default())?;
    /// let mut frames = Vec::new();
    /// while song.read(&mut frames)? {}
    /// for warning in song.warnings() {
    ///     eprintln!("{}: {warning}", warning.code());
    /// }
    /// assert!(matches!(song.warnings()[..], [AudioWarning::EndsEarly { .. }]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn warnings(&self) -> Vec<AudioWarning> {
        self.tally.warnings(self.given, self.info.frames, self.info.rate_hz)
    }

    /// Appends the next block of frames to `out`. Returns `Ok(false)`, with nothing appended, at the end.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Malformed`] for samples that are not numbers; [`DecodeError::Limit`] if the audio is longer than
    /// allowed; [`DecodeError::Empty`] if it has no samples; [`DecodeError::Io`]. With [`ReadOptions::strict`] also
    /// [`DecodeError::Malformed`] for undecodable data and [`DecodeError::Truncated`] if the file ends too early. After
    /// an error, every further call fails.
    pub fn read(&mut self, out: &mut Vec<Frame>) -> Result<bool, DecodeError> {
        match self.state {
            State::Ended => return Ok(false),
            State::Failed => return Err(DecodeError::Malformed("an earlier read failed".into())),
            State::Running | State::Draining => {}
        }
        let result = self.next_frames(out);
        match &result {
            Ok(true) => {}
            Ok(false) => self.state = State::Ended,
            Err(_) => self.state = State::Failed,
        }
        result
    }

    fn next_frames(&mut self, out: &mut Vec<Frame>) -> Result<bool, DecodeError> {
        let before = out.len();
        while out.len() == before {
            let left = self.range.total.map_or(u64::MAX, |total| total.saturating_sub(self.given));
            if left == 0 {
                return self.check_end().map(|()| false);
            }
            let Some(mut block) = self.timeline.pop() else {
                if self.state == State::Draining {
                    return self.check_end().map(|()| false);
                }
                self.advance()?;
                continue;
            };
            block.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            self.given += block.len() as u64;
            out.append(&mut block);
            self.limits.check_frames(self.given, self.info.rate_hz)?;
        }
        Ok(true)
    }

    /// Takes what the source gives next.
    fn advance(&mut self) -> Result<(), DecodeError> {
        match self.source.next()? {
            Next::Packet(packet) => self.packet(packet),
            Next::Lost(packets) => {
                self.tally.damage(|| "bytes between the packets are damaged or missing".into())?;
                guard(|| {
                    self.codec.reset();
                    Ok(())
                })?;
                match packets.min(MAX_LOST_PACKETS) {
                    0 => Ok(()),
                    packets => self.silence(packets * self.usual, packets),
                }
            }
            Next::Damaged => self.tally.damage(|| "a page is damaged".into()),
            Next::Stream(params, skip) => {
                self.codec = codecs::make(&params, false, false)?;
                self.timeline.start_stream(skip);
                self.origin_ns = None;
                Ok(())
            }
            Next::End { early } => {
                self.tally.ends_early = early;
                self.state = State::Draining;
                self.timeline.finish()
            }
        }
    }

    /// Checks at the end of the data that the file is complete.
    fn check_end(&mut self) -> Result<(), DecodeError> {
        self.tally.silent_frames = self.timeline.silent_frames();
        if self.tally.decoded == 0 || self.given == 0 {
            return Err(self.nothing());
        }
        let whole = self.range.total.is_some_and(|total| self.given >= total);
        self.tally.ends_early = !whole && (self.tally.ends_early || self.given < self.range.needed);
        if self.tally.ends_early && self.tally.strict {
            return Err(DecodeError::Truncated(match self.info.frames.filter(|&stated| stated > self.given) {
                Some(stated) => {
                    format!("the header states {stated} samples, but only {} could be decoded", self.given)
                }
                None => "the last packet is incomplete or damaged".into(),
            }));
        }
        if self.tally.damaged == 0 && !self.tally.ends_early && guard(|| Ok(self.codec.is_checksum_wrong()))? {
            if self.tally.strict {
                return Err(DecodeError::Malformed("the samples do not match the file's checksum".into()));
            }
            self.tally.wrong_checksum = true;
        }
        Ok(())
    }

    /// The error if no frame of the song could be decoded.
    fn nothing(&self) -> DecodeError {
        if self.tally.damaged > 0 && self.tally.decoded == 0 {
            DecodeError::Malformed("no packet of the audio can be decoded".into())
        } else if self.tally.ends_early || self.range.stated.is_some() || self.trim.states_length() {
            DecodeError::Truncated("no samples after the header".into())
        } else {
            DecodeError::Empty("the audio has no samples")
        }
    }
}

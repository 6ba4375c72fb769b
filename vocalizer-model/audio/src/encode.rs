//! Writes stems to files.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flac_codec::encode::{FlacSampleWriter, Options};
use tempfile::NamedTempFile;

use super::Frame;
use super::bitrate::{Bitrate, MP3_RATES_HZ, mp3_kbps_at};
use super::error::EncodeError;

/// The format of a stem's file.
///
/// ```
/// use vocalizer_audio::{AudioFormat, Bitrate};
///
/// let mp3 = AudioFormat::Mp3(Bitrate::Cbr(320));
/// assert_eq!(mp3.extension(), "mp3");
/// // FLAC and WAV support every rate.
/// assert!(!mp3.has_rate(96_000) && AudioFormat::Flac.has_rate(96_000));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AudioFormat {
    /// MP3 in joint stereo, with LAME's tag, so that players and [`AudioReader`](super::AudioReader) trim the encoder's
    /// delay. Needs the feature `mp3`.
    Mp3(Bitrate),
    /// 16-bit FLAC, the default of the reference implementation.
    Flac,
    /// 24-bit FLAC.
    Flac24,
    /// 16-bit integer WAV.
    Wav16,
    /// 24-bit integer WAV.
    Wav24,
    /// 32-bit float WAV. Samples are unchanged, even above full scale.
    WavF32,
}

impl AudioFormat {
    /// Returns the usual file extension, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Mp3(_) => "mp3",
            Self::Flac | Self::Flac24 => "flac",
            Self::Wav16 | Self::Wav24 | Self::WavF32 => "wav",
        }
    }

    /// Returns whether the format supports this sample rate, at its bitrate.
    pub fn has_rate(self, rate_hz: u32) -> bool {
        match self {
            Self::Mp3(Bitrate::Cbr(kbps)) => {
                let (least, most) = mp3_kbps_at(rate_hz);
                MP3_RATES_HZ.contains(&rate_hz) && (least..=most).contains(&kbps)
            }
            Self::Mp3(Bitrate::Vbr(_)) => MP3_RATES_HZ.contains(&rate_hz),
            Self::Flac | Self::Flac24 | Self::Wav16 | Self::Wav24 | Self::WavF32 => true,
        }
    }
}

/// How to write a file, apart from its format.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct WriteOptions {
    /// Write one channel, the average of left and right.
    pub mono: bool,
    /// Encode MP3 about three times faster, at a slightly lower quality.
    pub fast: bool,
    /// The tags to write. They do not change the samples.
    #[cfg(feature = "tags")]
    pub tags: super::SongTags,
}

/// Writes one audio file.
///
/// Writes to a temporary file next to the target, which [`finish`](Self::finish) renames into place: the target is
/// absent, an older file, or the complete new one. Dropping the writer earlier removes the temporary file. Integer
/// formats round to the nearest value, ties away from zero, and clamp at full scale. MP3 accepts louder samples and
/// clamps at 48 dB above full scale.
///
/// ```
/// use vocalizer_audio::{AudioFormat, StemWriter};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("tone.flac");
/// let mut writer = StemWriter::create(&path, AudioFormat::Flac, 44_100)?;
/// for second in 0..3 {
///     writer.write(&vec![[0.1 * second as f32; 2]; 44_100])?;
/// }
/// assert!(!path.exists());
/// writer.finish()?;
/// assert!(path.exists());
/// # Ok(())
/// # }
/// ```
pub struct StemWriter {
    target: PathBuf,
    temp: NamedTempFile,
    sink: SharedFile,
    encoder: Encoder,
    mono: bool,
    /// The samples of a block, in the order of the file.
    samples: Vec<f32>,
    /// The chunks that a WAV file ends with.
    wav_chunks: Vec<u8>,
    frames: u64,
    max_frames: u64,
}

enum Encoder {
    #[cfg(feature = "mp3")]
    Mp3(Box<super::lame::Lame>),
    Flac {
        writer: Box<FlacSampleWriter<SharedFile>>,
        bits: u32,
        block: Vec<i32>,
    },
    Wav(Box<hound::WavWriter<SharedFile>>, AudioFormat),
}

impl std::fmt::Debug for StemWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StemWriter").field("target", &self.target).field("frames", &self.frames).finish_non_exhaustive()
    }
}

impl StemWriter {
    /// Creates a writer of a stereo file without tags. The target's directory must exist.
    ///
    /// ```
    /// use vocalizer_audio::{AudioFormat, Bitrate, EncodeError, StemWriter};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("vocals.mp3");
    /// let refused = StemWriter::create(&path, AudioFormat::Mp3(Bitrate::Cbr(320)), 96_000);
    /// assert!(matches!(refused, Err(EncodeError::Unsupported(_))));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Self::create_with`].
    pub fn create(target: &Path, format: AudioFormat, rate_hz: u32) -> Result<Self, EncodeError> {
        Self::create_with(target, format, rate_hz, &WriteOptions::default())
    }

    /// Creates a writer. The target's directory must exist.
    ///
    /// ```
    /// use vocalizer_audio::{AudioFormat, AudioLimits, AudioReader, StemWriter, WriteOptions};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("drums.wav");
    /// let mut options = WriteOptions::default();
    /// options.mono = true;
    /// let mut writer = StemWriter::create_with(&path, AudioFormat::Wav16, 44_100, &options)?;
    /// writer.write(&[[1.0, 0.0]; 100])?;
    /// writer.finish()?;
    /// assert_eq!(AudioReader::open(&path, &AudioLimits::default())?.info().channels, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`EncodeError::Io`] if the file cannot be created; [`EncodeError::Unsupported`] for a sample rate or bitrate
    /// that the format does not support, and for MP3 without the feature `mp3`; [`EncodeError::Internal`].
    pub fn create_with(
        target: &Path,
        format: AudioFormat,
        rate_hz: u32,
        options: &WriteOptions,
    ) -> Result<Self, EncodeError> {
        let temp = temporary_beside(target)?;
        let file = temp.as_file().try_clone().map_err(EncodeError::write)?;
        let sink = SharedFile(Arc::new(Mutex::new(BufWriter::with_capacity(1 << 16, file))));
        let mono = options.mono;
        let channels = if mono { 1_u8 } else { 2 };
        let mut max_frames = u64::MAX;
        let mut wav_chunks = Vec::new();
        let encoder = match format {
            AudioFormat::Mp3(bitrate) => mp3(bitrate, rate_hz, options, &sink)?,
            AudioFormat::Flac | AudioFormat::Flac24 => {
                if rate_hz == 0 || rate_hz >= 1 << 20 {
                    return Err(EncodeError::Unsupported(format!("FLAC at {rate_hz} Hz; use 1 to 1048575 Hz")));
                }
                max_frames = (1 << 36) - 1;
                let bits = if format == AudioFormat::Flac { 16 } else { 24 };
                let made = FlacSampleWriter::new(sink.clone(), flac_options(options), rate_hz, bits, channels, None);
                Encoder::Flac { writer: Box::new(made.map_err(flac_error)?), bits, block: Vec::new() }
            }
            AudioFormat::Wav16 | AudioFormat::Wav24 | AudioFormat::WavF32 => {
                let (bits_per_sample, sample_format) = match format {
                    AudioFormat::Wav16 => (16, hound::SampleFormat::Int),
                    AudioFormat::Wav24 => (24, hound::SampleFormat::Int),
                    _ => (32, hound::SampleFormat::Float),
                };
                if rate_hz == 0 || rate_hz > 0x0fff_ffff {
                    return Err(EncodeError::Unsupported(format!("WAV at {rate_hz} Hz; use 1 to 268435455 Hz")));
                }
                wav_chunks = chunks_of_wav(options)?;
                // The header counts bytes in 32 bits, including itself.
                let most_bytes = u64::from(u32::MAX) - 256 - wav_chunks.len() as u64;
                max_frames = most_bytes / (u64::from(channels) * u64::from(bits_per_sample) / 8);
                let channels = u16::from(channels);
                let spec = hound::WavSpec { channels, sample_rate: rate_hz, bits_per_sample, sample_format };
                let made = hound::WavWriter::new(sink.clone(), spec).map_err(wav_error)?;
                Encoder::Wav(Box::new(made), format)
            }
        };
        let (target, samples) = (target.to_owned(), Vec::new());
        Ok(Self { target, temp, sink, encoder, mono, samples, wav_chunks, frames: 0, max_frames })
    }

    /// Appends frames.
    ///
    /// # Errors
    ///
    /// [`EncodeError::NotANumber`] for NaN and infinities; [`EncodeError::Limit`] if the format cannot hold more (4 GiB
    /// in a WAV); [`EncodeError::Io`]; [`EncodeError::Internal`]. Drop the writer after an error.
    pub fn write(&mut self, frames: &[Frame]) -> Result<(), EncodeError> {
        if let Some(at) = frames.iter().position(|frame| !frame.iter().all(|s| s.is_finite())) {
            return Err(EncodeError::NotANumber { frame: self.frames + at as u64 });
        }
        self.frames += frames.len() as u64;
        self.check_length(self.frames)?;
        self.samples.clear();
        if self.mono {
            self.samples.extend(frames.iter().map(|[left, right]| (left + right) / 2.0));
        } else {
            self.samples.extend_from_slice(frames.as_flattened());
        }
        match &mut self.encoder {
            #[cfg(feature = "mp3")]
            Encoder::Mp3(lame) => lame.encode(&self.samples, &mut self.sink),
            Encoder::Flac { writer, bits, block } => {
                block.clear();
                block.extend(self.samples.iter().map(|&s| quantise(s, *bits - 1)));
                writer.write(block).map_err(flac_error)
            }
            Encoder::Wav(wav, format) => {
                for &sample in &self.samples {
                    match format {
                        AudioFormat::Wav16 => wav.write_sample(quantise(sample, 15)),
                        AudioFormat::Wav24 => wav.write_sample(quantise(sample, 23)),
                        _ => wav.write_sample(sample),
                    }
                    .map_err(wav_error)?;
                }
                Ok(())
            }
        }
    }

    /// Checks that the format can hold this many frames, before they are produced.
    pub fn check_length(&self, frames: u64) -> Result<(), EncodeError> {
        if frames <= self.max_frames {
            return Ok(());
        }
        Err(EncodeError::Limit(match &self.encoder {
            Encoder::Wav(..) => "a WAV file holds at most 4 GiB; use FLAC".into(),
            _ => "more samples than the format can count".into(),
        }))
    }

    /// Completes the file (headers, checksums, LAME's tag), syncs it to disk and renames it to the target.
    ///
    /// # Errors
    ///
    /// [`EncodeError::Empty`] if no frame was written; [`EncodeError::Io`]; [`EncodeError::Internal`].
    pub fn finish(self) -> Result<(), EncodeError> {
        let Self { target, temp, mut sink, encoder, wav_chunks, frames, .. } = self;
        if frames == 0 {
            return Err(EncodeError::Empty);
        }
        match encoder {
            #[cfg(feature = "mp3")]
            Encoder::Mp3(lame) => lame.finish(&mut sink)?,
            Encoder::Flac { writer, .. } => writer.finalize().map_err(flac_error)?,
            Encoder::Wav(wav, _) => {
                wav.finalize().map_err(wav_error)?;
                end_wav(&mut sink, &wav_chunks).map_err(EncodeError::write)?;
            }
        }
        sink.flush().map_err(EncodeError::write)?;
        temp.as_file().sync_all().map_err(EncodeError::write)?;
        temp.persist(&target).map_err(|e| EncodeError::Io { action: "renamed into place", source: e.error })?;
        // If the rename may not survive a crash, report failure and remove the file.
        sync_directory(&target).inspect_err(|_| {
            let _ = std::fs::remove_file(&target);
        })
    }
}

/// A file shared by the encoder and the writer: encoders flush too late to report errors.
#[derive(Clone)]
struct SharedFile(Arc<Mutex<BufWriter<File>>>);

impl SharedFile {
    fn lock(&self) -> MutexGuard<'_, BufWriter<File>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for SharedFile {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        self.lock().write(buf)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.lock().flush()
    }
}

impl Seek for SharedFile {
    fn seek(&mut self, pos: SeekFrom) -> std::io::Result<u64> {
        self.lock().seek(pos)
    }
}

/// Converts to an integer of `bits` bits plus sign.
fn quantise(sample: f32, bits: u32) -> i32 {
    let scale = f64::from(1_u32 << bits);
    // Clamped to the range, so it fits.
    (f64::from(sample) * scale).round().clamp(-scale, scale - 1.0) as i32
}

/// Pads the samples of a WAV file to an even number of bytes and appends chunks. The encoder does neither.
fn end_wav(sink: &mut SharedFile, chunks: &[u8]) -> std::io::Result<()> {
    let end = sink.seek(SeekFrom::End(0))?;
    let padding: &[u8] = if end % 2 == 0 { &[] } else { &[0] };
    if padding.is_empty() && chunks.is_empty() {
        return Ok(());
    }
    sink.write_all(padding)?;
    sink.write_all(chunks)?;
    let size = (end + (padding.len() + chunks.len()) as u64).saturating_sub(8);
    sink.seek(SeekFrom::Start(4))?;
    sink.write_all(&u32::try_from(size).map_err(std::io::Error::other)?.to_le_bytes())
}

/// Returns the bytes of the tags that a WAV file ends with.
#[cfg(feature = "tags")]
fn chunks_of_wav(options: &WriteOptions) -> Result<Vec<u8>, EncodeError> {
    super::tags::wav_chunks(&options.tags)
}

#[cfg(not(feature = "tags"))]
fn chunks_of_wav(_: &WriteOptions) -> Result<Vec<u8>, EncodeError> {
    Ok(Vec::new())
}

#[cfg(feature = "tags")]
fn flac_options(options: &WriteOptions) -> Options {
    super::tags::flac_options(&options.tags)
}

#[cfg(not(feature = "tags"))]
fn flac_options(_: &WriteOptions) -> Options {
    Options::default()
}

#[cfg(feature = "mp3")]
fn mp3(bitrate: Bitrate, rate_hz: u32, options: &WriteOptions, sink: &SharedFile) -> Result<Encoder, EncodeError> {
    #[cfg(feature = "tags")]
    let tag = super::tags::id3v2(&options.tags)?;
    #[cfg(not(feature = "tags"))]
    let tag = Vec::<u8>::new();
    sink.clone().write_all(&tag).map_err(EncodeError::write)?;
    Ok(Encoder::Mp3(Box::new(super::lame::Lame::new(bitrate, rate_hz, options.mono, options.fast, tag.len() as u64)?)))
}

#[cfg(not(feature = "mp3"))]
fn mp3(_: Bitrate, _: u32, _: &WriteOptions, _: &SharedFile) -> Result<Encoder, EncodeError> {
    Err(EncodeError::Unsupported("MP3 (this build lacks the feature mp3); use FLAC or WAV".into()))
}

/// Creates a hidden file in the target's directory, since a rename cannot cross file systems. It gets the permissions
/// of an ordinary new file; a temporary file would be private to its owner.
fn temporary_beside(target: &Path) -> Result<NamedTempFile, EncodeError> {
    let dir = match target.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".vocalizer-").suffix(".part");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(dir).map_err(|source| EncodeError::Io { action: "created", source })
}

/// Syncs the directory, so that the rename survives a power failure.
fn sync_directory(target: &Path) -> Result<(), EncodeError> {
    #[cfg(unix)]
    {
        let dir = target.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(EncodeError::write)?;
    }
    #[cfg(not(unix))]
    let _ = target;
    Ok(())
}

fn flac_error(error: flac_codec::Error) -> EncodeError {
    match error {
        flac_codec::Error::Io(source) => EncodeError::write(source),
        other => EncodeError::Internal(other.to_string()),
    }
}

fn wav_error(error: hound::Error) -> EncodeError {
    match error {
        hound::Error::IoError(source) => EncodeError::write(source),
        other => EncodeError::Internal(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_over_format_limit_is_rejected() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        for (format, says) in
            [(AudioFormat::Wav16, "4 GiB"), (AudioFormat::WavF32, "4 GiB"), (AudioFormat::Flac, "count")]
        {
            let mut writer = StemWriter::create(&dir.path().join("stem"), format, 44_100).expect("a writer");
            writer.frames = writer.max_frames - 1;
            writer.write(&[[0.0; 2]]).expect("the last frame that fits");
            let refused = writer.write(&[[0.0; 2]]);
            assert!(matches!(&refused, Err(EncodeError::Limit(what)) if what.contains(says)), "{refused:?}");
        }
    }
}

//! The output of one stem: resampling, clipping and encoding to a file.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::audio::{AudioFormat, Frame, Resampler, StemWriter};
use crate::{Cancel, Clip, Error};

/// An output file being written. It gets its name only in [`StemSink::finish`].
pub(crate) struct StemSink {
    path: PathBuf,
    resampler: Resampler,
    /// Frames left to write. Extra frames are dropped; missing frames at the end become silence.
    left: u64,
    clip: Clip,
    target: Target,
    resampled: Vec<Frame>,
}

enum Target {
    File(StemWriter),
    /// Rescaling needs the peak before the first sample is written, so the frames are spooled to an unnamed file.
    Spool {
        file: BufWriter<File>,
        dir: PathBuf,
        format: AudioFormat,
        rate_hz: u32,
        peak: f32,
    },
}

impl StemSink {
    /// # Errors
    ///
    /// [`Error::Encode`] or [`Error::Io`] if the file cannot be created, [`Error::Resample`] if the rates are not
    /// supported.
    pub(crate) fn create(
        path: PathBuf,
        format: AudioFormat,
        clip: Clip,
        (from_hz, to_hz): (u32, u32),
        frames: u64,
    ) -> Result<Self, Error> {
        let resampler = Resampler::new(from_hz, to_hz)?;
        let dir = path.parent().unwrap_or(Path::new(".")).to_owned();
        // Created even if it is only needed at the end, so that unsupported formats fail before the work starts.
        let writer = StemWriter::create(&path, format, to_hz).map_err(Error::encode(&path))?;
        writer.check_length(frames).map_err(Error::encode(&path))?;
        let target = match clip {
            Clip::Rescale => Target::Spool {
                file: BufWriter::new(tempfile::tempfile_in(&dir).map_err(Error::io(&dir))?),
                dir,
                format,
                rate_hz: to_hz,
                peak: 0.0,
            },
            Clip::Clamp | Clip::None => Target::File(writer),
        };
        Ok(Self { path, resampler, left: frames, clip, target, resampled: Vec::new() })
    }

    /// Appends frames at the model's rate.
    pub(crate) fn write(&mut self, frames: &[Frame]) -> Result<(), Error> {
        let mut out = std::mem::take(&mut self.resampled);
        out.clear();
        self.resampler.push(frames, &mut out)?;
        let put = self.put(&out);
        self.resampled = out;
        put
    }

    fn put(&mut self, frames: &[Frame]) -> Result<(), Error> {
        let count = usize::try_from(self.left).unwrap_or(usize::MAX).min(frames.len());
        let frames = &frames[..count];
        self.left -= count as u64;
        match &mut self.target {
            Target::File(writer) if self.clip == Clip::Clamp => {
                let clamped: Vec<Frame> = frames.iter().map(|f| f.map(|x| x.clamp(-0.99, 0.99))).collect();
                writer.write(&clamped).map_err(Error::encode(&self.path))
            }
            Target::File(writer) => writer.write(frames).map_err(Error::encode(&self.path)),
            Target::Spool { file, dir, peak, .. } => {
                for x in frames.iter().flatten() {
                    *peak = peak.max(x.abs());
                    file.write_all(&x.to_le_bytes()).map_err(Error::io(dir))?;
                }
                Ok(())
            }
        }
    }

    /// Writes the remaining frames and renames the file into place. Fails with [`Error::Cancelled`] if `cancel` is set
    /// first.
    pub(crate) fn finish(mut self, cancel: &Cancel) -> Result<PathBuf, Error> {
        let mut tail = Vec::new();
        self.resampler.finish(&mut tail)?;
        self.put(&tail)?;
        while self.left > 0 {
            cancel.check()?;
            let silence = [[0.0; 2]; 1024];
            let count = usize::try_from(self.left).unwrap_or(usize::MAX).min(silence.len());
            self.put(&silence[..count])?;
        }
        let path = self.path;
        let writer = match self.target {
            Target::File(writer) => writer,
            Target::Spool { file, dir, format, rate_hz, peak } => {
                let mut writer = StemWriter::create(&path, format, rate_hz).map_err(Error::encode(&path))?;
                let mut file = file.into_inner().map_err(|e| Error::io(&dir)(e.into_error()))?;
                file.rewind().map_err(Error::io(&dir))?;
                let scale = (1.01 * peak).max(1.0);
                let mut file = BufReader::with_capacity(1 << 16, file);
                let mut block = Vec::with_capacity(4096);
                loop {
                    if block.is_empty() {
                        cancel.check()?;
                    }
                    let mut frame = [[0_u8; 4]; 2];
                    let read = file.read_exact(frame.as_flattened_mut());
                    let ended = read.as_ref().is_err_and(|e| e.kind() == std::io::ErrorKind::UnexpectedEof);
                    if !ended {
                        read.map_err(Error::io(&dir))?;
                        block.push(frame.map(|bytes| f32::from_le_bytes(bytes) / scale));
                    }
                    if ended || block.len() == block.capacity() {
                        writer.write(&block).map_err(Error::encode(&path))?;
                        block.clear();
                    }
                    if ended {
                        break;
                    }
                }
                writer
            }
        };
        cancel.check()?;
        writer.finish().map_err(Error::encode(&path))?;
        Ok(path)
    }
}

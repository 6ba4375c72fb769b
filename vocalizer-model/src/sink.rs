//! The output of one stem: resampling, clipping and encoding to a file.

use std::path::{Path, PathBuf};

use crate::audio::{AudioFormat, Frame, Resampler, StemWriter, WriteOptions};
use crate::spool::Spool;
use crate::{Cancel, Clip, Error};

/// What the files of a song have in common.
#[derive(Clone, Copy)]
pub(crate) struct SinkFormat {
    pub(crate) format: AudioFormat,
    pub(crate) clip: Clip,
    /// The model's rate.
    pub(crate) from_hz: u32,
    /// The rate of the files.
    pub(crate) to_hz: u32,
    /// Length of the files at their rate.
    pub(crate) frames: u64,
}

/// An output file being written. It gets its name only in [`StemSink::finish`].
pub(crate) struct StemSink {
    path: PathBuf,
    format: SinkFormat,
    options: WriteOptions,
    resampler: Resampler,
    /// Frames left to write. Extra frames are dropped; missing frames at the end become silence.
    left: u64,
    target: Target,
    resampled: Vec<Frame>,
}

enum Target {
    File(StemWriter),
    /// A gain needs the peak before the first sample is written, so the frames wait in an unnamed file.
    Spool {
        spool: Spool,
        peak: f32,
    },
}

impl StemSink {
    /// # Errors
    ///
    /// [`Error::Encode`] or [`Error::Io`] if the file cannot be created, [`Error::Resample`] if the rates are not
    /// supported.
    pub(crate) fn create(path: PathBuf, format: SinkFormat, options: WriteOptions) -> Result<Self, Error> {
        let resampler = Resampler::new(format.from_hz, format.to_hz)?;
        // Created even if it is only needed at the end, so that unsupported formats fail before the work starts.
        let writer = writer(&path, format, &options)?;
        writer.check_length(format.frames).map_err(Error::encode(&path))?;
        let target = match format.clip {
            Clip::Common | Clip::Each => {
                Target::Spool { spool: Spool::new(Some(path.parent().unwrap_or(Path::new("."))))?, peak: 0.0 }
            }
            Clip::Clamp | Clip::None => Target::File(writer),
        };
        Ok(Self { path, format, options, resampler, left: format.frames, target, resampled: Vec::new() })
    }

    /// Appends frames at the model's rate.
    pub(crate) fn write(&mut self, frames: &[Frame]) -> Result<(), Error> {
        let mut out = std::mem::take(&mut self.resampled);
        out.clear();
        self.resampler.push(frames, &mut out)?;
        let put = self.put(&mut out);
        self.resampled = out;
        put
    }

    fn put(&mut self, frames: &mut Vec<Frame>) -> Result<(), Error> {
        frames.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= frames.len() as u64;
        if self.options.mono {
            frames.iter_mut().for_each(|[left, right]| {
                *left = (*left + *right) / 2.0;
                *right = *left;
            });
        }
        match &mut self.target {
            Target::File(writer) => {
                if self.format.clip == Clip::Clamp {
                    frames.as_flattened_mut().iter_mut().for_each(|x| *x = x.clamp(-0.99, 0.99));
                }
                writer.write(frames).map_err(Error::encode(&self.path))
            }
            Target::Spool { spool, peak } => {
                *peak = frames.as_flattened().iter().fold(*peak, |peak, x| peak.max(x.abs()));
                spool.write(frames)
            }
        }
    }

    /// Appends the remaining frames. Fails with [`Error::Cancelled`] if `cancel` is set first.
    pub(crate) fn end(&mut self, cancel: &Cancel) -> Result<(), Error> {
        let mut tail = Vec::new();
        self.resampler.finish(&mut tail)?;
        self.put(&mut tail)?;
        while self.left > 0 {
            cancel.check()?;
            tail.clear();
            tail.resize(1024, [0.0; 2]);
            self.put(&mut tail)?;
        }
        Ok(())
    }

    /// Returns the gain that prevents clipping, if one is applied. Complete after [`Self::end`].
    pub(crate) fn needed_gain(&self) -> Option<f32> {
        match self.target {
            Target::File(_) => None,
            // The margin is the reference implementation's.
            Target::Spool { peak, .. } => Some(1.0 / (1.01 * peak).max(1.0)),
        }
    }

    /// Encodes spooled frames with this gain and renames the file into place. Fails with [`Error::Cancelled`] if `cancel`
    /// is set first.
    pub(crate) fn finish(self, gain: f32, cancel: &Cancel) -> Result<PathBuf, Error> {
        let Self { path, format, options, target, .. } = self;
        let writer = match target {
            Target::File(writer) => writer,
            Target::Spool { spool, .. } => {
                let mut writer = writer(&path, format, &options)?;
                let (mut frames, mut block) = (spool.reader()?, Vec::new());
                loop {
                    cancel.check()?;
                    block.clear();
                    frames.read(4096, &mut block)?;
                    if block.is_empty() {
                        break;
                    }
                    block.as_flattened_mut().iter_mut().for_each(|x| *x *= gain);
                    writer.write(&block).map_err(Error::encode(&path))?;
                }
                writer
            }
        };
        cancel.check()?;
        writer.finish().map_err(Error::encode(&path))?;
        Ok(path)
    }
}

fn writer(path: &Path, format: SinkFormat, options: &WriteOptions) -> Result<StemWriter, Error> {
    StemWriter::create_with(path, format.format, format.to_hz, options).map_err(Error::encode(path))
}

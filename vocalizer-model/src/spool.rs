//! Frames that wait in an unnamed temporary file, or in memory.

use std::io::{BufReader, BufWriter, ErrorKind, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use tempfile::SpooledTempFile;

use crate::Error;
use crate::audio::Frame;

/// Frames that are written. The system removes the file when it is closed, also after a crash.
pub(crate) struct Spool {
    file: BufWriter<SpooledTempFile>,
    dir: PathBuf,
}

/// Frames that are read again, from the first on.
pub(crate) struct SpoolReader {
    file: BufReader<SpooledTempFile>,
    dir: PathBuf,
}

impl Spool {
    /// Creates the file in this folder. Without a folder, the frames stay in memory.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the file cannot be created.
    pub(crate) fn new(dir: Option<&Path>) -> Result<Self, Error> {
        let file = match dir {
            Some(dir) => {
                let mut file = SpooledTempFile::new_in(0, dir);
                file.roll().map_err(Error::io(dir))?;
                file
            }
            None => SpooledTempFile::new(usize::MAX),
        };
        Ok(Self { file: BufWriter::new(file), dir: dir.unwrap_or(Path::new("memory")).to_owned() })
    }

    /// Appends frames.
    pub(crate) fn write(&mut self, frames: &[Frame]) -> Result<(), Error> {
        for x in frames.as_flattened() {
            self.file.write_all(&x.to_le_bytes()).map_err(Error::io(&self.dir))?;
        }
        Ok(())
    }

    /// Returns to the first frame.
    pub(crate) fn reader(self) -> Result<SpoolReader, Error> {
        let Self { file, dir } = self;
        let mut file = file.into_inner().map_err(|e| Error::io(&dir)(e.into_error()))?;
        file.rewind().map_err(Error::io(&dir))?;
        Ok(SpoolReader { file: BufReader::with_capacity(1 << 16, file), dir })
    }
}

impl SpoolReader {
    /// Appends the next frames to `out`: `count`, or those that are left.
    pub(crate) fn read(&mut self, count: usize, out: &mut Vec<Frame>) -> Result<(), Error> {
        for _ in 0..count {
            let mut frame = [[0_u8; 4]; 2];
            match self.file.read_exact(frame.as_flattened_mut()) {
                Err(e) if e.kind() == ErrorKind::UnexpectedEof => break,
                read => read.map_err(Error::io(&self.dir))?,
            }
            out.push(frame.map(f32::from_le_bytes));
        }
        Ok(())
    }
}

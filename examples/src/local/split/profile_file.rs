//! The file of profiles.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use serde_json::{Map, Value, json};
use vocalizer_model::{Error, Report};

use super::source::Song;
use crate::paths::put;

/// The profile's output file. Created before the first song, so that an error is reported at once.
#[derive(Debug)]
pub(super) struct ProfileFile<'a> {
    path: &'a Path,
    file: File,
}

impl<'a> ProfileFile<'a> {
    pub(super) fn create(path: &'a Path, songs: &[Song]) -> Result<Self, Error> {
        let real = |path: &Path| path.canonicalize().ok();
        if real(path).is_some_and(|path| songs.iter().any(|song| real(&song.file).as_ref() == Some(&path))) {
            return Err(Error::Options(format!(
                "{} is an input file; give the profile a different path",
                path.display()
            )));
        }
        let file = File::create(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
        Ok(Self { path, file })
    }

    pub(super) fn add(&mut self, input: &Path, split: &Report) -> Result<(), Error> {
        let mut line = Map::new();
        put(&mut line, "input", input);
        line.insert("song_s".to_owned(), json!(split.seconds));
        line.insert("profile".to_owned(), json!(split.profile));
        writeln!(self.file, "{}", Value::Object(line))
            .map_err(|source| Error::Io { path: self.path.to_owned(), source })
    }
}

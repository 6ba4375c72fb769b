//! Sources of weights beside the hub.

use std::path::Path;

use vocalizer_model::weights::{MemberSpec, SourceError, WeightsError, WeightsFile, WeightsSource};

use super::fetch::{DEAD_HUB, FILE, Recorder, TestModel, fetcher};
use super::server::{Response, Server};
use super::support::{golden, leak, published, tiny};

/// A source with this file, or one that fails for this reason. It has only networks named [`FILE`].
#[derive(Debug)]
struct Other(Result<Vec<u8>, &'static str>);

impl WeightsSource for Other {
    fn offer(&self, member: &MemberSpec) -> Option<(String, u64)> {
        (member.file == FILE).then(|| ("other".into(), 7))
    }

    fn download(&self, _: &MemberSpec, path: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<(), SourceError> {
        let bytes = self.0.as_ref().map_err(|why| SourceError::Unavailable((*why).into()))?;
        std::fs::write(path, bytes).map_err(SourceError::io(path, "cannot be written"))?;
        let total = bytes.len() as u64;
        (0..total).step_by(100).chain([total]).for_each(|done| progress(done, total));
        Ok(())
    }
}

/// A network whose file on the hub differs from the tiny model, but has the same tensors.
fn member() -> MemberSpec {
    let digest = WeightsFile::open(&golden("tiny-4s.safetensors")).and_then(|file| file.tensor_digest());
    let mut member = published(FILE, b"only the hub has this file");
    member.tensor_digest = Some(leak(digest.expect("a digest")));
    member
}

/// Fetches from a source that must fail, and returns the reason.
#[track_caller]
fn refused(member: MemberSpec, source: Other) -> String {
    let model = TestModel::of(vec![member]);
    let mut recorder = Recorder::default();
    let error = model.fetch_with(&fetcher(DEAD_HUB).with_source(source), &mut recorder).expect_err("an error");
    let WeightsError::NoSource { tried, .. } = error else { panic!("{error:?}") };
    let [hub, other] = tried.as_slice() else { panic!("{tried:?}") };
    assert_eq!((hub.source.as_str(), other.source.as_str()), ("127.0.0.1:1", "other"));
    assert_eq!(recorder.lines.last(), Some(&format!("not other: {}", other.why)));
    assert_eq!(model.names(), ["net.safetensors.lock"], "no files are left");
    other.why.clone()
}

#[test]
fn other_sources_are_used_in_order_when_hub_fails() {
    let model = TestModel::of(vec![member()]);
    let mut recorder = Recorder::default();
    let fetcher = fetcher(DEAD_HUB).with_source(Other(Err("it is empty"))).with_source(Other(Ok(tiny())));
    model.fetch_with(&fetcher, &mut recorder).expect("a file");
    let file = WeightsFile::open(&model.target()).expect("a file");
    file.check().expect("the network");
    file.verify(&member()).expect("what was published");
    assert_eq!(model.names(), [FILE, "net.safetensors.lock"]);

    assert_eq!(recorder.lines[0], "26 bytes from 127.0.0.1:1");
    assert_eq!(recorder.lines[2..], ["7 bytes from other", "not other: it is empty", "7 bytes from other"]);
    let total = tiny().len() as u64;
    assert_eq!(recorder.progress.last(), Some(&(total, total)));
    assert!(recorder.progress.len() < 12, "{} reports", recorder.progress.len());
}

#[test]
fn wrong_file_from_hub_falls_back_to_other_source() {
    let model = TestModel::of(vec![member()]);
    let hub = Server::start(|_, _| Response::whole(b"some other twenty-six byte"));
    let mut recorder = Recorder::default();
    model.fetch_with(&fetcher(&hub.url()).with_source(Other(Ok(tiny()))), &mut recorder).expect("a file");
    assert!(recorder.lines[1].contains("SHA-256"), "{:?}", recorder.lines);
    assert_eq!(model.names(), [FILE, "net.safetensors.lock"]);
}

#[test]
fn leftovers_of_interrupted_fetches_are_removed() {
    let model = TestModel::of(vec![member()]);
    let left = model.cache.models_dir().join(format!("{FILE}.tmp"));
    std::fs::create_dir_all(&left).expect("a folder");
    std::fs::write(left.join("older-0.9.0.tgz"), "cut").expect("a file");
    std::fs::write(model.part(), "begun").expect("a file");
    model.fetch_with(&fetcher(DEAD_HUB).with_source(Other(Ok(tiny()))), &mut Recorder::default()).expect("a file");
    assert_eq!(model.names(), [FILE, "net.safetensors.lock"]);
}

#[test]
fn wrong_file_from_other_source_is_rejected() {
    let mut other = member();
    other.tensor_digest = Some(leak("0".repeat(64)));
    let why = refused(other, Other(Ok(tiny())));
    assert!(why.contains(&"0".repeat(64)), "{why}");
    let why = refused(member(), Other(Ok(b"<html>sign in</html>".to_vec())));
    assert!(why.contains("malformed"), "{why}");
}

#[test]
fn source_without_the_network_is_not_tried() {
    let mut another = member();
    another.file = "another";
    let model = TestModel::of(vec![another]);
    let fetcher = fetcher(DEAD_HUB).with_source(Other(Ok(tiny())));
    let error = model.fetch_with(&fetcher, &mut Recorder::default()).expect_err("an error");
    assert!(matches!(&error, WeightsError::NoSource { tried, .. } if tried.len() == 1), "{error:?}");
}

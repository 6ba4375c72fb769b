//! Fetching checkpoints: download, conversion, verification, and the consent to weights without a stated licence.

use std::fs;

use half::f16;
use vocalizer_model::weights::{
    Family, Licence, MemberSpec, NoListener, Source, Tensors as _, WeightsError, WeightsFile, read_toolkit_config,
};

use super::fetch::{DEAD_HUB, FILE, Recorder, TestModel, fetcher};
use super::server::{Response, Server};
use super::support::{golden, leak, names, sha256};

const CHECKPOINT: &str = "tiny-scnet.ckpt";

fn checkpoint() -> Vec<u8> {
    fs::read(golden(CHECKPOINT)).expect("a checkpoint")
}

/// A server that has the checkpoint.
fn server() -> Server {
    let file = checkpoint();
    Server::start(move |_, request| Response::ranged(&file, request))
}

/// The model that is published as this checkpoint, at this address.
fn model(url: &str, bytes: &[u8]) -> TestModel {
    let config = read_toolkit_config(&golden("tiny-scnet.yaml")).expect("a configuration");
    let source = Source::Url(leak(format!("{url}/{CHECKPOINT}")));
    let mut member = MemberSpec::new(FILE, source, bytes.len() as u64, leak(sha256(bytes)));
    member.config = Some(leak(config.to_string()));
    let mut model = TestModel::of(vec![member]);
    model.spec.family = Family::Scnet;
    model
}

#[test]
fn checkpoint_is_fetched_converted_and_removed() {
    let (server, file) = (server(), checkpoint());
    let model = model(&server.url(), &file);
    let mut recorder = Recorder::default();
    let paths = model.fetch_with(&fetcher(DEAD_HUB), &mut recorder).expect("a file");
    assert_eq!(paths, [model.target()]);
    assert_eq!(model.names(), [FILE, "net.safetensors.lock"]);
    assert_eq!(
        recorder.lines,
        [format!("{} bytes from {}", file.len(), server.name()), format!("converting to {FILE}")]
    );
    assert!(model.cache.has(&model.spec) && !model.cache.is_damaged(&model.spec));

    let converted = WeightsFile::open(&model.target()).expect("weights");
    converted.verify(&model.spec.members[0]).expect("what was published");
    assert_eq!(converted.family(), Family::Scnet);
    assert_eq!(converted.config()["inference"]["num_overlap"], 4);
    let original = WeightsFile::open(&golden("tiny-scnet.safetensors")).expect("weights");
    assert!(converted.keys().eq(original.keys()));
    for key in original.keys() {
        assert_eq!(converted.shape(key), original.shape(key), "{key}");
        let rounded = original.f32s(key).expect("values").iter().map(|&v| f16::from_f32(v)).collect::<Vec<_>>();
        let bytes: Vec<u8> = rounded.iter().flat_map(|v| v.to_le_bytes()).collect();
        assert!(*converted.bytes(key).expect("values") == bytes, "{key}");
    }

    let before = server.requests().len();
    model.fetch(DEAD_HUB).expect("the cached file");
    assert_eq!(server.requests().len(), before);
}

#[test]
fn interrupted_download_of_a_checkpoint_is_resumed() {
    let (server, file) = (server(), checkpoint());
    let model = model(&server.url(), &file);
    fs::create_dir_all(model.cache.models_dir()).expect("a folder");
    fs::write(model.part(), &file[..file.len() / 2]).expect("a file");
    model.fetch(DEAD_HUB).expect("a file");
    assert_eq!(server.requests().iter().map(|request| request.from).collect::<Vec<_>>(), [Some(file.len() / 2)]);
    // A conversion that was killed left the whole checkpoint.
    fs::remove_file(model.target()).expect("a file");
    fs::write(model.part(), &file).expect("a file");
    fs::write(model.cache.models_dir().join(format!("{FILE}.new")), "begun").expect("a file");
    model.fetch(DEAD_HUB).expect("a file");
    assert_eq!(server.requests().len(), 1);
    assert_eq!(model.names(), [FILE, "net.safetensors.lock"]);
}

#[test]
fn checkpoint_in_the_cache_is_converted_without_a_download() {
    let file = checkpoint();
    let model = model("http://127.0.0.1:1", &file);
    fs::create_dir_all(model.cache.models_dir()).expect("a folder");
    let copied = model.cache.checkpoint_path(&model.spec.members[0]);
    assert!(copied.ends_with(CHECKPOINT));
    fs::write(&copied, &file).expect("a file");
    model.fetch(DEAD_HUB).expect("a file");
    assert_eq!(model.names(), [FILE, "net.safetensors.lock"]);

    fs::remove_file(model.target()).expect("a file");
    fs::write(&copied, &file[..file.len() - 1]).expect("a file");
    let error = model.fetch(DEAD_HUB).expect_err("an error");
    let WeightsError::NoSource { file, tried } = error else { panic!("{error:?}") };
    assert_eq!(file, copied, "where a copy would be found");
    assert_eq!(tried[0].source, "the cache");
    assert!(tried[0].why.contains("malformed"), "{tried:?}");
}

#[test]
fn damaged_and_differently_configured_files_are_fetched_again() {
    let (server, file) = (server(), checkpoint());
    let mut model = model(&server.url(), &file);
    model.fetch(DEAD_HUB).expect("a file");
    let mut bytes = fs::read(model.target()).expect("a file");
    *bytes.last_mut().expect("a byte") ^= 1;
    fs::write(model.target(), &bytes).expect("a file");
    let mut recorder = Recorder::default();
    model.fetch_with(&fetcher(DEAD_HUB), &mut recorder).expect("a file");
    assert!(recorder.lines[0].contains("not the cache: the file has SHA-256"), "{:?}", recorder.lines);

    let mut member = model.spec.members[0];
    member.config =
        Some(leak(member.config.expect("a configuration").replace("\"num_overlap\":4", "\"num_overlap\":2")));
    model.spec.members = Box::leak(Box::new([member]));
    let mut recorder = Recorder::default();
    model.fetch_with(&fetcher(DEAD_HUB), &mut recorder).expect("a file");
    assert!(recorder.lines[0].contains("does not fit its configuration"), "{:?}", recorder.lines);
    assert_eq!(WeightsFile::open(&model.target()).expect("weights").config()["inference"]["num_overlap"], 2);
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn wrong_checkpoints_are_rejected() {
    let file = checkpoint();
    let mut other = file.clone();
    *other.last_mut().expect("a byte") ^= 1;
    let server = Server::start(move |_, _| Response::whole(&other));
    let why = model(&server.url(), &file).refused_at(CHECKPOINT);
    assert!(why.contains(&sha256(&file)), "{why}");

    let evil = fs::read(golden("evil.ckpt")).expect("a checkpoint");
    let server = {
        let evil = evil.clone();
        Server::start(move |_, _| Response::whole(&evil))
    };
    let model = model(&server.url(), &evil);
    let why = model.refused_at(CHECKPOINT);
    assert!(why.contains("__builtin__ print"), "{why}");
    assert_eq!(model.names(), ["net.safetensors.lock"]);
}

#[test]
fn weights_without_a_stated_licence_need_consent_once() {
    let (server, file) = (server(), checkpoint());
    let mut model = model(&server.url(), &file);
    model.spec.licence = Licence::not_stated("The author was asked.");
    let error = model.fetch(DEAD_HUB).expect_err("an error");
    assert!(matches!(&error, WeightsError::LicenceNotAccepted { model, .. } if model == "net"), "{error:?}");
    let message = error.to_string();
    assert!(message.contains("not stated. The author was asked.") && message.contains("--accept-licence"), "{message}");
    assert_eq!(server.requests(), []);
    assert!(!model.cache.has_accepted_licence(&model.spec));

    model.cache.accept_licence(&model.spec).expect("a record");
    assert!(model.cache.has_accepted_licence(&model.spec));
    model.fetch(DEAD_HUB).expect("a file");
    let root = model.cache.models_dir().parent().expect("the cache").to_owned();
    assert_eq!(names(&root), ["licences", "models"]);
    assert_eq!(names(&root.join("licences")), ["net"]);
    // Without the consent, weights that are present are used, and not fetched again.
    fs::remove_dir_all(root.join("licences")).expect("a folder");
    fetcher(DEAD_HUB).fetch(&model.spec, &model.cache, &mut NoListener).expect("the cached file");
    fs::remove_file(model.target()).expect("a file");
    assert!(matches!(model.fetch(DEAD_HUB), Err(WeightsError::LicenceNotAccepted { .. })));
}

#[test]
fn stated_licences_need_no_consent_and_no_record() {
    let model = model("http://127.0.0.1:1", b"");
    assert!(model.cache.has_accepted_licence(&model.spec));
    model.cache.accept_licence(&model.spec).expect("nothing to do");
    assert!(!model.cache.models_dir().parent().expect("the cache").join("licences").exists());
}

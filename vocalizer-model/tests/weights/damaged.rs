//! Files in the cache that are cut or changed are fetched again.

use vocalizer_model::weights::{Fetcher, NoListener, WeightsError};

use super::fetch::{DEAD_HUB, FILE, Recorder, TestModel, fetcher};
use super::server::{Response, Server};
use super::support::{published, sha256, tiny};

/// Ways to damage a file, and what the message says about each.
fn damages() -> Vec<(Vec<u8>, &'static str)> {
    let whole = tiny();
    let mut flipped = whole.clone();
    *flipped.last_mut().expect("a byte") ^= 1;
    vec![
        (whole[..whole.len() / 2].to_vec(), "malformed"),
        (whole[..whole.len() - 1].to_vec(), "malformed"),
        (Vec::new(), "malformed"),
        (b"version https://git-lfs.github.com/spec/v1".to_vec(), "malformed"),
        ([whole.as_slice(), &[0; 100]].concat(), "malformed"),
        (flipped, "SHA-256"),
    ]
}

/// A model whose file in the cache has these bytes.
fn cached(bytes: &[u8]) -> TestModel {
    let model = TestModel::new(&tiny());
    std::fs::create_dir_all(model.cache.models_dir()).expect("a folder");
    std::fs::write(model.target(), bytes).expect("a file");
    model
}

#[test]
fn damaged_file_is_fetched_again() {
    for (bytes, says) in damages() {
        let model = cached(&bytes);
        let whole = tiny();
        let hub = Server::start(move |_, _| Response::whole(&whole));
        let mut recorder = Recorder::default();
        model.fetch_with(&fetcher(&hub.url()), &mut recorder).expect("a file");
        assert!(std::fs::read(model.target()).expect("a file") == tiny(), "{} bytes stayed", bytes.len());
        assert!(model.cache.has(&model.spec) && !model.cache.is_damaged(&model.spec));
        let [damage, source] = recorder.lines.as_slice() else { panic!("{:?}", recorder.lines) };
        assert!(damage.starts_with("not the cache: the file ") && damage.contains(says), "{damage}");
        assert!(source.ends_with(&hub.name()), "{source}");
        assert_eq!(model.names(), [FILE, "net.safetensors.lock"]);

        // Now it is verified, and nothing is fetched.
        model.fetch(DEAD_HUB).expect("a verified file");
        assert_eq!(hub.requests().len(), 1);
    }
}

#[test]
fn only_damaged_member_of_bag_is_fetched() {
    let whole = tiny();
    let model = TestModel::of(["a", "b", "c"].map(|name| published(name, &whole)).into());
    std::fs::create_dir_all(model.cache.models_dir()).expect("a folder");
    for (name, length) in [("a", whole.len()), ("b", whole.len() - 7), ("c", whole.len())] {
        std::fs::write(model.cache.models_dir().join(name), &whole[..length]).expect("a file");
    }
    assert!(!model.cache.has(&model.spec) && model.cache.is_damaged(&model.spec));
    let hub = Server::start(move |_, _| Response::whole(&whole));
    model.fetch(&hub.url()).expect("the files");
    let asked: Vec<_> = hub.requests().iter().filter_map(|r| Some(r.path.rsplit_once('/')?.1.to_owned())).collect();
    assert_eq!(asked, ["b"]);
}

#[test]
fn damage_is_named_if_nothing_can_be_fetched() {
    for (bytes, says) in damages() {
        let model = cached(&bytes);
        let error = model.fetch_with(&Fetcher::default().with_hub(DEAD_HUB), &mut NoListener).expect_err("an error");
        let text = error.to_string();
        let WeightsError::NoSource { tried, .. } = error else { panic!("{error:?}") };
        let [cache, hub] = tried.as_slice() else { panic!("{tried:?}") };
        assert_eq!((cache.source.as_str(), hub.source.as_str()), ("the cache", "127.0.0.1:1"));
        assert!(cache.why.contains(says) && text.contains(&cache.why), "{text}");
        // It stays until there is something better.
        assert_eq!(sha256(&std::fs::read(model.target()).expect("a file")), sha256(&bytes));
    }
}

#[cfg(unix)]
#[test]
fn unreadable_file_is_named_and_not_replaced() {
    let model = TestModel::new(&tiny());
    std::fs::create_dir_all(model.target()).expect("a folder in the file's place");
    let error = model.fetch(DEAD_HUB).expect_err("an error");
    assert!(matches!(&error, WeightsError::Io { .. }), "{error:?}");
    assert!(error.to_string().contains(&model.target().display().to_string()), "{error}");
}

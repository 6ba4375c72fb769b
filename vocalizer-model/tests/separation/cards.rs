//! Separation on GPUs, or on a software driver without one.

use vocalizer_model::{ComputeOptions, Error, Precision, devices, interfaces};

use super::accuracy::{published_song, whole_song};
use super::families;
use super::support::{floats, golden, on, published, split, tiny, tiny_on};
use crate::audio::support::{RATE_HZ, read, snr_db};

/// All GPUs and software drivers that this build can use; `./test` requires at least one.
fn cards() -> Vec<String> {
    let cards: Vec<_> = devices().into_iter().map(|device| device.id).filter(|id| id != "cpu").collect();
    if cards.is_empty() {
        assert!(std::env::var_os("VOCALIZER_TEST_GPU").is_none(), "neither a GPU nor software Vulkan found");
        println!("skipped: neither a GPU nor software Vulkan found");
    }
    for interface in interfaces().iter().map(ToString::to_string) {
        if !cards.iter().any(|card| card.starts_with(&interface)) {
            println!("skipped: no {interface} device found");
        }
    }
    cards
}

fn on_with(card: &str, change: impl FnOnce(&mut ComputeOptions)) -> ComputeOptions {
    let mut compute = on(card);
    change(&mut compute);
    compute
}

fn compare_whole_song(name: &str) {
    for card in cards() {
        let model = tiny_on(name, &on(&card)).expect("a model on a card");
        assert_eq!((model.device(), model.precision()), (&*card, Precision::F32));
        println!("{}", model.remarks().join("; "));
        whole_song(name, &model);
    }
}

#[test]
fn four_stems_match_reference() {
    compare_whole_song("tiny-4s");
}

#[test]
fn six_stems_match_reference() {
    compare_whole_song("tiny-6s");
}

#[test]
fn every_family_matches_reference() {
    for card in cards() {
        for name in families::CASES {
            families::compare(name, "mix", 2, &on_with(&card, |compute| compute.batch = Some(1)), 90.0);
        }
    }
}

/// GPUs only: software rendering takes minutes.
#[test]
fn published_weights_match_reference() {
    for card in devices().into_iter().filter(|device| device.id != "cpu" && !device.is_software) {
        let Some(model) = published(&on(&card.id)) else { return };
        println!("{}", model.remarks().join("; "));
        published_song(&model);
    }
}

/// Several segments at once, with a last batch that is not full.
#[test]
fn batch_size_does_not_change_stems() {
    let song = read(&golden("mix.flac")).1;
    let song = &song[..150_000];
    let alone = split(&tiny("tiny-4s"), song, RATE_HZ, &floats()).all();
    for card in cards() {
        for batch in [1, 3] {
            let compute = on_with(&card, |compute| compute.batch = Some(batch)).with_precision(Precision::Auto);
            let model = tiny_on("tiny-4s", &compute).expect("a model");
            assert_eq!(model.precision(), Precision::F32, "what auto takes on a card");
            let db = snr_db(&alone, &split(&model, song, RATE_HZ, &floats()).all());
            assert!(db > 100.0, "{card}, {batch} at once: {db:.1} dB of one at a time on the CPU");
        }
    }
}

#[test]
fn lower_precision_is_less_exact_or_reported_missing() {
    let song = read(&golden("mix.flac")).1;
    let song = &song[..100_000];
    let exact = split(&tiny("tiny-4s"), song, RATE_HZ, &floats()).all();
    for card in cards() {
        for (precision, least_db) in [(Precision::F16, 45.0), (Precision::Bf16, 25.0)] {
            match tiny_on("tiny-4s", &on_with(&card, |compute| compute.precision = precision)) {
                Ok(model) => {
                    let db = snr_db(&exact, &split(&model, song, RATE_HZ, &floats()).all());
                    println!("{card} in {precision}: {db:.1} dB of the CPU in f32");
                    assert!(db > least_db, "{card} in {precision}: {db:.1} dB");
                }
                Err(Error::Device { message, .. }) => {
                    println!("{card} in {precision}: {message}");
                    assert!(message.contains("use f32"), "{message}");
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
    let error =
        tiny_on("tiny-4s", &on_with("cpu", |compute| compute.precision = Precision::F16)).err().expect("an error");
    assert_eq!(error.to_string(), "the CPU computes in f32, bf16, int16 or int8, not in f16");
}

#[test]
fn missing_card_is_an_error_without_cpu_fallback() {
    for interface in ["wgpu", "cuda"] {
        for cards in [":99", ":98,99"] {
            match tiny_on("tiny-4s", &on(&format!("{interface}{cards}"))) {
                Err(Error::Device { device, message }) => {
                    let built = interfaces().iter().any(|known| known.to_string() == interface);
                    assert!(device.starts_with(interface), "{device}");
                    assert!(
                        message.contains(if built { "no such device" } else { "was built without it" }),
                        "{message}"
                    );
                }
                other => {
                    panic!("{interface}{cards}: {}", other.map_or_else(|e| e.to_string(), |m| m.device().to_owned()))
                }
            }
        }
    }
}

/// One batch needs more than a buffer of this driver may hold.
#[test]
fn oversized_batch_is_reduced() {
    let song = read(&golden("mix.flac")).1;
    let song = &song[..100_000];
    let alone = split(&tiny("tiny-4s"), song, RATE_HZ, &floats()).all();
    for card in devices().into_iter().filter(|device| device.is_software) {
        let model = tiny_on("tiny-4s", &on_with(&card.id, |compute| compute.batch = Some(24))).expect("a model");
        assert_eq!(model.batches(), [12]);
        assert!(model.remarks().concat().contains("a batch of 24 segments does not fit"), "{:?}", model.remarks());
        let db = snr_db(&alone, &split(&model, song, RATE_HZ, &floats()).all());
        assert!(db > 100.0, "{}: {db:.1} dB", card.id);
    }
}

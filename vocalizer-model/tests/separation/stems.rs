//! Stem selection, two stems, and bags whose members are weighted differently.

use vocalizer_model::weights::{Cache, Family, Licence, MemberSpec, ModelSpec, Source, WeightsError, WeightsFile};
use vocalizer_model::{Complement, Error, Model, Stem};

use super::support::{floats, golden, on, split, tiny, tiny_on};
use crate::audio::support::{RATE_HZ, snr_db, song};

#[test]
fn selected_stems_equal_those_of_full_split() {
    let model = tiny("tiny-6s");
    let song = song(60_000, RATE_HZ);
    let all = split(&model, &song, RATE_HZ, &floats());
    let mut options = floats();
    options.stems = vec![Stem::PIANO, Stem::DRUMS];
    let some = split(&model, &song, RATE_HZ, &options);
    let names: Vec<_> = some.report.files.iter().filter_map(|f| f.file_name()?.to_str()).collect();
    assert_eq!(names, ["drums.wav", "piano.wav"]);
    for stem in [Stem::PIANO, Stem::DRUMS] {
        assert!(all.stem(stem) == some.stem(stem), "{stem}");
    }
}

#[test]
fn two_stems_are_stem_and_complement() {
    let model = tiny("tiny-4s");
    let song = song(60_000, RATE_HZ);
    let all = split(&model, &song, RATE_HZ, &floats());
    let pair = |complement| {
        let mut options = floats();
        options.two_stems = Some((Stem::VOCALS, complement));
        let pair = split(&model, &song, RATE_HZ, &options);
        assert_eq!(pair.report.files.len(), 2);
        assert!(pair.stem(Stem::VOCALS) == all.stem(Stem::VOCALS));
        pair.file("no_vocals.wav")
    };

    let others = [Stem::DRUMS, Stem::BASS, Stem::OTHER].map(|stem| all.stem(stem));
    let sum: Vec<_> = (0..song.len()).map(|i| [0, 1].map(|c| others.iter().map(|s| s[i][c]).sum::<f32>())).collect();
    assert!(snr_db(&sum, &pair(Complement::Add)) > 120.0);

    let vocals = all.stem(Stem::VOCALS);
    let rest: Vec<_> = song.iter().zip(vocals).map(|(m, v)| [m[0] - v[0], m[1] - v[1]]).collect();
    assert!(snr_db(&rest, &pair(Complement::Minus)) > 120.0);
}

#[test]
fn two_stems_and_stem_selection_are_exclusive() {
    let model = tiny("tiny-4s");
    let dir = tempfile::tempdir().expect("a folder");
    let mut options = floats();
    options.two_stems = Some((Stem::VOCALS, Complement::Add));
    options.stems = vec![Stem::BASS];
    let error = vocalizer_model::split_file(&model, &golden("mix.flac"), dir.path(), &options).expect_err("an error");
    assert!(matches!(error, Error::Options(_)), "{error}");
}

#[test]
fn stems_that_the_model_lacks_are_named() {
    let model = tiny("tiny-4s");
    let kick: Stem = "kick".parse().expect("a stem");
    type Change<'a> = &'a dyn Fn(&mut vocalizer_model::SplitOptions);
    let changes: [Change<'_>; 3] = [
        &|options| options.stems = vec![Stem::BASS, kick],
        &|options| options.two_stems = Some((kick, Complement::Add)),
        &|options| options.mix_minus = vec![kick],
    ];
    for change in changes {
        let dir = tempfile::tempdir().expect("a folder");
        let mut options = floats();
        change(&mut options);
        let split = vocalizer_model::split_file(&model, &golden("mix.flac"), dir.path(), &options);
        let error = split.expect_err("an error").to_string();
        assert_eq!(error, "this model has no stem 'kick'; it has drums, bass, other, vocals");
    }
    let error = tiny_on("tiny-4s", &on("cpu").with_stems(&[Stem::BASS, kick])).err().expect("an error").to_string();
    assert_eq!(error, "this model has no stem 'kick'; it has drums, bass, other, vocals");
}

#[test]
fn models_loaded_for_some_stems_have_only_these() {
    let song = song(30_000, RATE_HZ);
    for (name, stem) in [
        ("tiny-6s", Stem::PIANO),
        ("tiny-scnet", Stem::BASS),
        ("tiny-scnet-norm", Stem::VOCALS),
        ("tiny-bs", Stem::OTHER),
        // What the network's only stem leaves.
        ("tiny-mel", Stem::OTHER),
        ("tiny-bs-512", Stem::INSTRUMENTAL),
    ] {
        let model = tiny_on(name, &on("cpu").with_stems(&[stem])).expect("a model");
        assert_eq!(model.sources(), [stem]);
        let whole = split(&tiny(name), &song, RATE_HZ, &floats());
        let some = split(&model, &song, RATE_HZ, &floats());
        assert_eq!(some.report.files.len(), 1, "{name}");
        assert!(some.stem(stem) == whole.stem(stem), "{name}");
        let mut options = floats();
        options.mix_minus = vec![stem];
        let minus = split(&model, &song, RATE_HZ, &options).file(&format!("minus_{stem}.wav"));
        let rest: Vec<_> = song.iter().zip(some.stem(stem)).map(|(m, s)| [m[0] - s[0], m[1] - s[1]]).collect();
        assert!(snr_db(&rest, &minus) > 110.0, "{name}");
    }
    let model = tiny_on("tiny-4s", &on("cpu").with_stems(&[Stem::VOCALS, Stem::BASS])).expect("a model");
    assert_eq!(model.sources(), [Stem::BASS, Stem::VOCALS]);
    let mut options = floats();
    options.stems = vec![Stem::DRUMS];
    let dir = tempfile::tempdir().expect("a folder");
    let error = vocalizer_model::split_file(&model, &golden("mix.flac"), dir.path(), &options).expect_err("an error");
    assert_eq!(error.to_string(), "this model was loaded without the stem 'drums', only for bass, vocals");
}

#[test]
fn needed_stems_follow_from_the_files() {
    let needed = |change: &dyn Fn(&mut vocalizer_model::SplitOptions)| {
        let mut options = floats();
        change(&mut options);
        options.needed_stems()
    };
    assert!(needed(&|_| {}).is_empty());
    assert!(needed(&|options| options.four_stems = true).is_empty());
    assert!(needed(&|options| options.two_stems = Some((Stem::VOCALS, Complement::Add))).is_empty());
    assert_eq!(needed(&|options| options.two_stems = Some((Stem::VOCALS, Complement::Minus))), [Stem::VOCALS]);
    assert_eq!(needed(&|options| options.mix_minus = vec![Stem::VOCALS]), [Stem::VOCALS]);
    let both = needed(&|options| {
        options.stems = vec![Stem::PIANO, Stem::DRUMS];
        options.mix_minus = vec![Stem::VOCALS, Stem::DRUMS];
    });
    assert_eq!(both, [Stem::DRUMS, Stem::VOCALS, Stem::PIANO]);
}

/// A bag in its own cache: two copies of the tiny model with these weights, optionally with a damaged file.
fn bag(weights: &'static [&'static [f32]], damage: bool) -> (tempfile::TempDir, Result<Model, Error>) {
    let dir = tempfile::tempdir().expect("a folder");
    let cache = Cache::at(dir.path());
    std::fs::create_dir_all(cache.models_dir()).expect("a folder");
    let tiny = golden("tiny-4s.safetensors");
    let digest = WeightsFile::open(&tiny).and_then(|f| f.tensor_digest()).expect("a digest");
    let digest: &'static str = Box::leak(digest.into_boxed_str());
    let members: Vec<_> = ["a.safetensors", "b.safetensors"]
        .map(|file| {
            let mut bytes = std::fs::read(&tiny).expect("the tiny model");
            if damage && let Some(last) = bytes.last_mut() {
                *last ^= 1;
            }
            let mut member = MemberSpec::new(file, Source::Url(""), 0, "");
            member.tensor_digest = Some(digest);
            std::fs::write(cache.member_path(&member), bytes).expect("a copy");
            member
        })
        .into();
    let members = Box::leak(members.into_boxed_slice());
    let mut spec = ModelSpec::new("bag", Family::Htdemucs, Licence::not_stated(""), members);
    (spec.weights, spec.sources) = (weights, &["drums", "bass", "other", "vocals"]);
    let model = Model::cached(&spec, &cache, &on("cpu"));
    (dir, model)
}

#[test]
fn bag_of_equal_members_matches_single_member() {
    let song = song(50_000, RATE_HZ);
    let alone = split(&tiny("tiny-4s"), &song, RATE_HZ, &floats());
    const HALVES: &[&[f32]] = &[&[1.0, 0.0, 0.5, 0.25], &[0.0, 1.0, 0.5, 0.75]];
    const SHARES: &[&[f32]] = &[&[1.0, 1.0, 1.0, 1.0], &[1.0, 1.0, 3.0, 1.0]];
    for weights in [HALVES, SHARES] {
        let (_dir, model) = bag(weights, false);
        let model = model.expect("a bag");
        assert!(snr_db(&alone.all(), &split(&model, &song, RATE_HZ, &floats()).all()) > 120.0);
        let mut options = floats();
        options.stems = vec![Stem::DRUMS];
        let drums = split(&model, &song, RATE_HZ, &options).stem(Stem::DRUMS);
        assert!(snr_db(&alone.stem(Stem::DRUMS), &drums) > 120.0);
    }
}

#[test]
fn modified_cached_weights_are_rejected() {
    let (_dir, model) = bag(&[&[1.0; 4], &[1.0; 4]], true);
    match model.err() {
        Some(error @ Error::CachedWeights { source: WeightsError::Digest { .. }, .. }) => {
            let text = error.to_string();
            assert!(text.contains("a.safetensors") && text.contains("`vocalizer models fetch bag`"), "{text}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn mix_minus_is_mixture_without_stems() {
    let model = tiny("tiny-4s");
    let song = song(60_000, RATE_HZ);
    let all = split(&model, &song, RATE_HZ, &floats());
    let minus = |stems: &[Stem]| {
        let taken: Vec<_> = stems.iter().map(|&stem| all.stem(stem)).collect();
        let rest =
            song.iter().enumerate().map(|(n, f)| [0, 1].map(|c| f[c] - taken.iter().map(|s| s[n][c]).sum::<f32>()));
        rest.collect::<Vec<_>>()
    };
    let names = |split: &super::support::Split| {
        let names = split.report.files.iter().filter_map(|f| Some(f.file_name()?.to_str()?.to_owned()));
        names.collect::<Vec<_>>()
    };
    let with = |change: &dyn Fn(&mut vocalizer_model::SplitOptions)| {
        let mut options = floats();
        options.mix_minus = vec![Stem::VOCALS, Stem::DRUMS, Stem::VOCALS];
        change(&mut options);
        split(&model, &song, RATE_HZ, &options)
    };

    // Alone, it is the only file; the stems are named in the model's order.
    let only = with(&|_| {});
    assert_eq!(names(&only), ["minus_drums_vocals.wav"]);
    assert_eq!(only.report.gains, [("minus_drums_vocals".to_owned(), 1.0)]);
    let db = snr_db(&minus(&[Stem::DRUMS, Stem::VOCALS]), &only.file("minus_drums_vocals.wav"));
    assert!(db > 110.0, "{db:.1} dB");

    // With a selection, it is one more file. Its stems need not be selected.
    let more = with(&|options| options.stems = vec![Stem::BASS, Stem::DRUMS]);
    assert_eq!(names(&more), ["drums.wav", "bass.wav", "minus_drums_vocals.wav"]);
    assert!(more.stem(Stem::BASS) == all.stem(Stem::BASS));
    assert!(more.file("minus_drums_vocals.wav") == only.file("minus_drums_vocals.wav"));
    let pair = with(&|options| options.two_stems = Some((Stem::VOCALS, Complement::Minus)));
    assert_eq!(names(&pair), ["vocals.wav", "no_vocals.wav", "minus_drums_vocals.wav"]);
    assert!(snr_db(&minus(&[Stem::VOCALS]), &pair.file("no_vocals.wav")) > 110.0);
    assert!(pair.file("minus_drums_vocals.wav") == only.file("minus_drums_vocals.wav"));
    let four = with(&|options| options.four_stems = true);
    assert_eq!(four.report.files.len(), 5);
}

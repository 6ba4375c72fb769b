//! Models that are made of other models.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use vocalizer_model::audio::Frame;
use vocalizer_model::weights::{Cache, Mean, Recipe, RecipeStep, WeightsError};
use vocalizer_model::{
    Cancel, Complement, Error, Model, Separation, SeparationOptions, SplitOptions, Stage, Stem, split_frames,
};

use super::cancel::{Recorder, split_recorded};
use super::support::{Split, floats, golden, on, peak, split, tiny};
use crate::audio::support::{RATE_HZ, snr_db, song};

const FOUR: &[&str] = &["drums", "bass", "other", "vocals"];

const VOCALS: RecipeStep =
    RecipeStep { models: &["tiny-bs-512"], mean: Mean::Waveform, stems: &["vocals"], overlap: None, gflop_per_s: 3.0 };

const DRUMS_AND_BASS: RecipeStep =
    RecipeStep { models: &["tiny-scnet"], stems: &["drums", "bass"], gflop_per_s: 1.0, ..VOCALS };

/// The form of `best`: vocals by one model, drums and bass by another from what they leave.
const TWO_STEPS: Recipe =
    Recipe { name: "two-steps", summary: "", steps: &[VOCALS, DRUMS_AND_BASS], rest: Some("other") };

/// A cache with tiny models, under their own names and others.
fn cache(models: &[(&str, &str)]) -> (TempDir, Cache) {
    let dir = tempfile::tempdir().expect("a folder");
    let cache = Cache::at(dir.path());
    for (name, of) in models {
        let path = cache.import_path(name).expect("the name of an import");
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::copy(golden(&format!("{of}.safetensors")), path).expect("a copy");
    }
    (dir, cache)
}

fn loaded(recipe: &Recipe) -> Result<Model, Error> {
    let names = ["tiny-4s", "tiny-bs-512", "tiny-scnet"];
    let (_dir, cache) = cache(&names.map(|name| (name, name)));
    Model::from_recipe(recipe, &cache, &on("cpu"))
}

fn two_steps() -> Model {
    loaded(&TWO_STEPS).expect("a model")
}

fn stems_of(model: &Model, frames: &[Frame], options: &SeparationOptions) -> Vec<(Stem, Vec<Frame>)> {
    split_frames(model, frames, RATE_HZ, options, &mut |_| {}, &Cancel::default()).expect("stems")
}

fn stem_of(stems: &[(Stem, Vec<Frame>)], stem: Stem) -> &[Frame] {
    stems.iter().find_map(|(name, frames)| (*name == stem).then_some(frames)).expect("a stem")
}

fn minus(frames: &[Frame], taken: &[&[Frame]]) -> Vec<Frame> {
    let rest =
        |at: usize, channel: usize| taken.iter().fold(frames[at][channel], |left, stem| left - stem[at][channel]);
    (0..frames.len()).map(|at| [rest(at, 0), rest(at, 1)]).collect()
}

fn sum(stems: &[&[Frame]]) -> Vec<Frame> {
    let sum = |at: usize, channel: usize| stems.iter().map(|stem| stem[at][channel]).sum::<f32>();
    (0..stems[0].len()).map(|at| [sum(at, 0), sum(at, 1)]).collect()
}

/// A song with a constant part.
fn biased(frames: usize) -> Vec<Frame> {
    song(frames, RATE_HZ).into_iter().map(|frame| [frame[0] + 0.02, frame[1] - 0.01]).collect()
}

/// The steps of [`TWO_STEPS`] by hand.
fn by_hand(song: &[Frame], options: &SeparationOptions) -> [(Stem, Vec<Frame>); 4] {
    let first = stems_of(&tiny("tiny-bs-512"), song, options);
    let vocals = stem_of(&first, Stem::VOCALS).to_vec();
    let residual = minus(song, &[&vocals]);
    let second = stems_of(&tiny("tiny-scnet"), &residual, options);
    let [drums, bass] = [Stem::DRUMS, Stem::BASS].map(|stem| stem_of(&second, stem).to_vec());
    let other = minus(&residual, &[&drums, &bass]);
    [(Stem::DRUMS, drums), (Stem::BASS, bass), (Stem::OTHER, other), (Stem::VOCALS, vocals)]
}

fn close(expected: &[Frame], actual: &[Frame], what: &str) {
    assert_eq!(expected.len(), actual.len(), "{what}");
    let db = snr_db(expected, actual);
    assert!(db > 110.0, "{what}: {db:.1} dB");
}

#[test]
fn recipe_equals_its_steps_by_hand() {
    let (model, song) = (two_steps(), biased(70_001));
    assert_eq!(model.sources().iter().map(Stem::name).collect::<Vec<_>>(), FOUR);
    let with = |change: &dyn Fn(&mut SeparationOptions)| {
        let mut options = SeparationOptions::default();
        change(&mut options);
        options
    };
    for options in [
        with(&|_| {}),
        with(&|options| (options.shifts, options.seed) = (2, 7)),
        with(&|options| options.overlap = Some(0.1)),
        with(&|options| options.segment_s = Some(0.15)),
    ] {
        let expected = by_hand(&song, &options);
        let mut split_options = floats();
        split_options.separation = options.clone();
        let (in_memory, file) = (stems_of(&model, &song, &options), split(&model, &song, RATE_HZ, &split_options));
        for (stem, expected) in &expected {
            close(expected, stem_of(&in_memory, *stem), &format!("{stem} in memory, {options:?}"));
            close(expected, &file.stem(*stem), &format!("{stem} of a file, {options:?}"));
        }
        let stems: Vec<_> = in_memory.iter().map(|(_, frames)| frames.as_slice()).collect();
        close(&song, &sum(&stems), &format!("the sum, {options:?}"));
    }
}

/// The reference gives every stem the constant part; the rest takes back what is too much.
#[test]
fn stems_add_up_in_every_mode() {
    let (model, song) = (two_steps(), biased(30_000));
    let mut options = SeparationOptions::default();
    options.reference_dc = true;
    let stems = stems_of(&model, &song, &options);
    close(&song, &sum(&stems.iter().map(|(_, frames)| frames.as_slice()).collect::<Vec<_>>()), "the sum");
}

/// The models whose operations are in the profile.
fn models_that_ran(split: &Split) -> Vec<&str> {
    let operations = &split.report.profile.as_ref().expect("a profile").operations;
    let mut models: Vec<_> = operations.iter().filter_map(|one| Some(one.layer.split_once(": ")?.0)).collect();
    models.sort_unstable();
    models.dedup();
    models
}

#[test]
fn steps_that_no_stem_needs_do_not_run() {
    let (model, song) = (two_steps(), song(40_000, RATE_HZ));
    let whole = split(&model, &song, RATE_HZ, &floats());
    let with = |change: &dyn Fn(&mut SplitOptions)| {
        let mut options = floats();
        options.profile = true;
        change(&mut options);
        split(&model, &song, RATE_HZ, &options)
    };
    let both = ["tiny-bs-512", "tiny-scnet"];

    let vocals = with(&|options| options.stems = vec![Stem::VOCALS]);
    assert_eq!(models_that_ran(&vocals), both[..1]);
    close(&whole.stem(Stem::VOCALS), &vocals.all(), "vocals");
    for stem in [Stem::DRUMS, Stem::OTHER] {
        let one = with(&|options| options.stems = vec![stem]);
        assert_eq!(models_that_ran(&one), both, "{stem}");
        close(&whole.stem(stem), &one.all(), stem.name());
    }
    // The stems add up to the song, so both ways to make the complement need the vocals only.
    for complement in [Complement::Add, Complement::Minus] {
        let pair = with(&|options| options.two_stems = Some((Stem::VOCALS, complement)));
        assert_eq!(models_that_ran(&pair), both[..1]);
        close(&minus(&song, &[&pair.stem(Stem::VOCALS)]), &pair.file("no_vocals.wav"), "no_vocals");
    }
    let minus_drums = with(&|options| options.mix_minus = vec![Stem::DRUMS]);
    assert_eq!(models_that_ran(&minus_drums), both);
    close(&minus(&song, &[&whole.stem(Stem::DRUMS)]), &minus_drums.file("minus_drums.wav"), "minus_drums");
    let four = with(&|options| options.four_stems = true);
    close(&whole.all(), &four.all(), "four stems");
}

#[test]
fn recipe_is_loaded_for_the_stems_that_are_needed() {
    let song = song(40_000, RATE_HZ);
    let whole = split(&two_steps(), &song, RATE_HZ, &floats());
    // The second model is not even in the cache.
    let (_one_dir, one) = cache(&[("tiny-bs-512", "tiny-bs-512")]);
    let load = |stems: &[Stem]| Model::from_recipe(&TWO_STEPS, &one, &on("cpu").with_stems(stems));
    let model = load(&[Stem::VOCALS]).expect("a model");
    assert_eq!(model.sources(), [Stem::VOCALS]);
    close(&whole.stem(Stem::VOCALS), &split(&model, &song, RATE_HZ, &floats()).all(), "vocals");
    for stem in [Stem::DRUMS, Stem::OTHER] {
        let error = load(&[stem]).err().expect("an error").to_string();
        assert!(error.contains("tiny-scnet"), "{error}");
    }
    let error = load(&["kick".parse().expect("a stem")]).err().expect("an error").to_string();
    assert_eq!(error, "this model has no stem 'kick'; it has drums, bass, other, vocals");

    let (_dir, both) = cache(&[("tiny-bs-512", "tiny-bs-512"), ("tiny-scnet", "tiny-scnet")]);
    for stem in [Stem::DRUMS, Stem::OTHER] {
        let model = Model::from_recipe(&TWO_STEPS, &both, &on("cpu").with_stems(&[stem])).expect("a model");
        assert_eq!(model.sources(), [stem]);
        close(&whole.stem(stem), &split(&model, &song, RATE_HZ, &floats()).all(), stem.name());
    }
}

#[test]
fn missing_stem_is_an_error_that_lists_the_stems() {
    let model = two_steps();
    let mut options = floats();
    options.stems = vec!["kick".parse().expect("a stem")];
    let error =
        vocalizer_model::split_file(&model, &golden("mix.flac"), Path::new("unused"), &options).expect_err("an error");
    assert_eq!(error.to_string(), "this model has no stem 'kick'; it has drums, bass, other, vocals");
}

#[test]
fn clipping_and_parts_work_as_for_any_model() {
    let model = two_steps();
    let loud: Vec<_> = song(50_000, RATE_HZ).into_iter().map(|frame| frame.map(|x| x * 3.0)).collect();
    let exact = split(&model, &loud, RATE_HZ, &floats());
    let split_loud = split(&model, &loud, RATE_HZ, &SplitOptions::default());
    let expected = 1.0 / (1.01 * peak(&exact.all()));
    assert!((split_loud.report.gain - expected).abs() < 1e-4, "{} instead of {expected}", split_loud.report.gain);

    let mut part = floats();
    (part.start_s, part.end_s) = (Some(0.25), Some(1.0));
    let cut = &loud[11_025..44_100];
    let part = split(&model, &loud, RATE_HZ, &part);
    close(&split(&model, cut, RATE_HZ, &floats()).all(), &part.all(), "a part");
}

#[test]
fn songs_of_any_length_keep_it() {
    let model = two_steps();
    for frames in [0, 1, 441, 30_000] {
        for song in [vec![[0.0; 2]; frames], song(frames, RATE_HZ)] {
            for (stem, frames_of_stem) in stems_of(&model, &song, &SeparationOptions::default()) {
                assert_eq!(frames_of_stem.len(), frames, "{stem}");
                assert!(frames_of_stem.iter().flatten().all(|x| x.is_finite()), "{stem} of {frames} frames");
            }
        }
    }
}

/// Splits two seconds with a recipe of two steps.
fn split_in_steps(recorder: Recorder) -> (Recorder, Result<(), Error>, Vec<PathBuf>) {
    split_recorded(&two_steps(), 2, recorder)
}

#[test]
fn progress_counts_steps_by_their_cost() {
    let (recorder, done, _) = split_in_steps(Recorder::default());
    done.expect("a split song");
    let Recorder { progress, .. } = recorder;
    assert!(progress.iter().all(|(_, total)| *total == 2.0));
    assert!(progress.is_sorted_by(|a, b| a.0 <= b.0), "{progress:?}");
    assert_eq!((progress.first(), progress.last()), (Some(&(0.0, 2.0)), Some(&(2.0, 2.0))));
    // The first step costs 3 of 4.
    assert!(progress.contains(&(1.5, 2.0)), "{progress:?}");
    let first_step = progress.iter().filter(|(done, _)| *done <= 1.5).count();
    assert!(first_step > 4 && progress.len() - first_step > 4, "{progress:?}");
}

#[test]
fn cancelled_recipe_leaves_nothing() {
    let stops = [
        Recorder { stop_in: Some(Stage::Separating), ..Recorder::default() },
        Recorder { stop_at_s: Some(0.5), ..Recorder::default() },
        Recorder { stop_at_s: Some(1.6), ..Recorder::default() },
        Recorder { stop_in: Some(Stage::Writing), ..Recorder::default() },
    ];
    for recorder in stops {
        let (recorder, done, left) = split_in_steps(recorder);
        assert!(matches!(done, Err(Error::Cancelled)), "{done:?}");
        assert_eq!(left.len(), 1, "files besides the song are left: {left:?}");
        assert!(recorder.progress.last().is_none_or(|(done, _)| *done <= 2.0));
    }
}

#[test]
fn recipe_of_one_model_is_that_model_with_its_own_overlap() {
    let step = RecipeStep { models: &["tiny-4s"], stems: &["bass", "vocals"], overlap: Some(0.1), ..VOCALS };
    let steps: &'static [RecipeStep] = Box::leak(Box::new([step]));
    let model = loaded(&Recipe { name: "little-overlap", steps, rest: None, ..TWO_STEPS }).expect("a model");
    let (plain, song) = (tiny("tiny-4s"), song(100_000, RATE_HZ));
    for asked in [None, Some(0.5)] {
        let mut options = SeparationOptions::default();
        options.overlap = asked;
        let of_recipe = stems_of(&model, &song, &options);
        assert_eq!(of_recipe.iter().map(|(stem, _)| *stem).collect::<Vec<_>>(), [Stem::BASS, Stem::VOCALS]);
        let statistics = vocalizer_model::SongStatistics::new(song.len() as u64, 0.0, 0.3);
        assert!(Separation::new(&model, &[Stem::BASS], statistics, &options).is_ok());
        options.overlap = asked.or(Some(0.1));
        let expected = stems_of(&plain, &song, &options);
        for (stem, frames) in of_recipe {
            assert!(frames == stem_of(&expected, stem), "{stem} with overlap {asked:?}");
        }
    }
}

#[test]
fn recipe_of_several_models_cannot_be_streamed() {
    let model = two_steps();
    let statistics = vocalizer_model::SongStatistics::new(1_000, 0.0, 0.3);
    let refused = Separation::new(&model, model.sources(), statistics, &SeparationOptions::default()).err();
    assert!(matches!(&refused, Some(Error::Options(why)) if why.contains("cannot be streamed")), "{refused:?}");
}

#[test]
fn stem_is_the_mean_of_several_models() {
    let song = song(60_000, RATE_HZ);
    let mean = |models: &'static [&'static str], mean: Mean| {
        let step = RecipeStep { models, mean, ..VOCALS };
        let steps: &'static [RecipeStep] = Box::leak(Box::new([step]));
        let (_dir, cache) = cache(&[("tiny-4s", "tiny-4s"), ("tiny-bs-512", "tiny-bs-512"), ("tiny-copy", "tiny-4s")]);
        let recipe = Recipe { name: "mean", steps, rest: Some("instrumental"), ..TWO_STEPS };
        let model = Model::from_recipe(&recipe, &cache, &on("cpu")).expect("a model");
        assert_eq!(model.sources(), [Stem::VOCALS, Stem::INSTRUMENTAL]);
        let stems = stems_of(&model, &song, &SeparationOptions::default());
        close(&song, &sum(&[stem_of(&stems, Stem::VOCALS), stem_of(&stems, Stem::INSTRUMENTAL)]), "the sum");
        stem_of(&stems, Stem::VOCALS).to_vec()
    };
    let alone =
        |name: &str| stem_of(&stems_of(&tiny(name), &song, &SeparationOptions::default()), Stem::VOCALS).to_vec();
    let (one, other) = (alone("tiny-4s"), alone("tiny-bs-512"));
    let halves = |frames: &[Frame]| frames.iter().map(|frame| frame.map(|x| x / 2.0)).collect::<Vec<_>>();
    let by_hand = sum(&[&halves(&one), &halves(&other)]);
    let waveforms = mean(&["tiny-4s", "tiny-bs-512"], Mean::Waveform);
    close(&by_hand, &waveforms, "the mean of waveforms");
    let spectra = mean(&["tiny-4s", "tiny-bs-512"], Mean::Spectrum);
    let db = snr_db(&waveforms, &spectra);
    assert!(spectra.len() == song.len() && db < 90.0, "magnitudes are not waveforms: {db:.1} dB");
    let equal = mean(&["tiny-4s", "tiny-copy"], Mean::Spectrum);
    let db = snr_db(&one, &equal);
    assert!(db > 100.0, "the mean of equal spectra: {db:.1} dB");
}

#[test]
fn unusable_recipes_are_errors_that_say_why() {
    let refused = |steps: &'static [RecipeStep], rest: Option<&'static str>| match loaded(&Recipe {
        name: "wrong",
        steps,
        rest,
        ..TWO_STEPS
    })
    .err()
    {
        Some(Error::Weights(WeightsError::Recipe { name, why })) => {
            assert_eq!(name, "wrong");
            why
        }
        other => panic!("{other:?}"),
    };
    const UNKNOWN: &[RecipeStep] = &[RecipeStep { models: &["tiny-4s", "tiny-9s"], ..VOCALS }];
    assert!(refused(UNKNOWN, None).contains("needs the model tiny-9s, which is neither published nor imported"));
    const TWICE: &[RecipeStep] = &[VOCALS, RecipeStep { stems: &["bass", "vocals"], ..DRUMS_AND_BASS }];
    assert!(refused(TWICE, None).contains("the stem 'vocals' twice"));
    assert!(refused(&[VOCALS, DRUMS_AND_BASS], Some("bass")).contains("the stem 'bass' twice"));
    const LACKS: &[RecipeStep] = &[RecipeStep { stems: &["kick"], ..DRUMS_AND_BASS }];
    let why = refused(LACKS, None);
    assert_eq!(why, "the model tiny-scnet has no stem 'kick'; it has drums, bass, other, vocals");
    const UNNAMED: &[RecipeStep] = &[RecipeStep { stems: &["Kick drum"], ..DRUMS_AND_BASS }];
    assert!(refused(UNNAMED, None).contains("invalid stem name"));
    assert!(refused(&[], None).contains("no steps"));
    const FREE: &[RecipeStep] = &[RecipeStep { gflop_per_s: 0.0, ..VOCALS }];
    assert!(refused(FREE, None).contains("use more than 0"));
}

#[test]
fn missing_weights_are_named() {
    const STEPS: &[RecipeStep] = &[VOCALS, RecipeStep { models: &["htdemucs", "htdemucs_6s"], ..DRUMS_AND_BASS }];
    let error = loaded(&Recipe { name: "partly", steps: STEPS, ..TWO_STEPS }).err().expect("an error").to_string();
    assert!(error.contains("the recipe partly") && error.contains("weights of htdemucs and htdemucs_6s;"), "{error}");
    assert!(error.contains("`vocalizer models fetch htdemucs_6s`") && !error.contains("tiny-bs-512"), "{error}");
}

#[cfg(target_os = "linux")]
mod memory {
    use super::{RATE_HZ, floats, song, two_steps};
    use crate::memory::{peaks_kib, print_peak};
    use vocalizer_model::audio::{AudioFormat, StemWriter};

    /// Seconds to split, set for the child process.
    const SECONDS: &str = "VOCALIZER_TEST_RECIPE_S";

    #[test]
    fn memory_of_a_recipe_is_independent_of_length() {
        let child = "separation::recipes::memory::child_that_prints_its_memory";
        let [short, long] = ["5", "100"].map(|seconds| peaks_kib(child, SECONDS, seconds)[0]);
        println!("{short} KiB for 5 s, {long} KiB for 100 s");
        // What waits for the second step is 67 MiB.
        assert!(long < short + 16 * 1_024, "{short} KiB for 5 s, {long} KiB for 100 s");
    }

    #[test]
    fn child_that_prints_its_memory() {
        let Some(seconds) = std::env::var(SECONDS).ok().and_then(|text| text.parse::<usize>().ok()) else { return };
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("song.wav");
        let second = song(RATE_HZ as usize, RATE_HZ);
        let mut writer = StemWriter::create(&path, AudioFormat::Wav16, RATE_HZ).expect("a writer");
        (0..seconds).for_each(|_| writer.write(&second).expect("a written second"));
        writer.finish().expect("a finished file");
        let mut options = floats();
        options.separation.overlap = Some(0.0);
        vocalizer_model::split_file(&two_steps(), &path, &dir.path().join("stems"), &options).expect("stems");
        print_peak();
    }
}

//! The separator port: a song in, four stems out.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tempfile::TempDir;
use vocalizer_core::api::Provenance;
use vocalizer_core::part::{Format, Stem, StemFormats};
use vocalizer_core::ports::{AudioError, Blob, Progress, Separator as _, StemSet};
use vocalizer_model::audio::{AudioFormat, AudioLimits, Bitrate, Frame};
use vocalizer_model::ports::ModelSeparator;
use vocalizer_model::{Clip, Complement, Error, Model, SplitOptions};

use super::support::{blob, bytes_of, decode, entries, file, stuck, wait_until};
use crate::audio::support::{RATE_HZ, dir, resample, snr_db, song};
use crate::separation::support::{floats, golden, on, peak, split, tiny};
use crate::weights::support::Parts;

/// A separator and its temporary folder.
fn separator(model: &str) -> (Arc<ModelSeparator>, TempDir) {
    let mut options = SplitOptions::default();
    // The separator ignores these options: whole songs, and stems that keep their levels against each other.
    options.clip = Some(Clip::Each);
    (options.mono, options.start_s, options.mix_minus) = (true, Some(0.1), vec![Stem::BASS]);
    with(model, options)
}

/// Applies the gain that the separator gives to all stems if one of them would clip.
fn with_common_gain<const N: usize>(mut stems: [Vec<Frame>; N]) -> [Vec<Frame>; N] {
    let gain = 1.0 / (1.01 * stems.iter().map(|stem| peak(stem)).fold(0.0, f32::max)).max(1.0);
    stems.iter_mut().flatten().for_each(|frame| *frame = frame.map(|x| x * gain));
    stems
}

fn with(model: &str, options: SplitOptions) -> (Arc<ModelSeparator>, TempDir) {
    let dir = dir();
    let separator = ModelSeparator::new(Arc::new(tiny(model)), options, work(&dir)).expect("a separator");
    (Arc::new(separator), dir)
}

fn work(dir: &TempDir) -> PathBuf {
    dir.path().join("work")
}

/// Records progress, and panics at a percentage.
#[derive(Default)]
struct Recorder {
    percents: Mutex<Vec<u8>>,
    panics_at: Option<u8>,
}

impl Recorder {
    fn percents(&self) -> Vec<u8> {
        self.percents.lock().expect("a lock").clone()
    }
}

impl Progress for Recorder {
    fn report(&self, percent: u8) {
        assert!(self.panics_at.is_none_or(|at| percent < at), "intended panic");
        self.percents.lock().expect("a lock").push(percent);
    }
}

const MP3: AudioFormat = AudioFormat::Mp3(Bitrate::Cbr(320));

/// Similarity in dB to what MP3 makes of these frames. The models are random and their stems noise-like, which MP3
/// encodes poorly.
async fn mp3_db(expected: &[Frame], actual: &[Frame]) -> f64 {
    snr_db(&decode(blob(MP3, RATE_HZ, expected)).await.1, actual)
}

async fn stem(stems: &dyn StemSet, stem: Stem) -> (u32, Vec<Frame>) {
    decode(stems.open(stem).await.expect("a stem")).await
}

#[tokio::test]
async fn song_is_split_into_four_mp3s_of_same_length() {
    let (separator, dir) = separator("tiny-4s");
    let frames = 100_003;
    let song = song(frames, RATE_HZ);
    let exact = split(&tiny("tiny-4s"), &song, RATE_HZ, &floats());
    let exact = with_common_gain(Stem::FOUR.map(|name| exact.stem(name)));
    let recorder = Arc::new(Recorder::default());
    let stems = separator.separate(blob(AudioFormat::WavF32, RATE_HZ, &song), Arc::clone(&recorder) as _).await;
    let stems = stems.expect("a split song");
    for (name, exact) in Stem::FOUR.into_iter().zip(&exact) {
        let mut file = stems.open(name).await.expect("a stem");
        let bytes = bytes_of(&mut file).await;
        // The second frame, after the one with LAME's tag: layer III, no checksum, 320 kbit/s at 44,100 Hz.
        assert_eq!((&bytes[1_044..1_046], bytes[1_046] & 0xfc), (&[0xff, 0xfb][..], 0xe0), "{name}");
        let (rate_hz, actual) = stem(&*stems, name).await;
        assert_eq!((rate_hz, actual.len()), (RATE_HZ, frames), "{name}");
        let db = mp3_db(exact, &actual).await;
        assert!(db > 60.0, "{name}: {db} dB");
    }
    for name in [Stem::GUITAR, Stem::PIANO] {
        assert!(stems.open(name).await.is_err(), "{name}");
    }

    let percents = recorder.percents();
    assert_eq!((percents.first(), percents.last()), (Some(&0), Some(&100)), "{percents:?}");
    assert!(percents.is_sorted_by(|a, b| a < b) && percents.len() > 2, "{percents:?}");

    // A folder, its lock, a folder of stems and four stems; the song is deleted.
    assert_eq!(entries(&work(&dir)), 7);
    let reader = stems.open(Stem::BASS).await.expect("a stem");
    drop(stems);
    assert_eq!(decode(reader).await.1.len(), frames);
    assert_eq!(entries(&work(&dir)), 0, "the stems are not deleted");
}

#[tokio::test]
async fn flac_stems_have_the_samples_of_wav_files() {
    let song = song(100_003, RATE_HZ);
    let mut wav = SplitOptions::default();
    (wav.tags, wav.format) = (false, AudioFormat::Wav16);
    let wav = split(&tiny("tiny-4s"), &song, RATE_HZ, &wav);
    for (formats, has_24_bits) in
        [(StemFormats::Flac, false), (StemFormats::Both, false), (StemFormats::Flac, true), (StemFormats::Both, true)]
    {
        let dir = dir();
        let separator = ModelSeparator::new(Arc::new(tiny("tiny-4s")), SplitOptions::default(), work(&dir));
        let separator = separator.expect("a separator").with_formats(formats, has_24_bits);
        let separator = separator.with_provenance(Provenance::new("tiny-4s"));
        let stems = separator.separate(blob(AudioFormat::WavF32, RATE_HZ, &song), Arc::new(())).await;
        let stems = stems.expect("a split song");
        assert_eq!(stems.formats(), formats);
        // A folder, its lock, a folder of stems and the files.
        assert_eq!(entries(&work(&dir)), 3 + 4 * formats.formats().len());
        let provenance = stems.provenance().expect("a provenance");
        assert!(provenance.check().is_ok() && provenance.took_ms.is_some() && provenance.speed.is_some());
        for name in Stem::FOUR {
            let (rate_hz, flac) = decode(stems.open_as(name, Format::Flac).await.expect("FLAC")).await;
            assert_eq!((rate_hz, flac.len()), (RATE_HZ, song.len()));
            let lsb = 1.0 / 32_768.0;
            let exact = wav.stem(name);
            let differences = flac.as_flattened().iter().zip(exact.as_flattened()).map(|(a, b)| (a - b).abs());
            let largest = differences.fold(0.0, f32::max);
            assert!(largest <= if has_24_bits { lsb } else { 0.0 }, "{name}: {} LSB", largest / lsb);
            // Made on request if it is not to be delivered, as for an original backend.
            let (_, mp3) = stem(&*stems, name).await;
            assert_eq!(mp3.len(), song.len());
            assert!(mp3_db(&flac, &mp3).await > 60.0);
        }
    }
}

#[tokio::test]
async fn loud_song_has_one_gain_for_all_stems() {
    let (separator, _dir) = separator("tiny-4s");
    let song: Vec<_> = song(60_000, RATE_HZ).into_iter().map(|f| f.map(|x| x * 400.0)).collect();
    let exact = split(&tiny("tiny-4s"), &song, RATE_HZ, &floats());
    let stems = separator.separate(blob(AudioFormat::WavF32, RATE_HZ, &song), Arc::new(())).await;
    let stems = stems.expect("a split song");
    let exact = Stem::FOUR.map(|name| exact.stem(name));
    assert!(exact.iter().all(|stem| peak(stem) > 2.0), "the song is not loud enough for this test");
    for (name, exact) in Stem::FOUR.into_iter().zip(with_common_gain(exact)) {
        let actual = stem(&*stems, name).await.1;
        let db = mp3_db(&exact, &actual).await;
        assert!(db > 60.0, "{name}: {db} dB");
    }
}

#[tokio::test]
async fn six_stems_are_merged_into_four() {
    merges(tiny("tiny-6s"), [Stem::OTHER, Stem::GUITAR, Stem::PIANO]).await;
}

/// Models have stems of any name, and some have no `other`.
#[tokio::test]
async fn stems_of_other_names_are_other() {
    let dir = dir();
    let mut parts = Parts::of(&std::fs::read(golden("tiny-6s.safetensors")).expect("the tiny model"));
    let kwargs = parts.field("__metadata__", "kwargs");
    let renamed =
        kwargs.as_str().expect("text").replace("\"other\"", "\"strings\"").replace("\"piano\"", "\"choir-low\"");
    *kwargs = renamed.into();
    let path = dir.path().join("model.safetensors");
    std::fs::write(&path, parts.bytes()).expect("a written file");
    let model = Model::from_file(&path, &on("cpu")).expect("a model");
    let stem = |name: &str| name.parse::<Stem>().expect("a name");
    merges(model, [stem("strings"), Stem::GUITAR, stem("choir-low")]).await;
}

/// Asserts that the sum of these stems is the stem `other`, and that the model's other stems are as they are.
async fn merges(model: Model, others: [Stem; 3]) {
    let song = song(80_000, RATE_HZ);
    let exact = split(&model, &song, RATE_HZ, &floats());
    let dir = dir();
    let separator = ModelSeparator::new(Arc::new(model), SplitOptions::default(), work(&dir)).expect("a separator");
    let stems = separator.separate(blob(AudioFormat::WavF32, RATE_HZ, &song), Arc::new(())).await;
    let stems = stems.expect("a split song");
    let others = others.map(|stem| exact.stem(stem));
    let sum: Vec<_> = (0..song.len()).map(|n| [0, 1].map(|c| others.iter().map(|s| s[n][c]).sum::<f32>())).collect();
    let [drums, bass, vocals] = [Stem::DRUMS, Stem::BASS, Stem::VOCALS].map(|stem| exact.stem(stem));
    let [sum, drums, bass, vocals] = with_common_gain([sum, drums, bass, vocals]);
    let actual = stem(&*stems, Stem::OTHER).await.1;
    let (db, alone_db) = (mp3_db(&sum, &actual).await, mp3_db(&others[0], &actual).await);
    assert!(db > 60.0 && alone_db < 3.0, "{db} dB; {alone_db} dB without the other two");
    for (name, exact) in [(Stem::DRUMS, drums), (Stem::BASS, bass), (Stem::VOCALS, vocals)] {
        let db = mp3_db(&exact, &stem(&*stems, name).await.1).await;
        assert!(db > 60.0, "{name}: {db} dB");
    }
}

#[test]
fn model_without_the_four_stems_is_rejected() {
    for (name, says) in [
        ("tiny-mel", "this one has no drums, bass, only vocals, other"),
        ("tiny-bs-512", "this one has no drums, bass, only vocals, instrumental"),
    ] {
        let error = ModelSeparator::new(Arc::new(tiny(name)), SplitOptions::default(), "").err().expect("an error");
        assert!(matches!(&error, Error::Options(what) if what.contains(says)), "{name}: {error}");
        // Known before the model is loaded.
        let stems = Model::stems_of_file(&golden(&format!("{name}.safetensors"))).expect("stems");
        let known = ModelSeparator::check_stems(&stems).expect_err("an error");
        assert_eq!(known.to_string(), error.to_string());
    }
    for name in ["tiny-4s", "tiny-6s", "tiny-scnet"] {
        let stems = Model::stems_of_file(&golden(&format!("{name}.safetensors"))).expect("stems");
        assert_eq!(stems, tiny(name).sources());
        assert!(ModelSeparator::check_stems(&stems).is_ok(), "{name}");
    }
}

#[test]
fn four_stems_match_sum_of_six() {
    let model = tiny("tiny-6s");
    let song = song(50_000, RATE_HZ);
    let mut options = floats();
    options.four_stems = true;
    let (all, four) = (split(&model, &song, RATE_HZ, &floats()), split(&model, &song, RATE_HZ, &options));
    let names: Vec<_> = four.report.files.iter().filter_map(|f| f.file_name()?.to_str()).collect();
    assert_eq!(names, ["drums.wav", "bass.wav", "other.wav", "vocals.wav"]);
    let others = [Stem::OTHER, Stem::GUITAR, Stem::PIANO].map(|stem| all.stem(stem));
    let sum: Vec<_> = (0..song.len()).map(|n| [0, 1].map(|c| others.iter().map(|s| s[n][c]).sum::<f32>())).collect();
    assert!(snr_db(&sum, &four.stem(Stem::OTHER)) > 120.0);
    assert!(four.stem(Stem::VOCALS) == all.stem(Stem::VOCALS));
}

#[tokio::test]
async fn unsupported_mp3_rate_falls_back_to_model_rate() {
    let (separator, _dir) = separator("tiny-4s");
    for rate_hz in [8_000, 22_050, 96_000] {
        let song = song(40_000, rate_hz);
        let stems = separator.separate(blob(AudioFormat::Wav16, rate_hz, &song), Arc::new(())).await;
        let stems = stems.unwrap_or_else(|e| panic!("{rate_hz} Hz: {e}"));
        let (found_hz, actual) = stem(&*stems, Stem::VOCALS).await;
        assert_eq!((found_hz, actual.len()), (RATE_HZ, resample(&song, rate_hz, RATE_HZ).len()), "{rate_hz} Hz");
    }
}

#[tokio::test]
async fn silence_can_be_split() {
    let (separator, _dir) = separator("tiny-4s");
    let recorder = Arc::new(Recorder::default());
    let song = blob(AudioFormat::Flac, RATE_HZ, &[[0.0; 2]; 30_000]);
    let stems = separator.separate(song, Arc::clone(&recorder) as _).await.expect("a split song");
    assert_eq!(stem(&*stems, Stem::DRUMS).await.1.len(), 30_000);
    assert_eq!(recorder.percents(), [0, 100]);
}

#[tokio::test]
async fn invalid_song_differs_from_machine_failure() {
    let (separator, dir) = with("tiny-4s", {
        let mut options = SplitOptions::default();
        options.limits = AudioLimits { max_duration_s: 5, ..AudioLimits::default() };
        options
    });
    let separate_error = async |song: Blob| {
        let error = separator.separate(song, Arc::new(())).await.err().expect("an error");
        assert_eq!(entries(&work(&dir)), 0, "files are left in the work folder");
        assert!(!error.to_string().contains(&*dir.path().to_string_lossy()), "the message contains a path: {error}");
        error
    };
    let bytes = |bytes: &[u8]| Blob::from(Bytes::copy_from_slice(bytes));
    assert!(matches!(separate_error(bytes(b"<!doctype html>")).await, AudioError::Malformed { .. }));
    let whole = file(AudioFormat::Flac, RATE_HZ, &song(50_000, RATE_HZ));
    let damaged = separate_error(bytes(&whole[..60])).await;
    assert!(matches!(damaged, AudioError::Malformed { .. }) && damaged.is_permanent(), "{damaged:?}");
    assert!(matches!(separate_error(bytes(b"MThd\0\0\0\x06\0\x01\0\x01")).await, AudioError::Unsupported { .. }));
    let long = separate_error(blob(AudioFormat::Flac, RATE_HZ, &song(5 * 44_100 + 1, RATE_HZ))).await;
    assert!(matches!(long, AudioError::Limit { .. }), "{long:?}");
    let unavailable = separate_error(stuck("fLaC", false)).await;
    assert!(matches!(unavailable, AudioError::Failed(_)) && !unavailable.is_permanent(), "{unavailable:?}");
}

#[tokio::test]
async fn cut_song_is_split_as_far_as_it_goes() {
    let (separator, _dir) = separator("tiny-4s");
    let whole = file(AudioFormat::Wav16, RATE_HZ, &song(50_000, RATE_HZ));
    let cut = Blob::from(whole.slice(..44 + 4 * 20_000));
    let stems = separator.separate(cut, Arc::new(())).await.expect("what is there");
    assert_eq!(stem(&*stems, Stem::VOCALS).await.1.len(), 20_000);
}

#[tokio::test]
async fn panic_fails_one_song_and_separator_continues() {
    let (separator, dir) = separator("tiny-4s");
    let song = || blob(AudioFormat::Flac, RATE_HZ, &song(100_000, RATE_HZ));
    let recorder = Recorder { panics_at: Some(50), ..Recorder::default() };
    let error = separator.separate(song(), Arc::new(recorder)).await.err().expect("a failure");
    assert!(matches!(error, AudioError::Failed(_)) && !error.is_permanent(), "{error:?}");
    assert_eq!(entries(&work(&dir)), 0, "files are left in the work folder");
    assert!(separator.separate(song(), Arc::new(())).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_call_stops_work_and_leaves_nothing() {
    let (separator, dir) = separator("tiny-4s");
    // Many one-second segments, which take far longer than the two that may still finish.
    let long = file(AudioFormat::Wav16, RATE_HZ, &song(120 * RATE_HZ as usize, RATE_HZ));
    for hangs in [false, true] {
        let song = if hangs { stuck("RIFF", true) } else { Blob::from(long.clone()) };
        let recorder = Arc::new(Recorder::default());
        let separating = tokio::spawn({
            let (separator, recorder) = (Arc::clone(&separator), Arc::clone(&recorder));
            async move { separator.separate(song, recorder).await.map(drop) }
        });
        wait_until(
            "the work to start",
            || if hangs { entries(&work(&dir)) == 3 } else { recorder.percents().len() > 1 },
        )
        .await;
        separating.abort();
        assert!(separating.await.expect_err("aborted").is_cancelled());
        wait_until("the work folder to be empty", || entries(&work(&dir)) == 0).await;
        assert!(recorder.percents().last().is_none_or(|percent| *percent < 50), "{:?}", recorder.percents());
        // The thread has ended and released its references.
        assert_eq!(Arc::strong_count(&recorder), 1);
    }
}

#[test]
fn invalid_options_are_rejected_at_construction() {
    let refused = |change: &dyn Fn(&mut SplitOptions)| {
        let mut options = SplitOptions::default();
        change(&mut options);
        ModelSeparator::new(Arc::new(tiny("tiny-4s")), options, "").err()
    };
    assert!(matches!(refused(&|o| o.separation.overlap = Some(2.0)), Some(Error::Options(_))));
    // Stems and format are fixed by the port, so these options are ignored.
    assert!(refused(&|o| o.stems = vec![Stem::VOCALS]).is_none());
    assert!(refused(&|o| o.two_stems = Some((Stem::VOCALS, Complement::Add))).is_none());
    assert!(refused(&|o| o.mix_minus = Stem::FOUR.to_vec()).is_none());
    assert!(refused(&|o| o.start_s = Some(-1.0)).is_none());

    let split = |change: &dyn Fn(&mut SplitOptions)| {
        let mut options = floats();
        options.four_stems = true;
        change(&mut options);
        options.check()
    };
    assert!(matches!(split(&|o| o.stems = vec![Stem::BASS]), Err(Error::Options(_))));
    assert!(matches!(split(&|o| o.two_stems = Some((Stem::BASS, Complement::Add))), Err(Error::Options(_))));
}

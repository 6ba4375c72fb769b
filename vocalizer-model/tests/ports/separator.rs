//! Songs in, four stems out, as a worker asks for them.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tempfile::TempDir;
use vocalizer_core::part::Stem;
use vocalizer_core::ports::{AudioError, Blob, Progress, Separator as _, StemSet};
use vocalizer_model::audio::{AudioFormat, AudioLimits, Bitrate, Frame};
use vocalizer_model::ports::ModelSeparator;
use vocalizer_model::{Clip, Complement, Error, SplitOptions};

use super::support::{blob, bytes_of, entries, file, heard, soon, stuck};
use crate::audio::support::{RATE_HZ, dir, resample, snr_db, song};
use crate::separation::support::{floats, split, tiny};

/// A separator, and the folder it works in.
fn separator(model: &str) -> (Arc<ModelSeparator>, TempDir) {
    let mut options = SplitOptions::default();
    // Not asked: stems keep their levels, so that they add up.
    options.clip = Some(Clip::Rescale);
    with(model, options)
}

fn with(model: &str, options: SplitOptions) -> (Arc<ModelSeparator>, TempDir) {
    let dir = dir();
    let separator = ModelSeparator::new(Arc::new(tiny(model)), options, work(&dir)).expect("a separator");
    (Arc::new(separator), dir)
}

fn work(dir: &TempDir) -> PathBuf {
    dir.path().join("work")
}

/// Keeps what it is told, and panics at a percentage.
#[derive(Default)]
struct Ear {
    told: Mutex<Vec<u8>>,
    panics_at: Option<u8>,
}

impl Ear {
    fn told(&self) -> Vec<u8> {
        self.told.lock().expect("a lock").clone()
    }
}

impl Progress for Ear {
    fn report(&self, percent: u8) {
        assert!(self.panics_at.is_none_or(|at| percent < at), "a panic of the test");
        self.told.lock().expect("a lock").push(percent);
    }
}

const MP3: AudioFormat = AudioFormat::Mp3(Bitrate::Cbr(320));

/// How near what is heard comes to what MP3 makes of these frames. The networks are random, and their stems much like
/// noise, of which MP3 keeps little.
async fn mp3_db(expected: &[Frame], actual: &[Frame]) -> f64 {
    snr_db(&heard(blob(MP3, RATE_HZ, expected)).await.1, actual)
}

async fn stem(stems: &dyn StemSet, stem: Stem) -> (u32, Vec<Frame>) {
    heard(stems.open(stem).await.expect("a stem")).await
}

#[tokio::test]
async fn a_song_becomes_four_mp3s_of_its_length() {
    let (separator, dir) = separator("tiny-4s");
    let frames = 100_003;
    let song = song(frames, RATE_HZ);
    let exact = split(&tiny("tiny-4s"), &song, RATE_HZ, &floats());
    let ear = Arc::new(Ear::default());
    let stems = separator.separate(blob(AudioFormat::WavF32, RATE_HZ, &song), Arc::clone(&ear) as _).await;
    let stems = stems.expect("a split song");
    for name in Stem::FOUR {
        let mut file = stems.open(name).await.expect("a stem");
        let bytes = bytes_of(&mut file).await;
        // The second frame, after the one with LAME's tag: layer III, no checksum, 320 kbit/s at 44,100 Hz.
        assert_eq!((&bytes[1_044..1_046], bytes[1_046] & 0xfc), (&[0xff, 0xfb][..], 0xe0), "{name}");
        let (rate_hz, heard) = stem(&*stems, name).await;
        assert_eq!((rate_hz, heard.len()), (RATE_HZ, frames), "{name}");
        let db = mp3_db(&exact.stem(name), &heard).await;
        assert!(db > 60.0, "{name}: {db} dB");
    }
    for name in [Stem::Guitar, Stem::Piano] {
        assert!(stems.open(name).await.is_err(), "{name}");
    }

    let told = ear.told();
    assert_eq!((told.first(), told.last()), (Some(&0), Some(&100)), "{told:?}");
    assert!(told.is_sorted_by(|a, b| a < b) && told.len() > 2, "{told:?}");

    // A folder, its lock, a folder of stems and four of them: the song has gone.
    assert_eq!(entries(&work(&dir)), 7);
    let reader = stems.open(Stem::Bass).await.expect("a stem");
    drop(stems);
    assert_eq!(heard(reader).await.1.len(), frames);
    assert_eq!(entries(&work(&dir)), 0, "the stems are left");
}

#[tokio::test]
async fn what_six_stems_tell_apart_is_in_the_four() {
    let (separator, _dir) = separator("tiny-6s");
    let song = song(80_000, RATE_HZ);
    let exact = split(&tiny("tiny-6s"), &song, RATE_HZ, &floats());
    let stems = separator.separate(blob(AudioFormat::WavF32, RATE_HZ, &song), Arc::new(())).await;
    let stems = stems.expect("a split song");
    let others = [Stem::Other, Stem::Guitar, Stem::Piano].map(|stem| exact.stem(stem));
    let sum: Vec<_> = (0..song.len()).map(|n| [0, 1].map(|c| others.iter().map(|s| s[n][c]).sum::<f32>())).collect();
    let heard = stem(&*stems, Stem::Other).await.1;
    let (db, alone_db) = (mp3_db(&sum, &heard).await, mp3_db(&others[0], &heard).await);
    assert!(db > 60.0 && alone_db < 3.0, "{db} dB; {alone_db} dB without guitar and piano");
    for name in [Stem::Drums, Stem::Bass, Stem::Vocals] {
        let db = mp3_db(&exact.stem(name), &stem(&*stems, name).await.1).await;
        assert!(db > 60.0, "{name}: {db} dB");
    }
}

#[test]
fn four_stems_are_the_sum_of_all_to_the_last_bit_but_one() {
    let model = tiny("tiny-6s");
    let song = song(50_000, RATE_HZ);
    let mut options = floats();
    options.four_stems = true;
    let (all, four) = (split(&model, &song, RATE_HZ, &floats()), split(&model, &song, RATE_HZ, &options));
    let names: Vec<_> = four.report.files.iter().filter_map(|f| f.file_name()?.to_str()).collect();
    assert_eq!(names, ["drums.wav", "bass.wav", "other.wav", "vocals.wav"]);
    let others = [Stem::Other, Stem::Guitar, Stem::Piano].map(|stem| all.stem(stem));
    let sum: Vec<_> = (0..song.len()).map(|n| [0, 1].map(|c| others.iter().map(|s| s[n][c]).sum::<f32>())).collect();
    assert!(snr_db(&sum, &four.stem(Stem::Other)) > 120.0);
    assert!(four.stem(Stem::Vocals) == all.stem(Stem::Vocals));
}

#[tokio::test]
async fn a_song_at_a_rate_that_mp3_has_not_gets_stems_at_the_models() {
    let (separator, _dir) = separator("tiny-4s");
    for rate_hz in [8_000, 22_050, 96_000] {
        let song = song(40_000, rate_hz);
        let stems = separator.separate(blob(AudioFormat::Wav16, rate_hz, &song), Arc::new(())).await;
        let stems = stems.unwrap_or_else(|e| panic!("{rate_hz} Hz: {e}"));
        let (found_hz, heard) = stem(&*stems, Stem::Vocals).await;
        assert_eq!((found_hz, heard.len()), (RATE_HZ, resample(&song, rate_hz, RATE_HZ).len()), "{rate_hz} Hz");
    }
}

#[tokio::test]
async fn silence_is_done_as_well() {
    let (separator, _dir) = separator("tiny-4s");
    let ear = Arc::new(Ear::default());
    let song = blob(AudioFormat::Flac, RATE_HZ, &[[0.0; 2]; 30_000]);
    let stems = separator.separate(song, Arc::clone(&ear) as _).await.expect("a split song");
    assert_eq!(stem(&*stems, Stem::Drums).await.1.len(), 30_000);
    assert_eq!(ear.told(), [0, 100]);
}

#[tokio::test]
async fn a_song_that_cannot_be_split_is_told_from_a_machine_that_fails() {
    let (separator, dir) = with("tiny-4s", {
        let mut options = SplitOptions::default();
        options.limits = AudioLimits { max_duration_s: 5, ..AudioLimits::default() };
        options
    });
    let refusal = async |song: Blob| {
        let error = separator.separate(song, Arc::new(())).await.err().expect("a refusal");
        assert_eq!(entries(&work(&dir)), 0, "something is left");
        assert!(!error.to_string().contains(&*dir.path().to_string_lossy()), "a path in: {error}");
        error
    };
    let bytes = |bytes: &[u8]| Blob::from(Bytes::copy_from_slice(bytes));
    assert!(matches!(refusal(bytes(b"<!doctype html>")).await, AudioError::Malformed { .. }));
    let whole = file(AudioFormat::Flac, RATE_HZ, &song(50_000, RATE_HZ));
    let cut = refusal(bytes(&whole[..whole.len() / 2])).await;
    assert!(matches!(cut, AudioError::Malformed { .. }) && cut.is_permanent(), "{cut:?}");
    assert!(matches!(refusal(bytes(b"MThd\0\0\0\x06\0\x01\0\x01")).await, AudioError::Unsupported { .. }));
    let long = refusal(blob(AudioFormat::Flac, RATE_HZ, &song(5 * 44_100 + 1, RATE_HZ))).await;
    assert!(matches!(long, AudioError::Limit { .. }), "{long:?}");
    let away = refusal(stuck("fLaC", false)).await;
    assert!(matches!(away, AudioError::Failed(_)) && !away.is_permanent(), "{away:?}");
}

#[tokio::test]
async fn a_panic_ends_one_song_and_not_the_separator() {
    let (separator, dir) = separator("tiny-4s");
    let song = || blob(AudioFormat::Flac, RATE_HZ, &song(100_000, RATE_HZ));
    let ear = Ear { panics_at: Some(50), ..Ear::default() };
    let error = separator.separate(song(), Arc::new(ear)).await.err().expect("a failure");
    assert!(matches!(error, AudioError::Failed(_)) && !error.is_permanent(), "{error:?}");
    assert_eq!(entries(&work(&dir)), 0, "something is left");
    assert!(separator.separate(song(), Arc::new(())).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn when_nobody_waits_any_more_the_work_ends_and_nothing_is_left() {
    let (separator, dir) = separator("tiny-4s");
    // Many segments of one second; all of them take longer than the two that may still pass.
    let long = file(AudioFormat::Wav16, RATE_HZ, &song(120 * RATE_HZ as usize, RATE_HZ));
    for hangs in [false, true] {
        let song = if hangs { stuck("RIFF", true) } else { Blob::from(long.clone()) };
        let ear = Arc::new(Ear::default());
        let separating = tokio::spawn({
            let (separator, ear) = (Arc::clone(&separator), Arc::clone(&ear));
            async move { separator.separate(song, ear).await.map(drop) }
        });
        soon("the work begins", || if hangs { entries(&work(&dir)) == 3 } else { ear.told().len() > 1 }).await;
        separating.abort();
        assert!(separating.await.expect_err("aborted").is_cancelled());
        soon("nothing is left", || entries(&work(&dir)) == 0).await;
        assert!(ear.told().last().is_none_or(|percent| *percent < 50), "{:?}", ear.told());
        // The thread has gone, and with it what it held.
        assert_eq!(Arc::strong_count(&ear), 1);
    }
}

#[test]
fn options_that_no_song_could_be_split_with_are_refused_at_once() {
    let refused = |change: &dyn Fn(&mut SplitOptions)| {
        let mut options = SplitOptions::default();
        change(&mut options);
        ModelSeparator::new(Arc::new(tiny("tiny-4s")), options, "").err()
    };
    assert!(matches!(refused(&|o| o.separation.overlap = 2.0), Some(Error::Options(_))));
    // Which stems and which format are the contract's to say.
    assert!(refused(&|o| o.stems = vec![Stem::Vocals]).is_none());
    assert!(refused(&|o| o.two_stems = Some((Stem::Vocals, Complement::Add))).is_none());

    let split = |change: &dyn Fn(&mut SplitOptions)| {
        let mut options = floats();
        options.four_stems = true;
        change(&mut options);
        options.check()
    };
    assert!(matches!(split(&|o| o.stems = vec![Stem::Bass]), Err(Error::Options(_))));
    assert!(matches!(split(&|o| o.two_stems = Some((Stem::Bass, Complement::Add))), Err(Error::Options(_))));
}

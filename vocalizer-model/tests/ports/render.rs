//! Renditions, sums, mixes and peaks.

use bytes::Bytes;
use tempfile::TempDir;
use vocalizer_core::part::Format;
use vocalizer_core::ports::{AudioError, Blob, Renderer as _};
use vocalizer_model::audio::{AudioFormat, AudioLimits, Frame};
use vocalizer_model::ports::AudioRenderer;

use super::support::{blob, bytes_of, decode, entries, file, stuck, wait_until};
use crate::audio::support::{RATE_HZ, dir, resample, snr_db, song};

/// A renderer and its work folder.
fn renderer() -> (AudioRenderer, TempDir) {
    let dir = dir();
    (AudioRenderer::new(dir.path().join("work"), AudioLimits::default()), dir)
}

async fn render_error(mix: Vec<Blob>, format: Format) -> AudioError {
    let (renderer, dir) = renderer();
    let error = renderer.render(mix, format).await.expect_err("an error");
    assert_eq!(entries(&dir.path().join("work")), 0, "files are left in the work folder");
    error
}

#[tokio::test]
async fn wav_and_flac_renditions_are_lossless() {
    let (renderer, _dir) = renderer();
    let song = song(100_003, RATE_HZ);
    for format in [Format::Wav, Format::Flac] {
        for source in [AudioFormat::Flac, AudioFormat::Wav16] {
            let rendition = renderer.render(vec![blob(source, RATE_HZ, &song)], format).await.expect("a rendition");
            let (rate_hz, frames) = decode(rendition).await;
            assert_eq!(rate_hz, RATE_HZ);
            assert!(frames == song, "{source:?} to {format} changed samples");
        }
    }
}

#[cfg(feature = "mp3")]
#[tokio::test]
async fn renditions_of_mp3_keep_length_and_sound() {
    use vocalizer_model::audio::Bitrate;
    let (renderer, _dir) = renderer();
    let song = song(100_003, RATE_HZ);
    let source = file(AudioFormat::Mp3(Bitrate::Cbr(320)), RATE_HZ, &song);
    let (_, decoded) = decode(Blob::from(source.clone())).await;
    for (format, at_least_db) in [(Format::Wav, 80.0), (Format::Flac, 80.0), (Format::Mp3, 30.0)] {
        let rendition = renderer.render(vec![Blob::from(source.clone())], format).await.expect("a rendition");
        let (rate_hz, frames) = decode(rendition).await;
        assert_eq!((rate_hz, frames.len()), (RATE_HZ, song.len()), "{format}");
        let db = snr_db(&decoded, &frames);
        assert!(db > at_least_db, "{format}: {db} dB");
    }
}

#[cfg(feature = "mp3")]
#[tokio::test]
async fn mp3_rendition_has_320_kbit_s_at_any_source_rate() {
    let (renderer, _dir) = renderer();
    for (rate_hz, expected_hz) in
        [(32_000, 32_000), (48_000, 48_000), (22_050, 44_100), (8_000, 44_100), (96_000, 44_100), (44_101, 44_100)]
    {
        let song = song(60_000, rate_hz);
        let rendition = renderer.render(vec![blob(AudioFormat::Wav24, rate_hz, &song)], Format::Mp3).await;
        let mut rendition = rendition.unwrap_or_else(|e| panic!("{rate_hz} Hz: {e}"));
        let bytes = bytes_of(&mut rendition).await;
        let (found_hz, frames) = decode(Blob::from(Bytes::from(bytes.clone()))).await;
        assert_eq!(found_hz, expected_hz, "{rate_hz} Hz");
        let expected = resample(&song, rate_hz, expected_hz);
        assert_eq!(frames.len(), expected.len(), "{rate_hz} Hz");
        let db = snr_db(&expected, &frames);
        assert!(db > 30.0, "{rate_hz} Hz: {db} dB");
        let kbps = bytes.len() as f64 * 8.0 / (frames.len() as f64 / f64::from(found_hz)) / 1_000.0;
        assert!((320.0..350.0).contains(&kbps), "{rate_hz} Hz: {kbps} kbit/s");
    }
}

/// Three voices of different lengths, and their sum, which has the longest length.
fn voices() -> ([Vec<Frame>; 3], Vec<Frame>) {
    let song = song(90_001, RATE_HZ);
    let voice = |frames: usize, gain: f32| -> Vec<Frame> {
        song[..frames].iter().rev().map(|f| f.map(|x| (x * gain * 32_768.0).round() / 32_768.0)).collect()
    };
    let voices = [voice(70_000, 0.5), voice(90_001, 0.25), voice(4_096, -0.125)];
    let at = |voice: &[Frame], n: usize, side: usize| voice.get(n).map_or(0.0, |frame| frame[side]);
    let sum = (0..90_001).map(|n| [0, 1].map(|side| voices.iter().map(|v| at(v, n, side)).sum())).collect();
    (voices, sum)
}

#[tokio::test]
async fn sources_are_summed_to_longest_length() {
    let (renderer, _dir) = renderer();
    let (voices, sum) = voices();
    let mix = voices.iter().map(|voice| blob(AudioFormat::Flac, RATE_HZ, voice)).collect();
    let (_, frames) = decode(renderer.render(mix, Format::Wav).await.expect("a sum")).await;
    assert!(frames == sum, "{} and {} frames, {} dB", frames.len(), sum.len(), snr_db(&sum, &frames));
}

#[tokio::test]
async fn sum_above_full_scale_is_clipped() {
    let (renderer, _dir) = renderer();
    let mix = [[0.75, -0.75], [0.75, -0.5], [f32::MAX, f32::MIN], [f32::MAX, f32::MIN]];
    let mix = mix.iter().map(|frame| blob(AudioFormat::WavF32, RATE_HZ, &[*frame; 5_000])).collect();
    let (_, frames) = decode(renderer.render(mix, Format::Wav).await.expect("a sum")).await;
    // Sources of more than 16 bits give 24.
    assert!(frames == [[8_388_607.0 / 8_388_608.0, -1.0]; 5_000], "{:?}", frames.first());
    #[cfg(feature = "mp3")]
    {
        let mix = vec![blob(AudioFormat::WavF32, RATE_HZ, &[[1e30, -1e30]; 5_000])];
        assert_eq!(decode(renderer.render(mix, Format::Mp3).await.expect("an MP3")).await.1.len(), 5_000);
    }
}

#[tokio::test]
async fn sources_are_resampled_to_first_rate() {
    let (renderer, _dir) = renderer();
    let (low, high) = (song(40_000, 32_000), song(48_000, 48_000));
    let mix = vec![blob(AudioFormat::Wav24, 48_000, &high), blob(AudioFormat::Wav24, 32_000, &low)];
    let (rate_hz, frames) = decode(renderer.render(mix, Format::Flac).await.expect("a sum")).await;
    let low = resample(&low, 32_000, 48_000);
    assert_eq!((rate_hz, frames.len()), (48_000, low.len()));
    let sum = |n: usize, side: usize| (high.get(n).map_or(0.0, |frame| frame[side]) + low[n][side]).clamp(-1.0, 1.0);
    let expected: Vec<_> = (0..low.len()).map(|n| [0, 1].map(|side| sum(n, side))).collect();
    let db = snr_db(&expected, &frames);
    assert!(db > 70.0, "{db} dB");
}

#[tokio::test]
async fn wav_above_4_gib_is_rejected_before_rendering() {
    let mut flac = file(AudioFormat::Flac, 384_000, &song(10_000, RATE_HZ)).to_vec();
    // The number of samples in the header: 2^31, 93 minutes at this rate.
    flac[22..26].copy_from_slice(&[0x80, 0, 0, 0]);
    let error = render_error(vec![Blob::from(Bytes::from(flac))], Format::Wav).await;
    assert!(matches!(&error, AudioError::Limit { what } if what.contains("4 GiB")), "{error:?}");
}

#[tokio::test]
async fn invalid_source_differs_from_unavailable_source() {
    let broken = || Blob::from(Bytes::from_static(b"hello"));
    let whole = || blob(AudioFormat::Flac, RATE_HZ, &song(9_000, RATE_HZ));
    assert!(matches!(render_error(vec![broken()], Format::Wav).await, AudioError::Malformed { .. }));
    assert!(matches!(render_error(vec![whole(), broken()], Format::Flac).await, AudioError::Malformed { .. }));
    assert!(matches!(render_error(vec![whole(), stuck("fLaC", false)], Format::Flac).await, AudioError::Failed(_)));
    assert!(matches!(render_error(vec![], Format::Flac).await, AudioError::Failed(_)));
    #[cfg(not(feature = "mp3"))]
    assert!(matches!(render_error(vec![whole()], Format::Mp3).await, AudioError::Unsupported { .. }));
}

#[tokio::test]
async fn rendition_is_deleted_with_its_reader() {
    let (renderer, dir) = renderer();
    let song = song(200_000, RATE_HZ);
    let source = file(AudioFormat::Wav16, RATE_HZ, &song);
    let mut rendition = renderer.render(vec![Blob::from(source)], Format::Wav).await.expect("a rendition");
    // A folder, its lock and the rendition; the source is deleted.
    assert_eq!(entries(&dir.path().join("work")), 3);
    let whole = bytes_of(&mut rendition).await;
    drop(rendition);
    assert_eq!(entries(&dir.path().join("work")), 0);

    let source = blob(AudioFormat::Wav16, RATE_HZ, &song);
    let mut rendition = renderer.render(vec![source], Format::Wav).await.expect("a rendition");
    let mut bytes = Vec::new();
    while bytes.len() < whole.len() {
        // Dropped calls lose no data.
        tokio::select! {
            biased;
            chunk = rendition.next_chunk() => bytes.extend(chunk.expect("a chunk").expect("more")),
            () = tokio::task::yield_now() => {}
        }
    }
    assert!(bytes == whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_call_stops_work_and_leaves_nothing() {
    let (renderer, dir) = renderer();
    // One slot: the second rendition starts after the first has really ended.
    let renderer = renderer.with_at_once(1);
    let work = dir.path().join("work");
    // Ten minutes, far more than is rendered within the timeout of `wait_until`.
    let long = file(AudioFormat::Flac, RATE_HZ, &vec![[0.25; 2]; 600 * RATE_HZ as usize]);
    for hangs in [false, true] {
        let source = if hangs { stuck("fLaC", true) } else { Blob::from(long.clone()) };
        let (renderer, at_work) = (renderer.clone(), if hangs { 3 } else { 4 });
        let rendering = tokio::spawn(async move { renderer.render(vec![source], Format::Flac).await.map(drop) });
        wait_until("the work to start", || entries(&work) >= at_work).await;
        rendering.abort();
        assert!(rendering.await.expect_err("aborted").is_cancelled());
        wait_until("the work folder to be empty", || entries(&work) == 0).await;
    }
    let short = blob(AudioFormat::Flac, RATE_HZ, &song(5_000, RATE_HZ));
    assert!(renderer.render(vec![short], Format::Flac).await.is_ok());
}

#[tokio::test]
async fn mix_applies_gains() {
    let (renderer, _dir) = renderer();
    let (voices, _) = voices();
    let gains = [0.5, 2.0, 0.0];
    let tracks =
        voices.iter().zip(gains).map(|(voice, gain)| (blob(AudioFormat::Flac, RATE_HZ, voice), gain)).collect();
    let (_, frames) = decode(renderer.mix(tracks, Format::Wav).await.expect("a mix")).await;
    let at = |voice: &[Frame], n: usize, side: usize| voice.get(n).map_or(0.0, |frame| frame[side]);
    for (n, frame) in frames.iter().enumerate() {
        for (side, sample) in frame.iter().enumerate() {
            let expected: f32 = voices.iter().zip(gains).map(|(voice, gain)| gain * at(voice, n, side)).sum();
            assert!((sample - expected.clamp(-1.0, 1.0)).abs() < 1.0 / 32_000.0, "{n}: {sample}, {expected}");
        }
    }
}

#[tokio::test]
async fn peaks_match_the_sum() {
    let (renderer, dir) = renderer();
    let (voices, sum) = voices();
    let files = voices.iter().map(|voice| blob(AudioFormat::Flac, RATE_HZ, voice)).collect();
    let peaks = renderer.peaks(files).await.expect("peaks");
    assert_eq!((peaks.rate_hz(), peaks.frames(), peaks.frames_per_value()), (RATE_HZ, 90_001, 256));
    let loudest = |stretch: &[Frame]| stretch.iter().flatten().fold(0.0_f32, |most, sample| most.max(sample.abs()));
    let expected: Vec<_> = sum.chunks(256).map(|stretch| (loudest(stretch).min(1.0) * 255.0).round()).collect();
    assert_eq!(peaks.values().iter().map(|&value| f32::from(value)).collect::<Vec<_>>(), expected);
    assert_eq!(entries(&dir.path().join("work")), 0, "files are left in the work folder");
    let error = renderer.peaks(vec![Blob::from(Bytes::from_static(b"not a song"))]).await.expect_err("an error");
    assert!(matches!(error, AudioError::Malformed { .. } | AudioError::Unsupported { .. }), "{error}");
}

//! Separation of a stream of frames.

use vocalizer_model::audio::Frame;
use vocalizer_model::{Separation, SeparationOptions, Statistics, Stem};

use super::support::{floats, split, tiny};
use crate::audio::support::{RATE_HZ, snr_db, song};

#[test]
fn streamed_frames_give_the_same_stems_as_a_file() {
    let model = tiny("tiny-4s");
    let song: Vec<_> = song(3 * RATE_HZ as usize, RATE_HZ).into_iter().map(|f| [f[0] + 0.02, f[1]]).collect();
    let expected = split(&model, &song, RATE_HZ, &floats());

    let mut statistics = Statistics::default();
    assert!(statistics.is_silent());
    song.chunks(1_000).for_each(|block| statistics.push(block));
    assert!(!statistics.is_silent());
    let measured = statistics.finish();
    assert_eq!(measured.frames, song.len() as u64);
    let wanted = [Stem::VOCALS, Stem::OTHER];
    let mut separation =
        Separation::new(&model, &wanted, measured, &SeparationOptions::default()).expect("a separation");
    let (mut blocks, mut stems, mut most_ready) = (song.chunks(777), [Vec::<Frame>::new(), Vec::new()], 0);
    loop {
        while separation.wants_frames() && !separation.has_segment() {
            separation.push(blocks.next().expect("a separation wants no more frames than the song has"));
        }
        if !separation.step().expect("a step") {
            break;
        }
        let before = stems[0].len();
        separation.drain(&mut stems);
        most_ready = most_ready.max(stems[0].len() - before);
    }
    assert!(separation.is_done());
    assert!(most_ready <= 3 * model.segment_frames(), "{most_ready} frames at once");
    for (stem, frames) in wanted.iter().zip(&stems) {
        assert_eq!(frames.len(), song.len());
        let db = snr_db(&expected.stem(*stem), frames);
        assert!(db > 110.0, "{stem}: {db:.1} dB");
    }
}

#[test]
fn statistics_do_not_depend_on_blocks() {
    let song = song(10_000, RATE_HZ);
    let measured = |block| {
        let mut statistics = Statistics::default();
        song.chunks(block).for_each(|block| statistics.push(block));
        statistics.finish()
    };
    let whole = measured(song.len());
    assert_eq!(whole, measured(7));
    let mean = |channel: usize| song.iter().map(|f| f64::from(f[channel])).sum::<f64>() / song.len() as f64;
    for channel in [0, 1] {
        assert!((f64::from(whole.channel_means[channel]) - mean(channel)).abs() < 1e-6);
    }
    assert!((f64::from(whole.mean) - (mean(0) + mean(1)) / 2.0).abs() < 1e-6);
}

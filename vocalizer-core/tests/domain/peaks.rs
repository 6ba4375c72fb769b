//! Audio peaks.

use proptest::prelude::*;
use vocalizer_core::ports::Peaks;

/// Computes the peaks of these samples separately for each interval.
fn expected(samples: &[f32], frames_per_value: usize) -> Vec<u8> {
    let peak = |interval: &[f32]| interval.iter().fold(0.0_f32, |most, sample| most.max(sample.abs().min(1.0)));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the value is 0 to 255")]
    let value = |peak: f32| (peak * 255.0).round() as u8;
    samples.chunks(frames_per_value).map(|interval| value(peak(interval))).collect()
}

proptest! {
    #[test]
    fn each_value_is_the_peak_of_its_interval(
        samples in prop::collection::vec(-2.0_f32..2.0, 0..40_000),
        pieces in prop::collection::vec(1_usize..5_000, 1..20),
        repeat in 1_usize..40,
    ) {
        let samples = samples.repeat(repeat);
        let mut peaks = Peaks::new(44_100);
        let mut remaining = &samples[..];
        for piece in pieces.iter().cycle() {
            let (now, after) = remaining.split_at(remaining.len().min(*piece));
            peaks.extend(now.iter().copied());
            remaining = after;
            if remaining.is_empty() {
                break;
            }
        }
        let frames_per_value = usize::try_from(peaks.frames_per_value()).unwrap();
        prop_assert_eq!(peaks.frames(), samples.len() as u64);
        prop_assert_eq!(peaks.values(), expected(&samples, frames_per_value));
        prop_assert!(peaks.values().len() <= Peaks::MOST);
        prop_assert!(frames_per_value == 256 || peaks.values().len() > Peaks::MOST / 2);
        prop_assert_eq!(Peaks::from_bytes(&peaks.to_bytes()), Some(peaks));
    }

    #[test]
    fn arbitrary_bytes_are_rejected_or_round_trip(bytes: Vec<u8>) {
        if let Some(peaks) = Peaks::from_bytes(&bytes) {
            prop_assert_eq!(peaks.to_bytes(), bytes);
        }
    }
}

#[test]
fn nan_is_silence_and_clipping_is_full_scale() {
    let mut peaks = Peaks::new(8_000);
    peaks.extend([f32::NAN, f32::INFINITY].into_iter());
    assert_eq!(peaks.values(), [255]);
    let mut silence = Peaks::new(8_000);
    silence.extend([f32::NAN].into_iter());
    assert_eq!(silence.values(), [0]);
}

#[test]
fn truncated_peaks_are_rejected() {
    let mut peaks = Peaks::new(8_000);
    peaks.extend(std::iter::repeat_n(0.5, 10_000));
    let bytes = peaks.to_bytes();
    for cut in 0..bytes.len() {
        assert_eq!(Peaks::from_bytes(&bytes[..cut]), None, "{cut}");
    }
}

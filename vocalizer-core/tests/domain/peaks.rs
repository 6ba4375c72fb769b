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

proptest! {
    #[test]
    fn section_has_the_peaks_of_its_range(
        samples in prop::collection::vec(-1.0_f32..1.0, 1..60_000),
        from in 0_u64..70_000,
        length in 1_u64..70_000,
        most in 1_usize..300,
    ) {
        let mut peaks = Peaks::new(44_100);
        peaks.extend(samples.iter().copied());
        let section = peaks.section(from..from + length, most);
        let each = usize::try_from(section.frames_per_value).unwrap();
        let first = usize::try_from(section.first_frame).unwrap();
        prop_assert!(section.values.len() <= most && (each / 256).is_power_of_two() && first.is_multiple_of(each));
        prop_assert_eq!(section.values.is_empty(), from >= peaks.frames());
        // The values cover the range, and no interval more than that.
        let past = first + section.values.len() * each;
        let end = usize::try_from(peaks.frames().min(from + length)).unwrap();
        if !section.values.is_empty() {
            prop_assert!(section.first_frame <= from && from < section.first_frame + section.frames_per_value);
            prop_assert!(past >= end && past - each < end);
        }
        prop_assert_eq!(&section.values, &expected(&samples[first.min(samples.len())..past.min(samples.len())], each));
        // A finer section would have too many values.
        let finer = each / 2;
        let start = usize::try_from(from).unwrap();
        prop_assert!(each == 256 || end.div_ceil(finer) - start / finer > most);
    }
}

#[test]
fn long_peaks_halve_and_stay_fine() {
    let most = Peaks::MOST as u64;
    let (rate_hz, frames) = (44_100_u32.to_le_bytes(), (most * 256).to_le_bytes());
    let values = vec![7; Peaks::MOST];
    let mut peaks = Peaks::from_bytes(&[&rate_hz[..], &frames, &256_u64.to_le_bytes(), &values].concat()).unwrap();
    assert!(peaks.is_fine());
    peaks.extend([1.0].into_iter());
    assert_eq!((peaks.frames_per_value(), peaks.values().len()), (512, Peaks::MOST / 2 + 1));
    assert_eq!(peaks.values().last(), Some(&255));
    assert!(peaks.is_fine());
}

#[test]
fn peaks_of_earlier_versions_are_not_fine() {
    let (rate_hz, frames) = (44_100_u32.to_le_bytes(), (2_048_u64 * 4_096).to_le_bytes());
    let stored = [&rate_hz[..], &frames, &4_096_u64.to_le_bytes(), &[9; 2_048]].concat();
    assert!(!Peaks::from_bytes(&stored).unwrap().is_fine());
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

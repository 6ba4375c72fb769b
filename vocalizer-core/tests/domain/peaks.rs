//! Peaks: how loud a piece of music is over its length.

use proptest::prelude::*;
use vocalizer_core::ports::Peaks;

/// What the peaks of these samples are, by looking at each stretch anew.
fn expected(samples: &[f32], frames_per_value: usize) -> Vec<u8> {
    let loudest = |stretch: &[f32]| stretch.iter().fold(0.0_f32, |most, sample| most.max(sample.abs().min(1.0)));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is from 0 to 255")]
    let value = |loudest: f32| (loudest * 255.0).round() as u8;
    samples.chunks(frames_per_value).map(|stretch| value(loudest(stretch))).collect()
}

proptest! {
    #[test]
    fn each_value_is_the_loudest_of_its_stretch(
        samples in prop::collection::vec(-2.0_f32..2.0, 0..40_000),
        pieces in prop::collection::vec(1_usize..5_000, 1..20),
        repeat in 1_usize..40,
    ) {
        let samples = samples.repeat(repeat);
        let mut peaks = Peaks::new(44_100);
        let mut rest = &samples[..];
        for piece in pieces.iter().cycle() {
            let (now, later) = rest.split_at(rest.len().min(*piece));
            peaks.extend(now.iter().copied());
            rest = later;
            if rest.is_empty() {
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
    fn bytes_that_are_no_peaks_are_none_or_come_back_as_they_are(bytes: Vec<u8>) {
        if let Some(peaks) = Peaks::from_bytes(&bytes) {
            prop_assert_eq!(peaks.to_bytes(), bytes);
        }
    }
}

#[test]
fn what_is_no_number_is_silence_and_what_is_too_loud_is_full_scale() {
    let mut peaks = Peaks::new(8_000);
    peaks.extend([f32::NAN, f32::INFINITY].into_iter());
    assert_eq!(peaks.values(), [255]);
    let mut silence = Peaks::new(8_000);
    silence.extend([f32::NAN].into_iter());
    assert_eq!(silence.values(), [0]);
}

#[test]
fn stored_peaks_that_were_cut_are_none() {
    let mut peaks = Peaks::new(8_000);
    peaks.extend(std::iter::repeat_n(0.5, 10_000));
    let bytes = peaks.to_bytes();
    for cut in 0..bytes.len() {
        assert_eq!(Peaks::from_bytes(&bytes[..cut]), None, "{cut}");
    }
}

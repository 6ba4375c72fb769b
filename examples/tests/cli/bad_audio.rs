//! Invalid audio files: one error line names the file and the reason, and the other inputs are still separated.

use super::support::{Place, RATE_HZ, STEMS};

/// A 16-bit WAV header that claims `claimed_bytes`, followed by 4 kB of samples.
fn wav(channels: u16, rate_hz: u32, claimed_bytes: u32) -> Vec<u8> {
    let mut file = b"RIFF".to_vec();
    file.extend(claimed_bytes.saturating_add(36).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0");
    file.extend(channels.to_le_bytes());
    file.extend(rate_hz.to_le_bytes());
    file.extend((rate_hz.wrapping_mul(4)).to_le_bytes());
    file.extend((2 * channels).to_le_bytes());
    file.extend(b"\x10\0data");
    file.extend(claimed_bytes.to_le_bytes());
    file.extend([1; 4_000]);
    file
}

/// Every bad input, with a word that its error must contain.
fn bad_inputs(place: &Place) -> Vec<(&'static str, &'static str)> {
    place.put("empty.mp3", b"");
    place.put("text.mp3", b"Dear diary, this is not audio at all, despite its file name.");
    place.ffmpeg("image.png", &["color=red:s=64x64", "-frames:v", "1"]);
    std::fs::rename(place.path("image.png"), place.path("image.mp3")).expect("a renamed file");
    place.put("no-channels.wav", &wav(0, RATE_HZ, 4_000));
    place.put("no-rate.wav", &wav(2, 0, 4_000));
    place.put("fast.wav", &wav(2, 768_000, 4_000));
    let mut samples = std::fs::read(place.song("nan.wav", 500)).expect("a file");
    let last = samples.len() - 4;
    samples[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    place.put("nan.wav", &samples);
    place.ffmpeg("video.mp4", &["color=black:s=64x64:d=1", "-c:v", "mpeg4"]);
    place.put("pictures/cover.png", b"a picture");
    vec![
        ("empty.mp3", "empty"),
        ("text.mp3", "not an audio file"),
        ("image.mp3", "not an audio file"),
        ("no-channels.wav", "0 channels"),
        ("no-rate.wav", "0 Hz"),
        ("fast.wav", "768000 Hz"),
        ("nan.wav", "not a number"),
        ("video.mp4", "no audio track"),
        ("pictures", "no audio files"),
        ("missing.mp3", "No such file"),
    ]
}

#[test]
fn bad_input_prints_one_error_line_and_writes_nothing() {
    let place = Place::new();
    for (name, why) in bad_inputs(&place) {
        let run = place.separate(&[name]);
        run.failed(4, &[name, why]);
        assert_eq!(run.out, "", "{name}");
        assert_eq!(place.files("separated"), [""; 0], "{name}");
        println!("{}", run.err.trim_end());
    }
}

#[test]
fn good_inputs_beside_bad_ones_are_still_separated() {
    let place = Place::new();
    place.song("first.wav", 5_000);
    place.song("last.wav", 5_000);
    let bad = bad_inputs(&place);
    let mut inputs = vec!["first.wav"];
    inputs.extend(bad.iter().map(|(name, _)| *name));
    inputs.push("last.wav");
    let run = place.separate(&inputs);
    assert_eq!(run.code, Some(1));
    assert_eq!(run.errors().len(), bad.len(), "{}", run.err);
    for (name, why) in bad {
        let mut lines = run.errors().into_iter();
        assert!(lines.any(|line| line.contains(name) && line.contains(why)), "{name}: {}", run.err);
    }
    let songs = ["first", "last"].map(|song| STEMS.map(|stem| format!("{song}/{stem}.wav")));
    assert_eq!(place.files("separated"), songs.concat());
}

#[test]
fn info_reports_unreadable_files() {
    let place = Place::new();
    place.song("good.wav", 5_000);
    for (name, why) in bad_inputs(&place) {
        if name != "pictures" {
            place.run(&["info", name]).failed(4, &[name, why]);
        }
    }
    let run = place.run(&["info", "good.wav", "empty.mp3"]);
    run.failed(1, &["empty.mp3"]);
    assert!(run.out.contains("good.wav"));
}

//! A part of a song, one channel, and everything but some stems.

use vocalizer_model::audio::{AudioLimits, AudioReader, Frame};

use super::support::{Place, RATE_HZ, read};

/// The ratio of the power of `signal` to that of the difference, in dB.
fn snr_db(signal: &[Frame], other: &[Frame]) -> f64 {
    assert_eq!(signal.len(), other.len());
    let power = |frames: &mut dyn Iterator<Item = f64>| frames.map(|x| x * x).sum::<f64>();
    let difference = signal.as_flattened().iter().zip(other.as_flattened()).map(|(a, b)| f64::from(a - b));
    10.0 * (power(&mut signal.as_flattened().iter().map(|x| f64::from(*x)))
        / power(&mut difference.into_iter()).max(1e-30))
    .log10()
}

fn sum(stems: &[Vec<Frame>]) -> Vec<Frame> {
    let at = |n: usize, k: usize| stems.iter().map(|stem| stem[n][k]).sum();
    (0..stems[0].len()).map(|n| [at(n, 0), at(n, 1)]).collect()
}

#[test]
fn part_of_a_song_is_split() {
    let place = Place::new();
    let song = place.song("song.wav", 3 * RATE_HZ as usize);
    let (whole, _) = read(&song);
    let rate = RATE_HZ as usize;
    for (arguments, from, to) in [
        (&["--start", "1"][..], rate, 3 * rate),
        (&["--end", "0:02"], 0, 2 * rate),
        (&["--start", "0:00:01.5", "--end", "2.25"], rate * 3 / 2, rate * 9 / 4),
        (&["--start", "1", "--end", "0:03"], rate, 3 * rate),
    ] {
        let out = format!("to{}", arguments.concat().replace(':', "_"));
        let all = ["song.wav", "-o", &out, "--format", "wavf32", "--two-stems", "vocals", "--other-method", "minus"];
        place.separate(&[&all[..], arguments].concat()).succeeded();
        let stems = ["vocals", "no_vocals"].map(|stem| read(&place.path(&format!("{out}/song/{stem}.wav"))).0);
        assert_eq!(stems[0].len(), to - from, "{arguments:?}");
        // The two add up to that part of the song.
        assert!(snr_db(&whole[from..to], &sum(&stems)) > 100.0, "{arguments:?}");
        let result = place.manifest(&format!("{out}/song"))["songs"][0]["results"][0].clone();
        assert_eq!(result["frames"], to - from);
    }
    for (arguments, code, says) in [
        (&["--start", "2", "--end", "1"][..], 2, "after the start"),
        (&["--start", "1", "--end", "1"], 2, "after the start"),
        (&["--start", "5"], 4, "3.000 s long"),
        (&["--end", "5"], 4, "3.000 s long"),
    ] {
        let run = place.separate(&[&["song.wav", "-o", "bad"], arguments].concat());
        run.failed(code, &[says]);
        assert!(!place.path("bad").exists(), "{arguments:?}");
    }
    for time in ["", "1:60", "-1", "abc", "inf"] {
        let run = place.separate(&["song.wav", &format!("--start={time}")]);
        assert!(run.code == Some(2) && run.err.contains("1:30"), "{time}: {run:?}");
    }
}

#[test]
fn mono_stems_have_one_channel() {
    let place = Place::new();
    place.song("song.wav", 5_000);
    place.separate(&["song.wav", "--format", "wavf32"]).succeeded();
    for (format, ending, least_db) in
        [("wavf32", "wav", 120.0), ("wav", "wav", 60.0), ("flac", "flac", 60.0), ("mp3", "mp3", 0.0)]
    {
        place.separate(&["song.wav", "--mono", "-o", "mono", "--format", format]).succeeded();
        let path = place.path(&format!("mono/song/bass.{ending}"));
        let reader = AudioReader::open(&path, &AudioLimits::default()).expect("a stem");
        assert_eq!(reader.info().channels, 1, "{format}");
        let (mono, _) = read(&path);
        let (stereo, _) = read(&place.path("separated/song/bass.wav"));
        let mean: Vec<Frame> = stereo.iter().map(|[left, right]| [(left + right) / 2.0; 2]).collect();
        assert!(snr_db(&mean, &mono) > least_db, "{format}: {}", snr_db(&mean, &mono));
    }
}

#[test]
fn mix_minus_is_the_song_without_the_stems() {
    let place = Place::new();
    let song = place.song("song.wav", 20_000);
    place.separate(&["song.wav", "--format", "wavf32"]).succeeded();
    place.separate(&["song.wav", "--format", "wavf32", "-o", "a", "--mix-minus", "vocals,drums"]).succeeded();
    assert_eq!(place.files("a"), ["song/minus_drums_vocals.wav"]);
    place.separate(&["song.wav", "-o", "b", "--mix-minus", "vocals", "--stems", "drums"]).succeeded();
    assert_eq!(place.files("b"), ["song/drums.wav", "song/minus_vocals.wav"]);
    let stem = |name: &str| read(&place.path(name)).0;
    let parts =
        [stem("separated/song/vocals.wav"), stem("separated/song/drums.wav"), stem("a/song/minus_drums_vocals.wav")];
    assert!(snr_db(&read(&song).0, &sum(&parts)) > 100.0);
    place.separate(&["song.wav", "--mix-minus", "vocals,drums,bass,other"]).failed(2, &["fewer stems"]);
    let many: Vec<_> = (0..7).map(|n| format!("{n}{}", "a".repeat(30))).collect();
    place.separate(&["song.wav", "--mix-minus", &many.join(",")]).failed(2, &["name fewer stems"]);
    place.separate(&["song.wav", "--mix-minus", "guitar"]).failed(2, &["guitar", "drums, bass, other, vocals"]);
}

#[test]
fn bitrate_is_for_mp3() {
    let place = Place::new();
    place.song("song.wav", 5_000);
    for format in ["wav", "wav24", "wavf32", "flac"] {
        place
            .separate(&["song.wav", "--format", format, "--bitrate", "192"])
            .failed(2, &["--bitrate is for MP3", "--format mp3"]);
        place
            .separate(&["song.wav", "--format", format, "--vbr", "2"])
            .failed(2, &["--vbr is for MP3", "--format mp3"]);
    }
    place.separate(&["song.wav", "--bitrate", "192"]).failed(2, &["--bitrate is for MP3"]);
    assert_eq!(place.files("separated"), [""; 0]);
}

#[test]
fn stems_carry_tags_unless_told_not_to() {
    let place = Place::new();
    place.ffmpeg("song.mp3", &["sine=440:d=0.3", "-metadata", "title=Song", "-metadata", "artist=Ada"]);
    let probe = |file: &str| {
        let mut command = std::process::Command::new("ffprobe");
        command.args(["-v", "error", "-show_entries", "format_tags=title,artist", "-of", "default=nw=1"]);
        String::from_utf8(command.arg(place.path(file)).output().expect("ffprobe").stdout).expect("text")
    };
    for (format, ending) in [("flac", "flac"), ("mp3", "mp3"), ("wav", "wav")] {
        place.separate(&["song.mp3", "--format", format, "--stems", "vocals"]).succeeded();
        let tags = probe(&format!("separated/song/vocals.{ending}"));
        assert!(tags.contains("Song (vocals)") && tags.contains("Ada"), "{format}: {tags}");
        place.separate(&["song.mp3", "--format", format, "--stems", "vocals", "--no-tags"]).succeeded();
        assert!(!probe(&format!("separated/song/vocals.{ending}")).contains("Ada"), "{format}");
    }
}

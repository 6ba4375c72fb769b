//! The usual calls of Demucs, as with `alias demucs='vocalizer separate'`.

use super::support::{Place, RATE_HZ, STEMS, read, tiny};

#[test]
fn usual_calls_of_demucs_work() {
    let place = Place::new();
    place.song("song.wav", 5_000);
    let tiny = tiny();
    let tiny = tiny.to_str().expect("a plain path");
    for (arguments, files) in [
        (&["-n", tiny][..], STEMS.map(|stem| format!("song/{stem}.wav")).to_vec()),
        (&["--name", tiny, "-d", "cpu"], STEMS.map(|stem| format!("song/{stem}.wav")).to_vec()),
        (&["-n", tiny, "--two-stems=vocals"], vec!["song/no_vocals.wav".into(), "song/vocals.wav".into()]),
        (
            &["-n", tiny, "--two-stems", "vocals", "--other-method", "minus"],
            vec!["song/no_vocals.wav".into(), "song/vocals.wav".into()],
        ),
        (&["-n", tiny, "--mp3"], STEMS.map(|stem| format!("song/{stem}.mp3")).to_vec()),
        (&["-n", tiny, "--mp3", "--mp3-bitrate", "128"], STEMS.map(|stem| format!("song/{stem}.mp3")).to_vec()),
        (&["-n", tiny, "--flac", "-j", "2"], STEMS.map(|stem| format!("song/{stem}.flac")).to_vec()),
        (&["-n", tiny, "--float32", "--clip-mode", "rescale"], STEMS.map(|stem| format!("song/{stem}.wav")).to_vec()),
        (&["-n", tiny, "--int24", "--clip-mode", "clamp"], STEMS.map(|stem| format!("song/{stem}.wav")).to_vec()),
        (
            &["-n", tiny, "--shifts", "1", "--overlap", "0.1", "--segment", "0.5", "--jobs", "1", "-v"],
            STEMS.map(|stem| format!("song/{stem}.wav")).to_vec(),
        ),
        (&["-n", tiny, "--filename", "{track}-{stem}.{ext}"], STEMS.map(|stem| format!("song-{stem}.wav")).to_vec()),
        (
            &["-n", tiny, "--filename", "{track}/{stem}.{trackext}.{ext}"],
            STEMS.map(|stem| format!("song/{stem}.wav.wav")).to_vec(),
        ),
    ] {
        for out in ["-o", "--out"] {
            let dir = format!("to{}", arguments.join("").replace('/', "_"));
            let run = place.run(&[&["separate"], arguments, &[out, &dir, "song.wav"]].concat());
            run.succeeded();
            assert_eq!(place.files(&dir), files, "{arguments:?}");
            let (frames, rate_hz) = read(&place.path(&format!("{dir}/{}", files[0])));
            assert_eq!((frames.len(), rate_hz), (5_000, RATE_HZ), "{arguments:?}");
            std::fs::remove_dir_all(place.path(&dir)).expect("a removed folder");
        }
    }
}

#[test]
fn options_have_the_same_meaning_as_ours() {
    let place = Place::new();
    place.song("song.wav", 5_000);
    let bytes = |out: &str, arguments: &[&str], ending: &str| {
        place.separate(&[&["song.wav", "-o", out], arguments].concat()).succeeded();
        std::fs::read(place.path(&format!("{out}/song/drums.{ending}"))).expect("a stem")
    };
    for (n, (theirs, ours, ending)) in [
        (&["--mp3", "--mp3-bitrate", "192"][..], &["--format", "mp3", "--bitrate", "192"][..], "mp3"),
        (&["--int24"], &["--format", "wav24"], "wav"),
        (&["--float32"], &["--format", "wavf32"], "wav"),
        (&["--flac"], &["--format", "flac"], "flac"),
        (&["--clip-mode", "rescale"], &["--clip", "each"], "wav"),
    ]
    .into_iter()
    .enumerate()
    {
        assert!(bytes(&format!("a{n}"), theirs, ending) == bytes(&format!("b{n}"), ours, ending), "{theirs:?}");
    }
}

#[test]
fn what_cannot_be_honoured_says_what_to_use() {
    let place = Place::new();
    place.song("song.wav", 5_000);
    for (arguments, says) in [
        (&["--no-split"][..], "7.8 seconds"),
        (&["--repo", "models"], "--model FILE"),
        (&["-s", "955717e8"], "--model FILE"),
        (&["--mp3", "--mp3-preset", "2"], "--vbr"),
        (&["--list-models"], "vocalizer models"),
        (&["--two-stems", "vocals", "--other-method", "none"], "--stems STEM"),
        (&["--mp3", "--int24"], "leave out --int24"),
        (&["--mp3", "--float32"], "leave out --float32"),
        (&["--flac", "--int24"], "--format wav24"),
        (&["--mp3-bitrate", "256"], "--format mp3"),
    ] {
        let run = place.separate(&[&["song.wav"], arguments].concat());
        run.failed(2, &[says]);
        assert_eq!(place.files("separated"), [""; 0]);
    }
    place.run(&["separate", "--list-models"]).failed(2, &["vocalizer models"]);
    for model in ["mdx_extra", "mdx_extra_q", "hdemucs_mmi"] {
        place.run(&["separate", "song.wav", "-n", model]).failed(2, &[model, "htdemucs, htdemucs_ft, htdemucs_6s"]);
    }
    for (arguments, says) in [
        (&["-d", "mps"][..], "--device wgpu"),
        (&["--mp3", "--flac"], "cannot be used with"),
        (&["--int24", "--float32"], "cannot be used with"),
        (&["--mp3", "--format", "wav"], "cannot be used with"),
    ] {
        let run = place.separate(&[&["song.wav"], arguments].concat());
        assert_eq!(run.code, Some(2), "{arguments:?}: {run:?}");
        assert!(run.err.contains(says), "{arguments:?}: {}", run.err);
    }
}

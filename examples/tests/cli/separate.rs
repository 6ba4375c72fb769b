//! `vocalizer separate`: output paths, number, length and format of the stems.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use super::support::{Place, RATE_HZ, Run, STEMS, read, tiny};

#[test]
fn four_stems_are_written_to_folder_named_after_song() {
    let place = Place::new();
    place.song("Some Song.wav", 30_000);
    let run = place.separate(&["Some Song.wav"]);
    run.succeeded();
    assert_eq!(place.files("separated/Some Song"), STEMS.map(|stem| format!("{stem}.wav")));
    // Standard output has only the paths, for scripts.
    let mut printed: Vec<_> = run.out.lines().collect();
    printed.sort_unstable();
    assert_eq!(printed, STEMS.map(|stem| format!("separated/Some Song/{stem}.wav")));
    for stem in STEMS {
        let (frames, rate_hz) = read(&place.path(&format!("separated/Some Song/{stem}.wav")));
        assert_eq!((frames.len(), rate_hz), (30_000, RATE_HZ));
    }
}

#[test]
fn stems_are_independent_of_thread_count() {
    let place = Place::new();
    place.song("song.wav", RATE_HZ as usize * 3);
    let stems = ["1", "2", "3", "16"].map(|threads| {
        let out = format!("by{threads}");
        place.separate(&["song.wav", "--threads", threads, "--format", "wavf32", "-o", &out]).succeeded();
        STEMS.map(|stem| std::fs::read(place.path(&format!("{out}/song/{stem}.wav"))).expect("a stem"))
    });
    assert!(stems.iter().all(|by| *by == stems[0]));
}

#[test]
fn every_format_keeps_song_length() {
    let place = Place::new();
    place.song("song.wav", 30_001);
    for (arguments, ending) in [
        (&["--format", "mp3"][..], "mp3"),
        (&["--format", "mp3", "--bitrate", "128"], "mp3"),
        (&["--format", "mp3", "--vbr", "4"], "mp3"),
        (&["--format", "flac"], "flac"),
        (&["--format", "wav"], "wav"),
        (&["--format", "wav24"], "wav"),
        (&["--format", "wavf32"], "wav"),
        (&["--clip", "clamp"], "wav"),
        (&["--clip", "each"], "wav"),
        (&["--clip", "common", "--format", "wavf32"], "wav"),
        (&["--clip", "none", "--format", "flac"], "flac"),
    ] {
        let out = format!("to{}", arguments.concat());
        place.separate(&[&["song.wav", "-o", &out], arguments].concat()).succeeded();
        assert_eq!(place.files(&out), STEMS.map(|stem| format!("song/{stem}.{ending}")));
        assert_eq!(read(&place.path(&format!("{out}/song/bass.{ending}"))).0.len(), 30_001, "{arguments:?}");
    }
}

#[test]
fn unsupported_bitrate_is_rejected_before_separation() {
    let place = Place::new();
    place.song("song.wav", 20_000);
    for clip in ["rescale", "clamp"] {
        let run = place.separate(&["song.wav", "--format", "mp3", "--bitrate", "48", "--clip", clip, "--json"]);
        assert_eq!(run.code, Some(4), "{run:?}");
        assert!(run.out.contains("48 kbit/s") && !run.out.contains("\"progress\""), "{}", run.out);
        assert_eq!(place.files("separated"), [""; 0]);
    }
}

#[test]
fn only_requested_stems_are_written() {
    let place = Place::new();
    place.song("song.wav", 20_000);
    place.separate(&["song.wav", "--stems", "vocals,drums"]).succeeded();
    assert_eq!(place.files("separated"), ["song/drums.wav", "song/vocals.wav"]);
    place.separate(&["song.wav", "-o", "karaoke", "--two-stems", "vocals"]).succeeded();
    assert_eq!(place.files("karaoke"), ["song/no_vocals.wav", "song/vocals.wav"]);
    place.separate(&["song.wav", "-o", "minus", "--two-stems", "vocals", "--other-method", "minus"]).succeeded();
    assert_eq!(place.files("minus"), ["song/no_vocals.wav", "song/vocals.wav"]);
}

#[test]
fn stems_keep_song_rate_unless_another_is_requested() {
    let place = Place::new();
    place.ffmpeg("song.flac", &["sine=440:r=48000:d=1"]);
    place.separate(&["song.flac"]).succeeded();
    let (frames, rate_hz) = read(&place.path("separated/song/bass.wav"));
    assert_eq!((frames.len(), rate_hz), (48_000, 48_000));
    place.separate(&["song.flac", "--rate", "44100"]).succeeded();
    let (frames, rate_hz) = read(&place.path("separated/song/bass.wav"));
    assert_eq!((frames.len(), rate_hz), (44_100, 44_100));
}

#[test]
fn seed_makes_shifts_reproducible() {
    let place = Place::new();
    place.song("song.wav", 30_000);
    let stem = |seed: &str, out: &str| {
        place.separate(&["song.wav", "--shifts", "2", "--seed", seed, "--stems", "bass", "-o", out]).succeeded();
        std::fs::read(place.path(&format!("{out}/song/bass.wav"))).expect("a stem")
    };
    let first = stem("7", "a");
    assert_eq!(first, stem("7", "b"));
    assert_ne!(first, stem("8", "c"));
}

#[test]
fn files_and_folders_in_one_call() {
    let place = Place::new();
    for song in ["one.wav", "album/two.WAV", "album/side b/three.wav", "other/one.wav"] {
        place.song(song, 5_000);
    }
    place.put("album/cover.jpg", b"not a song");
    // Stems of an earlier call in the folder are not treated as songs.
    let run = place.separate(&["one.wav", "album", "other", "-o", "album/stems", "--stems", "bass"]);
    run.succeeded();
    let expected = ["one (other)/bass.wav", "one/bass.wav", "three/bass.wav", "two/bass.wav"];
    assert_eq!(place.files("album/stems"), expected);
    place.separate(&["one.wav", "album", "other", "-o", "album/stems", "--stems", "bass"]).succeeded();
    assert_eq!(place.files("album/stems"), expected);
}

#[test]
fn silence_gives_silence() {
    let place = Place::new();
    place.frames("silence.wav", &[[0.0; 2]; 50_000]);
    place.separate(&["silence.wav", "--format", "wavf32"]).succeeded();
    for stem in STEMS {
        let (frames, _) = read(&place.path(&format!("separated/silence/{stem}.wav")));
        assert_eq!(frames, vec![[0.0; 2]; 50_000]);
    }
}

#[test]
fn very_short_songs() {
    let place = Place::new();
    for frames in [1, RATE_HZ as usize / 10] {
        let name = format!("{frames}.wav");
        place.song(&name, frames);
        for format in ["wav", "flac", "mp3"] {
            place.separate(&[&name, "--format", format]).succeeded();
            for stem in STEMS {
                let (stem, _) = read(&place.path(&format!("separated/{frames}/{stem}.{format}")));
                assert_eq!(stem.len(), frames, "{format}");
                assert!(stem.iter().flatten().all(|x| x.is_finite()));
            }
        }
    }
}

#[test]
fn interrupt_leaves_no_stems() {
    let place = Place::new();
    place.song("song.wav", 20 * RATE_HZ as usize);
    let mut command = place.command();
    command.args(["separate", "song.wav", "--shifts", "100", "--json", "--model"]).arg(tiny());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a child");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let separating = |line: &str| line.contains("\"progress\"");
    assert!(lines.by_ref().any(|line| separating(&line.expect("a line"))), "the song is being separated");
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(kill.expect("kill").success());
    let rest: Vec<_> = lines.map(|line| line.expect("a line")).collect();
    let run = Run::from(child.wait_with_output().expect("an exit status"));
    assert_eq!(run.code, Some(130), "{run:?}");
    let [.., error, summary] = &rest[..] else { panic!("{rest:?}") };
    assert!(error.contains("\"error\":\"cancelled\"") && summary.contains("\"event\":\"summary\""), "{rest:?}");
    assert_eq!(place.files("separated"), [""; 0]);
}

/// Fully in memory as floats, this song takes 85 MB and its stems four times that.
#[test]
#[cfg(target_os = "linux")]
fn memory_is_bounded_for_long_songs() {
    let place = Place::new();
    place.ffmpeg("long.flac", &["anoisesrc=r=44100:d=240:a=0.1", "-ac", "2", "-compression_level", "0"]);
    let mut shell = place.prepared(Command::new("sh"));
    // The limit is on address space, most of which the program, its threads and their pools use. With CUDA, LLVM is mapped too.
    let limit_kib = if cfg!(feature = "cuda") { 1_000_000 } else { 500_000 };
    shell.args(["-c", &format!("ulimit -v {limit_kib}; exec \"$@\""), "sh", env!("CARGO_BIN_EXE_vocalizer")]);
    shell.args(["separate", "long.flac", "--threads", "2", "--format", "flac", "--model"]).arg(tiny());
    Run::of(&mut shell).succeeded();
    assert_eq!(read(&place.path("separated/long/drums.flac")).0.len(), 240 * RATE_HZ as usize);
}

//! Decoding of the same song from every format.

use vocalizer_model::audio::{AudioFormat, AudioInfo, Bitrate, Frame};

use super::support::{RATE_HZ, aiff, decoded_by_ffmpeg, dir, ffmpeg, read, snr_db, song, wav, write};

const FRAMES: usize = 100_003;

/// Writes the song as 32-bit WAV, converts it with ffmpeg and reads it back.
fn through_ffmpeg(name: &str, arguments: &[&str]) -> (AudioInfo, Vec<Frame>) {
    let dir = dir();
    let original = dir.path().join("original.wav");
    write(&original, AudioFormat::WavF32, RATE_HZ, &song(FRAMES, RATE_HZ));
    let input = original.to_str().expect("a plain path");
    read(&ffmpeg(&["-i", input], arguments, &dir.path().join(name)))
}

#[test]
fn own_lossless_files_round_trip_exactly() {
    let dir = dir();
    let song = song(FRAMES, RATE_HZ);
    for format in [AudioFormat::Flac, AudioFormat::Flac24, AudioFormat::Wav16, AudioFormat::Wav24, AudioFormat::WavF32]
    {
        let path = dir.path().join("song").with_extension(format.extension());
        write(&path, format, RATE_HZ, &song);
        let (info, frames) = read(&path);
        assert_eq!(info.format, format.extension());
        assert_eq!((info.rate_hz, info.channels, info.frames), (RATE_HZ, 2, Some(FRAMES as u64)));
        assert!(frames == song, "{format:?} changed samples");
    }
}

#[test]
fn lossless_formats_from_ffmpeg() {
    let song = song(FRAMES, RATE_HZ);
    for (name, codec, format) in [
        ("a.wav", "pcm_s16le", "wav"),
        ("b.wav", "pcm_s24le", "wav"),
        ("c.wav", "pcm_s32le", "wav"),
        ("d.wav", "pcm_f32le", "wav"),
        ("e.wav", "pcm_f64le", "wav"),
        ("f.aiff", "pcm_s16be", "aiff"),
        ("g.aiff", "pcm_s24be", "aiff"),
        ("h.aiff", "pcm_f32be", "aiff"),
        ("i.flac", "flac", "flac"),
        ("j.m4a", "alac", "alac"),
        ("k.mkv", "flac", "flac"),
        ("l.oga", "flac", "flac"),
    ] {
        let (info, frames) = through_ffmpeg(name, &["-c:a", codec]);
        assert_eq!((info.format, info.rate_hz, info.channels), (format, RATE_HZ, 2), "{name}");
        assert_eq!(frames.len(), FRAMES, "{name}");
        if let Some(stated) = info.frames {
            assert_eq!(stated, FRAMES as u64, "{name}");
        }
        let snr = snr_db(&song, &frames);
        assert!(snr > 80.0, "{name}: {snr} dB");
    }
}

#[test]
fn lossy_formats_from_ffmpeg_keep_length_and_alignment() {
    let song = song(FRAMES, RATE_HZ);
    for (name, arguments, format) in [
        ("a.mp3", vec!["-c:a", "libmp3lame", "-b:a", "320k"], "mp3"),
        ("b.mp3", vec!["-c:a", "libmp3lame", "-q:a", "2"], "mp3"),
        ("c.ogg", vec!["-c:a", "libvorbis", "-q:a", "8"], "ogg vorbis"),
        ("d.m4a", vec!["-c:a", "aac", "-b:a", "320k", "-aac_coder", "fast"], "aac"),
        ("e.m4a", vec!["-c:a", "aac", "-b:a", "320k", "-aac_coder", "fast", "-movflags", "+faststart"], "aac"),
    ] {
        let (info, frames) = through_ffmpeg(name, &arguments);
        assert_eq!((info.format, info.rate_hz, info.channels), (format, RATE_HZ, 2), "{name}");
        assert_eq!(frames.len(), FRAMES, "{name}");
        assert_eq!(info.frames, Some(FRAMES as u64), "{name}");
        let snr = snr_db(&song, &frames);
        assert!(snr > 30.0, "{name}: {snr} dB");
    }
}

/// The first packet of Vorbis holds no frames of the song. Matroska does not state where the song begins, nor does Ogg with
/// a single page.
#[test]
fn vorbis_starts_with_its_first_frame() {
    let dir = dir();
    let song = song(17_651, RATE_HZ);
    let original = dir.path().join("original.wav");
    write(&original, AudioFormat::WavF32, RATE_HZ, &song);
    let input = ["-i", original.to_str().expect("a plain path")];
    for name in ["a.ogg", "a.mka", "a.webm"] {
        let path = ffmpeg(&input, &["-c:a", "libvorbis", "-q:a", "8"], &dir.path().join(name));
        let frames = read(&path).1;
        let snr = snr_db(&song, &frames);
        assert!(snr > 30.0, "{name}: {snr} dB from the song");
        let theirs = decoded_by_ffmpeg(&path);
        let snr = snr_db(&theirs, &frames);
        assert!(snr > 80.0, "{name}: {snr} dB from ffmpeg");
        // Only Ogg states where the song ends.
        let expected = if name == "a.ogg" { song.len() } else { theirs.len() };
        assert_eq!(frames.len(), expected, "{name}");
    }
}

/// The index of the first fragment states the length of that fragment alone.
#[test]
fn fragments_with_an_index_each_are_read_to_their_end() {
    let (info, frames) =
        through_ffmpeg("a.mp4", &["-c:a", "aac", "-movflags", "+dash+delay_moov", "-frag_duration", "300000"]);
    let extra = frames.len().checked_sub(FRAMES);
    assert!(extra.is_some_and(|extra| extra < 2_048), "{} frames, {info:?}", frames.len());
}

#[test]
fn streams_without_length_are_read_to_their_end() {
    for (name, arguments) in [
        ("bare.mp3", vec!["-c:a", "libmp3lame", "-q:a", "2", "-write_xing", "0", "-id3v2_version", "0"]),
        ("bare.aac", vec!["-c:a", "aac", "-b:a", "192k"]),
        ("bare.mp2", vec!["-c:a", "mp2", "-b:a", "256k"]),
        ("fragments.mp4", vec!["-c:a", "aac", "-movflags", "frag_keyframe+empty_moov"]),
    ] {
        let (info, frames) = through_ffmpeg(name, &arguments);
        let extra = frames.len().checked_sub(FRAMES);
        assert!(extra.is_some_and(|extra| extra < 5_000), "{name}: {} frames, {info:?}", frames.len());
    }
}

#[test]
fn own_mp3_keeps_length_and_alignment() {
    let dir = dir();
    for (rate_hz, bitrate) in [
        (44_100, Bitrate::Cbr(320)),
        (48_000, Bitrate::Cbr(192)),
        (44_100, Bitrate::Vbr(0)),
        (22_050, Bitrate::Cbr(160)),
    ] {
        for frames in [1, 1_151, 1_152, 50_000] {
            let song = song(frames, rate_hz);
            let path = dir.path().join("song.mp3");
            write(&path, AudioFormat::Mp3(bitrate), rate_hz, &song);
            let (info, back) = read(&path);
            assert_eq!((info.format, info.rate_hz), ("mp3", rate_hz));
            assert_eq!((back.len(), info.frames), (frames, Some(frames as u64)), "{bitrate:?}");
            if frames > 40_000 {
                let snr = snr_db(&song, &back);
                // Half the rate has half the bandwidth, so the beats smear more.
                let wanted = if rate_hz < 32_000 { 25.0 } else { 30.0 };
                assert!(snr > wanted, "{bitrate:?} at {rate_hz} Hz: {snr} dB");
            }
        }
    }
}

#[test]
fn tags_and_padding_around_mp3_are_skipped() {
    let dir = dir();
    let path = dir.path().join("song.mp3");
    write(&path, AudioFormat::Mp3(Bitrate::Cbr(128)), RATE_HZ, &song(20_000, RATE_HZ));
    let bare = std::fs::read(&path).expect("the file");
    let mut tag = b"ID3\x04\0\0\0\0\x10\0".to_vec();
    tag.extend([0xff; 2_048]);
    let mut end = b"TAG".to_vec();
    end.extend([b' '; 125]);
    let wrapped = [tag.as_slice(), bare.as_slice(), end.as_slice()].concat();
    let padded = [[0; 3_000].as_slice(), bare.as_slice()].concat();
    for file in [wrapped, padded] {
        std::fs::write(&path, file).expect("a written file");
        assert_eq!(read(&path).1.len(), 20_000);
    }
}

#[test]
fn integer_samples_become_exact_fractions() {
    let dir = dir();
    let path = dir.path().join("x.wav");
    let cases: [(u16, &[u8], f32); 5] = [
        (8, &[0x00], -1.0),
        (8, &[0xc0], 0.5),
        (16, &[0x00, 0x80], -1.0),
        (16, &[0x01, 0x00], 1.0 / 32_768.0),
        (24, &[0x01, 0x00, 0x80], -8_388_607.0 / 8_388_608.0),
    ];
    for (bits, sample, expected) in cases {
        let data = sample.repeat(10);
        std::fs::write(&path, wav(1, 1, 8_000, bits, &data, data.len() as u32)).expect("a written file");
        let (info, frames) = read(&path);
        assert_eq!((info.rate_hz, info.channels), (8_000, 1));
        assert_eq!(frames, vec![[expected, expected]; 10], "{bits} bits");
    }
}

#[test]
fn handmade_aiff() {
    let dir = dir();
    let path = dir.path().join("x.aiff");
    let data = [0x40, 0x00, 0xc0, 0x00].repeat(100);
    std::fs::write(&path, aiff(2, 44_100, &data, 400)).expect("a written file");
    let (info, frames) = read(&path);
    assert_eq!((info.format, info.rate_hz, info.channels, info.frames), ("aiff", 44_100, 2, Some(100)));
    assert_eq!(frames, vec![[0.5, -0.5]; 100]);
}

/// One frame of PCM with the given channels, read from a WAV without a channel mask.
fn mixed(samples: &[f32]) -> Frame {
    let dir = dir();
    let path = dir.path().join("x.wav");
    let data: Vec<u8> = samples.iter().flat_map(|s| s.to_le_bytes()).collect();
    let channels = u16::try_from(samples.len()).expect("few channels");
    std::fs::write(&path, wav(3, channels, 48_000, 32, &data, data.len() as u32)).expect("a written file");
    let (info, frames) = read(&path);
    assert_eq!((info.channels, frames.len()), (channels, 1));
    frames[0]
}

#[test]
fn surround_is_mixed_down() {
    let minus_3_db = std::f32::consts::FRAC_1_SQRT_2;
    let sum = 1.0 + 2.0 * minus_3_db;
    let close = |a: Frame, b: Frame| {
        assert!((a[0] - b[0]).abs() < 1e-6 && (a[1] - b[1]).abs() < 1e-6, "{a:?} is not {b:?}");
    };
    // Left, right, centre, LFE, surrounds.
    close(mixed(&[1.0, 0.0, 0.0, 0.0, 0.0, 0.0]), [1.0 / sum, 0.0]);
    close(mixed(&[0.0, 1.0, 0.0, 0.0, 0.0, 0.0]), [0.0, 1.0 / sum]);
    close(mixed(&[0.0, 0.0, 1.0, 0.0, 0.0, 0.0]), [minus_3_db / sum; 2]);
    close(mixed(&[0.0, 0.0, 0.0, 1.0, 0.0, 0.0]), [0.0, 0.0]);
    close(mixed(&[0.0, 0.0, 0.0, 0.0, 1.0, 0.0]), [minus_3_db / sum, 0.0]);
    close(mixed(&[0.0, 0.0, 0.0, 0.0, 0.0, 1.0]), [0.0, minus_3_db / sum]);
    close(mixed(&[1.0; 6]), [1.0, 1.0]);
    // Four channels without a mask are quadraphonic: the fourth is a rear channel, not LFE.
    close(mixed(&[0.0, 0.0, 0.0, 1.0]), [0.0, minus_3_db / (1.0 + minus_3_db)]);
    close(mixed(&[0.0, 0.0, 0.0, 0.0, 1.0]), [0.0, minus_3_db / sum]);
    close(mixed(&[0.25, -0.75]), [0.25, -0.75]);
}

#[test]
fn surround_from_compressed_formats() {
    let dir = dir();
    // Only the right surround channel has sound.
    let filter = "aevalsrc=0|0|0|0|0|0.5*sin(440*2*PI*t):c=5.1:s=48000:d=1";
    for (name, codec) in [("a.flac", "flac"), ("b.ogg", "libvorbis"), ("c.wav", "pcm_s16le"), ("d.m4a", "alac")] {
        let path = ffmpeg(&["-f", "lavfi", "-i", filter], &["-c:a", codec], &dir.path().join(name));
        let (info, frames) = read(&path);
        assert_eq!(info.channels, 6, "{name}");
        let level = |side: usize| (frames.iter().map(|f| f[side].powi(2)).sum::<f32>() / frames.len() as f32).sqrt();
        let expected = 0.25 / (1.0 + std::f32::consts::SQRT_2);
        assert!((level(1) - expected).abs() < 0.01, "{name}: right {}", level(1));
        assert!(level(0) < 0.01, "{name}: left {}", level(0));
    }
}

#[test]
fn decoding_matches_ffmpeg() {
    let dir = dir();
    let original = dir.path().join("original.wav");
    write(&original, AudioFormat::WavF32, RATE_HZ, &song(FRAMES, RATE_HZ));
    let input = original.to_str().expect("a plain path");
    for (name, codec) in [("a.mp3", "libmp3lame"), ("a.ogg", "libvorbis"), ("a.m4a", "aac"), ("a.mkv", "libmp3lame")] {
        let path = ffmpeg(&["-i", input], &["-c:a", codec], &dir.path().join(name));
        let (ours, theirs) = (read(&path).1, decoded_by_ffmpeg(&path));
        let snr = snr_db(&theirs, &ours);
        assert!(snr > 90.0, "{name}: {snr} dB");
        assert!(theirs.len().abs_diff(ours.len()) < 2_500, "{name}: {} and {}", theirs.len(), ours.len());
    }
}

#[test]
fn concatenated_mp3s_are_read_to_the_end() {
    let dir = dir();
    let path = dir.path().join("song.mp3");
    write(&path, AudioFormat::Mp3(Bitrate::Cbr(128)), RATE_HZ, &song(20_000, RATE_HZ));
    let once = std::fs::read(&path).expect("the file");
    std::fs::write(&path, [once.as_slice(), &once].concat()).expect("a written file");
    let (info, frames) = read(&path);
    // The first header states only the length of the first half, which is a hint.
    assert_eq!(info.frames, Some(frames.len() as u64));
    assert!(frames.len() > 40_000, "{}", frames.len());
}

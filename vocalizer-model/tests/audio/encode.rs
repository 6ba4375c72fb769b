//! Files that writers create.

use vocalizer_model::audio::{AudioFormat, Bitrate, EncodeError, StemWriter};

use super::support::{RATE_HZ, decoded_by_ffmpeg, dir, read, snr_db, song, write};

const ALL: [AudioFormat; 7] = [
    AudioFormat::Mp3(Bitrate::Cbr(320)),
    AudioFormat::Mp3(Bitrate::Vbr(2)),
    AudioFormat::Flac,
    AudioFormat::Flac24,
    AudioFormat::Wav16,
    AudioFormat::Wav24,
    AudioFormat::WavF32,
];

#[test]
fn dropped_writer_leaves_nothing() {
    let dir = dir();
    for format in ALL {
        let path = dir.path().join("stem");
        let mut writer = StemWriter::create(&path, format, RATE_HZ).expect("a writer");
        writer.write(&song(10_000, RATE_HZ)).expect("a written block");
        drop(writer);
        assert_eq!(std::fs::read_dir(dir.path()).expect("the directory").count(), 0, "{format:?}");
    }
}

#[test]
fn existing_file_stays_until_new_one_is_complete() {
    let dir = dir();
    for format in ALL {
        let path = dir.path().join("stem");
        std::fs::write(&path, "older").expect("a written file");
        let mut writer = StemWriter::create(&path, format, RATE_HZ).expect("a writer");
        writer.write(&song(10_000, RATE_HZ)).expect("a written block");
        assert_eq!(std::fs::read(&path).expect("the file"), b"older");
        writer.finish().expect("a finished file");
        assert_eq!(read(&path).1.len(), 10_000, "{format:?}");
        assert_eq!(std::fs::read_dir(dir.path()).expect("the directory").count(), 1);
    }
}

#[cfg(unix)]
#[test]
fn file_has_default_permissions() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = dir();
    let (ours, plain) = (dir.path().join("ours"), dir.path().join("plain"));
    write(&ours, AudioFormat::Wav16, RATE_HZ, &[[0.0; 2]]);
    std::fs::write(&plain, "").expect("a written file");
    let mode = |path| std::fs::metadata(path).expect("the file").permissions().mode();
    assert_eq!(mode(&ours), mode(&plain));
}

#[test]
fn integers_round_to_nearest_and_clamp() {
    let dir = dir();
    let path = dir.path().join("x.wav");
    let step = 1.0 / 32_768.0;
    let frames = [[1.5, -1.5], [1.0, -1.0], [0.5 * step, -0.5 * step], [0.4 * step, -0.4 * step], [2.6 * step, 0.0]];
    for format in [AudioFormat::Wav16, AudioFormat::Flac] {
        write(&path, format, RATE_HZ, &frames);
        let top = 32_767.0 / 32_768.0;
        assert_eq!(read(&path).1, [[top, -1.0], [top, -1.0], [step, -step], [0.0, 0.0], [3.0 * step, 0.0]]);
    }
    write(&path, AudioFormat::WavF32, RATE_HZ, &frames);
    assert_eq!(read(&path).1, frames);
    for format in [AudioFormat::Wav24, AudioFormat::Flac24] {
        write(&path, format, RATE_HZ, &frames);
        assert_eq!(read(&path).1[0], [8_388_607.0 / 8_388_608.0, -1.0], "{format:?}");
    }
}

#[test]
fn unsupported_output_is_rejected() {
    let dir = dir();
    let path = dir.path().join("x");
    for (format, rate_hz) in [
        (AudioFormat::Mp3(Bitrate::Cbr(320)), 96_000),
        (AudioFormat::Mp3(Bitrate::Cbr(320)), 22_050),
        (AudioFormat::Mp3(Bitrate::Cbr(123)), 44_100),
        (AudioFormat::Mp3(Bitrate::Vbr(10)), 44_100),
        (AudioFormat::Flac, 0),
        (AudioFormat::Flac, 1 << 20),
        (AudioFormat::Wav16, 0),
    ] {
        let created = StemWriter::create(&path, format, rate_hz);
        assert!(matches!(created, Err(EncodeError::Unsupported(_))), "{format:?} at {rate_hz} Hz: {created:?}");
    }
    let nowhere = StemWriter::create(&path.join("no/such"), AudioFormat::Flac, RATE_HZ);
    assert!(matches!(nowhere, Err(EncodeError::Io { action: "created", .. })));
    for format in ALL {
        let mut writer = StemWriter::create(&path, format, RATE_HZ).expect("a writer");
        let bad = writer.write(&[[0.0, 0.0], [0.0, f32::NAN]]);
        assert!(matches!(bad, Err(EncodeError::NotANumber { frame: 1 })), "{bad:?}");
        drop(writer);
        let empty = StemWriter::create(&path, format, RATE_HZ).expect("a writer").finish();
        assert!(matches!(empty, Err(EncodeError::Empty)), "{empty:?}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).expect("the directory").count(), 0);
}

#[test]
fn readers_and_writers_are_send() {
    fn is_send<T: Send>() {}
    is_send::<StemWriter>();
    is_send::<vocalizer_model::audio::AudioReader>();
    is_send::<vocalizer_model::audio::Resampler>();
}

#[test]
fn ffmpeg_decodes_written_files() {
    let dir = dir();
    let song = song(60_000, RATE_HZ);
    for format in ALL {
        let path = dir.path().join("stem").with_extension(format.extension());
        write(&path, format, RATE_HZ, &song);
        let frames = decoded_by_ffmpeg(&path);
        assert_eq!(frames.len(), song.len(), "{format:?}");
        let snr = snr_db(&song, &frames);
        let wanted = if matches!(format, AudioFormat::Mp3(_)) { 30.0 } else { 80.0 };
        assert!(snr > wanted, "{format:?}: {snr} dB");
    }
}

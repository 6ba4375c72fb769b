//! Cut and damaged files of the rarer containers end in time and never panic.

use std::time::{Duration, Instant};

use super::support::{RATE_HZ, aiff, dir, ffmpeg, song, try_read, wav, write};
use vocalizer_model::audio::AudioFormat;

/// A number that depends on the seed in no obvious way.
fn noise(seed: u32) -> usize {
    (seed.wrapping_mul(2_654_435_761) >> 7) as usize
}

#[test]
fn damaged_containers_never_panic() {
    let dir = dir();
    let original = dir.path().join("original.wav");
    write(&original, AudioFormat::WavF32, RATE_HZ, &song(6_000, RATE_HZ));
    let input = original.to_str().expect("a plain path");
    let data = [9; 3_000];
    let mut files = vec![
        ("plain wav", wav(1, 2, RATE_HZ, 16, &data, 3_000)),
        ("piped wav", wav(1, 2, RATE_HZ, 16, &data, u32::MAX)),
        ("aiff", aiff(2, 44_100, &data, 3_000)),
    ];
    for (name, arguments) in [
        ("a.w64", vec!["-c:a", "pcm_s24le"]),
        ("b.wav", vec!["-c:a", "pcm_s16le", "-rf64", "always"]),
        ("c.wav", vec!["-c:a", "adpcm_ms"]),
        ("d.wav", vec!["-c:a", "adpcm_ima_wav"]),
        ("e.wav", vec!["-c:a", "libmp3lame"]),
        ("f.wav", vec!["-c:a", "flac"]),
        ("a.au", vec!["-c:a", "pcm_alaw"]),
        ("a.aiff", vec!["-c:a", "adpcm_ima_qt"]),
        ("b.aiff", vec!["-c:a", "pcm_s16le"]),
        ("a.caf", vec!["-c:a", "pcm_s24le"]),
        ("b.caf", vec!["-c:a", "alac"]),
        ("a.flac", vec!["-c:a", "flac"]),
        ("a.mov", vec!["-c:a", "pcm_s16le"]),
    ] {
        let path = ffmpeg(&["-i", input], &arguments, &dir.path().join(name));
        files.push((name, std::fs::read(path).expect("the file")));
    }
    let path = dir.path().join("damaged");
    let check = |name: &str, how: &str, bytes: &[u8]| {
        std::fs::write(&path, bytes).expect("a written file");
        let begun = Instant::now();
        let read = try_read(&path);
        assert!(begun.elapsed() < Duration::from_secs(1), "{name} {how} took {:?}", begun.elapsed());
        // No damage makes a song much longer than its bytes.
        let most = bytes.len() * 4_096;
        assert!(read.is_err() || read.is_ok_and(|(_, frames)| frames.len() <= most), "{name} {how}");
    };
    for (name, bytes) in &files {
        for n in 0..60 {
            let len = if n < 40 { n * bytes.len().min(400) / 40 } else { noise(n as u32) % bytes.len() };
            check(name, &format!("cut to {len} bytes"), &bytes[..len]);
        }
        for n in 0..250_u32 {
            let mut damaged = bytes.clone();
            for k in 0..=n % 3 {
                let spread = if n % 4 == 0 { bytes.len() } else { bytes.len().min(200) };
                damaged[noise(n * 31 + k) % spread] = [0, 0xff, 0x7f, 0x80, noise(n + k) as u8][(n + k) as usize % 5];
            }
            check(name, &format!("with damage {n}"), &damaged);
        }
    }
}

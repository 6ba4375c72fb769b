//! Containers of PCM and their relatives, compared with ffmpeg; wrong sizes in headers.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use vocalizer_model::audio::{AudioFormat, AudioInfo, Frame};

use super::measure::{strictly, try_read_with};
use super::support::{RATE_HZ, decoded_by_ffmpeg, dir, ffmpeg, snr_db, song, wav, write};

const FRAMES: usize = 20_011;

/// Reads a file that must be complete.
fn read(path: &Path) -> (AudioInfo, Vec<Frame>) {
    let (info, frames, warnings) =
        try_read_with(path, &strictly()).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert_eq!(warnings, [], "{}", path.display());
    (info, frames)
}

/// Writes the song as 32-bit WAV and converts it with ffmpeg.
fn converted(dir: &TempDir, name: &str, arguments: &[&str]) -> PathBuf {
    let original = dir.path().join("original.wav");
    if !original.exists() {
        write(&original, AudioFormat::WavF32, RATE_HZ, &song(FRAMES, RATE_HZ));
    }
    let input = original.to_str().expect("a plain path");
    ffmpeg(&["-i", input], arguments, &dir.path().join(name))
}

/// Reads the bytes as a file, which must give no warning.
fn read_bytes(dir: &TempDir, bytes: &[u8]) -> (AudioInfo, Vec<Frame>) {
    let path = dir.path().join("song");
    std::fs::write(&path, bytes).expect("a written file");
    read(&path)
}

fn data_of(frames: &[Frame]) -> Vec<u8> {
    frames.iter().flatten().flat_map(|&s| ((f64::from(s) * 32_768.0) as i16).to_le_bytes()).collect()
}

/// A 16-bit WAV of the song with the given chunks before its samples, which are `data`.
fn wav_with(chunks: &[u8], data: &[u8]) -> Vec<u8> {
    let plain = wav(1, 2, RATE_HZ, 16, data, data.len() as u32);
    [&plain[..36], chunks, &plain[36..]].concat()
}

fn assert_exact(name: &str, path: &Path, format: &str) {
    let (info, ours) = read(path);
    let theirs = decoded_by_ffmpeg(path);
    assert_eq!((info.format, info.rate_hz, info.channels), (format, RATE_HZ, 2), "{name}");
    assert_eq!((ours.len(), info.frames), (theirs.len(), Some(theirs.len() as u64)), "{name}");
    let first = ours.iter().zip(&theirs).position(|(a, b)| a != b);
    assert_eq!(first, None, "{name}: {:?}", first.map(|at| (ours[at], theirs[at])));
}

#[test]
fn pcm_is_exactly_that_of_ffmpeg() {
    let dir = dir();
    for (file, codecs, format) in [
        ("a.wav", "pcm_u8 pcm_s16le pcm_s24le pcm_s32le pcm_f32le pcm_f64le pcm_alaw pcm_mulaw", "wav"),
        ("a.w64", "pcm_u8 pcm_s16le pcm_s24le pcm_s32le pcm_f32le pcm_f64le pcm_alaw pcm_mulaw", "w64"),
        ("a.au", "pcm_s8 pcm_s16be pcm_s24be pcm_s32be pcm_f32be pcm_f64be pcm_alaw pcm_mulaw", "au"),
        ("a.aiff", "pcm_s8 pcm_s16be pcm_s24be pcm_s32be pcm_f32be pcm_f64be pcm_alaw pcm_mulaw pcm_s16le", "aiff"),
        (
            "a.caf",
            "pcm_s8 pcm_s16be pcm_s24be pcm_s32be pcm_f32be pcm_f64be pcm_alaw pcm_mulaw pcm_s16le pcm_s24le \
             pcm_s32le pcm_f32le pcm_f64le",
            "caf",
        ),
    ] {
        for codec in codecs.split_whitespace() {
            assert_exact(&format!("{file} {codec}"), &converted(&dir, file, &["-c:a", codec]), format);
        }
    }
    for codec in ["pcm_s16le", "pcm_s24le", "pcm_f32le"] {
        let path = converted(&dir, "b.wav", &["-c:a", codec, "-rf64", "always"]);
        assert_exact(&format!("RF64 {codec}"), &path, "rf64");
        let mut bytes = std::fs::read(&path).expect("the file");
        bytes[..4].copy_from_slice(b"BW64");
        let (info, frames) = read_bytes(&dir, &bytes);
        assert_eq!((info.format, frames), ("bw64", read(&path).1));
    }
}

#[test]
fn compressed_wav_matches_ffmpeg() {
    let dir = dir();
    for (file, codec) in [
        ("a.wav", "adpcm_ms"),
        ("a.wav", "adpcm_ima_wav"),
        ("a.w64", "adpcm_ms"),
        ("a.w64", "adpcm_ima_wav"),
        ("a.aiff", "adpcm_ima_qt"),
        ("a.caf", "adpcm_ima_qt"),
    ] {
        let path = converted(&dir, file, &["-c:a", codec]);
        let ((info, ours), theirs) = (read(&path), decoded_by_ffmpeg(&path));
        let snr = snr_db(&theirs, &ours);
        println!("{file} {codec}: {} and {} frames, {snr:.1} dB, {info:?}", ours.len(), theirs.len());
        assert!(snr > 60.0, "{file} {codec}: {snr} dB");
        assert_eq!(ours.len(), theirs.len(), "{file} {codec}");
    }
    let (info, frames) = read(&converted(&dir, "a.wav", &["-c:a", "flac"]));
    assert_eq!((info.format, frames == song(FRAMES, RATE_HZ)), ("flac", true), "{} frames", frames.len());
    for (file, codec, format) in [("a.wav", "libmp3lame", "mp3"), ("a.wav", "mp2", "mp2")] {
        let path = converted(&dir, file, &["-c:a", codec]);
        let ((info, ours), theirs) = (read(&path), decoded_by_ffmpeg(&path));
        let snr = snr_db(&theirs, &ours);
        println!("{file} {codec}: {} and {} frames, {snr:.1} dB, {info:?}", ours.len(), theirs.len());
        assert_eq!(info.format, format, "{file} {codec}");
        assert!(snr > 60.0, "{file} {codec}: {snr} dB");
        assert!(ours.len().abs_diff(theirs.len()) <= 1_152, "{file} {codec}: {} and {}", ours.len(), theirs.len());
    }
}

/// A CAF file of packets. `lengths` are how many frames are valid and how many to drop at the start.
fn caf(kind: [u8; 4], packet_frames: u32, cookie: &[u8], packets: &[Vec<u8>], lengths: (i64, i32)) -> Vec<u8> {
    let rate_hz = if &kind == b"opus" { 48_000.0_f64 } else { 44_100.0 };
    let desc =
        [rate_hz.to_be_bytes().as_slice(), &kind, &[0, 0, packet_frames, 2, 0].map(u32::to_be_bytes).concat()].concat();
    let mut table = (packets.len() as u64).to_be_bytes().to_vec();
    table.extend(lengths.0.to_be_bytes());
    table.extend(lengths.1.to_be_bytes());
    table.extend([0; 4]);
    for packet in packets {
        table.extend([0x80 | (packet.len() >> 7) as u8, packet.len() as u8 & 0x7f]);
    }
    let mut file = b"caff\0\x01\0\0".to_vec();
    let chunks = [
        (b"desc", desc),
        (b"kuki", cookie.to_vec()),
        (b"data", [[0; 4].as_slice(), &packets.concat()].concat()),
        (b"pakt", table),
    ];
    for (id, body) in chunks {
        file.extend(id);
        file.extend((body.len() as u64).to_be_bytes());
        file.extend(body);
    }
    file
}

#[test]
fn caf_with_alac_is_exactly_that_of_ffmpeg() {
    let dir = dir();
    let path = converted(&dir, "a.caf", &["-c:a", "alac"]);
    let (info, frames) = read(&path);
    assert_eq!((info.format, frames.len()), ("alac", FRAMES));
    assert!(frames == decoded_by_ffmpeg(&path));
}

#[test]
fn caf_with_aac_matches_ffmpeg() {
    let dir = dir();
    let adts = std::fs::read(converted(&dir, "a.aac", &["-c:a", "aac", "-b:a", "320k", "-aac_coder", "fast"]))
        .expect("the file");
    let mut packets = Vec::new();
    let mut rest = adts.as_slice();
    while rest.len() > 7 {
        let len = usize::from(rest[3] & 3) << 11 | usize::from(rest[4]) << 3 | usize::from(rest[5]) >> 5;
        packets.push(rest[7..len].to_vec());
        rest = &rest[len..];
    }
    let decoded = read(&dir.path().join("a.aac")).1;
    // AAC-LC at 44.1 kHz in stereo: bare, and within MPEG-4's descriptors, as Apple's programs write it.
    let bare = [0x12, 0x10];
    let wrapped = [
        [3, 25, 0, 1, 0].as_slice(),
        &[4, 0x80, 0x80, 0x80, 17, 0x40, 0x15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        &[5, 0x80, 0x80, 0x80, 2, 0x12, 0x10, 6, 1, 2],
    ]
    .concat();
    let path = dir.path().join("a.caf");
    for cookie in [bare.as_slice(), &wrapped] {
        std::fs::write(&path, caf(*b"aac ", 1_024, cookie, &packets, (frames_of(FRAMES), 1_024)))
            .expect("a written file");
        let (info, frames) = read(&path);
        assert_eq!((info.format, info.frames, frames.len()), ("aac", Some(FRAMES as u64), FRAMES));
        assert!(frames == decoded[1_024..1_024 + FRAMES]);
        let song = song(FRAMES, RATE_HZ);
        assert!(snr_db(&song, &frames) > 25.0, "{} dB from the song", snr_db(&song, &frames));
    }
}

fn frames_of(frames: usize) -> i64 {
    i64::try_from(frames).expect("a short song")
}

#[cfg(feature = "opus")]
#[test]
fn caf_with_opus_has_the_packets_of_ogg() {
    let dir = dir();
    let path = converted(&dir, "a.opus", &["-c:a", "libopus", "-page_duration", "1"]);
    let ogg = std::fs::read(&path).expect("the file");
    let mut packets = Vec::new();
    let mut rest = ogg.as_slice();
    while rest.len() > 27 {
        let segments = usize::from(rest[26]);
        let mut body = 27 + segments;
        let mut packet = Vec::new();
        for &size in &rest[27..27 + segments] {
            packet.extend(&rest[body..body + usize::from(size)]);
            body += usize::from(size);
            if size < 255 {
                packets.push(std::mem::take(&mut packet));
            }
        }
        rest = &rest[body..];
    }
    let (whole, head) = (read(&path).1, packets[0].clone());
    let pre_skip = i32::from(u16::from_le_bytes([head[10], head[11]]));
    for cookie in [head.as_slice(), b"something of Apple's own"] {
        let file = caf(*b"opus", 960, cookie, &packets[2..], (frames_of(whole.len()), pre_skip));
        let (info, frames) = read_bytes(&dir, &file);
        assert_eq!((info.format, info.rate_hz, frames == whole), ("opus", 48_000, true), "{} frames", frames.len());
    }
}

#[test]
fn other_byte_orders() {
    let dir = dir();
    let song = song(FRAMES, RATE_HZ);
    let little = data_of(&song);
    let big: Vec<u8> = little.chunks(2).flat_map(|pair| [pair[1], pair[0]]).collect();
    // RIFX: all numbers are big-endian.
    let mut rifx = b"RIFX".to_vec();
    rifx.extend((big.len() as u32 + 36).to_be_bytes());
    rifx.extend(b"WAVEfmt \0\0\0\x10\0\x01\0\x02");
    rifx.extend(RATE_HZ.to_be_bytes());
    rifx.extend((RATE_HZ * 4).to_be_bytes());
    rifx.extend([0, 4, 0, 16]);
    rifx.extend(b"data");
    rifx.extend((big.len() as u32).to_be_bytes());
    rifx.extend(&big);
    let (info, frames) = read_bytes(&dir, &rifx);
    assert_eq!((info.format, info.frames, frames == song), ("wav", Some(FRAMES as u64), true));
    // AU as DEC wrote it.
    let numbers = [24, little.len() as u32, 3, RATE_HZ, 2];
    let mut au = b"dns.".to_vec();
    au.extend(numbers.iter().flat_map(|n| n.to_le_bytes()));
    au.extend(&little);
    let (info, frames) = read_bytes(&dir, &au);
    assert_eq!((info.format, frames == song), ("au", true));
    // AIFF-C with little-endian samples of 16, 24 and 32 bits.
    for (kind, bytes) in [(b"sowt", 2), (b"sowt", 3), (b"sowt", 4), (b"42ni", 3), (b"23ni", 4)] {
        let samples: Vec<u8> = little.chunks(2).flat_map(|pair| [&[0; 2][..bytes - 2], pair].concat()).collect();
        let (info, frames) = read_bytes(&dir, &aiff_c(*kind, bytes as u16 * 8, &samples));
        assert_eq!((info.format, info.frames, frames == song), ("aiff", Some(FRAMES as u64), true), "{bytes}");
    }
    for kind in [b"fl32", b"FL32"] {
        let samples: Vec<u8> = song.iter().flatten().flat_map(|s| s.to_be_bytes()).collect();
        assert!(read_bytes(&dir, &aiff_c(*kind, 32, &samples)).1 == song, "{}", kind.escape_ascii());
    }
}

fn aiff_c(kind: [u8; 4], bits: u16, samples: &[u8]) -> Vec<u8> {
    let frames = samples.len() as u32 / 2 / (u32::from(bits) / 8);
    let comm = [
        [0, 2].as_slice(),
        &frames.to_be_bytes(),
        &bits.to_be_bytes(),
        &(16_383 + 15_u16).to_be_bytes(),
        &(u64::from(RATE_HZ) << 48).to_be_bytes(),
        &kind,
        &[0, 0],
    ]
    .concat();
    let body = [
        b"AIFCFVER\0\0\0\x04\xa2\x80\x51\x40COMM".as_slice(),
        &(comm.len() as u32).to_be_bytes(),
        &comm,
        b"SSND",
        &(samples.len() as u32 + 8).to_be_bytes(),
        &[0; 8],
        samples,
    ]
    .concat();
    [b"FORM".as_slice(), &(body.len() as u32).to_be_bytes(), &body].concat()
}

#[test]
fn wav_from_a_pipe_is_read_whole() {
    let dir = dir();
    let song = song(FRAMES, RATE_HZ);
    let data = data_of(&song);
    let right = data.len() as u32;
    for (outer, inner) in [
        (0, 0),
        (0, right),
        (right + 36, 0),
        (u32::MAX, u32::MAX),
        (u32::MAX, u32::MAX - 36),
        (0x7fff_ffff, 0x7fff_ffff - 36),
        (0x7fff_ffff, 0x7fff_f000),
        (0x8000_0024, 0x8000_0000),
        (0x7f00_0024, 0x7f00_0000),
        (right, right),
        (right + 36 - 1, right),
        (right + 36 - 8, right),
        (right + 36 + 100, right),
        (12, right),
        (right + 36, right + 500),
    ] {
        let mut file = wav(1, 2, RATE_HZ, 16, &data, inner);
        file[4..8].copy_from_slice(&outer.to_le_bytes());
        let (info, frames) = read_bytes(&dir, &file);
        assert_eq!(info.frames, Some(FRAMES as u64), "{outer:#x}, {inner:#x}");
        assert!(frames == song, "{outer:#x}, {inner:#x}: {} frames", frames.len());
    }
    // The same with chunks before the samples, as ffmpeg writes them, and with a tag after them.
    for (chunks, end) in [
        (b"LIST\x1a\0\0\0INFOISFT\x0e\0\0\0Lavf59.27.100\0".as_slice(), id3v1()),
        (b"fact\x04\0\0\0\xff\xff\xff\xff", ape(true)),
        (b"JUNK\x02\0\0\0ab", Vec::new()),
    ] {
        let mut file = wav_with(chunks, &data);
        let size_at = 36 + chunks.len() + 4;
        file[size_at..size_at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        file.extend(end);
        assert!(read_bytes(&dir, &file).1 == song, "{}", chunks.escape_ascii());
    }
}

#[test]
fn other_containers_from_a_pipe_are_read_whole() {
    let dir = dir();
    let song = song(FRAMES, RATE_HZ);
    let patch = |path: &Path, at: usize, bytes: &[u8]| {
        let mut file = std::fs::read(path).expect("the file");
        file[at..at + bytes.len()].copy_from_slice(bytes);
        file
    };
    let find = |path: &Path, id: &[u8]| {
        let file = std::fs::read(path).expect("the file");
        file.windows(id.len()).position(|bytes| bytes == id).expect("the chunk")
    };
    let au = converted(&dir, "a.au", &["-c:a", "pcm_s16be"]);
    for size in [u32::MAX, 0] {
        assert!(read_bytes(&dir, &patch(&au, 8, &size.to_be_bytes())).1 == song, "AU {size}");
    }
    let aiff = converted(&dir, "a.aiff", &["-c:a", "pcm_s16be"]);
    for size in [u32::MAX, 0x7f00_0000, 0] {
        let file = patch(&aiff, find(&aiff, b"SSND") + 4, &size.to_be_bytes());
        assert!(read_bytes(&dir, &file).1 == song, "AIFF {size:#x}");
    }
    let caf = converted(&dir, "a.caf", &["-c:a", "pcm_s16be"]);
    let file = patch(&caf, find(&caf, b"data") + 4, &u64::MAX.to_be_bytes());
    assert!(read_bytes(&dir, &file).1 == song, "CAF");
    let w64 = converted(&dir, "a.w64", &["-c:a", "pcm_s16le"]);
    for size in [0, u64::MAX] {
        let file = patch(&w64, find(&w64, b"data\xf3\xac\xd3\x11") + 16, &size.to_le_bytes());
        let frames = read_bytes(&dir, &file).1;
        // The padding of the last chunk is one frame.
        assert!(frames[..FRAMES] == song && frames.len() == FRAMES + 1, "W64 {size}: {} frames", frames.len());
    }
    let rf64 = converted(&dir, "b.wav", &["-c:a", "pcm_s16le", "-rf64", "always"]);
    let file = patch(&rf64, find(&rf64, b"ds64") + 16, &[0; 8]);
    assert!(read_bytes(&dir, &file).1 == song, "RF64 whose sizes were never filled in");
}

#[test]
fn slips_in_chunk_sizes_are_forgiven() {
    let dir = dir();
    let song = song(FRAMES, RATE_HZ);
    let data = data_of(&song);
    for (name, chunks) in [
        ("padded", b"LIST\x0b\0\0\0INFOabcdefg\0".as_slice()),
        ("no pad", b"LIST\x0b\0\0\0INFOabcdefg"),
        ("one short", b"LIST\x0b\0\0\0INFOabcdefgh"),
        ("two long", b"LIST\x0e\0\0\0INFOabcdefgh"),
        ("too long for the file", b"LIST\xff\xff\0\x70INFOabcdefgh"),
        ("hides the samples", b"LIST\0\x10\0\0INFOabcdefgh"),
        ("odd, then another", b"bext\x03\0\0\0abcJUNK\x01\0\0\0a\0"),
        ("named in a comment", b"LIST\x14\0\0\0INFOICMT\x08\0\0\0datadata"),
        ("unknown", b"zzzz\x03\0\0\0abc\0"),
    ] {
        let (info, frames) = read_bytes(&dir, &wav_with(chunks, &data));
        assert_eq!(info.frames, Some(FRAMES as u64), "{name}");
        assert!(frames == song, "{name}: {} frames", frames.len());
    }
    // AIFF may have its samples before their description.
    let aiff = aiff_c(*b"sowt", 16, &data);
    let (comm, ssnd) = (24, 24 + 32);
    let swapped = [&aiff[..24], &aiff[ssnd..], &aiff[comm..ssnd]].concat();
    assert!(read_bytes(&dir, &swapped).1 == song);
    // So may WAV, although it should not.
    let plain = wav_with(&[], &data);
    let swapped = [&plain[..12], &plain[36..], &plain[12..36]].concat();
    assert!(read_bytes(&dir, &swapped).1 == song);
}

/// Sizes of 32 bits that went round at 4 GiB.
#[test]
fn wav_of_more_than_4_gib_has_all_its_frames() {
    let dir = dir();
    let path = dir.path().join("long.wav");
    let bytes = (1_u64 << 32) + 400_000;
    std::fs::write(&path, wav(1, 2, 192_000, 24, &[], bytes as u32)).expect("a written file");
    std::fs::File::options().write(true).open(&path).expect("the file").set_len(44 + bytes).expect("a sparse file");
    let reader = vocalizer_model::audio::AudioReader::open(&path, &Default::default()).expect("a readable file");
    assert_eq!(reader.info().frames, Some(bytes / 6));
}

#[test]
fn extensible_wav_and_unusual_bit_depths() {
    let dir = dir();
    // 20 bits in 24, and 24 bits in 32: the samples are in the high bits.
    for (container, valid) in [(24, 20), (32, 24), (16, 12)] {
        let sample: [u8; 4] = 0x4000_0000_u32.to_le_bytes();
        let data = sample[4 - container as usize / 8..].repeat(200);
        let mut file = wav(0xfffe, 2, RATE_HZ, container, &data, data.len() as u32);
        let mut extension = [22_u16, valid].iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<_>>();
        extension.extend(3_u32.to_le_bytes());
        extension.extend([1, 0, 0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71]);
        file.splice(36..36, extension);
        file[16] = 40;
        let (_, frames) = read_bytes(&dir, &file);
        assert_eq!(frames, vec![[0.5, 0.5]; 100], "{valid} bits in {container}");
    }
    // 12 and 20 bits without the extension.
    for (bits, sample) in [(12_u16, vec![0, 0x40]), (20, vec![0, 0, 0x40])] {
        let data = sample.repeat(200);
        let mut file = wav(1, 2, RATE_HZ, bits, &data, data.len() as u32);
        file[32] = sample.len() as u8 * 2;
        assert_eq!(read_bytes(&dir, &file).1, vec![[0.5, 0.5]; 100], "{bits} bits");
    }
}

/// Only the second channel of five has sound; the channel chunk says which it is.
#[test]
fn channel_order_of_caf_is_followed() {
    let dir = dir();
    let desc = [
        44_100_f64.to_be_bytes().as_slice(),
        b"lpcm",
        &2_u32.to_be_bytes(),
        &[10_u32, 1, 5, 16].map(u32::to_be_bytes).concat(),
    ]
    .concat();
    let data: Vec<u8> = [0_i16, 16_384, 0, 0, 0].iter().flat_map(|s| s.to_le_bytes()).collect::<Vec<_>>().repeat(50);
    let file = |tag: u32| {
        let chan = [tag, 0, 0].map(u32::to_be_bytes).concat();
        let mut file = b"caff\0\x01\0\0".to_vec();
        for (id, body) in [(b"desc", desc.clone()), (b"chan", chan), (b"data", [&[0; 4], data.as_slice()].concat())] {
            file.extend(id);
            file.extend((body.len() as u64).to_be_bytes());
            file.extend(body);
        }
        file
    };
    let left_only = |frame: Frame| frame[0] > 0.1 && frame[1].abs() < 1e-6;
    let right_only = |frame: Frame| frame[1] > 0.1 && frame[0].abs() < 1e-6;
    let middle = |frame: Frame| frame[0] > 0.1 && (frame[0] - frame[1]).abs() < 1e-6;
    // L R C Ls Rs, then L C R Ls Rs, then C L R Ls Rs.
    assert!(right_only(read_bytes(&dir, &file(117 << 16 | 5)).1[0]));
    assert!(middle(read_bytes(&dir, &file(119 << 16 | 5)).1[0]));
    assert!(left_only(read_bytes(&dir, &file(120 << 16 | 5)).1[0]));
    // L R LFE Ls Rs.
    assert!(right_only(read_bytes(&dir, &file(135 << 16 | 5)).1[0]));
}

/// Without positions, the last two of eight channels are at the sides and not in front.
#[test]
fn eight_channels_without_positions_are_usual_7_1() {
    let dir = dir();
    let front_and_side: Vec<u8> =
        [16_384_i16, 0, 0, 0, 0, 0, 0, 16_384].iter().flat_map(|s| s.to_le_bytes()).collect::<Vec<_>>().repeat(50);
    let frame = read_bytes(&dir, &wav(1, 8, RATE_HZ, 16, &front_and_side, front_and_side.len() as u32)).1[0];
    assert!((frame[1] / frame[0] - std::f32::consts::FRAC_1_SQRT_2).abs() < 1e-4, "{frame:?}");
}

/// Cameras of 20 years ago wrote no file type.
#[test]
fn quicktime_without_file_type() {
    let dir = dir();
    let codecs = "pcm_s16le pcm_s16be pcm_s24le pcm_s24be pcm_s32le pcm_s32be pcm_f32le pcm_f32be pcm_f64le pcm_f64be";
    let mut wrong = Vec::new();
    for codec in codecs.split_whitespace() {
        let path = converted(&dir, "a.mov", &["-c:a", codec]);
        let without = dir.path().join("without");
        std::fs::write(&without, without_file_type(&path)).expect("a written file");
        for path in [path, without] {
            match try_read_with(&path, &strictly()) {
                Ok((_, frames, _)) if frames == song(FRAMES, RATE_HZ) => {}
                Ok((info, frames, _)) => wrong.push(format!("{codec}: {} frames of {info:?}", frames.len())),
                Err(e) => wrong.push(format!("{codec}: {e}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let path = converted(&dir, "a.mov", &["-c:a", "aac"]);
    assert!(read_bytes(&dir, &without_file_type(&path)).1 == read(&path).1);
}

/// The file with its first box, the file type, turned into a box that is skipped.
fn without_file_type(path: &Path) -> Vec<u8> {
    let mut file = std::fs::read(path).expect("the file");
    assert_eq!(&file[4..8], b"ftyp");
    file[4..8].copy_from_slice(b"skip");
    file
}

/// An ID3v1 tag.
pub(super) fn id3v1() -> Vec<u8> {
    let mut tag = b"TAGTitle".to_vec();
    tag.resize(128, 0);
    tag
}

/// An APEv2 tag of one item.
pub(super) fn ape(with_header: bool) -> Vec<u8> {
    let item = b"\x05\0\0\0\0\0\0\0Title\0Title";
    let frame = |flags: u32| {
        let mut frame = b"APETAGEX".to_vec();
        frame.extend([2_000, item.len() as u32 + 32, 1, flags].iter().flat_map(|n| n.to_le_bytes()));
        frame.extend([0; 8]);
        frame
    };
    let has_header = if with_header { 1 << 31 } else { 0 };
    let header = if with_header { frame(has_header | 1 << 29) } else { Vec::new() };
    [header.as_slice(), item, &frame(has_header)].concat()
}

//! Every refusal names what the file is and what to do about it.

use vocalizer_model::audio::DecodeError;

use super::support::{RATE_HZ, dir, ffmpeg, try_read, wav};

fn error_of(bytes: &[u8]) -> DecodeError {
    let dir = dir();
    let path = dir.path().join("song.mp3");
    std::fs::write(&path, bytes).expect("a written file");
    match try_read(&path) {
        Ok((info, frames)) => panic!("read {} frames of {info:?}", frames.len()),
        Err(e) => e,
    }
}

/// The start of a file, padded.
fn start(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = parts.concat();
    bytes.resize(4_096, 0);
    bytes
}

#[test]
fn sound_in_other_formats_is_named() {
    for (bytes, name) in [
        (start(&[b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"]), "WMA"),
        (start(&[b"\x0b\x77\0\0\0\x40"]), "AC-3"),
        (start(&[b"\x0b\x77\0\0\0\x80"]), "E-AC-3"),
        (start(&[b"\x7f\xfe\x80\x01"]), "DTS"),
        (start(&[b"\xff\x1f\0\xe8\xf1\x07"]), "DTS"),
        (start(&[b"DTSHDHDR"]), "DTS"),
        (start(&[b"\0\0\0\0\xf8\x72\x6f\xba"]), "TrueHD"),
        (start(&[b"DSD "]), "DSD"),
        (start(&[b"FRM8\0\0\0\0\0\0\0\0DSD "]), "DSD"),
        (start(&[b"TTA1"]), "TTA"),
        (start(&[b"tBaK"]), "TAK"),
        (start(&[b"MPCK"]), "Musepack"),
        (start(&[b"MP+\x07"]), "Musepack"),
        (start(&[b"MAC "]), "Monkey's Audio"),
        (start(&[b"wvpk"]), "WavPack"),
        (start(&[b"OFR "]), "OptimFROG"),
        (start(&[b"ajkg"]), "Shorten"),
        (start(&[b"#!AMR\n"]), "AMR"),
        (start(&[b"#!AMR-WB\n"]), "AMR"),
        (start(&[b".ra\xfd"]), "RealAudio"),
        (start(&[b".RMF"]), "RealAudio"),
        (start(&[b"ea3\x03"]), "ATRAC"),
        (start(&[b"FORM\0\0\0\x008SVX"]), "8SVX"),
        (start(&[b"Creative Voice File\x1a"]), "VOC"),
        (start(&[b"NIST_1A"]), "SPHERE"),
        (start(&[b"RIFF\0\0\0\0QLCM"]), "QCELP"),
        (start(&[b"MThd\0\0\0\x06"]), "MIDI"),
        (start(&[b"Extended Module: "]), "tracker"),
        (start(&[b"\0\0\0\x20ftypaax "]), "AAX"),
        (start(&[b"RIFF\0\0\0\0AVI "]), "AVI"),
        (start(&[b"FLV\x01"]), "FLV"),
        (start(&[b"\0\0\x01\xba"]), "MPEG video"),
        (start(&[[b"\x47".as_slice(), &[1; 187]].concat().repeat(5).as_slice()]), "transport stream"),
        (start(&[[&[1; 4], b"\x47".as_slice(), &[1; 187]].concat().repeat(5).as_slice()]), "transport stream"),
    ] {
        let error = error_of(&bytes);
        let text = error.to_string();
        assert!(matches!(error, DecodeError::Unsupported(_)) && text.contains(name), "{name}: {text}");
        let (_, remedies) = text.split_once("; ").unwrap_or_else(|| panic!("{name} has no remedy: {text}"));
        assert!(remedies.contains(", ") && remedies.contains(" or "), "{name} has fewer than three remedies: {text}");
        assert!(!text.contains("WAV") && text.len() < 260, "{name}: {text}");
    }
}

#[test]
fn what_is_no_sound_is_named() {
    for (bytes, name) in [
        (start(&[b"\x89PNG\r\n\x1a\n"]), "picture"),
        (start(&[b"\xff\xd8\xff\xe0"]), "picture"),
        (start(&[b"%PDF-1.7"]), "PDF"),
        (start(&[b"PK\x03\x04"]), "ZIP"),
        (start(&[b"Rar!\x1a\x07"]), "archive"),
        (start(&[b"\x1f\x8b\x08"]), "archive"),
        (b"\n  <!DOCTYPE html>\n<html>Please log in</html>".to_vec(), "web page"),
        (b"#EXTM3U\nsong.mp3\n".to_vec(), "playlist"),
        (b"FILE \"song.flac\" WAVE\n  TRACK 01 AUDIO\n".to_vec(), "cue sheet"),
    ] {
        let error = error_of(&bytes);
        assert!(matches!(error, DecodeError::NotAudio(_)) && error.to_string().contains(name), "{name}: {error}");
    }
}

#[test]
fn codecs_in_wav_and_aiff_are_named() {
    let data = [7; 4_000];
    for (tag, name) in
        [(0x31, "GSM"), (0x161, "WMA"), (0x2000, "AC-3"), (0x2001, "DTS"), (0x65, "G.722"), (0x4242, "0x4242")]
    {
        let text = error_of(&wav(tag, 2, RATE_HZ, 16, &data, 4_000)).to_string();
        assert!(text.starts_with("unsupported: WAV with") && text.contains(name), "{tag:#x}: {text}");
        assert!(text.contains("FLAC") && !text.contains("convert it to WAV"), "{text}");
    }
    let text = error_of(&wav(1, 2, RATE_HZ, 64, &data, 4_000)).to_string();
    assert!(text.contains("samples of 64 bits"), "{text}");
    // A DTS CD as WAV would be noise.
    let dts = [[0; 512].as_slice(), &[b"\xff\x1f\0\xe8\xf1\x07".as_slice(), &[9; 2_042]].concat().repeat(4)].concat();
    let text = error_of(&wav(1, 2, RATE_HZ, 16, &dts, dts.len() as u32)).to_string();
    assert!(text.contains("DTS in a WAV"), "{text}");
    let text = error_of(&wav(0x55, 2, RATE_HZ, 0, &data, 4_000)).to_string();
    assert!(text.starts_with("unsupported: WAV or CAF"), "{text}");
}

#[test]
fn codecs_in_ogg_are_named() {
    // One page, which starts a stream.
    let page = |packet: &[u8]| {
        let mut page = b"OggS\0\x02".to_vec();
        page.extend([0; 20]);
        page.extend([1, packet.len() as u8]);
        page.extend(packet);
        page
    };
    let speex = error_of(&page(b"Speex   1.2.0 and more")).to_string();
    assert!(speex.starts_with("unsupported: Speex; convert it to FLAC"), "{speex}");
    let video = [page(b"\x80theora\x03\x02\x01"), page(b"Speex   1.2.0 and more")].concat();
    assert!(error_of(&video).to_string().contains("Speex"));
    assert!(matches!(error_of(&page(b"\x80theora\x03\x02\x01")), DecodeError::NoAudioTrack));
}

#[test]
fn real_files_of_other_programs_are_named() {
    let dir = dir();
    let source = ["-f", "lavfi", "-i", "sine=440:d=1:r=48000"];
    for (file, arguments, name) in [
        ("a.wma", vec!["-c:a", "wmav2"], "WMA"),
        ("a.ac3", vec!["-c:a", "ac3"], "AC-3"),
        ("a.eac3", vec!["-c:a", "eac3"], "E-AC-3"),
        ("a.dts", vec!["-c:a", "dca", "-strict", "-2"], "DTS"),
        ("a.tta", vec!["-c:a", "tta"], "TTA"),
        ("a.wv", vec!["-c:a", "wavpack"], "WavPack"),
        ("a.ts", vec!["-c:a", "aac"], "transport stream"),
        ("a.m2ts", vec!["-c:a", "ac3"], "transport stream"),
        ("a.avi", vec!["-c:a", "libmp3lame"], "AVI"),
        ("a.flv", vec!["-c:a", "aac"], "FLV"),
        ("a.rm", vec!["-c:a", "ac3"], "RealAudio"),
        ("a.voc", vec!["-c:a", "pcm_u8"], "VOC"),
        ("a.latm", vec!["-c:a", "aac", "-f", "latm"], "LATM"),
        ("a.mov", vec!["-c:a", "libgsm", "-ar", "8000"], "gsm"),
        (
            "a.mp4",
            vec![
                "-c:a",
                "aac",
                "-encryption_scheme",
                "cenc-aes-ctr",
                "-encryption_key",
                "76a6c65c5ea762046bd749a2e632ccbb",
                "-encryption_kid",
                "a7e61c373e219033c21091fa607bf3b8",
            ],
            "encrypted sound; it is protected against copying",
        ),
    ] {
        let path = ffmpeg(&source, &arguments, &dir.path().join(file));
        let error = try_read(&path).expect_err(file);
        let text = error.to_string();
        assert!(matches!(error, DecodeError::Unsupported(_)) && text.contains(name), "{file}: {text}");
    }
}

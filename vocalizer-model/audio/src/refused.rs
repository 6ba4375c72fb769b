//! The names of what is refused, and what to do about it.

use super::error::DecodeError;

/// Returns the error for a codec or format that is known but not supported.
pub(super) fn codec(name: &str) -> DecodeError {
    let remedy = if name.starts_with("encrypted") { DRM } else { REMEDY };
    DecodeError::Unsupported(format!("{name}; {remedy}"))
}

/// What to do about a sound format that is not supported.
pub(super) const REMEDY: &str = "convert it to FLAC with ffmpeg (`ffmpeg -i SONG SONG.flac`) or with an audio converter \
     such as fre:ac or foobar2000, or get the song as MP3, FLAC or M4A";
const EXTRACT: &str = "extract the sound with ffmpeg (`ffmpeg -i FILE -vn SONG.flac`) or with VLC, or get the song as \
     MP3, FLAC or M4A";
const DRM: &str = "it is protected against copying: export the song from the program that made it, buy it without copy \
     protection, or play and record it";
const NOTES: &str =
    "it holds notes, not sound; render it with a synthesiser or a music program, and use the FLAC or MP3";

/// Returns the error for a codec in WAV, or in another container with the same numbers.
pub(super) fn wav_codec(container: &str, tag: u16) -> DecodeError {
    let name = match tag {
        0x02 | 0x11 => "ADPCM of more than two channels or other than 4 bits",
        0x22 => "TrueSpeech",
        0x31 => "GSM 6.10",
        0x40 | 0x45 | 0x64 | 0x14 | 0x42 | 0x85 => "G.72x ADPCM",
        0x65 | 0x28f => "G.722",
        0x61 | 0x62 => "Duck ADPCM",
        0x92 | 0x2000 => "Dolby Digital (AC-3)",
        0x2001 => "DTS",
        0x160..=0x163 => "WMA",
        0x270 => "ATRAC3",
        0x566f | 0x674f | 0x6750 | 0x6751 | 0x676f | 0x6770 | 0x6771 => "Vorbis",
        0x704f => "Opus",
        0xa109 => "Speex",
        _ => return codec(&format!("{container} with the codec {tag:#06x}")),
    };
    codec(&format!("{container} with {name}"))
}

/// Returns the error for a file that starts with the mark of a format that is not supported, or of no audio at all.
pub(super) fn by_mark(head: &[u8]) -> Option<DecodeError> {
    if let Some((name, remedy)) = sound(head).or_else(|| other(head)) {
        return Some(DecodeError::Unsupported(format!("{name}; {remedy}")));
    }
    no_audio(head).map(|what| DecodeError::NotAudio(what.into()))
}

fn sound(head: &[u8]) -> Option<(&'static str, &'static str)> {
    let form = head.get(8..12).unwrap_or_default();
    let name = match head {
        [0x0b, 0x77, _, _, _, id, ..] if (11..=16).contains(&(id >> 3)) => "Dolby Digital Plus (E-AC-3)",
        [0x0b, 0x77, _, _, _, id, ..] if id >> 3 <= 10 => "Dolby Digital (AC-3)",
        [0x7f, 0xfe, 0x80, 0x01, ..]
        | [0xfe, 0x7f, 0x01, 0x80, ..]
        | [0x1f, 0xff, 0xe8, 0x00, ..]
        | [0xff, 0x1f, 0x00, 0xe8, ..]
        | [b'D', b'T', b'S', b'H', b'D', ..] => "DTS",
        [_, _, _, _, 0xf8, 0x72, 0x6f, 0xba | 0xbb, ..] => "Dolby TrueHD",
        // The length of a frame leads to the next one.
        [0x56, high @ 0xe0..=0xff, low, ..]
            if head
                .get((usize::from(high & 0x1f) << 8 | usize::from(*low)) + 3..)
                .is_some_and(|next| next.starts_with(&[0x56])) =>
        {
            "AAC in LATM or LOAS"
        }
        [b'D', b'S', b'D', b' ', ..] | [b'F', b'R', b'M', b'8', ..] => "DSD",
        [b'T', b'T', b'A', b'1' | b'2', ..] => "TTA",
        [b't', b'B', b'a', b'K', ..] => "TAK",
        [b'M', b'P', b'+', ..] | [b'M', b'P', b'C', b'K', ..] => "Musepack",
        [b'M', b'A', b'C', b' ', ..] => "Monkey's Audio",
        [b'w', b'v', b'p', b'k', ..] => "WavPack",
        [b'O', b'F', b'R', b' ', ..] => "OptimFROG",
        [b'a', b'j', b'k', b'g', ..] => "Shorten",
        [b'L', b'A', b'0', b'2'..=b'4', ..] => "Lossless Audio (LA)",
        [b'#', b'!', b'A', b'M', b'R', ..] => "AMR",
        [b'.', b'r', b'a', 0xfd, ..] => "RealAudio",
        [b'.', b'R', b'M', b'F', ..] => "RealAudio or RealVideo",
        [b'e', b'a', b'3', ..] | [b'E', b'A', b'3', ..] => "Sony ATRAC (OMA)",
        [b'R', b'I', b'F', b'F', ..] if form == b"QLCM" => "QCELP (QCP)",
        [b'F', b'O', b'R', b'M', ..] if form == b"8SVX" || form == b"16SV" => "Amiga 8SVX",
        [b'C', b'r', b'e', b'a', b't', b'i', b'v', b'e', b' ', b'V', ..] => "Creative Voice (VOC)",
        [b'N', b'I', b'S', b'T', b'_', b'1', b'A', ..] => "NIST SPHERE",
        [b'2', b'B', b'I', b'T', ..] => "AVR",
        [b'T', b'W', b'I', b'N', ..] => "VQF (TwinVQ)",
        [b'I', b'M', b'P', b'M', ..]
        | [b'E', b'x', b't', b'e', b'n', b'd', b'e', b'd', b' ', b'M', ..]
        | [_, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, b'S', b'C', b'R', b'M', ..] => {
            return Some(("a tracker module", NOTES));
        }
        [b'M', b'T', b'h', b'd', ..] => return Some(("MIDI", NOTES)),
        [b'R', b'I', b'F', b'F', ..] if form == b"RMID" => return Some(("MIDI", NOTES)),
        [_, _, _, _, 0x57, 0x90, 0x75, 0x36, ..] => return Some(("Audible (AA)", DRM)),
        [_, _, _, _, b'f', b't', b'y', b'p', b'a', b'a', b'x' | b'v', ..] => return Some(("Audible (AAX)", DRM)),
        _ => return None,
    };
    Some((name, REMEDY))
}

fn other(head: &[u8]) -> Option<(&'static str, &'static str)> {
    let form = head.get(8..12).unwrap_or_default();
    let name = match head {
        [0x30, 0x26, 0xb2, 0x75, 0x8e, 0x66, ..] => "WMA or another Windows Media file (ASF)",
        [b'R', b'I', b'F', b'F', ..] if form == b"AVI " => "AVI",
        [b'F', b'L', b'V', 1, ..] => "Flash video (FLV)",
        [0, 0, 1, 0xba, ..] => "MPEG video (PS or VOB)",
        [0, 0, 1, 0xb3, ..] => "MPEG video",
        // A transport stream has its mark every 188 bytes, or 192 bytes on discs.
        _ if [0_usize, 4].iter().any(|&at| {
            let step = 188 + at;
            (0..4).all(|n| head.get(at + n * step) == Some(&0x47))
        }) =>
        {
            "MPEG transport stream (TS or M2TS)"
        }
        [b'S', b'M', b'J', b'P', b'E', b'G', ..] | [b'N', b'S', b'V', b's' | b'f', ..] => "an old video format",
        _ => return None,
    };
    Some((name, EXTRACT))
}

fn no_audio(head: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(head.get(..512.min(head.len()))?).trim_start().to_ascii_lowercase();
    Some(match head {
        [0x89, b'P', b'N', b'G', ..] | [0xff, 0xd8, 0xff, ..] | [b'G', b'I', b'F', b'8', ..] => "it is a picture",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "it is a picture",
        [b'%', b'P', b'D', b'F', ..] => "it is a PDF document",
        [b'P', b'K', 3, 4, ..] => "it is a ZIP archive or a document; extract the songs first",
        [b'R', b'a', b'r', b'!', ..]
        | [b'7', b'z', 0xbc, 0xaf, ..]
        | [0x1f, 0x8b, 8, ..]
        | [0xfd, b'7', b'z', b'X', ..]
        | [0x28, 0xb5, 0x2f, 0xfd, ..] => "it is an archive; extract the songs first",
        [0x7f, b'E', b'L', b'F', ..] | [b'M', b'Z', _, 0, ..] => "it is a program",
        _ if text.starts_with("<!doctype html") || text.starts_with("<html") => {
            "it is a web page; the download may have needed a login or another address"
        }
        _ if text.starts_with("#extm3u") || text.starts_with("[playlist]") => {
            "it is a playlist; use the songs that it lists"
        }
        _ if text.starts_with("file \"") || text.starts_with("rem ") && text.contains("\nfile \"") => {
            "it is a cue sheet; use the sound file that it names"
        }
        _ => return None,
    })
}

/// Returns the name of a codec whose first packet in Ogg is `packet`, and whether it is sound.
pub(super) fn in_ogg(packet: &[u8]) -> Option<(&'static str, bool)> {
    const MARKS: [(&[u8], &str, bool); 12] = [
        (b"Speex   ", "Speex", true),
        (b"CELT    ", "CELT", true),
        (b"PCM     ", "PCM in Ogg", true),
        (b"\x80theora", "Theora", false),
        (b"\x81theora", "Theora", false),
        (b"BBCD\0", "Dirac", false),
        (b"OVP80", "VP8", false),
        (b"\x01video", "OGM video", false),
        (b"\x01audio", "OGM audio", true),
        (b"\x80kate", "Kate", false),
        (b"CMML", "CMML", false),
        (b"fishead\0", "Skeleton", false),
    ];
    MARKS.iter().find(|(mark, ..)| packet.starts_with(mark)).map(|&(_, name, sound)| (name, sound))
}

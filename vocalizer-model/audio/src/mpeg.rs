//! The frame headers of MP3 (also MP1 and MP2) and of AAC in ADTS, and the information frames of MP3.

use super::error::DecodeError;
use super::input_file::InputFile;

/// How many bytes of a frame are looked at: enough for the name of an information frame.
const HEAD_BYTES: usize = 48;

/// A frame header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) len_bytes: u64,
    pub(super) samples: u64,
    /// The bitrate in kbit/s; 0 for ADTS.
    pub(super) kbps: u32,
    pub(super) rate_hz: u32,
    /// Layer, version and sample rate: the same in every frame of a stream.
    pub(super) identity: u32,
    /// The layer; 0 for ADTS.
    pub(super) layer: u32,
    side_info_bytes: usize,
    has_crc: bool,
}

/// What an information frame (Xing, Info or VBRI) states.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tag {
    /// The number of audio frames.
    pub(super) frames: Option<u64>,
    /// Samples to drop at the start: the delays of encoder and decoder.
    pub(super) delay: u64,
    /// Samples to drop at the end.
    pub(super) padding: u64,
}

const KBPS: [[u32; 15]; 5] = [
    [0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
    [0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
    [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    [0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
    [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];

/// Parses an MPEG audio frame header. Returns `None` for anything else, including free-format bitrates.
pub(super) fn mpeg_header(bytes: [u8; 4]) -> Option<Header> {
    let word = u32::from_be_bytes(bytes);
    let (version, layer) = ((word >> 19) & 3, (word >> 17) & 3);
    if word >> 21 != 0x7ff || version == 1 || layer == 0 {
        return None;
    }
    let mpeg1 = version == 3;
    let row = match (mpeg1, layer) {
        (true, 3) => 0,
        (true, 2) => 1,
        (true, _) => 2,
        (false, 3) => 3,
        (false, _) => 4,
    };
    let kbps = *KBPS.get(row)?.get(usize::try_from((word >> 12) & 15).ok()?)?;
    let rate_hz = *[44_100_u32, 48_000, 32_000].get(usize::try_from((word >> 10) & 3).ok()?)?;
    let rate_hz = match version {
        3 => rate_hz,
        2 => rate_hz / 2,
        _ => rate_hz / 4,
    };
    if kbps == 0 {
        return None;
    }
    let padding = (word >> 9) & 1;
    let (len, samples) = match layer {
        3 => ((12 * kbps * 1_000 / rate_hz + padding) * 4, 384),
        1 if !mpeg1 => (72 * kbps * 1_000 / rate_hz + padding, 576),
        _ => (144 * kbps * 1_000 / rate_hz + padding, 1_152),
    };
    let mono = (word >> 6) & 3 == 3;
    let side_info_bytes = match (mpeg1, mono) {
        (true, false) => 32,
        (true, true) | (false, false) => 17,
        (false, true) => 9,
    };
    Some(Header {
        len_bytes: u64::from(len),
        samples,
        kbps,
        rate_hz,
        identity: word & 0xfffe_0c00,
        layer: 4 - layer,
        side_info_bytes,
        has_crc: word & 0x1_0000 == 0,
    })
}

/// Returns whether the bytes are a Layer III header without a bitrate ("free format").
fn is_free_format(bytes: [u8; 4]) -> bool {
    bytes[2] >> 4 == 0 && mpeg_header([bytes[0], bytes[1], bytes[2] | 0x10, bytes[3]]).is_some_and(|h| h.layer == 3)
}

/// Parses an ADTS frame header.
fn adts_header(bytes: [u8; 8]) -> Option<Header> {
    const RATES_HZ: [u32; 13] =
        [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];
    if bytes[0] != 0xff || bytes[1] & 0xf6 != 0xf0 {
        return None;
    }
    let rate_hz = *RATES_HZ.get(usize::from((bytes[2] >> 2) & 15))?;
    let len = (u64::from(bytes[3] & 3) << 11) | (u64::from(bytes[4]) << 3) | (u64::from(bytes[5]) >> 5);
    let identity = u32::from_be_bytes([0, bytes[1], bytes[2] & 0xfc, 0]);
    (len > 7).then_some(Header {
        len_bytes: len,
        samples: 1_024 * (u64::from(bytes[6] & 3) + 1),
        kbps: 0,
        rate_hz,
        identity,
        layer: 0,
        side_info_bytes: 0,
        has_crc: false,
    })
}

/// Returns the header at `at` and whether it belongs to an information frame.
pub(super) fn header_at(file: &mut InputFile, at: u64, adts: bool) -> Result<Option<(Header, bool)>, DecodeError> {
    let (bytes, got) = file.peek::<HEAD_BYTES>(at)?;
    if got < 4 || bytes[0] != 0xff {
        return Ok(None);
    }
    let [b0, b1, b2, b3, b4, b5, b6, b7, ..] = bytes;
    if adts {
        return Ok(adts_header([b0, b1, b2, b3, b4, b5, b6, b7]).map(|header| (header, false)));
    }
    Ok(mpeg_header([b0, b1, b2, b3]).map(|header| (header, header.layer == 3 && is_information(&bytes, &header))))
}

/// Returns whether a frame is an information frame: its name follows side information that is all zeros.
fn is_information(bytes: &[u8; HEAD_BYTES], header: &Header) -> bool {
    let side_info = if header.has_crc { 6 } else { 4 };
    let named = |at: usize, names: &[&[u8]]| {
        bytes.get(at..at + 4).is_some_and(|name| names.contains(&name))
            && bytes.get(side_info..at).is_some_and(|zeros| zeros.iter().all(|&b| b == 0))
    };
    named(4 + header.side_info_bytes, &[b"Xing", b"Info"]) || named(36, &[b"VBRI"])
}

/// Reads what the information frame at `at` states.
pub(super) fn tag(file: &mut InputFile, at: u64, header: &Header) -> Result<Tag, DecodeError> {
    let word =
        |bytes: &[u8], at: usize| -> Option<u32> { Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?)) };
    let frame = file.bytes(at, usize::try_from(header.len_bytes).unwrap_or(0).min(4_096))?;
    let at = 4 + header.side_info_bytes;
    if !frame.get(at..at + 4).is_some_and(|name| name == b"Xing" || name == b"Info") {
        return Ok(Tag { frames: word(&frame, 50).map(u64::from).filter(|&n| n > 0), ..Tag::default() });
    }
    let flags = word(&frame, at + 4).unwrap_or(0);
    let frames = if flags & 1 == 0 { None } else { word(&frame, at + 8).map(u64::from).filter(|&n| n > 0) };
    // The fields are there only if their flags are set: frames, bytes, table of contents, quality.
    let sizes = [4, 4, 100, 4].iter().enumerate().map(|(bit, size)| if flags >> bit & 1 == 0 { 0 } else { *size });
    let lame = at + 8 + sizes.sum::<usize>();
    let is_lame = frame.get(lame..lame + 4).is_some_and(|name| [b"LAME", b"Lavf", b"Lavc"].iter().any(|n| *n == name));
    let Some(trim) = word(&frame, lame + 20).filter(|_| is_lame).map(|word| u64::from(word & 0xff_ffff)) else {
        return Ok(Tag { frames, ..Tag::default() });
    };
    // The decoder's delay of 528 samples and one sample more, as all decoders count it.
    Ok(Tag { frames, delay: (trim >> 12) + 529, padding: (trim & 0xfff).saturating_sub(529) })
}

/// Returns whether `want` consecutive frames start at `at`. After the first frame, the end of the file counts as one.
pub(super) fn is_stream(file: &mut InputFile, at: u64, adts: bool, want: u32) -> Result<bool, DecodeError> {
    let Some((first, _)) = header_at(file, at, adts)? else { return Ok(false) };
    let mut next = at + first.len_bytes;
    for _ in 1..want {
        if next >= file.len_bytes() {
            return Ok(true);
        }
        match header_at(file, next, adts)? {
            Some((header, _)) if header.identity == first.identity => next += header.len_bytes,
            Some(_) => return Ok(false),
            None => return Ok(next + 4 > file.len_bytes()),
        }
    }
    Ok(true)
}

/// Returns whether an MP3 of free format starts at `at`: three equal headers without a bitrate at equal distances.
pub(super) fn is_free_format_stream(file: &mut InputFile, at: u64) -> Result<bool, DecodeError> {
    const LONGEST_FRAME: usize = 4_096;
    let start = file.bytes(at, LONGEST_FRAME)?;
    let Some(first) = start.first_chunk::<4>().copied().filter(|head| is_free_format(*head)) else { return Ok(false) };
    let same = |head: [u8; 4]| {
        is_free_format(head)
            && head[..2] == first[..2]
            && head[2] & 0xfc == first[2] & 0xfc
            && head[3] >> 6 == first[3] >> 6
    };
    for (distance, head) in start.windows(4).enumerate().skip(24) {
        if head.first_chunk().is_some_and(|head| same(*head)) {
            // A frame with padding is one byte longer.
            let distance = distance as u64;
            for third in 2 * distance - 1..=2 * distance + 1 {
                if file.peek::<4>(at + third).is_ok_and(|(head, got)| got == 4 && same(head)) {
                    return Ok(true);
                }
            }
        }
    }
    Ok(false)
}

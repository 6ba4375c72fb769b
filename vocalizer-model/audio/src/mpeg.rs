//! Walks the frame headers of MP3 (also MP1 and MP2) and of AAC in ADTS without decoding: counts the frames, reads the
//! information frame, and detects an incomplete last frame.

use super::error::DecodeError;
use super::input_file::InputFile;

/// The result of a walk over the frames.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Walk {
    /// Complete audio frames, without the information frame.
    pub(super) frames: u64,
    /// The number of frames that the information frame (Xing, Info or VBRI) states.
    pub(super) stated_frames: Option<u64>,
    /// The last frame has a header but is incomplete.
    pub(super) cut: bool,
    /// Samples per frame.
    pub(super) samples_per_frame: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Header {
    len_bytes: u64,
    samples: u64,
    side_info_bytes: u64,
    /// Layer, version and sample rate: the same in every frame of a stream.
    identity: u32,
}

const KBPS: [[u32; 15]; 5] = [
    [0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
    [0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
    [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    [0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
    [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];

/// Parses an MPEG audio frame header. Returns `None` for anything else, including free-format bitrates.
fn mpeg_header(bytes: [u8; 4]) -> Option<Header> {
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
    let rate = *[44_100_u32, 48_000, 32_000].get(usize::try_from((word >> 10) & 3).ok()?)?;
    let rate = match version {
        3 => rate,
        2 => rate / 2,
        _ => rate / 4,
    };
    if kbps == 0 {
        return None;
    }
    let padding = (word >> 9) & 1;
    let (len, samples) = match layer {
        3 => ((12 * kbps * 1_000 / rate + padding) * 4, 384),
        1 if !mpeg1 => (72 * kbps * 1_000 / rate + padding, 576),
        _ => (144 * kbps * 1_000 / rate + padding, 1_152),
    };
    let mono = (word >> 6) & 3 == 3;
    let side_info_bytes = match (mpeg1, mono) {
        (true, false) => 32,
        (true, true) | (false, false) => 17,
        (false, true) => 9,
    };
    Some(Header { len_bytes: u64::from(len), samples, side_info_bytes, identity: word & 0xfffe_0c00 })
}

/// Parses an ADTS frame header.
fn adts_header(bytes: [u8; 8]) -> Option<Header> {
    if bytes[0] != 0xff || bytes[1] & 0xf6 != 0xf0 || (bytes[2] >> 2) & 15 > 12 {
        return None;
    }
    let len = (u64::from(bytes[3] & 3) << 11) | (u64::from(bytes[4]) << 3) | (u64::from(bytes[5]) >> 5);
    let identity = u32::from_be_bytes([0, bytes[1], bytes[2] & 0xfc, 0]);
    (len > 7).then_some(Header {
        len_bytes: len,
        samples: 1_024 * (u64::from(bytes[6] & 3) + 1),
        side_info_bytes: 0,
        identity,
    })
}

fn header_at(file: &mut InputFile, at: u64, adts: bool) -> Result<Option<Header>, DecodeError> {
    let (bytes, got) = file.peek::<8>(at)?;
    if got < 4 {
        return Ok(None);
    }
    Ok(if adts { adts_header(bytes) } else { mpeg_header([bytes[0], bytes[1], bytes[2], bytes[3]]) })
}

/// Returns whether `want` consecutive frames start at `at`. After the first frame, the end of the file counts as one.
pub(super) fn is_stream(file: &mut InputFile, at: u64, adts: bool, want: u32) -> Result<bool, DecodeError> {
    let Some(first) = header_at(file, at, adts)? else { return Ok(false) };
    let mut next = at + first.len_bytes;
    for _ in 1..want {
        if next >= file.len_bytes() {
            return Ok(true);
        }
        match header_at(file, next, adts)? {
            Some(header) if header.identity == first.identity => next += header.len_bytes,
            Some(_) => return Ok(false),
            None => return Ok(next + 4 > file.len_bytes()),
        }
    }
    Ok(true)
}

/// Walks from `start` to the end of the file, or to the first bytes that are not a frame (usually tags).
pub(super) fn walk(file: &mut InputFile, start: u64, adts: bool) -> Result<Walk, DecodeError> {
    let mut walk = Walk::default();
    let Some(first) = header_at(file, start, adts)? else { return Ok(walk) };
    walk.samples_per_frame = first.samples;
    let mut at = start;
    if !adts {
        let (informs, stated) = information_frame(file, start, &first)?;
        walk.stated_frames = stated;
        if informs {
            at += first.len_bytes;
        }
    }
    while let Some(header) = header_at(file, at, adts)?.filter(|h| h.identity == first.identity) {
        if at + header.len_bytes > file.len_bytes() {
            walk.cut = true;
            break;
        }
        walk.frames += 1;
        at += header.len_bytes;
    }
    // One to three bytes of a further header.
    let (rest, got) = file.peek::<4>(at)?;
    walk.cut |= got > 0 && got < 4 && rest[0] == 0xff;
    Ok(walk)
}

/// Returns whether the frame is an information frame instead of audio, and the number of frames it states.
fn information_frame(file: &mut InputFile, at: u64, header: &Header) -> Result<(bool, Option<u64>), DecodeError> {
    let (vbri, got) = file.peek::<18>(at + 36)?;
    if got == 18 && vbri.starts_with(b"VBRI") {
        return Ok((true, Some(u64::from(u32::from_be_bytes([vbri[14], vbri[15], vbri[16], vbri[17]])))));
    }
    let (xing, got) = file.peek::<12>(at + 4 + header.side_info_bytes)?;
    if got < 12 || !(xing.starts_with(b"Xing") || xing.starts_with(b"Info")) {
        return Ok((false, None));
    }
    let stated = (xing[7] & 1 != 0).then(|| u64::from(u32::from_be_bytes([xing[8], xing[9], xing[10], xing[11]])));
    Ok((true, stated.filter(|&frames| frames > 0)))
}

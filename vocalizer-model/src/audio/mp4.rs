//! The boxes of MP4 and M4A that the demuxer leaves unread: whether the file is whole, and where the encoder's delay
//! ends and its padding begins (an edit list, or the `iTunSMPB` comment that iTunes writes).

use super::error::DecodeError;
use super::limits::AudioLimits;
use super::source::Source;

/// What of the decoded frames is the song.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gapless {
    /// Ticks to drop at the start.
    pub(super) skip: u64,
    /// Ticks after those, where stated.
    pub(super) total: Option<u64>,
    /// How far `total` may be off: an edit list counts in the movie's coarse ticks.
    pub(super) slack: u64,
    /// Ticks a second.
    pub(super) timescale: u32,
}

#[derive(Debug, Default)]
struct Track {
    is_sound: bool,
    timescale: u32,
    /// Length in the movie's ticks and start in the track's.
    edits: Vec<(u64, i64)>,
}

/// Checks that the boxes fit into the file, and reads how the first sound track is to be trimmed.
pub(super) fn check(source: &mut Source, start: u64, limits: &AudioLimits) -> Result<Option<Gapless>, DecodeError> {
    let mut at = start;
    let mut movie = None;
    while at < source.len_bytes() {
        let (head, got) = source.peek::<16>(at)?;
        if got < 8 {
            break;
        }
        let kind = [head[4], head[5], head[6], head[7]];
        if !kind.iter().all(|b| b.is_ascii_graphic() || matches!(b, b' ' | 0xa9)) {
            break;
        }
        let size = match u32::from_be_bytes([head[0], head[1], head[2], head[3]]) {
            0 => source.len_bytes() - at,
            1 => be64(&head, 8).unwrap_or(0),
            size => u64::from(size),
        };
        if size < 8 {
            return Err(DecodeError::Malformed(format!("a box of {size} bytes")));
        }
        let there = source.len_bytes() - at;
        if size > there {
            let name = String::from_utf8_lossy(&kind).into_owned();
            return Err(DecodeError::Truncated(format!("the `{name}` box has {size} bytes, the file {there} of them")));
        }
        if &kind == b"moov" {
            limits.check_metadata(size)?;
            movie = Some(source.bytes(at + 8, usize::try_from(size - 8).unwrap_or(0))?);
        }
        at += size;
    }
    let Some(movie) = movie else {
        return Err(DecodeError::Truncated("the index (the `moov` box) is missing".into()));
    };
    Ok(gapless(&movie))
}

fn gapless(movie: &[u8]) -> Option<Gapless> {
    let mut movie_timescale = 0;
    let mut track: Option<Track> = None;
    let mut comment = None;
    for (kind, body) in Boxes(movie) {
        match &kind {
            b"mvhd" => movie_timescale = timescale(body)?,
            b"trak" if track.is_none() => track = Some(read_track(body)).filter(|t| t.is_sound),
            b"udta" => comment = comment.or_else(|| itunes_comment(body)),
            _ => {}
        }
    }
    let track = track?;
    let plain = Gapless { timescale: track.timescale, ..Gapless::default() };
    if let Some((skip, total)) = comment {
        return Some(Gapless { skip, total: Some(total), ..plain });
    }
    // One edit is how delay and padding are written; several are a cut film, which is decoded as it lies.
    let mut shown = track.edits.iter().filter(|(_, start)| *start >= 0);
    let (Some(&(length, start)), None) = (shown.next(), shown.next()) else { return Some(plain) };
    let total = (length > 0 && movie_timescale > 0).then(|| {
        let ticks = u128::from(length) * u128::from(track.timescale) / u128::from(movie_timescale);
        u64::try_from(ticks).unwrap_or(u64::MAX)
    });
    let slack = u64::from(track.timescale.div_ceil(movie_timescale.max(1)));
    Some(Gapless { skip: u64::try_from(start).unwrap_or(0), total, slack, ..plain })
}

fn read_track(track: &[u8]) -> Track {
    let mut found = Track::default();
    for (kind, body) in Boxes(track) {
        match &kind {
            b"edts" => {
                for (_, list) in Boxes(body).filter(|(kind, _)| kind == b"elst") {
                    found.edits = edits(list);
                }
            }
            b"mdia" => {
                for (kind, body) in Boxes(body) {
                    match &kind {
                        b"mdhd" => found.timescale = timescale(body).unwrap_or(0),
                        b"hdlr" => found.is_sound = body.get(8..12) == Some(b"soun"),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    found
}

fn edits(list: &[u8]) -> Vec<(u64, i64)> {
    let long = list.first() == Some(&1);
    let count = usize::try_from(be32(list, 4).unwrap_or(0)).unwrap_or(0).min(64);
    let step = if long { 20 } else { 12 };
    (0..count)
        .map_while(|n| {
            let at = 8 + n * step;
            if long {
                Some((be64(list, at)?, be64(list, at + 8)?.cast_signed()))
            } else {
                Some((u64::from(be32(list, at)?), i64::from(be32(list, at + 4)?.cast_signed())))
            }
        })
        .collect()
}

/// `udta/meta/ilst/----` named `iTunSMPB`: " 00000000 00000840 000001CA 00000000003F31F6 ...", delay, padding, length.
fn itunes_comment(user_data: &[u8]) -> Option<(u64, u64)> {
    let (_, meta) = Boxes(user_data).find(|(kind, _)| kind == b"meta")?;
    let (_, items) = Boxes(meta.get(4..)?).find(|(kind, _)| kind == b"ilst")?;
    Boxes(items).filter(|(kind, _)| kind == b"----").find_map(|(_, item)| {
        let (_, name) = Boxes(item).find(|(kind, _)| kind == b"name")?;
        if name.get(4..)? != b"iTunSMPB" {
            return None;
        }
        let (_, data) = Boxes(item).find(|(kind, _)| kind == b"data")?;
        let text = std::str::from_utf8(data.get(8..)?).ok()?;
        let mut numbers = text.split_whitespace().skip(1).map(|n| u64::from_str_radix(n, 16));
        let (delay, _padding, total) = (numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?);
        (total > 0).then_some((delay, total))
    })
}

fn timescale(body: &[u8]) -> Option<u32> {
    be32(body, if body.first() == Some(&1) { 20 } else { 12 })
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn be64(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

/// The boxes inside a box, as far as they make sense.
struct Boxes<'a>(&'a [u8]);

impl<'a> Iterator for Boxes<'a> {
    type Item = ([u8; 4], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let size = usize::try_from(be32(self.0, 0)?).ok()?;
        let kind = self.0.get(4..8)?.try_into().ok()?;
        let body = self.0.get(8..size)?;
        self.0 = self.0.get(size..)?;
        Some((kind, body))
    }
}

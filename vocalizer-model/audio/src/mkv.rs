//! The blocks of Matroska and WebM: their timestamps, the padding of Opus, and the way on after damage.

use std::collections::VecDeque;

use super::ebml::{children, number, parse_element, signed, vint};
use super::error::DecodeError;
use super::input_file::InputFile;
use super::limits::AudioLimits;
use super::mkv_tracks::MkvTrack;
use super::source::{At, Next, Packet, Source};

const SEGMENT: u64 = 0x1853_8067;
const CLUSTER: u64 = 0x1f43_b675;
const INFO: u64 = 0x1549_a966;
const TRACKS: u64 = 0x1654_ae6b;
const TIMESTAMP: u64 = 0xe7;
const SIMPLE_BLOCK: u64 = 0xa3;
const BLOCK_GROUP: u64 = 0xa0;
const BLOCK: u64 = 0xa1;
const DISCARD_PADDING: u64 = 0x75a2;
const TRACK_ENTRY: u64 = 0xae;

/// The elements that a segment and its clusters contain.
const KNOWN: [u64; 19] = [
    CLUSTER,
    INFO,
    TRACKS,
    TIMESTAMP,
    SIMPLE_BLOCK,
    BLOCK_GROUP,
    0xec,
    0xbf,
    0xa7,
    0xab,
    0xaf,
    0x5854,
    0x114d_9b74,
    0x1c53_bb6b,
    0x1941_a469,
    0x1043_a770,
    0x1254_c367,
    0x1a45_dfa3,
    SEGMENT,
];

/// The longest block of audio.
const MAX_BLOCK_BYTES: u64 = 16 << 20;

/// Where the segment lies in the file, and what it says about time.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    start: u64,
    /// The end that the segment states, if it does.
    end: Option<u64>,
    /// Nanoseconds per tick.
    tick_ns: u64,
    /// All tracks, also those that are no sound.
    pub(super) tracks: Vec<MkvTrack>,
}

/// Reads the layout of the segment.
pub(super) fn layout(file: &mut InputFile, start: u64, limits: &AudioLimits) -> Result<Layout, DecodeError> {
    let none = || DecodeError::Malformed("the Matroska file has no segment".into());
    let header = element(file, start)?.ok_or_else(none)?;
    let segment_at = header.body.saturating_add(header.size.unwrap_or(0));
    let segment = element(file, segment_at)?.ok_or_else(none)?;
    if segment.id != SEGMENT {
        return Err(none());
    }
    let end = segment.size.map(|size| segment.body.saturating_add(size));
    let mut layout = Layout { start: segment.body, end, tick_ns: 1_000_000, tracks: Vec::new() };
    let mut at = segment.body;
    for _ in 0..4_096 {
        let Some(found) = element(file, at)? else { break };
        let (Some(size), false) = (found.size, found.id == CLUSTER) else { break };
        if found.id == INFO {
            limits.check_metadata(size)?;
            let body = file.bytes(found.body, usize::try_from(size).unwrap_or(0))?;
            if let Some(scale) = children(&body).find(|(id, _)| *id == 0x2a_d7b1).map(|(_, value)| number(value)) {
                layout.tick_ns = scale.max(1);
            }
        }
        if found.id == TRACKS {
            limits.check_metadata(size)?;
            let body = file.bytes(found.body, usize::try_from(size).unwrap_or(0))?;
            layout.tracks =
                children(&body).filter(|(id, _)| *id == TRACK_ENTRY).map(|(_, e)| MkvTrack::read(e)).collect();
        }
        at = found.body.saturating_add(size);
    }
    if layout.tracks.is_empty() && (at >= file.len_bytes() || end.is_some_and(|end| end > file.len_bytes())) {
        return Err(DecodeError::Truncated("the description of the tracks is missing or incomplete".into()));
    }
    Ok(layout)
}

/// An element: its content starts at `body`. `None` means that the size is unknown.
#[derive(Debug, Clone, Copy)]
struct Element {
    id: u64,
    size: Option<u64>,
    body: u64,
}

fn element(file: &mut InputFile, at: u64) -> Result<Option<Element>, DecodeError> {
    let (head, got) = file.peek::<12>(at)?;
    let head = head.get(..got).unwrap_or_default();
    Ok(parse_element(head).map(|(id, size, bytes)| Element { id, size, body: at + bytes as u64 }))
}

/// The packets of one track.
pub(super) struct Mkv {
    file: InputFile,
    at: u64,
    /// The end that the segment states, if it does.
    end: Option<u64>,
    /// Nanoseconds per tick.
    tick_ns: i64,
    track: u64,
    /// The bytes that all frames of the track start with and that are not stored.
    prefix: Vec<u8>,
    /// The bytes of a block of ADPCM, of which a frame may have several.
    block_bytes: usize,
    /// The numbers of all tracks.
    all: Vec<u64>,
    cluster_ticks: i64,
    packets: VecDeque<Packet>,
    lost: bool,
    early: bool,
    ended: bool,
}

impl Mkv {
    pub(super) fn new(file: InputFile, layout: &Layout, track: &MkvTrack) -> Self {
        Self {
            file,
            at: layout.start,
            end: layout.end,
            tick_ns: i64::try_from(layout.tick_ns).unwrap_or(i64::MAX),
            track: track.number,
            prefix: track.prefix.clone(),
            block_bytes: track.block_bytes(),
            all: layout.tracks.iter().map(|track| track.number).collect(),
            cluster_ticks: 0,
            packets: VecDeque::new(),
            lost: false,
            early: false,
            ended: false,
        }
    }

    fn end(&self) -> u64 {
        self.end.unwrap_or(u64::MAX).min(self.file.len_bytes())
    }

    /// Reads one element. Returns whether bytes had to be skipped because they are damaged.
    fn step(&mut self) -> Result<bool, DecodeError> {
        if self.at >= self.end() {
            self.ended = true;
            self.early = self.end.is_some_and(|end| end > self.file.len_bytes());
            return Ok(false);
        }
        let Some(found) = element(&mut self.file, self.at)?.filter(|found| KNOWN.contains(&found.id)) else {
            return self.resync();
        };
        let Some(size) = found.size else {
            // Only segments and clusters may have an unknown size: their children follow.
            self.at = found.body;
            return Ok(false);
        };
        let next = found.body.saturating_add(size);
        match found.id {
            CLUSTER | SEGMENT => {
                self.at = found.body;
                return Ok(false);
            }
            // A file that ends in the middle of a block. A recording without a size may end anywhere.
            _ if next > self.file.len_bytes() => {
                if self.can_resync(found.body)? {
                    return self.resync();
                }
                (self.ended, self.early) = (true, self.end.is_some());
                return Ok(false);
            }
            TIMESTAMP => {
                let bytes = self.file.bytes(found.body, usize::try_from(size.min(8)).unwrap_or(0))?;
                self.cluster_ticks = i64::try_from(number(&bytes)).unwrap_or(0);
            }
            SIMPLE_BLOCK if size <= MAX_BLOCK_BYTES && self.is_ours(found.body)? => {
                let block = self.file.bytes(found.body, usize::try_from(size).unwrap_or(0))?;
                self.take_block(&block, 0);
            }
            BLOCK_GROUP if size <= MAX_BLOCK_BYTES => {
                let group = self.file.bytes(found.body, usize::try_from(size).unwrap_or(0))?;
                let padding = children(&group).find(|(id, _)| *id == DISCARD_PADDING).map_or(0, |(_, v)| signed(v));
                for (_, block) in children(&group).filter(|(id, _)| *id == BLOCK) {
                    self.take_block(block, u64::try_from(padding).unwrap_or(0));
                }
            }
            _ => {}
        }
        self.at = next;
        Ok(false)
    }

    fn is_ours(&mut self, block: u64) -> Result<bool, DecodeError> {
        let (head, got) = self.file.peek::<8>(block)?;
        let track = vint(head.get(..got).unwrap_or_default()).map(|(track, _)| track);
        // A block of no track is a damaged one.
        self.lost |= track.is_none_or(|track| !self.all.contains(&track));
        Ok(track == Some(self.track))
    }

    fn take_block(&mut self, block: &[u8], discard_ns: u64) {
        let Some((_, head)) = vint(block).filter(|(track, _)| *track == self.track) else { return };
        let (Some(&[t0, t1, flags]), Some(body)) =
            (block.get(head..).and_then(|b| b.first_chunk()), block.get(head + 3..))
        else {
            return;
        };
        let ticks = self.cluster_ticks.saturating_add(i64::from(i16::from_be_bytes([t0, t1])));
        let ns = ticks.saturating_mul(self.tick_ns);
        let mut at = At::Ns(ns, std::mem::take(&mut self.lost));
        for frame in laces(body, (flags >> 1) & 3) {
            for part in frame.chunks(self.block_bytes) {
                let data = [self.prefix.as_slice(), part].concat().into_boxed_slice();
                self.packets.push_back(Packet { data, at, ..Packet::default() });
                at = At::Next;
            }
        }
        if let Some(last) = self.packets.back_mut() {
            last.trim_end_ns = discard_ns;
        }
    }

    /// Returns whether a cluster or a block of this track starts at or after `from`.
    fn can_resync(&mut self, from: u64) -> Result<bool, DecodeError> {
        Ok(self.search(from)?.is_some())
    }

    /// Continues at the next cluster or block of this track. What follows the last one is not damage.
    fn resync(&mut self) -> Result<bool, DecodeError> {
        match self.search(self.at + 1)? {
            Some(at) => {
                (self.at, self.lost) = (at, true);
                Ok(true)
            }
            None => {
                let rest = self.file.bytes(self.at, 1 << 12)?;
                self.early = rest.len() > 64 && rest.iter().any(|&b| b != 0);
                self.ended = true;
                Ok(false)
            }
        }
    }

    fn search(&mut self, mut from: u64) -> Result<Option<u64>, DecodeError> {
        loop {
            let window = self.file.bytes(from, 1 << 16)?;
            if window.len() < 8 || from >= self.end() {
                return Ok(None);
            }
            for (offset, pair) in window.windows(2).enumerate() {
                let at = from + offset as u64;
                let candidate = matches!(pair, [0x1f, 0x43] | [0xa3, _]);
                if candidate && self.is_start(at)? {
                    return Ok(Some(at));
                }
            }
            from += window.len() as u64 - 1;
        }
    }

    fn is_start(&mut self, at: u64) -> Result<bool, DecodeError> {
        let Some(found) = element(&mut self.file, at)? else { return Ok(false) };
        match (found.id, found.size) {
            (CLUSTER, _) => Ok(element(&mut self.file, found.body)?.is_some_and(|child| KNOWN.contains(&child.id))),
            (SIMPLE_BLOCK, Some(size)) if size > 4 && size <= MAX_BLOCK_BYTES => {
                let next = found.body + size;
                let follows = next == self.file.len_bytes()
                    || element(&mut self.file, next)?.is_some_and(|next| KNOWN.contains(&next.id));
                Ok(follows && self.is_ours(found.body)?)
            }
            _ => Ok(false),
        }
    }
}

/// Splits a block into its frames: lacing of no, Xiph's, fixed or EBML's kind.
fn laces(body: &[u8], lacing: u8) -> Vec<&[u8]> {
    if lacing == 0 {
        return vec![body];
    }
    let Some((&count, mut rest)) = body.split_first() else { return Vec::new() };
    let count = usize::from(count) + 1;
    let mut sizes: Vec<usize> = Vec::new();
    match lacing {
        1 => {
            for _ in 1..count {
                let mut size = 0;
                while let Some((&byte, more)) = rest.split_first() {
                    rest = more;
                    size += usize::from(byte);
                    if byte < 255 {
                        break;
                    }
                }
                sizes.push(size);
            }
        }
        2 => sizes.resize(count - 1, rest.len() / count),
        _ => {
            let mut last = 0_i64;
            for n in 1..count {
                let Some((value, len)) = vint(rest) else { return Vec::new() };
                rest = rest.get(len..).unwrap_or_default();
                let value = i64::try_from(value).unwrap_or(0);
                // All sizes but the first are differences, with an offset that makes them positive.
                last = if n == 1 { value } else { last.saturating_add(value - ((1 << (7 * len - 1)) - 1)) };
                sizes.push(usize::try_from(last).unwrap_or(usize::MAX));
            }
        }
    }
    let mut frames = Vec::with_capacity(count);
    for size in sizes {
        let Some((frame, more)) = rest.split_at_checked(size) else { return frames };
        frames.push(frame);
        rest = more;
    }
    frames.push(rest);
    frames
}

impl Source for Mkv {
    fn next(&mut self) -> Result<Next, DecodeError> {
        loop {
            if let Some(packet) = self.packets.pop_front() {
                return Ok(Next::Packet(packet));
            }
            if self.ended {
                return Ok(Next::End { early: self.early });
            }
            if self.step()? {
                return Ok(Next::Lost(0));
            }
        }
    }
}

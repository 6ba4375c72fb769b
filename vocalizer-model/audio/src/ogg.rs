//! The pages and packets of Ogg files: several streams side by side or one after the other, and damaged pages.

use std::collections::VecDeque;

use super::error::DecodeError;
use super::input_file::InputFile;
use super::ogg_stream::{Headers, OggStream};

pub(super) use super::ogg_stream::opus_pre_skip;
use super::options::TrackInfo;
use super::source::{Next, Packet, Page, Source};

/// Streams side by side in one file; more are ignored.
const MAX_STREAMS: usize = 64;
/// The longest packet that is put together from several pages.
const MAX_PACKET_BYTES: usize = 16 << 20;
/// Pages until the headers of all streams must have ended.
const MAX_HEADER_PAGES: u32 = 4_096;

/// One page.
#[derive(Debug)]
struct RawPage {
    serial: u32,
    sequence: u32,
    granule: i64,
    continues: bool,
    is_first: bool,
    is_last: bool,
    /// The lengths of the packet parts, and whether the last one continues in the next page.
    parts: Vec<usize>,
    is_open: bool,
    body: Vec<u8>,
    /// Whether the checksum is wrong, or the end is missing.
    is_damaged: bool,
}

/// What is at the current offset.
enum Found {
    Page(RawPage),
    /// Bytes that are no page, or a page with a wrong checksum.
    Damage,
    /// The last page, which is incomplete: its complete packets, if its header is.
    Cut(Option<RawPage>),
    End,
}

/// Reads pages in order.
struct Pages {
    file: InputFile,
    at: u64,
}

impl Pages {
    fn next(&mut self) -> Result<Found, DecodeError> {
        if self.at >= self.file.len_bytes() {
            return Ok(Found::End);
        }
        match self.read(self.at)? {
            Some((page, size)) if !page.is_damaged || self.follows(self.at + size)? => {
                self.at += size;
                Ok(Found::Page(page))
            }
            Some((page, size)) if self.at + size > self.file.len_bytes() => {
                let next = self.resync()?;
                Ok(if matches!(next, Found::Damage) { next } else { Found::Cut(Some(page)) })
            }
            _ => self.resync(),
        }
    }

    /// Returns whether a page or the end of the file is at `at`.
    fn follows(&mut self, at: u64) -> Result<bool, DecodeError> {
        Ok(at == self.file.len_bytes() || self.file.peek::<4>(at)?.0 == *b"OggS")
    }

    /// Searches for the next valid page. What follows the last one is ignored if it does not look like a page.
    fn resync(&mut self) -> Result<Found, DecodeError> {
        let was_page = self.file.peek::<4>(self.at)?.0 == *b"OggS";
        let mut from = self.at + 1;
        loop {
            let window = self.file.bytes(from, 1 << 16)?;
            if window.len() < 27 {
                self.at = self.file.len_bytes();
                return Ok(if was_page { Found::Cut(None) } else { Found::End });
            }
            for (offset, mark) in window.windows(4).enumerate() {
                let at = from + offset as u64;
                if mark == b"OggS" && self.read(at)?.is_some_and(|(page, _)| !page.is_damaged) {
                    self.at = at;
                    return Ok(Found::Damage);
                }
            }
            from += window.len() as u64 - 3;
        }
    }

    /// Reads the page at `at`, if there is one with a complete header, and its size.
    fn read(&mut self, at: u64) -> Result<Option<(RawPage, u64)>, DecodeError> {
        let (head, got) = self.file.peek::<27>(at)?;
        if got < 27 || !head.starts_with(b"OggS\0") {
            return Ok(None);
        }
        let segments = usize::from(head[26]);
        let table = self.file.bytes(at + 27, segments)?;
        let body_bytes: usize = table.iter().map(|&n| usize::from(n)).sum();
        let body = self.file.bytes(at + 27 + segments as u64, body_bytes)?;
        if table.len() < segments {
            return Ok(None);
        }
        let mut plain = head;
        plain[22..26].fill(0);
        let crc = [plain.as_slice(), &table, &body].into_iter().fold(0, crc);
        let is_damaged = crc != u32::from_le_bytes([head[22], head[23], head[24], head[25]]);
        let (mut parts, mut part, mut is_open) = (Vec::new(), 0, false);
        for &n in &table {
            part += usize::from(n);
            is_open = n == 255;
            if !is_open {
                parts.push(part);
                part = 0;
            }
        }
        if is_open {
            parts.push(part);
        }
        let page = RawPage {
            serial: u32::from_le_bytes([head[14], head[15], head[16], head[17]]),
            sequence: u32::from_le_bytes([head[18], head[19], head[20], head[21]]),
            granule: granule(&head),
            continues: head[5] & 1 != 0,
            is_first: head[5] & 2 != 0,
            is_last: head[5] & 4 != 0,
            parts,
            is_open,
            body,
            is_damaged,
        };
        Ok(Some((page, (27 + segments + body_bytes) as u64)))
    }
}

/// The packets of one audio stream of an Ogg file, and of the streams that follow it.
pub(super) struct Ogg {
    pages: Pages,
    stream: OggStream,
    /// The first page after the headers of a following link.
    pending: Option<RawPage>,
    packets: VecDeque<Packet>,
    partial: Vec<u8>,
    sequence: Option<u32>,
    /// The position of the last page.
    granule: i64,
    lost: bool,
    /// Whether pages are missing before the next packet, which has not been said yet.
    report_loss: bool,
    /// Whether the next packets come from a damaged page, likewise.
    report_damage: bool,
    next_stream: bool,
    cut: bool,
    ended: bool,
}

/// The audio streams at the start of a file.
pub(super) struct Opened {
    pub(super) tracks: Vec<TrackInfo>,
    streams: Vec<OggStream>,
    pages: Pages,
    pending: Option<RawPage>,
}

/// Reads the headers of the streams at the start of the file.
pub(super) fn open(file: InputFile, start: u64) -> Result<Opened, DecodeError> {
    let mut pages = Pages { file, at: start };
    let first = match pages.next()? {
        Found::Page(page) => page,
        Found::Damage => match pages.next()? {
            Found::Page(page) => page,
            _ => return Err(DecodeError::Malformed("the file has no complete Ogg page".into())),
        },
        Found::Cut(_) | Found::End => return Err(DecodeError::Truncated("the first page is incomplete".into())),
    };
    if !first.is_first {
        return Err(DecodeError::Malformed("the start of the Ogg stream, with its headers, is missing".into()));
    }
    let (streams, pending) = headers(&mut pages, first)?;
    let tracks = streams.iter().zip(1..).map(|(stream, number)| stream.info(number)).collect();
    Ok(Opened { tracks, streams, pages, pending })
}

impl Opened {
    /// Takes the track at an index of `tracks`.
    pub(super) fn take(self, index: usize) -> Result<(Ogg, OggStream), DecodeError> {
        let stream = self.streams.into_iter().nth(index).ok_or(DecodeError::NoAudioTrack)?;
        let copy = stream.clone();
        Ok((
            Ogg {
                pages: self.pages,
                stream,
                pending: self.pending,
                packets: VecDeque::new(),
                partial: Vec::new(),
                sequence: None,
                granule: 0,
                lost: false,
                report_loss: false,
                report_damage: false,
                next_stream: false,
                cut: false,
                ended: false,
            },
            copy,
        ))
    }
}

/// Reads the headers of a link: its audio streams, and the first page after the headers.
fn headers(pages: &mut Pages, first: RawPage) -> Result<(Vec<OggStream>, Option<RawPage>), DecodeError> {
    let mut streams: Vec<Headers> = Vec::new();
    let mut page = Some(first);
    for _ in 0..MAX_HEADER_PAGES {
        let Some(now) = page.take() else { break };
        let known = streams.iter_mut().find(|stream| stream.serial == now.serial);
        let is_known = known.is_some();
        if let Some(stream) = known.filter(|_| !now.is_first) {
            if stream.is_complete() {
                page = Some(now);
                break;
            }
            let mut at = 0;
            for (n, &part) in now.parts.iter().enumerate() {
                let bytes = now.body.get(at..at + part).unwrap_or_default();
                at += part;
                stream.push(bytes, now.is_open && n + 1 == now.parts.len())?;
            }
        }
        if now.is_first && !is_known && streams.len() < MAX_STREAMS {
            streams.extend(Headers::new(now.serial, &now.body));
        }
        loop {
            match pages.next()? {
                Found::Page(next) => page = Some(next),
                Found::Damage => continue,
                Found::Cut(_) | Found::End => {}
            }
            break;
        }
    }
    Ok((streams.into_iter().filter_map(Headers::finish).collect(), page))
}

/// Returns the headers of the first FLAC stream as the start of a FLAC file, for readers of its tags.
#[cfg(feature = "tags")]
pub(super) fn flac_head(file: InputFile) -> Result<Option<Vec<u8>>, DecodeError> {
    let mut pages = Pages { file, at: 0 };
    let mut serial = None;
    let (mut blocks, mut partial, mut bytes) = (Vec::new(), Vec::new(), 0);
    'pages: for _ in 0..MAX_HEADER_PAGES {
        let Found::Page(page) = pages.next()? else { break };
        if page.is_first && page.body.starts_with(b"\x7fFLAC") {
            serial = serial.or(Some(page.serial));
        }
        if serial != Some(page.serial) {
            continue;
        }
        bytes += page.body.len();
        let mut at = 0;
        for (n, &part) in page.parts.iter().enumerate() {
            partial.extend_from_slice(page.body.get(at..at + part).unwrap_or_default());
            at += part;
            if page.is_open && n + 1 == page.parts.len() {
                continue;
            }
            // Sound follows the headers.
            if partial.first() == Some(&0xff) || bytes > MAX_PACKET_BYTES {
                break 'pages;
            }
            blocks.push(std::mem::take(&mut partial));
        }
    }
    // The first packet has a mark, a version and a count in front.
    let Some((first, others)) = blocks.split_first_mut() else { return Ok(None) };
    let mut head = first.get(9..).unwrap_or_default().to_vec();
    let last = others.len();
    if let Some(flags) = head.get_mut(4) {
        *flags = if last == 0 { *flags | 0x80 } else { *flags & 0x7f };
    }
    for (n, block) in (1..).zip(others) {
        if let Some(flags) = block.first_mut() {
            *flags = if n == last { *flags | 0x80 } else { *flags & 0x7f };
        }
        head.append(block);
    }
    Ok(Some(head))
}

impl Ogg {
    /// Takes the packets of a page.
    fn take_page(&mut self, page: RawPage) {
        let follows_loss = self.sequence.is_some_and(|last| page.sequence != last.wrapping_add(1)) || self.lost;
        self.sequence = Some(page.sequence);
        self.granule = self.granule.max(page.granule);
        self.report_loss = follows_loss && !self.lost;
        self.report_damage = page.is_damaged;
        if follows_loss || !page.continues {
            self.partial.clear();
        }
        let skip_first = page.continues && self.partial.is_empty();
        let complete = page.parts.len() - usize::from(page.is_open);
        let mut at = 0;
        let before = self.packets.len();
        for (n, &part) in page.parts.iter().enumerate() {
            // The body of the last page may be incomplete.
            let Some(bytes) = page.body.get(at..at + part) else { break };
            at += part;
            if n == 0 && skip_first {
                continue;
            }
            if self.partial.len() + bytes.len() > MAX_PACKET_BYTES {
                self.partial.clear();
                continue;
            }
            self.partial.extend_from_slice(bytes);
            if n < complete {
                let data = std::mem::take(&mut self.partial).into_boxed_slice();
                if !data.is_empty() && self.stream.is_audio(&data) {
                    let frames = self.stream.packet_frames(&data);
                    let is_suspect = page.is_damaged;
                    self.packets.push_back(Packet { data, frames, is_suspect, ..Packet::default() });
                }
            }
        }
        if page.granule >= 0
            && at == page.body.len()
            && self.packets.len() > before
            && let Some(last) = self.packets.back_mut()
        {
            last.page =
                Some(Page { end: page.granule, is_last: page.is_last, follows_loss: follows_loss || page.is_damaged });
            self.lost = false;
        } else {
            self.lost |= follows_loss;
        }
    }

    /// Returns whether the header of a page with a wrong checksum is intact: most of its packets probably are, too.
    fn is_likely(&self, page: &RawPage) -> bool {
        Some(page.serial) == self.stream.serial
            && self.sequence.is_some_and(|last| page.sequence == last.wrapping_add(1))
            && page.granule >= self.granule
            && !page.is_first
    }

    /// Takes up the next link.
    fn chain(&mut self, first: RawPage) -> Result<(), DecodeError> {
        let (streams, pending) = headers(&mut self.pages, first)?;
        self.partial.clear();
        (self.sequence, self.granule, self.lost, self.pending) = (None, 0, false, pending);
        match streams.into_iter().find(|stream| stream.info(1).is_supported) {
            Some(stream) => {
                self.stream = stream;
                self.next_stream = true;
            }
            None => self.stream.serial = None,
        }
        Ok(())
    }
}

impl Source for Ogg {
    fn next(&mut self) -> Result<Next, DecodeError> {
        loop {
            if std::mem::take(&mut self.report_loss) {
                return Ok(Next::Lost(0));
            }
            if std::mem::take(&mut self.report_damage) {
                return Ok(Next::Damaged);
            }
            if let Some(packet) = self.packets.pop_front() {
                return Ok(Next::Packet(packet));
            }
            if std::mem::take(&mut self.next_stream) {
                let (params, skip) = (self.stream.params.clone(), self.stream.pre_skip);
                return Ok(Next::Stream(Box::new(params), skip));
            }
            if self.ended {
                return Ok(Next::End { early: self.cut });
            }
            let found = match self.pending.take() {
                Some(page) => Found::Page(page),
                None => self.pages.next()?,
            };
            match found {
                Found::Page(page) if page.is_damaged && !self.is_likely(&page) => {
                    self.lost = true;
                    return Ok(Next::Lost(0));
                }
                Found::Page(page) if page.is_first => self.chain(page)?,
                Found::Page(page) if Some(page.serial) == self.stream.serial => self.take_page(page),
                Found::Page(_) => {}
                Found::Damage => {
                    self.lost = true;
                    return Ok(Next::Lost(0));
                }
                Found::Cut(page) => {
                    (self.cut, self.ended) = (true, true);
                    if let Some(page) = page.filter(|page| Some(page.serial) == self.stream.serial) {
                        self.take_page(RawPage { is_damaged: false, ..page });
                    }
                }
                Found::End => self.ended = true,
            }
        }
    }
}

/// The positions that the pages of a file state.
#[derive(Debug, Default)]
pub(super) struct Lengths {
    /// Serial number, first and last position.
    streams: Vec<(u32, i64, i64)>,
    /// Whether the pages are contiguous and belong to one link.
    is_plain: bool,
}

impl Lengths {
    /// Returns the length of a stream in frames, if the pages state it.
    pub(super) fn of(&self, stream: &OggStream) -> Option<u64> {
        let (_, first, last) = self.streams.iter().find(|(serial, ..)| Some(*serial) == stream.serial)?;
        // A recording that starts in the middle of a broadcast counts from the start of the broadcast.
        let from_start = *first <= 5 * i64::from(stream.params.sample_rate?);
        let last = u64::try_from(*last).ok().filter(|_| self.is_plain && from_start)?;
        Some(last.saturating_sub(stream.pre_skip)).filter(|&frames| frames > 0)
    }
}

/// Walks over the headers of all pages.
pub(super) fn lengths(file: &mut InputFile, start: u64) -> Result<Lengths, DecodeError> {
    let mut lengths = Lengths { is_plain: true, ..Lengths::default() };
    let mut at = start;
    loop {
        let (head, got) = file.peek::<27>(at)?;
        if got < 27 || !head.starts_with(b"OggS\0") {
            lengths.is_plain &= got == 0;
            return Ok(lengths);
        }
        let table = file.bytes(at + 27, usize::from(head[26]))?;
        at += 27 + table.len() as u64 + table.iter().map(|&n| u64::from(n)).sum::<u64>();
        let granule = granule(&head);
        let serial = u32::from_le_bytes([head[14], head[15], head[16], head[17]]);
        // A stream that starts after others had positions is a second link.
        lengths.is_plain &= head[5] & 2 == 0 || lengths.streams.is_empty();
        if granule <= 0 {
            continue;
        }
        if let Some((_, _, last)) = lengths.streams.iter_mut().find(|(known, ..)| *known == serial) {
            *last = granule;
        } else if lengths.streams.len() < MAX_STREAMS {
            lengths.streams.push((serial, granule, granule));
        }
    }
}

fn granule(head: &[u8; 27]) -> i64 {
    let [_, _, _, _, _, _, a, b, c, d, e, f, g, h, ..] = *head;
    i64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// Continues the checksum of a page: CRC-32 with the polynomial 0x04c11db7, not reflected.
fn crc(crc: u32, bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut n = 0;
        while n < 256 {
            let mut value = (n as u32) << 24;
            let mut bit = 0;
            while bit < 8 {
                value = (value << 1) ^ (if value >> 31 == 1 { 0x04c1_1db7 } else { 0 });
                bit += 1;
            }
            table[n] = value;
            n += 1;
        }
        table
    };
    bytes.iter().fold(crc, |crc, &byte| {
        let index = usize::from(crc.to_be_bytes()[0] ^ byte);
        (crc << 8) ^ TABLE.get(index).copied().unwrap_or(0)
    })
}

#[cfg(all(test, feature = "tags"))]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// A page of whole packets of less than 255 bytes.
    fn page(serial: u32, sequence: u32, flags: u8, packets: &[&[u8]]) -> Vec<u8> {
        let mut page =
            [b"OggS\0".as_slice(), &[flags], &[0; 8], &serial.to_le_bytes(), &sequence.to_le_bytes(), &[0; 4]].concat();
        page.push(packets.len() as u8);
        page.extend(packets.iter().map(|packet| packet.len() as u8));
        page.extend(packets.concat());
        let sum = crc(0, &page);
        page[22..26].copy_from_slice(&sum.to_le_bytes());
        page
    }

    fn head_of(pages: &[Vec<u8>]) -> Option<Vec<u8>> {
        let bytes = pages.concat();
        let len = bytes.len() as u64;
        flac_head(InputFile::new(Box::new(Cursor::new(bytes)), len)).expect("readable pages")
    }

    #[test]
    fn headers_of_flac_become_the_start_of_a_flac_file() {
        let first = [b"\x7fFLAC\x01\0\0\x02fLaC\0\0\0\x22".as_slice(), &[7; 34]].concat();
        let (comments, picture, sound) = (b"\x04\0\0\x02ab", b"\x06\0\0\x01c", b"\xff\xf8sound");
        let video = page(1, 0, 2, &[b"\x80theora"]);
        let found = head_of(&[video, page(2, 0, 2, &[&first]), page(2, 1, 0, &[comments, picture, sound])]);
        let expected = [&first[9..], comments, b"\x86\0\0\x01c"].concat();
        assert_eq!(found, Some(expected));
        // Without other headers, the first block is the last.
        let alone = head_of(&[page(2, 0, 2, &[&first]), page(2, 1, 0, &[sound])]);
        assert_eq!(alone, Some([b"fLaC\x80\0\0\x22".as_slice(), &[7; 34]].concat()));
        assert_eq!(head_of(&[page(1, 0, 2, &[b"OpusHead"])]), None);
    }
}

//! Reads the tags of Matroska and WebM, which lofty does not know.

use std::io::{Read, Seek, SeekFrom};

use super::{Cover, SongTags, line};

const EBML: u32 = 0x1a45_dfa3;
const SEGMENT: u32 = 0x1853_8067;
const INFO: u32 = 0x1549_a966;
const INFO_TITLE: u32 = 0x7ba9;
const TAGS: u32 = 0x1254_c367;
const TAG: u32 = 0x7373;
const SIMPLE_TAG: u32 = 0x67c8;
const TAG_NAME: u32 = 0x45a3;
const TAG_STRING: u32 = 0x4487;
const ATTACHMENTS: u32 = 0x1941_a469;
const ATTACHED_FILE: u32 = 0x61a7;
const FILE_DATA: u32 = 0x465c;

/// The most bytes of an element that is read.
const MAX_ELEMENT_BYTES: u64 = 16 << 20;
/// The most elements of a segment that are visited. A long film has some thousands.
const MAX_ELEMENTS: u32 = 1 << 17;

pub(super) fn read(mut file: impl Read + Seek) -> Option<SongTags> {
    let len = file.seek(SeekFrom::End(0)).ok()?;
    let header = Element::at(&mut file, 0).filter(|element| element.id == EBML)?;
    let segment = Element::at(&mut file, header.end()?).filter(|element| element.id == SEGMENT)?;
    let end = segment.end().map_or(len, |end| end.min(len));
    let mut tags = SongTags::default();
    let mut at = segment.body;
    for _ in 0..MAX_ELEMENTS {
        let Some(element) = Element::at(&mut file, at).filter(|_| at < end) else { break };
        if matches!(element.id, INFO | TAGS | ATTACHMENTS) {
            let Some(bytes) = element.read(&mut file) else { break };
            collect(&mut tags, element.id, &bytes);
        }
        // A live recording has clusters without a size; its tags come before them.
        let Some(next) = element.end() else { break };
        at = next;
    }
    Some(tags)
}

fn collect(tags: &mut SongTags, id: u32, bytes: &[u8]) {
    match id {
        INFO => {
            let title = children(bytes).find(|(id, _)| *id == INFO_TITLE);
            tags.title = title.and_then(|(_, title)| text(title)).or(tags.title.take());
        }
        TAGS => {
            for (_, tag) in children(bytes).filter(|(id, _)| *id == TAG) {
                for (_, simple) in children(tag).filter(|(id, _)| *id == SIMPLE_TAG) {
                    let field =
                        |wanted| children(simple).find(|(id, _)| *id == wanted).and_then(|(_, bytes)| text(bytes));
                    if let (Some(name), Some(value)) = (field(TAG_NAME), field(TAG_STRING)) {
                        add(tags, &name.to_ascii_uppercase(), value);
                    }
                }
            }
        }
        _ => {
            let files = children(bytes).filter(|(id, _)| *id == ATTACHED_FILE);
            let data = files.filter_map(|(_, file)| children(file).find(|(id, _)| *id == FILE_DATA));
            tags.cover = tags.cover.take().or_else(|| data.map(|(_, data)| data).find_map(Cover::new));
        }
    }
}

/// Adds a field. The first value of a name counts, since files repeat their tags for each track.
fn add(tags: &mut SongTags, name: &str, value: String) {
    let text = match name {
        "TITLE" => &mut tags.title,
        "ARTIST" => &mut tags.artist,
        "ALBUM" => &mut tags.album,
        "ALBUM_ARTIST" | "ALBUMARTIST" => &mut tags.album_artist,
        "GENRE" => &mut tags.genre,
        "DATE" | "DATE_RELEASED" | "DATE_RECORDED" | "YEAR" => &mut tags.date,
        "TRACK" | "TRACKNUMBER" | "PART_NUMBER" => return numbers(&value, &mut tags.track, &mut tags.track_total),
        "DISC" | "DISCNUMBER" => return numbers(&value, &mut tags.disc, &mut tags.disc_total),
        _ => return,
    };
    text.get_or_insert(value);
}

/// Reads a number such as `4`, or `4/11` with a total.
fn numbers(value: &str, number: &mut Option<u32>, total: &mut Option<u32>) {
    let mut parts = value.split('/').map(|part| part.trim().parse().ok().filter(|&number| number > 0));
    *number = number.or(parts.next().flatten());
    *total = total.or(parts.next().flatten());
}

fn text(bytes: &[u8]) -> Option<String> {
    line(&String::from_utf8_lossy(bytes))
}

/// An element's header in a file.
struct Element {
    id: u32,
    body: u64,
    /// `None` if the header states no size.
    size: Option<u64>,
}

impl Element {
    fn at(file: &mut (impl Read + Seek), at: u64) -> Option<Self> {
        file.seek(SeekFrom::Start(at)).ok()?;
        let mut head = Vec::new();
        file.take(12).read_to_end(&mut head).ok()?;
        let (id, size, length) = header(&head)?;
        Some(Self { id, body: at.checked_add(length as u64)?, size })
    }

    fn end(&self) -> Option<u64> {
        self.body.checked_add(self.size?)
    }

    fn read(&self, file: &mut (impl Read + Seek)) -> Option<Vec<u8>> {
        let size = self.size.filter(|&size| size <= MAX_ELEMENT_BYTES)?;
        file.seek(SeekFrom::Start(self.body)).ok()?;
        let mut bytes = Vec::new();
        file.take(size).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }
}

/// Returns the elements in these bytes. A damaged one ends them.
fn children(mut bytes: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    std::iter::from_fn(move || {
        let (id, size, length) = header(bytes)?;
        let size = usize::try_from(size?).ok()?;
        let (body, rest) = bytes.get(length..)?.split_at_checked(size)?;
        bytes = rest;
        Some((id, body))
    })
}

/// Returns an element's id, its size if it states one, and the length of this header.
fn header(bytes: &[u8]) -> Option<(u32, Option<u64>, usize)> {
    let id_bytes = bytes.first()?.leading_zeros() as usize + 1;
    let id = bytes.get(..id_bytes).filter(|id| id.len() <= 4)?;
    let id = id.iter().fold(0, |id, byte| (id << 8) | u32::from(*byte));
    let size_bytes = bytes.get(id_bytes)?.leading_zeros() as usize + 1;
    let size = bytes.get(id_bytes..id_bytes + size_bytes).filter(|size| size.len() <= 8)?;
    let size = size.iter().fold(0, |size, byte| (size << 8) | u64::from(*byte));
    let most = (1 << (7 * size_bytes)) - 1;
    let size = size & most;
    Some((id, (size != most).then_some(size), id_bytes + size_bytes))
}

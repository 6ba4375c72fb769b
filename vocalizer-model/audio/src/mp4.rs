//! Reads the boxes of MP4 and M4A that the demuxer ignores: whether the file is complete, which track is the default,
//! and the encoder's delay and padding (in an edit list, or in the `iTunSMPB` comment that iTunes writes).

use super::boxes::{Boxes, be32, be64, find};
use super::chunk_table::ChunkTable;
use super::error::DecodeError;
use super::input_file::InputFile;
use super::limits::AudioLimits;
use super::sample_entry::SampleEntry;

/// Tracks beyond this number are ignored.
const MAX_TRACKS: usize = 64;

/// The range of the decoded frames that is the song.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gapless {
    /// Ticks to drop at the start.
    pub(super) skip: u64,
    /// Ticks to keep after those, if stated.
    pub(super) total: Option<u64>,
    /// The maximum error of `total`: an edit list counts in the movie's coarser ticks.
    pub(super) slack: u64,
    /// Ticks per second.
    pub(super) timescale: u32,
}

/// An index of a movie: its sound tracks, and whether the file is complete.
#[derive(Debug, Default, Clone)]
pub(super) struct Movie {
    pub(super) tracks: Vec<SoundTrack>,
    /// Whether the file ends in the middle of a box.
    pub(super) cut: bool,
    /// Whether each fragment has its own index, so that the first does not state the length of the song.
    pub(super) is_indexed_in_parts: bool,
}

/// A sound track.
#[derive(Debug, Default, Clone)]
pub(super) struct SoundTrack {
    pub(super) id: u32,
    /// Whether the track is enabled; players play the first of those.
    pub(super) is_enabled: bool,
    pub(super) language: Option<String>,
    /// The four letters that name the codec.
    pub(super) codec: [u8; 4],
    pub(super) entry: SampleEntry,
    /// The place of the description in the index.
    entry_at: usize,
    /// Where the packets are, if all have the same size.
    pub(super) chunks: Option<ChunkTable>,
    pub(super) gapless: Gapless,
}

#[derive(Debug, Default)]
struct Track {
    is_sound: bool,
    sound: SoundTrack,
    timescale: u32,
    /// Length in the movie's ticks, and start in the track's ticks.
    edits: Vec<(u64, i64)>,
}

/// Reads the boxes of the file: how complete it is, and what the index says about the sound tracks.
pub(super) fn check(file: &mut InputFile, start: u64, limits: &AudioLimits) -> Result<Movie, DecodeError> {
    let mut at = start;
    let mut movie: Option<(u64, Vec<u8>)> = None;
    let mut fragment_samples = 0;
    let (mut cut, mut is_indexed_in_parts) = (false, false);
    while at < file.len_bytes() {
        let (head, got) = file.peek::<16>(at)?;
        if got < 8 {
            break;
        }
        let kind = [head[4], head[5], head[6], head[7]];
        if !kind.iter().all(|b| b.is_ascii_graphic() || matches!(b, b' ' | 0xa9)) {
            cut = movie.is_some();
            break;
        }
        let size = match u32::from_be_bytes([head[0], head[1], head[2], head[3]]) {
            0 => file.len_bytes() - at,
            1 => be64(&head, 8).unwrap_or(0),
            size => u64::from(size),
        };
        if size < 8 {
            return Err(DecodeError::Malformed(format!("a box states a size of {size} bytes")));
        }
        let there = file.len_bytes() - at;
        if size > there {
            if &kind == b"moov" {
                let what = format!("the index (the `moov` box) states {size} bytes, but only {there} follow");
                return Err(DecodeError::Truncated(what));
            }
            cut = true;
            shorten(file, at, &head, &kind);
            break;
        }
        if &kind == b"moov" {
            limits.check_metadata(size)?;
            let head_bytes = if head.starts_with(&[0, 0, 0, 1]) { 16 } else { 8 };
            let body_bytes = usize::try_from(size.saturating_sub(head_bytes)).unwrap_or(0);
            movie = Some((at + head_bytes, file.bytes(at + head_bytes, body_bytes)?));
        }
        if &kind == b"moof" {
            limits.check_metadata(size)?;
            fragment_samples += samples_of(&file.bytes(at + 8, usize::try_from(size - 8).unwrap_or(0))?);
            if fragment_samples > file.len_bytes() {
                let what =
                    format!("the fragments state at least {fragment_samples} samples, more than the file can hold");
                return Err(DecodeError::Malformed(what));
            }
        }
        is_indexed_in_parts |= &kind == b"sidx" && fragment_samples > 0;
        at += size;
    }
    let Some((movie_at, movie)) = movie else {
        return Err(DecodeError::Truncated("the index (the `moov` box) is missing".into()));
    };
    let tracks = sound_tracks(&movie);
    for track in tracks.iter().filter(|track| track.entry.params.is_some()) {
        // The demuxer refuses the whole file for some of these descriptions; it passes over those of unknown codecs.
        file.replace(movie_at + track.entry_at as u64 + 4, b"none".to_vec());
    }
    Ok(Movie { tracks, cut, is_indexed_in_parts })
}

/// Makes the last box, which the file cuts off, fit into the file: the demuxer accepts no other.
fn shorten(file: &mut InputFile, at: u64, head: &[u8; 16], kind: &[u8; 4]) {
    let there = file.len_bytes() - at;
    match (kind, u32::try_from(there)) {
        (b"mdat", _) if head.starts_with(&[0, 0, 0, 1]) => file.replace(at + 8, there.to_be_bytes().to_vec()),
        (b"mdat", Ok(size)) => file.replace(at, size.to_be_bytes().to_vec()),
        _ => file.narrow(0, at),
    }
}

/// Returns how many samples the runs of a fragment state. The demuxer loops over them even if nothing is stored for
/// each, so a few bytes could keep it busy for long. Searches the whole fragment for runs, since the demuxer skips
/// damaged boxes in its own way.
fn samples_of(fragment: &[u8]) -> u64 {
    let runs = fragment.windows(12).filter(|run| run.starts_with(b"trun"));
    runs.filter_map(|run| be32(run, 8)).map(u64::from).sum()
}

fn sound_tracks(movie: &[u8]) -> Vec<SoundTrack> {
    let mut movie_timescale = 0;
    let mut tracks = Vec::new();
    let mut comment = None;
    for (kind, body) in Boxes(movie) {
        match &kind {
            b"mvhd" => movie_timescale = timescale(body).unwrap_or(0),
            b"trak" => tracks.push(read_track(body)),
            b"udta" => comment = comment.or_else(|| itunes_comment(body)),
            _ => {}
        }
    }
    let mut sounds = Vec::new();
    for track in tracks.into_iter().filter(|track| track.is_sound).take(MAX_TRACKS) {
        // The comment is about the song, which is the first track.
        let gapless = gapless(&track, movie_timescale, comment.filter(|_| sounds.is_empty()));
        // The description is a part of the index.
        let entry_at = track.sound.entry_at.saturating_sub(movie.as_ptr().addr());
        sounds.push(SoundTrack { gapless, entry_at, ..track.sound });
    }
    sounds
}

fn gapless(track: &Track, movie_timescale: u32, comment: Option<(u64, u64)>) -> Gapless {
    let plain = Gapless { timescale: track.timescale, ..Gapless::default() };
    if let Some((skip, total)) = comment {
        return Gapless { skip, total: Some(total), ..plain };
    }
    // A single edit states delay and padding. Several edits are a cut film, which is decoded without them.
    let mut shown = track.edits.iter().filter(|(_, start)| *start >= 0);
    let (Some(&(length, start)), None) = (shown.next(), shown.next()) else { return plain };
    let total = (length > 0 && movie_timescale > 0).then(|| {
        let ticks = u128::from(length) * u128::from(track.timescale) / u128::from(movie_timescale);
        u64::try_from(ticks).unwrap_or(u64::MAX)
    });
    let slack = u64::from(track.timescale.div_ceil(movie_timescale.max(1)));
    Gapless { skip: u64::try_from(start).unwrap_or(0), total, slack, ..plain }
}

fn read_track(track: &[u8]) -> Track {
    let mut found = Track::default();
    for (kind, body) in Boxes(track) {
        match &kind {
            b"tkhd" => {
                found.sound.is_enabled = body.get(3).is_some_and(|flags| flags & 1 != 0);
                found.sound.id = be32(body, if body.first() == Some(&1) { 20 } else { 12 }).unwrap_or(0);
            }
            b"edts" => {
                for (_, list) in Boxes(body).filter(|(kind, _)| kind == b"elst") {
                    found.edits = edits(list);
                }
            }
            b"mdia" => read_media(body, &mut found),
            _ => {}
        }
    }
    found
}

fn read_media(media: &[u8], found: &mut Track) {
    for (kind, body) in Boxes(media) {
        match &kind {
            b"mdhd" => {
                found.timescale = timescale(body).unwrap_or(0);
                found.sound.language = language(body);
            }
            b"hdlr" => found.is_sound = body.get(8..12) == Some(b"soun"),
            b"minf" => {
                let table = find(body, b"stbl").unwrap_or_default();
                let entries = find(table, b"stsd").and_then(|body| body.get(8..));
                if let Some((codec, entry)) = entries.and_then(|entries| Boxes(entries).next()) {
                    found.sound.codec = codec;
                    found.sound.entry_at = entries.map_or(0, |entries| entries.as_ptr().addr());
                    found.sound.entry = SampleEntry::read(&codec, entry, found.timescale);
                    found.sound.chunks = found.sound.entry.packets.and_then(|packets| ChunkTable::read(table, packets));
                }
            }
            _ => {}
        }
    }
}

/// Returns the language of a media header: three letters of five bits each. "und" and QuickTime's numbers are unknown.
fn language(header: &[u8]) -> Option<String> {
    let at = if header.first() == Some(&1) { 32 } else { 20 };
    let packed = be32(header, at)? >> 16;
    let letters = [packed >> 10 & 31, packed >> 5 & 31, packed & 31];
    let name: String =
        letters.iter().filter_map(|&n| char::from_u32(n + 0x60)).filter(char::is_ascii_lowercase).collect();
    (name.len() == 3 && name != "und").then_some(name)
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

/// Reads `udta/meta/ilst/----` named `iTunSMPB`: " 00000000 00000840 000001CA 00000000003F31F6 ...": delay, padding,
/// length.
fn itunes_comment(user_data: &[u8]) -> Option<(u64, u64)> {
    let items = find(find(user_data, b"meta")?.get(4..)?, b"ilst")?;
    Boxes(items).filter(|(kind, _)| kind == b"----").find_map(|(_, item)| {
        if find(item, b"name")?.get(4..)? != b"iTunSMPB" {
            return None;
        }
        let text = std::str::from_utf8(find(item, b"data")?.get(8..)?).ok()?;
        let mut numbers = text.split_whitespace().skip(1).map(|n| u64::from_str_radix(n, 16));
        let (delay, _padding, total) = (numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?);
        (total > 0).then_some((delay, total))
    })
}

fn timescale(body: &[u8]) -> Option<u32> {
    be32(body, if body.first() == Some(&1) { 20 } else { 12 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn box_of(kind: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
        let body = parts.concat();
        let size = u32::try_from(body.len() + 8).expect("a small box");
        [size.to_be_bytes().as_slice(), kind, &body].concat()
    }

    /// A movie in ms with one sound track of 44,100 ticks per second.
    fn movie(edits: &[(u32, i32)], comment: Option<&str>) -> Vec<u8> {
        let time = |scale: u32| [[0; 12].as_slice(), &scale.to_be_bytes(), &[0; 8]].concat();
        let count = u32::try_from(edits.len()).expect("few edits");
        let mut list = [[0; 4], count.to_be_bytes()].concat();
        for (length, start) in edits {
            list.extend([length.to_be_bytes(), start.to_be_bytes(), [0, 1, 0, 0]].concat());
        }
        let media =
            box_of(b"mdia", &[&box_of(b"mdhd", &[&time(44_100)]), &box_of(b"hdlr", &[&[0; 8], b"soun", &[0; 13]])]);
        let track = box_of(b"trak", &[&box_of(b"edts", &[&box_of(b"elst", &[&list])]), &media]);
        let mut movie = [box_of(b"mvhd", &[&time(1_000)]), track].concat();
        if let Some(text) = comment {
            let name = box_of(b"name", &[&[0; 4], b"iTunSMPB"]);
            let data = box_of(b"data", &[&[0; 8], text.as_bytes()]);
            let item = box_of(b"----", &[&box_of(b"mean", &[&[0; 4], b"com.apple.iTunes"]), &name, &data]);
            let meta = box_of(b"meta", &[&[0; 4], &box_of(b"ilst", &[&item])]);
            movie.extend(box_of(b"udta", &[&meta]));
        }
        movie
    }

    fn first(movie: &[u8]) -> Gapless {
        sound_tracks(movie).first().expect("a sound track").gapless
    }

    #[test]
    fn single_edit_gives_delay_and_length() {
        let found = first(&movie(&[(2_000, 1_024)], None));
        assert_eq!(found, Gapless { skip: 1_024, total: Some(88_200), slack: 45, timescale: 44_100 });
    }

    #[test]
    fn empty_and_multiple_edits_are_ignored() {
        let plain = Gapless { timescale: 44_100, ..Gapless::default() };
        assert_eq!(first(&movie(&[], None)), plain);
        assert_eq!(first(&movie(&[(10, 0), (20, 500)], None)), plain);
        assert_eq!(first(&movie(&[(10, -1), (1_000, 2_112)], None)).skip, 2_112);
    }

    #[test]
    fn itunes_comment_overrides_edit_list() {
        let text = " 00000000 00000840 000001CA 00000000003F31F6 00000000 00000000";
        let found = first(&movie(&[(2_000, 1_024)], Some(text)));
        assert_eq!((found.skip, found.total), (0x840, Some(0x3f_31f6)));
        let broken = first(&movie(&[(2_000, 1_024)], Some("nothing of the kind")));
        assert_eq!(broken.skip, 1_024);
    }
}

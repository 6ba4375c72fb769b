//! Checks the header of a FLAC file, corrects block sizes that the demuxer refuses, and finds the end of the stream.

use std::io::Cursor;

use flac_codec::metadata::{Streaminfo, read_info};
use flac_codec::stream::{Frame, FrameHeader};

use super::error::DecodeError;
use super::guard::guard;
use super::input_file::InputFile;
use super::limits::AudioLimits;
use super::tail;

const MAX_BLOCKS: u32 = 4_096;
/// The smallest block that the demuxer accepts in the header.
const LEAST_BLOCK: u16 = 16;
/// How far before the end of the file the last frame may start.
const WINDOW: usize = 1 << 20;
/// How many frame headers to follow there. Other bytes rarely look like one.
const MAX_TRIES: u32 = 32;

/// The type of the block with the comments.
const COMMENTS: u8 = 4;
/// The comment with the positions of the channels, where they are not the usual ones.
const MASK: &str = "WAVEFORMATEXTENSIBLE_CHANNEL_MASK=";

/// Checks that the metadata blocks fit into the file, and the values of STREAMINFO. Returns the positions of the channels, as a
/// mask of WAV, if the comments state them.
pub(super) fn check(file: &mut InputFile, start: u64, limits: &AudioLimits) -> Result<Option<u32>, DecodeError> {
    let mut at = start + 4;
    let mut all_bytes = 0;
    let mut mask = None;
    for n in 0..MAX_BLOCKS {
        let head = file.take::<4>(at)?;
        let size = u32::from_be_bytes([0, head[1], head[2], head[3]]);
        if n == 0 {
            if head[0] & 0x7f != 0 || size != 34 {
                return Err(DecodeError::Malformed("the first metadata block is not STREAMINFO".into()));
            }
            let info = file.take::<34>(at + 4)?;
            let rate_hz = u32::from_be_bytes([0, info[10], info[11], info[12]]) >> 4;
            limits.check_rate(rate_hz)?;
            limits.check_channels(usize::from((info[12] >> 1) & 7) + 1)?;
        }
        all_bytes += u64::from(size);
        limits.check_metadata(all_bytes)?;
        if head[0] & 0x7f == COMMENTS {
            mask = mask.or(mask_in(&file.bytes(at + 4, usize::try_from(size).unwrap_or(0))?));
        }
        at += 4 + u64::from(size);
        if at > file.len_bytes() {
            return Err(DecodeError::Truncated("the file ends inside its header".into()));
        }
        if head[0] & 0x80 != 0 {
            correct_blocks(file, start + 8, at)?;
            cut(file, start + 8, at)?;
            return Ok(mask);
        }
    }
    Err(DecodeError::Malformed("the header has no last block".into()))
}

/// Returns STREAMINFO from metadata blocks.
pub(super) fn info(metadata: &[u8]) -> Option<&[u8]> {
    blocks(metadata).find(|(kind, block)| *kind == 0 && block.len() == 34).map(|(_, block)| block)
}

/// Returns the positions of the channels that the comments in metadata blocks state.
pub(super) fn mask(metadata: &[u8]) -> Option<u32> {
    blocks(metadata).filter(|(kind, _)| *kind == COMMENTS).find_map(|(_, block)| mask_in(block))
}

/// Iterates over metadata blocks: their type and their content.
fn blocks(metadata: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = metadata;
    std::iter::from_fn(move || {
        let (&[kind, a, b, c], after) = rest.split_first_chunk::<4>()?;
        let size = usize::try_from(u32::from_be_bytes([0, a, b, c])).ok()?;
        let (block, after) = after.split_at_checked(size)?;
        rest = after;
        Some((kind & 0x7f, block))
    })
}

/// Returns the positions of the channels from a block of comments.
pub(super) fn mask_in(comments: &[u8]) -> Option<u32> {
    let next = |rest: &mut &[u8]| {
        let (size, after) = rest.split_first_chunk::<4>()?;
        let (text, after) = after.split_at_checked(usize::try_from(u32::from_le_bytes(*size)).ok()?)?;
        *rest = after;
        Some(text.to_owned())
    };
    let mut rest = comments;
    next(&mut rest)?;
    // Their number, which the end of the block also tells.
    rest = rest.get(4..)?;
    std::iter::from_fn(|| next(&mut rest)).find_map(|comment| {
        let comment = String::from_utf8(comment).ok()?;
        let (name, value) = comment.split_at_checked(MASK.len())?;
        let digits = value.trim().strip_prefix("0x").or_else(|| value.trim().strip_prefix("0X"));
        let mask = digits.map_or_else(|| value.trim().parse().ok(), |digits| u32::from_str_radix(digits, 16).ok());
        mask.filter(|_| name.eq_ignore_ascii_case(MASK))
    })
}

/// Corrects block sizes in STREAMINFO at `info_at` that contradict the first frame at `first`.
fn correct_blocks(file: &mut InputFile, info_at: u64, first: u64) -> Result<(), DecodeError> {
    let info = file.take::<34>(info_at)?;
    let stated = (u16::from_be_bytes([info[0], info[1]]), u16::from_be_bytes([info[2], info[3]]));
    let (mut least, mut most) = stated;
    // The parser checks blocks against the very numbers that may be wrong.
    let parsed = Streaminfo { minimum_block_size: LEAST_BLOCK, maximum_block_size: u16::MAX, ..streaminfo(&info)? };
    let head = file.bytes(first, 32)?;
    let header = guard(|| Ok(FrameHeader::read(&mut Cursor::new(&head), &parsed).ok()))?;
    match header {
        // All blocks have the same size, except for the last, which may be the first.
        Some(header) if !header.blocking_strategy => {
            let block = most.max(u16::from(header.block_size)).max(LEAST_BLOCK);
            (least, most) = (block, block);
        }
        // The demuxer takes equal numbers for equal blocks.
        Some(header) => {
            most = most.max(u16::from(header.block_size)).max(LEAST_BLOCK + 1);
            least = least.clamp(LEAST_BLOCK, most - 1);
        }
        None => {
            least = least.max(LEAST_BLOCK);
            most = most.max(least);
        }
    }
    if (least, most) != stated {
        file.replace(info_at, [least.to_be_bytes(), most.to_be_bytes()].concat());
    }
    Ok(())
}

/// Cuts off what follows the last frame, if that frame is the end of the song.
fn cut(file: &mut InputFile, info_at: u64, first: u64) -> Result<(), DecodeError> {
    let end = tail::start(file)?;
    if end < file.len_bytes() && end > first {
        file.narrow(0, end);
    }
    let info = streaminfo(&file.take::<34>(info_at)?)?;
    let from = file.len_bytes().saturating_sub(WINDOW as u64).max(first);
    let window = file.bytes(from, WINDOW)?;
    let mut tries = 0;
    for (at, mark) in window.windows(2).enumerate().rev() {
        if tries == MAX_TRIES {
            break;
        }
        if mark[0] != 0xff || mark[1] & 0xfe != 0xf8 {
            continue;
        }
        let bytes = window.get(at..).unwrap_or_default();
        let Some(header) = guard(|| Ok(FrameHeader::read(&mut Cursor::new(bytes), &info).ok()))? else { continue };
        tries += 1;
        let mut frame = Cursor::new(bytes);
        if guard(|| Ok(Frame::read(&mut frame, &info).is_err()))? {
            continue;
        }
        let block = u64::from(u16::from(header.block_size));
        let before = header.frame_number.0;
        let before = if header.blocking_strategy { before } else { before * u64::from(info.maximum_block_size) };
        if info.total_samples.is_none_or(|total| before + block >= total.get()) {
            file.narrow(0, from + at as u64 + frame.position());
        }
        break;
    }
    Ok(())
}

fn streaminfo(bytes: &[u8; 34]) -> Result<Streaminfo, DecodeError> {
    let header = [b"fLaC\x80\0\0\x22".as_slice(), bytes].concat();
    read_info(Cursor::new(header)).map_err(|_| DecodeError::Malformed("STREAMINFO is invalid".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comments(all: &[&str]) -> Vec<u8> {
        let number = |number: usize| (number as u32).to_le_bytes();
        let text = |text: &str| [number(text.len()).as_slice(), text.as_bytes()].concat();
        let texts: Vec<u8> = all.iter().flat_map(|&comment| text(comment)).collect();
        [text("an encoder"), number(all.len()).to_vec(), texts].concat()
    }

    #[test]
    fn a_comment_states_the_positions_of_the_channels() {
        for (value, mask) in [("0xF", Some(15)), ("0x60f", Some(0x60f)), (" 51 ", Some(51)), ("quad", None), ("", None)]
        {
            let block = comments(&["TITLE=a", &format!("WaveFormatExtensible_Channel_Mask={value}")]);
            assert_eq!(mask_in(&block), mask, "{value}");
            let size = (block.len() as u32).to_be_bytes();
            let head = [b"\x00\0\0\x22".as_slice(), &[5; 34], &[0x84], &size[1..], &block].concat();
            assert_eq!((super::mask(&head), info(&head)), (mask, Some([5; 34].as_slice())), "{value}");
        }
        assert_eq!(mask_in(&comments(&["TITLE=ä€", "ARTIST=b"])), None);
        assert_eq!(mask_in(&[0xff; 30]), None);
    }
}

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

/// Checks that the metadata blocks fit into the file, and the values of STREAMINFO.
pub(super) fn check(file: &mut InputFile, start: u64, limits: &AudioLimits) -> Result<(), DecodeError> {
    let mut at = start + 4;
    let mut all_bytes = 0;
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
        at += 4 + u64::from(size);
        if at > file.len_bytes() {
            return Err(DecodeError::Truncated("the file ends inside its header".into()));
        }
        if head[0] & 0x80 != 0 {
            correct_blocks(file, start + 8, at)?;
            return cut(file, start + 8, at);
        }
    }
    Err(DecodeError::Malformed("the header has no last block".into()))
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

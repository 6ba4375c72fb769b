//! Checks the headers of WAV and AIFF against the limits and the size of the file.

use super::error::DecodeError;
use super::input_file::InputFile;
use super::limits::AudioLimits;

/// The maximum number of chunks before the samples; a valid file has a handful.
const MAX_CHUNKS: u32 = 4_096;

/// Checks the header of a WAV file.
pub(super) fn check_wav(file: &mut InputFile, start: u64, limits: &AudioLimits) -> Result<(), DecodeError> {
    let mut format_seen = false;
    walk(file, start, u32::from_le_bytes, limits, |file, id, body, size| match id {
        b"fmt " => {
            let head = file.take::<16>(body)?;
            let channels = u16::from_le_bytes([head[2], head[3]]);
            let rate_hz = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
            limits.check_channels(usize::from(channels))?;
            limits.check_rate(rate_hz)?;
            format_seen = true;
            Ok(false)
        }
        b"data" => {
            if !format_seen {
                return Err(DecodeError::Malformed("the samples come before the fmt chunk that describes them".into()));
            }
            check_samples(file, body, u64::from(size))?;
            Ok(true)
        }
        _ => Ok(false),
    })
}

/// Checks the header of an AIFF or AIFF-C file.
pub(super) fn check_aiff(file: &mut InputFile, start: u64, limits: &AudioLimits) -> Result<(), DecodeError> {
    let mut format_seen = false;
    walk(file, start, u32::from_be_bytes, limits, |file, id, body, size| match id {
        b"COMM" => {
            let head = file.take::<18>(body)?;
            limits.check_channels(usize::from(u16::from_be_bytes([head[0], head[1]])))?;
            limits.check_rate(extended_hz(&head))?;
            format_seen = true;
            Ok(false)
        }
        b"SSND" => {
            if !format_seen {
                return Err(DecodeError::Malformed("the samples come before the COMM chunk".into()));
            }
            check_samples(file, body, u64::from(size))?;
            Ok(true)
        }
        _ => Ok(false),
    })
}

/// Visits the chunks until `visit` returns true, which means that it found the samples.
fn walk(
    file: &mut InputFile,
    start: u64,
    number: fn([u8; 4]) -> u32,
    limits: &AudioLimits,
    mut visit: impl FnMut(&mut InputFile, &[u8; 4], u64, u32) -> Result<bool, DecodeError>,
) -> Result<(), DecodeError> {
    let mut at = start + 12;
    let mut other_bytes = 0_u64;
    for _ in 0..MAX_CHUNKS {
        if at >= file.len_bytes() {
            break;
        }
        let head = file.take::<8>(at)?;
        let id = [head[0], head[1], head[2], head[3]];
        let size = number([head[4], head[5], head[6], head[7]]);
        if visit(file, &id, at + 8, size)? {
            return Ok(());
        }
        other_bytes = other_bytes.saturating_add(u64::from(size));
        limits.check_metadata(other_bytes)?;
        at = at + 8 + u64::from(size) + u64::from(size & 1);
        if at > file.len_bytes() + 1 {
            return Err(DecodeError::Truncated("the file ends before its samples".into()));
        }
    }
    Err(DecodeError::Truncated("no samples after the header".into()))
}

fn check_samples(file: &InputFile, body: u64, stated: u64) -> Result<(), DecodeError> {
    let there = file.len_bytes().saturating_sub(body);
    if stated > there {
        return Err(DecodeError::Truncated(format!(
            "the header states {stated} bytes of samples, but the file has {there}"
        )));
    }
    if stated == 0 {
        return Err(DecodeError::Empty("the audio has no samples"));
    }
    Ok(())
}

/// Returns the 80-bit float at byte 8 of a COMM chunk in whole Hz, or 0 if it is not positive.
fn extended_hz(head: &[u8; 18]) -> u32 {
    let exponent = u16::from_be_bytes([head[8], head[9]]);
    let mantissa = u64::from_be_bytes([head[10], head[11], head[12], head[13], head[14], head[15], head[16], head[17]]);
    if exponent & 0x8000 != 0 || mantissa == 0 {
        return 0;
    }
    let shift = 16_383 + 63 - i32::from(exponent);
    match u32::try_from(shift) {
        Ok(shift) if shift < 64 => u32::try_from(mantissa >> shift).unwrap_or(u32::MAX),
        Ok(_) => 0,
        Err(_) => u32::MAX,
    }
}

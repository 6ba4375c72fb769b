//! The descriptions of sound in MP4 and QuickTime that symphonia does not know or reads in part: PCM, ADPCM, ALAC, and the
//! positions of the channels of FLAC.

use symphonia::core::codecs::audio::well_known as id;
use symphonia::core::codecs::audio::{AudioCodecId, AudioCodecParameters};

use super::adpcm;
use super::boxes::{be32, be64, find};
use super::flac;
use super::layout;
use super::riff::{self, integer};

/// What a description says.
#[derive(Debug, Default, Clone)]
pub(super) struct SampleEntry {
    pub(super) channels: u16,
    /// The parameters for the decoder, or what is not supported. `None` if symphonia reads the description.
    pub(super) params: Option<Result<AudioCodecParameters, String>>,
    /// The bytes and frames of each packet, if all have the same.
    pub(super) packets: Option<(u32, u32)>,
}

/// The fields of a description, whose version decides where they are.
struct Fields<'a> {
    rate_hz: u32,
    /// The bytes of a sample.
    width: u32,
    /// The flags of version 2.
    flags: u32,
    /// The boxes after the fields.
    boxes: &'a [u8],
}

impl SampleEntry {
    /// Reads a description: the four letters of the codec, and what follows them.
    pub(super) fn read(letters: &[u8; 4], entry: &[u8], timescale: u32) -> Self {
        let Some((fields, channels)) = fields(entry, timescale) else { return Self::default() };
        let mut found = Self { channels, ..Self::default() };
        // QuickTime has boxes of its own within `wave`.
        let wave = find(fields.boxes, b"wave").unwrap_or_default();
        let mut params = AudioCodecParameters::new();
        params.with_sample_rate(fields.rate_hz).with_channels(match find(fields.boxes, b"chan") {
            Some(chan) => layout::of_apple(chan.get(4..).unwrap_or_default(), channels),
            None => layout::of_mask(channels, None),
        });
        if letters == b"alac" {
            let cookie = find(wave, b"alac").or_else(|| find(fields.boxes, b"alac")).and_then(|cookie| cookie.get(4..));
            params.for_codec(id::CODEC_ID_ALAC).with_extra_data(cookie.unwrap_or_default().into());
            found.params = Some(Ok(params));
            return found;
        }
        if letters == b"fLaC" {
            let metadata = find(fields.boxes, b"dfLa").and_then(|metadata| metadata.get(4..)).unwrap_or_default();
            params.for_codec(id::CODEC_ID_FLAC).with_extra_data(flac::info(metadata).unwrap_or_default().into());
            params.with_channels(layout::of_mask(channels, flac::mask(metadata)));
            found.params = Some(Ok(params));
            return found;
        }
        let Some(found_codec) = codec(letters, &fields, wave, u32::from(channels)) else { return found };
        found.params = Some(found_codec.map(|(codec, packet_bytes, packet_frames)| {
            found.packets = Some((packet_bytes, packet_frames)).filter(|(bytes, frames)| *bytes > 0 && *frames > 0);
            params.for_codec(codec);
            params
        }));
        found
    }
}

#[expect(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "the conversion saturates")]
fn fields(entry: &[u8], timescale: u32) -> Option<(Fields<'_>, u16)> {
    let short =
        |at: usize| entry.get(at..).and_then(|bytes| bytes.first_chunk()).map(|bytes| u16::from_be_bytes(*bytes));
    let (version, channels, bits, rate_hz) = (short(8)?, short(16)?, short(18)?, short(24)?);
    // A rate that 16 bits cannot hold.
    let rate_hz = if rate_hz == 0 { timescale } else { rate_hz.into() };
    let width = u32::from(bits).div_ceil(8);
    Some(match version {
        0 => (Fields { rate_hz, width, flags: 0, boxes: entry.get(28..)? }, channels),
        1 => {
            let stated = be32(entry, 32)?;
            let width = if (1..=8).contains(&stated) { stated } else { width };
            (Fields { rate_hz, width, flags: 0, boxes: entry.get(44..)? }, channels)
        }
        2 => {
            let rate_hz = f64::from_bits(be64(entry, 32)?).round() as u32;
            let (channels, bits, flags) = (be32(entry, 40)?, be32(entry, 48)?, be32(entry, 52)?);
            let fields = Fields { rate_hz, width: bits.div_ceil(8), flags, boxes: entry.get(64..)? };
            (fields, u16::try_from(channels).unwrap_or(u16::MAX))
        }
        _ => return None,
    })
}

/// Returns the codec and the bytes and frames of a packet, or what is not supported. `None` if these letters are no PCM and
/// no ADPCM.
fn codec(
    letters: &[u8; 4],
    fields: &Fields<'_>,
    wave: &[u8],
    channels: u32,
) -> Option<Result<(AudioCodecId, u32, u32), String>> {
    const FLOAT: u32 = 1;
    const BIG_ENDIAN: u32 = 2;
    const SIGNED: u32 = 4;
    let is_little = find(wave, b"enda").is_some_and(|endian| endian.last() == Some(&1));
    let float = |width: u32, big: bool| match (width, big) {
        (4, true) => Some(id::CODEC_ID_PCM_F32BE),
        (4, false) => Some(id::CODEC_ID_PCM_F32LE),
        (8, true) => Some(id::CODEC_ID_PCM_F64BE),
        (8, false) => Some(id::CODEC_ID_PCM_F64LE),
        _ => None,
    };
    let whole = |width: u32, big: bool| match width {
        1 => Some(id::CODEC_ID_PCM_S8),
        2..=4 => Some(integer(u64::from(width), big)),
        _ => None,
    };
    let width = fields.width;
    let (codec, width) = match letters {
        b"raw " | b"NONE" if width == 1 => (Some(id::CODEC_ID_PCM_U8), 1),
        b"twos" | b"raw " | b"NONE" => (whole(width, true), width),
        b"sowt" => (whole(width, false), width),
        b"in24" => (whole(3, !is_little), 3),
        b"in32" => (whole(4, !is_little), 4),
        b"fl32" => (float(4, !is_little), 4),
        b"fl64" => (float(8, !is_little), 8),
        b"alaw" => (Some(id::CODEC_ID_PCM_ALAW), 1),
        b"ulaw" => (Some(id::CODEC_ID_PCM_MULAW), 1),
        b"lpcm" if fields.flags & FLOAT != 0 => (float(width, fields.flags & BIG_ENDIAN != 0), width),
        b"lpcm" if fields.flags & SIGNED != 0 => (whole(width, fields.flags & BIG_ENDIAN != 0), width),
        b"lpcm" => (Some(id::CODEC_ID_PCM_U8).filter(|_| width == 1), width),
        b"ipcm" | b"fpcm" => {
            let (big, bits) = match find(fields.boxes, b"pcmC") {
                Some(&[_, _, _, _, flags, bits, ..]) => (flags & 1 == 0, u32::from(bits)),
                _ => return Some(Err("MP4 with PCM without its description".into())),
            };
            let width = bits.div_ceil(8);
            (if letters == b"ipcm" { whole(width, big) } else { float(width, big) }, width)
        }
        b"ima4" => return Some(Ok((id::CODEC_ID_ADPCM_IMA_QT, 34 * channels, 64))),
        [b'm', b's', 0, 0x02 | 0x11] => {
            let format = find(wave, letters).and_then(|format| riff::Format::parse(format, false).ok());
            let blocks = format.filter(riff::Format::has_blocks).and_then(|format| {
                let (codec, _) = format.codec("QuickTime", false).ok()?;
                let frames = adpcm::frames_in(codec, format.block_bytes.into(), channels.into());
                Some((codec, format.block_bytes.into(), u32::try_from(frames).ok()?))
            });
            return Some(blocks.ok_or_else(|| "QuickTime with ADPCM of an unknown kind".into()));
        }
        _ => return None,
    };
    let codec = codec.map(|codec| (codec, width * channels, 1));
    Some(codec.ok_or_else(|| format!("QuickTime with samples of {} bits", 8 * u64::from(width))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn box_of(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(body.len() + 8).expect("a small box");
        [size.to_be_bytes().as_slice(), kind, body].concat()
    }

    /// A description of version 0 or 1, with a rate of 48,000 Hz.
    fn entry(version: u16, channels: u16, bits: u16, sample_bytes: u32, boxes: &[u8]) -> Vec<u8> {
        let mut entry = [0; 8].to_vec();
        entry.extend(version.to_be_bytes());
        entry.extend([0; 6]);
        entry.extend(channels.to_be_bytes());
        entry.extend(bits.to_be_bytes());
        entry.extend([0; 4]);
        entry.extend([0xbb, 0x80, 0, 0]);
        if version == 1 {
            entry.extend([1, sample_bytes, sample_bytes * u32::from(channels), 2].map(u32::to_be_bytes).concat());
        }
        [entry.as_slice(), boxes].concat()
    }

    fn codec_of(letters: &[u8; 4], entry: &[u8]) -> (AudioCodecId, Option<(u32, u32)>) {
        let found = SampleEntry::read(letters, entry, 48_000);
        let params = found.params.expect("a known codec").expect("a supported codec");
        assert_eq!(params.sample_rate, Some(48_000));
        (params.codec, found.packets)
    }

    #[test]
    fn letters_width_and_order_give_the_codec() {
        let little = box_of(b"wave", &[box_of(b"frma", b"in24"), box_of(b"enda", &[0, 1])].concat());
        for (letters, entry, codec, bytes) in [
            (b"sowt", entry(0, 2, 8, 0, &[]), id::CODEC_ID_PCM_S8, 2),
            (b"twos", entry(0, 6, 16, 0, &[]), id::CODEC_ID_PCM_S16BE, 12),
            (b"raw ", entry(0, 1, 8, 0, &[]), id::CODEC_ID_PCM_U8, 1),
            (b"in24", entry(1, 2, 16, 3, &[]), id::CODEC_ID_PCM_S24BE, 6),
            (b"in24", entry(1, 2, 16, 3, &little), id::CODEC_ID_PCM_S24LE, 6),
            (b"fl64", entry(1, 2, 16, 8, &little), id::CODEC_ID_PCM_F64LE, 16),
            (b"ulaw", entry(1, 2, 16, 1, &[]), id::CODEC_ID_PCM_MULAW, 2),
            (b"ipcm", entry(0, 2, 24, 0, &box_of(b"pcmC", &[0, 0, 0, 0, 1, 24])), id::CODEC_ID_PCM_S24LE, 6),
        ] {
            let name = letters.escape_ascii();
            assert_eq!(codec_of(letters, &entry), (codec, Some((bytes, 1))), "{name}");
        }
        assert_eq!(codec_of(b"ima4", &entry(1, 2, 16, 0, &[])), (id::CODEC_ID_ADPCM_IMA_QT, Some((68, 64))));
    }

    #[test]
    fn the_cookie_of_alac_may_be_within_wave() {
        let cookie = box_of(b"alac", &[[0; 4].as_slice(), &[7; 24]].concat());
        for boxes in [cookie.clone(), box_of(b"wave", &[box_of(b"frma", b"alac"), cookie].concat())] {
            let found = SampleEntry::read(b"alac", &entry(1, 2, 16, 2, &boxes), 48_000);
            let params = found.params.expect("a known codec").expect("a supported codec");
            assert_eq!(params.extra_data.as_deref(), Some([7; 24].as_slice()));
        }
    }

    #[test]
    fn other_sizes_and_codecs_are_not_taken_for_these() {
        assert!(SampleEntry::read(b"mp4a", &entry(0, 2, 16, 0, &[]), 48_000).params.is_none());
        assert!(SampleEntry::read(b"twos", &[0; 20], 48_000).params.is_none());
        let odd = SampleEntry::read(b"twos", &entry(0, 2, 48, 0, &[]), 48_000);
        assert_eq!(odd.params.map(|params| params.err()), Some(Some("QuickTime with samples of 48 bits".into())));
    }
}

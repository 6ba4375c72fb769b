//! The demuxer of WAV, AIFF, AU, CAF and their relatives: samples or packets in a row, described by a header.
//!
//! Symphonia has demuxers for some of these containers. They follow the header's sizes to the letter, so they refuse
//! many files that other programs play.

use std::io::{Seek, SeekFrom};

use symphonia::core::codecs::CodecParameters;
use symphonia::core::codecs::audio::AudioCodecParameters;
use symphonia::core::errors::{Result, SeekErrorKind, seek_error};
use symphonia::core::formats::{
    FORMAT_ID_NULL, FormatInfo, FormatReader, MediaInfo, SeekMode, SeekTo, SeekedTo, Track,
};
use symphonia::core::io::{MediaSourceStream, ReadBytes};
use symphonia::core::meta::{Metadata, MetadataLog};
use symphonia::core::packet::Packet;
use symphonia::core::units::{Duration, Timestamp};

/// How many frames of PCM to read at once.
const FRAMES_AT_ONCE: u64 = 4_096;
/// The largest packet of a packet table. A block of 8 channels of ALAC has less than 1 MiB.
const MAX_PACKET_BYTES: u64 = 1 << 24;

const INFO: FormatInfo = FormatInfo { format: FORMAT_ID_NULL, short_name: "raw", long_name: "Raw packets" };

/// Where the packets are and what is in them.
#[derive(Debug, Clone)]
pub(super) struct RawTrack {
    /// The container's name, if the codec's name does not say it better.
    pub(super) name: Option<&'static str>,
    pub(super) params: AudioCodecParameters,
    /// The first byte of the first packet.
    pub(super) start: u64,
    /// The byte after the last packet, or the end of the file if that comes first.
    pub(super) end: u64,
    pub(super) packets: Packets,
    /// Frames to drop at the start.
    pub(super) skip: u64,
    /// The length in frames that the header states.
    pub(super) frames: u64,
    /// Fewer frames than this mean that the end is missing.
    pub(super) needed: u64,
}

/// The sizes of the packets.
#[derive(Debug, Clone)]
pub(super) enum Packets {
    /// PCM, with the bytes of a frame.
    Frames(u16),
    /// ADPCM, with the bytes and frames of a block. The last block may be shorter.
    Blocks { bytes: u16, frames: u32 },
    /// Sizes from the packet table of a CAF file, in its own encoding.
    Table(PacketTable),
}

/// A packet table. It stays encoded, since a hostile one would take much more memory decoded.
#[derive(Debug, Clone)]
pub(super) struct PacketTable {
    pub(super) encoded: Vec<u8>,
    /// Frames per packet, or 0 if the table states them.
    pub(super) frames: u32,
    pub(super) at: usize,
}

impl PacketTable {
    /// Returns the next packet's size in bytes and frames.
    fn next(&mut self) -> Option<(u64, u64)> {
        let bytes = self.number()?;
        let frames = if self.frames == 0 { self.number()? } else { u64::from(self.frames) };
        Some((bytes, frames))
    }

    /// Returns the bytes of all packets from here on.
    pub(super) fn all_bytes(&mut self) -> u64 {
        let mut all = 0_u64;
        while let Some((bytes, _)) = self.next() {
            all = all.saturating_add(bytes);
        }
        all
    }

    /// Reads a number of seven bits per byte, the highest first.
    fn number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for _ in 0..9 {
            let byte = *self.encoded.get(self.at)?;
            self.at += 1;
            number = (number << 7) | u64::from(byte & 0x7f);
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}

/// Reads the packets of a [`RawTrack`].
pub(super) struct RawReader<'s> {
    stream: MediaSourceStream<'s>,
    tracks: [Track; 1],
    media_info: MediaInfo,
    metadata: MetadataLog,
    end: u64,
    packets: Packets,
    /// Frames before the next packet.
    time: u64,
}

impl<'s> RawReader<'s> {
    pub(super) fn new(mut stream: MediaSourceStream<'s>, raw: &RawTrack) -> Result<Self> {
        stream.seek(SeekFrom::Start(raw.start))?;
        let mut track = Track::new(0);
        track.with_codec_params(CodecParameters::Audio(raw.params.clone())).with_num_frames(raw.frames);
        Ok(Self {
            stream,
            media_info: MediaInfo::from_track(&track),
            tracks: [track],
            metadata: MetadataLog::default(),
            end: raw.end,
            packets: raw.packets.clone(),
            time: 0,
        })
    }
}

impl FormatReader for RawReader<'_> {
    fn format_info(&self) -> &FormatInfo {
        &INFO
    }

    fn media_info(&self) -> &MediaInfo {
        &self.media_info
    }

    fn metadata(&mut self) -> Metadata<'_> {
        self.metadata.metadata()
    }

    fn seek(&mut self, _mode: SeekMode, _to: SeekTo) -> Result<SeekedTo> {
        // The decoder reads every file from start to end.
        seek_error(SeekErrorKind::Unseekable)
    }

    fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    fn next_packet(&mut self) -> Result<Option<Packet>> {
        let left = self.end.saturating_sub(self.stream.pos());
        let (bytes, frames) = match &mut self.packets {
            &mut Packets::Frames(frame_bytes) => {
                let frame_bytes = u64::from(frame_bytes.max(1));
                let frames = FRAMES_AT_ONCE.min(left / frame_bytes);
                (frames * frame_bytes, frames)
            }
            &mut Packets::Blocks { bytes, frames } => (u64::from(bytes).min(left), u64::from(frames)),
            Packets::Table(table) => match table.next() {
                Some((bytes, frames)) if bytes <= left.min(MAX_PACKET_BYTES) => (bytes, frames),
                _ => return Ok(None),
            },
        };
        if bytes == 0 && !matches!(self.packets, Packets::Table(_)) {
            return Ok(None);
        }
        // Bounded by the limits above.
        let mut data = vec![0; usize::try_from(bytes).unwrap_or(0)];
        self.stream.read_buf_exact(&mut data)?;
        let start = Timestamp::from(i64::try_from(self.time).unwrap_or(i64::MAX));
        self.time = self.time.saturating_add(frames);
        Ok(Some(Packet::new(0, start, Duration::from(frames), data)))
    }

    fn into_inner<'s>(self: Box<Self>) -> MediaSourceStream<'s>
    where
        Self: 's,
    {
        self.stream
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packet_table_is_decoded() {
        let mut fixed = PacketTable { encoded: vec![0x05, 0x81, 0x00, 0xff], frames: 1_024, at: 0 };
        assert_eq!(fixed.next(), Some((5, 1_024)));
        assert_eq!(fixed.next(), Some((128, 1_024)));
        assert_eq!(fixed.next(), None);
        let mut variable = PacketTable { encoded: vec![0x05, 0x81, 0x00], frames: 0, at: 0 };
        assert_eq!(variable.next(), Some((5, 128)));
        let mut endless = PacketTable { encoded: vec![0xff; 40], frames: 1, at: 0 };
        assert_eq!(endless.next(), None);
    }
}

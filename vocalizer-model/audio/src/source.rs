//! What the decoder reads from: a sequence of packets, with what is known about missing ones.

use std::io::ErrorKind;

use symphonia::core::codecs::audio::AudioCodecParameters;
use symphonia::core::errors::Error;
use symphonia::core::formats::FormatReader;

use super::error::DecodeError;
use super::guard::{guard, translate};

/// What a source gives next.
#[derive(Debug)]
pub(super) enum Next {
    /// An encoded packet.
    Packet(Packet),
    /// So many packets are missing here; 0 if only their loss is known, not their number.
    Lost(u64),
    /// The packets that follow come from a damaged page; most of them are probably intact.
    Damaged,
    /// Another stream follows, as in chained Ogg files, with the frames to drop at its start.
    Stream(Box<AudioCodecParameters>, u64),
    /// The end, and whether it comes too early.
    End {
        /// Whether the source ends before its own statement.
        early: bool,
    },
}

/// An encoded packet.
#[derive(Debug, Default)]
pub(super) struct Packet {
    pub(super) data: Box<[u8]>,
    /// The frames that the packet decodes to, if known; otherwise 0.
    pub(super) frames: u64,
    /// The position of its first frame.
    pub(super) at: At,
    /// Whether it comes from a damaged page, so that noise is damage.
    pub(super) is_suspect: bool,
    /// Frames to drop at its end.
    pub(super) trim_end_ns: u64,
    /// The position after this packet, which is the last of a page.
    pub(super) page: Option<Page>,
}

/// The position of a packet, as precisely as the container states it.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    /// Unknown: it follows the packet before it.
    #[default]
    Next,
    /// In frames, exactly.
    Frame(u64),
    /// In nanoseconds, rounded, and whether packets before it were lost.
    Ns(i64, bool),
}

/// The end of an Ogg page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Page {
    /// The position after the last packet of the page, in frames.
    pub(super) end: i64,
    /// Whether the stream ends here.
    pub(super) is_last: bool,
    /// Whether pages before it are missing.
    pub(super) follows_loss: bool,
}

/// A sequence of packets of one track.
pub(super) trait Source: Send + Sync {
    /// Returns what follows. After [`Next::End`], every call returns the same.
    ///
    /// # Errors
    ///
    /// Those of reading the file; damage is no error.
    fn next(&mut self) -> Result<Next, DecodeError>;
}

/// The packets that one of symphonia's demuxers finds.
pub(super) struct Demuxed {
    format: Box<dyn FormatReader>,
    track_id: u32,
    /// Whether the demuxer's timestamps are exact numbers of frames.
    exact: bool,
    /// Ticks to frames: multiply and divide.
    scale: (u64, u64),
    /// Whether the file is known to end early, so that an error is its end.
    is_cut: bool,
    ended: Option<bool>,
    /// Errors in a row.
    errors: u32,
}

/// The maximum number of errors in a row of a demuxer; more mean that it makes no progress.
const MAX_ERRORS: u32 = 64;

impl Demuxed {
    pub(super) fn new(
        format: Box<dyn FormatReader>,
        track_id: u32,
        exact: bool,
        scale: (u64, u64),
        is_cut: bool,
    ) -> Self {
        Self { format, track_id, exact, scale, is_cut, ended: None, errors: 0 }
    }
}

impl Source for Demuxed {
    fn next(&mut self) -> Result<Next, DecodeError> {
        while self.ended.is_none() {
            match guard(|| Ok(self.format.next_packet()))? {
                Ok(Some(packet)) if packet.track_id != self.track_id => {}
                Ok(Some(packet)) => {
                    self.errors = 0;
                    let scaled =
                        u128::from(packet.dur.get()) * u128::from(self.scale.0) / u128::from(self.scale.1.max(1));
                    let at = match u64::try_from(packet.pts.get()) {
                        Ok(pts) if self.exact => At::Frame(pts),
                        _ => At::Next,
                    };
                    let frames = u64::try_from(scaled).unwrap_or(0);
                    return Ok(Next::Packet(Packet { data: packet.data, frames, at, ..Packet::default() }));
                }
                Ok(None) => self.ended = Some(self.is_cut),
                Err(Error::IoError(e)) if e.kind() == ErrorKind::UnexpectedEof => self.ended = Some(true),
                Err(Error::DecodeError(_)) if self.errors < MAX_ERRORS && !self.is_cut => {
                    self.errors += 1;
                    return Ok(Next::Lost(0));
                }
                Err(Error::DecodeError(_)) => self.ended = Some(true),
                Err(e) => return Err(translate(e)),
            }
        }
        Ok(Next::End { early: self.ended == Some(true) })
    }
}

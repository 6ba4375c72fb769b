//! Decodes packets and puts them, or silence for those that are lost, in their place.

use super::super::Frame;
use super::super::codec::{Failure, Shape};
use super::super::downmix::Downmix;
use super::super::error::DecodeError;
use super::super::guard::guard;
use super::super::source::{At, Packet};
use super::AudioReader;

/// Samples of damaged packets beyond this are noise.
const MAX_PEAK: f32 = 1.5;
/// A file whose sample rate or channels change more often than this is not a song.
const MAX_CHANGES: u64 = 1_000;

impl AudioReader {
    pub(super) fn packet(&mut self, packet: Packet) -> Result<(), DecodeError> {
        self.fill_gap(packet.at)?;
        let (codec, samples) = (&mut self.codec, &mut self.samples);
        // A decoder that panics on a packet is not used again.
        let mut decoded = guard(|| Ok(codec.decode(&packet.data, samples)))?;
        if packet.is_suspect && samples.iter().any(|sample| sample.abs() > MAX_PEAK || !sample.is_finite()) {
            decoded = Err(Failure::Packet("a damaged packet".into()));
        }
        match decoded {
            Ok(shape) => {
                self.tally.decoded += 1;
                self.lenient_packets = 0;
                let block = self.accept(shape, packet.trim_end_ns)?;
                self.timeline.push(block, self.in_pages, packet.page)
            }
            Err(Failure::Packet(what)) => {
                if self.lenient_packets > 0 {
                    self.lenient_packets -= 1;
                } else {
                    self.tally.damage(|| what)?;
                }
                if self.in_pages && packet.frames == 0 {
                    return self.timeline.push_hole(packet.page);
                }
                let frames = if packet.frames > 0 { packet.frames } else { self.usual };
                if self.in_pages {
                    let silence = vec![[0.0; 2]; usize::try_from(frames).unwrap_or(0)];
                    return self.timeline.push(silence, true, packet.page);
                }
                self.silence(frames, 1)
            }
            Err(Failure::Stream(error)) if self.tally.decoded == 0 => Err(error),
            Err(Failure::Stream(error)) => {
                self.tally.damage(|| error.to_string())?;
                self.silence(self.usual, 1)
            }
        }
    }

    /// Puts silence in place of packets that are missing before a packet.
    fn fill_gap(&mut self, at: At) -> Result<(), DecodeError> {
        let position = self.timeline.position();
        match at {
            At::Next => Ok(()),
            // A stream without a stated length may start at any position.
            At::Frame(at) if self.tally.decoded == 0 && !self.trim.states_length() => {
                self.origin = at;
                Ok(())
            }
            At::Frame(at) => {
                let gap = at.saturating_sub(self.origin).saturating_sub(position + self.waiting.1);
                if gap == 0 {
                    return Ok(());
                }
                self.tally.damage(|| "packets are damaged or missing".into())?;
                self.limits.check_frames(position.saturating_add(gap), self.rate_hz.max(1))?;
                self.silence(gap, 0)
            }
            At::Ns(ns, follows_loss) => {
                let passed = i128::from(position) * 1_000_000_000 / i128::from(self.rate_hz.max(1));
                let expected = self.origin_ns.map_or(i128::from(ns), |origin| i128::from(origin) + passed);
                let gap_ns = i128::from(ns) - expected;
                if follows_loss && gap_ns > 0 && self.rate_hz > 0 {
                    let gap = u64::try_from(gap_ns * i128::from(self.rate_hz) / 1_000_000_000).unwrap_or(0);
                    self.limits.check_frames(position.saturating_add(gap), self.rate_hz)?;
                    self.silence(whole_packets(gap, self.usual, self.rate_hz), 0)?;
                }
                // Each packet sets the clock, so that roundings do not add up.
                let position = self.timeline.position();
                let passed = i128::from(position) * 1_000_000_000 / i128::from(self.rate_hz.max(1));
                self.origin_ns = i64::try_from(i128::from(ns) - passed).ok();
                Ok(())
            }
        }
    }

    /// Appends silence in place of packets; their length may only be known after the first decoded packet.
    pub(super) fn silence(&mut self, frames: u64, packets: u64) -> Result<(), DecodeError> {
        if self.info.rate_hz == 0 {
            self.waiting.0 += if frames == 0 { packets } else { 0 };
            self.waiting.1 += frames;
            return Ok(());
        }
        self.timeline.push_silence(frames)?;
        self.tally.silent_frames = self.timeline.silent_frames();
        Ok(())
    }

    /// Takes the rate and the channels of a decoded packet, and mixes its samples to stereo.
    fn accept(&mut self, shape: Shape, trim_end_ns: u64) -> Result<Vec<Frame>, DecodeError> {
        if shape.frames == 0 {
            return Ok(Vec::new());
        }
        if self.info.rate_hz == 0 {
            self.start(&shape)?;
        } else if shape.rate_hz != self.rate_hz || shape.channels != self.layout {
            self.change(&shape)?;
        }
        self.usual = shape.frames as u64;
        if let Some(at) = self.samples.iter().position(|s| !s.is_finite()) {
            let frame = self.given + (at / self.layout.count().max(1)) as u64;
            return Err(DecodeError::Malformed(format!("sample {frame} is not a number")));
        }
        let mut block = Vec::with_capacity(shape.frames);
        self.mixer.mix(&self.samples, &mut block);
        let cut = (u128::from(trim_end_ns) * u128::from(self.rate_hz) + 500_000_000) / 1_000_000_000;
        block.truncate(block.len().saturating_sub(usize::try_from(cut).unwrap_or(usize::MAX)));
        Ok(block)
    }

    fn start(&mut self, shape: &Shape) -> Result<(), DecodeError> {
        self.set_layout(shape)?;
        self.info.rate_hz = shape.rate_hz;
        self.info.channels = u16::try_from(shape.channels.count()).unwrap_or(u16::MAX);
        self.range = self.trim.at(shape.rate_hz);
        if let Some(frames) = self.range.stated {
            self.limits.check_frames(frames, shape.rate_hz)?;
        }
        if self.range.total == Some(0) {
            return Err(DecodeError::Empty("the audio has no samples"));
        }
        self.info.frames = self.range.stated;
        self.timeline.start_stream(self.range.skip);
        let (packets, frames) = std::mem::take(&mut self.waiting);
        let waiting = packets.saturating_mul(shape.frames as u64).saturating_add(frames);
        self.limits.check_frames(waiting, shape.rate_hz)?;
        if waiting > 0 { self.silence(waiting, 0) } else { Ok(()) }
    }

    fn change(&mut self, shape: &Shape) -> Result<(), DecodeError> {
        self.tally.changes += 1;
        if self.tally.changes > MAX_CHANGES {
            return Err(DecodeError::Malformed("the sample rate or the channels change all the time".into()));
        }
        self.set_layout(shape)
    }

    fn set_layout(&mut self, shape: &Shape) -> Result<(), DecodeError> {
        self.limits.check_rate(shape.rate_hz)?;
        self.limits.check_channels(shape.channels.count())?;
        self.mixer = Downmix::new(&shape.channels)?;
        self.layout = shape.channels.clone();
        self.rate_hz = shape.rate_hz;
        self.timeline.set_rate(shape.rate_hz)
    }
}

/// Rounds a gap to whole packets if it is close to that: its length comes from rounded times.
fn whole_packets(gap: u64, packet: u64, rate_hz: u32) -> u64 {
    if packet == 0 {
        return gap;
    }
    let whole = (gap + packet / 2) / packet * packet;
    if whole.abs_diff(gap) <= u64::from(rate_hz) * 3 / 1_000 { whole } else { gap }
}

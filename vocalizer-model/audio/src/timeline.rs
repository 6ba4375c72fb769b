//! Puts the decoded blocks in their place: trims the start, fills gaps with silence, aligns the packets of Ogg pages, and
//! converts to the rate of the first block.

use std::collections::VecDeque;

use super::Frame;
use super::error::{DecodeError, ResampleError};
use super::resample::Resampler;
use super::source::Page;

/// Silence is made in blocks of this many frames.
const SILENCE_BLOCK: u64 = 4_096;
/// Gaps longer than this, in seconds, are jumps of the clock instead of missing sound.
const MAX_GAP_S: u64 = 600;

/// Decoded frames, or silence in their place.
#[derive(Debug)]
enum Piece {
    Frames(Vec<Frame>),
    Silence(u64),
}

/// The decoded frames in order.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    ready: VecDeque<Piece>,
    /// The rate of the frames that leave, and of those that arrive.
    rate_hz: u32,
    input_rate_hz: u32,
    converter: Option<Resampler>,
    /// Frames left to drop at the start of the stream.
    drop: u64,
    /// The position in the stream, in its frames.
    position: u64,
    /// Blocks of the current Ogg page; `None` stands for a packet that could not be decoded.
    page: Vec<Option<Vec<Frame>>>,
    /// Whether the position of the stream is known.
    anchored: bool,
    /// Frames of silence that replace lost ones.
    silent_frames: u64,
}

impl Timeline {
    /// Returns the position in the current stream, in its frames.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    pub(super) fn silent_frames(&self) -> u64 {
        self.silent_frames
    }

    /// Starts a stream, whose first `drop` frames are no song.
    pub(super) fn start_stream(&mut self, drop: u64) {
        self.flush_page();
        (self.drop, self.position, self.anchored) = (drop, 0, false);
    }

    /// Sets the rate of the following frames. The result has the first rate.
    pub(super) fn set_rate(&mut self, rate_hz: u32) -> Result<(), DecodeError> {
        if self.rate_hz == 0 {
            (self.rate_hz, self.input_rate_hz) = (rate_hz, rate_hz);
        }
        if self.input_rate_hz != rate_hz {
            self.finish()?;
            self.input_rate_hz = rate_hz;
            if rate_hz != self.rate_hz {
                self.converter = Some(Resampler::new(rate_hz, self.rate_hz).map_err(failed)?);
            }
        }
        Ok(())
    }

    /// Appends a block, or keeps it until the end of its page.
    pub(super) fn push(&mut self, block: Vec<Frame>, in_page: bool, page: Option<Page>) -> Result<(), DecodeError> {
        if !in_page {
            return self.append(block);
        }
        self.page.push(Some(block));
        page.map_or(Ok(()), |page| self.settle(page))
    }

    /// Notes that a packet could not be decoded. Its length follows from the position of its page.
    pub(super) fn push_hole(&mut self, page: Option<Page>) -> Result<(), DecodeError> {
        self.page.push(None);
        page.map_or(Ok(()), |page| self.settle(page))
    }

    /// Appends silence in place of lost frames.
    pub(super) fn push_silence(&mut self, frames: u64) -> Result<(), DecodeError> {
        self.position += frames;
        let dropped = self.drop.min(frames);
        self.drop -= dropped;
        let mut left = frames - dropped;
        if self.converter.is_none() {
            self.silent_frames += left;
            if left > 0 {
                self.ready.push_back(Piece::Silence(left));
            }
            return Ok(());
        }
        self.silent_frames += super::resample::scaled(left, self.input_rate_hz, self.rate_hz);
        while left > 0 {
            let now = left.min(SILENCE_BLOCK);
            let silence = vec![[0.0; 2]; usize::try_from(now).unwrap_or(0)];
            self.convert(silence)?;
            left -= now;
        }
        Ok(())
    }

    /// Ends the song: returns what the conversion still holds.
    pub(super) fn finish(&mut self) -> Result<(), DecodeError> {
        self.flush_page();
        if let Some(mut converter) = self.converter.take() {
            let mut rest = Vec::new();
            converter.finish(&mut rest).map_err(failed)?;
            self.ready.push_back(Piece::Frames(rest));
        }
        Ok(())
    }

    /// Takes the next frames.
    pub(super) fn pop(&mut self) -> Option<Vec<Frame>> {
        match self.ready.pop_front()? {
            Piece::Frames(frames) => Some(frames),
            Piece::Silence(frames) => {
                let now = frames.min(SILENCE_BLOCK);
                if frames > now {
                    self.ready.push_front(Piece::Silence(frames - now));
                }
                Some(vec![[0.0; 2]; usize::try_from(now).unwrap_or(0)])
            }
        }
    }

    fn append(&mut self, mut block: Vec<Frame>) -> Result<(), DecodeError> {
        self.position += block.len() as u64;
        let dropped = self.drop.min(block.len() as u64);
        self.drop -= dropped;
        // At most the length of the block, so it fits.
        block.drain(..usize::try_from(dropped).unwrap_or(0));
        if self.converter.is_some() {
            return self.convert(block);
        }
        if !block.is_empty() {
            self.ready.push_back(Piece::Frames(block));
        }
        Ok(())
    }

    fn convert(&mut self, block: Vec<Frame>) -> Result<(), DecodeError> {
        let Some(converter) = &mut self.converter else { return Ok(()) };
        let mut converted = Vec::new();
        converter.push(&block, &mut converted).map_err(failed)?;
        if !converted.is_empty() {
            self.ready.push_back(Piece::Frames(converted));
        }
        Ok(())
    }

    /// Appends the blocks of a page whose end is unknown.
    fn flush_page(&mut self) {
        for block in std::mem::take(&mut self.page).into_iter().flatten() {
            // Only the conversion can fail, and then the next call fails, too.
            let _ = self.append(block);
        }
    }

    /// Appends the blocks of a page at their place, which follows from the position of the page's end.
    fn settle(&mut self, page: Page) -> Result<(), DecodeError> {
        let mut blocks = std::mem::take(&mut self.page);
        let holes = blocks.iter().filter(|block| block.is_none()).count() as u64;
        let frames = blocks.iter().flatten().map(|block| block.len() as u64).sum::<u64>();
        let end = u64::try_from(page.end).unwrap_or(0);
        let mut gap = 0;
        if self.anchored || holes > 0 {
            gap = end.saturating_sub(self.position + frames);
        } else if end >= frames {
            // A stream may start at any position.
            self.position = end - frames;
        } else if !page.is_last {
            // What lies before the start of the song.
            self.drop = self.drop.max(frames - end);
            self.position = 0;
        }
        let surplus = (self.position + frames).saturating_sub(end);
        self.anchored = true;
        if page.is_last && surplus > 0 {
            cut_end(&mut blocks, surplus);
        }
        let is_lost = (holes > 0 || page.follows_loss) && gap <= MAX_GAP_S * u64::from(self.input_rate_hz);
        if is_lost && holes == 0 {
            self.push_silence(gap)?;
        }
        let (share, mut rest) = (gap / holes.max(1), gap % holes.max(1));
        for block in blocks {
            match block {
                Some(block) => self.append(block)?,
                None if is_lost => self.push_silence(share + std::mem::take(&mut rest))?,
                None => {}
            }
        }
        if end > 0 {
            self.position = end;
        }
        Ok(())
    }
}

/// Drops frames at the end of a page.
fn cut_end(blocks: &mut [Option<Vec<Frame>>], mut surplus: u64) {
    for block in blocks.iter_mut().rev().flatten() {
        let keep = (block.len() as u64).saturating_sub(surplus);
        surplus -= block.len() as u64 - keep;
        block.truncate(usize::try_from(keep).unwrap_or(0));
    }
}

fn failed(error: ResampleError) -> DecodeError {
    DecodeError::Malformed(format!("the sample rate changes within the file: {error}"))
}

//! The packets of MP3 and ADTS files, which have no container.

use super::error::DecodeError;
use super::framer::{Framer, Unit};
use super::input_file::InputFile;
use super::source::{Next, Packet, Source};

/// More joined files than this count as one.
const MAX_PARTS: usize = 1 << 16;

/// The result of a walk over all frames.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Walk {
    /// The offset of the first frame.
    pub(super) start: u64,
    /// The sample rate of the first frame.
    pub(super) rate_hz: u32,
    /// The layer of the first frame; 0 for ADTS.
    pub(super) layer: u32,
    /// All samples, also those of lost frames, at the rate of the first frame.
    pub(super) samples: u64,
    /// Samples to drop at the start.
    pub(super) skip: u64,
    /// Samples to drop at the end.
    pub(super) padding: u64,
    /// The number of samples that the last header states, if the file has fewer.
    pub(super) missing: u64,
    /// Whether the last frame is incomplete.
    pub(super) cut: bool,
    /// Whether the sample rate changes, so that `samples` is only about right.
    pub(super) is_mixed: bool,
    parts: Vec<Part>,
}

/// One of several joined files.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
struct Part {
    /// The number of frames that its header states: only a hint.
    stated: Option<u64>,
    found: u64,
    /// The estimated number of lost frames.
    estimate: f64,
    damages: u64,
    padding: u64,
}

impl Part {
    /// Returns how many frames the damaged places replace. The header knows it best, unless it contradicts the file.
    fn lost(&self) -> u64 {
        if self.damages == 0 {
            return 0;
        }
        let estimate = rounded(self.estimate);
        match self.stated.and_then(|stated| stated.checked_sub(self.found)) {
            Some(lost) if lost <= 2 * estimate + 2 => lost,
            _ => estimate,
        }
    }
}

/// Rounds a number that is not negative.
#[expect(clippy::cast_sign_loss, reason = "it is clamped")]
fn rounded(number: f64) -> u64 {
    number.round().max(0.0) as u64
}

/// Walks from `start` to the end of the audio without decoding.
pub(super) fn walk(file: &mut InputFile, start: u64, adts: bool) -> Result<Walk, DecodeError> {
    let mut framer = Framer::new(start, adts);
    let mut walk = Walk { start, parts: vec![Part::default()], ..Walk::default() };
    let mut first = true;
    let mut last_samples = 0;
    while let Some(unit) = framer.next(file)? {
        let parts = &mut walk.parts;
        match unit {
            Unit::Start(tag) => {
                if first {
                    walk.skip = tag.delay;
                }
                if parts.last().is_some_and(|part| part.found > 0) && parts.len() < MAX_PARTS {
                    parts.push(Part::default());
                }
                if let Some(part) = parts.last_mut() {
                    (part.stated, part.padding) = (tag.frames, tag.padding);
                }
            }
            Unit::Frame { header, .. } => {
                if walk.rate_hz == 0 {
                    (walk.rate_hz, walk.layer) = (header.rate_hz, header.layer);
                }
                walk.is_mixed |= walk.rate_hz != header.rate_hz;
                last_samples = header.samples;
                // Both rates are below 2^17, so nothing overflows before 2^47 samples.
                walk.samples += header.samples * u64::from(walk.rate_hz) / u64::from(header.rate_hz.max(1));
                if let Some(part) = parts.last_mut() {
                    part.found += 1;
                }
            }
            Unit::Junk { frames } => {
                if let Some(part) = parts.last_mut() {
                    part.damages += 1;
                    part.estimate += frames;
                }
            }
            Unit::Cut => walk.cut = true,
        }
        first = false;
    }
    walk.samples += walk.parts.iter().map(Part::lost).sum::<u64>() * last_samples;
    if let Some(last) = walk.parts.last() {
        let have = last.found + last.lost();
        match last.stated {
            Some(stated) if stated == have && !walk.cut => walk.padding = last.padding,
            // Some encoders count the information frame, too.
            Some(stated) if stated > have + 2 => walk.missing = (stated - have) * last_samples,
            _ => {}
        }
    }
    Ok(walk)
}

/// The frames of an MP3 or ADTS file.
pub(super) struct Elementary {
    file: InputFile,
    framer: Framer,
    walk: Walk,
    part: usize,
    /// Whether the part has frames already.
    in_part: bool,
    /// The sum of the estimates of the part so far, and the frames that were reported as lost.
    estimate: f64,
    lost: u64,
    ended: bool,
}

impl Elementary {
    pub(super) fn new(file: InputFile, adts: bool, walk: Walk) -> Self {
        let framer = Framer::new(walk.start, adts);
        Self { file, framer, walk, part: 0, in_part: false, estimate: 0.0, lost: 0, ended: false }
    }

    /// Returns how many frames a damaged place replaces: its share of what the part lost.
    fn share(&mut self, estimate: f64) -> u64 {
        let Some(part) = self.walk.parts.get(self.part) else { return 0 };
        self.estimate += estimate;
        let share = if part.estimate > 0.0 { self.estimate / part.estimate } else { 1.0 };
        let lost = rounded(part.lost() as f64 * share);
        let now = lost.saturating_sub(self.lost);
        self.lost += now;
        now
    }
}

impl Source for Elementary {
    fn next(&mut self) -> Result<Next, DecodeError> {
        while !self.ended {
            match self.framer.next(&mut self.file)? {
                Some(Unit::Frame { at, header }) => {
                    self.in_part = true;
                    let data = self.file.bytes(at, usize::try_from(header.len_bytes).unwrap_or(0))?;
                    return Ok(Next::Packet(Packet {
                        data: data.into_boxed_slice(),
                        // HE-AAC has twice as many as the header states.
                        frames: if header.layer == 0 { 0 } else { header.samples },
                        ..Packet::default()
                    }));
                }
                Some(Unit::Start(_)) => {
                    if self.in_part && self.part + 1 < self.walk.parts.len() {
                        self.part += 1;
                        (self.estimate, self.lost) = (0.0, 0);
                    }
                    self.in_part = false;
                }
                Some(Unit::Junk { frames }) => return Ok(Next::Lost(self.share(frames))),
                Some(Unit::Cut) | None => self.ended = true,
            }
        }
        Ok(Next::End { early: self.walk.cut || self.walk.missing > 0 })
    }
}

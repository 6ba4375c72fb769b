//! Streaming overlap-add, as in the reference: cuts a song into segments and joins the separated segments.

use std::collections::VecDeque;

use crate::audio::Frame;

/// How a song is cut. All values are frames at the model's rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Length of the song.
    pub(crate) song_frames: u64,
    /// Length of a segment.
    pub(crate) segment_frames: usize,
    /// Distance between the starts of consecutive segments.
    pub(crate) stride_frames: usize,
    /// Silence before the song, which shifts this pass against the others.
    pub(crate) lead_frames: usize,
}

impl Plan {
    pub(super) fn total_frames(&self) -> u64 {
        self.song_frames + self.lead_frames as u64
    }
}

/// One pass over the song: takes frames, returns the next segment to separate, takes the separated segments, and outputs
/// frames that no later segment changes.
pub(crate) trait Chunks: Send {
    /// Appends the next frames of the song.
    fn push(&mut self, frames: &[Frame]);

    /// Returns the number of segments of the whole song.
    fn segments(&self) -> u64;

    /// Returns the number of segments not returned yet.
    fn segments_left(&self) -> u64;

    /// Returns whether all frames of the next `count` segments, or of all that are left, are buffered.
    fn has_segments(&self, count: usize) -> bool;

    /// Returns the next segment, if all of its frames are buffered.
    ///
    /// # Shapes
    ///
    /// - output: `[2][segment_frames]`, left and right
    fn next_segment(&mut self) -> Option<[Vec<f32>; 2]>;

    /// Adds the network's output for the oldest segment that was returned but not added yet, and appends the frames
    /// that are final now to `out`, without the lead.
    ///
    /// # Shapes
    ///
    /// - `separated`: `[stems][2][segment_frames]`
    /// - `out`: `[stems]`
    fn add(&mut self, separated: &[[Vec<f32>; 2]], out: &mut [VecDeque<Frame>]);

    /// Returns whether every segment was added.
    fn is_done(&self) -> bool;
}

/// The pass of HTDemucs. A segment that reaches past the end of the song is centred, so the network sees equal amounts of earlier audio and
/// of trailing silence. Segments are weighted by a triangle, and the sums are divided by the weights.
pub(crate) struct OverlapAdd {
    plan: Plan,
    stems: usize,
    weight: Vec<f32>,
    /// Buffered frames of the song (including the lead); the first is at `input_start`.
    input: VecDeque<Frame>,
    input_start: u64,
    /// Start of the next segment to return.
    next: u64,
    /// Start of the next segment to add, one that was returned before.
    offset: u64,
    /// Sums over `[stems]`, and sums of weights; the first is at `offset`.
    sums: Vec<VecDeque<Frame>>,
    weights: VecDeque<f32>,
}

impl OverlapAdd {
    pub(crate) fn new(plan: Plan, stems: usize) -> Self {
        let n = plan.segment_frames;
        let half = n / 2;
        let peak = half.max(n - half) as f32;
        let weight = (1..=half).chain((1..=n - half).rev()).map(|w| w as f32 / peak).collect();
        let mut input = VecDeque::new();
        input.resize(plan.lead_frames, [0.0; 2]);
        Self {
            plan,
            stems,
            weight,
            input,
            input_start: 0,
            next: 0,
            offset: 0,
            sums: vec![VecDeque::new(); stems],
            weights: VecDeque::new(),
        }
    }

    /// Returns the number of song frames in the segment at `offset`.
    fn chunk_frames(&self, offset: u64) -> usize {
        let left = self.plan.total_frames().saturating_sub(offset);
        usize::try_from(left).unwrap_or(usize::MAX).min(self.plan.segment_frames)
    }

    /// Drops the frames that no later segment needs.
    fn forget(&mut self) {
        let reach = (self.plan.segment_frames / 2 + 1) as u64;
        let keep_from = self.next.saturating_sub(reach);
        while self.input_start < keep_from && self.input.pop_front().is_some() {
            self.input_start += 1;
        }
    }
}

impl Chunks for OverlapAdd {
    fn push(&mut self, frames: &[Frame]) {
        self.input.extend(frames);
    }

    fn is_done(&self) -> bool {
        self.offset >= self.plan.total_frames()
    }

    fn segments(&self) -> u64 {
        self.plan.total_frames().div_ceil(self.plan.stride_frames as u64)
    }

    fn segments_left(&self) -> u64 {
        self.plan.total_frames().saturating_sub(self.next).div_ceil(self.plan.stride_frames as u64)
    }

    fn has_segments(&self, count: usize) -> bool {
        let left = self.segments_left();
        let Some(before_last) = left.min(count as u64).checked_sub(1) else { return false };
        let last = self.next + before_last * self.plan.stride_frames as u64;
        self.input_start + self.input.len() as u64 >= last + self.chunk_frames(last) as u64
    }

    fn next_segment(&mut self) -> Option<[Vec<f32>; 2]> {
        if !self.has_segments(1) {
            return None;
        }
        let chunk = self.chunk_frames(self.next);
        // The segment starts this many frames earlier; it is silent before the song's first frame.
        let before = (self.plan.segment_frames - chunk) / 2;
        let mut out = [vec![0.0; self.plan.segment_frames], vec![0.0; self.plan.segment_frames]];
        let [left, right] = &mut out;
        for (i, (left, right)) in left.iter_mut().zip(right).enumerate() {
            let Some(at) = (self.next + i as u64).checked_sub(before as u64) else { continue };
            if at >= self.plan.total_frames() {
                break;
            }
            let index = at.checked_sub(self.input_start).and_then(|at| usize::try_from(at).ok());
            if let Some(frame) = index.and_then(|index| self.input.get(index)) {
                (*left, *right) = (frame[0], frame[1]);
            }
        }
        self.next += self.plan.stride_frames as u64;
        self.forget();
        Some(out)
    }

    fn add(&mut self, separated: &[[Vec<f32>; 2]], out: &mut [VecDeque<Frame>]) {
        debug_assert_eq!(separated.len(), self.stems);
        let chunk = self.chunk_frames(self.offset);
        let before = (self.plan.segment_frames - chunk) / 2;
        if self.weights.len() < chunk {
            self.weights.resize(chunk, 0.0);
            self.sums.iter_mut().for_each(|sums| sums.resize(chunk, [0.0; 2]));
        }
        for (sum, weight) in self.weights.iter_mut().zip(&self.weight[..chunk]) {
            *sum += weight;
        }
        for (sums, [left, right]) in self.sums.iter_mut().zip(separated) {
            let frames = left[before..].iter().zip(&right[before..]);
            for ((sum, weight), (l, r)) in sums.iter_mut().zip(&self.weight[..chunk]).zip(frames) {
                sum[0] += weight * l;
                sum[1] += weight * r;
            }
        }
        let next = self.offset + self.plan.stride_frames as u64;
        let done = next >= self.plan.total_frames();
        let ready = if done { chunk } else { self.plan.stride_frames };
        // The lead is not part of the song.
        let lead = (self.plan.lead_frames as u64).saturating_sub(self.offset);
        let skip = usize::try_from(lead).unwrap_or(usize::MAX);
        for (i, weight) in self.weights.drain(..ready).enumerate() {
            for (sums, out) in self.sums.iter_mut().zip(out.iter_mut()) {
                let frame = sums.pop_front().unwrap_or_default();
                if i >= skip {
                    out.push_back(frame.map(|x| x / weight));
                }
            }
        }
        self.offset = next;
    }
}

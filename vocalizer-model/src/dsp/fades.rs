//! Streaming overlap-add with fades and a reflected border, as the training toolkit of SCNet and the RoFormers does it.

use std::collections::VecDeque;

use super::chunk::{Chunks, Plan};
use crate::audio::Frame;

/// One pass over the song. The song is extended by its reflection on both sides, except if it is short, and cut into segments
/// that start a stride apart. A segment fades in and out over a tenth of its length, except at the ends of the extended song.
pub(crate) struct Fades {
    plan: Plan,
    /// Frames of reflection on each side.
    border: usize,
    /// Frames of a fade; 0 if the segments do not overlap.
    fade: usize,
    /// Frames of the song that were pushed, with the lead.
    pushed: u64,
    /// The first frames of the song, until there are enough for the reflection.
    head: Option<Vec<Frame>>,
    /// Frames of the extended song; the first is at `input_start`.
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

impl Fades {
    pub(crate) fn new(plan: Plan, stems: usize) -> Self {
        let border = plan.segment_frames - plan.stride_frames.min(plan.segment_frames);
        let border = if plan.total_frames() > 2 * border as u64 { border } else { 0 };
        let overlaps = plan.stride_frames < plan.segment_frames;
        let mut chunks = Self {
            plan,
            border,
            fade: if overlaps { plan.segment_frames / 10 } else { 0 },
            pushed: 0,
            head: Some(Vec::new()),
            input: VecDeque::new(),
            input_start: 0,
            next: 0,
            offset: 0,
            sums: vec![VecDeque::new(); stems],
            weights: VecDeque::new(),
        };
        chunks.push(&vec![[0.0; 2]; plan.lead_frames]);
        chunks
    }

    /// Returns the length of the extended song.
    fn extended_frames(&self) -> u64 {
        self.plan.total_frames() + 2 * self.border as u64
    }

    /// Returns the number of frames of the extended song in the segment at `offset`.
    fn chunk_frames(&self, offset: u64) -> usize {
        let left = self.extended_frames().saturating_sub(offset);
        usize::try_from(left).unwrap_or(usize::MAX).min(self.plan.segment_frames)
    }

    /// Returns the weight of a frame in the segment at `offset`.
    #[expect(clippy::cast_precision_loss, reason = "a fade of less than 2^24 frames")]
    fn weight(&self, offset: u64, at: usize) -> f32 {
        let is_first = offset == 0;
        let is_last = offset + self.plan.stride_frames as u64 >= self.extended_frames();
        let rise = |i: usize| if i < self.fade { i as f32 / self.fade.saturating_sub(1).max(1) as f32 } else { 1.0 };
        let fade_in = if is_first { 1.0 } else { rise(at) };
        let fade_out = if is_last { 1.0 } else { rise(self.plan.segment_frames - 1 - at) };
        fade_in.min(fade_out)
    }

    /// Appends the reflection of the song's end.
    fn extend(&mut self) {
        let last = self.input.len().saturating_sub(1);
        for back in 1..=self.border {
            let frame = last.checked_sub(back).and_then(|at| self.input.get(at)).copied().unwrap_or_default();
            self.input.push_back(frame);
        }
    }
}

impl Chunks for Fades {
    fn push(&mut self, frames: &[Frame]) {
        if self.pushed >= self.plan.total_frames() {
            return;
        }
        self.pushed += frames.len() as u64;
        match &mut self.head {
            None => self.input.extend(frames),
            Some(head) => {
                head.extend(frames);
                if head.len() > self.border {
                    let head = self.head.take().unwrap_or_default();
                    self.input.extend(head[1..=self.border].iter().rev().chain(&head));
                }
            }
        }
        if self.pushed >= self.plan.total_frames() {
            self.extend();
        }
    }

    fn segments(&self) -> u64 {
        self.extended_frames().div_ceil(self.plan.stride_frames as u64)
    }

    fn segments_left(&self) -> u64 {
        self.extended_frames().saturating_sub(self.next).div_ceil(self.plan.stride_frames as u64)
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
        let (whole, chunk) = (self.plan.segment_frames, self.chunk_frames(self.next));
        let start = usize::try_from(self.next - self.input_start).ok()?;
        let mut segment: Vec<Frame> = self.input.range(start..start + chunk).copied().collect();
        if chunk > whole / 2 {
            // Less than the chunk is missing, so its reflection is long enough.
            for back in 1..=whole - chunk {
                segment.push(chunk.checked_sub(1 + back).map(|at| segment[at]).unwrap_or_default());
            }
        }
        segment.resize(whole, [0.0; 2]);
        self.next += self.plan.stride_frames as u64;
        // The reflection of the song's end may need one frame before the next segment.
        let unneeded = self.next.saturating_sub(1).saturating_sub(self.input_start);
        let unneeded = usize::try_from(unneeded).unwrap_or(usize::MAX).min(self.input.len());
        self.input.drain(..unneeded);
        self.input_start += unneeded as u64;
        Some([0, 1].map(|channel| segment.iter().map(|frame| frame[channel]).collect()))
    }

    fn add(&mut self, separated: &[[Vec<f32>; 2]], out: &mut [VecDeque<Frame>]) {
        let chunk = self.chunk_frames(self.offset);
        if self.weights.len() < chunk {
            self.weights.resize(chunk, 0.0);
            self.sums.iter_mut().for_each(|sums| sums.resize(chunk, [0.0; 2]));
        }
        let window: Vec<f32> = (0..chunk).map(|at| self.weight(self.offset, at)).collect();
        self.weights.iter_mut().zip(&window).for_each(|(sum, weight)| *sum += weight);
        for (sums, [left, right]) in self.sums.iter_mut().zip(separated) {
            for ((sum, weight), (l, r)) in sums.iter_mut().zip(&window).zip(left.iter().zip(right)) {
                sum[0] += weight * l;
                sum[1] += weight * r;
            }
        }
        let next = self.offset + self.plan.stride_frames as u64;
        let ready = if next >= self.extended_frames() { chunk } else { self.plan.stride_frames };
        // Neither the border nor the lead is part of the song.
        let song = self.border as u64 + self.plan.lead_frames as u64..self.border as u64 + self.plan.total_frames();
        for (i, weight) in self.weights.drain(..ready).enumerate() {
            let is_song = song.contains(&(self.offset + i as u64));
            for (sums, out) in self.sums.iter_mut().zip(out.iter_mut()) {
                let frame = sums.pop_front().unwrap_or_default();
                if is_song {
                    out.push_back(frame.map(|x| x / weight));
                }
            }
        }
        self.offset = next;
    }

    fn is_done(&self) -> bool {
        self.offset >= self.extended_frames()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn song(frames: usize) -> Vec<Frame> {
        (0..frames).map(|i| [(i as f32 * 0.37).sin(), (i as f32 * 0.11).cos()]).collect()
    }

    /// Cuts a song pushed in blocks, passes the segments on and joins them. Returns what comes out, and the segments.
    fn passed(song: &[Frame], plan: Plan, block: usize) -> (Vec<Frame>, Vec<[Vec<f32>; 2]>) {
        let mut chunks = Fades::new(plan, 1);
        let (mut out, mut seen) = (vec![VecDeque::new()], Vec::new());
        for block in song.chunks(block) {
            chunks.push(block);
            while let Some(segment) = chunks.next_segment() {
                chunks.add(std::slice::from_ref(&segment), &mut out);
                seen.push(segment);
            }
        }
        assert!(chunks.is_done() && chunks.segments_left() == 0 && seen.len() as u64 == chunks.segments());
        (out.remove(0).into(), seen)
    }

    #[test]
    fn unchanged_segments_give_the_song() {
        for (frames, segment_frames, stride_frames, lead_frames, block) in [
            (1_000, 100, 50, 0, 7),
            (1_000, 100, 25, 13, 1_000),
            (1_001, 100, 100, 0, 64),
            (100, 100, 50, 0, 100),
            (99, 100, 50, 3, 10),
            (60, 100, 25, 0, 60),
            (1, 100, 50, 0, 1),
            (151, 100, 50, 0, 151),
        ] {
            let plan = Plan { song_frames: frames as u64, segment_frames, stride_frames, lead_frames };
            let song = song(frames);
            let (out, _) = passed(&song, plan, block);
            assert_eq!(out.len(), frames);
            for (i, (a, b)) in song.iter().zip(&out).enumerate() {
                assert!((a[0] - b[0]).abs() < 1e-6 && (a[1] - b[1]).abs() < 1e-6, "{plan:?}: frame {i}: {a:?} {b:?}");
            }
        }
    }

    #[test]
    fn borders_are_reflections_without_the_edge() {
        let song = song(300);
        let plan = Plan { song_frames: 300, segment_frames: 100, stride_frames: 50, lead_frames: 0 };
        let (_, segments) = passed(&song, plan, 11);
        let left = |range: std::ops::Range<usize>| range.map(|i| song[i][0]).collect::<Vec<_>>();
        let reversed = |range| left(range).into_iter().rev().collect::<Vec<_>>();
        assert_eq!(segments.len(), 8);
        assert_eq!(segments[0][0], [reversed(1..51), left(0..50)].concat());
        assert_eq!(segments[6][0], [left(250..300), reversed(249..299)].concat());
        // Half a segment is left: the rest is silent.
        assert_eq!(segments[7][0], [reversed(249..299), vec![0.0; 50]].concat());
    }
}

//! Downmix of any number of channels to stereo.
//!
//! Mono is duplicated; stereo is unchanged. More channels are mixed with the coefficients of ITU-R BS.775: centre and
//! surrounds at -3 dB, a single rear channel at -6 dB on each side, LFE dropped. Both sums are divided by the larger
//! sum of coefficients (2.414 for 5.1), so that a mix of full-scale channels does not clip and left and right stay
//! balanced.

use std::f32::consts::FRAC_1_SQRT_2;

use symphonia::core::audio::{ChannelLabel, Channels, Position};

use super::Frame;
use super::error::DecodeError;
use super::refused;

/// How the channels of one layout are mixed to left and right.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Downmix {
    Mono,
    Stereo,
    Many(Vec<Frame>),
}

impl Downmix {
    pub(super) fn new(channels: &Channels) -> Result<Self, DecodeError> {
        match channels.count() {
            0 => return Err(DecodeError::Malformed("the header states 0 channels".into())),
            1 => return Ok(Self::Mono),
            2 => return Ok(Self::Stereo),
            _ => {}
        }
        let positions = match channels {
            Channels::Positioned(all) => all.iter().collect(),
            Channels::Discrete(count) => usual_layout(usize::from(*count)),
            Channels::Custom(labels) => labels
                .iter()
                .map(|label| match label {
                    ChannelLabel::Positioned(position) => *position,
                    _ => Position::empty(),
                })
                .collect(),
            _ => return Err(refused::codec("ambisonic channels")),
        };
        Ok(Self::Many(normalised(positions)))
    }

    /// Appends one frame per `count` interleaved samples.
    pub(super) fn mix(&self, interleaved: &[f32], out: &mut Vec<Frame>) {
        match self {
            Self::Mono => out.extend(interleaved.iter().map(|&s| [s, s])),
            Self::Stereo => out.extend(interleaved.chunks_exact(2).map(|s| [s[0], s[1]])),
            Self::Many(gains) => out.extend(interleaved.chunks_exact(gains.len()).map(|samples| {
                let mut frame = [0.0; 2];
                for (sample, gain) in samples.iter().zip(gains) {
                    frame[0] += sample * gain[0];
                    frame[1] += sample * gain[1];
                }
                frame
            })),
        }
    }
}

/// Returns the usual layout of a number of channels without positions. The order of the WAV mask would make the fourth of
/// four or five channels an LFE, and so silent, and the seventh and eighth front channels; quadraphonic, 5.0, 6.1 and 7.1
/// with side channels are the usual layouts.
fn usual_layout(count: usize) -> Vec<Position> {
    let (left, right, centre, lfe) =
        (Position::FRONT_LEFT, Position::FRONT_RIGHT, Position::FRONT_CENTER, Position::LFE1);
    let (rear_left, rear_right) = (Position::REAR_LEFT, Position::REAR_RIGHT);
    let (side_left, side_right) = (Position::SIDE_LEFT, Position::SIDE_RIGHT);
    match count {
        4 => vec![left, right, rear_left, rear_right],
        5 => vec![left, right, centre, rear_left, rear_right],
        7 => vec![left, right, centre, lfe, Position::REAR_CENTER, side_left, side_right],
        8 => vec![left, right, centre, lfe, rear_left, rear_right, side_left, side_right],
        _ => {
            let mask = Position::from_count(u32::try_from(count).unwrap_or(0)).unwrap_or(Position::empty());
            mask.iter().collect()
        }
    }
}

fn normalised(positions: Vec<Position>) -> Vec<Frame> {
    let mut gains: Vec<Frame> = positions.into_iter().map(gain).collect();
    let sum = |side: usize| gains.iter().map(|g| g[side]).sum::<f32>();
    let loudest = sum(0).max(sum(1));
    if loudest <= 0.0 {
        // Positions without a known gain: mix evenly instead of returning silence.
        let even = 1.0 / gains.len() as f32;
        gains.fill([even, even]);
    } else {
        gains.iter_mut().flatten().for_each(|g| *g /= loudest);
    }
    gains
}

fn gain(position: Position) -> Frame {
    const LEFT: Position = Position::FRONT_LEFT.union(Position::FRONT_LEFT_CENTER).union(Position::FRONT_LEFT_WIDE);
    const RIGHT: Position = Position::FRONT_RIGHT.union(Position::FRONT_RIGHT_CENTER).union(Position::FRONT_RIGHT_WIDE);
    const CENTRE: Position = Position::FRONT_CENTER.union(Position::BOTTOM_FRONT_CENTER);
    const LEFT_AROUND: Position = Position::REAR_LEFT
        .union(Position::SIDE_LEFT)
        .union(Position::TOP_FRONT_LEFT)
        .union(Position::TOP_REAR_LEFT)
        .union(Position::TOP_SIDE_LEFT)
        .union(Position::BOTTOM_FRONT_LEFT);
    const RIGHT_AROUND: Position = Position::REAR_RIGHT
        .union(Position::SIDE_RIGHT)
        .union(Position::TOP_FRONT_RIGHT)
        .union(Position::TOP_REAR_RIGHT)
        .union(Position::TOP_SIDE_RIGHT)
        .union(Position::BOTTOM_FRONT_RIGHT);
    const MIDDLE_AROUND: Position = Position::REAR_CENTER
        .union(Position::TOP_CENTER)
        .union(Position::TOP_FRONT_CENTER)
        .union(Position::TOP_REAR_CENTER);
    if LEFT.intersects(position) {
        [1.0, 0.0]
    } else if RIGHT.intersects(position) {
        [0.0, 1.0]
    } else if CENTRE.intersects(position) {
        [FRAC_1_SQRT_2, FRAC_1_SQRT_2]
    } else if LEFT_AROUND.intersects(position) {
        [FRAC_1_SQRT_2, 0.0]
    } else if RIGHT_AROUND.intersects(position) {
        [0.0, FRAC_1_SQRT_2]
    } else if MIDDLE_AROUND.intersects(position) {
        [0.5, 0.5]
    } else {
        [0.0, 0.0]
    }
}

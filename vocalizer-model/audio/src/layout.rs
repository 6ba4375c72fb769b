//! The positions of channels, as the formats state them.

use symphonia::core::audio::{ChannelLabel, Channels, Position as P};

/// Returns the positions of a WAV mask, if it has as many as there are channels.
pub(super) fn of_mask(channels: u16, mask: Option<u32>) -> Channels {
    let mask = mask.filter(|mask| mask.count_ones() == u32::from(channels));
    match mask.and_then(P::from_wave_channel_mask) {
        Some(positions) => Channels::Positioned(positions),
        None => Channels::Discrete(channels),
    }
}

/// Returns the positions in the order of the channels.
pub(super) fn in_order(positions: impl IntoIterator<Item = P>) -> Channels {
    Channels::Custom(positions.into_iter().map(ChannelLabel::Positioned).collect())
}

/// Returns the order of Vorbis, which Opus shares.
pub(super) fn of_vorbis(channels: u8) -> Channels {
    let (left, right, centre, lfe) = (P::FRONT_LEFT, P::FRONT_RIGHT, P::FRONT_CENTER, P::LFE1);
    let (rear_left, rear_right) = (P::REAR_LEFT, P::REAR_RIGHT);
    let (side_left, side_right) = (P::SIDE_LEFT, P::SIDE_RIGHT);
    match channels {
        3 => in_order([left, centre, right]),
        4 => in_order([left, right, rear_left, rear_right]),
        5 => in_order([left, centre, right, rear_left, rear_right]),
        6 => in_order([left, centre, right, rear_left, rear_right, lfe]),
        7 => in_order([left, centre, right, side_left, side_right, P::REAR_CENTER, lfe]),
        8 => in_order([left, centre, right, side_left, side_right, rear_left, rear_right, lfe]),
        _ => Channels::Discrete(channels.into()),
    }
}

/// Returns the positions of Apple's `AudioChannelLayout`: a tag, a mask, and the labels of the channels.
pub(super) fn of_apple(bytes: &[u8], channels: u16) -> Channels {
    let usual = of_mask(channels, None);
    let number = |at: usize| {
        let bytes = bytes.get(at..).and_then(|bytes| bytes.first_chunk());
        bytes.map_or(0, |bytes| u32::from_be_bytes(*bytes))
    };
    let (l, r, c, s) = (P::FRONT_LEFT, P::FRONT_RIGHT, P::FRONT_CENTER, P::REAR_CENTER);
    let (ls, rs, lfe) = (P::REAR_LEFT, P::REAR_RIGHT, P::LFE1);
    let (lc, rc) = (P::FRONT_LEFT_CENTER, P::FRONT_RIGHT_CENTER);
    let order: Vec<P> = match number(0) {
        0 if bytes.len() < 12 || number(8) != u32::from(channels) => return usual,
        0 => {
            let labels = (0..usize::from(channels)).map(|n| number(12 + 20 * n));
            // The first 18 labels are the bits of the mask of WAV.
            let mask = |label: u32| label.checked_sub(1).filter(|&bit| bit < 18).map(|bit| 1 << bit);
            labels.map(|label| mask(label).and_then(P::from_wave_channel_mask).unwrap_or(P::empty())).collect()
        }
        0x1_0000 => return of_mask(channels, Some(number(4))),
        tag => match tag >> 16 {
            108 | 132 => vec![l, r, ls, rs],
            113 => vec![l, r, c],
            114 => vec![c, l, r],
            115 => vec![l, r, c, s],
            116 => vec![c, l, r, s],
            117 => vec![l, r, c, ls, rs],
            109 | 118 => vec![l, r, ls, rs, c],
            119 => vec![l, c, r, ls, rs],
            120 => vec![c, l, r, ls, rs],
            121 => vec![l, r, c, lfe, ls, rs],
            122 => vec![l, r, ls, rs, c, lfe],
            123 => vec![l, c, r, ls, rs, lfe],
            124 => vec![c, l, r, ls, rs, lfe],
            125 => vec![l, r, c, lfe, ls, rs, s],
            126 => vec![l, r, c, lfe, ls, rs, lc, rc],
            127 => vec![c, lc, rc, l, r, ls, rs, lfe],
            128 => vec![l, r, c, lfe, P::SIDE_LEFT, P::SIDE_RIGHT, ls, rs],
            131 => vec![l, r, s],
            133 => vec![l, r, lfe],
            134 => vec![l, r, lfe, s],
            135 => vec![l, r, lfe, ls, rs],
            136 => vec![l, r, c, lfe],
            137 => vec![l, r, c, lfe, s],
            138 => vec![l, r, ls, rs, lfe],
            110 | 139 => vec![l, r, ls, rs, c, s],
            141 => vec![c, l, r, ls, rs, s],
            142 => vec![c, l, r, ls, rs, s, lfe],
            150 => vec![l, c, r],
            151 => vec![l, c, r, s],
            152 => vec![l, c, r, lfe],
            153 => vec![l, r, s, lfe],
            154 => vec![l, c, r, s, lfe],
            _ => return usual,
        },
    };
    if order.len() != usize::from(channels) || order.iter().all(|position| position.is_empty()) {
        return usual;
    }
    in_order(order)
}

/// Returns the order in which Symphonia gives the channels of ALAC, which it labels wrongly if there are more than six.
pub(super) fn of_alac(channels: usize) -> Option<Channels> {
    let front = [P::FRONT_LEFT, P::FRONT_RIGHT, P::FRONT_CENTER, P::LFE1];
    let behind = match channels {
        7 => vec![P::REAR_CENTER, P::REAR_LEFT, P::REAR_RIGHT],
        8 => vec![P::FRONT_LEFT_CENTER, P::FRONT_RIGHT_CENTER, P::REAR_LEFT, P::REAR_RIGHT],
        _ => return None,
    };
    Some(in_order(front.into_iter().chain(behind)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apple(numbers: &[u32], channels: u16) -> Channels {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_be_bytes()).collect();
        of_apple(&bytes, channels)
    }

    #[test]
    fn apples_layouts_are_tags_masks_or_labels() {
        let surround = [P::FRONT_LEFT, P::FRONT_RIGHT, P::FRONT_CENTER, P::LFE1];
        assert_eq!(apple(&[136 << 16 | 4, 0, 0], 4), in_order(surround));
        let positions = surround.into_iter().fold(P::empty(), |all, position| all | position);
        assert_eq!(apple(&[0x1_0000, 0xf, 0], 4), Channels::Positioned(positions));
        let label = |number: u32| [number, 0, 0, 0, 0];
        let labels = [[0, 0, 2].as_slice(), &label(4), &label(1)].concat();
        assert_eq!(apple(&labels, 2), in_order([P::LFE1, P::FRONT_LEFT]));
    }

    #[test]
    fn layouts_that_contradict_the_channels_are_ignored() {
        for numbers in [&[][..], &[136 << 16 | 4, 0, 0], &[0x1_0000, 0xf, 0], &[0, 0, 4], &[0, 0, 3], &[0, 0, u32::MAX]]
        {
            assert_eq!(apple(numbers, 3), Channels::Discrete(3), "{numbers:?}");
        }
        assert_eq!(of_mask(4, Some(0x3f)), Channels::Discrete(4));
    }
}

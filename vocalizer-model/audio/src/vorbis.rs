//! Vorbis, decoded by lewton. Symphonia couples the channels in the wrong order and confuses the partitions of several
//! channels, so more than two channels are noise.

use lewton::audio::{AudioReadError, PreviousWindowRight, get_decoded_sample_count, read_audio_packet_generic};
use lewton::header::{HeaderReadError, IdentHeader, SetupHeader, read_header_ident, read_header_setup};
use lewton::samples::InterleavedSamples;
use symphonia::core::codecs::audio::AudioCodecParameters;

use super::codec::{Codec, Failure, Shape};
use super::error::DecodeError;
use super::guard::guard;
use super::layout;
use super::refused;

/// The length of the identification header.
const IDENT_BYTES: usize = 30;
/// The most entries of all codebooks, and numbers in them. Encoders write less than a tenth.
const MAX_ENTRIES: u64 = 1 << 20;
const MAX_NUMBERS: u64 = 1 << 22;

pub(super) struct VorbisCodec {
    ident: IdentHeader,
    setup: SetupHeader,
    /// The second half of the packet before, which overlaps with the next.
    previous: PreviousWindowRight,
    /// Whether the next packet is the first of the stream, which has none to overlap with.
    is_start: bool,
}

impl VorbisCodec {
    /// Creates a decoder from the identification header and the setup header, one after the other.
    pub(super) fn new(params: &AudioCodecParameters) -> Result<Self, DecodeError> {
        let malformed = |what: &str| DecodeError::Malformed(format!("the Vorbis header {what}"));
        let headers = params.extra_data.as_deref().unwrap_or_default();
        let (ident, setup) =
            headers.split_at_checked(IDENT_BYTES).ok_or_else(|| malformed("is missing or truncated"))?;
        let invalid = |_: HeaderReadError| malformed("is invalid");
        let ident = read_header_ident(ident).map_err(invalid)?;
        let block = 1_u32 << ident.blocksize_1;
        // lewton counts the samples of a block in 16 bits.
        if u16::try_from(block * u32::from(ident.audio_channels)).is_err() {
            let channels = ident.audio_channels;
            return Err(refused::codec(&format!("Vorbis with {channels} channels in blocks of {block} samples")));
        }
        check_codebooks(setup).ok_or_else(|| malformed("has invalid or too large codebooks"))?;
        let blocks = (ident.blocksize_0, ident.blocksize_1);
        let setup = read_header_setup(setup, ident.audio_channels, blocks).map_err(invalid)?;
        Ok(Self { ident, setup, previous: PreviousWindowRight::new(), is_start: true })
    }
}

impl Codec for VorbisCodec {
    fn decode(&mut self, packet: &[u8], out: &mut Vec<f32>) -> Result<Shape, Failure> {
        let channels = usize::from(self.ident.audio_channels);
        let decoded = guard(|| {
            let failed = |error: AudioReadError| DecodeError::Malformed(format!("vorbis: {error}"));
            let (ident, setup) = (&self.ident, &self.setup);
            let is_alone = self.previous.is_empty();
            let mut samples: InterleavedSamples<f32> =
                read_audio_packet_generic(ident, setup, packet, &mut self.previous).map_err(failed)?;
            if is_alone && !self.is_start {
                // After a loss, silence takes the place of half a block, so that the rest keeps its position.
                let frames = get_decoded_sample_count(ident, setup, packet).map_err(failed)?;
                samples.samples.resize(frames * channels, 0.0);
            }
            Ok(samples.samples)
        });
        *out = decoded.map_err(|error| {
            self.reset();
            Failure::Packet(error.to_string())
        })?;
        self.is_start = false;
        let frames = out.len() / channels;
        let channels = layout::of_vorbis(self.ident.audio_channels);
        Ok(Shape { rate_hz: self.ident.audio_sample_rate, channels, frames })
    }

    fn reset(&mut self) {
        self.previous = PreviousWindowRight::new();
    }
}

/// Bits from the lowest of each byte on.
struct Bits<'a> {
    bytes: &'a [u8],
    at: u64,
}

impl Bits<'_> {
    /// Reads a number of at most 32 bits.
    fn take(&mut self, count: u32) -> Option<u32> {
        let mut number = 0;
        for bit in 0..count {
            let byte = self.bytes.get(usize::try_from(self.at / 8).ok()?)?;
            number |= u32::from(byte >> (self.at % 8) & 1) << bit;
            self.at += 1;
        }
        Some(number)
    }

    fn skip(&mut self, bits: u64) -> Option<()> {
        self.at = self.at.checked_add(bits)?;
        (self.at <= 8 * self.bytes.len() as u64).then_some(())
    }
}

/// Checks the sizes of the codebooks (Vorbis I, 3.2.1). lewton reserves memory for what a few bytes may state.
fn check_codebooks(setup: &[u8]) -> Option<()> {
    let mut bits = Bits { bytes: setup, at: 0 };
    // The type of the header and the word `vorbis`.
    bits.skip(56)?;
    let (mut all_entries, mut all_numbers) = (0, 0);
    for _ in 0..=bits.take(8)? {
        let (_sync, dimensions, entries) = (bits.take(24)?, bits.take(16)?, bits.take(24)?);
        let numbers = u64::from(entries) * u64::from(dimensions);
        all_entries += u64::from(entries);
        all_numbers += numbers;
        if dimensions == 0 || all_entries > MAX_ENTRIES || all_numbers > MAX_NUMBERS {
            return None;
        }
        skip_lengths(&mut bits, entries)?;
        let values = match bits.take(4)? {
            0 => continue,
            1 => root(entries, dimensions),
            _ => numbers,
        };
        // The least value and the step.
        bits.skip(64)?;
        let value_bits = bits.take(4)? + 1;
        bits.skip(1 + values * u64::from(value_bits))?;
    }
    Some(())
}

/// Skips the lengths of the codewords.
fn skip_lengths(bits: &mut Bits<'_>, entries: u32) -> Option<()> {
    let is_ordered = bits.take(1)? == 1;
    if is_ordered {
        bits.skip(5)?;
        let mut left = entries;
        while left > 0 {
            left = left.checked_sub(bits.take(u32::BITS - left.leading_zeros())?)?;
        }
    } else if bits.take(1)? == 0 {
        bits.skip(5 * u64::from(entries))?;
    } else {
        for _ in 0..entries {
            let is_used = bits.take(1)? == 1;
            bits.skip(if is_used { 5 } else { 0 })?;
        }
    }
    Some(())
}

/// Returns the greatest number whose power is at most `entries`.
fn root(entries: u32, dimensions: u32) -> u64 {
    let fits = |base: &u64| base.checked_pow(dimensions).is_some_and(|power| power <= u64::from(entries));
    (1..).take_while(fits).last().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_are_whole() {
        assert_eq!([root(1_025, 10), root(1_024, 10), root(1_023, 10)], [2, 2, 1]);
        assert_eq!([root(3_124, 5), root(3_125, 5), root(1, 1), root(0, 15), root(7, 65_535)], [4, 5, 1, 0, 1]);
    }

    /// A setup header of codebooks with `entries` words of the same length and one number for all.
    fn setup(codebooks: u8, dimensions: u32, entries: u32) -> Vec<u8> {
        let mut bits: Vec<bool> = Vec::new();
        let mut put = |number: u64, count: u32| bits.extend((0..count).map(|bit| bit < 64 && number >> bit & 1 == 1));
        for byte in b"\x05vorbis" {
            put((*byte).into(), 8);
        }
        put((codebooks - 1).into(), 8);
        for _ in 0..codebooks {
            put(0x56_4342, 24);
            put(dimensions.into(), 16);
            put(entries.into(), 24);
            put(1, 1);
            put((entries.ilog2() - 1).into(), 5);
            put(entries.into(), entries.ilog2() + 1);
            put(1, 4);
            put(0, 64);
            put(0, 4);
            put(0, 1);
            put(0, u32::try_from(root(entries, dimensions)).expect("a small root"));
        }
        bits.chunks(8).map(|bits| bits.iter().rev().fold(0, |byte, &bit| byte << 1 | u8::from(bit))).collect()
    }

    #[test]
    fn large_codebooks_are_refused() {
        assert_eq!(check_codebooks(&setup(40, 8, 8_192)), Some(()));
        assert_eq!(check_codebooks(&setup(40, 8, 8_192)[..400]), None, "a truncated header");
        for (codebooks, dimensions, entries) in [(1, 65_535, 1 << 20), (255, 32, 1 << 17), (1, 0, 16), (3, 1, 1 << 19)]
        {
            let header = setup(codebooks, dimensions.max(1), entries);
            let header = if dimensions == 0 { [&header[..11], &[0, 0], &header[13..]].concat() } else { header };
            assert_eq!(check_codebooks(&header), None, "{codebooks} codebooks of {entries} times {dimensions}");
        }
    }
}

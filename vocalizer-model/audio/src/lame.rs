//! The MP3 encoder (LAME).

use std::io::{Seek, SeekFrom, Write};

use mp3lame_encoder as lame;

use super::bitrate::{Bitrate, MP3_KBPS, MP3_RATES_HZ, mp3_kbps_at};
use super::error::EncodeError;

/// Frames per call of LAME.
const BLOCK_FRAMES: usize = 4_608;
/// LAME's worst case for the final bytes.
const FLUSH_BYTES: usize = 7_200;
/// 48 dB above full scale, far beyond any mix. LAME squares samples in single precision; an overflow fails an
/// assertion, which ends the process.
const LOUDEST: f32 = 256.0;

pub(super) struct Lame {
    encoder: lame::Encoder,
    mono: bool,
    /// Where the first frame starts, after the tags.
    start: u64,
    left: Vec<f32>,
    right: Vec<f32>,
    bytes: Vec<u8>,
}

impl Lame {
    /// Creates an encoder whose output starts at `start` in its file.
    pub(super) fn new(bitrate: Bitrate, rate_hz: u32, mono: bool, fast: bool, start: u64) -> Result<Self, EncodeError> {
        if !MP3_RATES_HZ.contains(&rate_hz) {
            return Err(EncodeError::Unsupported(format!(
                "MP3 at {rate_hz} Hz; resample to 44100 or 48000 Hz, or use FLAC"
            )));
        }
        let mut builder =
            lame::Builder::new().ok_or_else(|| EncodeError::Internal("LAME could not be initialised".into()))?;
        let (channels, mode) = if mono { (1, lame::Mode::Mono) } else { (2, lame::Mode::JointStereo) };
        builder.set_num_channels(channels).map_err(internal)?;
        builder.set_sample_rate(rate_hz).map_err(internal)?;
        // By default, LAME resamples at low bitrates.
        builder.set_output_sample_rate(std::num::NonZeroU32::new(rate_hz)).map_err(internal)?;
        builder.set_mode(mode).map_err(internal)?;
        // The quality of the algorithm, as in `lame -q 2` or `-q 7`; it does not affect the size.
        let quality = if fast { lame::Quality::Ok } else { lame::Quality::NearBest };
        builder.set_quality(quality).map_err(internal)?;
        match bitrate {
            Bitrate::Cbr(kbps) => {
                builder.set_vbr_mode(lame::VbrMode::Off).map_err(internal)?;
                builder.set_brate(constant(kbps, rate_hz)?).map_err(internal)?;
            }
            Bitrate::Vbr(quality) => {
                builder.set_vbr_mode(lame::VbrMode::Mtrh).map_err(internal)?;
                builder.set_vbr_quality(variable(quality)?).map_err(internal)?;
            }
        }
        builder.set_to_write_vbr_tag(true).map_err(internal)?;
        let encoder = builder.build().map_err(internal)?;
        Ok(Self { encoder, mono, start, left: Vec::new(), right: Vec::new(), bytes: Vec::new() })
    }

    /// Encodes samples: of one channel, or of left and right in turn.
    pub(super) fn encode(&mut self, samples: &[f32], out: &mut impl Write) -> Result<(), EncodeError> {
        let channels = if self.mono { 1 } else { 2 };
        for block in samples.chunks(BLOCK_FRAMES * channels) {
            let channel = |at| block.iter().skip(at).step_by(channels).map(|x| x.clamp(-LOUDEST, LOUDEST));
            self.left.clear();
            self.left.extend(channel(0));
            self.bytes.clear();
            self.bytes.reserve(lame::max_required_buffer_size(self.left.len()).max(FLUSH_BYTES));
            let encoded = if self.mono {
                self.encoder.encode_to_vec(lame::MonoPcm(&self.left), &mut self.bytes)
            } else {
                self.right.clear();
                self.right.extend(channel(1));
                let input = lame::DualPcm { left: &self.left, right: &self.right };
                self.encoder.encode_to_vec(input, &mut self.bytes)
            };
            encoded.map_err(internal)?;
            out.write_all(&self.bytes).map_err(EncodeError::write)?;
        }
        Ok(())
    }

    /// Writes the last frames, then LAME's tag with the final lengths, over the frame that LAME reserved at the start.
    pub(super) fn finish(mut self, out: &mut (impl Write + Seek)) -> Result<(), EncodeError> {
        self.bytes.clear();
        self.bytes.reserve(2 * FLUSH_BYTES);
        self.encoder.flush_to_vec::<lame::FlushGap>(&mut self.bytes).map_err(internal)?;
        out.write_all(&self.bytes).map_err(EncodeError::write)?;
        self.bytes.clear();
        self.bytes.reserve(self.encoder.lame_tag_size().max(FLUSH_BYTES));
        if self.encoder.lame_tag_encode_to_vec(&mut self.bytes).is_none() {
            return Err(EncodeError::Internal("LAME returned no tag".into()));
        }
        out.seek(SeekFrom::Start(self.start)).map_err(EncodeError::write)?;
        out.write_all(&self.bytes).map_err(EncodeError::write)?;
        out.seek(SeekFrom::End(0)).map_err(EncodeError::write)?;
        Ok(())
    }
}

/// Returns LAME's value for a bitrate that MP3 supports at this sample rate; LAME would silently choose another.
fn constant(kbps: u16, rate_hz: u32) -> Result<lame::Bitrate, EncodeError> {
    use lame::Bitrate as B;
    let (least, most) = mp3_kbps_at(rate_hz);
    let known = match kbps {
        8 => B::Kbps8,
        16 => B::Kbps16,
        24 => B::Kbps24,
        32 => B::Kbps32,
        40 => B::Kbps40,
        48 => B::Kbps48,
        64 => B::Kbps64,
        80 => B::Kbps80,
        96 => B::Kbps96,
        112 => B::Kbps112,
        128 => B::Kbps128,
        160 => B::Kbps160,
        192 => B::Kbps192,
        224 => B::Kbps224,
        256 => B::Kbps256,
        320 => B::Kbps320,
        _ => {
            return Err(EncodeError::Unsupported(format!(
                "MP3 bitrate {kbps} kbit/s; use one of {}",
                MP3_KBPS.map(|kbps| kbps.to_string()).join(", ")
            )));
        }
    };
    if (least..=most).contains(&kbps) {
        Ok(known)
    } else {
        Err(EncodeError::Unsupported(format!(
            "MP3 bitrate {kbps} kbit/s at {rate_hz} Hz; use {least} to {most} kbit/s, or resample to 44100 Hz"
        )))
    }
}

fn variable(quality: u8) -> Result<lame::Quality, EncodeError> {
    use lame::Quality as Q;
    Ok(match quality {
        0 => Q::Best,
        1 => Q::SecondBest,
        2 => Q::NearBest,
        3 => Q::VeryNice,
        4 => Q::Nice,
        5 => Q::Good,
        6 => Q::Decent,
        7 => Q::Ok,
        8 => Q::SecondWorst,
        9 => Q::Worst,
        _ => return Err(EncodeError::Unsupported(format!("MP3 VBR quality {quality}; use 0 (best) to 9"))),
    })
}

fn internal(error: impl std::fmt::Display) -> EncodeError {
    EncodeError::Internal(error.to_string())
}

//! Encodes HE-AAC, for tests of the decoder: ffmpeg has no free encoder of it.
//!
//! `encode_he_aac v1|v2 adts|m4a RATE < SAMPLES > FILE` reads stereo frames of little-endian `f32`.

use std::error::Error;
use std::io::{Read as _, Write as _};

use syom::{EncodeContainer, EncodeOptions};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [version, container, rate_hz] = arguments.as_slice() else {
        return Err("usage: encode_he_aac v1|v2 adts|m4a RATE < SAMPLES > FILE".into());
    };
    let options = EncodeOptions::adts();
    let mut options = match version.as_str() {
        "v1" => options.with_he(true).with_bitrate_bps(64_000),
        _ => options.with_he_v2(true).with_bitrate_bps(48_000),
    };
    if container == "m4a" {
        options.container = EncodeContainer::M4a;
    }
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes)?;
    let mut planes = vec![Vec::new(), Vec::new()];
    for (n, sample) in bytes.as_chunks::<4>().0.iter().enumerate() {
        planes[n % 2].push(f32::from_le_bytes(*sample));
    }
    std::io::stdout().write_all(&syom::encode_with(&planes, rate_hz.parse()?, &options)?)?;
    Ok(())
}

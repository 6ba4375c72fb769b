//! The bitrates and sample rates of MP3.

/// The bitrate of an MP3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bitrate {
    /// Constant bitrate in kbit/s; one that MP3 supports, such as 128, 192, 256 or 320.
    Cbr(u16),
    /// Variable bitrate, from 0 (best, about 245 kbit/s) to 9 (smallest).
    Vbr(u8),
}

/// The constant bitrates of MP3 at the supported sample rates, in kbit/s.
pub const MP3_KBPS: [u16; 13] = [32, 40, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];

/// The sample rates of MP3.
pub(super) const MP3_RATES_HZ: [u32; 9] = [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000];

/// Returns the minimum and maximum constant bitrate at a sample rate, in kbit/s.
pub(super) const fn mp3_kbps_at(rate_hz: u32) -> (u16, u16) {
    // LAME's tag must fit into one frame. At lower bitrates LAME omits it, and the length is lost.
    match rate_hz {
        44_100.. => (64, 320),
        32_000.. => (48, 320),
        22_050.. => (64, 160),
        16_000.. => (40, 160),
        11_025.. => (32, 64),
        _ => (24, 64),
    }
}

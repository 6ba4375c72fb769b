//! The tracks of Matroska and WebM: their codecs, and what the decoders need.

use symphonia::core::codecs::audio::well_known as id;
use symphonia::core::codecs::audio::{AudioCodecId, AudioCodecParameters};

use super::ebml::{children, float, number};
use super::error::DecodeError;
use super::flac;
use super::layout;
use super::refused;
use super::riff;

const TRACK_NUMBER: u64 = 0xd7;
const FLAG_DEFAULT: u64 = 0x88;
const CODEC_ID: u64 = 0x86;
const CODEC_PRIVATE: u64 = 0x63a2;
const LANGUAGE: u64 = 0x22_b59c;
const LANGUAGE_BCP47: u64 = 0x22_b59d;
const AUDIO: u64 = 0xe1;
const SAMPLING_FREQUENCY: u64 = 0xb5;
const CHANNELS: u64 = 0x9f;
const BIT_DEPTH: u64 = 0x6264;
const CONTENT_ENCODINGS: u64 = 0x6d80;
const CONTENT_ENCODING: u64 = 0x6240;
const CONTENT_COMPRESSION: u64 = 0x5034;
const CONTENT_ENCRYPTION: u64 = 0x5035;
const ALGORITHM: u64 = 0x4254;
const SETTINGS: u64 = 0x4255;
/// The algorithm that removes the bytes that all frames start with.
const HEADER_STRIPPING: u64 = 3;

/// The name in messages.
const CONTAINER: &str = "Matroska";

/// How the frames are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Storage {
    Plain,
    Compressed,
    Encrypted,
}

/// A track of any kind.
#[derive(Debug, Clone)]
pub(super) struct MkvTrack {
    pub(super) number: u64,
    pub(super) is_default: bool,
    pub(super) language: String,
    codec: String,
    private: Vec<u8>,
    rate_hz: u32,
    channels: u16,
    bits: u64,
    storage: Storage,
    /// The bytes that all frames start with and that are not stored.
    pub(super) prefix: Vec<u8>,
}

impl MkvTrack {
    /// Reads a track entry.
    #[expect(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "the conversion saturates")]
    pub(super) fn read(entry: &[u8]) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned();
        let mut track = Self {
            number: 0,
            is_default: true,
            language: "eng".into(),
            codec: String::new(),
            private: Vec::new(),
            rate_hz: 8_000,
            channels: 1,
            bits: 0,
            storage: Storage::Plain,
            prefix: Vec::new(),
        };
        let mut tag = None;
        for (id, body) in children(entry) {
            match id {
                TRACK_NUMBER => track.number = number(body),
                FLAG_DEFAULT => track.is_default = number(body) != 0,
                CODEC_ID => track.codec = text(body),
                CODEC_PRIVATE => track.private = body.to_vec(),
                LANGUAGE => track.language = text(body),
                LANGUAGE_BCP47 => tag = Some(text(body)),
                AUDIO => {
                    for (id, body) in children(body) {
                        match id {
                            SAMPLING_FREQUENCY => track.rate_hz = float(body).unwrap_or(0.0).round() as u32,
                            CHANNELS => track.channels = u16::try_from(number(body)).unwrap_or(u16::MAX),
                            BIT_DEPTH => track.bits = number(body),
                            _ => {}
                        }
                    }
                }
                CONTENT_ENCODINGS => track.read_storage(body),
                _ => {}
            }
        }
        track.language = tag.unwrap_or(track.language);
        track
    }

    fn read_storage(&mut self, encodings: &[u8]) {
        for (_, encoding) in children(encodings).filter(|(id, _)| *id == CONTENT_ENCODING) {
            for (id, body) in children(encoding) {
                let field = |wanted| children(body).find(|(id, _)| *id == wanted).map(|(_, value)| value);
                match id {
                    CONTENT_ENCRYPTION => self.storage = Storage::Encrypted,
                    CONTENT_COMPRESSION if field(ALGORITHM).map(number) == Some(HEADER_STRIPPING) => {
                        self.prefix = field(SETTINGS).unwrap_or_default().to_vec();
                    }
                    CONTENT_COMPRESSION => self.storage = Storage::Compressed,
                    _ => {}
                }
            }
        }
    }

    pub(super) fn is_sound(&self) -> bool {
        self.codec.starts_with("A_")
    }

    /// Returns the description of a codec of Windows.
    fn format(&self) -> Option<Result<riff::Format, DecodeError>> {
        (self.codec == "A_MS/ACM").then(|| riff::Format::parse(&self.private, false))
    }

    /// Returns the bytes of a block of ADPCM, of which a frame may have several.
    pub(super) fn block_bytes(&self) -> usize {
        let format = self.format().and_then(Result::ok).filter(riff::Format::has_blocks);
        format.map(|format| usize::from(format.block_bytes)).filter(|&bytes| bytes > 0).unwrap_or(usize::MAX)
    }

    /// Returns the parameters for the decoder. The codec is `CODEC_ID_NULL_AUDIO` if it has no name in symphonia.
    pub(super) fn params(&self) -> AudioCodecParameters {
        let mut params = AudioCodecParameters::new();
        params.for_codec(self.codec_id().unwrap_or_default());
        let (mask, extra) = match (self.format(), params.codec) {
            (Some(format), _) => (format.ok().and_then(|format| format.mask), Vec::new()),
            (None, id::CODEC_ID_VORBIS) => (None, vorbis_headers(&self.private).unwrap_or_default()),
            (None, id::CODEC_ID_FLAC) => {
                let metadata = self.private.strip_prefix(b"fLaC").unwrap_or_default();
                (flac::mask(metadata), flac::info(metadata).unwrap_or_default().to_vec())
            }
            (None, _) => (None, self.private.clone()),
        };
        params.with_sample_rate(self.rate_hz).with_channels(layout::of_mask(self.channels, mask));
        if !extra.is_empty() {
            params.with_extra_data(extra.into_boxed_slice());
        }
        params
    }

    /// Returns why the track cannot be decoded, if that is known without a decoder.
    pub(super) fn refusal(&self) -> Option<DecodeError> {
        let what = match self.storage {
            Storage::Encrypted => "encrypted sound".into(),
            Storage::Compressed => "Matroska with compressed sound (zlib, bzlib or LZO)".into(),
            Storage::Plain if self.codec_id().is_some() => return None,
            Storage::Plain => match self.format() {
                Some(format) => return format.and_then(|format| format.codec(CONTAINER, false)).err(),
                None if self.codec.starts_with("A_PCM/") => format!("{CONTAINER} with samples of {} bits", self.bits),
                None => format!("{CONTAINER} with the codec `{}`", self.codec.escape_default()),
            },
        };
        Some(refused::codec(&what))
    }

    fn codec_id(&self) -> Option<AudioCodecId> {
        let whole = |big| riff::integer(self.bits / 8, big);
        Some(match (self.codec.as_str(), self.bits) {
            ("A_MPEG/L1", _) => id::CODEC_ID_MP1,
            ("A_MPEG/L2", _) => id::CODEC_ID_MP2,
            ("A_MPEG/L3", _) => id::CODEC_ID_MP3,
            ("A_FLAC", _) => id::CODEC_ID_FLAC,
            ("A_OPUS", _) => id::CODEC_ID_OPUS,
            ("A_VORBIS", _) => id::CODEC_ID_VORBIS,
            ("A_ALAC", _) => id::CODEC_ID_ALAC,
            ("A_MPC", _) => id::CODEC_ID_MUSEPACK,
            ("A_TRUEHD" | "A_MLP", _) => id::CODEC_ID_TRUEHD,
            ("A_TTA1", _) => id::CODEC_ID_TTA,
            ("A_WAVPACK4", _) => id::CODEC_ID_WAVPACK,
            ("A_PCM/INT/LIT", 8) => id::CODEC_ID_PCM_U8,
            ("A_PCM/INT/BIG", 8) => id::CODEC_ID_PCM_S8,
            ("A_PCM/INT/LIT", 16 | 24 | 32) => whole(false),
            ("A_PCM/INT/BIG", 16 | 24 | 32) => whole(true),
            ("A_PCM/FLOAT/IEEE", 32) => id::CODEC_ID_PCM_F32LE,
            ("A_PCM/FLOAT/IEEE", 64) => id::CODEC_ID_PCM_F64LE,
            ("A_MS/ACM", _) => match self.format()?.ok()? {
                riff::Format { tag: 0x50 | 0x55, .. } => id::CODEC_ID_MP3,
                format => format.codec(CONTAINER, false).ok()?.0,
            },
            (codec, _) if codec.starts_with("A_AAC") => id::CODEC_ID_AAC,
            (codec, _) if codec.starts_with("A_AC3") => id::CODEC_ID_AC3,
            (codec, _) if codec.starts_with("A_EAC3") => id::CODEC_ID_EAC3,
            (codec, _) if codec.starts_with("A_DTS") => id::CODEC_ID_DCA,
            (codec, _) if codec.starts_with("A_ATRAC") => id::CODEC_ID_ATRAC1,
            (codec, _) if codec.starts_with("A_REAL") => id::CODEC_ID_COOK,
            _ => return None,
        })
    }
}

/// Returns the identification header and the setup header. Before the three headers of Vorbis come their number minus one and
/// the lengths of the first two.
fn vorbis_headers(private: &[u8]) -> Option<Vec<u8>> {
    let (_, mut rest) = private.split_first()?;
    let mut lengths = [0, 0];
    for length in &mut lengths {
        loop {
            let (&byte, more) = rest.split_first()?;
            rest = more;
            *length += usize::from(byte);
            if byte < 255 {
                break;
            }
        }
    }
    let (ident, rest) = rest.split_at_checked(lengths[0])?;
    Some([ident.get(..30)?, rest.get(lengths[1]..)?].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An element of less than 127 bytes.
    fn element(id: u64, body: &[u8]) -> Vec<u8> {
        let id: Vec<u8> = id.to_be_bytes().into_iter().skip_while(|&byte| byte == 0).collect();
        [id.as_slice(), &[0x80 | body.len() as u8], body].concat()
    }

    fn sound(codec: &str, bits: u8, more: &[Vec<u8>]) -> MkvTrack {
        let audio = [
            element(SAMPLING_FREQUENCY, &44_100_f32.to_be_bytes()),
            element(CHANNELS, &[2]),
            element(BIT_DEPTH, &[bits]),
        ];
        let entry = [element(TRACK_NUMBER, &[3]), element(CODEC_ID, codec.as_bytes()), element(AUDIO, &audio.concat())];
        MkvTrack::read(&[entry.concat(), more.concat()].concat())
    }

    fn refusal_of(track: &MkvTrack) -> Option<String> {
        track.refusal().and_then(|error| error.format().map(str::to_owned))
    }

    #[test]
    fn entries_are_read_with_their_defaults() {
        let track = sound("A_PCM/INT/LIT", 8, &[]);
        assert_eq!((track.number, track.is_default, track.language.as_str()), (3, true, "eng"));
        let params = track.params();
        assert_eq!((params.codec, params.sample_rate), (id::CODEC_ID_PCM_U8, Some(44_100)));
        assert_eq!(params.channels, Some(layout::of_mask(2, None)));
        assert!(track.refusal().is_none() && track.block_bytes() == usize::MAX);
        let other = sound("A_OPUS", 0, &[element(FLAG_DEFAULT, &[0]), element(LANGUAGE_BCP47, b"de-AT")]);
        assert_eq!((other.is_default, other.language.as_str()), (false, "de-AT"));
    }

    #[test]
    fn stripped_headers_are_kept_and_other_storage_is_refused() {
        let storage = |parts: &[Vec<u8>]| {
            element(CONTENT_ENCODINGS, &element(CONTENT_ENCODING, &element(CONTENT_COMPRESSION, &parts.concat())))
        };
        let stripped = storage(&[element(ALGORITHM, &[3]), element(SETTINGS, &[0xff, 0xfb])]);
        let track = sound("A_MPEG/L3", 0, &[stripped]);
        assert_eq!((track.prefix.as_slice(), refusal_of(&track)), ([0xff, 0xfb].as_slice(), None));
        // zlib is the default.
        let compressed = sound("A_MPEG/L3", 0, &[storage(&[])]);
        assert!(refusal_of(&compressed).is_some_and(|what| what.contains("zlib")));
        let encryption = element(CONTENT_ENCODINGS, &element(CONTENT_ENCODING, &element(CONTENT_ENCRYPTION, &[])));
        assert_eq!(refusal_of(&sound("A_AAC", 0, &[encryption])).as_deref(), Some("encrypted sound"));
    }

    #[test]
    fn what_cannot_be_decoded_is_named() {
        for (codec, bits, name) in [
            ("A_PCM/INT/LIT", 20, "Matroska with samples of 20 bits"),
            ("A_PCM/FLOAT/IEEE", 16, "Matroska with samples of 16 bits"),
            ("A_QUICKTIME/QDM2", 16, "Matroska with the codec `A_QUICKTIME/QDM2`"),
        ] {
            assert_eq!(refusal_of(&sound(codec, bits, &[])).as_deref(), Some(name));
        }
    }
}

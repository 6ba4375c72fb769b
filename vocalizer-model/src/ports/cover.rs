//! Small pictures of covers. Pictures come from strangers, so their size is bounded before they are decoded.

use std::io::Cursor;
use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageDecoder as _, ImageError, ImageReader, Limits, Rgb, RgbImage, Rgba};
use vocalizer_core::ports::COVER_PIXELS;

use crate::audio::SongTags;

/// The most pixels of a side of a cover that is decoded.
const MAX_SIDE_PIXELS: u32 = 8_192;

/// The most bytes of a decoded cover.
const MAX_DECODED_BYTES: u64 = 64 << 20;

/// Quality of the small picture, of 100.
const QUALITY: u8 = 82;

/// Makes a small picture of the cover in a file's tags. `None` if there is no cover, or if it is damaged or too large.
pub(super) fn cover(file: &Path) -> Option<Vec<u8>> {
    let cover = SongTags::read(file).cover?;
    small(&cover.bytes).ok()
}

/// Decodes a picture and makes a small JPEG of it.
fn small(bytes: &[u8]) -> Result<Vec<u8>, ImageError> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE_PIXELS);
    limits.max_image_height = Some(MAX_SIDE_PIXELS);
    limits.max_alloc = Some(MAX_DECODED_BYTES);
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder()?;
    // The decoder itself counts only what it needs besides the pixels.
    limits.reserve(decoder.total_bytes())?;
    let orientation = decoder.orientation()?;
    let mut picture = DynamicImage::from_decoder(decoder)?;
    if picture.width().max(picture.height()) > COVER_PIXELS {
        picture = picture.thumbnail(COVER_PIXELS, COVER_PIXELS);
    }
    picture.apply_orientation(orientation);
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, QUALITY).encode_image(&on_white(&picture))?;
    Ok(jpeg)
}

/// Puts a picture on white: a JPEG has no transparency.
fn on_white(picture: &DynamicImage) -> RgbImage {
    if !picture.color().has_alpha() {
        return picture.to_rgb8();
    }
    let picture = picture.to_rgba8();
    RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        let &Rgba([red, green, blue, alpha]) = picture.get_pixel(x, y);
        Rgb([red, green, blue].map(|value| {
            let (value, alpha) = (u16::from(value), u16::from(alpha));
            u8::try_from((value * alpha + 255 * (255 - alpha)) / 255).unwrap_or(u8::MAX)
        }))
    })
}

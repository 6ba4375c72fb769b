//! Small pictures of the covers in songs.

use std::io::Cursor;

use bytes::Bytes;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};
use vocalizer_core::ports::{Blob, Renderer as _};
use vocalizer_model::audio::{AudioFormat, AudioLimits, Cover, StemWriter, WriteOptions};
use vocalizer_model::ports::AudioRenderer;

use super::support::entries;
use crate::audio::support::{RATE_HZ, dir, song};

const RED: Rgb<u8> = Rgb([200, 20, 20]);
const BLUE: Rgb<u8> = Rgb([20, 20, 200]);

/// A picture with a red left half and a blue right half.
fn halves(width: u32, height: u32) -> DynamicImage {
    RgbImage::from_fn(width, height, |x, _| if x < width / 2 { RED } else { BLUE }).into()
}

fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    picture.write_to(&mut file, format).expect("an encoded picture");
    file.into_inner()
}

/// Returns the small picture of a song with this cover.
async fn cover_of(picture: Option<Vec<u8>>) -> Option<Bytes> {
    let dir = dir();
    let (path, work) = (dir.path().join("song"), dir.path().join("work"));
    let mut options = WriteOptions::default();
    options.tags.cover = picture.map(|picture| Cover::new(picture).expect("a picture"));
    let mut writer = StemWriter::create_with(&path, AudioFormat::Flac, RATE_HZ, &options).expect("a writer");
    writer.write(&song(10_000, RATE_HZ)).expect("a song");
    writer.finish().expect("a file");
    let file = Blob::from(Bytes::from(std::fs::read(&path).expect("the file")));
    let cover = AudioRenderer::new(&work, AudioLimits::default()).cover(file).await.expect("no error");
    assert_eq!(entries(&work), 0, "files are left in the work folder");
    cover
}

async fn small(picture: Vec<u8>) -> RgbImage {
    let cover = cover_of(Some(picture)).await.expect("a cover");
    assert!(cover.len() < 50_000, "{} bytes", cover.len());
    image::load_from_memory_with_format(&cover, ImageFormat::Jpeg).expect("a JPEG").to_rgb8()
}

/// Asserts that a colour is about this one.
fn assert_near(&Rgb(found): &Rgb<u8>, Rgb(expected): Rgb<u8>) {
    assert!(
        found.iter().zip(expected).all(|(&found, expected)| found.abs_diff(expected) < 12),
        "{found:?} {expected:?}"
    );
}

#[tokio::test]
async fn cover_of_any_format_becomes_a_small_jpeg() {
    for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP, ImageFormat::Gif, ImageFormat::Bmp] {
        let small = small(encoded(&halves(640, 480), format)).await;
        assert_eq!(small.dimensions(), (256, 192), "{format:?}");
        assert_near(small.get_pixel(60, 96), RED);
        assert_near(small.get_pixel(190, 96), BLUE);
    }
}

#[tokio::test]
async fn small_cover_keeps_its_size_and_transparency_becomes_white() {
    let clear = RgbaImage::from_fn(64, 48, |x, _| if x < 32 { Rgba([0, 0, 0, 0]) } else { Rgba([200, 20, 20, 255]) });
    let small = small(encoded(&clear.into(), ImageFormat::Png)).await;
    assert_eq!(small.dimensions(), (64, 48));
    assert_near(small.get_pixel(10, 20), Rgb([255, 255, 255]));
    assert_near(small.get_pixel(50, 20), RED);
}

#[tokio::test]
async fn missing_damaged_and_huge_covers_are_none() {
    assert_eq!(cover_of(None).await, None);
    let jpeg = encoded(&halves(640, 480), ImageFormat::Jpeg);
    assert_eq!(cover_of(Some(b"\xff\xd8\xff and no more".to_vec())).await, None);
    assert_eq!(cover_of(Some(jpeg[..40].to_vec())).await, None);
    let png = encoded(&halves(64, 64), ImageFormat::Png);
    assert_eq!(cover_of(Some(png[..png.len() / 2].to_vec())).await, None);
    // A small file that claims 60,000 × 60,000 pixels, and one of a size that is allowed only as gray.
    for side in [60_000_u32, 8_000] {
        let mut huge = png.clone();
        huge[16..20].copy_from_slice(&side.to_be_bytes());
        huge[20..24].copy_from_slice(&side.to_be_bytes());
        let crc = crc32fast::hash(&huge[12..29]);
        huge[29..33].copy_from_slice(&crc.to_be_bytes());
        assert_eq!(cover_of(Some(huge)).await, None, "{side}");
    }
}

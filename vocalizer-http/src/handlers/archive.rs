//! All stems as one archive, created while it is sent.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::vec;

use bytes::{Bytes, BytesMut};
use futures_util::stream::try_unfold;
use http::{HeaderMap, HeaderValue, Method, Response, header};
use vocalizer_core::part::{Format, Part, Stem};
use vocalizer_core::ports::Blob;
use vocalizer_core::service::PartFile;
use zip::write::{SimpleFileOptions, StreamWriter};

use super::{Answer, naming, unmade};
use crate::app::App;
use crate::body::guarded_stream;
use crate::failure::Failure;
use crate::request::Request;
use crate::{disposition, fields};

/// Tar entries are padded to this size.
const TAR_BLOCK_BYTES: u64 = 512;

/// The archive format.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Zip,
    Tar,
}

pub(super) async fn stems(app: &Arc<App>, request: &Request, kind: Kind) -> Answer {
    let format = request.query().get(&fields::FORMAT, |text| text.parse().ok())?.unwrap_or(Format::Mp3);
    let (media_type, extension) = match kind {
        Kind::Zip => ("application/zip", "zip"),
        Kind::Tar => ("application/x-tar", "tar"),
    };
    let (title, names) = app.songs.stems(request.viewer(), request.param("song_id")?).await?;
    let label = naming::label(app, request).await?;
    let chosen = |text: &str| {
        let stems = text.split(',').map(|name| names.iter().copied().find(|stem| stem.name() == name.trim()));
        stems.collect::<Option<Vec<Stem>>>()
    };
    let chosen = request.query().get(&fields::STEMS_CHOSEN, chosen)?.unwrap_or_else(|| names.clone());
    // Archives of one song in several formats have different names.
    let what = format!("stems, {}", format.extension().to_uppercase());
    let headers = HeaderMap::from_iter([
        (header::CONTENT_TYPE, HeaderValue::from_static(media_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache")),
        (header::CONTENT_DISPOSITION, disposition::whole_header(&title, &what, extension)),
    ]);
    if request.method == Method::HEAD {
        return Ok(unmade(headers));
    }
    let open = app.archives.take(request)?;
    let mut files = Vec::new();
    // In the order of the song, each once.
    let wanted: Vec<_> = (1..).zip(names).filter(|(_, stem)| chosen.contains(stem)).collect();
    for (number, stem, file) in stem_files(app, request, &wanted, format).await? {
        let (part, extension) = (Part::Stem(stem), format.extension());
        let name = match &label {
            Some(label) => disposition::numbered_name(&file.title, number, part, extension, label),
            None => disposition::file_name(&file.title, part, extension),
        };
        files.push((name, app.songs.open(&file, None).await?));
    }
    let blocks = try_unfold(Archive::new(kind, files), async |mut archive: Archive| {
        let block = archive.next_block().await?;
        Ok::<_, io::Error>(block.map(|block| (block, archive)))
    });
    let mut response = Response::new(guarded_stream(blocks, open));
    *response.headers_mut() = headers;
    Ok(response)
}

/// Returns the stems in a format. Missing renditions are created one after the other.
async fn stem_files(
    app: &Arc<App>,
    request: &Request,
    wanted: &[(usize, Stem)],
    format: Format,
) -> Result<Vec<(usize, Stem, PartFile)>, Failure> {
    let (client, id) = (request.client(), request.param("song_id")?);
    let mut files = Vec::new();
    for &(number, stem) in wanted {
        files.push((number, stem, app.songs.part(client, id, Part::Stem(stem), format).await?));
    }
    Ok(files)
}

/// An archive written into a buffer, one chunk at a time. No thread waits for the client.
struct Archive {
    writer: Option<Writer>,
    buffer: Buffer,
    current: Option<Blob>,
    files: vec::IntoIter<(String, Blob)>,
}

enum Writer {
    Zip(Box<zip::ZipWriter<StreamWriter<Buffer>>>),
    Tar(tar::Builder<Buffer>),
}

impl Archive {
    fn new(kind: Kind, files: Vec<(String, Blob)>) -> Self {
        let buffer = Buffer::default();
        let writer = match kind {
            Kind::Zip => Writer::Zip(Box::new(zip::ZipWriter::new_stream(buffer.clone()))),
            Kind::Tar => Writer::Tar(tar::Builder::new(buffer.clone())),
        };
        Self { writer: Some(writer), buffer, current: None, files: files.into_iter() }
    }

    /// Returns the next bytes, never empty; `None` at the end.
    async fn next_block(&mut self) -> io::Result<Option<Bytes>> {
        while let Some(writer) = &mut self.writer {
            match &mut self.current {
                Some(blob) => match blob.next_chunk().await.map_err(io::Error::other)? {
                    Some(chunk) => writer.write(&chunk)?,
                    None => {
                        writer.end(blob.size_bytes())?;
                        self.current = None;
                    }
                },
                None => match self.files.next() {
                    Some((name, blob)) => {
                        writer.begin(&name, blob.size_bytes())?;
                        self.current = Some(blob);
                    }
                    None => self.writer.take().map_or(Ok(()), Writer::finish)?,
                },
            }
            let block = self.buffer.take();
            if !block.is_empty() {
                return Ok(Some(block));
            }
        }
        Ok(None)
    }
}

impl Writer {
    fn begin(&mut self, name: &str, size_bytes: u64) -> io::Result<()> {
        match self {
            Self::Zip(zip) => {
                // Stored, because audio does not compress.
                let options = SimpleFileOptions::default()
                    .compression_method(zip::CompressionMethod::Stored)
                    .large_file(size_bytes > u64::from(u32::MAX));
                zip.start_file(name, options)?;
                Ok(())
            }
            Self::Tar(tar) => {
                let mut header = tar::Header::new_gnu();
                header.set_entry_type(tar::EntryType::Regular);
                header.set_mode(0o644);
                header.set_size(size_bytes);
                // Only the header; the content follows.
                tar.append_data(&mut header, name, io::empty())
            }
        }
    }

    fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        match self {
            Self::Zip(zip) => zip.write_all(chunk),
            Self::Tar(tar) => tar.get_mut().write_all(chunk),
        }
    }

    fn end(&mut self, size_bytes: u64) -> io::Result<()> {
        match self {
            // The next file or the end of the archive closes the entry.
            Self::Zip(_) => Ok(()),
            Self::Tar(tar) => {
                let padding_bytes = size_bytes.next_multiple_of(TAR_BLOCK_BYTES) - size_bytes;
                io::copy(&mut io::Read::take(io::repeat(0), padding_bytes), tar.get_mut())?;
                Ok(())
            }
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::Zip(zip) => zip.finish().map(|_| ())?,
            Self::Tar(tar) => tar.into_inner().map(|_| ())?,
        }
        Ok(())
    }
}

/// Written bytes that are not sent yet. Clones share the buffer.
#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<BytesMut>>);

impl Buffer {
    fn take(&self) -> Bytes {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).split().freeze()
    }
}

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

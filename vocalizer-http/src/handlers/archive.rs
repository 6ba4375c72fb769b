//! All stems as one file, made while it is sent.

use std::io::{self, Read, Write};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::stream::unfold;
use http::{HeaderValue, Response, header};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use vocalizer_core::part::{Format, Part, Stem};
use vocalizer_core::ports::BlobReader;
use zip::write::SimpleFileOptions;

use super::Answer;
use crate::app::App;
use crate::body::stream;
use crate::disposition;
use crate::request::Request;

/// How much is handed on at a time.
const BLOCK_BYTES: usize = 64 * 1024;

/// How many blocks may wait for the client.
const MAX_BLOCKS: usize = 4;

/// What the stems come in.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Zip,
    Tar,
}

pub(super) async fn stems(app: &Arc<App>, request: &Request, kind: Kind) -> Answer {
    let format = request.query().get("format", |text| text.parse().ok())?.unwrap_or(Format::Mp3);
    let id = request.param("song_id")?;
    let (mut files, mut title) = (Vec::new(), None);
    for part in Stem::FOUR.into_iter().filter_map(|stem| Part::try_from(stem).ok()) {
        let file = app.songs.part(request.viewer(), id, part, format).await?;
        let name = disposition::file_name(&file.title, part, format.extension());
        files.push((name, app.songs.open(&file, None).await?));
        title = Some(file.title);
    }
    let (media_type, extension) = match kind {
        Kind::Zip => ("application/zip", "zip"),
        Kind::Tar => ("application/x-tar", "tar"),
    };
    let (sender, receiver) = mpsc::channel(MAX_BLOCKS);
    let runtime = Handle::current();
    spawn_blocking(move || {
        let mut out = Blocks { sender: sender.clone(), block: BytesMut::with_capacity(BLOCK_BYTES) };
        let written = match kind {
            Kind::Zip => write_zip(files, &runtime, &mut out),
            Kind::Tar => write_tar(files, &runtime, &mut out),
        };
        // A client that left hears nothing of it, nor does it need to.
        if let Err(error) = written.and_then(|()| out.flush()) {
            let _ = sender.blocking_send(Err(error));
        }
    });
    let blocks = unfold(receiver, |mut receiver| async { receiver.recv().await.map(|block| (block, receiver)) });
    let mut response = Response::new(stream(blocks));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.extend(
        title.map(|title| (header::CONTENT_DISPOSITION, disposition::whole_header(&title, "stems", extension))),
    );
    Ok(response)
}

type Files = Vec<(String, Box<dyn BlobReader>)>;

fn write_zip(files: Files, runtime: &Handle, out: &mut Blocks) -> io::Result<()> {
    let mut zip = zip::ZipWriter::new_stream(out);
    for (name, reader) in files {
        let large = reader.size_bytes() > u64::from(u32::MAX);
        // Stored: audio does not get smaller.
        let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored).large_file(large);
        zip.start_file(name, options)?;
        io::copy(&mut Blocking { reader, runtime, chunk: Bytes::new() }, &mut zip)?;
    }
    zip.finish()?;
    Ok(())
}

fn write_tar(files: Files, runtime: &Handle, out: &mut Blocks) -> io::Result<()> {
    let mut tar = tar::Builder::new(out);
    for (name, reader) in files {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_mode(0o644);
        header.set_size(reader.size_bytes());
        tar.append_data(&mut header, name, Blocking { reader, runtime, chunk: Bytes::new() })?;
    }
    tar.into_inner().map(|_| ())
}

/// A blob as a blocking reader.
struct Blocking<'a> {
    reader: Box<dyn BlobReader>,
    runtime: &'a Handle,
    chunk: Bytes,
}

impl Read for Blocking<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.chunk.is_empty() {
            let next = self.runtime.block_on(self.reader.next_chunk()).map_err(io::Error::other)?;
            self.chunk = next.unwrap_or_default();
        }
        let len = self.chunk.len().min(buffer.len());
        let (now, later) = (self.chunk.split_to(len), &mut buffer[..len]);
        later.copy_from_slice(&now);
        Ok(len)
    }
}

/// Where an archive is written to, block by block.
struct Blocks {
    sender: mpsc::Sender<io::Result<Bytes>>,
    block: BytesMut,
}

impl Write for Blocks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.block.extend_from_slice(bytes);
        if self.block.len() >= BLOCK_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let block = self.block.split().freeze();
        self.sender.blocking_send(Ok(block)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

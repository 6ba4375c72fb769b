//! Resumable download of one file over HTTP.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use super::download::{FetchListener, Progress, SourceError};
use super::error::excerpt;
use super::{WeightsError, digest};
use RequestError::{Cut, Local, Refused};

const CONNECT: Duration = Duration::from_secs(5);
/// Failed attempts in a row, without a new byte, before a source that has sent data is given up.
const MAX_FAILURES: u32 = 4;

/// Returns the host of a URL, without a user name or password.
pub(super) fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

/// An HTTP client for one hub.
pub(super) struct Agent {
    inner: ureq::Agent,
    /// Base pause between attempts.
    pause: Duration,
}

impl Agent {
    pub(super) fn new(hub: &str, timeout: Duration) -> Self {
        let host = host(hub);
        let local = ["localhost", "127.", "[::1]"].iter().any(|start| host.starts_with(start));
        let config = ureq::Agent::config_builder()
            .https_only(hub.starts_with("https://"))
            .proxy(if local { None } else { ureq::Proxy::try_from_env() })
            .http_status_as_error(false)
            .user_agent(concat!("vocalizer/", env!("CARGO_PKG_VERSION")))
            .timeout_resolve(Some(CONNECT.min(timeout)))
            .timeout_connect(Some(CONNECT.min(timeout)))
            .timeout_recv_response(Some(timeout))
            .timeout_per_read(Some(timeout));
        Self { inner: ureq::Agent::new_with_config(config.build()), pause: timeout / 150 }
    }
}

/// A published file.
pub(super) struct PublishedFile<'a> {
    pub(super) url: &'a str,
    pub(super) bytes: u64,
    pub(super) sha256: &'a str,
}

/// Why a request ended before the file was complete.
enum RequestError {
    /// The connection failed or ended; resuming may help.
    Cut(String),
    /// The server does not offer the file.
    Refused(String),
    /// The file cannot be written on this machine.
    Local(io::Error),
}

impl PublishedFile<'_> {
    /// Downloads the file to `part`, resuming from what is there, and verifies it. A file that fails the check is
    /// removed.
    pub(super) fn download(
        &self,
        agent: &Agent,
        part: &Path,
        listener: &mut dyn FetchListener,
    ) -> Result<(), SourceError> {
        let resumed = size(part) > 0;
        self.fill(agent, part, listener)?;
        match self.verify(part) {
            // The existing part may have been the start of another file.
            Err(SourceError::Unavailable(_)) if resumed => {
                self.fill(agent, part, listener)?;
                self.verify(part)
            }
            verified => verified,
        }
    }

    fn verify(&self, part: &Path) -> Result<(), SourceError> {
        let read = File::open(part).and_then(digest::of_reader);
        let found = read.map_err(SourceError::io(part, "cannot be read"))?;
        if found == self.sha256 {
            return Ok(());
        }
        fs::remove_file(part).map_err(SourceError::io(part, "cannot be removed"))?;
        Err(SourceError::wrong_file(WeightsError::Digest { expected: self.sha256.into(), found }))
    }

    fn fill(&self, agent: &Agent, part: &Path, listener: &mut dyn FetchListener) -> Result<(), SourceError> {
        let mut has_sent_data = false;
        let mut failures = 0;
        loop {
            let before = size(part);
            if before == self.bytes {
                return Ok(());
            }
            let why = match self.once(agent, part, before, listener) {
                Ok(()) => continue,
                Err(Refused(why)) => return Err(SourceError::Unavailable(why)),
                Err(Local(e)) => return Err(SourceError::io(part, "cannot be written")(e)),
                Err(Cut(why)) => why,
            };
            if size(part) > before {
                has_sent_data = true;
                failures = 0;
            } else {
                failures += 1;
            }
            if failures >= if has_sent_data { MAX_FAILURES } else { 1 } {
                return Err(SourceError::Unavailable(why));
            }
            std::thread::sleep(agent.pause * (1 << (2 * failures)));
        }
    }

    /// Sends one request for the missing bytes. Returns `Ok` if the file is complete.
    fn once(
        &self,
        agent: &Agent,
        part: &Path,
        before: u64,
        listener: &mut dyn FetchListener,
    ) -> Result<(), RequestError> {
        let cut = |e: &dyn std::fmt::Display| Cut(excerpt(&e.to_string()));
        let from = if before < self.bytes { before } else { 0 };
        let mut request = agent.inner.get(self.url);
        if from > 0 {
            request = request.header("Range", format!("bytes={from}-"));
        }
        let response = request.call().map_err(|e| cut(&e))?;
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        let (from, total) = match response.status().as_u16() {
            200 => (0, header("Content-Length").map(str::to_owned)),
            206 if from > 0 => {
                let (start, total) = header("Content-Range")
                    .and_then(content_range)
                    .ok_or_else(|| Refused("the server sent no valid Content-Range".into()))?;
                if start != from {
                    return Err(Refused("the server sent a different range than requested".into()));
                }
                (from, Some(total))
            }
            status @ (429 | 500..) if from > 0 => {
                return Err(cut(&format!("the server responded with status {status}")));
            }
            status => return Err(Refused(format!("the server responded with status {status}"))),
        };
        if let Some(total) = total.and_then(|total| total.parse::<u64>().ok()).filter(|total| *total != self.bytes) {
            return Err(Refused(format!("the file has {total} bytes; {} bytes were published", self.bytes)));
        }
        let mut file = File::options().create(true).truncate(false).write(true).open(part).map_err(Local)?;
        file.set_len(from).and_then(|()| file.seek(SeekFrom::Start(from))).map_err(Local)?;
        // Never reads beyond the published size.
        let mut body = response.into_body().into_reader().take(self.bytes - from);
        let mut done = from;
        let mut buffer = vec![0; 1 << 16];
        let mut progress = Progress::new(listener);
        let ended = loop {
            progress.at(done, self.bytes);
            match body.read(&mut buffer) {
                Ok(0) => break None,
                Ok(n) => {
                    file.write_all(buffer.get(..n).unwrap_or_default()).map_err(Local)?;
                    done += n as u64;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => break Some(cut(&e)),
            }
        };
        file.sync_all().map_err(Local)?;
        match ended {
            _ if done == self.bytes => Ok(()),
            Some(short) => Err(short),
            None => Err(Cut(format!("the connection closed after {done} of {} bytes", self.bytes))),
        }
    }
}

/// Parses a Content-Range: `bytes 10-19/20` starts at 10 of 20. The total may be `*`.
fn content_range(value: &str) -> Option<(u64, String)> {
    let (range, total) = value.trim().strip_prefix("bytes")?.trim_start().split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.trim().parse().ok()?, total.trim().to_owned()))
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

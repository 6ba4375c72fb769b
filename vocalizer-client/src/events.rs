//! A parser for server-sent events (HTML standard), with size limits.

use std::collections::VecDeque;

use reqwest::Response;
use tokio::time::timeout;

use crate::Error;

/// Maximum size of a line, and of the data of an event. A song takes a few hundred bytes.
const MAX_EVENT_BYTES: usize = 64 * 1024;

/// An event.
#[derive(Debug, Default)]
pub(crate) struct Event {
    /// The event type; empty if missing.
    pub(crate) kind: String,
    /// The data lines.
    pub(crate) data: String,
}

/// A stream of events.
pub(crate) struct Events {
    response: Response,
    idle_timeout: std::time::Duration,
    parser: Parser,
    read: VecDeque<Event>,
}

impl Events {
    pub(crate) fn new(response: Response, idle_timeout: std::time::Duration) -> Self {
        Self { response, idle_timeout, parser: Parser::default(), read: VecDeque::new() }
    }

    /// Returns the next event; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Result<Option<Event>, Error> {
        loop {
            if let Some(event) = self.read.pop_front() {
                return Ok(Some(event));
            }
            let chunk = timeout(self.idle_timeout, self.response.chunk()).await.map_err(|_| Error::TimedOut)?;
            let Some(chunk) = chunk.map_err(Error::from_reqwest)? else { return Ok(None) };
            self.parser.push(&chunk, &mut self.read)?;
        }
    }

    /// Returns the last event id, for `Last-Event-ID`.
    pub(crate) fn last_id(&self) -> Option<&str> {
        self.parser.last_id.as_deref()
    }
}

/// An incremental parser.
#[derive(Debug, Default)]
struct Parser {
    line: Vec<u8>,
    /// The last byte was a carriage return; a following line feed belongs to it.
    after_return: bool,
    event: Event,
    last_id: Option<String>,
}

impl Parser {
    fn push(&mut self, chunk: &[u8], read: &mut VecDeque<Event>) -> Result<(), Error> {
        for &byte in chunk {
            let after_return = std::mem::replace(&mut self.after_return, byte == b'\r');
            match byte {
                b'\n' if after_return => {}
                b'\n' | b'\r' => read.extend(self.end_line()?),
                _ if self.line.len() < MAX_EVENT_BYTES => self.line.push(byte),
                _ => return Err(Error::Limit { max_bytes: MAX_EVENT_BYTES as u64 }),
            }
        }
        Ok(())
    }

    /// Processes a line. Returns the event if the line is empty and completes one.
    fn end_line(&mut self) -> Result<Option<Event>, Error> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return Ok((!event.data.is_empty()).then_some(event));
        }
        let line = String::from_utf8_lossy(&line);
        // A comment has an empty field name.
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event.kind),
            "data" if self.event.data.len() + value.len() < MAX_EVENT_BYTES => {
                if !self.event.data.is_empty() {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            "data" => return Err(Error::Limit { max_bytes: MAX_EVENT_BYTES as u64 }),
            "id" if !value.contains('\0') => self.last_id = Some(value.to_owned()),
            _ => {}
        }
        Ok(None)
    }
}

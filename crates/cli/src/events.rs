//! Reads server-sent events.

use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::{client::Client, failure::Failure};

/// Longest line that a home sends: an entity of 64 KiB in JSON escapes, with room.
const LINE_BYTES: usize = 1024 * 1024;

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) data: String,
}

/// Events as they come.
#[derive(Debug)]
pub(crate) struct Events {
    body: Incoming,
    lines: Lines,
}

impl Events {
    /// Opens the stream; `last` is the id to go on after.
    ///
    /// # Errors
    /// The home is not reachable, or says no.
    pub(crate) async fn open(client: &Client, present: bool, last: Option<&str>) -> Result<Self, Failure> {
        let path = if present { "/events?present=true" } else { "/events" };
        let body = client.open(path, last).await?;
        Ok(Self { body, lines: Lines { last: last.map(Into::into), ..Lines::default() } })
    }

    /// Waits for the next event.
    ///
    /// # Errors
    /// The connection broke off, which is how a home that stops ends it.
    pub(crate) async fn next(&mut self) -> Result<Event, Failure> {
        loop {
            if let Some(event) = self.lines.event() {
                return Ok(event);
            }
            let broke = |reason: String| Failure::BrokeOff(reason);
            let frame = self.body.frame().await.ok_or_else(|| broke("the home ended it".into()))?;
            let frame = frame.map_err(|error| broke(error.to_string()))?;
            self.lines.push(frame.data_ref().map_or(&[][..], |data| data));
            if self.lines.bytes.len() > LINE_BYTES {
                return Err(Failure::Garbled("an event without end".into()));
            }
        }
    }

    /// Returns the id of the last event read, to go on after.
    pub(crate) fn last(&self) -> Option<&str> {
        self.lines.last.as_deref()
    }
}

/// Bytes that become lines that become events.
#[derive(Debug, Default)]
struct Lines {
    bytes: Vec<u8>,
    event: Event,
    last: Option<String>,
}

impl Lines {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    fn event(&mut self) -> Option<Event> {
        while let Some(end) = self.bytes.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.bytes.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line[..end]).into_owned();
            if let Some(event) = self.line(line.trim_end_matches('\r')) {
                return Some(event);
            }
        }
        None
    }

    fn line(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return (!event.data.is_empty()).then_some(event);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => self.last = Some(value.to_owned()),
            "event" => value.clone_into(&mut self.event.name),
            "data" => self.event.data.push_str(value),
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_in_pieces_is_whole_and_comments_are_none() {
        let mut lines = Lines::default();
        for piece in ["id: 1-2\nev", "ent: entity\r\nda", "ta: {}\n", ": alive\n\n", "id: 1-3\n\n"] {
            lines.push(piece.as_bytes());
        }
        assert_eq!(lines.event(), Some(Event { name: "entity".into(), data: "{}".into() }));
        assert_eq!(lines.event(), None);
        assert_eq!(lines.last.as_deref(), Some("1-3"));
    }
}

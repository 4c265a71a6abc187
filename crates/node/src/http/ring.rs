//! The newest events in order, so that a client that was away can go on where it was.

use std::{collections::VecDeque, fmt, str::FromStr, sync::Arc};

use serde::Serialize;

use crate::{
    defaults::{EVENTS_BYTES, EVENTS_KEPT},
    node::{News, Notice},
};

/// An event as it goes to clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) number: u64,
    pub(super) name: &'static str,
    pub(super) data: Arc<str>,
}

/// The id of an event: which start of the home, and the how manieth notice since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EventId {
    boot: u32,
    number: u64,
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}-{}", self.boot, self.number)
    }
}

impl FromStr for EventId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (boot, number) = text.split_once('-').ok_or(())?;
        Ok(Self { boot: u32::from_str_radix(boot, 16).map_err(drop)?, number: number.parse().map_err(drop)? })
    }
}

/// What a client at some place is to be told.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// These, which may be none yet.
    Lines(Vec<Line>),
    /// What follows that place is no longer here.
    Gap,
    /// Nothing more will come.
    End,
}

/// Events without a gap between them.
#[derive(Debug)]
pub(super) struct Ring {
    boot: u32,
    lines: VecDeque<Line>,
    bytes: usize,
    head: u64,
    closed: bool,
}

impl Ring {
    pub(super) fn new(boot: u32) -> Self {
        Self { boot, lines: VecDeque::new(), bytes: 0, head: 0, closed: false }
    }

    /// Forgets everything; the next event is the one after `head`.
    pub(super) fn restart(&mut self, head: u64) {
        self.lines.clear();
        (self.bytes, self.head) = (0, head);
    }

    pub(super) fn push(&mut self, notice: &Notice) {
        if notice.number <= self.head {
            return; // It was told while this ring was being started.
        }
        if notice.number != self.head + 1 {
            self.restart(notice.number - 1);
        }
        let (name, data) = written(&notice.news);
        self.head = notice.number;
        self.bytes += data.len();
        self.lines.push_back(Line { number: notice.number, name, data: data.into() });
        while self.lines.len() > EVENTS_KEPT || self.bytes > EVENTS_BYTES {
            let Some(oldest) = self.lines.pop_front() else { break };
            self.bytes -= oldest.data.len();
        }
    }

    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    pub(super) fn head(&self) -> u64 {
        self.head
    }

    pub(super) fn id(&self, number: u64) -> EventId {
        EventId { boot: self.boot, number }
    }

    /// Returns the place after this event, if it was sent since the home started.
    pub(super) fn place(&self, id: EventId) -> Option<u64> {
        (id.boot == self.boot && id.number <= self.head).then_some(id.number)
    }

    /// Returns at most `limit` events after this place.
    pub(super) fn after(&self, place: u64, limit: usize) -> Next {
        let oldest = self.lines.front().map_or(self.head + 1, |line| line.number);
        if place + 1 < oldest {
            return Next::Gap;
        }
        let skip = usize::try_from(place + 1 - oldest).unwrap_or(usize::MAX);
        let lines: Vec<_> = self.lines.iter().skip(skip).take(limit).cloned().collect();
        if lines.is_empty() && self.closed { Next::End } else { Next::Lines(lines) }
    }
}

fn written(news: &News) -> (&'static str, String) {
    #[derive(Serialize)]
    struct Gone<'a> {
        home: &'a str,
        entity_id: &'a str,
    }
    match news {
        News::Entity(entity) => ("entity", json(entity)),
        News::EntityGone { home, entity_id } => ("entity_gone", json(&Gone { home, entity_id })),
        News::Peer(peer) => ("peer", json(peer)),
        News::PeerGone(home) => ("peer_gone", json(home)),
        News::Conflict(conflict) => ("conflict", json(conflict)),
        News::Fallback(fallback) => ("fallback", json(fallback)),
        News::Pairing(news) => ("pairing", json(news)),
    }
}

pub(super) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("views have string keys and no failing parts")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gone(number: u64, bytes: usize) -> Notice {
        Notice { number, news: News::EntityGone { home: "h".repeat(bytes), entity_id: "light.hall".into() } }
    }

    fn numbers(next: Next) -> Vec<u64> {
        match next {
            Next::Lines(lines) => lines.iter().map(|line| line.number).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn client_goes_on_after_the_last_event_it_saw() {
        let mut ring = Ring::new(7);
        (1..=5).for_each(|number| ring.push(&gone(number, 1)));
        assert_eq!(numbers(ring.after(3, 10)), [4, 5]);
        assert_eq!(numbers(ring.after(5, 10)), [] as [u64; 0]);
        assert_eq!(numbers(ring.after(0, 2)), [1, 2]);
    }

    #[test]
    fn ring_stays_within_its_bytes_and_owns_up_to_the_gap() {
        let mut ring = Ring::new(7);
        (1..=6).for_each(|number| ring.push(&gone(number, EVENTS_BYTES / 4)));
        assert!(ring.bytes <= EVENTS_BYTES);
        assert_eq!(ring.after(1, 10), Next::Gap);
        assert_eq!(numbers(ring.after(3, 10)), [4, 5, 6]);
    }

    #[test]
    fn missed_notice_is_a_gap_and_not_silence() {
        let mut ring = Ring::new(7);
        ring.push(&gone(1, 1));
        ring.push(&gone(5, 1));
        assert_eq!(ring.after(1, 10), Next::Gap);
        assert_eq!(numbers(ring.after(4, 10)), [5]);
    }

    #[test]
    fn place_of_an_earlier_start_is_unknown() {
        let ring = Ring::new(7);
        assert_eq!(ring.place("00000007-0".parse().expect("an id")), Some(0));
        assert_eq!(ring.place("00000008-0".parse().expect("an id")), None);
        assert_eq!(ring.place("00000007-9".parse().expect("an id")), None);
    }

    #[test]
    fn closed_ring_ends_after_its_last_event() {
        let mut ring = Ring::new(7);
        ring.push(&gone(1, 1));
        ring.close();
        assert_eq!(numbers(ring.after(0, 10)), [1]);
        assert_eq!(ring.after(1, 10), Next::End);
    }
}

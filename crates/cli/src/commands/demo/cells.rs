//! What stands in a cell of the live table: an entity, a link, a lag, each at a glance.

use crosshome_node::views::{EntityView, LinkState, PeerView};
use serde_json::Value;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::story::span;
use crate::text::plain;

/// How a cell stands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    Plain,
    Dim,
    Bold,
    Bar,
    Good,
    Warm,
    Bad,
}

/// Text of one look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) text: String,
    pub(super) look: Look,
}

impl Cell {
    pub(super) fn new(look: Look, text: impl Into<String>) -> Self {
        Self { text: text.into(), look }
    }

    /// Writes it into a column: cut or filled up to its width.
    pub(super) fn print(&self, width: usize, color: bool) -> String {
        let text = fitted(&self.text, width);
        let fill = " ".repeat(width.saturating_sub(text.width()));
        match self.look.code().filter(|_| color) {
            Some(code) => format!("\x1b[{code}m{text}\x1b[0m{fill}"),
            None => text + &fill,
        }
    }
}

/// Cuts a text so that it takes no more columns than there are.
fn fitted(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut used = 0;
    let fits = |c: &char| {
        used += c.width().unwrap_or(0);
        used < width
    };
    let mut cut: String = text.chars().take_while(fits).collect();
    cut.extend((width > 0).then_some('…'));
    cut
}

impl Look {
    fn code(self) -> Option<&'static str> {
        Some(match self {
            Self::Plain => return None,
            Self::Dim => "2",
            Self::Bold => "1",
            Self::Bar => "1;7",
            Self::Good => "32",
            Self::Warm => "33",
            Self::Bad => "1;31",
        })
    }
}

/// Shows an entity, or that it is not there.
pub(super) fn entity(view: Option<&EntityView>) -> Cell {
    let Some(view) = view else { return Cell::new(Look::Dim, "·") };
    let attributes: Value = serde_json::from_str(view.attributes.get()).unwrap_or_default();
    let (look, mut text) = glance(view, &attributes);
    if view.pending.is_some() {
        text.push_str(" …");
    }
    if view.conflict {
        return Cell::new(Look::Bad, format!("≠ {text}"));
    }
    Cell::new(look, text)
}

fn glance(view: &EntityView, attributes: &Value) -> (Look, String) {
    let state = plain(view.state.as_deref().unwrap_or("-")).replace('\n', " ");
    let domain = view.entity_id.split('.').next().unwrap_or_default();
    match (domain, state.as_str()) {
        ("light", "on") => {
            let percent = attributes["brightness"].as_f64().map_or(100.0, |level| level * 100.0 / 255.0);
            (Look::Warm, format!("● on {percent:.0} %"))
        }
        ("light", _) => (Look::Plain, format!("○ {state}")),
        ("climate", _) => {
            let heating = attributes["hvac_action"] == "heating";
            let (room, wanted) = (&attributes["current_temperature"], &attributes["temperature"]);
            let look = if heating { Look::Warm } else { Look::Plain };
            (look, format!("{room} → {wanted} °C {}", if heating { "▲" } else { "" }).trim_end().to_owned())
        }
        ("binary_sensor", "on") => (Look::Warm, "▲ motion".into()),
        ("binary_sensor", _) => (Look::Plain, "quiet".into()),
        ("sensor", _) => {
            let unit = attributes["unit_of_measurement"].as_str().unwrap_or_default();
            (Look::Plain, format!("{state} {}", plain(unit)).trim_end().to_owned())
        }
        _ => (Look::Plain, state),
    }
}

/// Shows a link.
pub(super) fn link(running: bool, peer: Option<&PeerView>) -> Cell {
    match peer {
        _ if !running => Cell::new(Look::Bad, "restarting"),
        None => Cell::new(Look::Dim, "not paired"),
        Some(peer) => match (peer.state, peer.rtt_ms) {
            (LinkState::Online, Some(rtt)) => Cell::new(Look::Good, format!("online, {}", span(rtt))),
            (LinkState::Online, None) => Cell::new(Look::Good, "online"),
            (LinkState::Connecting, _) => Cell::new(Look::Bad, "connecting"),
            (LinkState::Offline, _) => Cell::new(Look::Bad, "cut off"),
        },
    }
}

/// Shows how long after a change the other home had it.
pub(super) fn lag(ms: Option<i64>) -> Cell {
    ms.map_or(Cell::new(Look::Dim, "·"), |ms| match ms {
        0 => Cell::new(Look::Plain, "<1 ms"),
        ms => Cell::new(Look::Plain, span(ms as f64).replace(".0 ms", " ms")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cell_fills_its_column_and_never_more() {
        let cell = Cell::new(Look::Good, "online");
        assert_eq!(cell.print(8, false), "online  ");
        assert_eq!(cell.print(4, false), "onl…");
        assert_eq!(cell.print(0, false), "");
        assert_eq!(cell.print(7, true), "\x1b[32monline\x1b[0m ");
        let wide = Cell::new(Look::Plain, "🌙🍄x");
        assert_eq!([wide.print(5, false), wide.print(4, false)], ["🌙🍄x", "🌙… "]);
    }

    #[test]
    fn lag_below_the_clock_s_grain_is_no_zero() {
        assert_eq!(
            [Some(0), Some(3), Some(1500), None].map(|ms| lag(ms).text),
            ["<1 ms", "3 ms", "1.50 s", "·"]
        );
    }
}

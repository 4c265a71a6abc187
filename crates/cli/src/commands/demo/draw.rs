//! The live picture: a table of what each home sees, what happened last, and the keys.

use std::collections::BTreeSet;

use unicode_width::UnicodeWidthStr;

use super::{
    cells::{self, Cell, Look},
    seen::Seen,
    story::{INDENT, Step, line},
};

/// Columns of the entity ids: the longest of the simulated house.
const IDS: usize = 26;
/// Columns of the lag.
const LAG: usize = 7;
/// Least columns of a home; what a thermostat at work takes.
const HOME: usize = 18;
/// Lines that are not the table's or the story's.
const FRAME: usize = 9;

/// What the keys do.
const KEYS: [&str; 2] = [
    "villa does:  l light  t warmer  n note    flat does:  L light  T warmer  N note",
    "flat tries:  k lock  a awning      s share more  x cut, heal  c conflict  q quit",
];

/// Everything that is drawn.
pub(super) struct Picture<'a> {
    /// Names of the homes that are shown, the villa first.
    pub(super) names: &'a [String],
    /// How many homes there are.
    pub(super) homes: usize,
    pub(super) seen: &'a [Seen],
    /// The directory of each shown home.
    pub(super) dirs: &'a [String],
    pub(super) steps: &'a [Step],
    pub(super) color: bool,
}

/// Returns how many homes have room beside each other.
pub(super) fn room(columns: usize) -> usize {
    (columns.saturating_sub(IDS + LAG) / HOME).max(2)
}

impl Picture<'_> {
    /// Draws into so many columns and lines.
    pub(super) fn draw(&self, columns: usize, lines: usize) -> Vec<String> {
        let rule = || Cell::new(Look::Dim, "─".repeat(columns)).print(columns, self.color);
        let mut picture = vec![self.title(columns), self.heading(columns), self.links(columns), rule()];
        picture.extend(self.rows().iter().map(|(owner, id)| self.row(columns, owner, id)));
        picture.push(rule());
        let room = lines.saturating_sub(picture.len() + FRAME - 4);
        let told = self.story(columns, room);
        let blank = room.saturating_sub(told.len());
        picture.extend(told.iter().map(|line| Cell::new(Look::Plain, line).print(columns, false)));
        picture.extend((0..blank).map(|_| String::new()));
        picture.push(rule());
        picture.extend(self.places().map(|place| Cell::new(Look::Dim, place).print(columns, self.color)));
        picture.extend(KEYS.map(|keys| Cell::new(Look::Plain, keys).print(columns, false)));
        picture.truncate(lines);
        picture
    }

    /// Returns where the first two homes are found from another terminal.
    fn places(&self) -> impl Iterator<Item = String> {
        let homes = self.names.iter().zip(self.seen).zip(self.dirs).take(2);
        homes.map(|((name, seen), dir)| format!("{name:5}  {}  --data-dir {dir}", seen.api))
    }

    fn title(&self, columns: usize) -> String {
        let up = self.seen.first().map_or(0, Seen::online);
        let right = format!("villa's links: {up} of {} up", self.homes - 1);
        let left = format!(" crosshome demo · {} homes on this machine", self.homes);
        let gap = columns.saturating_sub(left.chars().count() + right.chars().count() + 1);
        Cell::new(Look::Bar, format!("{left}{}{right} ", " ".repeat(gap))).print(columns, self.color)
    }

    fn heading(&self, columns: usize) -> String {
        let names = self.names.iter().map(|name| Cell::new(Look::Bold, format!("{name} sees")));
        self.line(columns, &Cell::new(Look::Dim, "entities of villa"), names, &Cell::new(Look::Dim, "lag"))
    }

    fn links(&self, columns: usize) -> String {
        let villa = self.names.first().map_or("villa", String::as_str);
        let flat = self.names.get(1).map_or("flat", String::as_str);
        let links = self.seen.iter().enumerate().map(|(place, seen)| {
            let other = if place == 0 { flat } else { villa };
            cells::link(seen.running, seen.link(other))
        });
        self.line(columns, &Cell::new(Look::Dim, "link, round trip"), links, &Cell::new(Look::Plain, ""))
    }

    /// Returns every entity that somebody sees: the villa's own first.
    fn rows(&self) -> Vec<(String, String)> {
        let all: BTreeSet<_> = self.seen.iter().flat_map(|seen| seen.entities.keys().cloned()).collect();
        let rank =
            |(owner, id): &(String, String)| (Some(owner) != self.names.first(), order(id), id.clone());
        let mut rows: Vec<_> = all.into_iter().collect();
        rows.sort_by_key(rank);
        rows
    }

    fn row(&self, columns: usize, owner: &str, id: &str) -> String {
        let key = (owner.to_owned(), id.to_owned());
        let foreign = self.names.first().is_some_and(|villa| villa != owner);
        let name = if foreign { format!("{owner}/{id}") } else { id.to_owned() };
        let homes = self.seen.iter().map(|seen| cells::entity(seen.entities.get(&key)));
        let lag = self.seen.iter().skip(1).filter_map(|seen| seen.lag_ms.get(id)).max();
        self.line(columns, &Cell::new(Look::Plain, name), homes, &cells::lag(lag.copied()))
    }

    /// Returns the end of the story, in so many lines.
    fn story(&self, columns: usize, room: usize) -> Vec<String> {
        let told: Vec<_> = self.steps.iter().map(line).collect();
        let lines: Vec<_> =
            told.iter().flat_map(|step| step.lines()).flat_map(|line| wrapped(line, columns)).collect();
        lines[lines.len().saturating_sub(room)..].to_vec()
    }

    fn line(&self, columns: usize, id: &Cell, homes: impl Iterator<Item = Cell>, lag: &Cell) -> String {
        let width = columns.saturating_sub(IDS + LAG) / self.names.len().max(1);
        let mut line = id.print(IDS, self.color);
        for cell in homes {
            line.push_str(&cell.print(width.saturating_sub(1), self.color));
            line.push(' ');
        }
        line + &lag.print(LAG, self.color)
    }
}

/// Breaks a line at its blanks; what goes on stands below the text, not below the time.
fn wrapped(line: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in line.split(' ') {
        let last = lines.last_mut().expect("there is always one");
        if !last.trim().is_empty() && last.width() + word.width() > columns {
            lines.push(" ".repeat(INDENT));
        }
        // Blanks in front are words without letters.
        lines.last_mut().expect("there is always one").extend([word, " "]);
    }
    lines.into_iter().map(|line| line.trim_end().to_owned()).collect()
}

/// Things that people touch come before what only tells.
fn order(id: &str) -> usize {
    let domains = ["light", "climate", "sensor", "binary_sensor", "lock", "cover"];
    let domain = id.split('.').next().unwrap_or_default();
    domains.iter().position(|known| *known == domain).unwrap_or(domains.len())
}

#[cfg(test)]
mod tests {
    use crosshome_node::views::{PeerView, Stamp};
    use serde_json::json;

    use super::*;
    use crate::{commands::demo::seen::What, events::Event};

    fn event(name: &str, data: serde_json::Value) -> What {
        What::Event(Event { name: name.into(), data: data.to_string() })
    }

    fn entity(id: &str, space: &str, state: &str, attributes: serde_json::Value) -> What {
        changed(id, space, state, attributes, 980)
    }

    fn changed(id: &str, space: &str, state: &str, attributes: serde_json::Value, at: i64) -> What {
        event(
            "entity",
            json!({
                "entity_id": id, "home": "villa", "space": space, "class": "device", "state": state,
                "attributes": attributes, "last_changed": Stamp(at), "last_updated": Stamp(at),
                "updated_by": "villa", "shared_with": [], "conflict": id.starts_with("input_text"),
            }),
        )
    }

    fn peer(name: &str) -> What {
        let peer: PeerView = serde_json::from_value(json!({
            "id": "xh1", "name": name, "state": "online", "address": null, "via": "direct",
            "rtt_ms": 0.42, "in_sync": true, "last_sync": null, "reason": null,
        }))
        .expect("a peer");
        event("peer", serde_json::to_value(peer).expect("plain data"))
    }

    fn scene() -> [Seen; 2] {
        let (mut villa, mut flat) = (Seen::default(), Seen::default());
        for (seen, other, space) in [(&mut villa, "flat", "own"), (&mut flat, "villa", "received")] {
            seen.take(What::Begins, Stamp(0));
            seen.take(peer(other), Stamp(0));
            seen.take(event("present", json!({})), Stamp(0));
            seen.api = "http://127.0.0.1:4711".into();
            seen.take(entity("light.living_room", space, "off", json!({})), Stamp(990));
            seen.take(
                changed("light.living_room", space, "on", json!({"brightness": 200}), 1_000),
                Stamp(1_003),
            );
            seen.take(entity("input_text.note", space, "milk and cake", json!({})), Stamp(1_000));
        }
        let climate = json!({"current_temperature": 20.3, "temperature": 21.5, "hvac_action": "heating"});
        villa.take(entity("climate.living_room", "own", "heat", climate), Stamp(1_000));
        villa.take(entity("binary_sensor.hall_motion", "own", "on", json!({})), Stamp(1_000));
        [villa, flat]
    }

    fn draw(seen: &[Seen], columns: usize, lines: usize) -> String {
        let names = ["villa".to_owned(), "flat".to_owned()];
        let dirs = names.clone().map(|name| format!("/tmp/x/{name}"));
        let step =
            Step { step: "steer", text: "flat turns light.living_room on: done".into(), took_ms: 93.0 };
        let picture = Picture { names: &names, homes: 2, seen, dirs: &dirs, steps: &[step], color: false };
        picture.draw(columns, lines).iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn picture_fits_a_small_terminal() {
        let picture = draw(&scene(), 80, 24);
        assert_eq!(picture.lines().count(), 24);
        assert!(picture.lines().all(|line| line.chars().count() <= 80), "{picture}");
        insta::assert_snapshot!(picture);
    }

    #[test]
    fn tiny_terminal_is_no_reason_to_panic() {
        for size in 0..40 {
            assert!(draw(&scene(), size, size).lines().count() <= size.max(1));
        }
    }

    #[test]
    fn long_step_goes_on_below_its_text() {
        let text = wrapped("   1.0 ms  flat: lock.cellar unlocked: refused", 30);
        assert_eq!(text, ["   1.0 ms  flat: lock.cellar", "           unlocked: refused"]);
    }

    #[test]
    fn value_that_was_there_before_we_looked_tells_no_lag() {
        let mut flat = Seen::default();
        flat.take(What::Begins, Stamp(0));
        flat.take(entity("light.hall", "received", "on", json!({})), Stamp(90_000));
        flat.take(event("present", json!({})), Stamp(90_000));
        assert_eq!(flat.lag_ms.get("light.hall"), None);
    }
}

//! The house: its devices, their clock and the dice.

use std::time::Duration;

use crosshome_core::{EntityId, intent::Wish, table::Class, update::Update};
use fastrand::Rng;

use super::{device::Device, order::Order};
use crate::node::Report;

/// A simulated house. Times count from its beginning.
#[derive(Debug)]
pub struct House {
    dice: Rng,
    rooms: Vec<Fitting>,
}

/// How the house takes a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reaction {
    /// The device has it and will report.
    Taken,
    /// The device will not.
    Refused(String),
    /// Nobody answers.
    Silence,
}

/// A device in its place.
#[derive(Debug)]
struct Fitting {
    entity_id: EntityId,
    name: &'static str,
    device: Device,
    /// When it next does something by itself.
    due: Option<Duration>,
    /// What it is about to carry out.
    orders: Vec<(Duration, Order)>,
}

impl House {
    /// Builds a house whose days follow from the seed.
    pub fn new(seed: u64) -> Self {
        let mut dice = Rng::with_seed(seed);
        let light = |on, brightness, hue| Device::Light { on, brightness, color: (hue, 60) };
        let rooms = [
            ("light.living_room", "Living room", light(false, 180, 35)),
            ("light.hall", "Hall", light(true, 120, 40)),
            ("light.garden", "Garden", light(false, 255, 210)),
            ("climate.living_room", "Heating", Device::Thermostat { on: true, wanted: 215, room: 203 }),
            ("binary_sensor.hall_motion", "Motion in the hall", Device::Motion { seen: false }),
            ("sensor.garden_temperature", "Garden", Device::Thermometer { shows: dice.i32(100..180) }),
            ("lock.cellar", "Cellar door", Device::JammedLock),
            ("cover.awning", "Awning", Device::DeadAwning),
            ("valve.garden", "Garden tap", Device::SlowValve { open: false }),
        ];
        let rooms = rooms.map(|(id, name, device)| Fitting {
            entity_id: id.parse().expect("the ids above are well formed"),
            name,
            due: device.pause(&mut dice),
            device,
            orders: Vec::new(),
        });
        Self { dice, rooms: rooms.into() }
    }

    /// Lets time pass up to `now`, and returns what showed on the way, in order.
    pub fn advance(&mut self, now: Duration) -> Vec<Report> {
        let mut reports = Vec::new();
        while let Some(next) = self.next().filter(|(at, _)| *at <= now) {
            let (at, place) = next;
            reports.extend(self.rooms[place].happen(at, &mut self.dice));
        }
        reports
    }

    /// Gives a device an order.
    pub fn command(&mut self, entity_id: &EntityId, wish: &Wish, now: Duration) -> Reaction {
        let Some(fitting) = self.rooms.iter_mut().find(|fitting| fitting.entity_id == *entity_id) else {
            return Reaction::Refused(format!("there is no {entity_id} in this house"));
        };
        if !fitting.device.answers() {
            return Reaction::Silence;
        }
        let tried = Order::read(wish).and_then(|order| fitting.device.clone().obey(&order).map(|()| order));
        match tried {
            Err(reason) => Reaction::Refused(reason),
            Ok(order) => {
                // Never before an earlier order: a radio keeps its messages in line.
                let after = fitting.orders.last().map_or(now, |(at, _)| (*at).max(now));
                fitting.orders.push((after + fitting.device.delay(&mut self.dice), order));
                Reaction::Taken
            }
        }
    }

    /// Returns how every device stands.
    pub fn present(&self) -> Vec<Report> {
        self.rooms.iter().map(Fitting::report).collect()
    }

    /// Returns when something next happens; [`Duration::MAX`] for never.
    pub fn due(&self) -> Duration {
        self.next().map_or(Duration::MAX, |(at, _)| at)
    }

    fn next(&self) -> Option<(Duration, usize)> {
        let places = self.rooms.iter().enumerate();
        places.filter_map(|(place, fitting)| Some((fitting.next()?, place))).min()
    }
}

impl Fitting {
    fn next(&self) -> Option<Duration> {
        let order = self.orders.first().map(|(at, _)| *at);
        [order, self.due].into_iter().flatten().min()
    }

    /// Does the one thing that is due at this moment.
    fn happen(&mut self, at: Duration, dice: &mut Rng) -> Option<Report> {
        let shows = if self.orders.first().is_some_and(|(due, _)| *due <= at) {
            let (_, order) = self.orders.remove(0);
            // Told again what it already is, a device says so again: whoever asked is waiting for that.
            self.device.obey(&order).is_ok()
        } else {
            let shows = self.device.act(dice);
            self.due = self.device.pause(dice).map(|pause| at + pause);
            shows
        };
        shows.then(|| self.report())
    }

    fn report(&self) -> Report {
        let attributes = self.device.attributes(self.name).to_string();
        let update = Update::replace(&self.device.state(), &attributes);
        Report {
            entity_id: self.entity_id.clone(),
            update: update.expect("what a device shows is plain JSON"),
            class: Some(Class::Device),
        }
    }
}

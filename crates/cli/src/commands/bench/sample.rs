//! What a house reports: lights, sensors and thermostats, made of numbers alone.
//!
//! The value of an entity in a round follows from both, so whoever knows how many updates were
//! made knows what every entity has to show at the end. From one round to the next a few
//! attributes change, as in a real house; the whole is sent, as an integration does.

use std::fmt::Write as _;

const AREAS: [&str; 12] = [
    "kitchen", "hall", "bedroom", "bathroom", "office", "garage", "attic", "cellar", "garden", "nursery",
    "terrace", "landing",
];

/// One entity of the house.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sample(pub(super) u32);

/// What an entity shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) state: String,
    /// A JSON object.
    pub(super) attributes: String,
}

impl Sample {
    /// Returns the entity's id.
    pub(super) fn id(self) -> String {
        let (domain, thing) = match self.0 % 10 {
            0..=3 => ("light", ["ceiling", "floor_lamp", "strip"][self.pick(1, 3)]),
            4..=7 => ("sensor", ["temperature", "humidity", "power"][self.kind()]),
            _ => ("climate", ["thermostat", "radiator"][self.pick(2, 2)]),
        };
        format!("{domain}.{}_{thing}_{}", self.area(), self.0)
    }

    /// Returns what the entity shows in a round.
    pub(super) fn shown(self, round: u32) -> Shown {
        match self.0 % 10 {
            0..=3 => self.light(round),
            4..=7 => self.sensor(round),
            _ => self.climate(round),
        }
    }

    /// Returns the same as the one JSON document that other programs would send.
    pub(super) fn document(self, round: u32) -> String {
        let Shown { state, attributes } = self.shown(round);
        format!(r#"{{"entity_id":"{}","state":"{state}","attributes":{attributes}}}"#, self.id())
    }

    fn light(self, round: u32) -> Shown {
        let brightness = 1 + self.at(round, 3) % 255;
        // Colour changes every other time, brightness always.
        let colour = round / 2;
        let (hue, saturation) = (self.at(colour, 4) % 3600, self.at(colour, 5) % 1000);
        let rgb = [6, 7, 8].map(|salt| self.at(colour, salt) % 256);
        let xy = [9, 10].map(|salt| self.at(colour, salt) % 1000);
        let attributes = format!(
            r#"{{"brightness":{brightness},"color_mode":"hs","color_temp_kelvin":null,"effect":"None","effect_list":["None","Colorloop","Random"],"friendly_name":"{} light {}","hs_color":[{},{}],"max_color_temp_kelvin":6535,"min_color_temp_kelvin":2000,"rgb_color":[{},{},{}],"supported_color_modes":["color_temp","hs"],"supported_features":44,"xy_color":[0.{:03},0.{:03}]}}"#,
            self.area(),
            self.0,
            tenths(hue),
            tenths(saturation),
            rgb[0],
            rgb[1],
            rgb[2],
            xy[0],
            xy[1]
        );
        Shown { state: "on".into(), attributes }
    }

    fn sensor(self, round: u32) -> Shown {
        let (class, unit) = [("temperature", "°C"), ("humidity", "%"), ("power", "W")][self.kind()];
        let battery = 100 - (round / 64 + self.0) % 90;
        let quality = 40 + self.at(round / 4, 11) % 200;
        let attributes = format!(
            r#"{{"battery_level":{battery},"device_class":"{class}","friendly_name":"{} {class} {}","linkquality":{quality},"state_class":"measurement","unit_of_measurement":"{unit}","update_available":false}}"#,
            self.area(),
            self.0
        );
        Shown { state: tenths(100 + self.at(round, 12) % 300), attributes }
    }

    fn climate(self, round: u32) -> Shown {
        let (now, humidity) = (tenths(150 + self.at(round, 13) % 120), 30 + self.at(round / 3, 14) % 40);
        let wanted = tenths(180 + 5 * (self.at(round / 16, 15) % 12));
        let action = ["heating", "idle"][self.at(round / 8, 16) as usize % 2];
        let attributes = format!(
            r#"{{"current_humidity":{humidity},"current_temperature":{now},"fan_mode":"auto","fan_modes":["auto","low","medium","high"],"friendly_name":"{} thermostat {}","hvac_action":"{action}","hvac_modes":["off","heat","cool","heat_cool","auto"],"max_temp":35,"min_temp":7,"preset_mode":"home","preset_modes":["none","home","away","eco","sleep","boost"],"supported_features":401,"target_temp_high":null,"target_temp_low":null,"target_temp_step":0.5,"temperature":{wanted}}}"#,
            self.area(),
            self.0
        );
        Shown { state: "heat".into(), attributes }
    }

    fn area(self) -> &'static str {
        AREAS[self.pick(0, AREAS.len())]
    }

    fn kind(self) -> usize {
        self.pick(17, 3)
    }

    fn pick(self, salt: u64, choices: usize) -> usize {
        self.at(u32::MAX, salt) as usize % choices
    }

    /// Returns a number that follows from entity, round and salt (splitmix64).
    fn at(self, round: u32, salt: u64) -> u32 {
        let seed = (u64::from(self.0) << 32 | u64::from(round))
            .wrapping_add(salt.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 16) as u32
    }
}

impl Shown {
    /// Adds the time of sending, by the clock that all processes of a machine share.
    pub(super) fn stamped(mut self, sent_ns: u64) -> Self {
        self.attributes.pop();
        let _ = write!(self.attributes, r#","sent_ns":{sent_ns}}}"#);
        self
    }
}

/// Reads the time of sending out of a document or its attributes.
pub(super) fn sent_ns(json: &str) -> Option<u64> {
    let (_, rest) = json.split_once(r#""sent_ns":"#)?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

/// Writes a number of tenths as JSON does.
fn tenths(number: u32) -> String {
    match number % 10 {
        0 => (number / 10).to_string(),
        tenth => format!("{}.{tenth}", number / 10),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crosshome_core::{EntityId, update::Update};

    use super::*;

    #[test]
    fn samples_are_what_homes_take_and_as_long_as_promised() {
        let lengths = (0..10_000).map(|entity| {
            let Shown { state, attributes } = Sample(entity).shown(entity % 7);
            Update::replace(&state, &attributes).expect("acceptable");
            Sample(entity).id().parse::<EntityId>().expect("acceptable");
            Sample(entity).document(entity % 7).len()
        });
        let average = lengths.sum::<usize>() / 10_000;
        assert!((372..=392).contains(&average), "{average}");
    }

    #[test]
    fn entities_are_distinct_and_every_round_changes_something() {
        let ids: BTreeSet<_> = (0..1_000).map(|entity| Sample(entity).id()).collect();
        assert_eq!(ids.len(), 1_000);
        let alike = (0..1_000).filter(|&entity| Sample(entity).shown(1) == Sample(entity).shown(2)).count();
        assert!(alike < 20, "{alike}");
    }

    #[test]
    fn time_of_sending_comes_back() {
        let stamped = Sample(4).shown(1).stamped(123_456);
        assert_eq!(sent_ns(&stamped.attributes), Some(123_456));
        assert_eq!(sent_ns("{}"), None);
    }
}

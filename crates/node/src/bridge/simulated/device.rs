//! The devices, each with what it shows, what it does by itself and what it does when told.

use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};

use super::order::{Order, Wanted};

/// What a device is, and how it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Device {
    /// A light with brightness (1 to 255) and colour (hue, saturation).
    Light { on: bool, brightness: u8, color: (u16, u8) },
    /// A thermostat; the room follows slowly.
    Thermostat { on: bool, wanted: Tenths, room: Tenths },
    /// A motion sensor.
    Motion { seen: bool },
    /// A thermometer that drifts.
    Thermometer { shows: Tenths },
    /// A lock that is jammed and refuses.
    JammedLock,
    /// An awning whose radio is dead: it never answers.
    DeadAwning,
    /// A valve that takes an order at once and moves when nobody waits for it any more.
    SlowValve { open: bool },
}

/// Degrees in tenths: no sum of them shows 21.299999.
pub(super) type Tenths = i32;

/// The set points a thermostat takes.
const SETPOINTS: std::ops::RangeInclusive<Tenths> = 70..=300;
/// What a room falls to without heating.
const COLD_ROOM: Tenths = 165;
/// Where the garden's thermometer stays.
const OUTDOORS: std::ops::RangeInclusive<Tenths> = 30..=240;

impl Device {
    /// Tells whether it answers at all.
    pub(super) fn answers(&self) -> bool {
        *self != Self::DeadAwning
    }

    /// Returns how long it takes until an order is carried out: a radio message and a relay.
    pub(super) fn delay(&self, dice: &mut Rng) -> Duration {
        Duration::from_millis(match self {
            Self::Thermostat { .. } => dice.u64(300..900),
            Self::SlowValve { .. } => dice.u64(11_000..12_000),
            _ => dice.u64(40..180),
        })
    }

    /// Returns when it next does something by itself, counted from now; `None` when never.
    pub(super) fn pause(&self, dice: &mut Rng) -> Option<Duration> {
        let ms = match self {
            Self::Motion { seen: true } => dice.u64(2_000..5_000),
            Self::Motion { seen: false } => dice.u64(3_000..12_000),
            Self::Thermometer { .. } => dice.u64(1_000..3_000),
            Self::Thermostat { .. } => 2_000,
            Self::Light { .. } | Self::JammedLock | Self::DeadAwning | Self::SlowValve { .. } => return None,
        };
        Some(Duration::from_millis(ms))
    }

    /// Does what it does by itself, and tells whether that shows.
    pub(super) fn act(&mut self, dice: &mut Rng) -> bool {
        let before = self.clone();
        match self {
            Self::Motion { seen } => *seen = !*seen,
            Self::Thermometer { shows } => {
                let step = if dice.bool() { 1 } else { -1 };
                *shows = (*shows + step).clamp(*OUTDOORS.start(), *OUTDOORS.end());
            }
            Self::Thermostat { on, wanted, room } => {
                let aim = if *on { *wanted } else { COLD_ROOM };
                *room += (aim - *room).signum();
            }
            Self::Light { .. } | Self::JammedLock | Self::DeadAwning | Self::SlowValve { .. } => {}
        }
        *self != before
    }

    /// Does as it is told, or says why not and changes nothing.
    pub(super) fn obey(&mut self, order: &Order) -> Result<(), String> {
        let mut next = self.clone();
        match &mut next {
            Self::Light { on, brightness, color } => light(order, on, brightness, color)?,
            Self::Thermostat { on, wanted, .. } => thermostat(order, on, wanted)?,
            Self::Motion { .. } | Self::Thermometer { .. } => {
                return Err("a sensor only tells, it cannot be set".into());
            }
            Self::JammedLock => return Err("the bolt is jammed".into()),
            Self::DeadAwning => {}
            Self::SlowValve { open } => valve(order, open)?,
        }
        *self = next;
        Ok(())
    }

    /// Returns the state it shows.
    pub(super) fn state(&self) -> String {
        let on_off = |on: bool| if on { "on" } else { "off" }.to_owned();
        match self {
            Self::Light { on, .. } => on_off(*on),
            Self::Thermostat { on: true, .. } => "heat".into(),
            Self::Thermostat { on: false, .. } => "off".into(),
            Self::Motion { seen } => on_off(*seen),
            Self::Thermometer { shows } => degrees(*shows).to_string(),
            Self::JammedLock => "locked".into(),
            Self::DeadAwning => "closed".into(),
            Self::SlowValve { open } => if *open { "open" } else { "closed" }.into(),
        }
    }

    /// Returns its attributes.
    pub(super) fn attributes(&self, name: &str) -> Value {
        match self {
            Self::Light { brightness, color: (hue, saturation), .. } => json!({
                "friendly_name": name, "brightness": brightness,
                "color_mode": "hs", "hs_color": [hue, saturation],
            }),
            Self::Thermostat { on, wanted, room } => json!({
                "friendly_name": name, "temperature": degrees(*wanted), "current_temperature": degrees(*room),
                "hvac_action": if *on && room < wanted { "heating" } else { "idle" },
            }),
            Self::Motion { .. } => json!({"friendly_name": name, "device_class": "motion"}),
            Self::Thermometer { .. } => json!({
                "friendly_name": name, "device_class": "temperature", "unit_of_measurement": "°C",
            }),
            Self::JammedLock => json!({"friendly_name": name}),
            Self::SlowValve { .. } => json!({"friendly_name": name, "device_class": "water"}),
            Self::DeadAwning => json!({"friendly_name": name, "device_class": "awning"}),
        }
    }
}

fn light(order: &Order, on: &mut bool, brightness: &mut u8, color: &mut (u16, u8)) -> Result<(), String> {
    // Whoever dims or colours a light wants to see it.
    *on |= !order.attributes.is_empty();
    switch(order, on, "on")?;
    for (name, value) in &order.attributes {
        match name.as_str() {
            "brightness" => *brightness = whole(value, 1..=255).ok_or("brightness is 1 to 255")? as u8,
            "hs_color" => *color = hue_and_saturation(value).ok_or("hs_color is [0 to 360, 0 to 100]")?,
            _ => return Err(format!("a light has no {name} to set")),
        }
    }
    Ok(())
}

fn thermostat(order: &Order, on: &mut bool, wanted: &mut Tenths) -> Result<(), String> {
    switch(order, on, "heat")?;
    for (name, value) in &order.attributes {
        match name.as_str() {
            "temperature" => *wanted = setpoint(value).ok_or("temperature is 7 to 30, in tenths")?,
            _ => return Err(format!("a thermostat has no {name} to set")),
        }
    }
    Ok(())
}

fn valve(order: &Order, open: &mut bool) -> Result<(), String> {
    match &order.state {
        Some(Wanted::Toggle) => *open = !*open,
        Some(Wanted::Be(state)) if state == "open" || state == "closed" => *open = state == "open",
        _ => return Err("it can be open or closed".into()),
    }
    Ok(())
}

/// Switches what is either off or in one other state.
fn switch(order: &Order, on: &mut bool, other: &str) -> Result<(), String> {
    match &order.state {
        None => {}
        Some(Wanted::Toggle) => *on = !*on,
        Some(Wanted::Be(state)) if state == other => *on = true,
        Some(Wanted::Be(state)) if state == "off" => *on = false,
        Some(Wanted::Be(state)) => return Err(format!("it can be {other} or off, not {state}")),
    }
    Ok(())
}

fn whole(value: &Value, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
    value.as_u64().filter(|number| range.contains(number))
}

fn hue_and_saturation(value: &Value) -> Option<(u16, u8)> {
    match value.as_array()?.as_slice() {
        [hue, saturation] => Some((whole(hue, 0..=360)? as u16, whole(saturation, 0..=100)? as u8)),
        _ => None,
    }
}

fn setpoint(value: &Value) -> Option<Tenths> {
    let tenths = value.as_f64()? * 10.0;
    let exact = (tenths - tenths.round()).abs() < 1e-6;
    Some(tenths.round() as Tenths).filter(|tenths| exact && SETPOINTS.contains(tenths))
}

/// Returns degrees; whole ones without a fraction, as JSON has them.
fn degrees(tenths: Tenths) -> Value {
    match tenths % 10 {
        0 => (tenths / 10).into(),
        _ => (f64::from(tenths) / 10.0).into(),
    }
}

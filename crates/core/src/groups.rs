//! Which fields belong together: the field groups of each Home Assistant domain.
//!
//! Merging a light's `hs_color` from one home with its `color_mode` from another
//! gives a light in an impossible state. A group is the unit that merges, and a
//! field that no table names is a group of its own. The group's key travels with
//! every version, so a home that knows a newer table still agrees with an older one.

/// The name of the field that holds the state, which no attribute can have.
pub const STATE: &str = "";

/// Returns the key of the group that a field belongs to.
pub fn group_of<'a>(domain: &str, field: &'a str) -> &'a str {
    let group = match domain {
        "light" => light(field),
        "climate" | "water_heater" | "humidifier" => climate(field),
        "cover" | "valve" => cover(field),
        "fan" => fan(field),
        "media_player" => media_player(field),
        "device_tracker" | "person" | "zone" => location(field),
        "sun" => sun(field),
        "timer" => timer(field),
        "input_datetime" => datetime(field),
        "weather" => weather(field),
        _ => None,
    };
    group.unwrap_or(if field == STATE { "state" } else { field })
}

fn light(field: &str) -> Option<&'static str> {
    let colour = matches!(
        field,
        "color_mode"
            | "color_temp"
            | "color_temp_kelvin"
            | "effect"
            | "hs_color"
            | "rgb_color"
            | "rgbw_color"
            | "rgbww_color"
            | "xy_color"
            | "white"
    );
    colour.then_some("color")
}

fn climate(field: &str) -> Option<&'static str> {
    match field {
        "temperature" | "target_temp_high" | "target_temp_low" => Some("setpoint"),
        "hvac_action" | "action" | STATE => Some("state"),
        _ => None,
    }
}

fn cover(field: &str) -> Option<&'static str> {
    matches!(field, "current_position" | STATE).then_some("state")
}

fn fan(field: &str) -> Option<&'static str> {
    matches!(field, "percentage" | "preset_mode").then_some("speed")
}

fn media_player(field: &str) -> Option<&'static str> {
    match field {
        STATE => Some("state"),
        "media_position" | "media_position_updated_at" => Some("state"),
        "entity_picture" => Some("media"),
        "volume_level" | "is_volume_muted" => Some("volume"),
        _ if field.starts_with("media_") => Some("media"),
        _ => None,
    }
}

fn location(field: &str) -> Option<&'static str> {
    let place = matches!(
        field,
        "latitude"
            | "longitude"
            | "gps_accuracy"
            | "altitude"
            | "course"
            | "speed"
            | "vertical_accuracy"
            | "in_zones"
            | "radius"
            | STATE
    );
    place.then_some("state")
}

fn sun(field: &str) -> Option<&'static str> {
    matches!(field, "azimuth" | "elevation" | "rising").then_some("position")
}

fn timer(field: &str) -> Option<&'static str> {
    matches!(field, "duration" | "remaining" | "finishes_at" | STATE).then_some("state")
}

fn datetime(field: &str) -> Option<&'static str> {
    let part = matches!(field, "year" | "month" | "day" | "hour" | "minute" | "second" | "timestamp" | STATE);
    part.then_some("state")
}

fn weather(field: &str) -> Option<&'static str> {
    match field {
        "temperature" | "temperature_unit" | "apparent_temperature" | "dew_point" => Some("temperature"),
        "pressure" | "pressure_unit" => Some("pressure"),
        "visibility" | "visibility_unit" => Some("visibility"),
        "precipitation" | "precipitation_unit" => Some("precipitation"),
        _ if field.starts_with("wind_") => Some("wind"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_attributes_stand_together_and_brightness_alone() {
        assert_eq!(group_of("light", "hs_color"), group_of("light", "color_mode"));
        assert_eq!(group_of("light", "brightness"), "brightness");
    }

    #[test]
    fn unknown_field_is_its_own_group_and_state_has_one() {
        assert_eq!(group_of("sensor", "battery"), "battery");
        assert_eq!(group_of("sensor", STATE), "state");
    }

    #[test]
    fn position_goes_with_the_state_it_determines() {
        assert_eq!(group_of("cover", "current_position"), group_of("cover", STATE));
        assert_eq!(group_of("climate", "target_temp_low"), group_of("climate", "temperature"));
    }
}

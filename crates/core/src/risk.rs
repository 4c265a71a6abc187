//! Which entities tell or steer so much that no pattern shares them by the way.
//!
//! A lock, an alarm or a person is shared by its exact id alone. A wide rule never admits one, not
//! even one that is added to the house years after the rule was made.

use crate::table::Entity;

/// Domains that open a house, watch it, or tell where people are.
const DOMAINS: [&str; 6] = ["alarm_control_panel", "camera", "device_tracker", "lock", "person", "zone"];

/// Covers and valves that let people in.
const DOORS: [&str; 3] = [r#""door""#, r#""garage""#, r#""gate""#];

/// Tells whether an entity is shared by its exact id alone.
pub fn is_risky(entity: &Entity) -> bool {
    let domain = entity.key.id.domain();
    DOMAINS.contains(&domain) || (domain == "cover" && opens_a_house(entity))
}

fn opens_a_house(entity: &Entity) -> bool {
    let mut fields =
        entity.siblings.iter().flat_map(|version| version.groups()).flat_map(|group| group.fields());
    fields.any(|(name, value)| name == "device_class" && DOORS.contains(&value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        HomeId,
        replica::{Options, Replica},
        table::Class,
        update::Update,
        version::Cause,
    };

    fn risky(id: &str, attributes: &str) -> bool {
        let mut replica = Replica::new(HomeId([1; 32]), Options::default());
        let key = replica.own(id.parse().unwrap());
        let update = Update::replace("x", attributes).unwrap();
        replica.update(&key, Class::Device, &update, Cause::Device, 1).unwrap();
        is_risky(replica.find(&key).unwrap())
    }

    #[test]
    fn garage_door_is_risky_and_a_blind_is_not() {
        assert!(risky("cover.garage", r#"{"device_class":"garage"}"#));
        assert!(!risky("cover.kitchen", r#"{"device_class":"blind"}"#));
        assert!(risky("lock.front", "{}"));
        assert!(!risky("light.hall", "{}"));
    }
}

//! One entity of the registry: what is said of it, and who may see it.

use crosshome_core::{
    EntityId,
    json::Members,
    update::{Attributes, Update},
};
use crosshome_node::views::Stamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::RegistryError;
use crate::defaults::HOMES_NAMED;

/// What the registry says of an entity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) sharing: Sharing,
    /// Name of the home that registered it.
    pub(crate) home_id: String,
    pub(crate) last_updated: Stamp,
    /// Name of the home that changed it last.
    pub(crate) last_updated_by: String,
    pub(crate) metadata: Map<String, Value>,
}

/// Who may see an entity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sharing {
    /// Every home that is trusted, but for those of `without`.
    pub(crate) everyone: bool,
    /// Homes that may see it in any case, in the order in which they were named.
    pub(crate) with: Vec<String>,
    /// Homes from which it was taken back.
    pub(crate) without: Vec<String>,
}

impl Sharing {
    /// Tells whether any home may see it.
    pub(crate) fn is_shared(&self) -> bool {
        self.everyone || !self.with.is_empty()
    }

    /// Tells whether a home may see it that goes by these names.
    pub(crate) fn admits(&self, names: &[&str]) -> bool {
        let among = |homes: &[String]| homes.iter().any(|home| names.contains(&home.as_str()));
        among(&self.with) || (self.everyone && !among(&self.without))
    }

    /// Shares with every home, also with those from which it was taken back; or with none.
    pub(super) fn set_everyone(&mut self, everyone: bool) {
        self.everyone = everyone;
        self.without.clear();
        if !everyone {
            self.with.clear();
        }
    }

    /// Shares with one home.
    pub(super) fn add(&mut self, home: &str) -> Result<(), RegistryError> {
        self.without.retain(|without| without != home);
        insert(&mut self.with, home)
    }

    /// Takes it back from one home.
    pub(super) fn remove(&mut self, home: &str) -> Result<(), RegistryError> {
        self.with.retain(|with| with != home);
        if self.everyone { insert(&mut self.without, home) } else { Ok(()) }
    }
}

fn insert(homes: &mut Vec<String>, home: &str) -> Result<(), RegistryError> {
    if homes.iter().any(|known| known == home) {
        return Ok(());
    }
    if homes.len() == HOMES_NAMED {
        return Err(RegistryError::Homes);
    }
    homes.push(home.into());
    Ok(())
}

impl Entry {
    /// Begins an entry that nobody has seen.
    pub(super) fn new(id: &EntityId, home: &str) -> Self {
        Self {
            name: id.to_string(),
            sharing: Sharing::default(),
            home_id: home.into(),
            last_updated: Stamp::now(),
            last_updated_by: home.into(),
            metadata: Map::new(),
        }
    }

    /// Reads what the registry has written.
    pub(super) fn read(id: &str, body: &str) -> Result<Self, RegistryError> {
        serde_json::from_str(body).map_err(|error| RegistryError::Unreadable(id.into(), error.to_string()))
    }

    /// Returns what is written.
    pub(super) fn write(&self) -> String {
        serde_json::to_string(self).expect("every field has a JSON form")
    }

    /// Sets metadata; null removes a key. `name` is what people see.
    pub(super) fn describe(
        &mut self,
        id: &EntityId,
        metadata: &Map<String, Value>,
    ) -> Result<(), RegistryError> {
        for (key, value) in metadata {
            match value {
                Value::Null => self.metadata.remove(key),
                value => self.metadata.insert(key.clone(), value.clone()),
            };
        }
        check(&self.metadata)?;
        let name = self.metadata.get("name").and_then(Value::as_str).filter(|name| !name.is_empty());
        self.name = name.unwrap_or(id.as_str()).to_owned();
        Ok(())
    }
}

/// Checks metadata against the bounds that attributes have.
fn check(metadata: &Map<String, Value>) -> Result<(), RegistryError> {
    let wrong = |error: &dyn std::fmt::Display| RegistryError::Metadata(error.to_string());
    let text = serde_json::to_string(metadata).map_err(|error| wrong(&error))?;
    let members: Members = text.parse().map_err(|error| wrong(&error))?;
    let update = Update { state: None, attributes: Attributes::Replace(members) };
    update.check().map_err(|error| wrong(&error))
}

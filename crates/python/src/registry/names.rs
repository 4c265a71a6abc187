//! What entities and homes are called, as the engine has it; an error says what was given instead.

use crosshome_core::{EntityId, HomeId};
use crosshome_node::config::HomeName;

use super::RegistryError;
use crate::defaults::SHOWN_CHARACTERS;

/// Reads the id of an entity.
pub(crate) fn entity_id(given: &str) -> Result<EntityId, RegistryError> {
    given.parse().map_err(|source| RegistryError::Id { given: shown(given), source })
}

/// Reads the name of a home; `argument` is where it was given.
pub(super) fn home(given: &str, argument: &'static str) -> Result<HomeName, RegistryError> {
    given.parse().map_err(|source| RegistryError::Home { argument, given: shown(given), source })
}

/// Checks what is to name another home: its name or its id.
pub(super) fn check_home(given: &str) -> Result<(), RegistryError> {
    if given.parse::<HomeId>().is_ok() { Ok(()) } else { home(given, "home_id").map(drop) }
}

/// Returns the name of this home: the given one, or that of this machine.
pub(crate) fn home_name(given: Option<&str>, argument: &'static str) -> Result<String, RegistryError> {
    let name = match given {
        Some(given) => home(given, argument)?,
        None => HomeName::of_host(&rustix::system::uname().nodename().to_string_lossy()),
    };
    Ok(name.as_str().to_owned())
}

fn shown(given: &str) -> String {
    given.chars().take(SHOWN_CHARACTERS).collect()
}

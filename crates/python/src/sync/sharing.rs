//! What the registry says is what the home shares.

use std::{collections::BTreeMap, sync::Arc};

use crosshome_core::EntityId;
use crosshome_node::node::{Audience, Node};

use super::life::Failed;
use crate::{
    kept::Listening,
    registry::{Registry, RegistryError, Sharing},
};

/// Returns who may see what at the moment.
///
/// # Errors
///
/// What is wrong with the registry's file.
pub(super) fn audiences(registry: &Registry) -> Result<BTreeMap<EntityId, Audience>, Failed> {
    let all = registry.sharing().map_err(|error: RegistryError| Failed::Registry(Arc::new(error)))?;
    Ok(all.into_iter().filter_map(|(id, sharing)| Some((id, audience(sharing)?))).collect())
}

/// Tells the home of every change of the registry from now on, before whoever has made it goes on.
///
/// # Errors
///
/// As [`audiences`], and that the home has stopped.
pub(super) fn follow(registry: &Registry, node: &Node) -> Result<Listening, Failed> {
    let told = node.clone();
    let listening = registry.listen(Box::new(move |id, sharing| {
        let _ = told.set_audience(id, sharing.and_then(audience)); // a home that has stopped shares nothing
    }));
    // What changed between the first look and this.
    node.set_audiences(audiences(registry)?).map_err(Failed::Node)?;
    Ok(listening)
}

/// Returns the audience of a registered entity, if it has one.
fn audience(sharing: Sharing) -> Option<Audience> {
    let Sharing { everyone, with, without } = sharing;
    (everyone || !with.is_empty()).then_some(Audience { everyone, with, without })
}

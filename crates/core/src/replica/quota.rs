//! How much one peer may place here: entities, deletions and bytes.

use super::{Offered, Refusal, Replica};
use crate::{
    defaults::{MAX_ACTORS, MAX_SIBLING_BYTES, MAX_SIBLINGS},
    table::Entity,
    version::Version,
};

impl Replica {
    /// Checks that an offer stays within the quota of its space: past it nothing new is taken, and what is there
    /// goes on, up to twice as many bytes.
    pub(super) fn check_quota(&self, entity: Option<&Entity>, offered: &Offered) -> Result<(), Refusal> {
        let (tally, options) = (self.table.tally(offered.key.space), &self.options);
        let room = match entity {
            None => {
                tally.live < options.quota
                    && tally.deleted < options.quota
                    && tally.bytes < options.quota_bytes
            }
            Some(_) if tally.bytes < 2 * options.quota_bytes => true,
            Some(entity) => {
                let weight: usize = offered.versions.iter().map(Version::weight).sum();
                weight <= entity.siblings.iter().map(Version::weight).sum()
            }
        };
        if room { Ok(()) } else { Err(Refusal::Quota) }
    }

    /// Checks that the entity stays within bounds: here, and on its way to others.
    pub(super) fn check_size(&self, entity: Option<&Entity>, offered: &Offered) -> Result<(), Refusal> {
        let known = entity.map(|entity| &entity.siblings[..]).unwrap_or_default();
        let kept = known.iter().filter(|version| !offered.versions.has_seen(version.dot));
        let (mut count, mut bytes, mut actors) = (0, 0, 0);
        for version in kept.clone().chain(offered.versions.iter()) {
            count += 1;
            bytes += version.body.as_bytes().len() + version.unknown.len();
            actors += 1 + version.context.len();
        }
        // the sum counts some twice: only a large one is worth a closer look
        if actors >= MAX_ACTORS {
            let mut context = offered.versions.context();
            kept.for_each(|version| {
                context.join(&version.context);
                context.insert(version.dot);
            });
            actors = context.len();
        }
        match count > MAX_SIBLINGS || bytes > MAX_SIBLING_BYTES || actors >= MAX_ACTORS {
            true => Err(Refusal::Quota),
            false => Ok(()),
        }
    }
}

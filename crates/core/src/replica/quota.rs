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
            Some(entity) => {
                let known = &entity.siblings;
                let kept = known.iter().filter(|version| !offered.versions.has_seen(version.dot));
                let after: usize = offered.versions.iter().chain(kept).map(Version::weight).sum();
                let before: usize = known.iter().map(Version::weight).sum();
                after <= before || tally.bytes.saturating_sub(before) + after <= 2 * options.quota_bytes
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        EntityKey, HomeId, Space,
        body::Body,
        dot::{Actor, Dot},
        effect::Effect,
        hlc::Hlc,
        policy::Strategy,
        replica::Options,
        table::Class,
        update::Update,
        version::Cause,
    };

    const NOW: u64 = 1_800_000_000_000;
    const PEER: HomeId = HomeId([2; 32]);

    fn villa(quota: usize, quota_bytes: usize) -> Replica {
        Replica::new(HomeId([1; 32]), Options { quota, quota_bytes, ..Options::default() })
    }

    /// The peer says something of an entity of its own or of the joint space; nothing of a length deletes it.
    fn offer(
        villa: &mut Replica,
        space: Space,
        id: &str,
        at: u64,
        length: Option<usize>,
    ) -> Result<Vec<Effect>, Refusal> {
        let dot = Dot { actor: Actor::first(PEER), hlc: Hlc::at(NOW + at) };
        let body =
            length.and_then(|length| Update::state(&"x".repeat(length)).apply("light", [], dot).unwrap());
        let (deleted, body) = (length.is_none(), body.unwrap_or_else(|| Body::of(dot, [])));
        let (context, cause, unknown) = (Default::default(), Cause::Person, Box::default());
        let version = Version { dot, context, body, cause, deleted, timed: true, unknown };
        let (key, class) = (EntityKey { space, id: id.parse().unwrap() }, Class::Document);
        let versions = [version].into_iter().collect();
        let (right, strategy, replace) = (None, Strategy::default(), false);
        let offered = Offered { key, class, versions, sent_at: 0, right, strategy, replace };
        villa.merge(PEER, offered, NOW)
    }

    #[test]
    fn past_its_bytes_a_peer_places_nothing_new_and_what_is_there_goes_on() {
        let (mut villa, own) = (villa(100, 10_000), Space::Home(PEER));
        offer(&mut villa, own, "light.a", 1, Some(6_000)).unwrap();
        offer(&mut villa, own, "light.b", 2, Some(6_000)).unwrap();
        assert_eq!(offer(&mut villa, own, "light.c", 3, Some(1)), Err(Refusal::Quota));
        assert!(offer(&mut villa, own, "light.a", 4, Some(7_000)).is_ok());
        offer(&mut villa, own, "light.a", 5, None).unwrap();
        assert!(offer(&mut villa, own, "light.c", 6, Some(1)).is_ok(), "there is room again");
    }

    #[test]
    fn what_is_there_does_not_grow_without_end() {
        let (mut villa, own) = (villa(100, 10_000), Space::Home(PEER));
        offer(&mut villa, own, "light.a", 1, Some(9_000)).unwrap();
        offer(&mut villa, own, "light.a", 2, Some(19_000)).unwrap();
        assert_eq!(offer(&mut villa, own, "light.a", 3, Some(30_000)), Err(Refusal::Quota));
        assert!(offer(&mut villa, own, "light.a", 4, Some(18_000)).is_ok(), "less is welcome");
    }

    #[test]
    fn deletions_of_a_peer_cost_it_nothing_in_its_own_space_and_count_apart_in_the_joint_one() {
        let mut villa = villa(3, 1 << 20);
        for n in 0..20 {
            offer(&mut villa, Space::Home(PEER), "light.a", 2 * n, Some(1)).unwrap();
            offer(&mut villa, Space::Home(PEER), &format!("light.n{n}"), 2 * n, None).unwrap();
            offer(&mut villa, Space::Home(PEER), "light.a", 2 * n + 1, None).unwrap();
        }
        assert_eq!(villa.table().len(Space::Home(PEER)), 0);
        for n in 0..3 {
            offer(&mut villa, Space::Joint, &format!("light.n{n}"), 100 + n, None).unwrap();
        }
        let joint = villa.table().tally(Space::Joint);
        assert_eq!((joint.live, joint.deleted), (0, 3));
        assert_eq!(offer(&mut villa, Space::Joint, "light.x", 200, Some(1)), Err(Refusal::Quota));
        assert!(offer(&mut villa, Space::Joint, "light.n0", 201, Some(1)).is_ok());
        assert!(offer(&mut villa, Space::Joint, "light.x", 202, Some(1)).is_ok());
    }
}

//! What follows from effects in a run: what must be durable is, and everything that changed is judged.

use super::{World, checks::Checked, law, reference, settling};
use crate::{
    EntityKey, Space,
    effect::{Durability, Effect, Incident},
    grant::Right,
    table::{Class, Entity},
};

impl World {
    /// Carries out effects as the loop does: what must be durable is flushed before anything else happens.
    pub(super) fn carry_out(&mut self, at: usize, from: Option<usize>, effects: &[Effect]) -> Checked {
        let deleted = std::mem::take(&mut self.offered);
        let commits = effects.iter().filter(|effect| matches!(effect, Effect::Commit(_))).count();
        let first = matches!(effects.first(), None | Some(Effect::Commit(_)) | Some(Effect::Report { .. }));
        if commits > 1 || (commits == 1 && !first) {
            return Err(format!("effects are out of order: {effects:?}"));
        }
        let fate = self.homes[at].fate.take();
        if fate.is_some_and(|fate| self.die_at_commit(at, fate, effects)) {
            return Ok(());
        }
        let home = &mut self.homes[at];
        let now = home.now(self.time);
        if effects.contains(&Effect::Restamped) && !home.full {
            home.disk.forget_clock();
        }
        home.keep_clock(now);
        let refused = effects.iter().any(|effect| {
            matches!(effect, Effect::Report { incident: Incident::Forbidden | Incident::Quota, .. })
        });
        for effect in effects {
            match effect {
                Effect::Changed(number) => {
                    let Some(running) = &self.homes[at].running else { continue };
                    let Some(entity) = running.replica.table().get(*number) else { continue };
                    let (key, siblings) = (entity.key.clone(), entity.siblings.clone());
                    let view = reference::check_view(entity);
                    self.ledger.said_again(at, running.replica.actor().home, entity);
                    let may_lose = self.may_lose(from, &key, refused);
                    let may_write = self.may_write(at, from, entity);
                    let mut fresh = self.ledger.fresh(at, &key, &siblings);
                    // what is said anew is on record under its earlier name
                    fresh.retain(|dot| dot.actor.home != self.homes[at].id);
                    let on_record = from.map_or(Ok(()), |_| settling::is_on_record(entity, &fresh, effects));
                    self.judged(view.and(may_write).and(on_record))?;
                    self.note(|_| {
                        format!("{at} has {key:?}: {:?}", siblings.iter().map(|v| v.dot).collect::<Vec<_>>())
                    });
                    let holds = self.ledger.holds(at, &key, &siblings, may_lose);
                    self.judged(holds)?;
                    self.record_holds(at, from, *number, refused);
                }
                Effect::Removed(key, _) | Effect::Forgotten(key, _) => {
                    self.note(|_| format!("{at} forgets {key:?}"));
                    self.record_forgot(at, key);
                    let verdict = match effect {
                        Effect::Forgotten(..) if key.space == Space::Home(self.homes[at].id) => {
                            self.ledger.buries(at, key);
                            Ok(())
                        }
                        Effect::Forgotten(..) => self.ledger.heard_deletion(at, key, false),
                        _ if deleted => {
                            let may_lose = self.may_lose(from, key, refused);
                            self.ledger.heard_deletion(at, key, may_lose)
                        }
                        _ => {
                            self.ledger.forgot(at, key);
                            Ok(())
                        }
                    };
                    self.judged(verdict)?;
                    self.homes[at].running.iter_mut().for_each(|running| running.removed.push(key.clone()));
                }
                Effect::Report { incident, .. } => {
                    self.note(|_| format!("{at} reports {incident:?} of {from:?}"))
                }
                _ => {}
            }
        }
        match fate {
            Some(_) if commits > 0 => {
                self.homes[at].write_out();
                self.note(|_| format!("{at} loses power after a commit"));
                self.crash(at);
                return Ok(());
            }
            _ if effects.contains(&Effect::Commit(Durability::Now)) => self.homes[at].flush(),
            _ => self.homes[at].fate = fate,
        }
        effects.iter().try_for_each(|effect| self.command_effect(at, effect))
    }

    /// Tells whether an entity may lose versions here: the owner has lost them, or has refused them.
    fn may_lose(&self, from: Option<usize>, key: &EntityKey, refused: bool) -> bool {
        let Some(from) = from else { return false };
        let owner = &self.homes[from];
        let device = key.id.domain() != "input_text";
        key.space == Space::Home(owner.id) && (refused || owner.restores > 0 || (device && owner.crashes > 0))
    }

    /// I6: checks that what has just come from a peer is the peer's to write.
    fn may_write(&self, at: usize, from: Option<usize>, entity: &Entity) -> Checked {
        let (Some(from), Some(replica)) = (from, self.replica(at)) else { return Ok(()) };
        let (own, peer) = (Space::Home(self.homes[at].id), self.homes[from].id);
        let fresh = self.ledger.fresh(at, &entity.key, &entity.siblings);
        let written = entity.key.space == own && fresh.iter().any(|dot| dot.actor.home == peer);
        let right = law::right_of(&replica.grants, peer, &entity.key.id);
        match written && (right < Some(Right::Edit) || entity.class == Class::Device) {
            true => Err(format!("I6: home {from} with {right:?} has written {:?}", entity.key)),
            false => Ok(()),
        }
    }
}

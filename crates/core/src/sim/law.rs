//! The rules of a home, read a second time in the plainest way: what the homes admit is held against this.

use crate::{
    EntityId, HomeId,
    grant::{Grants, Right, Selector},
};

/// Returns what a peer may do with an entity: of the rules that speak of both, the closest and then the latest holds.
pub(super) fn right_of(rules: &Grants, peer: HomeId, id: &EntityId) -> Option<Right> {
    let mut holds = None;
    let mut closest = (false, false, 0);
    for rule in rules.iter() {
        let exact = matches!(rule.selector, Selector::Entity(_));
        let close = (exact, rule.peer.is_some(), rule.seq);
        let speaks = rule.peer.is_none_or(|named| named == peer) && covers(&rule.selector.to_string(), id);
        if speaks && close >= closest {
            closest = close;
            holds = rule.right.filter(|_| exact || id.domain() != "lock");
        }
    }
    holds
}

/// The patterns of a run end in a star, or are ids.
fn covers(pattern: &str, id: &EntityId) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => id.as_str().starts_with(beginning),
        None => id.as_str() == pattern,
    }
}

//! What must be true when all is healed, judged from what was acknowledged and from what every store has had.
//!
//! A version *had been seen* by an author when the author's store had it before the author wrote. That is told by the
//! trails of the stores, not by the contexts that versions carry: a context that claims too much hides nothing here.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crosshome_core::dot::Dot;

use super::record::{Known, Written};

/// Time in which others hear that a home's disk went back: it is down for some of it, and links have to come up.
const NEWS_MS: u64 = 15_000;

/// What came out.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    pub(super) findings: Vec<String>,
    /// How many acknowledged writes had which fate.
    pub(super) fates: BTreeMap<&'static str, usize>,
}

/// What the authority of each entity holds at the end.
pub(super) type Final = BTreeMap<String, Vec<Dot>>;

/// Judges a run.
pub(super) fn judge(known: &Known, last: &Final) -> Verdict {
    let ancestry = Ancestry::of(known);
    let mut verdict = Verdict { findings: known.findings.clone(), fates: BTreeMap::new() };
    let mut behind: HashMap<&str, BTreeSet<String>> = HashMap::new();
    for (entity, dots) in last {
        behind.insert(entity, ancestry.behind(entity, dots));
    }
    let nothing = BTreeSet::new();
    for write in known.writes.iter().filter(|write| write.wish.durable) {
        let seen = behind.get(write.wish.entity.as_str()).unwrap_or(&nothing);
        match fate(known, write, seen) {
            Some(fate) => *verdict.fates.entry(fate).or_default() += 1,
            None => verdict.findings.push(format!("I2: no trace of {write:?}")),
        }
    }
    verdict
}

fn fate(known: &Known, write: &Written, seen: &BTreeSet<String>) -> Option<&'static str> {
    let wish = &write.wish;
    if seen.contains(&wish.content) {
        return Some("shown, or seen by who replaced it");
    }
    if known.losers.contains(&(wish.entity.clone(), wish.content.clone())) {
        return Some("on record as a loser");
    }
    let owner = wish.entity.split('/').next().unwrap_or_default();
    if excused(known, write, owner) {
        return Some("lost with a disk that went back in time");
    }
    if made_upon_loss(known, write, owner) {
        return Some("refused, as it was made upon what the owner's disk had lost");
    }
    let refused = owner != write.home && !had(known, owner, write) && could_be_refused(known, write);
    refused.then_some("refused, as the right was withdrawn")
}

/// Tells whether an edit never came to an owner who had just lost what the writer started from.
fn made_upon_loss(known: &Known, write: &Written, owner: &str) -> bool {
    let lately = |home: &str, copied: u64, back: u64| {
        home == owner && copied <= write.acknowledged && write.wish.begun <= back + NEWS_MS
    };
    let restored = known.restored.iter().any(|(home, copied, back)| lately(home, *copied, *back));
    owner != write.home && restored && !had(known, owner, write)
}

/// Tells whether the writer had no right to edit when it wrote, perhaps without knowing, or at some time after.
fn could_be_refused(known: &Known, write: &Written) -> bool {
    let of =
        known.rights.iter().filter(|right| right.peer == write.home && right.entity == write.wish.entity);
    let (before, after): (Vec<_>, Vec<_>) = of.partition(|right| right.since < write.wish.begun);
    before.last().is_some_and(|right| !right.edit) || after.iter().any(|right| !right.edit)
}

/// Tells whether a store ever had what was written.
fn had(known: &Known, home: &str, write: &Written) -> bool {
    known.trails.iter().any(|((by, _, entity), trail)| {
        by == home
            && *entity == write.wish.entity
            && trail.iter().any(|(_, content)| *content == write.wish.content)
    })
}

/// Tells whether an earlier copy of a disk is to blame: the writer's, or the owner's, and no other home of the joint space had it.
pub(super) fn excused(known: &Known, write: &Written, owner: &str) -> bool {
    let elsewhere =
        |than: &str| known.trails.keys().any(|(home, ..)| home != than && had(known, home, write));
    known.restored.iter().any(|(home, copied, back)| {
        let within = *copied <= write.acknowledged && write.wish.begun <= *back;
        let concerned = home == owner || (*home == write.home && !elsewhere(home));
        within && concerned
    })
}

/// What every version's author had when it wrote.
struct Ancestry<'a> {
    known: &'a Known,
    /// What its author had when it made a version.
    made: HashMap<(&'a str, Dot), &'a [(Dot, String)]>,
    /// The versions of each content: one whose stamp was refused comes again under another name.
    named: HashMap<(&'a str, &'a str), Vec<Dot>>,
}

impl<'a> Ancestry<'a> {
    fn of(known: &'a Known) -> Self {
        let (mut made, mut named) = (HashMap::new(), HashMap::<_, Vec<Dot>>::new());
        for ((home, _, entity), trail) in &known.trails {
            for (at, (dot, content)) in trail.iter().enumerate() {
                let own = known.ids.get(&dot.actor.home).is_some_and(|name| name == home);
                if own {
                    made.entry((entity.as_str(), *dot)).or_insert(&trail[..at]);
                }
                let dots = named.entry((entity.as_str(), content.as_str())).or_default();
                if !dots.contains(dot) {
                    dots.push(*dot);
                }
            }
        }
        Self { known, made, named }
    }

    /// Returns the contents of versions, of those that their authors had, and so on.
    fn behind(&self, entity: &str, dots: &[Dot]) -> BTreeSet<String> {
        let contents = self.contents(entity);
        let (mut open, mut met, mut seen) = (dots.to_vec(), BTreeSet::new(), BTreeSet::new());
        while let Some(dot) = open.pop() {
            if !met.insert(dot) {
                continue;
            }
            let before = self.made.get(&(entity, dot)).copied().unwrap_or_default();
            open.extend(before.iter().map(|(dot, _)| *dot));
            let Some(content) = contents.get(&dot) else { continue };
            seen.insert((*content).to_owned());
            if !content.is_empty() {
                open.extend(self.named.get(&(entity, *content)).into_iter().flatten());
            }
        }
        seen
    }

    fn contents(&self, entity: &str) -> HashMap<Dot, &'a str> {
        let of_entity = self.known.trails.iter().filter(|((_, _, named), _)| named == entity);
        of_entity.flat_map(|(_, trail)| trail.iter().map(|(dot, content)| (*dot, content.as_str()))).collect()
    }
}

#[cfg(test)]
mod tests {
    use crosshome_core::{HomeId, dot::Actor, hlc::Hlc};

    use super::{super::record::Wish, *};

    const NOTE: &str = "joint/input_text.note";

    fn dot(home: u8, ms: u64) -> Dot {
        Dot { actor: Actor::first(HomeId([home; 32])), hlc: Hlc::at(ms) }
    }

    /// Villa writes "a"; flat writes "b" after what its trail holds; both end with "b".
    fn run(flat_had: &[(Dot, String)]) -> (Known, Final) {
        let mut known = Known::default();
        known.ids = [(HomeId([1; 32]), "villa".to_owned()), (HomeId([2; 32]), "flat".to_owned())].into();
        let (a, b) = ((dot(1, 1), "a".to_owned()), (dot(2, 2), "b".to_owned()));
        let trail = |home: &str, trail: Vec<_>| ((home.to_owned(), 0, NOTE.to_owned()), trail);
        let flat = flat_had.iter().cloned().chain([b.clone()]).collect();
        known.trails = [trail("villa", vec![a, b]), trail("flat", flat)].into();
        let wish =
            |content: &str| Wish { entity: NOTE.into(), content: content.into(), durable: true, begun: 5 };
        let write = |home: &str, content| Written { home: home.into(), wish: wish(content), acknowledged: 6 };
        known.writes = vec![write("villa", "a"), write("flat", "b")];
        (known, [(NOTE.to_owned(), vec![dot(2, 2)])].into())
    }

    #[test]
    fn write_that_was_seen_by_who_replaced_it_is_not_lost() {
        let (known, last) = run(&[(dot(1, 1), "a".into())]);
        assert_eq!(judge(&known, &last).findings, [""; 0]);
    }

    #[test]
    fn write_that_nobody_had_seen_is_lost_unless_it_is_on_record() {
        let (mut known, last) = run(&[]);
        let findings = judge(&known, &last).findings;
        assert!(findings.len() == 1 && findings[0].contains("\"a\""), "{findings:?}");
        known.losers.insert((NOTE.into(), "a".into()));
        assert_eq!(judge(&known, &last).findings, [""; 0]);
    }

    #[test]
    fn disk_that_went_back_excuses_what_was_written_since_its_copy_and_nothing_else() {
        let (mut known, last) = run(&[]);
        known.trails.remove(&("villa".to_owned(), 0, NOTE.to_owned()));
        known.restored = vec![("villa".into(), 7, 9)];
        assert_eq!(judge(&known, &last).findings.len(), 1);
        known.restored = vec![("villa".into(), 3, 9)];
        assert_eq!(judge(&known, &last).findings, [""; 0]);
    }
}

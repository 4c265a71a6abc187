//! What must be true when all is healed, judged from what was acknowledged and from what every store has had.
//!
//! A version *had been seen* by an author when the author's store had it before the author wrote. That is told by the
//! trails of the stores, not by the contexts that versions carry: a context that claims too much hides nothing here.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crosshome_core::dot::Dot;

use super::record::{Known, Written};

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
    let refused = owner != write.home
        && !had(known, owner, write)
        && known.withdrawn.iter().any(|(by, from, entity, at)| {
            by == owner && *from == write.home && *entity == wish.entity && *at + 1_000 >= wish.begun
        });
    refused.then_some("refused, as the right was withdrawn")
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
    /// Where each version stands in its author's own trail.
    made: HashMap<(&'a str, Dot), (&'a [(Dot, String)], usize)>,
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
                    made.entry((entity.as_str(), *dot)).or_insert((trail.as_slice(), at));
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
            if let Some((trail, at)) = self.made.get(&(entity, dot)) {
                open.extend(trail[..*at].iter().map(|(before, _)| *before));
            }
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

//! What happened among the homes, as JSON lines in the written form of histories, and what the verdict needs beside it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use crosshome_core::{
    dot::Dot,
    sim::history::{From, History, Line, What},
    table::{Class, Entity},
};

use super::store::{self, Moment, Names};

/// A write that was acknowledged.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    pub(super) entity: String,
    pub(super) content: String,
    pub(super) durable: bool,
    /// When it was asked for.
    pub(super) begun: u64,
}

/// A write with its writer and the moment of its acknowledgement.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) home: String,
    pub(super) wish: Wish,
    pub(super) acknowledged: u64,
}

/// What a peer may do with an entity, from some time on.
#[derive(Debug)]
pub(super) struct Right {
    pub(super) peer: String,
    pub(super) entity: String,
    pub(super) edit: bool,
    pub(super) since: u64,
}

/// What one home, from one disk, has had of one entity, in the order in which it came.
pub(super) type Trails = BTreeMap<(String, u32, String), Vec<(Dot, String)>>;

/// What is known of all homes.
#[derive(Default)]
pub(super) struct Known {
    pub(super) writes: Vec<Written>,
    pub(super) deleted: Vec<Written>,
    pub(super) trails: Trails,
    /// What homes are called.
    pub(super) ids: Names,
    /// Entity and content of what is on record as a loser.
    pub(super) losers: BTreeSet<(String, String)>,
    /// Which versions homes have said to be losers.
    told: BTreeSet<(String, String, Dot)>,
    /// What each peer of an owner may do with an entity, from when on.
    pub(super) rights: Vec<Right>,
    /// Home, and the time between the copy of its disk and the return to it.
    pub(super) restored: Vec<(String, u64, u64)>,
    pub(super) faults: BTreeMap<&'static str, u32>,
    /// What was wrong at once, such as an entity that nobody had shared.
    pub(super) findings: Vec<String>,
    marks: BTreeMap<String, Mark>,
}

/// How far a home's store was read.
#[derive(Default)]
struct Mark {
    disk: u32,
    row: u64,
    seqs: BTreeMap<String, u64>,
}

/// The record of one run.
pub(super) struct Record {
    pub(super) path: PathBuf,
    start: Instant,
    /// When that was, in milliseconds since 1970.
    began_ms: u64,
    file: Mutex<File>,
    /// Guards what writers, faults and the reader of stores note; held for a few lines.
    known: Mutex<Known>,
}

impl Record {
    /// Begins a record in the file that `CROSSHOME_CHAOS_HISTORY` names, or else in a directory.
    pub(super) fn new(dir: &Path) -> Self {
        let named = std::env::var_os("CROSSHOME_CHAOS_HISTORY").map(PathBuf::from);
        let path = named.unwrap_or_else(|| dir.join("history.jsonl"));
        let file = Mutex::new(File::create(&path).expect("a file that can be written"));
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
        let began_ms = since_1970.as_millis() as u64;
        Self { path, start: Instant::now(), began_ms, file, known: Mutex::default() }
    }

    pub(super) fn now(&self) -> u64 {
        self.start.elapsed().as_millis() as u64
    }

    pub(super) fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn line(&self, home: &str, what: What) {
        let mut history = History::default();
        history.push(Line { at_ms: self.began_ms + self.now(), home: home.to_owned(), what });
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(history.to_text().as_bytes()).expect("own file");
    }

    pub(super) fn started(&self, home: &str, from: From) {
        self.line(home, What::Started { from, joint: true, copied_ms: None });
    }

    pub(super) fn rests(&self, home: &str) {
        self.line(home, What::Rests);
    }

    pub(super) fn fault(&self, name: &'static str) {
        *self.known().faults.entry(name).or_default() += 1;
    }

    /// The home goes on from another disk: what it has had must be read anew.
    pub(super) fn restored(&self, home: &str, copied: u64) {
        let mut known = self.known();
        known.restored.push((home.to_owned(), copied, self.now()));
        let mark = known.marks.entry(home.to_owned()).or_default();
        *mark = Mark { disk: mark.disk + 1, ..Mark::default() };
        let copied_ms = Some(self.began_ms + copied);
        self.line(home, What::Started { from: From::Backup, joint: true, copied_ms });
    }

    pub(super) fn granted(&self, home: &str, peer: &str, id: &str, right: Option<&str>) {
        let (entity, right) = (format!("{home}/{id}"), right.map(str::to_owned));
        let (edit, since) = (right.as_deref() == Some("edit"), self.now());
        self.known().rights.push(Right { peer: peer.to_owned(), entity: entity.clone(), edit, since });
        self.line(home, What::Granted { peer: peer.to_owned(), entity, right });
    }

    pub(super) fn may_be_read(&self, home: &str, peers: &[String], id: &str) {
        for peer in peers {
            let entity = format!("{home}/{id}");
            self.line(home, What::Granted { peer: peer.clone(), entity, right: Some("read".into()) });
        }
    }

    pub(super) fn wrote(&self, home: &str, wish: &Wish) {
        let Wish { entity, content, durable, .. } = wish.clone();
        let (home, acknowledged) = (home.to_owned(), self.now());
        self.line(&home, What::Wrote { entity, content, durable, dot: None, seen: None });
        self.known().writes.push(Written { home, wish: wish.clone(), acknowledged });
    }

    /// A deletion has no content of its own: the record has it by what the home holds afterwards.
    pub(super) fn deleted(&self, home: &str, entity: &str, begun: u64) {
        let wish = Wish { entity: entity.to_owned(), content: String::new(), durable: true, begun };
        let write = Written { home: home.to_owned(), wish, acknowledged: self.now() };
        self.line(home, What::Deleted { entity: entity.to_owned() });
        self.known().deleted.push(write);
    }

    /// A home says that what was written is on record as a loser.
    pub(super) fn lost(&self, home: &str, entity: &str, content: &str, names: &Names) {
        let mut known = self.known();
        known.losers.insert((entity.to_owned(), content.to_owned()));
        let of_entity = known.trails.iter().filter(|((_, _, named), _)| named == entity);
        let dots: BTreeSet<_> = of_entity
            .flat_map(|(_, trail)| trail)
            .filter(|(_, said)| said == content)
            .map(|(dot, _)| *dot)
            .collect();
        for dot in dots {
            if known.told.insert((home.to_owned(), entity.to_owned(), dot)) {
                self.line(home, What::Lost { entity: entity.to_owned(), dot: store::dot_name(dot, names) });
            }
        }
    }

    /// Reads what is new in a home's store; says whether it could be read.
    pub(super) fn look(&self, home: &str, data_dir: &Path, names: &Names) -> bool {
        let row = self.known().marks.get(home).map_or(0, |mark| mark.row);
        let Ok(moment) = store::read(data_dir, row, names) else { return false };
        self.note(home, &moment, names);
        true
    }

    fn note(&self, home: &str, moment: &Moment, names: &Names) {
        let mut known = self.known();
        let Known { marks, trails, findings, .. } = &mut *known;
        let mark = marks.entry(home.to_owned()).or_default();
        let disk = mark.disk;
        let mut came = |entity: &str, dot: Dot, content: String| {
            let trail = trails.entry((home.to_owned(), disk, entity.to_owned())).or_default();
            let new = !trail.iter().rev().any(|(known, _)| *known == dot);
            if new {
                trail.push((dot, content));
            }
            new
        };
        for past in &moment.past {
            mark.row = mark.row.max(past.number);
            if came(&past.entity, past.dot, past.content.clone()) {
                let (entity, content) = (past.entity.clone(), past.content.clone());
                self.line(home, What::Had { entity, dot: store::dot_name(past.dot, names), content });
            }
        }
        let mut present = BTreeSet::new();
        for entity in &moment.entities {
            let name = store::name(&entity.key, names);
            present.insert(name.clone());
            if mark.seqs.insert(name.clone(), entity.seq) == Some(entity.seq) {
                continue;
            }
            if name.ends_with(super::people::PRIVATE) && !name.starts_with(&format!("{home}/")) {
                findings.push(format!("I8: {home} holds {name}, which nobody has shared"));
            }
            let versions = entity.siblings.iter();
            versions.for_each(|version| {
                came(&name, version.dot, store::content(version));
            });
            self.line(home, holds(name, entity, names));
        }
        let gone: Vec<_> = mark.seqs.keys().filter(|name| !present.contains(*name)).cloned().collect();
        for entity in gone {
            mark.seqs.remove(&entity);
            self.line(home, What::Forgot { entity });
        }
    }
}

fn holds(entity: String, held: &Entity, names: &Names) -> What {
    What::Holds {
        entity,
        versions: held.siblings.iter().map(|version| store::held(version, names)).collect(),
        strategy: held.strategy.to_string(),
        shown: store::shown(held),
        device: held.class == Class::Device,
    }
}

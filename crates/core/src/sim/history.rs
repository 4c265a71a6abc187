//! What happened among homes, as a plain list of lines: from a simulated run, or from real daemons.
//!
//! One [`Line`] is one thing that one home did, in the order in which it did it; lines of different homes stand in
//! any order that does not contradict cause and effect. As text a history is JSON Lines:
//!
//! ```json
//! {"at_ms":5,"home":"villa","what":"started","from":"nothing"}
//! {"at_ms":9,"home":"villa","what":"granted","peer":"flat","entity":"villa/input_text.note","right":"edit"}
//! {"at_ms":12,"home":"villa","what":"wrote","entity":"villa/input_text.note","content":"x17","durable":true}
//! {"at_ms":13,"home":"villa","what":"holds","entity":"villa/input_text.note","shown":"x17","strategy":"merge",
//!  "versions":[{"dot":{"actor":"villa#0","stamp":12},"context":{"flat#0":7},"content":"x17"}]}
//! {"at_ms":90,"home":"villa","what":"rests"}
//! ```
//!
//! (one line each; `holds` is broken here to be read). An entity is named `HOME/ID`, or `joint/ID`; an actor
//! `HOME#INCARNATION`. A stamp is the whole 64-bit number, milliseconds above 16 bits. `content` is any text that differs between contents: in a
//! history of daemons the written state, which the recorder makes unique; here a hash.
//!
//! What a recorder of daemons writes, and when:
//!
//! | line | when |
//! |---|---|
//! | `started` | the process is up; `from` says whether it came from nothing, a clean stop, a crash or a backup. What was held before is compared with what is held next; for a backup, all of it has to be said again |
//! | `granted` | *before* a right is given and *after* a smaller one or a withdrawal was acknowledged; `right` is null then |
//! | `wrote` | a write was acknowledged; without `dot`, its content must occur once in the history |
//! | `deleted` | a deletion was acknowledged, and the recorder does not know its dot |
//! | `lost` | the home told that it has lost or taken back a version: a refused edit |
//! | `holds` | the home's whole state of one entity was read: from the store file, or the API |
//! | `had` | the home has had a version between two readings; only its name and content are known |
//! | `forgot` | the entity is not there any more: withdrawn, deleted and forgotten, or its owner unpaired |
//! | `sent` | an entity was encoded for a peer; a tap that cannot read leaves these out |
//! | `asked`, `performed`, `answered` | a command left, was carried out, and came to an end |
//! | `rests` | all is healed and quiet; the last `holds` of this home are its final state |
//!
//! [`check()`] reads a history and tells what it shows to be broken.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

mod check;
mod commands;
mod dots;
mod ends;
mod graph;
mod house;
mod lives;
mod steps;
mod tidings;
mod views;

pub use check::{Finding, Verdict, check};

/// What happened, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History(Vec<Line>);

/// One thing that one home did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// When, in milliseconds since 1970 by the recorder's clock.
    pub at_ms: u64,
    /// Who.
    pub home: String,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// The name of a change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DotName {
    /// `HOME#INCARNATION`
    pub actor: String,
    /// Its stamp.
    pub stamp: u64,
}

/// A version that a home holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Its name.
    pub dot: DotName,
    /// Per actor, the latest stamp that its author says to have seen.
    #[serde(default)]
    pub context: BTreeMap<String, u64>,
    /// What it says.
    pub content: String,
    /// Whether it is a deletion.
    #[serde(default, skip_serializing_if = "is_false")]
    pub deleted: bool,
    /// Whether its author's clock could not be right, so that it loses ties.
    #[serde(default, skip_serializing_if = "is_false")]
    pub untimed: bool,
    /// Its field groups by their keys, where the recorder knows them. `content` and `shown` are their text then: for
    /// each group in order `KEY=VALUES;`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, HeldGroup>,
}

/// A field group of a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldGroup {
    /// The change that last touched it.
    pub dot: DotName,
    /// What it says.
    pub values: String,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "lowercase")]
pub enum What {
    /// The home is up.
    Started {
        /// Where it goes on from.
        from: From,
        /// Whether it is a member of the joint space.
        #[serde(default, skip_serializing_if = "is_false")]
        joint: bool,
        /// When its disk was copied, if it comes from a backup and the recorder knows it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        copied_ms: Option<u64>,
    },
    /// What a peer may do with an entity from now on.
    Granted {
        /// The peer.
        peer: String,
        /// The entity, of this home's own.
        entity: String,
        /// `read`, `control` or `edit`; nothing when it was withdrawn.
        right: Option<String>,
    },
    /// A write was acknowledged.
    Wrote {
        /// The entity.
        entity: String,
        /// What it says now.
        content: String,
        /// Whether it must survive a crash.
        durable: bool,
        /// The name of the change, where the recorder knows it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dot: Option<DotName>,
        /// The versions that whoever wrote was shown, where that is not all that the home held.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seen: Option<Vec<DotName>>,
    },
    /// A deletion was acknowledged.
    Deleted {
        /// The entity, of this home's own.
        entity: String,
    },
    /// The home has had a version meanwhile.
    Had {
        /// The entity.
        entity: String,
        /// The version.
        dot: DotName,
        /// What it says.
        content: String,
    },
    /// The home has told that a version is lost or taken back.
    Lost {
        /// The entity.
        entity: String,
        /// The version.
        dot: DotName,
    },
    /// What the home holds of an entity now, and shows of it.
    Holds {
        /// The entity.
        entity: String,
        /// All its versions.
        versions: Vec<Held>,
        /// What settles its conflicts.
        strategy: String,
        /// What people see; nothing when it is deleted.
        shown: Option<String>,
        /// Whether it is a device, which its owner alone reports.
        #[serde(default, skip_serializing_if = "is_false")]
        device: bool,
    },
    /// The home does not have the entity any more.
    Forgot {
        /// The entity.
        entity: String,
    },
    /// The entity was encoded for a peer.
    Sent {
        /// The entity.
        entity: String,
        /// The peer.
        peer: String,
    },
    /// A command left for a peer.
    Asked {
        /// Its name.
        id: String,
        /// The peer.
        peer: String,
        /// What it is about.
        entity: String,
        /// When it is over, by the clock of the record.
        until_ms: u64,
    },
    /// The home has carried out a command of a peer.
    Performed {
        /// Its name.
        id: String,
        /// The time then, by the clock of the record.
        clock_ms: u64,
    },
    /// Whoever asked has heard what became of a command.
    Answered {
        /// Its name.
        id: String,
        /// `settled`, `rejected`, `stale`, `superseded`, `expired` or `unknown`.
        outcome: String,
    },
    /// All is healed and quiet.
    Rests,
}

/// Where a home goes on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum From {
    /// It is new.
    Nothing,
    /// It was stopped in good order.
    Stop,
    /// It was killed, or lost power.
    Crash,
    /// Its disk is an older one.
    Backup,
}

impl History {
    /// Adds a line.
    pub fn push(&mut self, line: Line) {
        self.0.push(line);
    }

    /// Returns the lines in their order.
    pub fn lines(&self) -> &[Line] {
        &self.0
    }

    /// Reads JSON Lines; empty lines are left out.
    ///
    /// # Errors
    ///
    /// Tells the number of the line that is none.
    pub fn parse(text: &str) -> Result<Self, LineError> {
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let read = |(at, line)| serde_json::from_str(line).map_err(|error| LineError(at + 1, error));
        lines.map(read).collect::<Result<_, _>>().map(Self)
    }

    /// Writes JSON Lines.
    pub fn to_text(&self) -> String {
        let text = |line| serde_json::to_string(line).expect("a line is plain data");
        self.0.iter().map(|line| text(line) + "\n").collect()
    }
}

/// A line of a history cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("line {0} of the history: {1}")]
pub struct LineError(usize, serde_json::Error);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_comes_back_from_its_text() {
        let text = concat!(
            r#"{"at_ms":5,"home":"villa","what":"started","from":"nothing"}"#,
            "\n",
            r#"{"at_ms":9,"home":"villa","what":"granted","peer":"flat","entity":"villa/light.hall","right":null}"#,
            "\n",
            r#"{"at_ms":12,"home":"villa","what":"wrote","entity":"villa/light.hall","content":"x","durable":true}"#,
            "\n",
            r#"{"at_ms":90,"home":"villa","what":"rests"}"#,
            "\n",
        );
        assert_eq!(History::parse(text).unwrap().to_text(), text);
        assert!(History::parse("\n{}\n").unwrap_err().to_string().starts_with("line 2 "));
    }
}

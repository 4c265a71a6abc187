//! People of one house: they write, delete and decide through the API, whether their home is there or not.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    dice::Dice,
    record::{Record, Wish},
};
use crate::support::{Reply, ask};

/// Documents that every home has of its own, and the joint space too: each strategy has some.
pub(super) const DOCUMENTS: [&str; 5] =
    ["input_text.d0", "input_text.d1", "input_text.d2", "input_text.u0", "input_text.m0"];
/// The document that its home deletes and makes again.
pub(super) const MORTAL: &str = "input_text.d2";
/// What each home reports.
pub(super) const DEVICES: [&str; 2] = ["sensor.s0", "sensor.s1"];
/// What no home ever shares.
pub(super) const PRIVATE: &str = "input_datetime.private";

/// The writers of one home.
pub(super) struct People {
    pub(super) home: String,
    pub(super) others: Vec<String>,
    pub(super) socket: PathBuf,
    pub(super) record: Arc<Record>,
    pub(super) dice: Dice,
    count: u64,
    doomed: Vec<String>,
}

impl People {
    pub(super) fn new(
        home: &str,
        others: Vec<String>,
        socket: PathBuf,
        record: Arc<Record>,
        dice: Dice,
    ) -> Self {
        Self { home: home.to_owned(), others, socket, record, dice, count: 0, doomed: Vec::new() }
    }

    /// Writes until told to stop.
    pub(super) fn start(mut self, stop: Arc<AtomicBool>) -> JoinHandle<()> {
        thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                self.act();
                thread::sleep(Duration::from_millis(20 + self.dice.below(120)));
            }
        })
    }

    fn act(&mut self) {
        let document = self.dice.one_of(&DOCUMENTS);
        let other = self.others[self.dice.below(self.others.len() as u64) as usize].clone();
        match self.dice.below(100) {
            0..40 => self.put("joint", document, true),
            40..62 => self.put(&self.home.clone(), document, true),
            62..78 => self.put(&other, document, true),
            78..86 => self.report(),
            86..88 => self.put(&self.home.clone(), PRIVATE, true),
            88..92 => self.doom(),
            92..94 => self.delete(MORTAL),
            _ => self.decide(),
        }
    }

    /// Returns a state that nobody has written before.
    fn fresh(&mut self) -> String {
        self.count += 1;
        format!("{}{}", self.home, self.count)
    }

    fn put(&mut self, space: &str, id: &str, durable: bool) {
        let state = self.fresh();
        let begun = self.record.now();
        let reply =
            self.ask("POST", &format!("/entities/{space}%2F{id}/state"), Some(json!({"state": state})));
        if reply.is_some_and(|reply| reply.ok()) {
            self.record
                .wrote(&self.home, &Wish { entity: format!("{space}/{id}"), content: state, durable, begun });
        }
    }

    fn report(&mut self) {
        let device = self.dice.one_of(&DEVICES);
        self.put(&self.home.clone(), device, false);
    }

    /// Makes an entity that is going to be deleted, or deletes one that was made for it; no id comes twice.
    fn doom(&mut self) {
        if self.doomed.len() < 3 {
            let id = format!("input_boolean.doomed_{}", self.count);
            self.record.may_be_read(&self.home, &self.others, &id);
            self.put(&self.home.clone(), &id, true);
            return self.doomed.push(id);
        }
        let id = self.doomed.remove(0);
        self.delete(&id);
    }

    fn delete(&mut self, id: &str) {
        let begun = self.record.now();
        if self.ask("DELETE", &format!("/entities/{id}"), None).is_some_and(|reply| reply.ok()) {
            self.record.deleted(&self.home, &format!("{}/{id}", self.home), begun);
        }
    }

    /// Settles a conflict that awaits a person.
    fn decide(&mut self) {
        let Some(open) = self.ask("GET", "/conflicts", None).filter(Reply::ok).map(|reply| reply.json())
        else {
            return;
        };
        let Some(conflict) = open["conflicts"].as_array().and_then(|all| all.first()) else { return };
        let (value, begun) = (self.fresh(), self.record.now());
        let body = json!({"token": conflict["token"], "value": value});
        let id = conflict["id"].as_str().unwrap_or_default();
        let reply = self.ask("POST", &format!("/conflicts/{id}/resolve"), Some(body));
        if reply.is_some_and(|reply| reply.ok()) {
            let text = |key: &str| conflict[key].as_str().unwrap_or_default();
            let bare = text("entity_id").rsplit('/').next().unwrap_or_default().to_owned();
            let entity = format!("{}/{bare}", text("home"));
            self.record.wrote(&self.home, &Wish { entity, content: value, durable: true, begun });
        }
    }

    fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Option<Reply> {
        let body = body.map(|body| body.to_string());
        ask(&self.socket, method, &format!("/api/v1/sharing{path}"), body.as_deref()).ok()
    }
}

//! What becomes of commands (I9).

use std::collections::BTreeMap;

use super::tidings::Finding;

/// All commands by their names.
#[derive(Debug, Default)]
pub(super) struct Commands<'a>(BTreeMap<&'a str, Command<'a>>);

#[derive(Debug, Default)]
struct Command<'a> {
    home: &'a str,
    entity: &'a str,
    until_ms: u64,
    performed: usize,
    /// Whether the device was reported since: then it may show what was wanted by itself.
    reported: bool,
    outcome: Option<&'a str>,
    /// Whether who asked has stopped since, and waits no more.
    unheard: bool,
}

impl<'a> Commands<'a> {
    pub(super) fn asked(&mut self, id: &'a str, home: &'a str, entity: &'a str, until_ms: u64) {
        self.0.insert(id, Command { home, entity, until_ms, ..Command::default() });
    }

    pub(super) fn reported(&mut self, entity: &str) {
        self.0.values_mut().filter(|command| command.entity == entity).for_each(|it| it.reported = true);
    }

    pub(super) fn starts(&mut self, home: &str) {
        self.0.values_mut().filter(|command| command.home == home).for_each(|it| it.unheard = true);
    }

    pub(super) fn performed(&mut self, at: usize, id: &'a str, clock_ms: u64) -> Option<Finding> {
        let Some(command) = self.0.get_mut(id) else {
            return Some(Finding::new(9, at, format!("{id} was carried out and never asked for")));
        };
        command.performed += 1;
        let (times, until) = (command.performed, command.until_ms);
        if times > 1 {
            return Some(Finding::new(9, at, format!("{id} was carried out {times} times")));
        }
        let late = clock_ms >= until;
        late.then(|| Finding::new(9, at, format!("{id} was carried out at {clock_ms}, and over at {until}")))
    }

    pub(super) fn answered(&mut self, at: usize, id: &'a str, outcome: &'a str) -> Option<Finding> {
        let Some(command) = self.0.get_mut(id) else {
            return Some(Finding::new(9, at, format!("{id} ended and was never asked for")));
        };
        if let Some(before) = command.outcome.replace(outcome) {
            return Some(Finding::new(9, at, format!("{id} ended as {outcome}, and as {before} before")));
        }
        let never = outcome == "settled" && command.performed == 0 && !command.reported;
        let after_all = outcome == "stale" && command.performed > 0;
        let what = format!("{id} was told to be {outcome} and was carried out {} times", command.performed);
        (never || after_all).then(|| Finding::new(9, at, what))
    }

    /// Returns commands whose end nobody has told.
    pub(super) fn unanswered(&self) -> impl Iterator<Item = &'a str> {
        let open = |command: &Command<'_>| command.outcome.is_none() && !command.unheard;
        self.0.iter().filter(move |(_, command)| open(command)).map(|(id, _)| *id)
    }
}

//! What has been told: line by line for people, as one document for programs.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde::Serialize;

use crate::{failure::Failure, output::Screen};

/// Columns in front of a step's text, where its time stands.
pub(super) const INDENT: usize = 11;

/// The story so far.
pub(super) struct Story {
    screen: Screen,
    started: Instant,
    aloud: AtomicBool,
    /// Appended to by whoever acts, read by whoever draws.
    steps: Mutex<Vec<Step>>,
    places: Mutex<Vec<Place>>,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Step {
    /// One word for programs.
    pub(super) step: &'static str,
    /// A sentence for people.
    pub(super) text: String,
    /// How long it took.
    pub(super) took_ms: f64,
}

/// The document that `--json` prints.
#[derive(Serialize)]
struct Told<'a> {
    ok: bool,
    homes: &'a [Place],
    steps: &'a [Step],
    took_ms: f64,
    error: Option<String>,
}

/// A home of the story, and where it was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Place {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) api: Option<String>,
    pub(super) data_dir: String,
}

impl Story {
    pub(super) fn new(screen: Screen) -> Self {
        Self {
            screen,
            started: Instant::now(),
            aloud: AtomicBool::new(true),
            steps: Mutex::default(),
            places: Mutex::default(),
        }
    }

    /// Tells what happened since a moment.
    pub(super) fn tell(&self, step: &'static str, since: Instant, text: String) -> Result<(), Failure> {
        self.tell_took(step, since.elapsed(), text)
    }

    /// Tells what happened, and how long that took by a better watch.
    pub(super) fn tell_took(&self, step: &'static str, took: Duration, text: String) -> Result<(), Failure> {
        let step = Step { step, text, took_ms: millis(took) };
        if self.aloud.load(Ordering::Relaxed) {
            self.screen.text(&line(&step))?;
        }
        self.steps.lock().unwrap_or_else(PoisonError::into_inner).push(step);
        Ok(())
    }

    /// Takes note of a home that runs.
    pub(super) fn place(&self, place: Place) {
        self.places.lock().unwrap_or_else(PoisonError::into_inner).push(place);
    }

    /// Prints no more: from now on somebody draws the steps.
    pub(super) fn hush(&self) {
        self.aloud.store(false, Ordering::Relaxed);
    }

    /// Returns the last steps, oldest first.
    pub(super) fn last(&self, count: usize) -> Vec<Step> {
        let steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        steps[steps.len().saturating_sub(count)..].to_vec()
    }

    /// Tells how it ended.
    pub(super) fn end(&self, played: &Result<(), Failure>) -> Result<(), Failure> {
        let steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        let told = Told {
            ok: played.is_ok(),
            homes: &self.places.lock().unwrap_or_else(PoisonError::into_inner),
            steps: &steps,
            took_ms: millis(self.started.elapsed()),
            error: played.as_ref().err().map(ToString::to_string),
        };
        if self.screen.is_json() {
            return self.screen.show(&told, |_| String::new());
        }
        match played {
            Ok(()) => self.screen.text(&format!("\nDone in {}.", span(told.took_ms))),
            Err(_) => Ok(()),
        }
    }
}

/// Writes a step with its time in front; what takes several lines stands in line.
pub(super) fn line(step: &Step) -> String {
    let indent = format!("\n{:INDENT$}", "");
    format!("{:>9}  {}", span(step.took_ms), step.text.replace('\n', &indent))
}

/// Writes a time as people read it.
pub(super) fn span(ms: f64) -> String {
    match ms {
        ms if ms < 10.0 => format!("{ms:.1} ms"),
        ms if ms < 1000.0 => format!("{ms:.0} ms"),
        ms => format!("{:.2} s", ms / 1000.0),
    }
}

fn millis(took: Duration) -> f64 {
    (took.as_secs_f64() * 1e4).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_as_exact_as_they_are_short() {
        assert_eq!([1.44, 44.4, 1440.0].map(span), ["1.4 ms", "44 ms", "1.44 s"]);
    }

    #[test]
    fn second_line_of_a_step_stands_below_its_first() {
        let step = Step { step: "run", text: "villa\nflat".into(), took_ms: 1_500.0 };
        assert_eq!(line(&step), "   1.50 s  villa\n           flat");
    }
}

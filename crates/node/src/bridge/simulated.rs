//! A house that is not there: lights, a thermostat and sensors that behave, for the demo and for tests.
//!
//! [`House`] is the house itself: plain data that is told the time and rolls seeded dice, so a seed
//! plays the same day again. [`live`] is its bridge, a caller of [`Node`] and nothing else. Three of its
//! devices misbehave on purpose, so that every outcome of a command can be seen: the lock of the
//! cellar refuses, the awning never answers, the garden's valve moves when it is too late.
//!
//! ```
//! use std::time::Duration;
//! use crosshome_node::bridge::simulated::House;
//! let (mut one, mut other) = (House::new(7), House::new(7));
//! let minute = Duration::from_secs(60);
//! assert_eq!(one.advance(minute).len(), other.advance(minute).len());
//! ```

use std::time::Duration;

use tokio::{
    sync::oneshot,
    time::{Instant, sleep},
};

use crate::{
    defaults::SILENT_DEVICE,
    node::{Command, Node, NodeError},
};

mod device;
mod house;
mod order;

pub use house::{House, Reaction};

/// Lets a house live behind a home until the home stops or another bridge takes its place.
///
/// # Errors
/// The home takes no reports any more.
///
/// # Cancel safety
/// The house stands still when the future is dropped; commands under way are then refused.
pub async fn live(node: Node, mut house: House) -> Result<(), NodeError> {
    let mut commands = node.attach().await?;
    let started = Instant::now();
    let mut unanswered = Vec::new();
    node.report(house.present()).await?;
    loop {
        tokio::select! {
            () = sleep(house.due().saturating_sub(started.elapsed())) => {
                node.report(house.advance(started.elapsed())).await?;
            }
            command = commands.recv() => match command {
                None => return Ok(()),
                Some(command) => unanswered.extend(react(&mut house, command, started.elapsed())),
            },
        }
        unanswered.retain(|silent: &Silent| silent.until > Instant::now());
    }
}

/// A command that gets no answer: dropping the way to answer would be one.
struct Silent {
    until: Instant,
    _done: oneshot::Sender<Result<(), String>>,
}

fn react(house: &mut House, command: Command, now: Duration) -> Option<Silent> {
    let Command { entity_id, wish, until, done } = command;
    if until <= std::time::Instant::now() {
        return None; // dropping the way to answer says so
    }
    let answer = match house.command(&entity_id, &wish, now) {
        Reaction::Taken => Ok(()),
        Reaction::Refused(reason) => Err(reason),
        Reaction::Silence => return Some(Silent { until: Instant::now() + SILENT_DEVICE, _done: done }),
    };
    // The home may have given the command up.
    let _ = done.send(answer);
    None
}

#[cfg(test)]
mod tests;

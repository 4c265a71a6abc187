//! An update in the core alone, from JSON to the change log.

use std::time::Instant;

use crosshome_core::{
    EntityKey, HomeId,
    replica::{Options, Replica},
    table::Class,
    update::Update,
    version::Cause,
};

use super::{
    Measured, Plan,
    figures::{Figure, Goal::Most, Unit},
    orders::Load,
    sample::{Sample, Shown},
};
use crate::failure::Failure;

/// Any moment; the core never asks for the time.
const NOW_MS: u64 = 1_800_000_000_000;

/// Measures the time of an update in memory.
pub(super) fn measure(plan: &Plan) -> Result<Measured, Failure> {
    let mut replica = Replica::new(HomeId([1; 32]), Options::default());
    update_all(&mut replica, Load::bulk(plan.entities, plan.entities, 0))?;
    let load = Load::bulk(plan.entities, plan.updates, 1);
    let took_us = update_all(&mut replica, load)? / f64::from(load.updates);
    let figure = Figure::new("an update in the core, in memory", took_us, Unit::Micros).goals(&[Most(5.0)]);
    Ok(Measured { figures: vec![figure], lost: 0 })
}

/// Makes the updates and returns how many microseconds they took together.
fn update_all(replica: &mut Replica, load: Load) -> Result<f64, Failure> {
    let ready = |(entity, round): (u32, u32)| {
        let id = Sample(entity).id().parse().expect("a sample has the id of an entity");
        (replica.own(id), Sample(entity).shown(round))
    };
    let updates: Vec<(EntityKey, Shown)> = load.updates().map(ready).collect();
    let begun = Instant::now();
    for (key, shown) in &updates {
        let update = Update::replace(&shown.state, &shown.attributes).map_err(failed)?;
        replica.update(key, Class::Device, &update, Cause::Device, NOW_MS).map_err(failed)?;
    }
    Ok(begun.elapsed().as_secs_f64() * 1e6)
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::Bench(error.to_string())
}

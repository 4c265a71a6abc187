//! Catching up: the first sync, and reconnects after a while apart.

use std::{path::Path, time::Duration};

use super::{
    Measured, Plan, SETTLE,
    bytes::over_road,
    ceiling::{Ceiling, handshake_time},
    crew::Pair,
    figures::{Figure, Goal, Goal::*, Unit},
    live::lost,
    orders::{Held, Load, Order, Sent},
    road::Road,
    sample::Sample,
};
use crate::failure::Failure;

/// Length of the long road, one way: far above what the homes need to think.
const FAR: Duration = Duration::from_millis(50);

/// Measures the first sync of so many entities, then reconnects with so many of them changed.
pub(super) async fn measure(
    dir: &Path,
    entities: u32,
    changed: &[u32],
    ceiling: &Ceiling,
) -> Result<Measured, Failure> {
    let (mut pair, road) = over_road(dir, Duration::ZERO).await?;
    let mut measured = first(&mut pair, &road, entities, ceiling).await?;
    for (at, &changed) in (1..).zip(changed) {
        measured.absorb(reconnect(&mut pair, &road, (entities, changed), at, ceiling).await?);
    }
    pair.end().await?;
    Ok(measured)
}

async fn first(pair: &mut Pair, road: &Road, entities: u32, ceiling: &Ceiling) -> Result<Measured, Failure> {
    let load = Load::bulk(entities, entities, 0);
    pair.villa.ask::<()>(Order::Prepare(load)).await?;
    pair.villa.ask::<Sent>(Order::Send).await?;
    tokio::time::sleep(SETTLE).await;
    let (bytes, changes) = (road.bytes(), pair.flat.look().await?.changes);
    let begun_ns = super::usage::now_ns();
    // One more is the document by which the villa has flushed.
    let awaited = Order::AwaitChanges { changes: changes + u64::from(entities) + 1 };
    let share = Order::Share { with: "flat".into() };
    let ((), held): ((), Held) = tokio::try_join!(pair.villa.ask(share), pair.flat.ask(awaited))?;
    tokio::time::sleep(SETTLE).await;
    let bytes = (road.bytes() - bytes) as f64;
    let json: usize = (0..entities).map(|entity| Sample(entity).document(0).len()).sum();
    let took_ms = (held.durable_ns - begun_ns) as f64 / 1e6;
    let name = |what: &str| format!("first sync of {entities} entities, {what}");
    let large = entities >= Plan::LARGE;
    let when_large = |figure: Figure, goals: &[Goal]| if large { figure.goals(goals) } else { figure };
    let time =
        Figure::new(name("time"), took_ms, Unit::Millis).of(f64::from(entities) * 1e3 / ceiling.per_second);
    let megabytes = Figure::new(name("bytes"), bytes / 1e6, Unit::Megabytes);
    let share_of_json = Figure::new(name("part of the JSON"), bytes / json as f64 * 100.0, Unit::Percent);
    let figures = vec![
        when_large(time, &[MostOfCeiling(4.0), Most(500.0)]),
        when_large(megabytes, &[Most(7.0)]),
        share_of_json.goals(&[Most(18.0)]),
    ];
    Ok(Measured { figures, lost: lost(pair, load).await? })
}

async fn reconnect(
    pair: &mut Pair,
    road: &Road,
    (entities, changed): (u32, u32),
    round: u32,
    ceiling: &Ceiling,
) -> Result<Measured, Failure> {
    let took = apart(pair, road, changed, round).await?;
    let bytes = took.bytes - ceiling.handshake_bytes;
    let name = |what: &str| format!("reconnect, {changed} of {entities} changed, {what}");
    let most = if changed == 0 { 200.0 } else { 60.0 * f64::from(changed) + 1_000.0 };
    let mut figures = vec![Figure::new(name("bytes"), bytes, Unit::Bytes).goals(&[Most(most)])];
    if let Some(held_ms) = took.held_ms {
        figures.push(Figure::new(name("time, handshake included"), held_ms, Unit::Millis));
    }
    Ok(Measured { figures, lost: took.lost })
}

/// Measures how many round trips a reconnect needs after the handshake.
pub(super) async fn round_trips(dir: &Path) -> Result<Measured, Failure> {
    let (mut pair, road) = over_road(dir, FAR).await?;
    pair.share().await?;
    super::live::settle_in(&mut pair, Load::bulk(1_000, 1_000, 0)).await?;
    let took = apart(&mut pair, &road, 100, 1).await?;
    pair.end().await?;
    let handshake_ms = handshake_time(FAR).await?.as_secs_f64() * 1e3;
    let trips = (took.held_ms.unwrap_or(f64::NAN) - handshake_ms) / (2e3 * FAR.as_secs_f64());
    let figure = Figure::new("reconnect, round trips after the handshake", trips, Unit::Count);
    // The part beyond the whole is the time in which the homes think.
    Ok(Measured { figures: vec![figure.goals(&[Most(1.3)])], lost: took.lost })
}

/// What a reconnect took.
struct Apart {
    bytes: f64,
    held_ms: Option<f64>,
    lost: u32,
}

/// Cuts the road, lets the villa change so many entities, heals the road and waits until the flat has caught up.
async fn apart(pair: &mut Pair, road: &Road, changed: u32, round: u32) -> Result<Apart, Failure> {
    let load = Load::bulk(changed, changed, round);
    pair.villa.ask::<()>(Order::Prepare(load)).await?;
    road.cut();
    pair.flat.ask::<()>(Order::AwaitLink { up: false }).await?;
    let bytes = road.bytes();
    if changed == 0 {
        road.heal();
        pair.flat.ask::<()>(Order::AwaitLink { up: true }).await?;
        tokio::time::sleep(SETTLE).await;
        return Ok(Apart { bytes: (road.bytes() - bytes) as f64, held_ms: None, lost: 0 });
    }
    pair.villa.ask::<Sent>(Order::Send).await?;
    road.heal();
    let (entity, round) = load.last();
    let held: Held = pair.flat.ask(Order::AwaitValue { home: "villa".into(), entity, round }).await?;
    tokio::time::sleep(SETTLE).await;
    let held_ms = held.held_ns.saturating_sub(road.opened_ns()) as f64 / 1e6;
    Ok(Apart { bytes: (road.bytes() - bytes) as f64, held_ms: Some(held_ms), lost: lost(pair, load).await? })
}

//! Two homes at work, straight beside each other: how soon, how many, at what cost.

use std::{path::Path, time::Duration};

use super::{
    Measured, Plan,
    ceiling::Ceiling,
    crew::{Pair, straight},
    figures::{Figure, Goal::*, Unit},
    orders::{Heard, Held, Load, Order, Seen, Sent},
};
use crate::failure::Failure;

/// Measures latency, throughput and CPU per update.
pub(super) async fn measure(dir: &Path, plan: &Plan, ceiling: &Ceiling) -> Result<Measured, Failure> {
    let mut pair = Pair::open(dir, straight).await?;
    pair.share().await?;
    settle_in(&mut pair, Load::bulk(plan.entities, plan.entities, 0)).await?;
    let mut measured = paced(&mut pair, plan, ceiling).await?;
    measured.absorb(bulk(&mut pair, plan, ceiling).await?);
    pair.end().await?;
    Ok(measured)
}

/// Lets the villa report its entities for the first time, and waits until the flat has them.
pub(super) async fn settle_in(pair: &mut Pair, load: Load) -> Result<(), Failure> {
    carry(pair, load).await?;
    tokio::time::sleep(super::SETTLE).await;
    Ok(())
}

/// Lets the villa report, and waits until the flat has the last.
pub(super) async fn carry(pair: &mut Pair, load: Load) -> Result<(Sent, Held), Failure> {
    pair.villa.ask::<()>(Order::Prepare(load)).await?;
    let (entity, round) = load.last();
    let awaited = Order::AwaitValue { home: "villa".into(), entity, round };
    tokio::try_join!(pair.villa.ask(Order::Send), pair.flat.ask(awaited))
}

/// Returns how many entities of the villa the flat shows otherwise than it was told.
pub(super) async fn lost(pair: &mut Pair, load: Load) -> Result<u32, Failure> {
    pair.flat.ask(Order::Check { home: "villa".into(), load }).await
}

async fn paced(pair: &mut Pair, plan: &Plan, ceiling: &Ceiling) -> Result<Measured, Failure> {
    let load = plan.paced(1);
    pair.flat.ask::<()>(Order::Listen { updates: load.updates }).await?;
    pair.villa.ask::<()>(Order::Prepare(load)).await?;
    let before = pair.look().await?;
    let (_, heard): (Sent, Heard) =
        tokio::try_join!(pair.villa.ask(Order::Send), pair.flat.ask(Order::Heard))?;
    let cpu_us = cpu(&before, &pair.look().await?).as_secs_f64() * 1e6 / f64::from(load.updates);
    let [p50, p99, max] = [heard.p50_ns, heard.p99_ns, heard.max_ns].map(|ns| ns as f64 / 1e3);
    let figures = vec![
        Figure::new("one-way latency, p50", p50, Unit::Micros)
            .of(ceiling.latency_us[0])
            .goals(&[MostOfCeiling(1.5)]),
        Figure::new("one-way latency, p99", p99, Unit::Micros)
            .of(ceiling.latency_us[1])
            .goals(&[MostOfCeiling(2.0)]),
        Figure::new("one-way latency, max", max, Unit::Micros).of(ceiling.latency_us[2]),
        Figure::new("CPU per update, paced", cpu_us, Unit::Micros)
            .of(ceiling.cpu_us[1])
            .goals(&[MostOfCeiling(1.5)]),
    ];
    Ok(Measured { figures, lost: lost(pair, load).await? })
}

async fn bulk(pair: &mut Pair, plan: &Plan, ceiling: &Ceiling) -> Result<Measured, Failure> {
    let load = Load::bulk(plan.entities, plan.updates, 1_000);
    pair.villa.ask::<()>(Order::Prepare(load)).await?;
    let before = pair.look().await?;
    let (entity, round) = load.last();
    let awaited = Order::AwaitValue { home: "villa".into(), entity, round };
    let (sent, held): (Sent, Held) = tokio::try_join!(pair.villa.ask(Order::Send), pair.flat.ask(awaited))?;
    let after = pair.look().await?;
    let took_ns = sent.durable_ns.max(held.durable_ns) - sent.begun_ns;
    let updates = f64::from(load.updates);
    let cpu_us = cpu(&before, &after).as_secs_f64() * 1e6 / updates;
    let delivered = (after[1].changes - before[1].changes) as f64 / updates;
    let figures = vec![
        Figure::new("updates, durable at both ends", updates * 1e9 / took_ns as f64, Unit::PerSecond)
            .of(ceiling.per_second)
            .goals(&[LeastOfCeiling(0.2), Least(250_000.0)]),
        Figure::new("of these delivered, not coalesced", delivered * 100.0, Unit::Percent),
        Figure::new("CPU per update, bulk", cpu_us, Unit::Micros)
            .of(ceiling.cpu_us[0])
            .goals(&[MostOfCeiling(5.0)]),
    ];
    Ok(Measured { figures, lost: lost(pair, load).await? })
}

fn cpu(before: &[Seen; 2], after: &[Seen; 2]) -> Duration {
    after.iter().zip(before).map(|(after, before)| after.usage.cpu_since(&before.usage)).sum()
}

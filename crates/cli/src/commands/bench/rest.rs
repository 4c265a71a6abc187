//! A home at rest: how soon it is ready, what it occupies, what it costs to keep.

use std::{net::SocketAddr, path::Path, time::Duration};

use super::{
    Measured, Plan,
    crew::{Pair, Worker, straight},
    figures::{Figure, Goal::*, Unit},
    live::{lost, settle_in},
    orders::{Load, Seen},
};
use crate::failure::Failure;

/// Fills two homes, starts both anew, and lets them rest.
pub(super) async fn measure(dir: &Path, entities: u32, idle: Duration) -> Result<Measured, Failure> {
    let load = Load::bulk(entities, entities, 0);
    let mut pair = Pair::open(dir, straight).await?;
    pair.share().await?;
    settle_in(&mut pair, load).await?;
    let after_sync = resident_mb(&pair.look().await?);
    pair.end().await?;

    let (villa, villa_ms, port) = start(dir, "villa", None).await?;
    let (flat, flat_ms, _) = start(dir, "flat", Some(port)).await?;
    let mut pair = Pair { villa, flat };
    tokio::time::sleep(LINKED).await;
    let before = pair.look().await?;
    tokio::time::sleep(idle).await;
    let after = pair.look().await?;
    let cpu = after.iter().zip(&before).map(|(after, before)| after.usage.cpu_since(&before.usage)).max();
    let cpu = cpu.unwrap_or_default().as_secs_f64() / idle.as_secs_f64() * 100.0;
    let lost = lost(&mut pair, load).await?;
    pair.end().await?;
    let (most_ms, most_mb) = if entities >= Plan::LARGE { (100.0, 90.0) } else { (30.0, 20.0) };
    let name = |what: &str| format!("{what}, {entities} entities");
    let figures = vec![
        Figure::new(name("start to ready"), villa_ms.max(flat_ms), Unit::Millis).goals(&[Most(most_ms)]),
        Figure::new(name("resident memory"), resident_mb(&after), Unit::Megabytes).goals(&[Most(most_mb)]),
        Figure::new(name("resident memory after the first sync"), after_sync, Unit::Megabytes),
        Figure::new(name("idle CPU"), cpu, Unit::Percent).goals(&[Most(0.1)]),
    ];
    Ok(Measured { figures, lost })
}

/// Time until two homes that were started anew have found each other at their old addresses.
const LINKED: Duration = Duration::from_secs(3);

/// Starts a home that was there before, and tells after how many milliseconds of its process it was ready.
async fn start(
    dir: &Path,
    name: &str,
    peer: Option<SocketAddr>,
) -> Result<(Worker, f64, SocketAddr), Failure> {
    let mut worker = Worker::start()?;
    let opened = worker.open(dir, name, peer).await?;
    let took_ms = (opened.ready_ns - worker.started_ns()) as f64 / 1e6;
    Ok((worker, took_ms, opened.address))
}

fn resident_mb(seen: &[Seen; 2]) -> f64 {
    seen.iter().map(|seen| seen.usage.resident_bytes).max().unwrap_or_default() as f64 / 1e6
}

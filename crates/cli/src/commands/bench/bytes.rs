//! What updates cost on the wire, counted beside the homes.

use std::{path::Path, time::Duration};

use super::{
    Measured, Plan, SETTLE,
    ceiling::Ceiling,
    crew::Pair,
    figures::{Figure, Goal::Most, Unit},
    live::{carry, lost, settle_in},
    orders::Load,
    road::Road,
};
use crate::failure::Failure;

/// Measures bytes per update, as fast as it goes and paced.
pub(super) async fn measure(dir: &Path, plan: &Plan, ceiling: &Ceiling) -> Result<Measured, Failure> {
    let (mut pair, road) = over_road(dir, Duration::ZERO).await?;
    pair.share().await?;
    settle_in(&mut pair, Load::bulk(plan.entities, plan.entities, 0)).await?;
    let bulk = Load::bulk(plan.entities, plan.updates, 1);
    let (bytes, delivered) = carried(&mut pair, &road, bulk).await?;
    let mut wrong = lost(&mut pair, bulk).await?;
    let paced = Load { updates: 2 * plan.rate, ..plan.paced(1_000).unstamped() };
    let (paced_bytes, _) = carried(&mut pair, &road, paced).await?;
    wrong += lost(&mut pair, Load { entities: paced.entities.min(paced.updates), ..paced }).await?;
    pair.end().await?;
    let figures = vec![
        // What was coalesced cost nothing, and would flatter.
        Figure::new("bytes per delivered update, bulk", bytes / delivered, Unit::Bytes)
            .of(ceiling.bytes[0])
            .goals(&[Most(45.0)]),
        Figure::new("bytes per update, paced singly", paced_bytes / f64::from(paced.updates), Unit::Bytes)
            .of(ceiling.bytes[1])
            .goals(&[Most(80.0)]),
    ];
    Ok(Measured { figures, lost: wrong })
}

/// Opens two homes with a road between them.
pub(super) async fn over_road(dir: &Path, delay: Duration) -> Result<(Pair, Road), Failure> {
    let mut laid = None;
    let pair = Pair::open(dir, async |address| {
        let road = laid.insert(Road::to(address, delay).await?);
        Ok(road.address())
    })
    .await?;
    Ok((pair, laid.expect("the pair was opened over it")))
}

/// Returns the bytes of a load, and how many of its updates were delivered.
async fn carried(pair: &mut Pair, road: &Road, load: Load) -> Result<(f64, f64), Failure> {
    let (bytes, seen) = (road.bytes(), pair.flat.look().await?);
    carry(pair, load).await?;
    tokio::time::sleep(SETTLE).await;
    let delivered = pair.flat.look().await?.changes - seen.changes;
    Ok(((road.bytes() - bytes) as f64, delivered as f64))
}

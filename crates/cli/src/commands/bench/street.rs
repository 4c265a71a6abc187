//! One home and a street of others: what each delivery costs the one that sends.

use std::path::Path;

use super::{
    Measured, Plan,
    crew::{Worker, join},
    figures::{Figure, Goal::Most, Unit},
    orders::{Held, Load, Order, Pace, Sent},
};
use crate::failure::Failure;

const ENTITIES: u32 = 1_000;
/// Bursts as an integration that polls makes them; slow enough that nothing has to be coalesced.
const PACE: Pace = Pace { per_second: 4_000, burst: 200, stamped: false };

/// Measures the sender's CPU per delivery.
pub(super) async fn measure(dir: &Path, plan: &Plan) -> Result<Measured, Failure> {
    let mut villa = Worker::start()?;
    let address = villa.open(dir, "villa", None).await?.address;
    let mut flats = Vec::new();
    for number in 0..plan.homes {
        let (mut flat, name) = (Worker::start()?, format!("flat{number}"));
        flat.open(dir, &name, None).await?;
        join(&mut villa, &mut flat, address).await?;
        villa.ask::<()>(Order::Share { with: name }).await?;
        flats.push(flat);
    }
    carry(&mut villa, &mut flats, Load::bulk(ENTITIES, ENTITIES, 0)).await?;
    let load = Load { pace: Some(PACE), ..Load::bulk(ENTITIES, plan.updates / 20, 1) };
    let (changes, before) = (changes(&mut flats).await?, villa.look().await?);
    carry(&mut villa, &mut flats, load).await?;
    let cpu = villa.look().await?.usage.cpu_since(&before.usage);
    let deliveries = self::changes(&mut flats).await? - changes;
    let mut lost = 0;
    for flat in &mut flats {
        lost += flat.ask::<u32>(Order::Check { home: "villa".into(), load }).await?;
    }
    let per_delivery = cpu.as_secs_f64() * 1e6 / deliveries as f64;
    let name = format!("one home to {} homes, sender's CPU per delivery", plan.homes);
    let figure = Figure::new(name, per_delivery, Unit::Micros).goals(&[Most(1.5)]);
    Ok(Measured { figures: vec![figure], lost })
}

/// Lets the villa report and waits until every flat has the last.
async fn carry(villa: &mut Worker, flats: &mut [Worker], load: Load) -> Result<(), Failure> {
    villa.ask::<()>(Order::Prepare(load)).await?;
    villa.ask::<Sent>(Order::Send).await?;
    let (entity, round) = load.last();
    for flat in flats {
        flat.ask::<Held>(Order::AwaitValue { home: "villa".into(), entity, round }).await?;
    }
    Ok(())
}

async fn changes(flats: &mut [Worker]) -> Result<u64, Failure> {
    let mut sum = 0;
    for flat in flats {
        sum += flat.look().await?.changes;
    }
    Ok(sum)
}

//! The ceiling of this run: what the channel alone can carry.

use std::time::Duration;

use super::{
    Plan,
    crew::Worker,
    figures::{Figure, Unit},
    orders::{Heard, Load, Order, Sent},
    road::Road,
};
use crate::failure::Failure;

/// What the channel alone can carry, with nothing else done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ceiling {
    pub(super) per_second: f64,
    /// CPU per update of both processes, as fast as it goes and paced.
    pub(super) cpu_us: [f64; 2],
    /// Half, all but one in a hundred, and the slowest of the updates took at most this.
    pub(super) latency_us: [f64; 3],
    /// Bytes per update, as fast as it goes and paced.
    pub(super) bytes: [f64; 2],
    /// Bytes until both sides have proven their keys.
    pub(super) handshake_bytes: f64,
}

impl Ceiling {
    /// Measures it.
    pub(super) async fn measure(plan: &Plan) -> Result<Self, Failure> {
        let bulk = Carried::measure(Load::bulk(plan.entities, plan.updates, 1)).await?;
        let paced = Carried::measure(plan.paced(1)).await?;
        let (bulk_bytes, handshake_bytes) = bytes(Load::bulk(plan.entities, plan.updates / 10, 1)).await?;
        let (paced_bytes, _) = bytes(Load { updates: plan.rate, ..plan.paced(1).unstamped() }).await?;
        Ok(Self {
            per_second: bulk.per_second,
            cpu_us: [bulk.cpu_us, paced.cpu_us],
            latency_us: paced.latency_us,
            bytes: [bulk_bytes, paced_bytes],
            handshake_bytes,
        })
    }

    /// Returns it as figures.
    pub(super) fn figures(&self) -> Vec<Figure> {
        let [p50, p99, max] = self.latency_us;
        vec![
            Figure::new("ceiling: updates", self.per_second, Unit::PerSecond),
            Figure::new("ceiling: CPU per update, bulk", self.cpu_us[0], Unit::Micros),
            Figure::new("ceiling: CPU per update, paced", self.cpu_us[1], Unit::Micros),
            Figure::new("ceiling: one-way latency, p50", p50, Unit::Micros),
            Figure::new("ceiling: one-way latency, p99", p99, Unit::Micros),
            Figure::new("ceiling: one-way latency, max", max, Unit::Micros),
            Figure::new("ceiling: bytes per update, bulk", self.bytes[0], Unit::Bytes),
            Figure::new("ceiling: bytes per update, paced singly", self.bytes[1], Unit::Bytes),
            Figure::new("ceiling: bytes of a handshake", self.handshake_bytes, Unit::Bytes),
        ]
    }
}

/// One run over a bare channel.
struct Carried {
    per_second: f64,
    cpu_us: f64,
    latency_us: [f64; 3],
}

impl Carried {
    async fn measure(load: Load) -> Result<Self, Failure> {
        let (mut sender, mut receiver) = (Worker::start()?, Worker::start()?);
        let address = sender.ask(Order::BareAccept).await?;
        receiver.ask::<()>(Order::BareDial { address }).await?;
        receiver.ask::<()>(Order::Listen { updates: load.updates }).await?;
        sender.ask::<()>(Order::Prepare(load)).await?;
        let before = [sender.look().await?, receiver.look().await?];
        let (sent, heard): (Sent, Heard) =
            tokio::try_join!(sender.ask(Order::Send), receiver.ask(Order::Heard))?;
        let after = [sender.look().await?, receiver.look().await?];
        let cpu: Duration =
            after.iter().zip(&before).map(|(after, before)| after.usage.cpu_since(&before.usage)).sum();
        let updates = f64::from(load.updates);
        Ok(Self {
            per_second: updates * 1e9 / (heard.last_ns - sent.begun_ns) as f64,
            cpu_us: cpu.as_secs_f64() * 1e6 / updates,
            latency_us: [heard.p50_ns, heard.p99_ns, heard.max_ns].map(|ns| ns as f64 / 1e3),
        })
    }
}

/// Returns how long the handshake of a bare channel takes over a road of this length.
pub(super) async fn handshake_time(delay: Duration) -> Result<Duration, Failure> {
    let mut host = Worker::start()?;
    let road = Road::to(host.ask(Order::BareAccept).await?, delay).await?;
    let mut guest = Worker::start()?;
    guest.look().await?; // it runs
    tokio::time::sleep(super::SETTLE).await; // and has drawn its first randomness
    let begun = tokio::time::Instant::now();
    guest.ask::<()>(Order::BareDial { address: road.address() }).await?;
    Ok(begun.elapsed())
}

/// Returns the bytes per update, and those before the first.
async fn bytes(load: Load) -> Result<(f64, f64), Failure> {
    let mut host = Worker::start()?;
    let road = Road::to(host.ask(Order::BareAccept).await?, Duration::ZERO).await?;
    let mut guest = Worker::start()?;
    guest.ask::<()>(Order::BareDial { address: road.address() }).await?;
    guest.ask::<()>(Order::Listen { updates: load.updates }).await?;
    host.ask::<()>(Order::Prepare(load)).await?;
    tokio::time::sleep(super::SETTLE).await;
    let before = road.bytes();
    let (_, _): (Sent, Heard) = tokio::try_join!(host.ask(Order::Send), guest.ask(Order::Heard))?;
    Ok(((road.bytes() - before) as f64 / f64::from(load.updates), before as f64))
}

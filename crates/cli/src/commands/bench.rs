//! `bench`: the project's own measurements, over real processes on this machine.
//!
//! Workers are this very program, each with a home of its own in a directory that is deleted at
//! the end; they meet on loopback. Everything that depends on the machine is measured beside a
//! ceiling taken in the same run: the same updates over the same channel, and nothing else done.
//!
//! | file | measures |
//! |---|---|
//! | `ceiling` | the channel alone |
//! | `live` | latency, throughput, CPU per update |
//! | `bytes` | bytes per update, counted on a road between the homes |
//! | `sync` | the first sync, reconnects and their round trips |
//! | `rest` | start, memory, idle CPU |
//! | `street` | one home and many others |
//! | `in_memory` | an update in the core |

mod bare;
mod bytes;
mod ceiling;
mod crew;
mod dwelling;
mod figures;
mod in_memory;
mod live;
mod machine;
mod orders;
mod rest;
mod road;
mod sample;
mod street;
mod sync;
mod usage;
mod worker;

use std::time::Duration;

use serde::Serialize;

use self::{ceiling::Ceiling, figures::Figure, machine::Machine, orders::Load};
use crate::{args, failure::Failure, output::Screen};

/// Time in which acknowledgements and heartbeats of what has just happened pass.
const SETTLE: Duration = Duration::from_millis(300);

/// Measures this machine, or works for a process that does.
pub(super) async fn run(args: &args::Bench, screen: &Screen) -> Result<(), Failure> {
    if args.worker {
        return worker::run().await;
    }
    let plan = if args.quick { Plan::quick() } else { Plan::full() };
    let report = measure(&plan, args.quick, screen).await?;
    screen.show(&report, |report| report.text(screen))?;
    match report.lost {
        0 => Ok(()),
        lost => Err(Failure::Bench(format!("{lost} entities did not show their newest value"))),
    }
}

/// How much is measured.
#[derive(Debug)]
struct Plan {
    entities: u32,
    updates: u32,
    /// Updates a second when paced, and for how long.
    rate: u32,
    paced_s: u32,
    /// Sizes of the first sync, each with the changes to reconnect with.
    syncs: &'static [(u32, &'static [u32])],
    rests: &'static [u32],
    idle: Duration,
    homes: u32,
}

impl Plan {
    /// From here on the targets for 100,000 entities hold.
    const LARGE: u32 = 100_000;

    fn full() -> Self {
        Self {
            entities: 10_000,
            updates: 200_000,
            rate: 1_000,
            paced_s: 10,
            syncs: &[(10_000, &[0, 100, 1_000]), (Self::LARGE, &[1_000])],
            rests: &[10_000, Self::LARGE],
            idle: Duration::from_secs(30),
            homes: 20,
        }
    }

    fn quick() -> Self {
        Self {
            entities: 1_000,
            updates: 20_000,
            rate: 1_000,
            paced_s: 1,
            syncs: &[(1_000, &[0, 100])],
            rests: &[1_000],
            idle: Duration::from_secs(1),
            homes: 3,
        }
    }

    /// Returns the paced updates, from a round on.
    fn paced(&self, round: u32) -> Load {
        Load::paced(self.entities, self.rate * self.paced_s, round, self.rate)
    }
}

/// What one part has measured.
#[derive(Debug, Default)]
struct Measured {
    figures: Vec<Figure>,
    /// Entities that did not show the newest value in the end.
    lost: u32,
}

impl Measured {
    fn absorb(&mut self, other: Self) {
        self.figures.extend(other.figures);
        self.lost += other.lost;
    }
}

/// Everything that was measured.
#[derive(Debug, Serialize)]
struct Report {
    quick: bool,
    machine: Machine,
    figures: Vec<Figure>,
    lost: u32,
}

async fn measure(plan: &Plan, quick: bool, screen: &Screen) -> Result<Report, Failure> {
    let dir = tempfile::tempdir()?;
    let part = |name: &str| dir.path().join(name);
    screen.note("the ceiling: the channel alone");
    let ceiling = Ceiling::measure(plan).await?;
    let mut all = Measured { figures: ceiling.figures(), lost: 0 };
    screen.note("two homes at work");
    all.absorb(live::measure(&part("live"), plan, &ceiling).await?);
    all.absorb(bytes::measure(&part("bytes"), plan, &ceiling).await?);
    for (entities, changed) in plan.syncs {
        screen.note(&format!("first sync and reconnects, {entities} entities"));
        all.absorb(sync::measure(&part(&format!("sync-{entities}")), *entities, changed, &ceiling).await?);
    }
    all.absorb(sync::round_trips(&part("far")).await?);
    for entities in plan.rests {
        screen.note(&format!("start and rest, {entities} entities"));
        all.absorb(rest::measure(&part(&format!("rest-{entities}")), *entities, plan.idle).await?);
    }
    screen.note(&format!("one home and {} others", plan.homes));
    all.absorb(street::measure(&part("street"), plan).await?);
    all.absorb(in_memory::measure(plan)?);
    Ok(Report { quick, machine: Machine::here(), figures: all.figures, lost: all.lost })
}

impl Report {
    fn text(&self, screen: &Screen) -> String {
        let rows: Vec<_> = self.figures.iter().map(Figure::row).collect();
        let table = screen.table(&["WHAT", "MEASURED", "OF CEILING", "TARGET", "MET"], &rows);
        format!("{}\n\n{table}\n\nlost: {}", self.machine, self.lost)
    }
}

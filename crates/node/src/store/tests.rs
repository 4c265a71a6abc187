//! The store on real files: what comes back, what is refused, what a bad disk and a kill leave.

mod committing;
mod copying;
mod crash;
mod disk;
mod golden;
mod opening;
mod round_trip;
mod scenes;

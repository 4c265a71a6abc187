//! Homes to test with: started, talked to, waited for, stopped.

mod api;
mod clock;
mod home;
mod leaks;
mod mount;
mod pairing;
mod ran;
mod rogue;
mod tap;

use std::{
    thread,
    time::{Duration, Instant},
};

pub(crate) use api::{Reply, ask};
pub(crate) use clock::{faketime, traces};
pub(crate) use home::{Home, Writer};
pub(crate) use mount::Mount;
pub(crate) use pairing::{other_code, pair, pair_through, show, type_code};
pub(crate) use ran::{Lines, Ran};
pub(crate) use rogue::Rogue;
pub(crate) use tap::Tap;

use crate::PATIENCE;

/// Waits until `look` returns something.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    within(PATIENCE, what, look)
}

/// Waits until `look` returns something, but not for ever.
#[track_caller]
pub(crate) fn within<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(start.elapsed() < limit, "waited {limit:?} in vain for {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Tells people who run the tests what was measured.
#[allow(clippy::print_stderr, reason = "a measurement has no other way to be seen")]
pub(crate) fn tell(text: &str) {
    eprintln!("{text}");
}

//! Homes to test with: started, talked to, waited for, stopped.

mod api;
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

/// Returns the environment that shifts a program's clock, or says that the library for it is missing.
///
/// The program `faketime` itself would stand between the test and the home's process.
pub(crate) fn faketime(shift: &str) -> Option<Vec<(String, String)>> {
    // it names a semaphore after its process, and fails where a process of that number has left one behind
    let shown = (0..5).find_map(|_| {
        let shown = std::process::Command::new("faketime").args(["-f", shift, "env"]).output();
        shown.ok().filter(|shown| shown.status.success())
    });
    let Some(shown) = shown else {
        crate::netns::skip("faketime is missing: apt-get install faketime");
        return None;
    };
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    let wanted = ["LD_PRELOAD", "FAKETIME"];
    let set = text.lines().filter_map(|line| line.split_once('=')).filter(|(name, _)| wanted.contains(name));
    let own = [("FAKETIME_DONT_FAKE_MONOTONIC", "1")];
    Some(set.chain(own).map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

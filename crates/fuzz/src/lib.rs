//! What outside bytes meet first: one function for each decoder, and one for a hostile peer.
//!
//! A target takes any bytes and returns; it panics where something that must always hold does not. The same functions
//! run in the fuzzer (`cargo xtask fuzz`) and, over the files of `fuzz/corpus/` and a fixed number of their mutations,
//! in the tests of this crate. An input that once crashed one becomes a file of its corpus.
//!
//! ```
//! let target = crosshome_fuzz::TARGETS.iter().find(|target| target.name == "message").unwrap();
//! (target.run)(b"anything");
//! ```

mod bytes;
mod frames;
mod mutations;
#[cfg(feature = "node")]
mod node;
mod pairing;
mod peer;
mod texts;

pub use mutations::Mutations;

/// Something that takes any bytes.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and that of its folder in `fuzz/corpus/`.
    pub name: &'static str,
    /// Takes the bytes.
    pub run: fn(&[u8]),
    /// How many mutations of its corpus the tests try.
    pub budget: usize,
}

const fn target(name: &'static str, run: fn(&[u8]), budget: usize) -> Target {
    Target { name, run, budget }
}

/// The targets of the core.
const CORE: [Target; 12] = [
    target("message", frames::message, 20_000),
    target("hello", frames::hello, 20_000),
    target("offer", frames::offer, 20_000),
    target("version", frames::version, 20_000),
    target("body", frames::body, 20_000),
    target("record", frames::record, 20_000),
    target("json", texts::json, 20_000),
    target("invitation", texts::invitation, 20_000),
    target("names", texts::names, 20_000),
    target("pairing", pairing::pairing, 400),
    target("session", peer::session, 4_000),
    target("peer", peer::peer, 4_000),
];

/// The targets of the running home.
#[cfg(feature = "node")]
const NODE: [Target; 5] = [
    target("announcement", node::announcement, 20_000),
    target("frames", node::frames, 20_000),
    target("upgrade", node::upgrade, 4_000),
    target("body_json", node::body_json, 20_000),
    target("config", node::config, 2_000),
];
#[cfg(not(feature = "node"))]
const NODE: [Target; 0] = [];

/// Every target.
pub const TARGETS: [Target; CORE.len() + NODE.len()] = {
    let mut all = [CORE[0]; CORE.len() + NODE.len()];
    let mut at = 0;
    while at < all.len() {
        all[at] = if at < CORE.len() { CORE[at] } else { NODE[at - CORE.len()] };
        at += 1;
    }
    all
};

/// Gives bytes to the target of this name.
///
/// # Panics
///
/// There is none of this name, or something does not hold that must.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.expect("a fuzz target names a function").run)(bytes);
}

//! Every small scenario to its fixpoint.

#![allow(
    clippy::print_stdout,
    reason = "the counts are worth reading: cargo test -p crosshome-model -- --nocapture"
)]

use crosshome_model::{explore, scenarios};

#[test]
fn every_order_of_events_in_small_worlds_keeps_the_promises() {
    for scenario in scenarios(false) {
        let found = explore(scenario, 2);
        println!(
            "{}: {} states, {} steps deep, {:.1} s",
            found.scenario,
            found.states,
            found.depth,
            found.time.as_secs_f32()
        );
        assert_eq!(found.complaint, None, "in {}", found.scenario);
    }
}

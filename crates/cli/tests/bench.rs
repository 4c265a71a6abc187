//! The measurements as scripts meet them: their shape, and that nothing is lost. How fast this
//! machine is proves nothing here.

use std::process::{Command, Stdio};

use serde_json::Value;

#[test]
fn quick_bench_measures_everything_and_loses_nothing() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crosshome"));
    command.args(["bench", "--quick", "--json"]).env_remove("RUST_LOG").stdin(Stdio::null());
    let output = command.output().expect("it starts");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    assert_eq!((&report["quick"], &report["lost"]), (&Value::Bool(true), &Value::from(0)));
    assert!(report["machine"]["cores"].as_u64() > Some(0));
    let figures = report["figures"].as_array().expect("a list");
    for part in [
        "ceiling: updates",
        "ceiling: CPU per update, paced",
        "one-way latency, p99",
        "updates, durable at both ends",
        "CPU per update, bulk",
        "bytes per update, paced singly",
        "first sync of 1000 entities, time",
        "reconnect, 0 of 1000 changed, bytes",
        "reconnect, round trips after the handshake",
        "start to ready, 1000 entities",
        "resident memory, 1000 entities",
        "idle CPU, 1000 entities",
        "one home to 3 homes, sender's CPU per delivery",
        "an update in the core, in memory",
    ] {
        let figure = figures.iter().find(|figure| figure["what"] == part);
        let figure = figure.unwrap_or_else(|| panic!("{part} is missing"));
        let value = figure["value"].as_f64().unwrap_or_else(|| panic!("{part} is no number"));
        assert!(value.is_finite() && value >= 0.0, "{part}: {value}");
        assert_eq!(figure["target"].is_string(), figure["met"].is_boolean(), "{part}");
    }
}

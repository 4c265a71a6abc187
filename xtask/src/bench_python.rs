//! `cargo xtask bench-python [-- --quick]`: the wheel as people get it, measured from Python beside a plain WebSocket.

use crate::{TaskError, command, passed_on, python::Environment};

pub(crate) fn run(words: &[String]) -> Result<(), TaskError> {
    let environment = Environment::provide()?;
    environment.install_wheel("release")?;
    let mut bench = environment.tool("python");
    Err(command::become_program(bench.arg("crates/python/bench").args(passed_on(words))).into())
}

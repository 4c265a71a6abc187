//! The machine on which was measured.

use std::{fmt, fs, thread};

use serde::Serialize;

/// What of a machine matters for its figures.
#[derive(Debug, Serialize)]
pub(super) struct Machine {
    cores: usize,
    processor: String,
    kernel: String,
    /// Whether the program was built for speed.
    optimized: bool,
}

impl Machine {
    /// Looks at this machine.
    pub(super) fn here() -> Self {
        let system = rustix::system::uname();
        let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
        Self {
            cores: thread::available_parallelism().map_or(1, Into::into),
            processor: processor().unwrap_or_else(|| text(system.machine())),
            kernel: format!("{} {}", text(system.sysname()), text(system.release())),
            optimized: !cfg!(debug_assertions),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let built = if self.optimized { "" } else { ", NOT built for speed" };
        write!(f, "{} cores, {}, {}{built}", self.cores, self.processor, self.kernel)
    }
}

/// Returns what the processor calls itself.
fn processor() -> Option<String> {
    let known = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = known.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

//! `run`: one home for real, until it is told to stop.

use std::io::{self, IsTerminal};

use crosshome_node::{
    bridge::simulated,
    config::{Config, LogConfig, LogFormat, Sources},
    home::Home,
};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::{EnvFilter, fmt};

use crate::{args, failure::Failure, output::Screen};

/// Runs this home until SIGTERM or Ctrl-C, then says goodbye and stores what is left.
pub(super) async fn run(args: args::Run, common: &args::Common, screen: &Screen) -> Result<(), Failure> {
    let loaded = Config::load(&Sources::of_process(args.config.clone(), common.overrides()))?;
    log_to_stderr(&loaded.config.log, common.color.wanted(&io::stderr()));
    loaded.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    if !loaded.config.enabled {
        screen.note("copilot.sharing.enabled is false: nothing to run");
        return Ok(());
    }
    keep_memory_private();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut home = Home::start(loaded.config)?;
    if let Some(seed) = args.simulate {
        tokio::spawn(simulated::live(home.node().clone(), simulated::House::new(seed)));
    }
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = home.ended() => {}
        () = end_of_input(), if args.until_eof => {}
    }
    home.stop().await;
    Ok(())
}

/// Waits for the end of standard input, on a thread that nobody waits for at exit.
async fn end_of_input() {
    let (over, end) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        let _ = over.send(());
    });
    let _ = end.await;
}

/// Logs for people on a terminal and as JSON to everything else, unless the configuration says which.
pub(super) fn log_to_stderr(log: &LogConfig, colour: bool) {
    let filter = EnvFilter::try_from_env("RUST_LOG").unwrap_or_else(|_| EnvFilter::new(log.level.as_str()));
    let builder = fmt().with_env_filter(filter).with_writer(io::stderr).with_target(false);
    let json = match log.format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !io::stderr().is_terminal(),
    };
    // A second home in one process logs to the same place.
    let _ = if json {
        builder.json().flatten_event(true).try_init()
    } else {
        builder.with_ansi(colour).try_init()
    };
}

/// Keeps keys out of core dumps and away from debuggers of other users (T37).
fn keep_memory_private() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

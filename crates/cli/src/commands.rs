//! One file per verb: each asks the home and shows the answer.

mod backup;
mod bench;
mod completions;
mod config;
mod conflicts;
mod demo;
mod discover;
mod doctor;
mod entity;
mod key;
mod man;
mod pair;
mod peers;
mod restore;
mod run;
mod share;
mod status;
mod strategy;
mod unpair;
mod unshare;
mod watch;

use crate::{
    args::{Cli, Verb},
    client::Client,
    failure::Failure,
    output::Screen,
};

/// Does what was typed.
pub(crate) async fn run(cli: Cli, screen: &Screen) -> Result<(), Failure> {
    let client = Client::new(&cli.common);
    match cli.verb {
        Verb::Status(status) => status::run(&status, &client?, screen).await,
        Verb::Discover(discover) => discover::run(&discover, &client?, screen).await,
        Verb::Pair(pair) => pair::run(&pair, &client?, screen).await,
        Verb::Unpair(home) => unpair::run(&home, &client?, screen).await,
        Verb::Peers(peers) => peers::run(&peers, &client?, screen).await,
        Verb::Share(share) => share::run(share, &client?, screen).await,
        Verb::Unshare(unshare) => unshare::run(unshare, &client?, screen).await,
        Verb::Entity(entity) => entity::run(entity, &client?, screen).await,
        Verb::Key(key) => key::run(&key, &client?, screen).await,
        Verb::Doctor => doctor::run(&client?, screen).await,
        Verb::Config(config) => config::run(config, &cli.common, screen),
        Verb::Completions(completions) => completions::run(&completions, screen),
        Verb::Man => man::run(screen),
        Verb::Run(run) => run::run(run, &cli.common, screen).await,
        Verb::Demo(demo) => demo::run(&demo, screen).await,
        Verb::Bench(bench) => bench::run(&bench, screen).await,
        Verb::Conflicts(conflicts) => conflicts::run(conflicts, &client?, screen).await,
        Verb::Strategy(strategy) => strategy::run(strategy, &client?, screen).await,
        Verb::Backup(backup) => backup::run(&backup, &client?, screen).await,
        Verb::Restore(restore) => restore::run(&restore, &cli.common, screen).await,
    }
}

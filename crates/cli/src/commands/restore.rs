//! `restore`: a stopped home, back from a file.

use std::{fs::File, path::PathBuf};

use crosshome_node::{
    backup::{Done, Opened, Staged},
    config::{Config, Sources},
    views::{HomeView, Stamp},
};
use serde::Serialize;

use crate::{args, failure::Failure, output::Screen, passphrase, text::plain};

/// What was restored.
#[derive(Debug, Serialize)]
struct Restored {
    ok: bool,
    home: HomeView,
    /// When the backup had been made.
    backup_at: Stamp,
    data_dir: PathBuf,
    /// Where the home from before is.
    kept: Option<PathBuf>,
}

/// Checks the backup, asks, and puts the home in place of the one that is there.
pub(super) async fn run(args: &args::Restore, common: &args::Common, screen: &Screen) -> Result<(), Failure> {
    let config = Config::load(&Sources::of_process(args.config.clone(), common.overrides()))?.config;
    let unread = |source| Failure::File { path: args.file.clone(), source };
    let file = File::open(&args.file).map_err(unread)?;
    let passphrase = passphrase::known(args.passphrase_file.as_deref()).await?;
    let opened = Opened::new(file, &passphrase)?;
    let staged = opened.stage(&config.data_dir, &config.sync.encryption.key_path)?;
    if !args.yes && !screen.confirms(&question(&staged, &config)) {
        return Err(Failure::Declined("nothing was restored, because nobody said yes"));
    }
    let Done { about, kept } = staged.put_in_place()?;
    let done = Restored { ok: true, home: about.home, backup_at: about.at, data_dir: config.data_dir, kept };
    screen.show(&done, text)
}

fn question(staged: &Staged, config: &Config) -> String {
    let (about, dir) = (staged.about(), config.data_dir.display());
    let present = match staged.replaces() {
        true => format!("The home that is in {dir} will be kept in a folder there. "),
        false => String::new(),
    };
    format!("{present}Restore {} ({}) as it was at {} to {dir}?", about.home.name, about.home.id, about.at)
}

fn text(done: &Restored) -> String {
    let Restored { home, backup_at, data_dir, kept, .. } = done;
    let mut lines = vec![format!(
        "{} ({}) is in {} as it was at {backup_at}; start it with crosshome run",
        plain(&home.name),
        home.id,
        data_dir.display()
    )];
    lines.extend(kept.as_ref().map(|kept| format!("what was there before is in {}", kept.display())));
    lines.push(
        "what was unshared or unpaired since then is shared and paired again: look at crosshome peers list"
            .into(),
    );
    lines.push(
        "the home that the backup was made of must not run any more: peers shut out two homes with one key"
            .into(),
    );
    lines.join("\n")
}

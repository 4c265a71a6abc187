//! `config`: check a file, show what is in force and why, print the schema. Needs no running home.

use std::path::{Path, PathBuf};

use crosshome_node::config::{Config, Loaded, Shown, Sources};
use serde_json::{Map, Value, json};

use crate::{args, failure::Failure, output::Screen, text::plain};

/// Checks, shows or describes the configuration.
pub(super) fn run(args: args::Config, common: &args::Common, screen: &Screen) -> Result<(), Failure> {
    match args {
        args::Config::Check { file } => check(&file, screen),
        args::Config::Show { origin, config } => show(&load(config, common, screen)?, origin, screen),
        args::Config::Schema => screen.show(&Config::schema(), |schema| format!("{schema:#}")),
    }
}

fn check(file: &Path, screen: &Screen) -> Result<(), Failure> {
    let loaded = Config::load(&Sources::of_process(Some(file.to_owned()), Vec::new()))?;
    warn(&loaded, screen);
    let warnings: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
    let answer = json!({"ok": true, "file": file, "warnings": warnings});
    screen.show(&answer, |_| format!("{} is fine", plain(&file.display().to_string())))
}

fn load(file: Option<PathBuf>, common: &args::Common, screen: &Screen) -> Result<Loaded, Failure> {
    let loaded = Config::load(&Sources::of_process(file, common.overrides()))?;
    warn(&loaded, screen);
    Ok(loaded)
}

fn warn(loaded: &Loaded, screen: &Screen) {
    for warning in &loaded.warnings {
        screen.note(&format!("warning: {warning}"));
    }
}

/// As JSON one object by dotted key: the value, or with origins `{value, origin}`.
fn show(loaded: &Loaded, origin: bool, screen: &Screen) -> Result<(), Failure> {
    let shown = loaded.show();
    let json = |shown: &Shown| {
        let value = shown.value.clone();
        let told = if origin { json!({"value": value, "origin": shown.origin.to_string()}) } else { value };
        (shown.key.to_owned(), told)
    };
    let row = |shown: &Shown| {
        let mut row = vec![shown.key.to_owned(), shown.value.to_string()];
        row.extend(origin.then(|| shown.origin.to_string()));
        row
    };
    let all: Map<String, Value> = shown.iter().map(json).collect();
    let headings: &[&str] = if origin { &["KEY", "VALUE", "FROM"] } else { &["KEY", "VALUE"] };
    screen.show(&all, |_| screen.table(headings, &shown.iter().map(row).collect::<Vec<_>>()))
}

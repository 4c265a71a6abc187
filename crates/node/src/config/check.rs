//! What one value cannot know alone: worked-out defaults, paths, and values that must fit each other.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use crosshome_core::{defaults::MAX_RULES, policy::Strategy};

use super::{
    load::{Loading, Warning},
    names::HomeName,
    place::Place,
    problem::Problem,
};

/// Where a system service without `HOME` keeps its data.
const SERVICE_DATA: &str = "/var/lib/crosshome";

/// Works out the home's name and the paths that nobody gave, and makes the others start where they should.
pub(super) fn complete(loading: &mut Loading<'_>, host_name: &str) {
    if !loading.places.contains_key("home_name") {
        loading.config.home_name = HomeName::of_host(host_name);
    }
    let data_dir = located(loading, "data_dir", &loading.config.data_dir).unwrap_or_else(|| {
        base(loading.variables, "XDG_DATA_HOME", ".local/share")
            .map_or_else(|| PathBuf::from(SERVICE_DATA), |base| base.join("crosshome"))
    });
    let key_path = &loading.config.sync.encryption.key_path;
    let key_path = located(loading, "sync.encryption.key_path", key_path);
    loading.config.sync.encryption.key_path = key_path.unwrap_or_else(|| data_dir.join("sharing_key"));
    loading.config.data_dir = data_dir;
    loading.config.conflict_resolution.said = says_strategy(loading);
}

/// Tells whether anybody has said how conflicts are settled.
fn says_strategy(loading: &Loading<'_>) -> bool {
    loading.places.keys().any(|key| key.starts_with("conflict_resolution."))
}

/// Reports values that do not fit each other, and warns of what is allowed but unwise.
pub(super) fn cross(loading: &mut Loading<'_>) {
    encryption(loading);
    templates(loading);
    rules(loading);
    bridge(loading);
    let api = loading.config.api.bind;
    if !api.is_loopback() {
        loading.warnings.push(Warning::ApiOnNetwork(api));
    }
    not_yet(loading);
}

/// Returns the directory that an XDG variable names, which must be absolute, or its default below `HOME`.
pub(super) fn base(variables: &HashMap<String, String>, variable: &str, default: &str) -> Option<PathBuf> {
    let named = variables.get(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    named.or_else(|| home(variables).map(|home| home.join(default)))
}

fn home(variables: &HashMap<String, String>) -> Option<PathBuf> {
    variables.get("HOME").filter(|home| !home.is_empty()).map(PathBuf::from)
}

/// Returns a given path with `~/` spelled out and, from a file, relative to the main file's directory.
fn located(loading: &Loading<'_>, key: &str, path: &Path) -> Option<PathBuf> {
    let place = loading.places.get(key)?;
    if let (Ok(rest), Some(home)) = (path.strip_prefix("~"), home(loading.variables)) {
        return Some(home.join(rest));
    }
    let root = loading.reader.root().filter(|_| place.in_file());
    Some(root.map_or_else(|| path.to_owned(), |root| root.join(path)))
}

/// A home without encryption listens on loopback only (T7).
fn encryption(loading: &mut Loading<'_>) {
    let sync = &loading.config.sync;
    if sync.encryption.enabled {
        return;
    }
    if sync.enabled && !sync.bind.is_loopback() {
        let problem = Problem::PlainOnNetwork(sync.bind.to_string());
        report_at(loading, "sync.encryption.enabled", problem);
    }
    loading.warnings.push(Warning::Plain);
}

fn templates(loading: &mut Loading<'_>) {
    let section = &loading.config.conflict_resolution;
    let custom = section.strategy == Strategy::Custom;
    let any = custom || section.rules.iter().any(|rule| rule.strategy == Strategy::Custom);
    match section.template {
        Some(_) if !any => loading.warnings.push(Warning::TemplateUnused),
        Some(_) => {}
        // A template that stands there but is no good has been reported already.
        None if loading.places.contains_key("conflict_resolution.template") => {}
        None => {
            for place in std::mem::take(&mut loading.reader.wants_template) {
                loading.reader.report(&place, Problem::TemplateMissing);
            }
            if custom {
                report_at(loading, "conflict_resolution.strategy", Problem::TemplateMissing);
            }
        }
    }
}

/// What a policy holds is bounded, and the section's default is one of its rules.
fn rules(loading: &mut Loading<'_>) {
    if loading.config.conflict_resolution.rules.len() >= MAX_RULES {
        report_at(loading, "conflict_resolution.rules", Problem::TooMuch(MAX_RULES - 1));
    }
}

fn bridge(loading: &mut Loading<'_>) {
    let bridge = &loading.config.home_assistant;
    if bridge.token.is_some() && bridge.url.is_none() && !loading.places.contains_key("home_assistant.url") {
        report_at(loading, "home_assistant.token", Problem::TokenWithoutUrl);
    }
}

/// Warns of what a file may say already and this version does not do: nobody is to count on it.
fn not_yet(loading: &mut Loading<'_>) {
    if loading.config.home_assistant.url.is_some() {
        let instead = "there is no bridge to Home Assistant yet";
        loading.warnings.push(Warning::Ignored { key: "home_assistant", instead });
    }
}

/// Reports at the value of a key; defaults are never at fault alone, so the key has been given.
fn report_at(loading: &mut Loading<'_>, key: &str, problem: Problem) {
    let place: Option<Place> = loading.places.get(key).cloned();
    if let Some(place) = place {
        loading.reader.report(&place, problem);
    }
}

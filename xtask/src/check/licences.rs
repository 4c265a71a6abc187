//! Dependencies come from the public registry, under licences that deny.toml allows.
//!
//! The same rules as `cargo deny check`, for machines that lack it: both read deny.toml. A crate
//! that is there in several versions is named, but only a licence or a source is a finding.

use std::{collections::BTreeMap, path::Path};

use serde_json::Value;

use super::{Finding, spdx};
use crate::{TaskError, command, tree};

pub(super) fn check(root: &Path) -> Result<Vec<Finding>, TaskError> {
    let rules = Rules::read(&tree::text(&root.join("deny.toml"))?);
    let metadata = command::read(&mut command::cargo("metadata --quiet --format-version 1 --locked"))?;
    let metadata: Value = serde_json::from_str(&metadata).map_err(|_| TaskError::Output("cargo metadata"))?;
    let packages = metadata["packages"].as_array().ok_or(TaskError::Output("cargo metadata"))?;
    for (name, versions) in repeated(packages) {
        eprintln!("licences: note: {name} is there {} times: {}", versions.len(), versions.join(", "));
    }
    Ok(packages.iter().flat_map(|package| faults(package, &rules)).collect())
}

/// What deny.toml allows.
#[derive(Debug, Default, PartialEq, Eq)]
struct Rules {
    licences: Vec<String>,
    registries: Vec<String>,
}

impl Rules {
    /// Reads the two lists; deny.toml keeps each string of a list on a line of its own or all on one.
    fn read(text: &str) -> Self {
        Self { licences: list(text, "allow"), registries: list(text, "allow-registry") }
    }
}

/// Returns the strings of the list that a key of a TOML file holds.
fn list(text: &str, key: &str) -> Vec<String> {
    let plain: Vec<_> = text.lines().map(|line| line.split(" #").next().unwrap_or_default()).collect();
    let is_start = |line: &&&str| line.split('=').next().is_some_and(|name| name.trim() == key);
    let Some(start) = plain.iter().find(is_start) else { return Vec::new() };
    let after = plain.iter().skip_while(|line| line != &start).copied().collect::<Vec<_>>().join("\n");
    let inside = after.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    inside
        .map_or(Vec::new(), |(strings, _)| strings.split('"').skip(1).step_by(2).map(str::to_owned).collect())
}

fn faults(package: &Value, rules: &Rules) -> Vec<Finding> {
    let text = |key: &str| package[key].as_str().unwrap_or_default();
    let place = format!("{} {}", text("name"), text("version"));
    let licence = text("license");
    let allows = |name: &str| rules.licences.iter().any(|known| known == name);
    let local = package["source"].is_null();
    let source = text("source").trim_start_matches("registry+");
    let mut faults = Vec::new();
    if !local && !rules.registries.iter().any(|known| known == source) {
        faults.push(Finding::new(&*place, format!("comes from {source}, which deny.toml does not allow")));
    }
    if !spdx::is_met(licence, &allows) {
        faults.push(Finding::new(place, format!("licence {licence:?} is not one that deny.toml allows")));
    }
    faults
}

/// Returns the crates that are there in more than one version.
fn repeated(packages: &[Value]) -> BTreeMap<&str, Vec<&str>> {
    let mut versions = BTreeMap::<&str, Vec<&str>>::new();
    for package in packages {
        if let (Some(name), Some(version)) = (package["name"].as_str(), package["version"].as_str()) {
            versions.entry(name).or_default().push(version);
        }
    }
    versions.retain(|_, versions| versions.len() > 1);
    versions
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rules() -> Rules {
        Rules::read(
            "[licenses]\nallow = [\n    \"MIT\", # ours\n    \"ISC\",\n]\n[sources]\nallow-registry = [\"https://example.org/index\"]\n",
        )
    }

    fn found(package: Value) -> Vec<String> {
        faults(&package, &rules()).into_iter().map(|finding| finding.text).collect()
    }

    #[test]
    fn both_lists_are_read() {
        let expected = Rules {
            licences: vec!["MIT".into(), "ISC".into()],
            registries: vec!["https://example.org/index".into()],
        };
        assert_eq!(rules(), expected);
    }

    #[test]
    fn crate_under_another_licence_or_from_elsewhere_is_found() {
        let registry = "registry+https://example.org/index";
        assert_eq!(found(json!({"name": "a", "license": "MIT", "source": registry})), [""; 0]);
        assert_eq!(found(json!({"name": "a", "license": "GPL-3.0", "source": registry})).len(), 1);
        assert_eq!(found(json!({"name": "a", "license": null, "source": registry})).len(), 1);
        assert_eq!(
            found(json!({"name": "a", "license": "MIT", "source": "git+https://example.org/a"})).len(),
            1
        );
    }

    #[test]
    fn crate_of_the_workspace_has_no_source_and_still_a_licence() {
        assert_eq!(found(json!({"name": "a", "license": "MIT OR Apache-2.0", "source": null})), [""; 0]);
        assert_eq!(found(json!({"name": "a", "license": "", "source": null})).len(), 1);
    }

    #[test]
    fn crate_in_two_versions_is_named() {
        let packages = [("a", "1"), ("b", "1"), ("a", "2")];
        let packages = packages.map(|(name, version)| json!({"name": name, "version": version}));
        assert_eq!(repeated(&packages), [("a", vec!["1", "2"])].into());
    }
}

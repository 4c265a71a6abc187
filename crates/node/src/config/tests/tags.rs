//! Home Assistant's tags, inside our block and around it.

use std::os::unix::fs::symlink;

use insta::assert_snapshot;

use super::Folder;
use crate::config::Origin;

/// A configuration as people have it: every tag, anchors, templates, blueprints' `!input`, duplicate keys.
const HOUSE: &str = r#"
default_config:
homeassistant:
  name: Home
  packages: !include_dir_named packages
  auth_providers: &auth
    - type: homeassistant
  allowlist_external_dirs: [/media]
http: {api_password: !secret http_password, server_port: !env_var PORT 8123}
automation: !include automations.yaml
automation manual: !include_dir_merge_list automations/
scene: !include_dir_list scenes
group: !include_dir_merge_named groups
template:
  - sensor:
      - name: "Sun {{ now() }}"
        state: >-
          {% if is_state('sun.sun', 'above_horizon') %}
            {{ state_attr('sun.sun', 'elevation') | round(1) }}
          {% endif %}
script:
  one: &one
    sequence:
      - service: light.turn_on
        target: {entity_id: !input lights}
        data: {brightness: 0x10, at: 12:30:00, ratio: .5, when: 2020-01-01}
  two:
    <<: *one
    mode: single
  two:
    alias: twice
light:
  - platform: template
    !!str odd: ~
    ? [complex, key]
    : value
    unknown: !something/else {a: !custom}
api:
"#;

#[test]
fn house_around_the_block_is_none_of_our_business() {
    let text = format!("{HOUSE}copilot:\n  other: !secret nothing\n  sharing:\n    home_name: Villa\n");
    let loaded = Folder::home_assistant(text).load();
    assert_eq!((loaded.config.home_name.as_str(), loaded.warnings.len()), ("Villa", 0));
}

#[test]
fn block_may_be_included_whole() {
    let folder = Folder::home_assistant("copilot:\n  sharing: !include sharing.yaml\n")
        .and("sharing.yaml", "sync:\n  port: 1\n");
    let loaded = folder.load();
    assert_eq!(loaded.config.sync.port, 1);
    assert_eq!(loaded.origin("sync.port"), Origin::File { path: folder.path("sharing.yaml"), line: 2 });
}

#[test]
fn includes_nest_and_are_relative_to_the_file_that_names_them() {
    let config = Folder::home_assistant("copilot: !include parts/copilot.yaml\n")
        .and("parts/copilot.yaml", "sharing:\n  sync: !include sync.yaml\n  share: !include ../share.yaml\n")
        .and("parts/sync.yaml", "port: !env_var PORT 77\n")
        .and("share.yaml", "- {match: 'light.*', with: [holiday], grant: control}\n")
        .config();
    assert_eq!((config.sync.port, config.share.len()), (77, 1));
}

#[test]
fn empty_include_is_an_empty_block() {
    let config = Folder::home_assistant("copilot:\n  sharing: !include x.yaml\n")
        .and("x.yaml", "# nothing\n")
        .config();
    assert_eq!(config.sync.port, 8765);
}

#[test]
fn secret_is_looked_for_beside_the_file_and_then_above() {
    let config = Folder::home_assistant("copilot:\n  sharing: !include a/b/sharing.yaml\n")
        .and(
            "a/b/sharing.yaml",
            "home_name: !secret name\nsync: {port: !secret port, encryption: {shared_key: !secret key}}\n",
        )
        .and("a/b/secrets.yaml", "name: Replaced\nname: Near\n")
        .and("a/secrets.yaml", "name: Far\nport: 17\n")
        .and("secrets.yaml", "port: 18\nkey: 1234567890\n")
        .config();
    assert_eq!((config.home_name.as_str(), config.sync.port), ("Near", 17));
    assert_eq!(config.sync.encryption.shared_key.as_ref().map(|key| key.expose()), Some("1234567890"));
}

#[test]
fn variable_in_the_file_may_have_a_default_of_several_words() {
    let folder = Folder::bare("home_name: !env_var HOUSE Villa am See\nsync:\n  port: !env_var PORT\n")
        .variable("PORT", "99");
    let config = folder.config();
    assert_eq!((config.home_name.as_str(), config.sync.port), ("Villa am See", 99));
}

#[test]
fn anchors_and_merges_work_as_in_home_assistant() {
    let text =
        "common: &common {port: 1, bind: 127.0.0.1}\nsharing:\n  sync:\n    <<: *common\n    port: 2\n";
    let sync = Folder::bare(text).config().sync;
    assert_eq!((sync.port, sync.bind.to_string().as_str()), (2, "127.0.0.1"));
}

#[test]
fn mistakes_in_tags_are_told() {
    let folder = Folder::home_assistant(
        "copilot:
  sharing:
    home_name: !env_var HOUSE
    data_dir: !secrets dir
    discovery: !include_dir_merge_named discovery
    sync:
      encryption:
        shared_key: !secret sharing_kye
    share: !include share.yaml
    log: !include sub/log.yaml
",
    )
    .and("secrets.yaml", "sharing_key: abcdefghijk\n")
    .and("sub/log.yaml", "level: !secret level\nformat: jsn\n");
    assert_snapshot!(folder.rendered());
}

#[test]
fn missing_secrets_file_is_told() {
    assert_snapshot!(Folder::bare("sync: {encryption: {shared_key: !secret key}}\n").rendered());
}

#[test]
fn bad_secrets_file_is_told_without_showing_it() {
    let folder = Folder::bare("sync: {encryption: {shared_key: !secret key}}\n")
        .and("secrets.yaml", "key: \"hunter2hunter2\nother: x\n");
    let text = folder.rendered();
    assert!(!text.contains("hunter2"), "{text}");
    assert_snapshot!(text);
}

#[test]
fn include_never_leaves_the_directory() {
    let outside = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(outside.path().join("x.yaml"), "level: debug\n").expect("a file");
    let text = format!(
        "log: !include {}\nsync: !include link.yaml\napi: !include ../../../../../../etc/hostname\n",
        outside.path().join("x.yaml").display()
    );
    let folder = Folder::bare(text);
    symlink(outside.path().join("x.yaml"), folder.path("link.yaml")).expect("a link");
    assert_eq!(folder.codes()[..2], ["outside", "outside"]);
    assert!(folder.codes().iter().all(|code| ["outside", "unreadable"].contains(code)));
}

#[test]
fn include_by_absolute_path_or_link_inside_the_directory_is_fine() {
    let folder = Folder::bare("").and("x.yaml", "level: debug\n");
    symlink(folder.path("x.yaml"), folder.path("link.yaml")).expect("a link");
    let folder = folder.and("config.yaml", "log: !include link.yaml\n");
    assert_eq!(folder.config().log.level.as_str(), "debug");
    let text = format!("log: !include {}\n", folder.path("x.yaml").display());
    assert_eq!(folder.and("config.yaml", text).config().log.level.as_str(), "debug");
}

#[test]
fn include_of_itself_ends() {
    let folder = Folder::bare("sync: !include loop.yaml\n").and("loop.yaml", "!include loop.yaml\n");
    assert_eq!(folder.codes(), ["include_depth"]);
    let folder = Folder::bare("sync: {encryption: !secret a}\n").and("secrets.yaml", "a: !secret a\n");
    assert_eq!(folder.codes(), ["include_depth"]);
}

#[test]
fn secrets_above_the_main_files_directory_or_linked_from_outside_are_not_read() {
    let text = "sync: {encryption: {shared_key: !secret key}}\n";
    let folder = Folder::with("sub/config.yaml", text).and("secrets.yaml", "key: correct horse\n");
    assert_eq!(folder.codes(), ["no_secrets_file"]);
    symlink(folder.path("secrets.yaml"), folder.path("sub/secrets.yaml")).expect("a link");
    assert_eq!(folder.codes(), ["outside"]);
}

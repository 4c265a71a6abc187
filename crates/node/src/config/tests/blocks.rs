//! Whole blocks: what users already have, what the documents show, and the three ways to nest.

use std::path::Path;

use crosshome_core::{grant::Right, policy::Strategy};

use super::Folder;
use crate::config::{Origin, Warning};

/// The eight keys of the original block.
const ORIGINAL: &str = "\
copilot:
  sharing:
    enabled: true
    discovery:
      enabled: true
      port: 5353
    sync:
      enabled: true
      port: 8765
      encryption:
        enabled: true
        key_path: /config/.copilot/sharing_key
    conflict_resolution:
      strategy: latest-wins
";

/// The block of the interface page, word for word.
const FULL: &str = r#"copilot:
  sharing:
    enabled: true
    home_name: Villa                # default: host name
    data_dir: /config/.copilot      # default: $XDG_DATA_HOME/crosshome
    discovery:
      enabled: true
      port: 5353
      interfaces: []                # default: all that are up and multicast-capable
    sync:
      enabled: true
      port: 8765
      bind: "::"                    # dual stack; falls back to 0.0.0.0
      peers: []                     # manual addresses, remembered for ever: [holiday.example:8765]
      encryption:
        enabled: true
        key_path: /config/.copilot/sharing_key   # this home's identity key, made at first start, mode 0600
        shared_key: !secret sharing_key          # optional: homes with the same secret trust each other unattended
    conflict_resolution:
      strategy: latest-wins         # latest-wins | merge | user-choice | custom
      rules:                        # first match wins; explicit entity before glob
        - match: "climate.*"
          strategy: user-choice
        - match: "input_number.*"
          strategy: custom
          template: "{{ [local.state | float, remote.state | float] | max }}"   # Jinja; gives a state, or JSON {state, attributes}
    share: []                       # standing rules: {match: "light.*", with: [holiday], grant: read | control | edit}
    home_assistant:                 # optional bridge
      url: ws://homeassistant.local:8123/api/websocket
      token: !secret ha_token       # on Home Assistant OS the Supervisor's token is used without being typed
    api:
      bind: 127.0.0.1
      port: 8766
"#;

const SECRETS: &str = "sharing_key: correct horse battery\nha_token: eyJhbGciOi.long.token\n";

#[test]
fn original_block_works_unchanged() {
    let loaded = Folder::home_assistant(ORIGINAL).load();
    assert_eq!(loaded.warnings, []);
    let config = loaded.config;
    assert!(
        config.enabled && config.discovery.enabled && config.sync.enabled && config.sync.encryption.enabled
    );
    assert_eq!((config.discovery.port.get(), config.sync.port), (5353, 8765));
    assert_eq!(config.sync.encryption.key_path, Path::new("/config/.copilot/sharing_key"));
    assert_eq!(config.conflict_resolution.strategy, Strategy::LatestWins);
}

#[test]
fn full_block_of_the_documents_is_read_whole() {
    let folder = Folder::home_assistant(FULL).and("secrets.yaml", SECRETS);
    let loaded = folder.load();
    let config = &loaded.config;
    assert_eq!(config.home_name.as_str(), "Villa");
    assert_eq!(config.data_dir, Path::new("/config/.copilot"));
    assert_eq!(config.sync.bind.to_string(), "::");
    let shared_key = config.sync.encryption.shared_key.as_ref().expect("from secrets.yaml");
    assert_eq!(shared_key.expose(), "correct horse battery");
    assert_eq!(config.home_assistant.token.as_ref().map(|t| t.expose()), Some("eyJhbGciOi.long.token"));
    assert_eq!((config.api.bind.to_string().as_str(), config.api.port), ("127.0.0.1", 8766));
    let rules: Vec<_> = config.conflict_resolution.rules().collect();
    assert_eq!((rules[0].pattern.as_str(), rules[0].strategy), ("climate.*", Strategy::UserChoice));
    assert!(rules[1].template.as_deref().is_some_and(|template| template.contains("max")));
    assert_eq!(config.conflict_resolution.default_rule().strategy, Strategy::LatestWins);
    let warned: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warned,
        ["`home_assistant` does nothing in this version: there is no bridge to Home Assistant yet",]
    );
    let here = folder.path("configuration.yaml");
    assert_eq!(loaded.origin("sync.encryption.shared_key"), Origin::File { path: here, line: 18 });
    assert_eq!(loaded.origin("log.level"), Origin::Default);
}

#[test]
fn no_secret_is_in_what_is_shown() {
    let loaded = Folder::home_assistant(FULL).and("secrets.yaml", SECRETS).load();
    let shown = format!("{loaded:?}\n{:?}", loaded.show());
    assert!(shown.contains("(set)") && shown.contains("SecretKey(..)"));
    assert!(!shown.contains("horse") && !shown.contains("eyJ"), "{shown}");
}

#[test]
fn all_defaults_are_those_of_the_documents() {
    let folder = Folder::bare("").variable("HOME", "/home/me");
    let shown: Vec<String> =
        folder.load().show().iter().map(|s| format!("{} = {} ({})", s.key, s.value, s.origin)).collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn three_ways_to_nest_mean_the_same() {
    let bare = Folder::bare("sync:\n  port: 9000\n").config();
    let sharing = Folder::bare("sharing:\n  sync:\n    port: 9000\n").config();
    let copilot = Folder::bare("copilot:\n  sharing:\n    sync:\n      port: 9000\n").config();
    assert_eq!(bare.sync.port, 9000);
    assert!(bare.sync == sharing.sync && sharing.sync == copilot.sync);
}

#[test]
fn bare_keys_in_home_assistants_file_are_its_own() {
    let folder = Folder::home_assistant("api:\n  port: nonsense\nsync: 5\n");
    let loaded = folder.load();
    assert_eq!(loaded.config.api.port, 8766);
    assert_eq!(
        loaded.warnings,
        [Warning::NoBlock { file: folder.path("configuration.yaml"), nearest: None }]
    );
}

#[test]
fn block_under_a_mistyped_name_is_warned_about() {
    let folder = Folder::home_assistant("co-pilot:\n  sharing:\n    enabled: false\n");
    let warnings = folder.load().warnings;
    assert!(
        warnings[0].to_string().ends_with("so defaults apply; did you mean `copilot`?"),
        "{}",
        warnings[0]
    );
}

#[test]
fn last_of_several_blocks_counts_with_a_warning() {
    let block = |name| format!("copilot:\n  sharing: {{home_name: {name}}}\n");
    let text = ["One", "Three", "Two"].map(block).concat();
    let loaded = Folder::home_assistant(text).load();
    assert_eq!(loaded.config.home_name.as_str(), "Two");
    assert_eq!(loaded.warnings, [Warning::TwoBlocks { key: "copilot", first: 1, last: 5 }]);
}

#[test]
fn truth_is_written_as_home_assistant_takes_it() {
    for (word, truth) in [
        ("yes", true),
        ("On", true),
        ("\"enable\"", true),
        ("1", true),
        ("no", false),
        ("OFF", false),
        ("'0'", false),
    ] {
        assert_eq!(Folder::bare(format!("enabled: {word}\n")).config().enabled, truth, "{word}");
    }
}

#[test]
fn single_value_stands_for_a_list_of_one() {
    let config =
        Folder::bare("sync:\n  peers: holiday.example\nshare:\n  match: light.*\n  with: holiday\n").config();
    assert_eq!(config.sync.peers[0].to_string(), "holiday.example:8765");
    assert_eq!((config.share[0].with[0].as_str(), config.share[0].grant), ("holiday", Right::Read));
}

#[test]
fn empty_sections_and_unset_keys_mean_their_defaults() {
    let config = Folder::bare("discovery:\nsync:\n  peers:\n  encryption:\n    shared_key:\n").config();
    assert_eq!((config.discovery.port.get(), config.sync.peers.len()), (5353, 0));
    assert_eq!(config.sync.encryption.shared_key, None);
}

#[test]
fn rule_without_a_template_has_the_section_s_and_only_where_it_is_custom() {
    let text = "conflict_resolution:
  strategy: merge
  template: '{{ local.state }}'
  rules:
    - {match: 'light.*', strategy: user-choice}
    - {match: light.hall, strategy: custom}
";
    let conflicts = Folder::bare(text).config().conflict_resolution;
    let templates: Vec<_> = conflicts.rules().map(|rule| rule.template).collect();
    assert_eq!(templates, [None, Some("{{ local.state }}".into())]);
    assert_eq!(conflicts.default_rule().template, None);
}

#[test]
fn section_that_nobody_has_touched_says_nothing() {
    let said = |text: &str| Folder::bare(text).config().conflict_resolution.said;
    assert!(!said("conflict_resolution:\n"));
    assert!(said("conflict_resolution: {strategy: latest-wins}\n"));
}

#[test]
fn byte_order_mark_and_windows_line_ends_do_no_harm() {
    let config = Folder::bare("\u{feff}home_name: Villa\r\nsync:\r\n  port: 1\r\n").config();
    assert_eq!((config.home_name.as_str(), config.sync.port), ("Villa", 1));
    let errors = Folder::bare("\u{feff}port: 1\r\n").errors();
    let error = errors.iter().next().expect("one");
    assert_eq!(error.position(), (1, 1));
    assert!(error.render(false).contains("1 | port: 1\n"), "{error:?}");
}

//! Every kind of mistake, as people and programs read it.

use insta::assert_snapshot;

use super::Folder;

#[test]
fn all_mistakes_are_told_at_once_with_place_and_hint() {
    let text = "\
# a comment
copilot:
  sharing:
    enabled: yesplease
    home_nam: Villa
    discovery:
      port: 70000
    sync:
      prot: 8765
      bind: everywhere
      peers: [holiday.example:http, 'ok.example:1', {host: x}]
      max_updates_per_s: 0
    conflict_resolution:
      strategy: lastest-wins
      rules:
        - match: Climate.*
          strategy: merge
        - strategy: user_choice
    share:
      - light.*
      - {match: light.hall, with: [], grant: write}
      - {match: light.*, with: [' ']}
    port: 5
    favourite_colour: green
    home_assistant: http://homeassistant.local:8123
    api: [1]
";
    assert_snapshot!(Folder::home_assistant(text).rendered());
}

#[test]
fn mistakes_are_a_list_for_programs() {
    let folder = Folder::bare("sync:\n  prot: 1\n").variable("CROSSHOME__API__PORT", "x");
    let json = serde_json::to_string_pretty(&folder.errors().to_json()).expect("JSON");
    assert_snapshot!(json.replace(&folder.dir.path().display().to_string(), "/config"));
}

#[test]
fn wrong_types_are_told() {
    assert_snapshot!(Folder::bare("sync:\n  port: \"abc\"\n  bind:\nhome_name: [a]\n").rendered());
}

#[test]
fn colour_is_only_around_the_text() {
    let errors = Folder::bare("enabled: perhaps\n").errors();
    let (plain, colour) = (errors.render(false), errors.render(true));
    let stripped = ["\x1b[1;31m", "\x1b[1;34m", "\x1b[0m"]
        .iter()
        .fold(colour.clone(), |text, code| text.replace(code, ""));
    assert_ne!(colour, plain);
    assert_eq!(stripped, plain);
}

#[test]
fn tab_is_named() {
    assert_snapshot!(Folder::bare("sync:\n\tport: 8765\n").rendered());
}

#[test]
fn bad_yaml_is_one_mistake_with_its_position() {
    assert_snapshot!(
        Folder::home_assistant("light:\n  - platform: demo\n   name: x\ncopilot: {}\n").rendered()
    );
}

#[test]
fn quote_that_never_ends_does_not_show_the_secret_behind_it() {
    let text = Folder::bare("sync:\n  encryption:\n    shared_key: \"hunter2hunter2\n").rendered();
    assert!(!text.contains("hunter2"), "{text}");
    assert_snapshot!(text);
}

#[test]
fn short_secret_is_refused_without_being_shown() {
    let text = Folder::bare("sync: {encryption: {shared_key: hunter2}}\nhome_assistant:\n  token: abc\n")
        .variable("CROSSHOME__SYNC__ENCRYPTION__SHARED_KEY", "zebra")
        .rendered();
    assert!(!text.contains("hunter2") && !text.contains("abc") && !text.contains("zebra"), "{text}");
    assert_snapshot!(text);
}

#[test]
fn no_way_to_write_a_bad_secret_shows_it() {
    for text in [
        "sync:\n  encryption:\n    shared_key:\n      zebra\n",
        "sync:\n  encryption:\n    shared_key: |-\n      zebra\n",
        "sync:\n  encryption:\n    shared_key: >\n      zebra\n",
        "sync: {encryption: {\"shared_key\": 'zebra'}}\n",
        "sync: {encryption: {shared_key:\n zebra}}\n",
        "x: &k zebra\nsharing: {sync: {encryption: {shared_key: *k}}}\n",
        "sync:\n  encryption:\n    shared_key:\n      'zebra!'\n",
        "sync:\n  encryption:\n    shared_key: !!str zebra\n",
        "sync: {encryption: {shared_key: !env_var KEY zebra}}\n",
        "sync: {encryption: {shared_key: [zebra]}}\n",
        "sync: {encryption: {shared_key: !secret key}}\n",
        "sync: {port: !secret key}\n",
        "log: !secret key\n",
    ] {
        let folder = Folder::bare(text).and("secrets.yaml", "key: zebra\n").flag(
            "--set",
            "home_assistant.token",
            "zebra",
        );
        let errors = folder.errors();
        let told = format!("{}{}{errors:?}{:?}", errors.render(true), errors.to_json(), folder.sources);
        assert!(!told.contains("zebra"), "{told}");
    }
}

#[test]
fn text_that_is_not_utf8_is_found_where_it_stands() {
    assert_snapshot!(Folder::bare(b"home_name: Villa\nlog:\n  level: \xff\xfe\n").rendered());
}

#[test]
fn duplicate_in_our_block_is_a_mistake() {
    assert_snapshot!(Folder::bare("sync:\n  port: 1\n  bind: 127.0.0.1\n  port: 2\n").rendered());
}

#[test]
fn second_document_is_refused() {
    assert_snapshot!(Folder::bare("enabled: true\n---\nenabled: false\n").rendered());
}

#[test]
fn file_that_is_not_there_is_told_by_its_name() {
    let mut folder = Folder::bare("");
    folder.main = "missing.yaml";
    assert_snapshot!(folder.rendered());
}

#[test]
fn directory_is_no_file() {
    let mut folder = Folder::bare("").and("sub/x", "");
    folder.main = "sub";
    assert_snapshot!(folder.rendered());
}

#[test]
fn list_where_the_block_should_be_is_told() {
    assert_snapshot!(Folder::bare("- enabled\n").rendered());
    assert_eq!(Folder::home_assistant("copilot: 5\n").codes(), ["wrong_value"]);
    assert_eq!(Folder::home_assistant("copilot: {sharing: [1]}\n").codes(), ["wrong_value"]);
}

#[test]
fn home_without_encryption_is_refused_unless_it_stays_on_loopback() {
    assert_snapshot!(Folder::bare("sync:\n  encryption:\n    enabled: false\n").rendered());
    let loopback = Folder::bare("sync: {bind: '::1', encryption: {enabled: false}}\n").load();
    assert_eq!(loopback.warnings.len(), 1);
    let idle = Folder::bare("sync: {enabled: false, encryption: {enabled: false}}\n").load();
    assert_eq!(idle.warnings.len(), 1);
}

#[test]
fn custom_without_any_template_is_refused() {
    let text =
        "conflict_resolution:\n  strategy: custom\n  rules:\n    - {match: 'light.*', strategy: custom}\n";
    assert_snapshot!(Folder::bare(text).rendered());
}

#[test]
fn template_with_a_mistake_is_refused_with_its_line() {
    let text =
        "conflict_resolution:\n  strategy: custom\n  template: |\n    {{ local.state }}\n    {{ remote. }}\n";
    assert_snapshot!(Folder::bare(text).rendered());
    let include = "conflict_resolution:\n  strategy: custom\n  template: \"{% include 'secrets.yaml' %}\"\n";
    assert_eq!(Folder::bare(include).codes(), ["template"]);
}

#[test]
fn more_rules_than_a_policy_holds_are_refused() {
    let rule = "    - {match: 'light.*', strategy: merge}\n";
    let rules = |count: usize| format!("conflict_resolution:\n  rules:\n{}", rule.repeat(count));
    let most = crosshome_core::defaults::MAX_RULES - 1;
    assert_eq!(Folder::bare(rules(most)).config().conflict_resolution.rules.len(), most);
    assert_eq!(Folder::bare(rules(most + 1)).codes(), ["too_much"]);
}

#[test]
fn token_without_address_is_refused() {
    assert_snapshot!(Folder::bare("home_assistant:\n  token: a-long-token\n").rendered());
}

#[test]
fn names_and_paths_are_checked() {
    let text = format!(
        "home_name: {}\ndata_dir: ../outside\nsync:\n  encryption: {{key_path: a/../../b}}\ndiscovery: {{interfaces: [eth0, 'no such one']}}\n",
        "ä".repeat(32)
    );
    assert_snapshot!(Folder::bare(text).rendered());
    assert_eq!(Folder::bare("home_name: \"a\\u0007b\"\n").codes(), ["wrong_value"]);
    assert_eq!(Folder::bare("home_name: joint\n").codes(), ["wrong_value"]);
}

#[test]
fn unsafe_api_address_is_a_warning() {
    let loaded = Folder::bare("api: {bind: 0.0.0.0}\nconflict_resolution: {template: x}\n").load();
    let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings.iter().any(|w| w.starts_with("the API listens on 0.0.0.0 without encryption")));
}

//! Files made to hurt: they end quickly, with an error where it is our block that hurts.

use std::{
    fmt::Write,
    time::{Duration, Instant},
};

use proptest::prelude::*;

use super::Folder;
use crate::config::{Config, Sources};

/// Far more than any of these takes, far less than an explosion would.
const SOON: Duration = Duration::from_secs(60);

/// Twenty doublings and more: a billion leaves.
fn bomb() -> String {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let above = level - 1;
        writeln!(text, "a{level}: &a{level} [{}]", vec![format!("*a{above}"); 9].join(", "))
            .expect("a string");
    }
    text
}

fn soon<T>(run: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = run();
    assert!(start.elapsed() < SOON, "took {:?}", start.elapsed());
    result
}

#[test]
fn alias_bomb_in_our_block_is_an_error_and_elsewhere_nothing() {
    let inside =
        Folder::home_assistant(format!("{}copilot: {{sharing: {{sync: {{peers: *a11}}}}}}\n", bomb()));
    assert_eq!(soon(|| inside.errors().count()), 9);
    let outside = Folder::home_assistant(format!("{}copilot: {{sharing: {{home_name: Villa}}}}\n", bomb()));
    assert_eq!(soon(|| outside.config()).home_name.as_str(), "Villa");
}

#[test]
fn merge_bomb_is_an_error() {
    let mut text = String::from("m0: &m0 {a: 1, b: 2, c: 3}\n");
    for level in 1..30 {
        let above = level - 1;
        writeln!(text, "m{level}: &m{level} {{<<: [*m{above}, *m{above}, *m{above}], k{level}: 1}}")
            .expect("a string");
    }
    text.push_str("sharing: {<<: *m29}\n");
    assert!(soon(|| Folder::bare(text).codes()).contains(&"too_much"));
}

#[test]
fn hundred_levels_are_too_deep() {
    let flow = format!("x: {}{}\n", "[".repeat(100), "]".repeat(100));
    assert_eq!(soon(|| Folder::bare(flow).codes()), ["too_deep"]);
    let block = (0..100).fold(String::new(), |text, level| format!("{text}{}a:\n", " ".repeat(level)));
    assert_eq!(soon(|| Folder::bare(block).codes()), ["too_deep"]);
    let mixed = format!("{}{}{}\n", "- ".repeat(50), "[".repeat(50), "]".repeat(50));
    assert_eq!(soon(|| Folder::bare(mixed).codes()), ["too_deep"]);
}

#[test]
fn two_megabytes_are_too_large() {
    assert_eq!(soon(|| Folder::home_assistant("# x\n".repeat(512 * 1024)).codes()), ["too_large"]);
}

#[test]
fn megabyte_of_unknown_keys_ends_soon_and_keeps_a_hundred() {
    let mut text = String::new();
    for number in 0..80_000 {
        writeln!(text, "k{number}: 1").expect("a string");
    }
    let errors = soon(|| Folder::bare(text).errors());
    assert_eq!((errors.iter().count(), errors.count()), (100, 80_000));
    assert!(errors.render(false).ends_with("and 79900 more\n"));
}

#[test]
fn megabyte_of_one_letter_items_is_too_much() {
    let text = format!("sync:\n  peers: [{}]\n", "1,".repeat(500_000));
    assert_eq!(soon(|| Folder::bare(text).codes()), ["too_much"]);
}

#[test]
fn alias_to_itself_in_our_block_is_an_error() {
    assert_eq!(Folder::bare("sync: &s\n  peers: [*s]\n").codes(), ["wrong_value"]);
}

#[test]
fn file_cannot_paint_on_the_terminal() {
    let text = Folder::bare(
        "\"\\e[31m\\x9bx\": 1
log: {level: \"\\e]0;x\", format: !env_var \"\\e]0;x\"}
share: !include \"\\e.yaml\"
data_dir: !secret \"\\e\\u202e\"
",
    )
    .and("secrets.yaml", "")
    .rendered();
    assert_eq!(text.matches("error: ").count(), 5, "{text}");
    assert!(!text.contains(['\x1b', '\u{9b}', '\u{202e}']), "{text:?}");
}

/// Pieces of which files are made, good and bad.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("copilot:\n  sharing:\n".to_owned()),
        Just("    sync: {port: 1, peers: [a, *x]}\n".to_owned()),
        Just("    enabled: &x !secret y\n".to_owned()),
        Just("    <<: *x\n".to_owned()),
        Just("!include config.yaml\n".to_owned()),
        Just("    share:\n      - match: 'a.*'\n        with: \n".to_owned()),
        Just("\t- ? [\"\n".to_owned()),
        "[ -~\\n\\t\u{80}-\u{ff}]{0,30}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        if let Err(errors) = Folder::bare(&bytes).outcome() {
            prop_assert!(!errors.render(true).is_empty() && errors.to_json().is_array());
        }
    }

    #[test]
    fn shuffled_pieces_never_panic(pieces in proptest::collection::vec(piece(), 0..12)) {
        let text = pieces.concat();
        for folder in [Folder::bare(&text), Folder::home_assistant(&text)] {
            if let Err(errors) = folder.outcome() {
                prop_assert!(!errors.render(false).is_empty());
            }
        }
    }

    #[test]
    fn any_variable_ends_in_a_value_or_an_error(name in "[A-Z_]{0,20}", value in ".{0,40}") {
        let known = ["SYNC__PORT", "SYNC__PEERS", "SHARE", "HOME_NAME", "CONFLICT_RESOLUTION__RULES", &name];
        let environment = known.iter().map(|key| (format!("CROSSHOME__{key}").into(), value.clone().into())).collect();
        if let Err(errors) = Config::load(&Sources { environment, ..Sources::default() }) {
            prop_assert!(!errors.render(false).is_empty());
        }
    }
}

//! The page and the schema say what the table of keys says.

use std::{fs, path::Path};

use serde_json::Value as Json;

use super::Folder;
use crate::config::Config;

#[test]
fn documents_are_up_to_date() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    if std::env::var_os("CROSSHOME_BLESS").is_some() {
        fs::create_dir_all(file.parent().expect("in docs")).expect("docs");
        fs::write(&file, Config::markdown()).expect("the page");
    }
    let page = fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(
        page,
        Config::markdown(),
        "run: CROSSHOME_BLESS=1 cargo test -p crosshome-node config::tests::page"
    );
}

#[test]
fn schema_is_the_one_published() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&Config::schema()).expect("JSON"));
}

#[test]
fn schema_knows_every_key_that_is_shown_and_its_default() {
    let schema = Config::schema();
    for shown in Folder::bare("").load().show() {
        let pointer: String = shown.key.split('.').map(|part| format!("/properties/{part}")).collect();
        let key = schema.pointer(&pointer).unwrap_or_else(|| panic!("{} is missing", shown.key));
        assert!(key["description"].is_string(), "{}", shown.key);
        if let Some(default) = key.get("default").filter(|default| **default != Json::Null) {
            assert_eq!(*default, shown.value, "{}", shown.key);
        }
    }
}

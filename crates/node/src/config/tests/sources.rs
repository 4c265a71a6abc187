//! Flags before environment before file before default, and what is worked out.

use std::{ffi::OsString, os::unix::ffi::OsStringExt, path::Path};

use crosshome_core::grant::Right;
use insta::assert_snapshot;

use super::Folder;
use crate::config::{Config, Origin, Sources};

#[test]
fn flag_goes_before_variable_before_file_before_default() {
    let mut folder = Folder::bare("sync:\n  port: 1\n");
    assert_eq!(folder.config().sync.port, 1);
    folder = folder.variable("CROSSHOME__SYNC__PORT", "2");
    let loaded = folder.load();
    assert_eq!(loaded.config.sync.port, 2);
    assert_eq!(loaded.origin("sync.port"), Origin::Environment { name: "CROSSHOME__SYNC__PORT".into() });
    let loaded = folder.flag("--sync-port", "sync.port", "3").load();
    assert_eq!(loaded.config.sync.port, 3);
    assert_eq!(loaded.origin("sync.port").to_string(), "flag --sync-port");
}

#[test]
fn variable_writes_lists_with_commas_and_rules_as_yaml() {
    let config = Folder::bare("sync: {peers: [old.example]}\n")
        .variable("CROSSHOME__SYNC__PEERS", "a.example, [::1]:9 ,")
        .variable("CROSSHOME__DISCOVERY__INTERFACES", "")
        .variable("CROSSHOME__SHARE", "[{match: 'light.*', with: [holiday], grant: edit}]")
        .variable("CROSSHOME__SYNC__ENCRYPTION__SHARED_KEY", "")
        .config();
    let peers: Vec<String> = config.sync.peers.iter().map(ToString::to_string).collect();
    assert_eq!(peers, ["a.example:8765", "[::1]:9"]);
    assert_eq!(config.share[0].grant, Right::Edit);
    assert_eq!(config.sync.encryption.shared_key, None);
}

#[test]
fn mistakes_in_variables_and_flags_name_them() {
    let folder = Folder::bare("enabled: perhaps\n")
        .variable("CROSSHOME__SYNC__PROT", "secret-looking")
        .variable("CROSSHOME__SYNC__PORT", "abc")
        .variable("CROSSHOME__SYNC__PEERS", "a.example, b:x")
        .variable("CROSSHOME__SHARE", "[{match: light.*")
        .variable("CROSSHOME__LOG__LEVEL", OsString::from_vec(vec![0xff]))
        .variable("CROSSHOME_PASSPHRASE", "none of our business")
        .flag("--set", "sync.prot", "1")
        .flag("--log-level", "log.level", "inof");
    assert_snapshot!(folder.rendered());
}

#[test]
fn usual_file_is_read_when_none_is_named() {
    let folder = Folder::bare("").and("crosshome/config.yaml", "home_name: Found\n");
    let environment = vec![("XDG_CONFIG_HOME".into(), folder.dir.path().into())];
    let loaded = Config::load(&Sources { environment, ..Sources::default() }).expect("good");
    assert_eq!(loaded.config.home_name.as_str(), "Found");
    assert_eq!(loaded.file, Some(folder.path("crosshome/config.yaml")));
}

#[test]
fn without_any_file_there_are_defaults() {
    let environment = vec![("HOME".into(), "/nowhere".into())];
    let sources = Sources { environment, host_name: "alps.example".into(), ..Sources::default() };
    let loaded = Config::load(&sources).expect("good");
    assert_eq!((loaded.file, loaded.config.home_name.as_str()), (None, "alps"));
    assert_eq!(loaded.config.data_dir, Path::new("/nowhere/.local/share/crosshome"));
    assert_eq!(
        loaded.config.sync.encryption.key_path,
        Path::new("/nowhere/.local/share/crosshome/sharing_key")
    );
}

#[test]
fn key_lies_in_the_data_directory_wherever_that_came_from() {
    let config = Folder::bare("data_dir: /a\n").flag("--data-dir", "data_dir", "/b").config();
    assert_eq!(config.sync.encryption.key_path, Path::new("/b/sharing_key"));
}

#[test]
fn data_directory_follows_xdg_and_ignores_a_relative_one() {
    let xdg = |value: &str| {
        Folder::bare("").variable("HOME", "/h").variable("XDG_DATA_HOME", value).config().data_dir
    };
    assert_eq!(xdg("/data"), Path::new("/data/crosshome"));
    assert_eq!(xdg("data"), Path::new("/h/.local/share/crosshome"));
    assert_eq!(Folder::bare("").config().data_dir, Path::new("/var/lib/crosshome"));
}

#[test]
fn path_in_a_file_starts_beside_it_and_on_the_command_line_here() {
    let folder =
        Folder::bare("data_dir: data\nsync: {encryption: {key_path: ~/key}}\n").variable("HOME", "/h");
    let config = folder.config();
    assert_eq!(config.data_dir, folder.path("data"));
    assert_eq!(config.sync.encryption.key_path, Path::new("/h/key"));
    assert_eq!(folder.flag("--data-dir", "data_dir", "here").config().data_dir, Path::new("here"));
}

#[test]
fn this_program_has_an_environment_and_a_host_name() {
    let sources = Sources::of_process(None, Vec::new());
    assert!(!sources.host_name.is_empty() && !sources.environment.is_empty());
}

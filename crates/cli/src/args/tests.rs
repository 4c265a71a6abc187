//! What is understood, and what is not.

use clap::CommandFactory;
use serde_json::json;

use super::*;

fn usage_error(line: &str) -> clap::error::ErrorKind {
    Cli::try_parse_from(line.split(' ')).expect_err(line).kind()
}

#[test]
fn arguments_are_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn help_of_every_verb_reads_as_agreed() {
    let mut all = String::new();
    write_help(Cli::command().term_width(100), "crosshome", &mut all);
    insta::assert_snapshot!(all);
}

fn write_help(mut command: clap::Command, name: &str, all: &mut String) {
    command.build();
    all.push_str(&format!("--- {name}\n{}\n", command.clone().render_help()));
    for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
        write_help(verb.clone(), &format!("{name} {}", verb.get_name()), all);
    }
}

#[test]
fn value_that_parses_as_json_is_that_value_and_else_a_string() {
    assert_eq!(attribute("brightness=100"), Ok(("brightness".into(), json!(100))));
    assert_eq!(attribute("color=[1,2]"), Ok(("color".into(), json!([1, 2]))));
    assert_eq!(attribute("name=a=b"), Ok(("name".into(), json!("a=b"))));
    assert_eq!(attribute("name="), Ok(("name".into(), json!(""))));
    assert!(attribute("=1").is_err() && attribute("name").is_err());
}

#[test]
fn times_take_the_usual_units() {
    assert_eq!(duration("3s"), Ok(Duration::from_secs(3)));
    assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
    assert_eq!(duration("1.5"), Ok(Duration::from_millis(1500)));
    for odd in ["", "s", "3h", "-1s", "1e99"] {
        assert!(duration(odd).is_err(), "{odd}");
    }
}

#[test]
fn pairing_goes_one_way_at_a_time() {
    use clap::error::ErrorKind::{ArgumentConflict, MissingRequiredArgument};
    assert_eq!(usage_error("crosshome pair"), MissingRequiredArgument);
    assert_eq!(usage_error("crosshome pair 123-456-784 --show"), ArgumentConflict);
    assert_eq!(usage_error("crosshome pair --show --with villa"), ArgumentConflict);
}

#[test]
fn state_may_be_left_out_only_beside_attributes() {
    use clap::error::ErrorKind::MissingRequiredArgument;
    assert_eq!(usage_error("crosshome entity set light.hall"), MissingRequiredArgument);
    Cli::try_parse_from(["crosshome", "entity", "set", "light.hall", "--attr", "a=1"]).expect("enough");
}

#[test]
fn state_below_zero_is_no_option() {
    let cli = Cli::try_parse_from("crosshome entity set input_number.offset -1.5".split(' ')).expect("fine");
    let Verb::Entity(Entity::Set(set)) = cli.verb else { panic!("another verb") };
    assert_eq!(set.state.as_deref(), Some("-1.5"));
}

#[test]
fn several_homes_follow_one_with() {
    let cli =
        Cli::try_parse_from("crosshome share light.* lock.* --with alps city".split(' ')).expect("fine");
    let Verb::Share(share) = cli.verb else { panic!("another verb") };
    assert_eq!((share.entities.len(), share.with), (2, vec!["alps".to_owned(), "city".to_owned()]));
}

//! Jinja that settles conflicts: pure, bounded, and told where it fails.
//!
//! What is rendered sees `local`, `remote`, `before` and `entity_id`, and nothing else: there is no
//! loader, so nothing is included or imported, and no function reaches the machine. Fuel
//! pays for every instruction and for every byte that is made, so it bounds time and memory alike, whatever
//! the template says.

use crosshome_core::defaults::{MAX_ENTITY, MAX_TEMPLATE};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior};
use serde::Serialize;
use serde_json::Value;

use super::{Case, CustomError, Resolution, Side};
use crate::defaults::{TEMPLATE_FUEL, TEMPLATE_WORDS};

/// The template's name where minijinja wants one.
const NAME: &str = "template";

/// Checks the syntax.
///
/// # Errors
///
/// Names the line.
pub(crate) fn check(text: &str) -> Result<(), TemplateError> {
    compiled(text).map(drop)
}

/// Settles a case.
///
/// # Errors
///
/// Tells what went wrong and where.
pub(crate) fn decide(text: &str, case: &Case) -> Result<Resolution, CustomError> {
    let environment = compiled(text)?;
    let before = case.before.as_ref();
    case.fold(|local, remote| {
        let seen = Seen { entity_id: &case.entity_id, local, remote, before };
        let template = environment.get_template(NAME).map_err(|error| TemplateError::of(&error))?;
        let rendered = template.render(minijinja::value::Serde(&seen));
        let rendered = rendered.map_err(|error| TemplateError::of(&error))?;
        read(rendered.trim())
    })
}

#[derive(Serialize)]
struct Seen<'a> {
    entity_id: &'a str,
    local: &'a Side,
    remote: &'a Side,
    before: Option<&'a Side>,
}

fn compiled(text: &str) -> Result<Environment<'_>, TemplateError> {
    if text.len() > MAX_TEMPLATE {
        return Err(TemplateError::TooLong(text.len()));
    }
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(TEMPLATE_FUEL));
    environment.add_template(NAME, text).map_err(|error| TemplateError::of(&error))?;
    Ok(environment)
}

/// Reads what was rendered: JSON of an object, or else a state as it stands.
fn read(rendered: &str) -> Result<Resolution, CustomError> {
    match rendered {
        "" => Err(TemplateError::Empty.into()),
        long if long.len() > MAX_ENTITY => Err(TemplateError::Output(long.len()).into()),
        json if json.starts_with('{') => {
            let answer = serde_json::from_str(json).unwrap_or_else(|_| Value::from(json));
            Resolution::read(answer)
        }
        state => Resolution::read(Value::from(state)),
    }
}

/// Why a template gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// It is longer than a rule may have.
    #[error("{0} bytes are over the limit of {MAX_TEMPLATE}")]
    TooLong(usize),
    /// It cannot be read, or not be evaluated.
    #[error("{reason} (line {line} of the template)")]
    Failed {
        /// What is wrong.
        reason: String,
        /// Its line, from 1.
        line: usize,
    },
    /// It does more than any conflict needs.
    #[error("it works longer than a template may (line {0} of the template)")]
    Fuel(usize),
    /// It renders nothing.
    #[error("it gives nothing")]
    Empty,
    /// It renders more than an entity can hold.
    #[error("it gives {0} bytes, more than an entity may have")]
    Output(usize),
}

impl TemplateError {
    fn of(error: &Error) -> Self {
        let line = error.line().unwrap_or(1);
        if error.kind() == ErrorKind::OutOfFuel {
            return Self::Fuel(line);
        }
        let reason = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
        Self::Failed { reason: reason.chars().take(TEMPLATE_WORDS).collect(), line }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::side, *};

    fn decided(text: &str) -> Result<Resolution, CustomError> {
        let (local, remote) = (side("21.5", 1), side("22", 2));
        let case = Case { entity_id: "input_number.a".into(), local, others: vec![remote], before: None };
        decide(text, &case)
    }

    fn state(text: &str) -> String {
        decided(text).expect("it renders").state.expect("a state")
    }

    fn failure(text: &str) -> String {
        decided(text).expect_err("it fails").to_string()
    }

    #[test]
    fn template_gives_a_state() {
        assert_eq!(state("{{ [local.state | float, remote.state | float] | max }}"), "22.0");
        assert_eq!(
            state("{{ local.state if local.last_updated > remote.last_updated else remote.state }}"),
            "22"
        );
        assert_eq!(state("\n  {{ entity_id }}<{{ before is none }}>\n"), "input_number.a<True>");
    }

    #[test]
    fn template_gives_state_and_attributes_as_json() {
        let text = r#"{{ {"state": local.state, "attributes": {"other": remote.state}} | tojson }}"#;
        let resolution = decided(text).expect("it renders");
        assert_eq!(resolution.state.as_deref(), Some("21.5"));
        assert_eq!(resolution.attributes.map(Value::Object), Some(serde_json::json!({"other": "22"})));
        let documented =
            "{{ {'state': remote.state, 'attributes': dict(local.attributes, note='both')} | tojson }}";
        let attributes = decided(documented).expect("it renders").attributes;
        assert_eq!(attributes.map(Value::Object), Some(serde_json::json!({"from": "21.5", "note": "both"})));
        let whole = decided("{{ remote | tojson }}").expect("it renders");
        assert_eq!(whole.attributes.map(Value::Object), Some(serde_json::json!({"from": "22"})));
    }

    #[test]
    fn undefined_is_an_error_with_its_place() {
        assert_eq!(
            failure("{{ local.state }}\n{{ local.attributes.brightnes }}"),
            "the template failed: `local.attributes.brightnes` is undefined (line 2 of the template)"
        );
        assert_eq!(
            failure("{{ locals }}"),
            "the template failed: `locals` is undefined (line 1 of the template)"
        );
    }

    #[test]
    fn syntax_error_names_its_line() {
        let error = check("{{ local.state }}\n{{ local. }}").expect_err("no name");
        assert!(error.to_string().contains("line 2 of the template"), "{error}");
        assert!(matches!(check("{% include 'secrets.yaml' %}"), Err(TemplateError::Failed { .. })));
        assert!(matches!(check("{% import 'x' as y %}"), Err(TemplateError::Failed { .. })));
        assert!(matches!(check(&"x".repeat(MAX_TEMPLATE + 1)), Err(TemplateError::TooLong(_))));
    }

    #[test]
    fn hostile_template_is_stopped_whatever_it_does() {
        let nested =
            "{% for a in range(99999) %}{% for b in range(99999) %}{{ a * b }}{% endfor %}{% endfor %}";
        let doubling = "{% set n = namespace(x='ab') %}{% for i in range(99) %}{% set n.x = n.x ~ n.x %}{% endfor %}{{ n.x }}";
        let filters = "{{ ('x' * 60000) | replace('', 'y' * 60000) | indent(9999999) }}";
        for text in [
            nested,
            doubling,
            filters,
            "{{ 'x' * 99999999 }}",
            "{{ range(99999) | map('string') | join('#' * 9999) }}",
        ] {
            let began = std::time::Instant::now();
            assert!(matches!(decided(text), Err(CustomError::Template(TemplateError::Fuel(_)))), "{text}");
            assert!(began.elapsed().as_secs() < 5, "{text}");
        }
        let deep = "(".repeat(2000);
        assert!(check(&format!("{{{{ {deep} }}}}")).is_err());
    }

    #[test]
    fn more_than_an_entity_holds_is_refused_and_so_is_nothing() {
        let long = format!("{{{{ 'x' * {} }}}}", MAX_ENTITY + 1);
        assert_eq!(decided(&long), Err(TemplateError::Output(MAX_ENTITY + 1).into()));
        assert_eq!(decided("{# nothing #}"), Err(TemplateError::Empty.into()));
    }
}

//! The list items of the configuration: conflict rules and share rules.

use std::sync::{Arc, LazyLock};

use crosshome_core::{grant::Right, policy::Strategy};
use serde_json::{Value as Json, json};

use super::{
    keys::{Key, children, read_block},
    names::HomeRef,
    pattern::EntityPattern,
    problem::Problem,
    reader::Reader,
    schema::block_schema,
    setting::{Item, Notation, Scalar, Setting},
    texts::Template,
    yaml::{Node, Value},
};

/// Says which strategy settles the conflicts of some entities.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ConflictRule {
    /// The entities.
    pub pattern: EntityPattern,
    /// What settles them.
    pub strategy: Strategy,
    /// For `custom`; without one, the template of the section.
    pub template: Option<Template>,
}

/// Says which entities some homes may see, steer or edit.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ShareRule {
    /// The entities.
    pub pattern: EntityPattern,
    /// The homes.
    pub with: Vec<HomeRef>,
    /// What they may do.
    pub grant: Right,
}

/// A conflict rule while it is read.
#[derive(Default)]
pub(super) struct ConflictDraft {
    pattern: Option<EntityPattern>,
    strategy: Option<Strategy>,
    template: Option<Template>,
}

/// A share rule while it is read.
#[derive(Default)]
pub(super) struct ShareDraft {
    pattern: Option<EntityPattern>,
    with: Option<Vec<HomeRef>>,
    grant: Option<Right>,
}

/// The keys of a conflict rule.
pub(super) static CONFLICT_KEYS: LazyLock<Vec<Key<ConflictDraft>>> = LazyLock::new(|| {
    vec![
        Key::new("match", |r: &mut ConflictDraft| &mut r.pattern, "The entities the rule is about.")
            .required(),
        Key::new("strategy", |r: &mut ConflictDraft| &mut r.strategy, "What settles their conflicts.")
            .required(),
        Key::new("template", |r: &mut ConflictDraft| &mut r.template, "Jinja template for `custom`.")
            .or("the section's template"),
    ]
});

/// The keys of a share rule.
pub(super) static SHARE_KEYS: LazyLock<Vec<Key<ShareDraft>>> = LazyLock::new(|| {
    vec![
        Key::new("match", |r: &mut ShareDraft| &mut r.pattern, "The entities to share.").required(),
        Key::new("with", |r: &mut ShareDraft| &mut r.with, "The homes to share with, by name or id.")
            .required(),
        Key::new("grant", |r: &mut ShareDraft| &mut r.grant, "What those homes may do.").or("`read`"),
    ]
});

impl Setting for ConflictRule {
    fn expected() -> String {
        format!("a mapping with the keys {}", children(&CONFLICT_KEYS, "").join(", "))
    }

    fn schema() -> Json {
        block_schema(&CONFLICT_KEYS, None)
    }

    fn read(node: &Arc<Node>, reader: &mut Reader<'_>) -> Option<Self> {
        let mut draft = ConflictDraft::default();
        let found = read_item::<Self, _>(&CONFLICT_KEYS, node, &mut draft, reader)?;
        let rule = Self { pattern: draft.pattern?, strategy: draft.strategy?, template: draft.template };
        if rule.strategy == Strategy::Custom && !found.contains_key("template") {
            reader.wants_template.extend(found.get("strategy").cloned());
        }
        Some(rule)
    }

    fn show(&self) -> Json {
        let mut shown = json!({"match": Setting::show(&self.pattern), "strategy": self.strategy.name()});
        if let Some(template) = &self.template {
            shown["template"] = json!(template.as_str());
        }
        shown
    }
}

impl Item for ConflictRule {
    const LIST: Notation = Notation::Yaml;
}

impl Setting for ShareRule {
    fn expected() -> String {
        format!("a mapping with the keys {}", children(&SHARE_KEYS, "").join(", "))
    }

    fn schema() -> Json {
        block_schema(&SHARE_KEYS, None)
    }

    fn read(node: &Arc<Node>, reader: &mut Reader<'_>) -> Option<Self> {
        let mut draft = ShareDraft::default();
        let found = read_item::<Self, _>(&SHARE_KEYS, node, &mut draft, reader)?;
        let rule =
            Self { pattern: draft.pattern?, with: draft.with?, grant: draft.grant.unwrap_or(Right::Read) };
        if let (true, Some(place)) = (rule.with.is_empty(), found.get("with")) {
            let (expected, found) = ("at least one home".to_owned(), "an empty list".to_owned());
            reader.report(place, Problem::WrongValue { expected, found, nearest: None });
        }
        Some(rule)
    }

    fn show(&self) -> Json {
        json!({
            "match": Setting::show(&self.pattern),
            "with": Setting::show(&self.with),
            "grant": Scalar::show(&self.grant),
        })
    }
}

impl Item for ShareRule {
    const LIST: Notation = Notation::Yaml;
}

type Found = std::collections::BTreeMap<&'static str, super::place::Place>;

fn read_item<T: Setting, D: 'static>(
    keys: &[Key<D>],
    node: &Arc<Node>,
    draft: &mut D,
    reader: &mut Reader<'_>,
) -> Option<Found> {
    if !matches!(node.value, Value::Map(_)) {
        reader.expected(node, T::expected());
        return None;
    }
    Some(read_block(keys, node, draft, reader))
}

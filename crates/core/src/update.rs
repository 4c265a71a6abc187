//! What someone asks for: an [`Update`], and the body that it makes of the present one.
//!
//! An update that names the state or the attributes replaces that part and keeps
//! the other; a patch changes single attributes. A group whose values stay the
//! same keeps its dot, so a version tells by itself what its author changed.

use crate::{
    body::{Body, BodyBuilder, Group},
    bug::{self, Bug},
    defaults::{MAX_ENTITY, MAX_FIELD_NAME, MAX_FIELDS},
    dot::Dot,
    groups::{STATE, group_of},
    json::{Json, JsonError, Members},
};

/// A wish to change an entity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// The new state, if it changes.
    pub state: Option<Json>,
    /// What becomes of the attributes.
    pub attributes: Attributes,
}

/// What an update does to the attributes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Attributes {
    /// Keeps them all.
    #[default]
    Keep,
    /// Puts these in the place of all.
    Replace(Members),
    /// Sets single ones, or removes them.
    Patch(Vec<(Box<str>, Option<Json>)>),
}

impl Update {
    /// Returns an update of the state alone.
    pub fn state(text: &str) -> Self {
        Self { state: Some(Json::string(text)), attributes: Attributes::Keep }
    }

    /// Returns an update that replaces state and attributes; `attributes` is a JSON object.
    ///
    /// # Errors
    ///
    /// Refuses what is no JSON object within the bounds.
    pub fn replace(state: &str, attributes: &str) -> Result<Self, UpdateError> {
        Ok(Self { state: Some(Json::string(state)), attributes: Attributes::Replace(attributes.parse()?) })
    }

    /// Checks names and number of what the update brings.
    ///
    /// # Errors
    ///
    /// Names the attribute that is not acceptable.
    pub fn check(&self) -> Result<(), UpdateError> {
        match &self.attributes {
            Attributes::Keep => Ok(()),
            Attributes::Replace(all) => check_names(all.iter().map(|(name, _)| name)),
            Attributes::Patch(some) => check_names(some.iter().map(|(name, _)| &**name)),
        }
    }

    /// Returns the body that this update makes of `base`, whose groups come sorted by key, or nothing when all is so already.
    ///
    /// # Errors
    ///
    /// Refuses a result that is larger than an entity may be.
    pub fn apply<'a, B>(&'a self, domain: &str, base: B, dot: Dot) -> Result<Option<Body>, UpdateError>
    where
        B: IntoIterator<Item = Group<'a>, IntoIter: Clone>,
    {
        let base = base.into_iter();
        let members = self.members(domain, base.clone());
        if members.len() > MAX_FIELDS {
            return Err(UpdateError::TooMany(members.len()));
        }
        let mut anew = members.chunk_by(|a, b| a.group == b.group).peekable();
        let (mut out, mut same) = (BodyBuilder::new(dot, 512), true);
        for known in base {
            while let Some(fields) = anew.next_if(|fields| fields[0].group.as_bytes() < known.key) {
                same &= out.push_fields(fields, None);
            }
            if let Some(fields) = anew.next_if(|fields| fields[0].group.as_bytes() == known.key) {
                same &= out.push_fields(fields, Some(known));
            } else if self.keeps_all(&known) {
                out.push(known);
            } else {
                same = false;
            }
        }
        anew.for_each(|fields| same &= out.push_fields(fields, None));
        let body = out.finish();
        if body.as_bytes().len() > MAX_ENTITY {
            return Err(UpdateError::TooLong(body.as_bytes().len()));
        }
        Ok((!same || bug::is(Bug::GroupDotKept)).then_some(body))
    }

    /// Returns the fields of all groups that are to be made anew, sorted.
    fn members<'a>(&'a self, domain: &str, base: impl Iterator<Item = Group<'a>>) -> Vec<Member<'a>> {
        let mut members = self.named(domain);
        let mut kept: Vec<_> = if self.names_all() { Vec::new() } else { base.collect() };
        let mut landed = usize::MAX;
        // fields of a group from another home's table may land in further groups: once more until none does
        while landed != members.len() {
            landed = members.len();
            kept.retain(|group| {
                let stays = self.keeps_all(group)
                    && !members.iter().any(|member| member.group.as_bytes() == group.key);
                if !stays {
                    let rest = group.fields().filter(|(name, _)| self.keeps(name));
                    members.extend(rest.map(|(name, value)| Member {
                        group: group_of(domain, name),
                        name,
                        value,
                    }));
                }
                stays
            });
        }
        members.sort_unstable();
        // a peer's version may name a field in two groups, which this home's table brings together
        members.dedup_by(|again, first| (again.group, again.name) == (first.group, first.name));
        members
    }

    /// Returns every field that the update names a value for.
    fn named<'a>(&'a self, domain: &str) -> Vec<Member<'a>> {
        let mut members = Vec::with_capacity(16);
        let mut add = |name: &'a str, value: &'a str| {
            members.push(Member { group: group_of(domain, name), name, value });
        };
        match &self.attributes {
            Attributes::Keep => {}
            Attributes::Replace(all) => all.iter().for_each(|(name, value)| add(name, value)),
            Attributes::Patch(some) => {
                let set = some.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
                set.for_each(|(name, value)| add(name, value.as_str()));
            }
        }
        if let Some(state) = &self.state {
            add(STATE, state.as_str());
        }
        members
    }

    fn keeps_all(&self, group: &Group<'_>) -> bool {
        !self.names_all() && group.names().all(|name| self.keeps(name))
    }

    fn names_all(&self) -> bool {
        self.state.is_some() && matches!(self.attributes, Attributes::Replace(_))
    }

    fn keeps(&self, field: &str) -> bool {
        match &self.attributes {
            _ if field == STATE => self.state.is_none(),
            Attributes::Keep => true,
            Attributes::Replace(_) => false,
            Attributes::Patch(some) => !some.iter().any(|(name, _)| &**name == field),
        }
    }
}

fn check_names<'a>(mut names: impl ExactSizeIterator<Item = &'a str>) -> Result<(), UpdateError> {
    if names.len() > MAX_FIELDS - 1 {
        return Err(UpdateError::TooMany(names.len()));
    }
    match names.find(|name| name.is_empty() || name.len() > MAX_FIELD_NAME) {
        Some(name) => Err(UpdateError::Name(name.len())),
        None => Ok(()),
    }
}

/// One field of the result; sorts by group, then by name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Member<'a> {
    pub(crate) group: &'a str,
    pub(crate) name: &'a str,
    pub(crate) value: &'a str,
}

/// Why an update is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UpdateError {
    /// A value is not acceptable.
    #[error(transparent)]
    Value(#[from] JsonError),
    /// An attribute's name is empty or too long.
    #[error("an attribute's name has 1 to {MAX_FIELD_NAME} bytes, this one has {0}")]
    Name(usize),
    /// Too many attributes.
    #[error("{0} fields are over the limit of {MAX_FIELDS}")]
    TooMany(usize),
    /// The whole would be too long.
    #[error("entity of {0} bytes is over the limit of {MAX_ENTITY}")]
    TooLong(usize),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HomeId, dot::Actor, hlc::Hlc};

    fn dot(ms: u64) -> Dot {
        Dot { actor: Actor::first(HomeId([1; 32])), hlc: Hlc::at(ms) }
    }

    fn light() -> Body {
        let update =
            Update::replace("on", r#"{"brightness":10,"hs_color":[1,2],"color_mode":"hs"}"#).unwrap();
        update.apply("light", [], dot(1)).unwrap().unwrap()
    }

    /// A body as another home's table would make it.
    fn body(groups: &[&[Member<'_>]]) -> Body {
        let mut out = BodyBuilder::new(dot(1), 0);
        groups.iter().for_each(|fields| assert!(!out.push_fields(fields, None)));
        out.finish()
    }

    fn dots(body: &Body, version: Dot) -> Vec<(&str, u64)> {
        body.groups(version).map(|group| (group.key(), group.dot.hlc.ms())).collect()
    }

    #[test]
    fn only_what_changed_takes_the_new_dot() {
        let base = light();
        let groups: Vec<_> = base.groups(dot(1)).collect();
        let body = Update::state("off").apply("light", groups.iter().copied(), dot(2)).unwrap().unwrap();
        assert_eq!(dots(&body, dot(2)), [("brightness", 1), ("color", 1), ("state", 2)]);
    }

    #[test]
    fn setting_what_is_so_changes_nothing() {
        let base = light();
        let groups: Vec<_> = base.groups(dot(1)).collect();
        assert_eq!(Update::state("on").apply("light", groups.iter().copied(), dot(2)), Ok(None));
    }

    #[test]
    fn patch_keeps_the_rest_and_null_removes() {
        let base = light();
        let groups: Vec<_> = base.groups(dot(1)).collect();
        let patch =
            Attributes::Patch(vec![("brightness".into(), None), ("effect".into(), Some(Json::string("x")))]);
        let body = Update { state: None, attributes: patch }
            .apply("light", groups.iter().copied(), dot(2))
            .unwrap()
            .unwrap();
        assert_eq!(dots(&body, dot(2)), [("color", 2), ("state", 1)]);
    }

    #[test]
    fn group_of_another_homes_table_stays_as_it_is_until_one_of_its_fields_changes() {
        let member = |name, value| Member { group: "new", name, value };
        let base = body(&[&[member("brightness", "1"), member("effect", "2")]]);
        let base: Vec<_> = base.groups(dot(1)).collect();
        let body = Update::state("on").apply("light", base.iter().copied(), dot(2)).unwrap().unwrap();
        assert_eq!(dots(&body, dot(2)), [("new", 1), ("state", 2)]);
        let patch = Attributes::Patch(vec![("effect".into(), Some(Json::string("x")))]);
        let update = Update { state: None, attributes: patch };
        let body = update.apply("light", base.iter().copied(), dot(2)).unwrap().unwrap();
        assert_eq!(dots(&body, dot(2)), [("brightness", 2), ("color", 2)]);
    }

    #[test]
    fn field_that_a_peer_names_in_two_groups_is_one_field() {
        let member = |group, name, value| Member { group, name, value };
        let second = [member("b", "brightness", "2"), member("b", "x", "3")];
        let base = body(&[&[member("a", "brightness", "1")], &second]);
        let base: Vec<_> = base.groups(dot(1)).collect();
        let patch =
            Attributes::Patch(vec![("x".into(), None), ("brightness".into(), Some(Json::string("y")))]);
        let update = Update { state: None, attributes: patch };
        let body = update.apply("light", base.iter().copied(), dot(2)).unwrap().unwrap();
        assert!(Body::parse(body.as_bytes(), dot(2)).is_ok());
        assert_eq!(dots(&body, dot(2)), [("brightness", 2)]);
    }

    #[test]
    fn removing_the_last_group_is_a_change() {
        let base = light();
        let groups: Vec<_> = base.groups(dot(1)).collect();
        let update = Update::replace("on", r#"{"brightness":10}"#).unwrap();
        let body = update.apply("light", groups.iter().copied(), dot(2)).unwrap().unwrap();
        assert_eq!(dots(&body, dot(2)), [("brightness", 1), ("state", 1)]);
    }
}

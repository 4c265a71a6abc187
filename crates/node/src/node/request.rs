//! What callers ask of the loop.

use std::{
    collections::BTreeMap,
    fmt,
    str::FromStr,
    time::{Duration, Instant},
};

use crosshome_core::{EntityId, intent::Wish, policy::Strategy};
use serde_json::{Map, Value, value::RawValue};
use tokio::sync::{mpsc, oneshot};
use zeroize::Zeroizing;

use super::NodeError;
use crate::{
    backup::BackupStream,
    defaults::ENTITY_ID_BYTES,
    views::{
        CallView, Class, ConflictView, EntityView, Finding, HistoryView, HomeSeen, HomeView, Invitation,
        KeyView, LocalPeer, PairedView, PeerView, RegistryEntity, Right, SharePlan, ShownCode, Status,
        StrategyView,
    },
};

/// Where the loop puts its answer, at once or when there is one.
pub type Reply<T> = oneshot::Sender<Result<T, NodeError>>;

/// One question or order to the loop; [`Node`](super::Node) has a method for each and documents it.
#[derive(Debug)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each is the method of Node of the same name")]
pub enum Request {
    Status { reply: Reply<Status> },
    Ready { reply: Reply<()> },
    Metrics { reply: Reply<String> },
    Doctor { reply: Reply<Vec<Finding>> },
    Watch { reply: Reply<Watch> },
    Homes { reply: Reply<Vec<PeerView>> },
    Discovered { wait: Duration, reply: Reply<Vec<HomeSeen>> },
    LocalPeer { reply: Reply<LocalPeer> },
    KeyShow { reply: Reply<KeyView> },
    RotateKey { reply: Reply<KeyView> },
    Backup { passphrase: Secret, reply: Reply<BackupStream> },
    Entities { selection: Selection, reply: Reply<Vec<EntityView>> },
    Entity { entity: EntityRef, reply: Reply<EntityView> },
    Report { reports: Vec<Report>, reply: Reply<()> },
    Attach { reply: Reply<mpsc::Receiver<Command>> },
    UpdateEntity { entity: EntityRef, update: Update, reply: Reply<EntityView> },
    Call { entity: EntityRef, call: Call, reply: Reply<CallView> },
    History { entity: EntityRef, reply: Reply<HistoryView> },
    Conflicts { all: bool, reply: Reply<Vec<ConflictView>> },
    Conflict { id: String, reply: Reply<ConflictView> },
    Strategy { reply: Reply<StrategyView> },
    SetStrategy { strategy: StrategyRequest, reply: Reply<StrategyView> },
    ResetStrategy { pattern: Option<String>, reply: Reply<StrategyView> },
    Resolve { resolution: Resolution, reply: Reply<ConflictView> },
    Registry { reply: Reply<Vec<RegistryEntity>> },
    Registered { entity_id: String, reply: Reply<RegistryEntity> },
    Register { register: Register, reply: Reply<RegistryEntity> },
    ChangeRegistered { entity_id: String, change: RegisterChange, reply: Reply<RegistryEntity> },
    Unregister { entity_id: String, reply: Reply<()> },
    Share { share: ShareRequest, reply: Reply<SharePlan> },
    Unshare { unshare: UnshareRequest, reply: Reply<SharePlan> },
    Audience { entity_id: EntityId, audience: Option<Audience> },
    Audiences { all: BTreeMap<EntityId, Audience> },
    Meet { home: String, address: Option<String>, anew: bool, reply: Reply<HomeView> },
    Reach { id: String, address: Option<String>, reply: Reply<PeerView> },
    ReachAll { reply: Reply<()> },
    Part { home: String, reply: Reply<HomeView> },
    Same { reply: Reply<()> },
    PairShow { reply: Reply<ShownCode> },
    PairAccept { code: Secret, with: Option<String>, reply: Reply<PairedView> },
    PairCancel { reply: Reply<()> },
    Invite { reply: Reply<Invitation> },
    AcceptLink { link: Secret, reply: Reply<PairedView> },
    Unpair { home: String, reply: Reply<HomeView> },
}

/// All entities, and up to which notice they are.
#[derive(Debug)]
pub struct Watch {
    /// Own entities, then joint, then received.
    pub present: Vec<EntityView>,
    /// Number of the last notice that `present` contains.
    pub head: u64,
}

/// Which entities are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Selection {
    /// Own ones that are shared, and received ones.
    #[default]
    Shared,
    /// Own ones that nobody else sees, too.
    All,
}

/// An entity as people name it: `light.hall`, or `villa/light.hall` with its home.
///
/// The loop resolves it: without a home it is this home's own, else the joint space's, else the only
/// other home's that has it.
///
/// ```
/// use crosshome_node::node::EntityRef;
/// let entity: EntityRef = "villa/light.hall".parse()?;
/// assert_eq!((entity.home(), entity.entity_id()), (Some("villa"), "light.hall"));
/// # Ok::<(), crosshome_node::node::EntityRefError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EntityRef {
    home: Option<String>,
    entity_id: String,
}

impl EntityRef {
    /// Returns the home by name, id or prefix, or `joint`, when one was given.
    pub fn home(&self) -> Option<&str> {
        self.home.as_deref()
    }

    /// Returns the id within its home.
    pub fn entity_id(&self) -> &str {
        &self.entity_id
    }
}

impl FromStr for EntityRef {
    type Err = EntityRefError;

    fn from_str(text: &str) -> Result<Self, EntityRefError> {
        // A home's name may contain a slash, an entity id may not.
        let (home, entity_id) = match text.rsplit_once('/') {
            Some((home, entity_id)) => (Some(home.to_owned()), entity_id),
            None => (None, text),
        };
        let odd = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '*' | '?' | '[' | ']');
        if entity_id.is_empty() || home.as_deref() == Some("") || entity_id.contains(odd) {
            return Err(EntityRefError::Malformed(text.escape_debug().to_string()));
        }
        if text.contains(char::is_control) {
            return Err(EntityRefError::Malformed(text.escape_debug().to_string()));
        }
        if text.len() > ENTITY_ID_BYTES {
            return Err(EntityRefError::TooLong(text.len()));
        }
        Ok(Self { home, entity_id: entity_id.to_owned() })
    }
}

impl fmt::Display for EntityRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.home {
            Some(home) => write!(f, "{home}/{}", self.entity_id),
            None => f.write_str(&self.entity_id),
        }
    }
}

/// Why a text names no entity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntityRefError {
    /// It is empty, or has blanks, control or wildcard characters.
    #[error("{0} is no entity id such as light.hall or villa/light.hall")]
    Malformed(String),
    /// It is longer than any id may be.
    #[error("an entity id of {0} bytes is over the limit of {ENTITY_ID_BYTES}")]
    TooLong(usize),
}

impl From<EntityRefError> for NodeError {
    fn from(error: EntityRefError) -> Self {
        Self::Invalid(error.to_string())
    }
}

/// A change to an entity: what is named is replaced, the rest kept.
#[derive(Debug, Clone)]
pub struct Update {
    /// New state.
    pub state: Option<String>,
    /// All attributes, instead of the present ones.
    pub attributes: Option<BTreeMap<String, Box<RawValue>>>,
    /// Single attributes to set, or to remove where the value is `None`; applied after `attributes`.
    pub patch: BTreeMap<String, Option<Box<RawValue>>>,
    /// Who caused it.
    pub cause: Cause,
    /// Whether a command to another home's device is to wait for its outcome.
    pub wait: bool,
}

impl Default for Update {
    fn default() -> Self {
        Self { state: None, attributes: None, patch: BTreeMap::new(), cause: Cause::Person, wait: true }
    }
}

/// Who caused a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cause {
    /// Somebody who is there.
    #[default]
    Person,
    /// A program.
    Automation,
    /// The thing itself reports.
    Device,
}

/// How somebody settles a conflict.
#[derive(Debug, Clone)]
pub struct Resolution {
    /// The conflict by its id, or by its entity.
    pub id: String,
    /// Token of what was shown: [`ConflictView::token`].
    pub token: String,
    /// What is to hold.
    pub settle: Settle,
}

/// What is to hold after a conflict.
#[derive(Debug, Clone)]
pub enum Settle {
    /// The version of this home.
    Take(String),
    /// What each side has changed; where both did, the later.
    Merge,
    /// What the update makes of what is shown.
    Value(Update),
}

/// What a bridge says of one entity of the house.
#[derive(Debug, Clone)]
pub struct Report {
    /// The entity, in this home's own space.
    pub entity_id: EntityId,
    /// Its new values.
    pub update: crosshome_core::update::Update,
    /// Who may write it, when it is new; by its domain when absent.
    pub class: Option<crosshome_core::table::Class>,
}

/// What a peer wants of the house, for a bridge to carry out.
#[derive(Debug)]
pub struct Command {
    /// The device.
    pub entity_id: EntityId,
    /// What is wanted of it.
    pub wish: Wish,
    /// Until when it may be carried out; late is worse than never.
    pub until: Instant,
    /// Where the bridge says whether the house took it, and else why not.
    pub done: oneshot::Sender<Result<(), String>>,
}

/// A service call to an entity.
#[derive(Debug, Clone)]
pub struct Call {
    /// Service such as `turn_on` or `light.turn_on`.
    pub service: String,
    /// Its arguments.
    pub data: BTreeMap<String, Box<RawValue>>,
    /// Whether to wait for the outcome.
    pub wait: bool,
}

/// An entity for the registry.
#[derive(Debug, Clone, PartialEq)]
pub struct Register {
    /// Id within this home.
    pub entity_id: String,
    /// Whether every paired home may read it.
    pub shared: bool,
    /// The one home to share it with, instead of every one.
    pub home: Option<String>,
    /// Free text and numbers.
    pub metadata: Map<String, Value>,
    /// Who may write it; by its domain when absent.
    pub class: Option<Class>,
}

/// What changes of a registered entity.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RegisterChange {
    /// Whether it is shared from now on.
    pub shared: Option<bool>,
    /// Metadata to set; null removes a key.
    pub metadata: Map<String, Value>,
}

/// Who is to see an entity, as the program that runs the home has decided.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audience {
    /// Every home that is trusted, but for those of `without`.
    pub everyone: bool,
    /// Homes that see it in any case, by name or id.
    pub with: Vec<String>,
    /// Homes that do not.
    pub without: Vec<String>,
}

impl Audience {
    /// Tells whether every home that is trusted sees it.
    pub fn is_everyone(&self) -> bool {
        self.everyone && self.without.is_empty()
    }

    /// Tells whether a home sees it that goes by these names.
    pub fn admits(&self, names: &[&str]) -> bool {
        let among = |homes: &[String]| homes.iter().any(|home| names.contains(&home.as_str()));
        among(&self.with) || (self.everyone && !among(&self.without))
    }
}

/// Entities to share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareRequest {
    /// Ids or globs of this home's entities.
    pub patterns: Vec<String>,
    /// Homes by name, id or prefix.
    pub with: Vec<String>,
    /// What they may do.
    pub right: Right,
    /// Only tell what would happen.
    pub preview: bool,
    /// Go on even when something risky is among them.
    pub yes: bool,
}

/// Grants to take back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnshareRequest {
    /// Ids or globs of this home's entities.
    pub patterns: Vec<String>,
    /// Homes by name, id or prefix; all when empty.
    pub with: Vec<String>,
    /// Only tell what would happen.
    pub preview: bool,
}

/// What is to settle the conflicts of some entities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StrategyRequest {
    /// The strategy.
    pub strategy: Strategy,
    /// An entity id or a pattern; whatever no rule names when absent.
    pub pattern: Option<String>,
    /// For `custom`: the template; when absent the configured one, or the home's own function.
    pub template: Option<String>,
}

/// A code or link that must reach no log; wiped when dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text over.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Returns the text, for the one who checks it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn home_s_name_may_contain_a_slash() {
        let entity: EntityRef = "flat 3/4/light.hall".parse().expect("names a home");
        assert_eq!((entity.home(), entity.entity_id()), (Some("flat 3/4"), "light.hall"));
    }

    #[test]
    fn wildcards_and_control_characters_are_no_entity() {
        for text in ["", "light.*", "light.hall\n", "/light.hall", "villa/", "vil\u{7}la/light.hall"] {
            assert!(matches!(text.parse::<EntityRef>(), Err(EntityRefError::Malformed(_))), "{text:?}");
        }
    }

    #[test]
    fn endless_id_is_refused() {
        let long = "l".repeat(ENTITY_ID_BYTES + 1);
        assert_eq!(long.parse::<EntityRef>(), Err(EntityRefError::TooLong(ENTITY_ID_BYTES + 1)));
    }

    #[test]
    fn code_does_not_reach_a_log() {
        assert_eq!(format!("{:?}", Secret::new("123-456-789".into())), "Secret(..)");
    }
}

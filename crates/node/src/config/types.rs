//! The configuration as the rest of the program sees it: typed, complete, checked.

use std::{
    net::IpAddr,
    num::{NonZeroU16, NonZeroU32},
    path::PathBuf,
};

use super::{
    choices::{LogFormat, LogLevel, StrategyName},
    names::{HomeName, InterfaceName},
    peer_address::PeerAddress,
    rules::{ConflictRule, ShareRule},
    secret::Secret,
    texts::{BridgeUrl, Template},
};
use crate::defaults;

/// Everything that a home can be told in its configuration.
///
/// It is made by [`Config::load`] only, so every value in it has been checked.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// Whether this home takes part at all.
    pub enabled: bool,
    /// What other homes call this one.
    pub home_name: HomeName,
    /// Where store, keys and socket are kept.
    pub data_dir: PathBuf,
    /// Finding homes on the local network.
    pub discovery: DiscoveryConfig,
    /// Links to other homes.
    pub sync: SyncConfig,
    /// How conflicts are settled.
    pub conflict_resolution: ConflictConfig,
    /// Standing rules for what is shared.
    pub share: Vec<ShareRule>,
    /// The bridge to Home Assistant.
    pub home_assistant: HomeAssistantConfig,
    /// The HTTP API and the web page.
    pub api: ApiConfig,
    /// The log.
    pub log: LogConfig,
}

/// The section `discovery`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DiscoveryConfig {
    /// Whether to look and be seen.
    pub enabled: bool,
    /// UDP port of multicast DNS.
    pub port: NonZeroU16,
    /// Interfaces to use; empty means all that are up and multicast-capable.
    pub interfaces: Vec<InterfaceName>,
}

/// The section `sync`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SyncConfig {
    /// Whether to connect and listen.
    pub enabled: bool,
    /// Port to listen on; 0 lets the system choose.
    pub port: u16,
    /// Address to listen on.
    pub bind: IpAddr,
    /// Addresses that discovery need not find.
    pub peers: Vec<PeerAddress>,
    /// Keys.
    pub encryption: EncryptionConfig,
    /// Most updates a second from one peer.
    pub max_updates_per_s: Option<NonZeroU32>,
    /// Most entities that one peer may place here.
    pub max_entities_per_peer: NonZeroU32,
}

/// The section `sync.encryption`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct EncryptionConfig {
    /// Off only on loopback.
    pub enabled: bool,
    /// This home's identity key.
    pub key_path: PathBuf,
    /// Secret of homes that trust each other unattended.
    pub shared_key: Option<Secret>,
}

/// The section `conflict_resolution`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ConflictConfig {
    /// For entities that no rule names.
    pub strategy: StrategyName,
    /// For `custom` without a template of its own.
    pub template: Option<Template>,
    /// Rules as written.
    pub rules: Vec<ConflictRule>,
}

/// What settles the conflicts of one entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy<'a> {
    /// The version with the latest clock wins as a whole.
    LatestWins,
    /// Field group by field group.
    Merge,
    /// A person decides.
    UserChoice,
    /// This template decides.
    Custom(&'a Template),
}

impl ConflictConfig {
    /// Returns what settles this entity's conflicts: a rule with its id, else the first pattern that matches, else the default.
    pub fn strategy_for(&self, entity_id: &str) -> Strategy<'_> {
        let matching = |exact: bool| {
            self.rules.iter().find(|rule| rule.pattern.is_exact() == exact && rule.pattern.matches(entity_id))
        };
        match matching(true).or_else(|| matching(false)) {
            Some(rule) => self.named(rule.strategy, rule.template.as_ref()),
            None => self.named(self.strategy, None),
        }
    }

    /// Loading refuses `custom` without any template; latest-wins is what a failing template means too.
    fn named<'a>(&'a self, name: StrategyName, template: Option<&'a Template>) -> Strategy<'a> {
        match name {
            StrategyName::LatestWins => Strategy::LatestWins,
            StrategyName::Merge => Strategy::Merge,
            StrategyName::UserChoice => Strategy::UserChoice,
            StrategyName::Custom => {
                template.or(self.template.as_ref()).map_or(Strategy::LatestWins, Strategy::Custom)
            }
        }
    }
}

/// The section `home_assistant`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct HomeAssistantConfig {
    /// Address of the WebSocket API.
    pub url: Option<BridgeUrl>,
    /// Long-lived access token.
    pub token: Option<Secret>,
}

/// The section `api`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ApiConfig {
    /// Address to listen on.
    pub bind: IpAddr,
    /// Port to listen on; 0 lets the system choose.
    pub port: u16,
}

/// The section `log`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LogConfig {
    /// How much it tells.
    pub level: LogLevel,
    /// How it is written.
    pub format: LogFormat,
}

impl Config {
    /// Returns every default; name and paths are worked out when all sources have been read.
    pub(super) fn unsaid() -> Self {
        Self {
            enabled: true,
            home_name: HomeName::of_host(""),
            data_dir: PathBuf::new(),
            discovery: DiscoveryConfig { enabled: true, port: defaults::MDNS_PORT, interfaces: Vec::new() },
            sync: SyncConfig {
                enabled: true,
                port: defaults::SYNC_PORT,
                bind: defaults::SYNC_BIND,
                peers: Vec::new(),
                encryption: EncryptionConfig { enabled: true, key_path: PathBuf::new(), shared_key: None },
                max_updates_per_s: None,
                max_entities_per_peer: defaults::ENTITIES_PER_PEER,
            },
            conflict_resolution: ConflictConfig {
                strategy: StrategyName::LatestWins,
                template: None,
                rules: Vec::new(),
            },
            share: Vec::new(),
            home_assistant: HomeAssistantConfig { url: None, token: None },
            api: ApiConfig { bind: defaults::API_BIND, port: defaults::API_PORT },
            log: LogConfig { level: LogLevel::Info, format: LogFormat::Auto },
        }
    }
}

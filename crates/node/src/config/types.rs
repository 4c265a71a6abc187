//! The configuration as the rest of the program sees it: typed, complete, checked.

use std::{
    net::IpAddr,
    num::{NonZeroU16, NonZeroU32},
    path::PathBuf,
};

use crosshome_core::policy::{Rule, Strategy};

use super::{
    choices::{LogFormat, LogLevel},
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
    pub strategy: Strategy,
    /// For `custom` without a template of its own.
    pub template: Option<Template>,
    /// Rules as written.
    pub rules: Vec<ConflictRule>,
    /// Whether anybody has said anything here; what nobody has said is not told to the joint space.
    pub said: bool,
}

impl ConflictConfig {
    /// Returns the rules as written, those without a template of their own with the section's.
    pub fn rules(&self) -> impl Iterator<Item = Rule> {
        self.rules.iter().map(|rule| {
            let template = rule.template.as_ref().or(self.template.as_ref());
            rule_of(rule.pattern.as_str(), rule.strategy, template)
        })
    }

    /// Returns what settles the conflicts of whatever no rule names.
    pub fn default_rule(&self) -> Rule {
        rule_of("*", self.strategy, self.template.as_ref())
    }
}

fn rule_of(pattern: &str, strategy: Strategy, template: Option<&Template>) -> Rule {
    let template = template.filter(|_| strategy == Strategy::Custom);
    Rule { pattern: pattern.into(), strategy, template: template.map(|template| template.as_str().into()) }
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
                strategy: Strategy::LatestWins,
                template: None,
                rules: Vec::new(),
                said: false,
            },
            share: Vec::new(),
            home_assistant: HomeAssistantConfig { url: None, token: None },
            api: ApiConfig { bind: defaults::API_BIND, port: defaults::API_PORT },
            log: LogConfig { level: LogLevel::Info, format: LogFormat::Auto },
        }
    }
}

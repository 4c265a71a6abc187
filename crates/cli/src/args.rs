//! What can be typed.

use std::{io::IsTerminal, path::PathBuf, time::Duration};

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use crosshome_node::config::Override;

/// Homes that trust each other share chosen Home Assistant entities.
#[derive(Debug, Parser)]
#[command(name = "crosshome", version, max_term_width = 100, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

const EVERY: &str = "Options of every verb";

/// What every verb takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Common {
    /// Print JSON: one document, or one per line where things go on
    #[arg(long, global = true, help_heading = EVERY)]
    pub(crate) json: bool,
    /// Directory of the home [default: data_dir of the configuration]
    #[arg(long, global = true, help_heading = EVERY, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Address of the home's API, instead of the socket in its directory
    #[arg(long, global = true, help_heading = EVERY, value_name = "URL")]
    pub(crate) api: Option<String>,
    /// File with the API's token [default: api_token in the home's directory]
    #[arg(long, global = true, help_heading = EVERY, value_name = "FILE")]
    pub(crate) token: Option<PathBuf>,
    /// Colour the output: auto, always or never; NO_COLOR is honoured
    #[arg(long, global = true, help_heading = EVERY, value_name = "WHEN", default_value = "auto", hide_possible_values = true)]
    pub(crate) color: Color,
}

impl Common {
    /// Returns what these say of the configuration.
    pub(crate) fn overrides(&self) -> Vec<Override> {
        let of_dir = |dir: &PathBuf| Override {
            key: "data_dir".to_owned(),
            value: dir.display().to_string(),
            flag: "--data-dir".to_owned(),
        };
        self.data_dir.iter().map(of_dir).collect()
    }
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

impl Color {
    /// Tells whether what goes there is to be coloured.
    pub(crate) fn wanted(self, stream: &impl IsTerminal) -> bool {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => !refused && stream.is_terminal(),
        }
    }
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Run this home
    Run(Run),
    /// Show two homes at work, with simulated devices
    Demo(Demo),
    /// Show how this home and its peers are doing
    Status(Status),
    /// Look for homes on the network
    Discover(Discover),
    /// Pair with another home
    Pair(Pair),
    /// Forget a paired home; its entities leave
    Unpair(Home),
    /// Show paired homes
    #[command(subcommand)]
    Peers(Peers),
    /// Share entities with other homes
    Share(Share),
    /// Stop sharing entities
    Unshare(Unshare),
    /// Look at entities and change them
    #[command(subcommand)]
    Entity(Entity),
    /// Look at conflicts and settle them
    #[command(subcommand)]
    Conflicts(Conflicts),
    /// Choose how conflicts are settled
    #[command(subcommand)]
    Strategy(Strategy),
    /// Check and show the configuration
    #[command(subcommand)]
    Config(Config),
    /// Show this home's key, or replace it
    #[command(subcommand)]
    Key(Key),
    /// Write everything this home knows to a file
    Backup(Backup),
    /// Bring a home back from a file
    Restore(Restore),
    /// Tell what is wrong and how to mend it
    Doctor,
    /// Measure this machine
    Bench(Bench),
    /// Print a script that completes this command's arguments
    Completions(Completions),
    /// Print the manual page
    Man,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Configuration file: Home Assistant's, or one of its own
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Put a simulated house behind the home; the seed decides its days
    #[arg(long, value_name = "SEED", num_args = 0..=1, default_missing_value = "1", hide = true)]
    pub(crate) simulate: Option<u64>,
    /// Stop when standard input ends, as it does when whoever started this home is gone
    #[arg(long, hide = true)]
    pub(crate) until_eof: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// How many homes
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(2..=50))]
    pub(crate) homes: u8,
    /// Play the story to its end and exit
    #[arg(long)]
    pub(crate) once: bool,
    /// Cut the link, change both sides, heal it
    #[arg(long)]
    pub(crate) conflict: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Exit with 6 while a conflict is open
    #[arg(long)]
    pub(crate) fail_on_conflict: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Discover {
    /// How long to look around, such as 3s or 500ms
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = duration)]
    pub(crate) timeout: Duration,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("how").required(true).args(["code", "show", "invite", "accept", "cancel"]))]
pub(crate) struct Pair {
    /// Code that the other home shows
    pub(crate) code: Option<String>,
    /// Address or name of the home that shows the code
    #[arg(long, value_name = "ADDRESS|NAME", conflicts_with_all = ["show", "invite", "accept", "cancel"])]
    pub(crate) with: Option<String>,
    /// Show a code and wait until it is typed on the other home
    #[arg(long)]
    pub(crate) show: bool,
    /// Print a link that pairs whoever has it, once
    #[arg(long)]
    pub(crate) invite: bool,
    /// Pair by the link of another home
    #[arg(long, value_name = "LINK")]
    pub(crate) accept: Option<String>,
    /// Make the code or link that is out there worthless
    #[arg(long)]
    pub(crate) cancel: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Home {
    /// Home by name, id or the beginning of either
    #[arg(value_name = "NAME")]
    pub(crate) home: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Peers {
    /// List paired homes
    List,
    /// Show one paired home and the link to it
    Show(Home),
}

#[derive(Debug, Args)]
pub(crate) struct Share {
    /// Entities by id or glob
    #[arg(value_name = "ENTITY|GLOB", required = true)]
    pub(crate) entities: Vec<String>,
    /// Homes to share with
    #[arg(long, value_name = "NAME", required = true, num_args = 1..)]
    pub(crate) with: Vec<String>,
    /// What they may do
    #[arg(long, value_name = "RIGHT", default_value = "read")]
    pub(crate) grant: Grant,
    /// Only show what would happen
    #[arg(long)]
    pub(crate) preview: bool,
    /// Share risky entities without asking
    #[arg(long, short)]
    pub(crate) yes: bool,
}

/// What a home may do with an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Grant {
    /// See it
    Read,
    /// Steer it too
    Control,
    /// Change documents too
    Edit,
}

#[derive(Debug, Args)]
pub(crate) struct Unshare {
    /// Entities by id or glob
    #[arg(value_name = "ENTITY|GLOB", required = true)]
    pub(crate) entities: Vec<String>,
    /// Homes to take it from [default: all]
    #[arg(long, value_name = "NAME", num_args = 1..)]
    pub(crate) with: Vec<String>,
    /// Only show what would happen
    #[arg(long)]
    pub(crate) preview: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Entity {
    /// List entities, own and received
    List {
        /// Only these, such as light.* or villa/*
        glob: Option<String>,
    },
    /// Show one entity
    Get {
        /// Entity, such as light.hall or villa/light.hall
        id: String,
    },
    /// Change an entity, or command it where it is another home's device
    Set(Set),
    /// Print present values, then every change
    Watch {
        /// Only these, such as light.* or villa/*
        glob: Option<String>,
    },
    /// Show what an entity was
    History {
        /// Entity, such as light.hall or villa/light.hall
        id: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Set {
    /// Entity, such as light.hall or villa/light.hall
    pub(crate) id: String,
    /// New state; may be left out when attributes are set
    #[arg(required_unless_present = "attr", allow_negative_numbers = true)]
    pub(crate) state: Option<String>,
    /// Attribute to set; a value that is JSON is that value, null removes it
    #[arg(long, value_name = "KEY=VALUE", value_parser = attribute)]
    pub(crate) attr: Vec<(String, serde_json::Value)>,
    /// Print the command's id instead of waiting for its outcome
    #[arg(long)]
    pub(crate) no_wait: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Conflicts {
    /// List open conflicts
    List {
        /// Settled ones too
        #[arg(long)]
        all: bool,
    },
    /// Show one conflict
    Show {
        /// Conflict, or the entity in conflict
        id: String,
    },
    /// Settle a conflict, or overrule the strategy that has settled it
    Resolve(Resolve),
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("how").required(true).args(["take", "merge", "value"]))]
pub(crate) struct Resolve {
    /// Conflict, or the entity in conflict
    pub(crate) id: String,
    /// Take this home's version
    #[arg(long, value_name = "HOME")]
    pub(crate) take: Option<String>,
    /// Merge field by field
    #[arg(long)]
    pub(crate) merge: bool,
    /// Take this value: a state, or {"state": …, "attributes": {…}}
    #[arg(long, value_name = "JSON")]
    pub(crate) value: Option<String>,
    /// Token of what was shown; nothing is settled if versions have come since [default: what is there now]
    #[arg(long, value_name = "TOKEN")]
    pub(crate) seen: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Strategy {
    /// Show the strategies in force
    Show,
    /// Choose a strategy
    Set {
        /// How conflicts are settled
        #[arg(value_parser = ["latest-wins", "merge", "user-choice", "custom"])]
        strategy: String,
        /// Only for these entities [default: all that no rule names]
        #[arg(long = "match", value_name = "GLOB")]
        pattern: Option<String>,
        /// For custom: what settles them, in Jinja [default: the configured template]
        #[arg(long, value_name = "T")]
        template: Option<String>,
    },
    /// Go back to the configuration
    Reset {
        /// Only for these entities [default: everything that was set at run time]
        #[arg(long = "match", value_name = "GLOB")]
        pattern: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Check a configuration file
    Check {
        /// The file
        file: PathBuf,
    },
    /// Show the configuration in force
    Show {
        /// Tell where each value comes from
        #[arg(long)]
        origin: bool,
        /// Configuration file
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Print the JSON schema of the configuration
    Schema,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// Show this home's id and public key
    Show,
    /// Replace the key; paired homes follow
    Rotate,
}

#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// File to write
    pub(crate) file: PathBuf,
    /// File with the passphrase [default: $CROSSHOME_PASSPHRASE, or a question]
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Replace the file if it is there
    #[arg(long, short)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// File to read
    pub(crate) file: PathBuf,
    /// Configuration file of the home, which says where its data and its key are
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// File with the passphrase [default: $CROSSHOME_PASSPHRASE, or a question]
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Replace what is there without asking
    #[arg(long, short)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// Fewer and shorter runs
    #[arg(long)]
    pub(crate) quick: bool,
    /// Work for a measurement, ordered over stdin
    #[arg(long, hide = true)]
    pub(crate) worker: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    pub(crate) shell: Shell,
}

/// Shells that complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}

fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let scale = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        _ => return Err(format!("{unit:?} is no unit of time; use ms, s or m")),
    };
    let number: f64 = number.parse().map_err(|_| format!("{text:?} is no time such as 3s or 500ms"))?;
    Duration::try_from_secs_f64(number * scale).map_err(|_| format!("{text} is too long"))
}

fn attribute(text: &str) -> Result<(String, serde_json::Value), String> {
    let (key, value) = text.split_once('=').ok_or("write it as KEY=VALUE, such as brightness=100")?;
    if key.is_empty() {
        return Err("the key is missing before =".to_owned());
    }
    let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
    Ok((key.to_owned(), value))
}

#[cfg(test)]
mod tests;

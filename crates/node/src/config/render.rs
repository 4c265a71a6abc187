//! Mistakes as people and programs read them.
//!
//! ```text
//! error: unknown key `prot`
//!   --> configuration.yaml:12:7
//!    |
//! 12 |       prot: 8765
//!    |       ^^^^
//!    = help: did you mean `port`?
//! ```

use std::fmt::{self, Write};

use serde_json::{Value as Json, json};

use super::{
    place::{Origin, visible},
    problem::{ConfigError, ConfigErrors},
};

const RED: &str = "\x1b[1;31m";
const BLUE: &str = "\x1b[1;34m";
const PLAIN: &str = "\x1b[0m";

impl ConfigErrors {
    /// Returns all mistakes as text, each with its line and a caret.
    pub fn render(&self, colour: bool) -> String {
        let mut text: String = self.iter().map(|error| error.render(colour)).collect::<Vec<_>>().join("\n");
        let kept = self.iter().count();
        if self.count() > kept {
            let _ = write!(text, "\nand {} more\n", self.count() - kept);
        }
        text
    }

    /// Returns all mistakes as a list of objects.
    pub fn to_json(&self) -> Json {
        self.iter().map(ConfigError::to_json).collect()
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl ConfigError {
    /// Returns this mistake as text with its line and a caret.
    pub fn render(&self, colour: bool) -> String {
        let (red, blue, plain) = if colour { (RED, BLUE, PLAIN) } else { ("", "", "") };
        let gutter = if self.place().in_file() { self.place().line.to_string() } else { String::new() };
        let pad = " ".repeat(gutter.len());
        let mut text = format!("{red}error{plain}: {}\n", clean(&self.problem().to_string()));
        let _ = writeln!(text, "{pad}{blue}-->{plain} {}", clean(&self.whereabouts()));
        if let Some(line) = self.place().excerpt() {
            let _ = writeln!(text, "{pad} {blue}|{plain}");
            let _ = writeln!(text, "{blue}{gutter} |{plain} {line}");
            let _ = writeln!(text, "{pad} {blue}|{plain} {red}{}{plain}", self.caret(&line));
        }
        if let Some(help) = self.problem().help() {
            let _ = writeln!(text, "{pad} {blue}={plain} help: {}", clean(&help));
        }
        text
    }

    fn to_json(&self) -> Json {
        let source = &self.place().source.name;
        let mut object = json!({
            "code": self.problem().code(),
            "message": self.problem().to_string(),
            "help": self.problem().help(),
        });
        if self.place().in_file() {
            object["file"] = json!(source);
            object["line"] = json!(self.place().line);
            object["column"] = json!(self.place().column);
        } else {
            let kind = if matches!(self.origin(), Origin::Flag { .. }) { "flag" } else { "environment" };
            object[kind] = json!(source);
        }
        object["excerpt"] = json!(self.place().excerpt());
        object
    }

    fn whereabouts(&self) -> String {
        let place = self.place();
        if place.in_file() {
            format!("{}:{}:{}", place.source.name, place.line, place.column)
        } else {
            self.origin().to_string()
        }
    }

    /// Returns carets below the place; tabs stay tabs so that they stand right.
    fn caret(&self, line: &str) -> String {
        let place = self.place();
        let before = place.column - 1;
        let length = line.chars().count();
        let mut caret: String =
            line.chars().take(before).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        caret.push_str(&" ".repeat(before.saturating_sub(length).min(1)));
        caret.push_str(&"^".repeat(place.width.min(length.saturating_sub(before)).max(1)));
        caret
    }
}

fn clean(text: &str) -> String {
    text.chars().map(visible).collect()
}

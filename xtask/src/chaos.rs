//! `cargo xtask chaos --minutes N [--seed S]`: three real homes under everything that can go wrong, for longer.
//!
//! What happened is written as JSON lines into a file that is named at the beginning, and checked at the end.
//! The run itself is the end-to-end test `chaos` of the command line, which `cargo xtask test` plays for half a
//! minute. It needs root, as every home gets a network namespace of its own.

use crate::{TaskError, command};

const USAGE: &str = "usage: cargo xtask chaos --minutes N [--seed S], as root";

/// Longest run: a day.
const MINUTES_MAX: u64 = 24 * 60;

pub(crate) fn run(words: &[String]) -> Result<(), TaskError> {
    let wish = Wish::of(words).ok_or_else(|| TaskError::Usage(USAGE.into()))?;
    let user = command::read(std::process::Command::new("id").arg("-u"))?;
    if user.trim() != "0" {
        return Err(TaskError::Usage(
            "chaos needs root: every home gets a network namespace of its own".into(),
        ));
    }
    let history = crate::tree::root().join(format!("target/chaos-{}.jsonl", wish.seed));
    eprintln!("building crosshome; then {} min of trouble, and healing", wish.minutes);
    eprintln!("what happens is written to {}", history.display());
    let mut tests =
        command::cargo("test --quiet --locked --package crosshome --test e2e -- chaos --nocapture");
    tests.env("CROSSHOME_REQUIRE_NETNS", "1").env("CROSSHOME_SEED", wish.seed.to_string());
    tests.env("CROSSHOME_CHAOS_SECONDS", (wish.minutes * 60).to_string());
    tests.env("CROSSHOME_CHAOS_HISTORY", history);
    Ok(command::run(&mut tests)?)
}

/// What somebody wants played.
#[derive(Debug, PartialEq, Eq)]
struct Wish {
    minutes: u64,
    seed: u64,
}

impl Wish {
    fn of(words: &[String]) -> Option<Self> {
        let mut wish = Self { minutes: 0, seed: 1 };
        for pair in words.chunks(2) {
            let [name, value] = pair else { return None };
            match name.as_str() {
                "--minutes" => wish.minutes = value.parse().ok()?,
                "--seed" => wish.seed = value.parse().ok()?,
                _ => return None,
            }
        }
        (1..=MINUTES_MAX).contains(&wish.minutes).then_some(wish)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(text: &str) -> Option<Wish> {
        Wish::of(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn minutes_must_be_said_and_a_seed_may_be() {
        assert_eq!(wish("--seed 7 --minutes 3"), Some(Wish { minutes: 3, seed: 7 }));
        assert_eq!(wish("--minutes 3"), Some(Wish { minutes: 3, seed: 1 }));
        for wrong in ["", "--minutes", "--minutes 0", "--minutes 1441", "--hours 1", "--minutes x"] {
            assert_eq!(wish(wrong), None, "{wrong}");
        }
    }
}

//! How many tests passed, failed or were skipped, read from what the test runner prints.
//!
//! Cargo runs one binary after the other, each closing with a line `test result: …`;
//! nobody adds them up. A test that lacks something says `SKIPPED: …` and returns, which
//! the runner counts as passed; here it counts as skipped. pytest closes with one line `=== … in 9.99s ===`.

use std::fmt;

/// The sum over all test binaries so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    passed: u64,
    failed: u64,
    ignored: u64,
    excused: u64,
}

impl Tally {
    /// Takes note of a line that a test runner has printed.
    pub(crate) fn hear(&mut self, line: &str) {
        let line = line.trim_start();
        if line.starts_with("SKIPPED: ") {
            self.excused += 1;
        } else if let Some(counts) = line.strip_prefix("test result: ") {
            self.passed += count(counts, "passed");
            self.failed += count(counts, "failed");
            self.ignored += count(counts, "ignored");
        } else if let Some(counts) = closing_of_pytest(line) {
            self.passed += count(counts, "passed");
            self.failed += ["failed", "error", "errors"].map(|word| count(counts, word)).iter().sum::<u64>();
            self.ignored += count(counts, "skipped");
        }
    }

    /// Takes note of something that is no test of the runner's, and whether it passed.
    pub(crate) fn add(&mut self, passed: bool) {
        self.passed += u64::from(passed);
        self.failed += u64::from(!passed);
    }

    /// Takes note that a run ended badly; if no test has said so, something else broke and counts as one.
    pub(crate) fn broke(&mut self) {
        self.failed = self.failed.max(1);
    }

    /// Returns how many failed.
    pub(crate) fn failed(&self) -> u64 {
        self.failed
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (passed, skipped) = (self.passed.saturating_sub(self.excused), self.ignored + self.excused);
        write!(f, "{passed} passed, {} failed, {skipped} skipped", self.failed)
    }
}

/// Returns what stands between the lines of `=` when pytest has come to its end.
fn closing_of_pytest(line: &str) -> Option<&str> {
    let counts = line.strip_prefix('=')?.strip_suffix('=')?.trim_matches('=').trim();
    let (counts, time) = counts.rsplit_once(" in ")?;
    let seconds = time.split('s').next()?;
    seconds.parse::<f64>().ok().map(|_| counts)
}

/// Returns the number that stands before a word.
fn count(counts: &str, word: &str) -> u64 {
    let mut words = counts.split([' ', ';', ',']).filter(|part| !part.is_empty());
    let mut before = None;
    words
        .find_map(|part| {
            let found = part == word;
            let number = std::mem::replace(&mut before, part.parse().ok());
            found.then_some(number).flatten()
        })
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = "
running 3 tests
test tests::one ... ok
test tests::two ... FAILED
test result: FAILED. 41 passed; 2 failed; 1 ignored; 0 measured; 7 filtered out; finished in 0.10s

   Doc-tests crosshome_core
test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 2.31s
";

    fn tally(output: &str) -> Tally {
        let mut tally = Tally::default();
        output.lines().for_each(|line| tally.hear(line));
        tally
    }

    #[test]
    fn results_of_all_binaries_add_up() {
        assert_eq!(tally(RUN).to_string(), "53 passed, 2 failed, 1 skipped");
        assert_eq!(tally("").to_string(), "0 passed, 0 failed, 0 skipped");
    }

    #[test]
    fn coloured_result_is_read_too() {
        let line = "test result: \u{1b}[32mok\u{1b}[m. 5 passed; 0 failed; 0 ignored; 0 measured";
        assert_eq!(tally(line).to_string(), "5 passed, 0 failed, 0 skipped");
    }

    #[test]
    fn test_that_excuses_itself_counts_as_skipped() {
        let output = format!("SKIPPED: no network namespaces: ip is not installed\n{RUN}");
        assert_eq!(tally(&output).to_string(), "52 passed, 2 failed, 2 skipped");
    }

    #[test]
    fn closing_line_of_pytest_adds_up_with_the_others() {
        let pytest = "== 2 failed, 55 passed, 3 skipped, 1 error in 131.90s (0:02:11) ==";
        assert_eq!(tally(&format!("{RUN}{pytest}")).to_string(), "108 passed, 5 failed, 4 skipped");
        assert_eq!(tally("=== no tests ran in 0.01s ==="), Tally::default());
        assert_eq!(tally("=== 5 passed of 6 in all ==="), Tally::default());
    }

    #[test]
    fn text_that_only_looks_like_a_result_is_left_alone() {
        assert_eq!(tally("the line was: test result: ok. 9 passed"), Tally::default());
        assert_eq!(tally("test result: ok. many passed; failed"), Tally::default());
    }

    #[test]
    fn run_that_breaks_without_a_failed_test_is_a_failure() {
        let mut tally = tally("test result: ok. 9 passed; 0 failed; 0 ignored");
        tally.broke();
        assert_eq!(tally.failed(), 1);
    }
}

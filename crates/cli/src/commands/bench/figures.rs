//! What was measured, beside what was to be reached.

use serde::Serialize;

/// One measured figure.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Figure {
    /// What was measured.
    pub(super) what: String,
    /// How much it was.
    pub(super) value: f64,
    /// Of what.
    pub(super) unit: Unit,
    /// As a multiple of the ceiling of this run, where that says something.
    pub(super) ratio: Option<f64>,
    /// What was to be reached, in words.
    pub(super) target: Option<String>,
    /// Whether it was.
    pub(super) met: Option<bool>,
}

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) enum Unit {
    /// Microseconds.
    #[serde(rename = "us")]
    Micros,
    /// Milliseconds.
    #[serde(rename = "ms")]
    Millis,
    /// Bytes.
    #[serde(rename = "B")]
    Bytes,
    /// Millions of bytes.
    #[serde(rename = "MB")]
    Megabytes,
    /// How many in a second.
    #[serde(rename = "1/s")]
    PerSecond,
    /// Hundredths.
    #[serde(rename = "%")]
    Percent,
    /// How many.
    #[serde(rename = "")]
    Count,
}

/// A bound that DESIGN section 8 sets.
#[derive(Debug, Clone, Copy)]
pub(super) enum Goal {
    /// Not more than this.
    Most(f64),
    /// Not less than this.
    Least(f64),
    /// Not more than so many times the ceiling.
    MostOfCeiling(f64),
    /// Not less than so many times the ceiling.
    LeastOfCeiling(f64),
}

impl Figure {
    /// Returns a figure without a target.
    pub(super) fn new(what: impl Into<String>, value: f64, unit: Unit) -> Self {
        Self { what: what.into(), value, unit, ratio: None, target: None, met: None }
    }

    /// Sets it against the ceiling.
    pub(super) fn of(mut self, ceiling: f64) -> Self {
        self.ratio = Some(self.value / ceiling);
        self
    }

    /// Sets it against what was to be reached.
    pub(super) fn goals(mut self, goals: &[Goal]) -> Self {
        let words: Vec<_> = goals.iter().map(|goal| goal.in_words(self.unit)).collect();
        self.target = Some(words.join(" and "));
        self.met = Some(goals.iter().all(|goal| goal.is_met_by(self.value, self.ratio)));
        self
    }

    /// Returns the cells of its row.
    pub(super) fn row(&self) -> Vec<String> {
        let ratio = self.ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}x"));
        let met = self.met.map_or("", |met| if met { "yes" } else { "NO" });
        vec![
            self.what.clone(),
            self.unit.write(self.value),
            ratio,
            self.target.clone().unwrap_or_default(),
            met.into(),
        ]
    }
}

impl Goal {
    fn is_met_by(self, value: f64, ratio: Option<f64>) -> bool {
        match self {
            Self::Most(most) => value <= most,
            Self::Least(least) => value >= least,
            Self::MostOfCeiling(most) => ratio.is_some_and(|ratio| ratio <= most),
            Self::LeastOfCeiling(least) => ratio.is_some_and(|ratio| ratio >= least),
        }
    }

    fn in_words(self, unit: Unit) -> String {
        match self {
            Self::Most(most) => format!("≤ {}", unit.write(most)),
            Self::Least(least) => format!("≥ {}", unit.write(least)),
            Self::MostOfCeiling(most) => format!("≤ {most}x"),
            Self::LeastOfCeiling(least) => format!("≥ {least}x"),
        }
    }
}

impl Unit {
    /// Writes a value with three digits that count.
    fn write(self, value: f64) -> String {
        let digits = match value.abs() {
            0.0 => 0,
            small if small < 1.0 => 3,
            small if small < 10.0 => 2,
            small if small < 100.0 => 1,
            _ => 0,
        };
        let number = format!("{value:.digits$}");
        let number =
            if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { &number };
        let unit = match self {
            Self::Micros => " µs",
            Self::Millis => " ms",
            Self::Bytes => " B",
            Self::Megabytes => " MB",
            Self::PerSecond => "/s",
            Self::Percent => " %",
            Self::Count => "",
        };
        thousands(number) + unit
    }
}

/// Sets commas between groups of three digits.
fn thousands(number: &str) -> String {
    let whole = number.find('.').unwrap_or(number.len());
    let mut out = String::with_capacity(number.len() + number.len() / 3);
    for (at, digit) in number.char_indices() {
        let left = whole.saturating_sub(at);
        if at > 0 && left > 0 && left % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_with_the_digits_that_count() {
        let written = [0.0, 0.0123, 1.5, 12.34, 1_234_567.8].map(|value| Unit::Bytes.write(value));
        assert_eq!(written, ["0 B", "0.012 B", "1.5 B", "12.3 B", "1,234,568 B"]);
        assert_eq!(Unit::Micros.write(100.0), "100 µs");
    }

    #[test]
    fn every_goal_has_to_be_met() {
        let figure = Figure::new("updates", 300_000.0, Unit::PerSecond).of(1_000_000.0);
        let goals = [Goal::LeastOfCeiling(0.2), Goal::Least(250_000.0)];
        let met = figure.clone().goals(&goals);
        assert_eq!((met.met, met.target.as_deref()), (Some(true), Some("≥ 0.2x and ≥ 250,000/s")));
        assert_eq!(figure.goals(&[goals[0], Goal::Least(400_000.0)]).met, Some(false));
    }
}

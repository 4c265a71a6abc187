//! `doctor`: what is wrong and how to mend it.

use crosshome_node::views::{Finding, Level};

use crate::{client::Client, failure::Failure, output::Screen, text::plain};

/// Shows what the doctor found; errors make it fail.
pub(super) async fn run(client: &Client, screen: &Screen) -> Result<(), Failure> {
    let findings: Vec<Finding> = client.get("/doctor").await?;
    screen.show(&findings, |findings| findings.iter().map(text).collect::<Vec<_>>().join("\n"))?;
    match findings.iter().filter(|finding| finding.level == Level::Error).count() {
        0 => Ok(()),
        errors => Err(Failure::Sick(errors)),
    }
}

fn text(finding: &Finding) -> String {
    let level = match finding.level {
        Level::Ok => "ok",
        Level::Warning => "warning",
        Level::Error => "error",
    };
    let remedy = finding.remedy.as_ref().map(|remedy| format!("\n         do: {}", plain(remedy)));
    format!("{level:7}  {}{}", plain(&finding.what), remedy.unwrap_or_default())
}

//! `share`: let other homes see or steer entities.

use crosshome_node::views::{Right, SharePlan};
use hyper::Method;
use serde_json::json;

use crate::{
    args::{Grant, Share},
    client::Client,
    failure::Failure,
    output::Screen,
    text::plain,
};

/// Shares, or shows what would happen; asks when something risky came in by a glob.
pub(super) async fn run(args: Share, client: &Client, screen: &Screen) -> Result<(), Failure> {
    let Share { entities, with, grant, preview, yes } = args;
    let path = if preview { "/shares/preview" } else { "/shares" };
    let body = |yes| json!({"entities": entities, "with": with, "grant": Right::from(grant), "yes": yes});
    let mut plan: SharePlan = client.send(Method::POST, path, &body(yes)).await?;
    if !preview && !plan.applied && !plan.risky.is_empty() {
        let question = format!("These are risky: {}. Share them too?", plan.risky.join(", "));
        if !screen.confirms(&question) {
            return Err(Failure::Risky(plan.risky));
        }
        plan = client.send(Method::POST, path, &body(true)).await?;
    }
    screen.show(&plan, text)
}

impl From<Grant> for Right {
    fn from(grant: Grant) -> Self {
        match grant {
            Grant::Read => Self::Read,
            Grant::Control => Self::Control,
            Grant::Edit => Self::Edit,
        }
    }
}

/// Tells what a plan does, or would do.
pub(super) fn text(plan: &SharePlan) -> String {
    let SharePlan { with, added, removed, risky, total, applied } = plan;
    let mark = |sign: char| {
        move |id: &String| {
            format!("{sign} {}{}", plain(id), if risky.contains(id) { "  (risky)" } else { "" })
        }
    };
    let mut lines: Vec<String> = added.iter().map(mark('+')).chain(removed.iter().map(mark('-'))).collect();
    let with = plain(&with.join(", "));
    lines.push(match (applied, lines.is_empty()) {
        (_, true) if with.is_empty() => "nothing changes; nobody can see any of it".into(),
        (_, true) => format!("nothing changes; {with} can see {total}"),
        (true, false) => format!("done; {with} can now see {total}"),
        (false, false) => format!("preview, nothing was changed; {with} would see {total}"),
    });
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plan_that_is_about_nobody_says_so() {
        let (with, added, removed, risky) = Default::default();
        let plan = SharePlan { with, added, removed, risky, total: 0, applied: true };
        assert_eq!(text(&plan), "nothing changes; nobody can see any of it");
    }

    #[test]
    fn preview_marks_what_comes_what_goes_and_what_is_risky() {
        let plan = SharePlan {
            with: vec!["holiday".into()],
            added: vec!["light.hall".into(), "lock.door".into()],
            removed: vec!["light.old".into()],
            risky: vec!["lock.door".into()],
            total: 2,
            applied: false,
        };
        assert_eq!(
            text(&plan),
            "+ light.hall\n+ lock.door  (risky)\n- light.old\npreview, nothing was changed; holiday would see 2"
        );
    }
}

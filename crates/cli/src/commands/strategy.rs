//! `strategy`: what settles conflicts, and choosing it.

use crosshome_node::views::{JointView, RuleOrigin, RuleView, StrategyView};
use hyper::Method;
use serde_json::json;

use crate::{
    args,
    client::{Client, part},
    failure::Failure,
    output::Screen,
    text::plain,
};

/// Shows the rules in force, afterwards if they are to be changed.
pub(super) async fn run(args: args::Strategy, client: &Client, screen: &Screen) -> Result<(), Failure> {
    let view: StrategyView = match args {
        args::Strategy::Show => client.get("/strategy").await?,
        args::Strategy::Set { strategy, pattern, template } => {
            let wanted = json!({"strategy": strategy, "match": pattern, "template": template});
            client.send(Method::PUT, "/strategy", &wanted).await?
        }
        args::Strategy::Reset { pattern } => {
            let which = pattern.map(|pattern| format!("?match={}", part(&pattern))).unwrap_or_default();
            client.order(Method::DELETE, &format!("/strategy{which}")).await?
        }
    };
    screen.show(&view, |view| text(view, screen))
}

fn text(view: &StrategyView, screen: &Screen) -> String {
    let own = format!("entities of this home\n{}", table(&view.own, screen));
    match &view.joint {
        None => own,
        Some(joint) => format!("{own}\n\njoint space: {}\n{}", why(joint), table(&joint.rules, screen)),
    }
}

/// Says who chose the joint space's policy, when, and what this home's configuration would say instead.
pub(super) fn why(joint: &JointView) -> String {
    let since = joint.at.map(|at| format!("; since {at}")).unwrap_or_default();
    let other = joint.configured.as_ref().filter(|configured| **configured != joint.strategy);
    let other = other.map(|configured| format!("; configured here: {configured}")).unwrap_or_default();
    format!("{}{since}{other}", plain(&joint.reason))
}

fn table(rules: &[RuleView], screen: &Screen) -> String {
    let row = |rule: &RuleView| {
        let template = rule.template.as_deref().map(plain).unwrap_or_default();
        vec![plain(&rule.pattern), rule.strategy.clone(), origin(rule.origin).to_owned(), template]
    };
    screen.table(&["MATCH", "STRATEGY", "FROM", "TEMPLATE"], &rules.iter().map(row).collect::<Vec<_>>())
}

fn origin(origin: RuleOrigin) -> &'static str {
    match origin {
        RuleOrigin::Configuration => "configuration",
        RuleOrigin::RunTime => "run time",
        RuleOrigin::Default => "default",
    }
}

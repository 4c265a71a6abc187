//! Pairing by code, as two people do it.

use crosshome_core::pairing::Code;

use super::{Home, Lines, Ran, Tap};

/// A home that shows its code.
pub(crate) struct Shown {
    pub(crate) code: String,
    pub(crate) invitation: String,
    pub(crate) lines: Lines,
}

/// Shows a code.
#[track_caller]
pub(crate) fn show(home: &mut Home) -> Shown {
    let mut lines = home.lines(&["--json", "pair", "--show"]);
    let shown = lines.next();
    let text = |key: &str| shown[key].as_str().expect("a text").to_owned();
    let (code, invitation) = (text("code"), text("invitation"));
    home.guard("code", &code);
    home.guard("code", &code.replace('-', ""));
    home.guard("invitation", &invitation);
    Shown { code, invitation, lines }
}

/// Types a code at a home; the code must not reach its log either.
pub(crate) fn type_code(home: &mut Home, code: &str, with: Option<&str>) -> Ran {
    home.guard("code", code);
    home.guard("code", &code.replace('-', ""));
    let with: Vec<&str> = with.iter().flat_map(|with| ["--with", with]).collect();
    home.cli(&[&["--json", "pair", code], &with[..]].concat())
}

/// Pairs two homes on loopback: the first shows the code.
#[track_caller]
pub(crate) fn pair(showing: &mut Home, typing: &mut Home) {
    let address = showing.address();
    pair_at(&address, showing, typing);
}

/// Pairs two homes over a tapped line and returns the code's digits.
#[track_caller]
pub(crate) fn pair_through(tap: &Tap, showing: &mut Home, typing: &mut Home) -> String {
    pair_at(&tap.address, showing, typing)
}

/// Returns another code than this one, with a check digit that is right.
pub(crate) fn other_code(code: &str) -> String {
    let codes = (1..).map(|n| Code::new(&[n; 16]).shown().to_string());
    codes.into_iter().find(|other| other != code).expect("there are many")
}

#[track_caller]
fn pair_at(address: &str, showing: &mut Home, typing: &mut Home) -> String {
    let mut shown = show(showing);
    let typed = type_code(typing, &shown.code, Some(address));
    assert_eq!(typed.code, 0, "{typed:?}");
    let (there, here) = (typed.json(), shown.lines.next());
    assert_eq!(there["paired"]["name"], showing.name);
    assert_eq!(here["paired"]["name"], typing.name);
    assert_eq!(there["paired"]["words"], here["paired"]["words"]);
    let Shown { code, lines, .. } = shown;
    assert_eq!(lines.end().code, 0);
    showing.in_sync_with(&typing.name);
    typing.in_sync_with(&showing.name);
    code.replace('-', "")
}

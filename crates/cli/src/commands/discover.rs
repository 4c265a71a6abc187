//! `discover`: homes on the network.

use std::collections::BTreeSet;

use crosshome_node::views::HomeSeen;

use crate::{
    args::Discover,
    client::Client,
    failure::Failure,
    output::Screen,
    text::{or_dash, yes_no},
};

/// Shows known homes at once and the others when the time is over; as JSON all of them then.
pub(super) async fn run(args: &Discover, client: &Client, screen: &Screen) -> Result<(), Failure> {
    let known: Vec<HomeSeen> = client.get("/discovery/homes").await?;
    if !known.is_empty() {
        screen.text(&table(&known, screen))?;
    }
    let path = format!("/discovery/homes?wait_ms={}", args.timeout.as_millis());
    let found: Vec<HomeSeen> = client.get(&path).await?;
    if screen.is_json() {
        return screen.show(&found, |_| String::new());
    }
    let known: BTreeSet<_> = known.iter().map(|home| &home.id).collect();
    let new: Vec<_> = found.iter().filter(|home| !known.contains(&home.id)).cloned().collect();
    if !new.is_empty() {
        screen.text(&table(&new, screen))?;
    }
    if found.is_empty() {
        screen.note("no homes found; is discovery on there, and are both on one network?");
    }
    Ok(())
}

/// Lists homes.
pub(super) fn table(homes: &[HomeSeen], screen: &Screen) -> String {
    let row = |home: &HomeSeen| {
        let HomeSeen { id, name, addresses, port, version, paired, online, .. } = home;
        let address = addresses.first().map_or("-".to_owned(), |address| format!("{address} port {port}"));
        vec![name.clone(), yes_no(*paired), yes_no(*online), address, or_dash(version.clone()), id.clone()]
    };
    let rows: Vec<_> = homes.iter().map(row).collect();
    screen.table(&["HOME", "PAIRED", "ONLINE", "ADDRESS", "VERSION", "ID"], &rows)
}

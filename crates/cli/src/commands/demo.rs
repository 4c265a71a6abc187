//! `demo`: real homes on this machine, each a process of its own, around a simulated house.
//!
//! [`home`] is one of the processes, [`street`] all of them, [`story`] what has been told. The acts
//! ([`opening`], [`daily`], [`conflict`]) talk to the homes as any other program would, through the API
//! and nothing else. [`live`] shows what each home sees and lets keys play. Nothing leaves the machine:
//! homes speak mDNS on loopback only, on a port of their own.

mod cells;
mod conflict;
mod daily;
mod draw;
mod home;
mod keys;
mod live;
mod opening;
mod seen;
mod story;
mod street;
mod terminal;
mod wait;

use std::{
    io::{self, IsTerminal},
    rc::Rc,
};

use tokio::signal::unix::{SignalKind, signal};

use crate::{args::Demo, failure::Failure, output::Screen};
use story::Story;
use street::Street;

/// The homes and what is told of them.
struct Scene {
    street: Street,
    story: Story,
}

/// Plays the story, or lets a person play; stops every home and removes every file in any case.
pub(super) async fn run(args: &Demo, screen: &Screen) -> Result<(), Failure> {
    let live = !args.once;
    if live && (screen.is_json() || !io::stdin().is_terminal() || !io::stdout().is_terminal()) {
        return Err(Failure::NoTerminal);
    }
    let scene = Scene { street: Street::build(args.homes.into())?, story: Story::new(*screen) };
    let scene = Rc::new(scene);
    let played = tokio::select! {
        played = play(args, &scene, screen) => played,
        stopped = stopped() => stopped,
    };
    scene.street.close().await;
    if live {
        screen.note("all homes are stopped and their files removed");
        // Ctrl-C is as good a way out as q.
        return played
            .or_else(|failure| if matches!(failure, Failure::Interrupted) { Ok(()) } else { Err(failure) });
    }
    scene.story.end(&played)?;
    played
}

async fn play(args: &Demo, scene: &Rc<Scene>, screen: &Screen) -> Result<(), Failure> {
    opening::play(scene).await?;
    match (args.once, args.conflict) {
        (true, false) => daily::play(scene).await,
        (true, true) => conflict::play(scene).await,
        (false, conflict) => live::play(scene, conflict, screen).await,
    }
}

/// Waits for a signal that ends the demo.
async fn stopped() -> Result<(), Failure> {
    let (mut terminate, mut hangup) = (signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
        _ = interrupt.recv() => {}
    }
    Err(Failure::Interrupted)
}

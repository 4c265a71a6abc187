//! The live demo: the picture, kept up to date, and the keys.

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use crosshome_node::views::Stamp;
use tokio::{
    sync::mpsc,
    task::{JoinSet, LocalSet},
    time::{MissedTickBehavior, interval},
};

use super::{
    Scene, conflict,
    draw::{self, Picture},
    keys,
    seen::{self, News, Seen},
    terminal::{self, Terminal},
};
use crate::{failure::Failure, output::Screen};

/// Between two pictures at most, so that a burst of news is drawn once.
const FRAME: Duration = Duration::from_millis(50);

/// Steps that are kept at hand for drawing.
const STEPS: usize = 40;

/// Shows the homes until somebody presses q; with `conflict` that act is played first.
pub(super) async fn play(scene: &Rc<Scene>, conflict: bool, screen: &Screen) -> Result<(), Failure> {
    conflict::write_note(scene, "milk").await?;
    let terminal = Terminal::take()?;
    scene.story.hush();
    LocalSet::new().run_until(show(scene, &terminal, conflict, screen)).await
}

async fn show(
    scene: &Rc<Scene>,
    terminal: &Terminal,
    conflict: bool,
    screen: &Screen,
) -> Result<(), Failure> {
    let shown = draw::room(terminal.size().0).min(scene.street.homes().len());
    let (sender, mut news) = mpsc::channel(256);
    let _watching = seen::watch(scene, shown, &sender);
    let mut window = Window::new(scene, shown, screen);
    let (mut typed, mut frames, mut drawn) = (terminal::keys(), interval(FRAME), Vec::new());
    let (mut acts, mut cable) = (JoinSet::new(), JoinSet::new());
    frames.set_missed_tick_behavior(MissedTickBehavior::Delay);
    if conflict {
        cable.spawn_local(act(scene.clone(), b'c'));
    }
    loop {
        tokio::select! {
            Some(news) = news.recv() => window.take(news),
            key = typed.recv() => match key {
                None | Some(b'q' | b'Q') => return Ok(()),
                // One act at a time at the cable: two would wait for each other.
                Some(b'x' | b'c') if !cable.is_empty() => {}
                Some(key @ (b'x' | b'c')) => drop(cable.spawn_local(act(scene.clone(), key))),
                Some(key) => drop(acts.spawn_local(act(scene.clone(), key))),
            },
            Some(_) = acts.join_next() => {}
            Some(_) = cable.join_next() => {}
            _ = frames.tick() => {
                let (columns, lines) = terminal.size();
                let picture = window.picture(scene, columns, lines);
                if picture != drawn {
                    terminal.draw(&picture)?;
                    drawn = picture;
                }
            }
        }
    }
}

/// Does what a key asks for; a failure is told, not fatal.
async fn act(scene: Rc<Scene>, key: u8) {
    let mark = Instant::now();
    if let Err(failure) = keys::press(&scene, key).await {
        let _ = scene.story.tell("failed", mark, failure.to_string());
    }
}

/// What is drawn.
struct Window {
    names: Vec<String>,
    seen: Vec<Seen>,
    dirs: Vec<String>,
    color: bool,
}

impl Window {
    fn new(scene: &Scene, shown: usize, screen: &Screen) -> Self {
        let homes = &scene.street.homes()[..shown];
        Self {
            names: homes.iter().map(|home| home.name().to_owned()).collect(),
            seen: homes.iter().map(|_| Seen::default()).collect(),
            dirs: homes.iter().map(|home| home.dir().display().to_string()).collect(),
            color: screen.has_color(),
        }
    }

    fn take(&mut self, news: News) {
        self.seen[news.home].take(news.what, Stamp::now());
    }

    fn picture(&self, scene: &Scene, columns: usize, lines: usize) -> Vec<String> {
        let picture = Picture {
            names: &self.names,
            homes: scene.street.homes().len(),
            seen: &self.seen,
            dirs: &self.dirs,
            steps: &scene.story.last(STEPS),
            color: self.color,
        };
        picture.draw(columns, lines)
    }
}

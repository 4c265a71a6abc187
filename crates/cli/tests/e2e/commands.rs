//! Commands while the power of either side is cut: done at most once, ended in every case, and nobody waits for ever.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    chaos::dice::Dice,
    support::{Home, ask, eventually, pair, tell},
};

/// How long power is cut and commands are sent.
const TROUBLE: Duration = Duration::from_secs(9);
/// Longest wait of a caller: a command to a light lives for 30 s.
const WAIT: Duration = Duration::from_secs(40);
const LIGHTS: [&str; 3] = ["light.living_room", "light.hall", "light.garden"];

/// What a caller was told of one command.
struct Told {
    intent: String,
    /// How it ended; nothing where the caller did not wait for that.
    outcome: Option<String>,
}

/// Switches a light again and again, waiting for the outcome every other time, and returns what was told.
fn switch(socket: &Path, light: &str, stop: &AtomicBool) -> Vec<Told> {
    let (mut told, path) = (Vec::new(), format!("/api/v1/sharing/entities/Villa%2F{light}/call"));
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let (asked, wait) = (Instant::now(), number % 2 == 0);
        let body = json!({"service": "toggle", "wait": wait}).to_string();
        let answer = ask(socket, "POST", &path, Some(&body));
        assert!(asked.elapsed() < WAIT, "{light}: a caller waited {:?}: {answer:?}", asked.elapsed());
        match answer {
            Ok(reply) if reply.ok() => {
                let reply = reply.json();
                let text = |key: &str| reply[key].as_str().map(str::to_owned);
                told.push(Told { intent: text("intent").expect("an id"), outcome: text("outcome") });
            }
            Ok(reply) => assert!(!reply.body.is_empty(), "a refusal without words: {reply:?}"),
            Err(_) => thread::sleep(Duration::from_millis(10)), // the power is off
        }
    }
    told
}

/// Returns the lines of a log with a message, by their intent.
fn lines(home: &Home, message: &str) -> BTreeMap<String, Vec<Value>> {
    let mut found = BTreeMap::<_, Vec<_>>::new();
    for line in home.log_text().lines().filter(|line| line.contains(message)) {
        // the last line before a power cut may be half a line
        let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
        found.entry(line["intent"].as_str().unwrap_or_default().to_owned()).or_default().push(line);
    }
    found
}

/// Cuts the power of one home or both again and again.
fn trouble(villa: &mut Home, flat: &mut Home, dice: &mut Dice) -> u32 {
    let (start, mut cuts) = (Instant::now(), 0);
    while start.elapsed() < TROUBLE {
        thread::sleep(Duration::from_millis(dice.below(700)));
        let which = dice.below(3);
        let mut down: Vec<&mut Home> = match which {
            0 => vec![&mut *villa],
            1 => vec![&mut *flat],
            _ => vec![&mut *villa, &mut *flat],
        };
        down.iter_mut().for_each(|home| home.kill());
        thread::sleep(Duration::from_millis(dice.below(300)));
        down.iter_mut().for_each(|home| home.start());
        cuts += 1;
    }
    cuts
}

#[test]
fn command_is_done_at_most_once_and_ends_whoever_loses_power() {
    let (mut villa, mut flat) = (Home::on_loopback("Villa"), Home::started("Flat"));
    villa.simulate();
    [&mut villa, &mut flat].into_iter().for_each(|home| home.log("debug"));
    villa.start();
    pair(&mut villa, &mut flat);
    flat.set("/sync/peers", json!([villa.address()]));
    villa.json(&["share", "light.*", "--with", "Flat", "--grant", "control"]);
    eventually("the lights", || flat.state("Villa/light.garden"));
    let (stop, socket) = (Arc::<AtomicBool>::default(), flat.socket());
    let callers = LIGHTS.map(|light| {
        let (stop, socket) = (stop.clone(), socket.clone());
        thread::spawn(move || switch(&socket, light, &stop))
    });
    let cuts = trouble(&mut villa, &mut flat, &mut Dice::new(5));
    stop.store(true, Ordering::Relaxed);
    let told: Vec<_> = callers.into_iter().flat_map(|caller| caller.join().expect("nobody waits")).collect();
    flat.in_sync_with("Villa");
    eventually("all commands to end", || {
        let all = flat.api("GET", "/sync/entities?all=true", None).json();
        let mut views = all["entities"].as_object()?.values();
        views.all(|view| view["pending"].is_null()).then_some(())
    });
    let (given, ended) = (lines(&villa, "a command goes to the house"), lines(&flat, "a command has ended"));
    let twice: Vec<_> = given.iter().filter(|(_, lines)| lines.len() > 1).collect();
    assert!(twice.is_empty(), "done twice: {twice:?}");
    let settled = told.iter().filter(|told| told.outcome.as_deref() == Some("settled"));
    let undone: Vec<_> =
        settled.clone().filter(|told| !given.contains_key(&told.intent)).map(|t| &t.intent).collect();
    assert!(undone.is_empty(), "said to be done, and never given to the house: {undone:?}");
    let many = ended.iter().filter(|(_, lines)| lines.len() > 1).collect::<Vec<_>>();
    assert!(many.is_empty(), "ended twice: {many:?}");
    let (settled, unwaited) = (settled.count(), told.iter().filter(|told| told.outcome.is_none()).count());
    assert!(settled > 5 && unwaited > 5 && cuts > 5, "{settled} {unwaited} {cuts}");
    tell(&format!(
        "{cuts} power cuts, {} commands accepted, {} given to the house, {} known to have ended, {settled} settled with a caller waiting",
        told.len(),
        given.len(),
        ended.len()
    ));
}

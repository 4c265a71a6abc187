//! The command as people and scripts meet it: the real binary against the real API, with a script in
//! place of the loop.

#[path = "../../node/tests/scripted_loop/mod.rs"]
mod scripted_loop;

use std::{fmt::Write as _, path::Path, process::Stdio, time::Duration};

use crosshome_node::{
    http::{Api, Settings},
    node::News,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    sync::mpsc::UnboundedSender,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

struct Home {
    dir: TempDir,
    url: String,
    tell: UnboundedSender<News>,
    stop: CancellationToken,
    served: JoinHandle<()>,
}

async fn home() -> Home {
    let dir = tempfile::tempdir().expect("a directory");
    let (url, tell, stop, served) = start(dir.path()).await;
    Home { dir, url, tell, stop, served }
}

async fn start(dir: &Path) -> (String, UnboundedSender<News>, CancellationToken, JoinHandle<()>) {
    let (node, tell) = scripted_loop::start();
    let settings = Settings { port: 0, ..Settings::new(dir) };
    let api = Api::bind(&settings, node).await.expect("free port");
    let (url, stop) = (api.url().to_owned(), CancellationToken::new());
    let served = tokio::spawn(api.serve(stop.clone()));
    (url, tell, stop, served)
}

#[derive(Debug)]
struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

fn command(dir: &Path, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crosshome"));
    command.args(line.split_whitespace()).env_clear().env("HOME", dir).env("CROSSHOME__DATA_DIR", dir);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

async fn ran(mut command: Command) -> Ran {
    let output = tokio::time::timeout(Duration::from_secs(20), command.output()).await;
    let output = output.expect("it ends").expect("it starts");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Ran { code: output.status.code().expect("no signal"), out: text(output.stdout), err: text(output.stderr) }
}

async fn run(home: &Home, line: &str) -> Ran {
    ran(command(home.dir.path(), line)).await
}

#[tokio::test]
async fn people_read_this() {
    let home = home().await;
    let mut all = String::new();
    for line in [
        "status",
        "discover --timeout 100ms",
        "pair --show",
        "pair --invite",
        "pair 123-456-784 --with holiday",
        "peers list",
        "peers show holi",
        "share light.hall --with holiday --grant control --preview",
        "share light.hall --with holiday",
        "unshare light.hall",
        "entity list",
        "entity get light.hall",
        "entity set light.hall off --attr brightness=5",
        "entity set light.slow on --no-wait",
        "entity history light.hall",
        "key show",
        "key rotate",
        "doctor",
        "unpair holiday",
        "entity get light.twice",
        "entity set climate.hall off",
        "conflicts list",
        "conflicts list --all",
        "conflicts show climate.hall",
        "conflicts show climate.attic",
        "conflicts resolve climate.hall --take holiday",
        "conflicts resolve climate.hall --merge",
        "conflicts resolve climate.hall --value cool",
        "conflicts resolve climate.hall --take villa --seen t0",
        "strategy show",
        "strategy set latest-wins --match light.*",
        "strategy set custom --template broken",
        "strategy reset",
    ] {
        record(&home, line, &mut all).await;
    }
    insta::assert_snapshot!(all);
}

#[tokio::test]
async fn scripts_read_this() {
    let home = home().await;
    let mut all = String::new();
    for line in [
        "status --json",
        "discover --json --timeout 100ms",
        "pair --json --show",
        "pair --json --invite",
        "pair --json 123-456-784",
        "peers --json list",
        "peers --json show holiday",
        "share --json light.hall --with holiday --preview",
        "unshare --json light.hall --with holiday",
        "entity --json list",
        "entity --json get villa/light.hall",
        "entity --json set light.hall off",
        "entity --json history light.hall",
        "conflicts --json list",
        "conflicts --json show 1",
        "conflicts --json resolve 1 --take villa",
        "key --json show",
        "doctor --json",
        "unpair --json holiday",
        "strategy --json show",
    ] {
        record(&home, line, &mut all).await;
    }
    insta::assert_snapshot!(all);
}

async fn record(home: &Home, line: &str, all: &mut String) {
    let Ran { code, out, err } = run(home, line).await;
    write!(all, "$ crosshome {line}\n{out}").expect("memory");
    if !err.is_empty() {
        writeln!(all, "(stderr) {}", err.trim_end().replace('\n', "\n(stderr) ")).expect("memory");
    }
    write!(all, "(exit {code})\n\n").expect("memory");
}

#[tokio::test]
async fn exit_codes_tell_what_kind_of_failure_it_was() {
    let home = home().await;
    for (line, code) in [
        ("status", 0),
        ("status --fail-on-conflict", 6),
        ("entity get light.nowhere", 1),
        ("entity get light.twice", 2),
        ("entity get light.*", 2),
        ("entity set light.hall", 2),
        ("entity set lock.door unlocked", 5),
        ("entity set climate.hall off", 6),
        ("entity set light.slow on", 7),
        ("conflicts list", 0),
        ("conflicts resolve climate.hall", 2),
        ("conflicts resolve climate.hall --merge --take villa", 2),
        ("conflicts resolve climate.hall --take villa --seen t0", 1),
        ("conflicts resolve climate.hall --take lock", 5),
        ("conflicts resolve climate.attic --merge", 1),
        ("pair 111-111-111", 5),
        ("pair 123-456-789", 2),
        ("pair --cancel", 0),
        ("unpair moon", 1),
        ("peers show moon", 1),
        ("share light.hall --with moon", 1),
        ("doctor", 8),
        ("backup /nowhere/x", 2),
        ("nonsense", 2),
    ] {
        let ran = run(&home, line).await;
        assert_eq!(ran.code, code, "{line}: {ran:?}");
        assert!(code == 0 || !ran.err.is_empty(), "{line} failed without a word");
    }
}

#[tokio::test]
async fn home_that_does_not_run_is_exit_4_with_what_to_do() {
    let dir = tempfile::tempdir().expect("a directory");
    let ran = ran(command(dir.path(), "status")).await;
    assert_eq!((ran.code, ran.out.as_str()), (4, ""));
    assert!(ran.err.contains("no home is running in"), "{}", ran.err);
    assert!(ran.err.contains("crosshome run"), "{}", ran.err);
}

#[tokio::test]
async fn home_that_was_killed_leaves_files_that_deceive_nobody() {
    let dir = tempfile::tempdir().expect("a directory");
    let (node, _tell) = scripted_loop::start();
    let settings = Settings { port: 0, ..Settings::new(dir.path()) };
    drop(Api::bind(&settings, node).await.expect("free port"));
    assert_eq!(ran(command(dir.path(), "status")).await.code, 4);
}

#[tokio::test]
async fn home_elsewhere_is_reached_by_address_and_token() {
    let home = home().await;
    let token = Settings::token_path(home.dir.path());
    let empty = tempfile::tempdir().expect("a directory");
    let line = format!("status --json --api {} --token {}", home.url, token.display());
    assert_eq!(ran(command(empty.path(), &line)).await.json()["home"]["name"], "villa");
    let without = ran(command(empty.path(), &format!("status --api {}", home.url))).await;
    assert_eq!(without.code, 5, "{without:?}");
}

#[tokio::test]
async fn without_its_socket_the_home_is_found_by_api_json() {
    let home = home().await;
    std::fs::remove_file(Settings::socket_path(home.dir.path())).expect("there");
    assert_eq!(run(&home, "status --json").await.json()["home"]["name"], "villa");
}

#[tokio::test]
async fn risky_entity_of_a_glob_or_an_area_is_shared_only_with_a_yes() {
    let home = home().await;
    for wide in ["share lock.* --with holiday", "share area:Hall --with holiday"] {
        let asked = run(&home, wide).await;
        assert_eq!((asked.code, asked.out.as_str()), (1, ""), "{asked:?}");
        assert!(asked.err.contains("--yes"), "{asked:?}");
    }
    assert_eq!(run(&home, "share lock.* --with holiday --yes --json").await.json()["applied"], true);
    assert_eq!(run(&home, "share lock.door --with holiday --json").await.json()["applied"], true);
}

#[tokio::test]
async fn colour_is_for_those_who_ask_for_it() {
    let home = home().await;
    assert!(!run(&home, "entity list").await.out.contains('\x1b'));
    assert!(run(&home, "entity list --color always").await.out.contains("\x1b[1mHOME"));
    assert!(!run(&home, "entity list --color always --json").await.out.contains('\x1b'));
}

#[tokio::test]
async fn mistake_in_a_configuration_is_exit_3_on_stderr_only() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("configuration.yaml");
    std::fs::write(&file, "copilot:\n  sharing:\n    sync:\n      prot: 8765\n").expect("own directory");
    let line = format!("config check {}", file.display());
    let text = ran(command(dir.path(), &line)).await;
    assert_eq!((text.code, text.out.as_str()), (3, ""));
    assert!(
        text.err.contains(&format!("{}:4:7", file.display())) && text.err.contains("did you mean `port`")
    );
    let json = ran(command(dir.path(), &(line + " --json"))).await;
    assert_eq!((json.code, json.out.as_str()), (3, ""));
    assert_eq!(serde_json::from_str::<Value>(&json.err).expect("JSON")[0]["code"], "unknown_key");

    std::fs::write(&file, "copilot:\n  sharing:\n    sync:\n      port: 8765\n").expect("own directory");
    assert!(
        ran(command(dir.path(), &format!("config check {}", file.display())))
            .await
            .out
            .ends_with("is fine\n")
    );
}

#[tokio::test]
async fn each_value_in_force_tells_where_it_comes_from() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut asked = command(dir.path(), "config show --origin --json --data-dir /elsewhere");
    asked.env("CROSSHOME__SYNC__PORT", "9000");
    let shown = ran(asked).await.json();
    assert_eq!(shown["data_dir"], serde_json::json!({"value": "/elsewhere", "origin": "flag --data-dir"}));
    assert_eq!(shown["sync.port"]["value"], 9000);
    assert!(shown["sync.port"]["origin"].as_str().expect("text").contains("CROSSHOME__SYNC__PORT"));
    assert_eq!(shown["api.port"]["origin"], "default");
}

#[tokio::test]
async fn home_is_found_where_its_configuration_puts_it() {
    let home = home().await;
    let house = tempfile::tempdir().expect("a directory");
    let place = house.path().join(".config/crosshome");
    std::fs::create_dir_all(&place).expect("own directory");
    let block = format!("copilot:\n  sharing:\n    data_dir: {}\n", home.dir.path().display());
    std::fs::write(place.join("config.yaml"), block).expect("own directory");
    let mut asked = command(house.path(), "status --json");
    asked.env_remove("CROSSHOME__DATA_DIR");
    assert_eq!(ran(asked).await.json()["home"]["name"], "villa");
}

struct Watching {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Watching {
    fn start(home: &Home, line: &str) -> Self {
        let mut child = command(home.dir.path(), line).spawn().expect("it starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        Self { child, lines }
    }

    async fn line(&mut self) -> Value {
        let line = tokio::time::timeout(Duration::from_secs(10), self.lines.next_line()).await;
        let line = line.expect("in time").expect("text").expect("it goes on");
        serde_json::from_str(&line).expect("JSON")
    }
}

#[tokio::test]
async fn watch_prints_present_values_then_every_change_that_fits() {
    let home = home().await;
    let mut watching = Watching::start(&home, "entity watch light.* --json");
    assert_eq!(watching.line().await["state"], "on");
    for (id, state) in [("lock.door", "open"), ("light.hall", "off"), ("light.hall", "on")] {
        home.tell.send(News::Entity(scripted_loop::entity(id, state))).expect("running");
    }
    assert_eq!(watching.line().await["state"], "off");
    assert_eq!(watching.line().await["state"], "on");
    let gone = News::EntityGone { home: "villa".into(), entity_id: "light.hall".into() };
    home.tell.send(gone).expect("running");
    assert_eq!(watching.line().await["gone"], true);
}

#[tokio::test]
async fn watch_outlives_a_restart_of_the_home_and_repeats_nothing() {
    let home = home().await;
    let mut watching = Watching::start(&home, "entity watch --json");
    assert_eq!(watching.line().await["entity_id"], "light.hall");
    home.stop.cancel();
    home.served.await.expect("it ends");

    let mut err = BufReader::new(watching.child.stderr.take().expect("piped")).lines();
    assert!(err.next_line().await.expect("text").expect("a word").contains("waiting for the home"));
    let (_url, tell, _stop, _served) = start(home.dir.path()).await;
    assert_eq!(err.next_line().await.expect("text").as_deref(), Some("the home is back"));
    // light.hall is as it was, so the next line is the change.
    tell.send(News::Entity(scripted_loop::entity("light.porch", "on"))).expect("running");
    assert_eq!(watching.line().await["entity_id"], "light.porch");
}

#[tokio::test]
async fn reader_that_has_had_enough_is_no_error() {
    let home = home().await;
    let mut watching = Watching::start(&home, "entity watch --json");
    watching.line().await;
    let Watching { mut child, lines } = watching;
    drop(lines);
    let news = async {
        for state in ["off", "on"].into_iter().cycle() {
            home.tell.send(News::Entity(scripted_loop::entity("light.hall", state))).expect("running");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let ended = async {
        tokio::select! { ended = child.wait() => ended, () = news => unreachable!("it has no end") }
    };
    let ended = tokio::time::timeout(Duration::from_secs(30), ended).await;
    ended.expect("it ends by itself").expect("waited for");
    let mut err = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut err).await.expect("text");
    assert_eq!(err, "");
}

#[tokio::test]
async fn completions_and_manual_need_no_home() {
    let dir = tempfile::tempdir().expect("a directory");
    for (line, text) in
        [("completions bash", "_crosshome()"), ("completions fish", "complete -c"), ("man", ".TH")]
    {
        let ran = ran(command(dir.path(), line)).await;
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(ran.out.contains(text), "{line}");
    }
}

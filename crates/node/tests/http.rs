//! The API as programs and attackers meet it: real bytes on a real unix socket and a real TCP port.

mod scripted_loop;

use std::{os::unix::fs::PermissionsExt, path::Path, time::Duration};

use crosshome_node::{
    defaults::{BODY_BYTES, HEAD_BYTES},
    http::{Api, ApiError, Found, Settings, Token},
    node::{News, Node},
    views::LinkState,
};
use scripted_loop::{entity, peer};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixStream},
    sync::mpsc::UnboundedSender,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

struct Home {
    dir: TempDir,
    authority: String,
    token: String,
    tell: UnboundedSender<News>,
    stop: CancellationToken,
    served: JoinHandle<()>,
}

async fn home() -> Home {
    let (node, tell) = scripted_loop::start();
    let dir = tempfile::tempdir().expect("a directory");
    let api = bind(dir.path(), node).await.expect("free port");
    let token = Token::load(&Settings::token_path(dir.path())).expect("made").reveal().to_owned();
    let (authority, stop) = (api.address().to_string(), CancellationToken::new());
    let served = tokio::spawn(api.serve(stop.clone()));
    Home { dir, authority, token, tell, stop, served }
}

async fn bind(dir: &Path, node: Node) -> Result<Api, ApiError> {
    let settings = Settings { port: 0, names: vec!["villa.local".into()], ..Settings::new(dir) };
    Api::bind(&settings, node).await
}

#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &[u8]) -> Answer {
    let (mut reader, mut writer) = tokio::io::split(&mut stream);
    // The answer may come, and the door close, before all of a large body is written.
    let write = async { _ = writer.write_all(request).await };
    let mut bytes = Vec::new();
    let read = async { _ = reader.read_to_end(&mut bytes).await };
    tokio::time::timeout(Duration::from_secs(20), async { tokio::join!(write, read) })
        .await
        .expect("an answer");
    let text = String::from_utf8(bytes).expect("text");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head in {text:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Answer { status, head: head.to_lowercase(), body: body.to_owned() }
}

impl Home {
    /// Sends exactly these header lines over TCP.
    async fn raw(&self, line: &str, headers: &str, body: &str) -> Answer {
        let stream = TcpStream::connect(&self.authority).await.expect("it listens");
        let request = format!("{line} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n{body}");
        exchange(stream, request.as_bytes()).await
    }

    /// Calls over TCP as a well behaved program does.
    async fn call(&self, line: &str, body: &str) -> Answer {
        self.raw(line, &self.headers(body), body).await
    }

    /// Calls over the unix socket, without a token.
    async fn call_socket(&self, line: &str, body: &str) -> Answer {
        let stream = UnixStream::connect(Settings::socket_path(self.dir.path())).await.expect("it listens");
        let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
        let length = body.len();
        let head = format!(
            "{line} HTTP/1.1\r\nHost: home\r\n{kind}Content-Length: {length}\r\nConnection: close\r\n\r\n"
        );
        exchange(stream, (head + body).as_bytes()).await
    }

    fn headers(&self, body: &str) -> String {
        let Self { authority, token, .. } = self;
        let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
        format!(
            "Host: {authority}\r\nAuthorization: Bearer {token}\r\n{kind}Content-Length: {}\r\n",
            body.len()
        )
    }

    async fn events(&self, query: &str, last: Option<&str>) -> EventReader {
        let mut stream = TcpStream::connect(&self.authority).await.expect("it listens");
        let last = last.map(|last| format!("Last-Event-ID: {last}\r\n")).unwrap_or_default();
        let request = format!("GET /api/v1/sharing/events{query} HTTP/1.1\r\n{}{last}\r\n", self.headers(""));
        stream.write_all(request.as_bytes()).await.expect("it reads");
        EventReader { stream, text: String::new() }
    }
}

struct EventReader {
    stream: TcpStream,
    text: String,
}

impl EventReader {
    /// Reads until this stands in the stream, and returns all before and up to it.
    async fn until(&mut self, wanted: &str) -> String {
        let read = async {
            loop {
                if let Some(at) = self.text.find(wanted) {
                    return self.text.drain(..at + wanted.len()).collect();
                }
                let mut bytes = [0; 4096];
                let count = self.stream.read(&mut bytes).await.expect("open");
                assert_ne!(count, 0, "the stream ended after {:?}", self.text);
                self.text.push_str(std::str::from_utf8(&bytes[..count]).expect("text"));
            }
        };
        let read = tokio::time::timeout(Duration::from_secs(10), read);
        read.await.unwrap_or_else(|_| panic!("{wanted:?} never came"))
    }

    async fn id(&mut self) -> String {
        self.until("id: ").await;
        self.until("\n").await.trim().to_owned()
    }
}

#[tokio::test]
async fn call_over_tcp_needs_the_token_and_over_the_socket_none() {
    let home = home().await;
    let without = home.raw("GET /api/v1/sharing/status", &format!("Host: {}\r\n", home.authority), "").await;
    assert_eq!(without.status, 401);
    assert!(without.head.contains("www-authenticate: bearer"));
    assert_eq!(home.call("GET /api/v1/sharing/status", "").await.status, 200);
    assert_eq!(home.call_socket("GET /api/v1/sharing/status", "").await.json()["home"]["name"], "villa");
}

#[tokio::test]
async fn wrong_token_is_refused_on_every_path_but_the_open_ones() {
    let home = home().await;
    let headers = format!("Host: {}\r\nAuthorization: Bearer {}\r\n", home.authority, "0".repeat(64));
    for path in
        ["/api/v1/sharing", "/api/v1/sharing/key", "/metrics", "/no/such/path", "/api/v1/sharing/events"]
    {
        assert_eq!(home.raw(&format!("GET {path}"), &headers, "").await.status, 401, "{path}");
    }
    for path in ["/", "/health/live", "/health/ready", "/api/v1/openapi.json"] {
        assert_eq!(home.raw(&format!("GET {path}"), &headers, "").await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn socket_and_token_are_for_their_owner_only() {
    let home = home().await;
    for path in [Settings::socket_path(home.dir.path()), Settings::token_path(home.dir.path())] {
        let mode = std::fs::metadata(&path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", path.display());
    }
}

#[tokio::test]
async fn foreign_host_gets_421_even_where_no_token_is_needed() {
    let home = home().await;
    for host in ["evil.example", "localhost.evil.example", "", "127.0.0.1@evil.example"] {
        let headers = format!("Host: {host}\r\nAuthorization: Bearer {}\r\n", home.token);
        for path in ["/", "/health/live", "/api/v1/sharing/status", "/no/such/path"] {
            assert_eq!(home.raw(&format!("GET {path}"), &headers, "").await.status, 421, "{host} {path}");
        }
    }
    let named = format!("Host: villa.local:80\r\nAuthorization: Bearer {}\r\n", home.token);
    assert_eq!(home.raw("GET /api/v1/sharing/status", &named, "").await.status, 200);
}

#[tokio::test]
async fn absolute_target_of_a_foreign_host_gets_421() {
    let home = home().await;
    assert_eq!(home.call("GET http://evil.example/health/live", "").await.status, 421);
}

#[tokio::test]
async fn two_hosts_are_none() {
    let home = home().await;
    let twice = format!("Host: {}\r\nHost: evil.example\r\n", home.authority);
    assert_eq!(home.raw("GET /health/live", &twice, "").await.status, 421);
}

#[tokio::test]
async fn foreign_origin_gets_403_and_the_own_one_passes() {
    let home = home().await;
    let with = |origin: String| format!("{}Origin: {origin}\r\n", home.headers(""));
    let line = "GET /api/v1/sharing/status";
    assert_eq!(home.raw(line, &with(format!("http://{}", home.authority)), "").await.status, 200);
    for origin in ["http://evil.example", "null", "http://127.0.0.1:1"] {
        assert_eq!(home.raw(line, &with(origin.into()), "").await.status, 403, "{origin}");
    }
}

#[tokio::test]
async fn body_of_another_type_gets_415_and_none_needs_no_type() {
    let home = home().await;
    let (line, body) = ("POST /api/v1/sharing/entities/light.hall/state", r#"{"state":"off"}"#);
    let base = format!("Host: {}\r\nAuthorization: Bearer {}\r\n", home.authority, home.token);
    for kind in ["", "Content-Type: text/plain\r\n", "Content-Type: application/x-www-form-urlencoded\r\n"] {
        let headers = format!("{base}{kind}Content-Length: {}\r\n", body.len());
        let refused = home.raw(line, &headers, body).await;
        assert_eq!(refused.status, 415, "{kind}");
        assert!(refused.head.contains("content-type: application/problem+json"), "{}", refused.head);
    }
    let charset =
        format!("{base}Content-Type: application/json; charset=utf-8\r\nContent-Length: {}\r\n", body.len());
    assert_eq!(home.raw(line, &charset, body).await.json()["state"], "off");
    assert_eq!(home.call("POST /api/v1/sharing/pairing/cancel", "").await.status, 200);
}

#[tokio::test]
async fn body_over_the_limit_gets_413_and_a_bomb_400() {
    let home = home().await;
    let line = "POST /api/v1/sharing/entities/light.hall/state";
    let large = format!(r#"{{"state":"{}"}}"#, "x".repeat(BODY_BYTES));
    assert_eq!(home.call(line, &large).await.status, 413);
    let wide = format!(r#"{{"patch":{{"a":[{}0]}}}}"#, "{},".repeat(5_000));
    assert_eq!(home.call(line, &wide).await.json()["error"], "JSON has more than 4096 values");
    let deep = format!(r#"{{"patch":{{"a":{}{}}}}}"#, "[".repeat(40), "]".repeat(40));
    assert_eq!(home.call(line, &deep).await.json()["error"], "JSON is nested deeper than 32 levels");
}

#[tokio::test]
async fn endless_head_is_refused() {
    let home = home().await;
    let headers = format!("{}X-Long: {}\r\n", home.headers(""), "x".repeat(2 * HEAD_BYTES));
    assert_eq!(home.raw("GET /health/live", &headers, "").await.status, 431);
}

#[tokio::test]
async fn every_answer_carries_the_strict_policy() {
    let home = home().await;
    let refused = home.raw("GET /", "Host: evil.example\r\n", "").await;
    for answer in [home.call("GET /", "").await, home.call("GET /no/such/path", "").await, refused] {
        for header in ["content-security-policy: default-src 'none'", "x-frame-options: deny", "nosniff"] {
            assert!(answer.head.contains(header), "{header} in {}", answer.head);
        }
    }
}

#[tokio::test]
async fn problems_have_title_status_and_error() {
    let home = home().await;
    for (line, body, status, code) in [
        ("GET /api/v1/sharing/sync/entities/light.nowhere", "", 404, "not_found"),
        ("GET /api/v1/sharing/sync/entities/light.twice", "", 409, "ambiguous"),
        ("GET /api/v1/sharing/sync/entities/light.%0Ahall", "", 400, "invalid"),
        ("GET /api/v1/sharing/entities/%ff", "", 400, "invalid"),
        ("GET /api/v1/sharing/conflicts?all=perhaps", "", 400, "invalid"),
        ("POST /api/v1/sharing/conflicts/1/resolve", r#"{"token":"t0","take":"villa"}"#, 409, "stale"),
        ("POST /api/v1/sharing/conflicts/1/resolve", r#"{"token":"t1"}"#, 400, "invalid"),
        ("POST /api/v1/sharing/conflicts/1/resolve", r#"{"take":"villa"}"#, 400, "invalid"),
        ("POST /api/v1/sharing/conflicts/2/resolve", r#"{"token":"t1","merge":true}"#, 404, "not_found"),
        ("POST /api/v1/sharing/entities", "{}", 400, "invalid"),
        ("POST /api/v1/sharing/entities/climate.hall/state", r#"{"state":"off"}"#, 409, "conflict_open"),
        ("POST /api/v1/sharing/entities/lock.door/state", r#"{"state":"off"}"#, 403, "not_allowed"),
        ("POST /api/v1/sharing/entities/light.hall/state", r#"{"stat":"off"}"#, 400, "invalid"),
        ("POST /api/v1/sharing/pairing/accept", r#"{"code":"111-111-111"}"#, 403, "wrong_code"),
        ("POST /api/v1/sharing/pairing/accept", r#"{"with":"holiday"}"#, 400, "invalid"),
        ("POST /api/v1/sharing/shares", r#"{"entities":["light.*"],"with":[]}"#, 400, "invalid"),
        ("POST /api/v1/sharing/entities/light.hall/share-with", r#"{"home_id":"moon"}"#, 404, "not_found"),
        ("PATCH /api/v1/sharing/entities", "", 405, "http"),
        ("GET /api/v1/sharing/nothing", "", 404, "http"),
    ] {
        let problem = home.call(line, body).await.json();
        assert_eq!(
            (problem["status"].as_u64(), problem["code"].as_str()),
            (Some(status), Some(code)),
            "{line}"
        );
        assert!(problem["title"].is_string() && problem["error"].is_string(), "{problem}");
    }
}

#[tokio::test]
async fn conflict_is_settled_with_its_token_and_a_stale_one_brings_the_present_set() {
    let home = home().await;
    let list = home.call("GET /api/v1/sharing/conflicts?all=true", "").await.json();
    let token = list["conflicts"][0]["token"].as_str().expect("a token").to_owned();
    let path = "POST /api/v1/sharing/conflicts/climate.hall/resolve";
    for choice in [r#""take": "holiday""#, r#""merge": true"#, r#""value": {"state": "cool"}"#] {
        let answer = home.call(path, &format!(r#"{{"token": "{token}", {choice}}}"#)).await.json();
        assert_eq!(
            (&answer["ok"], &answer["conflict"]["status"]),
            (&true.into(), &"settled".into()),
            "{choice}"
        );
    }
    let problem = home.call(path, r#"{"token": "t0", "take": "holiday"}"#).await.json();
    assert_eq!(problem["present"]["token"], token.as_str());
    assert_eq!(problem["present"]["versions"][1]["state"], "off");
}

#[tokio::test]
async fn id_with_its_home_is_one_part_of_the_path() {
    let home = home().await;
    let entity = home.call("GET /api/v1/sharing/sync/entities/villa%2Flight.hall", "").await.json();
    assert_eq!(entity["entity_id"], "light.hall");
    assert_eq!(entity["attributes"]["brightness"], 100);
    assert_eq!(entity["last_updated"], "2023-11-14T22:13:20.123Z");
}

#[tokio::test]
async fn other_keys_of_a_registry_change_are_metadata() {
    let home = home().await;
    let body = r#"{"shared":false,"room":"hall","metadata":{"floor":1}}"#;
    let changed = home.call("PUT /api/v1/sharing/entities/light.hall", body).await.json();
    assert_eq!(changed["entity"]["shared"], false);
    assert_eq!(changed["entity"]["metadata"], serde_json::json!({"floor": 1, "room": "hall"}));
}

#[tokio::test]
async fn document_describes_exactly_the_paths_that_answer() {
    let home = home().await;
    let document = home.call("GET /api/v1/openapi.json", "").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().expect("an object");
    for (path, item) in paths {
        let real = path.replace("{id}", "light.hall").replace("{home_id}", "holiday");
        for method in item.as_object().expect("an object").keys().filter(|_| !path.ends_with("/events")) {
            let answer = home.call(&format!("{} {real}", method.to_uppercase()), "").await;
            assert_ne!(answer.status, 405, "{method} {path}");
            assert!(!answer.body.contains("there is nothing at this path"), "{method} {path}");
        }
    }
    for path in OLD_PATHS {
        assert!(paths.contains_key(&format!("/api/v1{path}")), "{path}");
    }
}

const OLD_PATHS: [&str; 13] = [
    "/sharing",
    "/sharing/entities",
    "/sharing/entities/shared",
    "/sharing/entities/{id}",
    "/sharing/entities/{id}/share-with",
    "/sharing/entities/{id}/stop-sharing/{home_id}",
    "/sharing/entities/{id}/shared-with",
    "/sharing/sync/status",
    "/sharing/sync/entities",
    "/sharing/sync/entities/{id}",
    "/sharing/sync/peers",
    "/sharing/discovery/peers",
    "/sharing/discovery/local",
];

#[tokio::test]
async fn present_values_come_first_and_then_every_change() {
    let home = home().await;
    let mut events = home.events("?present=true", None).await;
    assert!(events.until("event: present").await.contains(r#""entity_id":"light.hall""#));
    for state in ["off", "on", "off"] {
        home.tell.send(News::Entity(entity("light.hall", state))).expect("running");
    }
    for state in ["off", "on", "off"] {
        events.until(&format!(r#""state":"{state}""#)).await;
    }
    home.tell.send(News::Peer(peer(LinkState::Offline))).expect("running");
    events.until("event: peer\n").await;
    events.until(r#""state":"offline""#).await;
}

#[tokio::test]
async fn client_that_was_away_gets_what_it_missed_once() {
    let home = home().await;
    let mut events = home.events("", None).await;
    let place = events.id().await;
    drop(events);
    for state in ["first", "second"] {
        home.tell.send(News::Entity(entity("light.hall", state))).expect("running");
    }
    let mut events = home.events("", Some(&place)).await;
    let missed = events.until(r#""state":"second""#).await;
    assert_eq!(missed.matches(r#""state":"first""#).count(), 1);
    assert!(!missed.contains("event: reset"));
}

#[tokio::test]
async fn client_with_all_present_values_resumes_without_them() {
    let home = home().await;
    let mut events = home.events("?present=true", None).await;
    let place = events.id().await;
    drop(events);
    home.tell.send(News::Entity(entity("light.porch", "on"))).expect("running");
    let mut events = home.events("?present=true", Some(&place)).await;
    let missed = events.until(r#""entity_id":"light.porch""#).await;
    assert!(!missed.contains("light.hall") && !missed.contains("event: reset"), "{missed}");
}

#[tokio::test]
async fn client_of_an_earlier_start_is_told_to_start_anew() {
    let home = home().await;
    let mut events = home.events("?present=true", Some("00000000-12")).await;
    let told = events.until("event: present").await;
    assert!(told.find("event: reset").expect("said so") < told.find("event: entity").expect("sent again"));
}

#[tokio::test]
async fn stopping_ends_open_streams_and_takes_the_socket_away() {
    let home = home().await;
    let mut events = home.events("?present=true", None).await;
    events.until("event: present").await;
    assert_eq!(Found::load(home.dir.path()).expect("written").url, format!("http://{}", home.authority));
    home.stop.cancel();
    tokio::time::timeout(Duration::from_secs(5), home.served).await.expect("soon").expect("no panic");
    assert!(!Settings::socket_path(home.dir.path()).exists());
    assert!(Found::load(home.dir.path()).is_err());
}

#[tokio::test]
async fn second_home_in_one_directory_is_refused_and_a_dead_one_s_socket_replaced() {
    let running = home().await;
    let second = bind(running.dir.path(), scripted_loop::start().0).await;
    assert!(matches!(second, Err(ApiError::Running(_))));

    let dir = tempfile::tempdir().expect("a directory");
    drop(bind(dir.path(), scripted_loop::start().0).await.expect("first"));
    assert!(Settings::socket_path(dir.path()).exists());
    bind(dir.path(), scripted_loop::start().0).await.expect("the first one is dead");
}

#[tokio::test]
async fn idle_connections_do_not_keep_others_out_for_ever() {
    let home = home().await;
    let mut idle = Vec::new();
    for _ in 0..crosshome_node::defaults::API_CONNECTIONS {
        idle.push(TcpStream::connect(&home.authority).await.expect("the system queues it"));
    }
    // Those who say nothing are shown out, and this call is let in.
    assert_eq!(home.call("GET /health/live", "").await.status, 200);
}

//! Talks to the running home: by the unix socket in its directory, else by TCP with its token.

use std::{path::PathBuf, time::Duration};

use crosshome_node::{
    config::{Config, Sources},
    http::{Found, Problem, Settings, Token},
};
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, Response,
    body::{Bytes, Incoming},
    client::conn::http1,
    header,
};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    time::timeout,
};

use crate::{args::Common, failure::Failure};

/// Longest wait for a connection: a home on the same network answers in milliseconds.
const CONNECT_WAIT: Duration = Duration::from_secs(5);

/// Longest wait for an answer: commands live up to 30 s, discovery up to 60 s.
const ANSWER_WAIT: Duration = Duration::from_secs(90);

const ROOT: &str = "/api/v1/sharing";

/// The way to one home.
#[derive(Debug)]
pub(crate) struct Client {
    data_dir: PathBuf,
    api: Option<String>,
    token: Option<PathBuf>,
}

impl Client {
    /// Finds the home that the arguments name.
    ///
    /// # Errors
    /// The configuration, which says where its directory is, has mistakes.
    pub(crate) fn new(common: &Common) -> Result<Self, Failure> {
        let data_dir = match &common.data_dir {
            Some(dir) => dir.clone(),
            None => Config::load(&Sources::of_process(None, Vec::new()))?.config.data_dir,
        };
        Ok(Self { data_dir, api: common.api.clone(), token: common.token.clone() })
    }

    /// Finds the home in this directory.
    pub(crate) fn of_dir(data_dir: PathBuf) -> Self {
        Self { data_dir, api: None, token: None }
    }

    /// Reads something.
    ///
    /// # Errors
    /// The home is not reachable, says no, or answers what this version does not read.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.ask(Method::GET, path, None).await
    }

    /// Orders something without a body.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(crate) async fn order<T: DeserializeOwned>(&self, method: Method, path: &str) -> Result<T, Failure> {
        self.ask(method, path, None).await
    }

    /// Sends a body.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(crate) async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        let body = serde_json::to_vec(body).map_err(|error| Failure::Garbled(error.to_string()))?;
        self.ask(method, path, Some(body)).await
    }

    /// Opens an answer that goes on.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(crate) async fn open(&self, path: &str, last_event: Option<&str>) -> Result<Incoming, Failure> {
        let mut request = Request::get(format!("{ROOT}{path}"));
        if let Some(id) = last_event {
            request = request.header("last-event-id", id);
        }
        let response = self.exchange(request, None).await?;
        if response.status().is_success() { Ok(response.into_body()) } else { Err(refusal(response).await) }
    }

    /// Sends a body and opens the answer, which is not JSON.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(crate) async fn fetch(&self, path: &str, body: &impl Serialize) -> Result<Incoming, Failure> {
        let body = serde_json::to_vec(body).map_err(|error| Failure::Garbled(error.to_string()))?;
        let response = self.exchange(Request::post(format!("{ROOT}{path}")), Some(body)).await?;
        if response.status().is_success() { Ok(response.into_body()) } else { Err(refusal(response).await) }
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<T, Failure> {
        let request = Request::builder().method(method).uri(format!("{ROOT}{path}"));
        let response = self.exchange(request, body).await?;
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        let bytes = read(response).await?;
        serde_json::from_slice(&bytes).map_err(|error| Failure::Garbled(error.to_string()))
    }

    async fn exchange(
        &self,
        request: hyper::http::request::Builder,
        body: Option<Vec<u8>>,
    ) -> Result<Response<Incoming>, Failure> {
        if let Some(url) = &self.api {
            return self.over_tcp(url, request, body).await;
        }
        let socket = Settings::socket_path(&self.data_dir);
        if let Ok(Ok(stream)) = timeout(CONNECT_WAIT, UnixStream::connect(socket)).await {
            return send(stream, request.header(header::HOST, "localhost"), body).await;
        }
        match Found::load(&self.data_dir) {
            Ok(found) => match self.over_tcp(&found.url, request, body).await {
                // The file outlived a home that was killed.
                Err(Failure::NoAnswer { .. }) => Err(Failure::NotRunning(self.data_dir.clone())),
                answered => answered,
            },
            Err(_) => Err(Failure::NotRunning(self.data_dir.clone())),
        }
    }

    async fn over_tcp(
        &self,
        url: &str,
        request: hyper::http::request::Builder,
        body: Option<Vec<u8>>,
    ) -> Result<Response<Incoming>, Failure> {
        let authority = authority(url)?;
        let default = Settings::token_path(&self.data_dir);
        let token = Token::load(self.token.as_deref().unwrap_or(&default))?;
        let no_answer = |reason: String| Failure::NoAnswer { url: url.to_owned(), reason };
        let connecting = timeout(CONNECT_WAIT, TcpStream::connect(with_port(&authority))).await;
        let stream = connecting
            .map_err(|_| no_answer("no answer in time".to_owned()))?
            .map_err(|error| no_answer(error.to_string()))?;
        let request = request
            .header(header::HOST, authority)
            .header(header::AUTHORIZATION, format!("Bearer {}", token.reveal()));
        send(stream, request, body).await
    }
}

fn authority(url: &str) -> Result<String, Failure> {
    let bad = || Failure::BadUrl(url.to_owned());
    let rest = url.strip_prefix("http://").ok_or_else(bad)?;
    let authority: hyper::http::uri::Authority = rest.trim_end_matches('/').parse().map_err(|_| bad())?;
    Ok(authority.to_string())
}

fn with_port(authority: &str) -> String {
    let after_host = authority.rsplit(']').next().unwrap_or(authority);
    if after_host.contains(':') { authority.to_owned() } else { format!("{authority}:80") }
}

async fn send(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: hyper::http::request::Builder,
    body: Option<Vec<u8>>,
) -> Result<Response<Incoming>, Failure> {
    let broke = |error: hyper::Error| Failure::BrokeOff(error.to_string());
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broke)?;
    // It ends with the answer; what breaks it is told to whoever reads that.
    tokio::spawn(connection);
    let request = match &body {
        Some(_) => request.header(header::CONTENT_TYPE, "application/json"),
        None => request,
    };
    let request = request
        .body(Full::new(Bytes::from(body.unwrap_or_default())))
        .map_err(|error| Failure::Garbled(error.to_string()))?;
    timeout(ANSWER_WAIT, sender.send_request(request)).await.map_err(|_| no_answer())?.map_err(broke)
}

async fn read(response: Response<Incoming>) -> Result<Bytes, Failure> {
    let reading = timeout(ANSWER_WAIT, response.into_body().collect()).await.map_err(|_| no_answer())?;
    Ok(reading.map_err(|error| Failure::BrokeOff(error.to_string()))?.to_bytes())
}

fn no_answer() -> Failure {
    Failure::TimedOut(format!("the home gave no answer within {} s", ANSWER_WAIT.as_secs()))
}

async fn refusal(response: Response<Incoming>) -> Failure {
    let status = response.status();
    match read(response).await {
        Ok(bytes) => match serde_json::from_slice::<Problem>(&bytes) {
            Ok(problem) => problem.into(),
            Err(_) => Failure::Garbled(format!("status {status}")),
        },
        Err(failure) => failure,
    }
}

/// Writes a name as one part of a path.
pub(crate) fn part(name: &str) -> String {
    let mut part = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => part.push(byte.into()),
            _ => part.push_str(&format!("%{byte:02X}")),
        }
    }
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slash_and_blank_stay_within_one_part_of_a_path() {
        assert_eq!(part("flat 3/4/light.hall"), "flat%203%2F4%2Flight.hall");
    }

    #[test]
    fn address_without_port_is_the_web_s() {
        assert_eq!(with_port(&authority("http://villa.local/").expect("fine")), "villa.local:80");
        assert_eq!(with_port(&authority("http://[::1]").expect("fine")), "[::1]:80");
        assert_eq!(with_port(&authority("http://[::1]:8766").expect("fine")), "[::1]:8766");
        assert!(authority("https://villa.local").is_err() && authority("villa.local").is_err());
    }
}

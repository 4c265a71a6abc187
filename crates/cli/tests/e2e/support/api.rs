//! The home's HTTP API over its unix socket, without any library of ours in between.

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use serde_json::Value;

/// An answer of the API.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Reply {
    /// Reads the body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Tells whether the call was carried out.
    pub(crate) fn ok(&self) -> bool {
        self.status == 200
    }
}

/// Asks the home whose socket this is; fails when it is not there or goes away before it has answered.
pub(crate) fn ask(socket: &Path, method: &str, path: &str, body: Option<&str>) -> io::Result<Reply> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    if let Some(body) = body {
        request += &format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    } else {
        request += "\r\n";
    }
    // Who asks too much gets an answer before everything is said.
    let said = stream.write_all(request.as_bytes());
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    parse(&answer).ok_or_else(|| said.err().unwrap_or_else(|| io::Error::other("the answer broke off")))
}

fn parse(answer: &[u8]) -> Option<Reply> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let length =
        head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let whole = length.is_none_or(|length: usize| body.len() >= length);
    whole.then(|| Reply { status, body: body.to_owned() })
}

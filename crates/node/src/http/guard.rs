//! Who may come in over the network: Host, Origin, token, kind of body, in this order, before routing.
//!
//! The API listens where a browser can reach it, so every page on the web can send it requests. A Host
//! that is not ours means DNS rebinding, a foreign Origin a foreign page, a body of another type a form
//! (SECURITY.md T28 to T30). The unix socket skips Host and token: its file mode is the permission.

use std::{net::IpAddr, sync::Arc};

use axum::{
    body::HttpBody,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{problem::Problem, token::Token};

/// What needs no token; all else does, also what does not exist.
const OPEN: [&str; 4] = ["/", "/health/live", "/health/ready", "/api/v1/openapi.json"];

/// What the network door checks.
#[derive(Debug, Clone)]
pub(super) struct Guard {
    token: Arc<Token>,
    names: Arc<[String]>,
}

impl Guard {
    /// Admits requests to these host names, to `localhost` and to addresses, that carry the token.
    pub(super) fn new(token: Token, names: &[String]) -> Self {
        let names = names.iter().map(|name| name.to_ascii_lowercase()).collect();
        Self { token: Arc::new(token), names }
    }

    fn check(&self, request: &Request) -> Result<(), Problem> {
        self.check_host(request.uri(), request.headers())?;
        check_origin(request.headers())?;
        if OPEN.contains(&request.uri().path()) { Ok(()) } else { self.check_token(request.headers()) }
    }

    fn check_host(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        // In absolute form the target overrides Host (RFC 9112, 3.2.2), so both must be ours.
        let target_is_ours = uri.authority().is_none_or(|target| self.is_ours(target));
        match only(headers, header::HOST).and_then(|host| host.parse::<Authority>().ok()) {
            Some(host) if target_is_ours && self.is_ours(&host) => Ok(()),
            _ => Err(Problem::refused(
                StatusCode::MISDIRECTED_REQUEST,
                "the Host header names another host; call this home by its address or as localhost",
            )),
        }
    }

    fn is_ours(&self, authority: &Authority) -> bool {
        let host = authority.host().to_ascii_lowercase();
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&host);
        // `user@` may only stand there to deceive.
        !authority.as_str().contains('@')
            && (host == "localhost" || bare.parse::<IpAddr>().is_ok() || self.names.contains(&host))
    }

    fn check_token(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let given = only(headers, header::AUTHORIZATION).and_then(bearer).unwrap_or_default();
        if self.token.is(given.as_bytes()) {
            return Ok(());
        }
        Err(Problem::refused(
            StatusCode::UNAUTHORIZED,
            "this call needs the token: Authorization: Bearer, then the content of api_token in the data directory",
        ))
    }
}

/// Lets a request from the network through, or answers for the home.
pub(super) async fn guard(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    match guard.check(&request) {
        Ok(()) => next.run(request).await,
        Err(problem) => dressed(problem.into_response()),
    }
}

/// Refuses what no door lets in, and dresses every answer for browsers.
pub(super) async fn every_door(request: Request, next: Next) -> Response {
    let checked = check_origin(request.headers()).and_then(|()| check_body_type(&request));
    dressed(match checked {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    })
}

fn check_origin(headers: &HeaderMap) -> Result<(), Problem> {
    if !headers.contains_key(header::ORIGIN) {
        return Ok(());
    }
    let origin = only(headers, header::ORIGIN).and_then(|origin| origin.split_once("://"));
    let host = only(headers, header::HOST);
    match (origin, host) {
        (Some(("http" | "https", origin)), Some(host)) if origin.eq_ignore_ascii_case(host) => Ok(()),
        _ => Err(Problem::refused(StatusCode::FORBIDDEN, "pages of another origin may not call this home")),
    }
}

fn check_body_type(request: &Request) -> Result<(), Problem> {
    let reads_only = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let no_type = !request.headers().contains_key(header::CONTENT_TYPE);
    if reads_only || (no_type && request.body().is_end_stream()) {
        return Ok(());
    }
    let kind = only(request.headers(), header::CONTENT_TYPE).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Problem::refused(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "the body must be Content-Type: application/json",
    ))
}

/// The value of a header that stands there once; twice is a quarrel nobody should settle by guessing.
fn only(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'";

fn dressed(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CSP),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(host: &str) -> bool {
        let dir = tempfile::tempdir().expect("a directory");
        let token = Token::load_or_make(&dir.path().join("api_token")).expect("made");
        let guard = Guard::new(token, &["Villa.local".to_owned()]);
        host.parse::<Authority>().is_ok_and(|authority| guard.is_ours(&authority))
    }

    #[test]
    fn addresses_localhost_and_own_names_are_ours() {
        for host in
            ["127.0.0.1", "127.0.0.1:8766", "[::1]:8766", "localhost", "LOCALHOST:1", "villa.local:8766"]
        {
            assert!(ours(host), "{host}");
        }
    }

    #[test]
    fn names_that_only_look_like_ours_are_not() {
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "localhost.",
            "localhost@evil",
        ] {
            assert!(!ours(host), "{host}");
        }
    }

    #[test]
    fn origin_of_another_port_is_foreign() {
        let with = |origin: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("127.0.0.1:8766"));
            headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            check_origin(&headers).is_ok()
        };
        assert!(with("http://127.0.0.1:8766"));
        for origin in ["http://127.0.0.1:9999", "null", "http://evil.example", "file://127.0.0.1:8766", ""] {
            assert!(!with(origin), "{origin}");
        }
    }

    #[test]
    fn two_values_of_one_header_count_as_none() {
        let mut headers = HeaderMap::new();
        headers.append(header::HOST, HeaderValue::from_static("localhost"));
        headers.append(header::HOST, HeaderValue::from_static("evil.example"));
        assert_eq!(only(&headers, header::HOST), None);
    }
}

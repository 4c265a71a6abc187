//! A WebSocket as a stream of bytes, so that TLS can run inside it.
//!
//! The WebSocket only gets us through proxies and gives every program a polite way to
//! say that it is something else; nothing in it is trusted. Binary messages only, no
//! extensions; a request with an `Origin` header comes from a browser and is refused.
//!
//! Always holds: what is written until a flush leaves as one message (long bursts in
//! messages of [`MESSAGE_BYTES`]); where messages begin and end carries no meaning.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use futures_util::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async_with_config, client_async_with_config,
    tungstenite::{
        ClientRequestBuilder, Error as WsError, Message,
        handshake::server::{ErrorResponse, Request, Response},
        http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
        protocol::WebSocketConfig,
    },
};

use super::ChannelError;
use crate::defaults::{MESSAGE_BYTES, SOCKET_READ_BYTES};

const PATH: &str = "/v1/peer";
const SUBPROTOCOL: &str = "crosshome.v1";

/// Upgrades a stream to the home that listens at `authority`.
pub(super) async fn dial<S>(stream: S, authority: &str) -> Result<WebSocketBytes<S>, ChannelError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let uri: Uri = format!("ws://{}{PATH}", without_scope(authority))
        .parse()
        .map_err(|_| ChannelError::BadAddress(authority.to_owned()))?;
    let request = ClientRequestBuilder::new(uri).with_sub_protocol(SUBPROTOCOL);
    let upgraded = client_async_with_config(request, stream, Some(config())).await;
    let (socket, _response) = upgraded.map_err(ChannelError::of_upgrade)?;
    Ok(WebSocketBytes::new(socket))
}

/// Answers the upgrade of whoever is at the other end of `stream`.
pub(super) async fn accept<S>(stream: S) -> Result<WebSocketBytes<S>, ChannelError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let upgraded = accept_hdr_async_with_config(stream, answer, Some(config())).await;
    upgraded.map(WebSocketBytes::new).map_err(ChannelError::of_upgrade)
}

/// The other side sent a text message, which no crosshome does.
#[derive(Debug, thiserror::Error)]
#[error("a text message where only binary ones may be")]
pub(super) struct NotBinary;

/// The bytes in a WebSocket's binary messages.
#[derive(Debug)]
pub(super) struct WebSocketBytes<S> {
    socket: WebSocketStream<S>,
    incoming: Bytes,
    outgoing: BytesMut,
    /// The other side will send no more.
    ended: bool,
    /// This side has said that it will send no more.
    closed: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocketBytes<S> {
    fn new(socket: WebSocketStream<S>) -> Self {
        Self { socket, incoming: Bytes::new(), outgoing: BytesMut::new(), ended: false, closed: false }
    }

    /// Takes what fits of `buf` into the message being made, after sending it when it is full.
    fn poll_pack(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.outgoing.len() >= MESSAGE_BYTES {
            ready!(self.poll_ship(cx))?;
        }
        let taken = buf.len().min(MESSAGE_BYTES - self.outgoing.len());
        self.outgoing.extend_from_slice(&buf[..taken]);
        Poll::Ready(Ok(taken))
    }

    /// Gives the message being made to the socket once the one before has gone.
    fn poll_ship(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.outgoing.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let mut socket = Pin::new(&mut self.socket);
        ready!(socket.as_mut().poll_ready(cx)).map_err(to_io)?;
        let message = Message::Binary(self.outgoing.split().freeze());
        Poll::Ready(socket.start_send(message).map_err(to_io))
    }

    /// Waits for the next binary message; `false` is the end.
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        while !self.ended {
            match ready!(Pin::new(&mut self.socket).poll_next(cx)) {
                Some(Ok(Message::Binary(bytes))) if bytes.is_empty() => {}
                Some(Ok(Message::Binary(bytes))) => {
                    self.incoming = bytes;
                    return Poll::Ready(Ok(true));
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {} // the socket answers pings by itself
                Some(Ok(Message::Text(_) | Message::Frame(_))) => {
                    return Poll::Ready(Err(io::Error::other(NotBinary)));
                }
                // The other side may be gone by now, so its close message is not answered.
                Some(Ok(Message::Close(_))) | None => self.ended = true,
                Some(Err(err)) if is_end(&err) => self.ended = true,
                Some(Err(err)) => return Poll::Ready(Err(to_io(err))),
            }
        }
        Poll::Ready(Ok(false))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for WebSocketBytes<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.incoming.is_empty() && !ready!(self.poll_message(cx))? {
            return Poll::Ready(Ok(()));
        }
        let read = self.incoming.len().min(buf.remaining());
        buf.put_slice(&self.incoming[..read]);
        self.incoming.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WebSocketBytes<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_pack(cx, buf)
    }

    /// TLS hands over all records that wait with one call.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut total = 0;
        for buf in bufs.iter().filter(|buf| !buf.is_empty()) {
            match self.poll_pack(cx, buf) {
                Poll::Ready(Ok(taken)) => {
                    total += taken;
                    if taken < buf.len() {
                        break; // its rest comes before the next one
                    }
                }
                // What is taken counts as written; the reason shows again with the next call.
                Poll::Pending | Poll::Ready(Err(_)) if total > 0 => break,
                otherwise => return otherwise,
            }
        }
        Poll::Ready(Ok(total))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_ship(cx))?;
        Pin::new(&mut self.socket).poll_flush(cx).map_err(to_io)
    }

    /// Sends what waits, a close message and the end of the stream, and does not wait for an answer.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        if !self.closed {
            self.closed = true;
            // A socket the other side has closed already refuses, which is as good.
            let _ = Pin::new(&mut self.socket).start_send(Message::Close(None));
        }
        ready!(Pin::new(&mut self.socket).poll_flush(cx)).map_err(to_io)?;
        Pin::new(self.socket.get_mut()).poll_shutdown(cx)
    }
}

fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(SOCKET_READ_BYTES)
        .write_buffer_size(0) // a message is a whole burst already
        .max_write_buffer_size(2 * MESSAGE_BYTES)
        .max_message_size(Some(MESSAGE_BYTES))
        .max_frame_size(Some(MESSAGE_BYTES))
}

#[expect(clippy::result_large_err, reason = "the signature tungstenite asks for")]
fn answer(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    let headers = request.headers();
    if headers.contains_key(header::ORIGIN) {
        return Err(refusal(StatusCode::FORBIDDEN));
    }
    if request.uri().path() != PATH {
        return Err(refusal(StatusCode::NOT_FOUND));
    }
    if !offers_subprotocol(headers) {
        return Err(refusal(StatusCode::BAD_REQUEST));
    }
    response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    Ok(response)
}

fn offers_subprotocol(headers: &HeaderMap) -> bool {
    let lists =
        headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|name| name.trim() == SUBPROTOCOL)
}

fn refusal(status: StatusCode) -> ErrorResponse {
    let mut response = ErrorResponse::new(None);
    *response.status_mut() = status;
    response
}

/// `[fe80::1%3]:8765` names our own interface, which is nobody else's business and no valid URI.
fn without_scope(authority: &str) -> String {
    match (authority.find('%'), authority.find(']')) {
        (Some(scope), Some(end)) if scope < end => format!("{}{}", &authority[..scope], &authority[end..]),
        _ => authority.to_owned(),
    }
}

fn is_end(err: &WsError) -> bool {
    use tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake;
    // Whether the end was meant is told by TLS; down here a proxy may have ended it.
    matches!(
        err,
        WsError::ConnectionClosed | WsError::AlreadyClosed | WsError::Protocol(ResetWithoutClosingHandshake)
    )
}

fn to_io(err: WsError) -> io::Error {
    match err {
        WsError::Io(err) => err,
        other => io::Error::other(other),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn burst_until_a_flush_is_one_message() {
        let (near, far) = tokio::io::duplex(1 << 20);
        let (dialed, accepted) =
            tokio::join!(dial(near, "villa:8765"), accept_hdr_async_with_config(far, answer, None));
        let (mut dialed, mut raw) = (dialed.unwrap(), accepted.unwrap());
        for part in [&b"one "[..], b"two ", b"three"] {
            dialed.write_all(part).await.unwrap();
        }
        dialed.flush().await.unwrap();
        let message = std::future::poll_fn(|cx| Pin::new(&mut raw).poll_next(cx)).await.unwrap().unwrap();
        assert_eq!(message, Message::binary(&b"one two three"[..]));
    }

    #[tokio::test]
    async fn long_burst_arrives_whole_over_a_narrow_pipe() {
        let (near, far) = tokio::io::duplex(700);
        let (dialed, accepted) = tokio::join!(dial(near, "villa:8765"), accept(far));
        let (mut dialed, mut accepted) = (dialed.unwrap(), accepted.unwrap());
        let sent: Vec<u8> = (0..300_000_u32).map(|i| (i * 7 / 8) as u8).collect();
        let expected = sent.clone();
        let writer = tokio::spawn(async move {
            accepted.write_all(&sent).await.unwrap();
            accepted.shutdown().await.unwrap();
        });
        let mut received = Vec::new();
        dialed.read_to_end(&mut received).await.unwrap();
        writer.await.unwrap();
        assert!(received == expected);
    }

    #[tokio::test]
    async fn burst_in_many_slices_keeps_its_order_across_messages() {
        let (near, far) = tokio::io::duplex(1 << 20);
        let (dialed, accepted) = tokio::join!(dial(near, "villa:8765"), accept(far));
        let (mut dialed, mut accepted) = (dialed.unwrap(), accepted.unwrap());
        let sent: Vec<u8> = (0..3 * MESSAGE_BYTES).map(|i| (i / 251) as u8).collect();
        let mut rest = &sent[..];
        while !rest.is_empty() {
            let slices: Vec<_> = rest.chunks(16_411).map(IoSlice::new).collect();
            let written = dialed.write_vectored(&slices).await.unwrap();
            rest = &rest[written..];
        }
        dialed.flush().await.unwrap();
        let mut received = vec![0; sent.len()];
        accepted.read_exact(&mut received).await.unwrap();
        assert!(received == sent);
    }

    #[test]
    fn scope_of_a_link_local_address_is_not_sent() {
        assert_eq!(without_scope("[fe80::1%3]:8765"), "[fe80::1]:8765");
        assert_eq!(without_scope("villa:8765"), "villa:8765");
    }
}

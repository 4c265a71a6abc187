//! What else may be at the other end of a socket.

use std::time::Duration;

use crosshome_node::{
    channel::{ChannelError, Phase},
    defaults::{HANDSHAKE_BYTES, HANDSHAKE_TIME, UPGRADE_TIME},
};
use futures_util::SinkExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    time::Instant,
};
use tokio_tungstenite::tungstenite::Message;

use super::{
    Home, PIPE, paired,
    rogue::{Rogue, upgrade},
};

const REQUEST: &str = "GET /v1/peer HTTP/1.1\r\nHost: villa\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const OURS: &str = "Sec-WebSocket-Protocol: crosshome.v1\r\n";

/// Sends `bytes` to a home and returns what it made of them, and its answer.
async fn say(bytes: &[u8]) -> (ChannelError, String) {
    let villa = Home::new();
    let (mut near, far) = tokio::io::duplex(PIPE);
    near.write_all(bytes).await.unwrap();
    let (accepted, answer) = tokio::join!(villa.endpoint.accept(far), answer(near));
    (accepted.expect_err("not admitted"), answer)
}

async fn answer(mut near: DuplexStream) -> String {
    let mut answer = Vec::new();
    near.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

async fn call(peer: impl AsyncFnOnce(DuplexStream)) -> ChannelError {
    let (villa, cabin) = paired();
    let (near, far) = tokio::io::duplex(PIPE);
    let (dialed, ()) = tokio::join!(cabin.endpoint.dial_over(near, "villa:8765", villa.sync()), peer(far));
    dialed.expect_err("no channel comes about")
}

#[tokio::test]
async fn plain_json_on_the_socket_is_refused() {
    let (err, answer) = say(b"{\"type\": \"hello\", \"peer_id\": \"villa\"}\n").await;
    assert!(matches!(err, ChannelError::NotCrosshome(_)), "{err}");
    assert_eq!(answer, "", "nothing is told to those who do not speak HTTP");
}

#[tokio::test]
async fn upgrade_must_name_path_and_subprotocol_and_come_from_no_browser() {
    for (request, status) in [
        (format!("{REQUEST}\r\n"), "400"),
        (format!("{REQUEST}Sec-WebSocket-Protocol: chat, crosshome.v2\r\n\r\n"), "400"),
        (format!("{REQUEST}{OURS}Origin: http://villa\r\n\r\n"), "403"),
        (format!("{REQUEST}{OURS}origin: null\r\n\r\n"), "403"),
        (format!("{REQUEST}{OURS}\r\n").replace("/v1/peer", "/"), "404"),
    ] {
        let (err, answer) = say(request.as_bytes()).await;
        assert!(matches!(err, ChannelError::NotCrosshome(_)), "{err}");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
}

#[tokio::test]
async fn extension_that_compresses_is_not_accepted() {
    let villa = Home::new();
    let (mut near, far) = tokio::io::duplex(PIPE);
    let request =
        format!("{REQUEST}{OURS}Sec-WebSocket-Extensions: permessage-deflate\r\nCookie: a=b\r\n\r\n");
    near.write_all(request.as_bytes()).await.unwrap();
    let accepting = tokio::spawn(async move { villa.endpoint.accept(far).await });
    let mut answer = vec![0; 1024];
    let read = near.read(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer[..read]).to_lowercase();
    assert!(answer.starts_with("http/1.1 101") && answer.contains("crosshome.v1"), "{answer}");
    assert!(!answer.contains("extensions") && !answer.contains("cookie"), "{answer}");
    // A frame that claims to be compressed all the same: FIN, RSV1, binary, masked, no content.
    near.write_all(&[0xc2, 0x80, 1, 2, 3, 4]).await.unwrap();
    drop(near);
    assert!(accepting.await.unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn request_that_never_ends_is_not_read_to_its_end() {
    let padding = "X-Padding: ".to_owned() + &"x".repeat(20_000) + "\r\n";
    let (err, answer) = say(format!("{REQUEST}{OURS}{padding}\r\n").as_bytes()).await;
    assert!(matches!(err, ChannelError::TimedOut(Phase::Upgrading)), "{err}");
    assert_eq!(answer, "");
}

#[tokio::test]
async fn peer_that_does_not_encrypt_is_refused() {
    for message in [Message::binary(&br#"{"type":"hello"}"#[..]), Message::text(r#"{"type":"hello"}"#)] {
        let villa = Home::new();
        let (near, far) = tokio::io::duplex(PIPE);
        let peer = async {
            let mut socket = upgrade(near).await;
            socket.send(message).await.unwrap();
            socket
        };
        let (accepted, _socket) = tokio::join!(villa.endpoint.accept(far), peer);
        assert!(matches!(accepted, Err(ChannelError::Plaintext)));
    }
}

#[tokio::test]
async fn tls12_is_refused() {
    let (villa, cabin) = paired();
    let mut hello = Vec::new();
    Rogue::honest(&cabin.identity).start().write_tls(&mut hello).unwrap();
    let offer = [0x00, 0x2b, 0x00, 0x03, 0x02, 0x03, 0x04]; // supported_versions: TLS 1.3
    let at = hello.windows(offer.len()).position(|window| window == offer).expect("a hello of TLS 1.3");
    hello[at + 6] = 0x03; // TLS 1.2
    let (near, far) = tokio::io::duplex(PIPE);
    let peer = async {
        let mut socket = upgrade(near).await;
        socket.send(Message::binary(hello)).await.unwrap();
        socket
    };
    let (accepted, _socket) = tokio::join!(villa.endpoint.accept(far), peer);
    let err = accepted.unwrap_err();
    assert!(matches!(err, ChannelError::Protocol(rustls::Error::PeerIncompatible(_))), "{err}");
}

#[tokio::test(start_paused = true)]
async fn flood_before_the_proof_stays_outside() {
    let villa = Home::new();
    let (near, far) = tokio::io::duplex(4096);
    let flood = async {
        let mut socket = upgrade(near).await;
        // A TLS handshake message that claims to be 64 KiB long and goes on and on.
        let record = [&[0x16, 0x03, 0x01, 0x04, 0x00, 0x01, 0x00, 0xff, 0xff][..], &[0; 1020]].concat();
        let mut sent = 0;
        while socket.send(Message::binary(record.clone())).await.is_ok() {
            sent += record.len();
        }
        assert!(sent <= HANDSHAKE_BYTES as usize + 4096, "{sent} bytes, of which 4096 fit the pipe");
    };
    let (accepted, ()) = tokio::join!(villa.endpoint.accept(far), flood);
    let err = accepted.unwrap_err();
    assert!(matches!(err, ChannelError::TimedOut(Phase::Proving)), "{err}");
}

#[tokio::test(start_paused = true)]
async fn slow_upgrade_and_slow_proof_each_have_their_time() {
    let villa = Home::new();
    let (mut near, far) = tokio::io::duplex(PIPE);
    near.write_all(b"GET /v1").await.unwrap();
    let start = Instant::now();
    let err = villa.endpoint.accept(far).await.unwrap_err();
    assert!(matches!(err, ChannelError::TimedOut(Phase::Upgrading)), "{err}");
    assert_eq!(start.elapsed().as_secs(), UPGRADE_TIME.as_secs());

    let (near, far) = tokio::io::duplex(PIPE);
    let start = Instant::now();
    let trickle = async {
        let mut socket = upgrade(near).await;
        while socket.send(Message::binary(&[0x16][..])).await.is_ok() {
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
    };
    let (accepted, ()) = tokio::join!(villa.endpoint.accept(far), trickle);
    assert!(accepted.is_err());
    assert!(start.elapsed() <= HANDSHAKE_TIME + Duration::from_secs(3), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn silent_peer_is_given_up_by_the_dialer_too() {
    let err = call(async |far| {
        tokio::time::sleep(Duration::from_secs(60)).await;
        drop(far);
    })
    .await;
    assert!(matches!(err, ChannelError::TimedOut(Phase::Upgrading)), "{err}");
}

#[tokio::test]
async fn dialer_names_what_it_found_instead_of_a_home() {
    let web_page = call(async |mut far| {
        far.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").await.unwrap();
        let _ = far.read(&mut [0; 1024]).await;
    });
    assert!(matches!(web_page.await, ChannelError::NotCrosshome(_)));

    let hangs_up = call(async |far| drop(far));
    assert!(matches!(hangs_up.await, ChannelError::Busy));

    let nobody = Home::new();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap(); // closed again
    let err = nobody.endpoint.dial(&free.to_string(), nobody.sync()).await.unwrap_err();
    assert!(matches!(&err, ChannelError::NobodyThere(at) if *at == free.to_string()), "{err}");

    let err = nobody.endpoint.dial("villa", nobody.sync()).await.unwrap_err();
    assert!(matches!(err, ChannelError::BadAddress(_)), "{err}");
}

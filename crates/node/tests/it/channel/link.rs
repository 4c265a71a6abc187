//! Frames between two homes, and what happens to them on a bad wire.

use std::time::Duration;

use crosshome_node::{
    channel::{Frame, LinkError, LinkReader, Target},
    defaults::{FRAME_BYTES, HELLO_BYTES, STALL_TIME},
};
use tokio::{
    io::AsyncWriteExt,
    time::{Instant, timeout},
};

use super::{Home, PIPE, linked, paired, rogue::Rogue, wire::Wire};

/// Lets a paired rogue send `plain` inside TLS and returns the error it ends in.
async fn receive_raw(plain: &[u8], limit: usize) -> LinkError {
    let (villa, cabin) = paired();
    let (near, far) = tokio::io::duplex(PIPE);
    let (accepted, (mut rogue, outcome)) =
        tokio::join!(villa.endpoint.accept(far), Rogue::honest(&cabin.identity).connect(near));
    outcome.unwrap();
    let (mut reader, _writer) = accepted.unwrap().into_link(None);
    reader.set_limit(limit);
    let sending = async {
        rogue.send(plain).await;
        rogue // stays open, so that its end is not the reason
    };
    let (received, _rogue) = tokio::join!(reader.recv(8), sending);
    received.expect_err("such a frame is not given out")
}

async fn recv_all(reader: &mut LinkReader, count: usize) -> Vec<Frame> {
    let mut frames = Vec::new();
    while frames.len() < count {
        frames.extend(reader.recv(usize::MAX).await.unwrap());
    }
    frames
}

#[tokio::test]
async fn frames_of_one_send_arrive_together_and_in_order_both_ways() {
    let (mut dialer, mut listener) = linked().await;
    let frames: Vec<Vec<u8>> = (0..50_u8).map(|i| vec![i; 20 + usize::from(i)]).collect();
    dialer.1.send(&frames).await.unwrap();
    assert_eq!(listener.0.recv(100).await.unwrap(), frames);
    listener.1.send(&[b"one", b"two"]).await.unwrap();
    assert_eq!(dialer.0.recv(1).await.unwrap(), [&b"one"[..]]);
    assert_eq!(dialer.0.recv(1).await.unwrap(), [&b"two"[..]]);
}

#[tokio::test]
async fn frame_up_to_the_limit_passes_and_the_hello_has_a_lower_one() {
    let (mut dialer, mut listener) = linked().await;
    let noise = noisy(&vec![0; FRAME_BYTES]);
    let sending = tokio::spawn(async move {
        dialer.1.send(&[&noise[..HELLO_BYTES], &noise]).await.unwrap();
        (dialer, noise)
    });
    let hello = listener.0.recv(1).await.unwrap();
    assert_eq!(hello[0].len(), HELLO_BYTES);
    listener.0.set_limit(FRAME_BYTES);
    let whole = recv_all(&mut listener.0, 1).await;
    let (mut dialer, noise) = sending.await.unwrap();
    assert!(whole[0] == noise);

    let too_long = vec![7; FRAME_BYTES + 1];
    let err = dialer.1.send(&[b"fine".to_vec(), too_long]).await.unwrap_err();
    assert!(matches!(err, LinkError::TooLong { .. }), "{err}");
    dialer.1.send(&[b"next"]).await.unwrap();
    assert_eq!(listener.0.recv(9).await.unwrap(), [&b"next"[..]], "nothing of the refused call was sent");
}

#[tokio::test]
async fn dialer_that_is_ahead_with_a_long_burst_is_admitted() {
    let (villa, cabin) = paired();
    let (near, far) = tokio::io::duplex(PIPE);
    let frames: Vec<Vec<u8>> = (0..60).map(|i| noisy(&vec![i; 4_000])).collect();
    let dialing = async {
        let (_reader, mut writer) =
            cabin.endpoint.dial_over(near, "villa:8765", villa.sync()).await.unwrap().into_link(None);
        writer.send(&frames).await.unwrap();
        writer.close().await;
    };
    let listening = async {
        let (mut reader, _writer) =
            villa.endpoint.accept(far).await.expect("it proved its key").into_link(None);
        recv_all(&mut reader, frames.len()).await
    };
    let ((), received) = tokio::join!(dialing, listening);
    assert_eq!(received, frames);
}

#[tokio::test]
async fn hello_over_its_limit_is_refused() {
    let (mut dialer, mut listener) = linked().await;
    dialer.1.send(&[vec![1; HELLO_BYTES + 1]]).await.unwrap();
    let err = listener.0.recv(1).await.unwrap_err();
    assert!(
        matches!(err, LinkError::TooLong { size, limit } if size == HELLO_BYTES + 1 && limit == HELLO_BYTES)
    );
}

#[tokio::test]
async fn oversized_empty_and_exploding_frames_of_a_paired_peer_are_refused() {
    let head = |size: usize, packed: bool| {
        let value = size << 1 | usize::from(packed);
        let part = |at: u32| (value >> (7 * at)) as u8 & 0x7f;
        [part(0) | 0x80, part(1) | 0x80, part(2) | 0x80, part(3)]
    };
    let err = receive_raw(&head(FRAME_BYTES + 1, false), usize::MAX).await;
    assert!(matches!(err, LinkError::TooLong { .. }), "{err}");
    let err = receive_raw(&[0xff; 4], usize::MAX).await;
    assert!(matches!(err, LinkError::TooLong { .. }), "{err}");
    let err = receive_raw(&head(0, false), usize::MAX).await;
    assert!(matches!(err, LinkError::Empty), "{err}");

    for (size, limit) in
        [(FRAME_BYTES, FRAME_BYTES), (64 * FRAME_BYTES, FRAME_BYTES), (HELLO_BYTES + 1, HELLO_BYTES)]
    {
        let bomb = zstd::bulk::compress(&vec![0; size], 3).unwrap();
        let bomb = &bomb[4..]; // without the magic number
        let err = receive_raw(&[&head(bomb.len(), true)[..], bomb].concat(), limit).await;
        assert!(matches!(err, LinkError::Bomb { .. } | LinkError::TooLong { .. }), "{err}");
    }
    let err = receive_raw(&[&head(4, true)[..], b"zstd"].concat(), usize::MAX).await;
    assert!(matches!(err, LinkError::Damaged), "{err}");
}

#[tokio::test]
async fn what_compresses_well_costs_few_bytes_and_is_counted() {
    let (mut dialer, mut listener) = linked().await;
    let snapshot: Vec<u8> = (0..200).flat_map(|i| format!("light.room_{i} off;").into_bytes()).collect();
    let before = dialer.1.traffic().wire_out();
    dialer.1.send(&[&snapshot]).await.unwrap();
    assert_eq!(listener.0.recv(1).await.unwrap(), [&snapshot[..]]);
    let (sent, traffic) = (dialer.1.traffic(), listener.0.traffic());
    assert!((sent.wire_out() - before) < snapshot.len() as u64 / 3, "{sent:?}");
    assert_eq!((sent.plain_out(), sent.frames_out()), (snapshot.len() as u64, 1));
    assert_eq!((traffic.plain_in(), traffic.frames_in()), (snapshot.len() as u64, 1));
    assert_eq!(traffic.wire_in(), sent.wire_out());
}

#[tokio::test]
async fn single_update_costs_one_record_and_one_message() {
    let (mut dialer, mut listener) = linked().await;
    for (from, to) in [(&mut dialer.1, &mut listener.0), (&mut listener.1, &mut dialer.0)] {
        let before = from.traffic().wire_out();
        from.send(&[[7; 100]]).await.unwrap();
        to.recv(1).await.unwrap();
        // Frame 4, record 5 + 1 + 16, message 4 and, from the dialer, a mask of 4.
        let extra = from.traffic().wire_out() - before - 100;
        assert!(extra <= 34, "{extra} bytes around one update");
    }
}

#[tokio::test]
async fn strangers_in_pairing_neither_send_nor_accept_compressed_frames() {
    let (villa, stranger) = (Home::new(), Home::new());
    villa.door.open();
    let (dialed, accepted) = super::meet(&stranger, Target::Pair(None), &villa).await;
    let ((_from, mut to), (mut reader, _to)) =
        (dialed.unwrap().into_link(None), accepted.unwrap().into_link(None));
    let before = to.traffic().wire_out();
    to.send(&[[0; 4000]]).await.unwrap();
    assert!(to.traffic().wire_out() - before > 4000);
    assert_eq!(reader.recv(1).await.unwrap(), [&[0; 4000][..]]);
}

#[tokio::test]
async fn end_that_was_meant_differs_from_a_cut() {
    let (mut dialer, mut listener) = linked().await;
    dialer.1.send(&[b"last words"]).await.unwrap();
    dialer.1.close().await;
    assert_eq!(listener.0.recv(1).await.unwrap(), [&b"last words"[..]]);
    let err = listener.0.recv(1).await.unwrap_err();
    assert!(matches!(err, LinkError::Closed), "{err:?}");

    let (mut dialer, mut listener) = linked().await;
    dialer.1.send(&[b"last words"]).await.unwrap();
    drop(dialer);
    assert_eq!(listener.0.recv(1).await.unwrap(), [&b"last words"[..]]);
    let err = listener.0.recv(1).await.unwrap_err();
    assert!(matches!(err, LinkError::Truncated), "{err}");
}

#[tokio::test]
async fn end_within_a_frame_is_a_cut_even_when_tls_was_closed() {
    let (villa, cabin) = paired();
    let (near, far) = tokio::io::duplex(PIPE);
    let (accepted, (mut rogue, _)) =
        tokio::join!(villa.endpoint.accept(far), Rogue::honest(&cabin.identity).connect(near));
    rogue.send(&[6, b'a', b'b']).await;
    rogue.tls.send_close_notify();
    rogue.send(b"").await;
    rogue.ship().await;
    let (mut reader, _writer) = accepted.unwrap().into_link(None);
    let err = reader.recv(1).await.unwrap_err();
    assert!(matches!(err, LinkError::Truncated), "{err}");
}

#[tokio::test]
async fn bit_changed_anywhere_on_the_wire_never_yields_a_wrong_frame() {
    let (villa, cabin) = paired();
    let frames: Vec<Vec<u8>> = (0..4_u8).map(|i| vec![i; 150]).collect();
    let honest = Wire::new(None);
    assert_eq!(talk(&villa, &cabin, honest.dialer, honest.listener, &frames).await, frames);
    let length = honest.upstream.lock().unwrap().len();
    for flip in (0..length).step_by(13) {
        let wire = Wire::new(Some(flip));
        let received = talk(&villa, &cabin, wire.dialer, wire.listener, &frames).await;
        assert!(received == frames[..received.len()], "byte {flip} of {length}");
    }
}

/// Sends `frames` one by one and returns those that arrive before the link ends or stays silent.
async fn talk(
    villa: &Home,
    cabin: &Home,
    near: tokio::io::DuplexStream,
    far: tokio::io::DuplexStream,
    frames: &[Vec<u8>],
) -> Vec<Frame> {
    let mut received = Vec::new();
    let dialing = async {
        let (_reader, mut writer) =
            cabin.endpoint.dial_over(near, "villa:8765", villa.sync()).await.ok()?.into_link(None);
        for frame in frames {
            writer.send(&[frame]).await.ok()?;
        }
        writer.close().await;
        Some(())
    };
    let listening = async {
        let (mut reader, _writer) = villa.endpoint.accept(far).await.ok()?.into_link(None);
        while let Ok(frames) = reader.recv(9).await {
            received.extend(frames);
        }
        Some(())
    };
    // A changed length makes one side wait for more; the other end's time limits are not what is tested here.
    let _ = timeout(Duration::from_millis(300), async { tokio::join!(dialing, listening) }).await;
    received
}

#[tokio::test]
async fn replayed_session_is_refused() {
    let (villa, cabin) = paired();
    let wire = Wire::new(None);
    let frames = [b"unlock the door".to_vec()];
    assert_eq!(talk(&villa, &cabin, wire.dialer, wire.listener, &frames).await.len(), 1);
    let captured = wire.upstream.lock().unwrap().clone();

    // The upgrade waits for its answer, so it goes first and by itself.
    let upgrade = captured.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
    let (mut near, far) = tokio::io::duplex(PIPE);
    let replaying = async {
        near.write_all(&captured[..upgrade]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        near.write_all(&captured[upgrade..]).await.unwrap();
        near
    };
    let (accepted, _near) = tokio::join!(villa.endpoint.accept(far), replaying);
    accepted.expect_err("a session happens once");
}

#[tokio::test]
async fn nothing_said_or_shown_can_be_read_on_the_wire() {
    let (villa, cabin) = paired();
    let wire = Wire::new(None);
    let frames = [b"light.bedroom is on".to_vec()];
    assert_eq!(talk(&villa, &cabin, wire.dialer, wire.listener, &frames).await.len(), 1);
    let bytes = [wire.upstream.lock().unwrap().clone(), wire.downstream.lock().unwrap().clone()].concat();
    let found = |words: &[u8]| bytes.windows(words.len()).any(|window| window == words);
    assert!(found(b"crosshome.v1"), "the capture holds the upgrade");
    for home in [&villa, &cabin] {
        assert!(!found(&home.identity.spki()[12..]) && !found(&home.identity.id().0));
        assert!(!found(home.identity.id().to_string().as_bytes()));
    }
    assert!(!found(b"light.bedroom"));
}

#[tokio::test(start_paused = true)]
async fn peer_that_never_reads_is_given_up() {
    let (mut dialer, _listener) = linked().await;
    let bulk = vec![vec![7; 60_000]; 100];
    let start = Instant::now();
    let err = dialer.1.send(&bulk.iter().map(|frame| noisy(frame)).collect::<Vec<_>>()).await.unwrap_err();
    assert!(matches!(err, LinkError::Stalled), "{err}");
    assert_eq!(start.elapsed().as_secs(), STALL_TIME.as_secs());
}

#[tokio::test(start_paused = true)]
async fn peer_that_reads_slowly_is_not_given_up() {
    let (mut dialer, mut listener) = linked().await;
    listener.0.set_limit(FRAME_BYTES);
    let bulk: Vec<Vec<u8>> = (0..8).map(|i| noisy(&vec![i; 60_000])).collect();
    let expected = bulk.clone();
    let start = Instant::now();
    let sending = tokio::spawn(async move { dialer.1.send(&bulk).await.map(|()| dialer) });
    let mut received = Vec::new();
    while received.len() < 8 {
        tokio::time::sleep(STALL_TIME - Duration::from_secs(1)).await;
        received.extend(listener.0.recv(1).await.unwrap());
    }
    sending.await.unwrap().expect("every read is progress");
    assert!(start.elapsed() > 2 * STALL_TIME);
    assert!(received == expected);
}

/// Changes `bytes` so that zstd finds nothing to save.
fn noisy(bytes: &[u8]) -> Vec<u8> {
    let step = |state: &u64| Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    let noise = std::iter::successors(Some(1), step).map(|state| (state >> 56) as u8);
    bytes.iter().zip(noise).map(|(byte, noise)| byte ^ noise).collect()
}

#[tokio::test]
async fn dropped_futures_lose_and_repeat_nothing() {
    let (mut dialer, mut listener) = linked().await;
    listener.0.set_limit(FRAME_BYTES);
    let frames: Vec<Vec<u8>> = (0..40).map(|i| noisy(&vec![i; 20_000])).collect();
    let expected = frames.clone();
    let sending = tokio::spawn(async move {
        for pair in frames.chunks(2) {
            // Given up in the middle; the rest leaves with the next one.
            let _ = timeout(Duration::from_micros(50), dialer.1.send(pair)).await;
        }
        dialer.1.send::<Frame>(&[]).await.unwrap();
        dialer
    });
    let mut received = Vec::new();
    while received.len() < expected.len() {
        if let Ok(frames) = timeout(Duration::from_micros(50), listener.0.recv(3)).await {
            received.extend(frames.unwrap());
        }
    }
    sending.await.unwrap();
    assert!(received == expected);
}

//! Who is admitted, and what those who are not can find out.

use crosshome_node::{
    channel::{ChannelError, LinkError, Purpose, Target},
    identity::Identity,
};
use rustls::{AlertDescription, Error, PeerIncompatible, crypto::aws_lc_rs::kx_group};

use super::{Home, PIPE, meet, paired, rogue::Rogue};

/// Lets a rogue call `villa`; returns what villa made of it and what the rogue saw.
async fn provoke(villa: &Home, rogue: Rogue) -> (ChannelError, Option<Error>) {
    let (near, far) = tokio::io::duplex(PIPE);
    let called = async {
        let (mut connected, outcome) = rogue.connect(near).await;
        match outcome {
            Ok(()) => connected.end().await,
            Err(err) => Some(err),
        }
    };
    // Judged at once: an admitted rogue would wait for its end for ever.
    let refused = async { villa.endpoint.accept(far).await.expect_err("a rogue is not admitted") };
    tokio::join!(refused, called)
}

#[tokio::test]
async fn paired_homes_know_each_other_by_their_keys_and_share_a_secret() {
    let (villa, cabin) = paired();
    let (dialed, accepted) = meet(&cabin, villa.sync(), &villa).await;
    let (dialed, accepted) = (dialed.unwrap(), accepted.unwrap());
    assert_eq!((dialed.peer(), accepted.peer()), (villa.identity.key(), cabin.identity.key()));
    assert_eq!((dialed.purpose(), accepted.purpose()), (Purpose::Sync, Purpose::Sync));
    let secret = dialed.exporter("EXPORTER-one").unwrap();
    assert_eq!(secret, accepted.exporter("EXPORTER-one").unwrap());
    assert_ne!(secret, dialed.exporter("EXPORTER-two").unwrap());

    let (again, _accepted) = meet(&cabin, villa.sync(), &villa).await;
    assert_ne!(secret, again.unwrap().exporter("EXPORTER-one").unwrap(), "each session has its own secret");
}

#[tokio::test]
async fn another_key_than_the_one_called_is_an_error_of_its_own() {
    let (villa, cabin) = paired();
    let imposter = Home::new();
    imposter.pins.insert(cabin.identity.key());
    let (dialed, accepted) = meet(&cabin, villa.sync(), &imposter).await;
    let (expected, found) = (villa.identity.id(), imposter.identity.id());
    assert!(
        matches!(dialed, Err(ChannelError::PeerKeyChanged { expected: e, found: f }) if e == expected && f == found)
    );
    assert!(matches!(accepted, Err(ChannelError::NotAdmitted)));
}

#[tokio::test]
async fn home_that_was_unpinned_here_is_not_called() {
    let (villa, cabin) = paired();
    cabin.pins.remove(&villa.identity.id());
    let (dialed, _) = meet(&cabin, villa.sync(), &villa).await;
    assert!(matches!(dialed, Err(ChannelError::NotPinned(id)) if id == villa.identity.id()));
}

#[tokio::test]
async fn stranger_revoked_home_and_closed_door_look_alike_from_outside() {
    let (villa, cabin) = paired();
    let mut outside = Vec::new();
    let stranger = Home::new();
    stranger.pins.insert(villa.identity.key());
    villa.pins.deny(cabin.identity.id());
    for (caller, target) in
        [(&stranger, villa.sync()), (&cabin, villa.sync()), (&stranger, Target::Pair(None))]
    {
        let (dialed, accepted) = meet(caller, target, &villa).await;
        match target {
            Target::Pair(_) => assert!(matches!(accepted, Err(ChannelError::PairingClosed))),
            Target::Sync(_) => {
                assert!(matches!(accepted, Err(ChannelError::NotPinned(id)) if id == caller.identity.id()))
            }
        }
        let (mut reader, _writer) = dialed.expect("the dialer cannot know yet").into_link(None);
        let err = reader.recv(1).await.unwrap_err();
        assert!(matches!(err, LinkError::NotAdmitted), "{err}");
        // The name of the protocol asked for is echoed by TLS; apart from it every byte count is the same.
        let echoed = if target.purpose() == Purpose::Pair { "-pair".len() as u64 } else { 0 };
        outside.push(reader.traffic().wire_in() - echoed);
    }
    assert!(outside.iter().all(|bytes| *bytes == outside[0]), "{outside:?}");
}

#[tokio::test]
async fn open_door_admits_strangers_to_pairing_only() {
    let (villa, stranger) = (Home::new(), Home::new());
    villa.door.open();
    for target in [Target::Pair(None), Target::Pair(Some(villa.identity.id()))] {
        let (dialed, accepted) = meet(&stranger, target, &villa).await;
        assert_eq!(accepted.unwrap().peer(), stranger.identity.key());
        assert_eq!(
            (dialed.as_ref().unwrap().purpose(), dialed.unwrap().peer()),
            (Purpose::Pair, villa.identity.key())
        );
    }
    stranger.pins.insert(villa.identity.key());
    let (_, accepted) = meet(&stranger, villa.sync(), &villa).await;
    assert!(matches!(accepted, Err(ChannelError::NotPinned(_))));

    let (dialed, _) = meet(&stranger, Target::Pair(Some(Identity::generate().id())), &villa).await;
    assert!(matches!(dialed, Err(ChannelError::PeerKeyChanged { .. })), "the invitation named another home");
}

#[tokio::test]
async fn pins_are_read_anew_in_every_handshake() {
    let (villa, cabin) = paired();
    assert!(meet(&cabin, villa.sync(), &villa).await.1.is_ok());
    villa.pins.deny(cabin.identity.id());
    assert!(meet(&cabin, villa.sync(), &villa).await.1.is_err());
    villa.pins.insert(cabin.identity.key());
    assert!(meet(&cabin, villa.sync(), &villa).await.1.is_ok());
}

#[tokio::test]
async fn rogue_with_honest_settings_is_admitted() {
    // Otherwise the refusals below would prove nothing.
    let (villa, cabin) = paired();
    let (near, far) = tokio::io::duplex(PIPE);
    let (accepted, (_, outcome)) =
        tokio::join!(villa.endpoint.accept(far), Rogue::honest(&cabin.identity).connect(near));
    outcome.unwrap();
    assert_eq!(accepted.unwrap().peer(), cabin.identity.key());
}

#[tokio::test]
async fn key_of_a_peer_without_its_private_half_opens_nothing_and_tells_nothing() {
    let (villa, cabin) = paired();
    let (thief, unknown) = (Identity::generate(), Identity::generate());
    let mut seen = Vec::new();
    for shown in [cabin.identity.spki(), unknown.spki()] {
        let rogue = Rogue { key: Some((shown, thief.clone())), ..Rogue::honest(&thief) };
        let (err, alert) = provoke(&villa, rogue).await;
        assert!(matches!(err, ChannelError::Protocol(_)), "{err}");
        seen.push(alert.expect("an alert"));
    }
    assert_eq!(seen[0], Error::AlertReceived(AlertDescription::DecryptError));
    assert_eq!(seen[0], seen[1], "whether a key is pinned stays hidden from those who only know it");
}

#[tokio::test]
async fn classical_key_exchange_is_refused() {
    let (villa, cabin) = paired();
    let groups = vec![kx_group::X25519, kx_group::SECP256R1];
    let (err, alert) = provoke(&villa, Rogue { groups, ..Rogue::honest(&cabin.identity) }).await;
    let reason = Error::PeerIncompatible(PeerIncompatible::NoKxGroupsInCommon);
    assert!(matches!(&err, ChannelError::Protocol(why) if *why == reason), "{err}");
    assert_eq!(alert, Some(Error::AlertReceived(AlertDescription::HandshakeFailure)));
}

#[tokio::test]
async fn client_without_key_or_with_a_certificate_is_refused() {
    let (villa, cabin) = paired();
    let (err, _) = provoke(&villa, Rogue { key: None, ..Rogue::honest(&cabin.identity) }).await;
    assert!(matches!(err, ChannelError::Protocol(_)), "{err}");
    let (err, _) = provoke(&villa, Rogue { raw_keys: false, ..Rogue::honest(&cabin.identity) }).await;
    assert!(matches!(err, ChannelError::Protocol(Error::PeerIncompatible(_))), "{err}");
}

#[tokio::test]
async fn exactly_one_purpose_must_be_named() {
    let (villa, cabin) = paired();
    villa.door.open();
    let wrong: [&[&[u8]]; 4] = [&[], &[b"h2"], &[b"crosshome/2"], &[b"crosshome/1", b"crosshome-pair/1"]];
    for alpn in wrong {
        let (err, _) = provoke(&villa, Rogue { alpn: alpn.to_vec(), ..Rogue::honest(&cabin.identity) }).await;
        assert!(matches!(err, ChannelError::NotCrosshome(_)), "{alpn:?}: {err}");
    }
}

#[tokio::test]
async fn debug_of_every_part_shows_no_key() {
    let (villa, cabin) = paired();
    let (dialed, _accepted) = meet(&cabin, villa.sync(), &villa).await;
    let dialed = dialed.unwrap();
    let secret = hex::encode(dialed.exporter("EXPORTER-one").unwrap());
    let mut shown = format!("{:?} {:?} {dialed:?}", cabin.endpoint, cabin.identity);
    let (reader, writer) = dialed.into_link(None);
    shown += &format!("{reader:?} {writer:?}");
    assert!(shown.contains("SecretKey(..)"));
    assert!(!shown.contains("BEGIN") && !shown.contains("pkcs8") && !shown.contains(&secret));
}

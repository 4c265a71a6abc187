//! Every form that pairing sends or shows, made with fixed randomness and compared with a
//! file.
//!
//! The files are quoted in PROTOCOL.md. A change here means a new protocol version;
//! `GOLDEN=write` writes the files anew for the one who decides that.

use std::{env, fs, path::Path};

use crosshome_core::{HomeId, pairing::*};

const TYPING: HomeId = HomeId([0x11; 32]);
const SHOWING: HomeId = HomeId([0x22; 32]);

fn exporter() -> [u8; 32] {
    std::array::from_fn(|i| i as u8)
}

fn introduction(name: &str, capabilities: &[&str]) -> Introduction {
    let protocols = ProtocolRange::new(1, 2).expect("rises");
    Introduction::new(name, "0.1.0", protocols, capabilities).expect("valid")
}

fn hex_dump(bytes: &[u8]) -> String {
    bytes.chunks(32).map(|line| hex::encode(line) + "\n").collect()
}

#[track_caller]
fn assert_golden(name: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/pairing").join(name);
    if env::var_os("GOLDEN").is_some_and(|wish| wish == "write") {
        fs::write(&path, made).expect("the golden folder is writable");
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(made, golden, "{name} differs from what other homes send");
}

fn sent(step: Step) -> Vec<u8> {
    match step {
        Step::Send(message) | Step::Paired { send: Some(message), .. } => message,
        Step::Paired { send: None, .. } => panic!("nothing is sent here"),
    }
}

#[test]
fn conversation_is_the_published_one() {
    let code = Code::new(&12_345_678_u128.to_be_bytes());
    let mut windows = Windows::default();
    windows.open(vec![code.secret()], 0, 300_000);
    let binding = Binding { exporter: exporter(), me: SHOWING, peer: TYPING };
    let mut showing =
        Showing::new(binding, introduction("Alps", &["sync", "encryption"]), &[0x44; 64]).expect("a peer");
    let binding = Binding { exporter: exporter(), me: TYPING, peer: SHOWING };
    let (mut typing, start) =
        Typing::start(&code.secret(), binding, introduction("City 🏙", &["sync"]), &[0x33; 64])
            .expect("a peer");

    let share = sent(showing.receive(&start, &mut windows, 0).expect("open"));
    let typing_proof = sent(typing.receive(&share).expect("a share"));
    let showing_proof = sent(showing.receive(&typing_proof, &mut windows, 0).expect("right code"));
    let typing_introduction = sent(typing.receive(&showing_proof).expect("right code"));
    let last = showing.receive(&typing_introduction, &mut windows, 0).expect("sealed");
    let Step::Paired { paired: at_showing, .. } = &last else { panic!("the showing side has paired") };
    let at_showing = at_showing.clone();
    let showing_introduction = sent(last);
    let Step::Paired { paired, send: None } = typing.receive(&showing_introduction).expect("sealed") else {
        panic!("the typing side has the last message");
    };
    assert_eq!(paired.pair_secret, at_showing.pair_secret);

    assert_golden("code.txt", &format!("{}\n", *code.shown()));
    for (name, message) in [
        ("1-start.hex", start),
        ("2-share.hex", share),
        ("3-proof-typing.hex", typing_proof),
        ("4-proof-showing.hex", showing_proof),
        ("5-introduction-typing.hex", typing_introduction),
        ("6-introduction-showing.hex", showing_introduction),
        ("refusal.hex", REFUSAL.to_vec()),
        ("pair-secret.hex", paired.pair_secret.as_bytes().to_vec()),
    ] {
        assert_golden(name, &hex_dump(&message));
    }
    assert_golden("words.txt", &format!("{}\n", paired.words));
}

#[test]
fn invitation_is_the_published_one() {
    let addresses = ["192.168.1.20:8765", "villa.example:443"].map(|text| text.parse().expect("an address"));
    let invitation = Invitation::new(SHOWING, [0x55; 16], 1_800_000_000, &addresses).expect("two addresses");
    assert_golden("invitation.txt", &format!("{}\n", *invitation.link()));
}

#[test]
fn proofs_of_a_shared_key_are_the_published_ones() {
    let key = SharedKey::parse(b"correct horse battery staple").expect("a key");
    let proofs = [key.prove(&exporter(), Role::Typing), key.prove(&exporter(), Role::Showing)];
    assert_golden("shared-key-proofs.hex", &hex_dump(&proofs.concat()));
}

use super::*;
use crate::{
    defaults::{PAIRING_MESSAGE_MAX, PAIRING_WINDOW_MS},
    pairing::{Code, Invitation, REFUSAL, SharedKey},
};

const ALPS: HomeId = HomeId([1; 32]);
const CITY: HomeId = HomeId([2; 32]);
const EVE: HomeId = HomeId([0xee; 32]);

fn introduction(name: &str) -> Introduction {
    let protocols = ProtocolRange::new(1, 2).expect("rises");
    Introduction::new(name, "0.1.0", protocols, &["sync", "encryption"]).expect("valid")
}

fn session(me: HomeId, peer: HomeId, exporter: u8) -> Binding {
    Binding { exporter: [exporter; 32], me, peer }
}

fn code(random: u8) -> Secret {
    Code::new(&[random; 16]).secret()
}

fn window() -> Windows {
    let mut windows = Windows::default();
    windows.open(vec![code(7)], 0, PAIRING_WINDOW_MS);
    windows
}

fn attempts_left(windows: &Windows) -> u32 {
    windows.shown(0).expect("open").attempts_left
}

fn typing(secret: &Secret) -> (Typing, Vec<u8>) {
    Typing::start(secret, session(CITY, ALPS, 3), introduction("City"), &[5; 64]).expect("other home")
}

fn showing() -> Showing {
    Showing::new(session(ALPS, CITY, 3), introduction("Alps"), &[6; 64]).expect("other home")
}

/// How a conversation ended on each side, and all that was said.
struct Outcome {
    typing: Result<Paired, PairingError>,
    showing: Result<Paired, PairingError>,
    said: Vec<Vec<u8>>,
}

/// Lets the two talk until both are done; `wire` sees each message by number and may change it.
fn converse(
    (mut typing, start): (Typing, Vec<u8>),
    mut showing: Showing,
    windows: &mut Windows,
    mut wire: impl FnMut(usize, Vec<u8>) -> Vec<u8>,
) -> Outcome {
    let (mut outcome, mut said) = ([None, None], vec![start]);
    while outcome.iter().any(Option::is_none) && said.len() < 10 {
        let number = said.len() - 1;
        let heard = wire(number, said[number].clone());
        let (side, step) = match number % 2 {
            0 => (1, showing.receive(&heard, windows, 1_000)),
            _ => (0, typing.receive(&heard)),
        };
        let answer = match step {
            Ok(Step::Send(answer)) => Some(answer),
            Ok(Step::Paired { paired, send }) => {
                outcome[side] = Some(Ok(*paired));
                send
            }
            Err(error) => {
                outcome[side].get_or_insert(Err(error));
                (heard != REFUSAL).then(|| REFUSAL.to_vec())
            }
        };
        said.extend(answer);
    }
    let [typing, showing] = outcome.map(|outcome| outcome.expect("ten messages are plenty"));
    Outcome { typing, showing, said }
}

fn untouched(_: usize, message: Vec<u8>) -> Vec<u8> {
    message
}

#[test]
fn homes_with_the_same_code_pair() {
    let mut windows = window();
    let outcome = converse(typing(&code(7)), showing(), &mut windows, untouched);
    let (city, alps) = (outcome.typing.expect("paired"), outcome.showing.expect("paired"));

    assert_eq!((city.peer, city.introduction), (ALPS, introduction("Alps")));
    assert_eq!((alps.peer, alps.introduction), (CITY, introduction("City")));
    assert_eq!(city.pair_secret, alps.pair_secret);
    assert_eq!(city.words, alps.words);
    assert_eq!((city.method, alps.method), (Method::Code, Method::Code));
    assert_eq!(outcome.said.len(), 6);
    assert_eq!(windows.shown(0), None, "a code works once");
}

#[test]
fn invitation_and_shared_key_take_the_same_path() {
    let invitation = Invitation::new(ALPS, [8; 16], 100, &[]).expect("no addresses");
    let key = SharedKey::parse(b"correct horse").expect("a key");
    let mut windows = Windows::default();
    windows.open(vec![code(7), invitation.offer()], 0, PAIRING_WINDOW_MS);
    windows.stand(key.secret(), 0);
    for secret in [key.secret(), key.secret(), invitation.redeem(99).expect("in time")] {
        let outcome = converse(typing(&secret), showing(), &mut windows, untouched);
        assert_eq!(outcome.typing.expect("paired").method, secret.method());
        assert_eq!(outcome.showing.expect("paired").method, secret.method());
    }
}

#[test]
fn invitation_is_not_tried_on_another_home() {
    let secret = Invitation::new(ALPS, [8; 16], 100, &[]).expect("no addresses").redeem(99).expect("in time");
    let refused = Typing::start(&secret, session(CITY, EVE, 3), introduction("City"), &[5; 64]).err();
    assert_eq!(refused, Some(PairingError::OtherHome { expected: ALPS, found: EVE }));
}

#[test]
fn wrong_code_fails_on_both_sides_and_costs_one_attempt() {
    let mut windows = window();
    let outcome = converse(typing(&code(8)), showing(), &mut windows, untouched);
    assert_eq!(outcome.typing, Err(PairingError::WrongCode));
    assert_eq!(outcome.showing, Err(PairingError::WrongCode));
    assert_eq!(outcome.said.last().map(Vec::as_slice), Some(REFUSAL));
    assert_eq!(attempts_left(&windows), 2);

    let outcome = converse(typing(&code(7)), showing(), &mut windows, untouched);
    assert!(outcome.typing.is_ok() && outcome.showing.is_ok());
}

#[test]
fn man_in_the_middle_of_two_sessions_never_pairs() {
    for (exporters, at_city, at_alps) in
        [((3, 4), EVE, EVE), ((3, 4), ALPS, CITY), ((3, 3), EVE, EVE), ((3, 3), ALPS, EVE)]
    {
        let mut windows = window();
        let typing =
            Typing::start(&code(7), session(CITY, at_city, exporters.0), introduction("City"), &[5; 64]);
        let showing = Showing::new(session(ALPS, at_alps, exporters.1), introduction("Alps"), &[6; 64]);
        let (typing, showing) = (typing.expect("other home"), showing.expect("other home"));
        let outcome = converse(typing, showing, &mut windows, untouched);
        assert_eq!(outcome.typing, Err(PairingError::WrongCode));
        assert_eq!(outcome.showing, Err(PairingError::WrongCode));
        assert_eq!(attempts_left(&windows), 2);
    }
}

#[test]
fn attempt_is_lost_with_the_first_message_even_if_nothing_follows() {
    let mut windows = window();
    let (_, start) = typing(&code(7));
    assert!(matches!(showing().receive(&start, &mut windows, 0), Ok(Step::Send(_))));
    assert_eq!(attempts_left(&windows), 2);
}

#[test]
fn ten_thousand_parallel_tries_get_three_answers() {
    let mut windows = window();
    let (_, start) = typing(&code(8));
    let mut conversations: Vec<_> = (0..10_000).map(|_| showing()).collect();
    let answers: Vec<_> =
        conversations.iter_mut().map(|side| side.receive(&start, &mut windows, 0)).collect();

    let is_answer = |step: &&Result<Step, PairingError>| step.is_ok();
    assert_eq!(answers.iter().filter(is_answer).count(), 3);
    let refused = answers.into_iter().skip(3).map(|answer| answer.expect_err("dead"));
    assert!(refused.into_iter().all(|error| error == PairingError::NoAttemptsLeft));
}

#[test]
fn three_wrong_codes_kill_the_right_one() {
    let mut windows = window();
    for _ in 0..3 {
        let outcome = converse(typing(&code(8)), showing(), &mut windows, untouched);
        assert_eq!(outcome.showing, Err(PairingError::WrongCode));
    }
    let outcome = converse(typing(&code(7)), showing(), &mut windows, untouched);
    assert_eq!(outcome.showing, Err(PairingError::NoAttemptsLeft));
    assert_eq!(outcome.typing, Err(PairingError::Refused));
}

#[test]
fn closed_expired_dead_and_unknown_look_the_same_to_the_peer() {
    let dead = || {
        let mut windows = window();
        for _ in 0..3 {
            assert!(showing().receive(&typing(&code(8)).1, &mut windows, 0).is_ok());
        }
        windows
    };
    let key = SharedKey::parse(b"correct horse").expect("a key").secret();
    for (secret, mut windows, error) in [
        (code(7), Windows::default(), PairingError::Closed),
        (code(7), dead(), PairingError::NoAttemptsLeft),
        (key, window(), PairingError::Closed),
    ] {
        let outcome = converse(typing(&secret), showing(), &mut windows, untouched);
        assert_eq!((outcome.showing, outcome.typing), (Err(error), Err(PairingError::Refused)));
        assert_eq!(&outcome.said[1..], [REFUSAL]);
    }
    let late = showing().receive(&typing(&code(7)).1, &mut window(), PAIRING_WINDOW_MS);
    assert_eq!(late.err(), Some(PairingError::Expired));
}

#[test]
fn window_that_closes_during_the_conversation_pairs_nobody() {
    for (close, error) in [(true, PairingError::Closed), (false, PairingError::Expired)] {
        let (mut windows, mut showing) = (window(), showing());
        let (mut typing, start) = typing(&code(7));
        let Ok(Step::Send(share)) = showing.receive(&start, &mut windows, 0) else { panic!("open") };
        let Ok(Step::Send(proof)) = typing.receive(&share) else { panic!("a share") };
        if close {
            windows.cancel();
        }
        assert_eq!(showing.receive(&proof, &mut windows, PAIRING_WINDOW_MS).err(), Some(error));
    }
}

#[test]
fn two_homes_typing_one_code_at_once_do_not_both_pair() {
    let mut windows = window();
    let pair = || {
        let (typing, start) = typing(&code(7));
        (typing, start, showing())
    };
    let (mut first, mut second) = (pair(), pair());
    let proofs = [&mut first, &mut second].map(|(typing, start, showing)| {
        let Ok(Step::Send(share)) = showing.receive(start, &mut windows, 0) else { panic!("open") };
        let Ok(Step::Send(proof)) = typing.receive(&share) else { panic!("a share") };
        proof
    });
    assert!(first.2.receive(&proofs[0], &mut windows, 0).is_ok());
    assert_eq!(second.2.receive(&proofs[1], &mut windows, 0).err(), Some(PairingError::Closed));
}

#[test]
fn every_flipped_bit_of_every_message_is_noticed() {
    let lengths: Vec<_> =
        converse(typing(&code(7)), showing(), &mut window(), untouched).said.iter().map(Vec::len).collect();
    for (number, length) in lengths.iter().enumerate() {
        for bit in 0..length * 8 {
            let outcome = converse(typing(&code(7)), showing(), &mut window(), |at, mut message| {
                if at == number {
                    message[bit / 8] ^= 1 << (bit % 8);
                }
                message
            });
            assert!(outcome.typing.is_err(), "bit {bit} of message {number}");
            // The last message is for the typing side alone; the showing side has paired by then.
            assert!(outcome.showing.is_err() || number == 5, "bit {bit} of message {number}");
        }
    }
}

#[test]
fn unknown_field_that_somebody_adds_on_the_way_is_noticed() {
    for number in 0..2 {
        let outcome = converse(typing(&code(7)), showing(), &mut window(), |at, mut message| {
            if at == number {
                message[0] += 1;
                message.extend_from_slice(&[0x18, 0x63, 0x00]);
            }
            message
        });
        assert_eq!(outcome.showing, Err(PairingError::WrongCode));
    }
}

#[test]
fn repeated_reflected_and_early_messages_end_the_conversation() {
    let said = converse(typing(&code(7)), showing(), &mut window(), untouched).said;
    for number in 0..6 {
        for other in (0..6).filter(|other| *other != number) {
            let swapped = |at, message| if at == number { said[other].clone() } else { message };
            let outcome = converse(typing(&code(7)), showing(), &mut window(), swapped);
            assert!(outcome.typing.is_err(), "{other} instead of {number}");
        }
    }
}

#[test]
fn recorded_conversation_is_worthless_in_another_session() {
    let said = converse(typing(&code(7)), showing(), &mut window(), untouched).said;
    let mut windows = window();
    let mut showing =
        Showing::new(session(ALPS, CITY, 3), introduction("Alps"), &[9; 64]).expect("other home");
    assert!(showing.receive(&said[0], &mut windows, 0).is_ok());
    assert_eq!(showing.receive(&said[2], &mut windows, 0).err(), Some(PairingError::WrongCode));
    assert_eq!(showing.receive(&said[4], &mut windows, 0).err(), Some(PairingError::Over));
    assert_eq!(attempts_left(&windows), 2);
}

#[test]
fn oversized_and_malformed_messages_cost_nothing_and_end_it() {
    let mut windows = window();
    let long = vec![0xa0; PAIRING_MESSAGE_MAX + 1];
    assert_eq!(showing().receive(&long, &mut windows, 0).err(), Some(PairingError::TooLong(long.len())));
    assert_eq!(showing().receive(&[], &mut windows, 0).err(), Some(PairingError::Malformed("not a map")));
    let (mut showing, (_, start)) = (showing(), typing(&code(7)));
    assert!(showing.receive(&start[1..], &mut windows, 0).is_err());
    assert_eq!(showing.receive(&start, &mut windows, 0).err(), Some(PairingError::Over));
    assert_eq!(attempts_left(&windows), 3);

    let (mut typing, start) = typing(&code(7));
    assert_eq!(typing.receive(&long).err(), Some(PairingError::TooLong(long.len())));
    assert_eq!(typing.receive(&start).err(), Some(PairingError::Over));
}

#[test]
fn homes_without_a_common_protocol_say_so_on_both_sides() {
    let (ours, theirs) = (ProtocolRange::new(3, 4).expect("rises"), ProtocolRange::new(1, 2).expect("rises"));
    let later = Introduction::new("City", "0.1.0", ours, &[]).expect("valid");
    let typing = Typing::start(&code(7), session(CITY, ALPS, 3), later, &[5; 64]).expect("other home");
    let outcome = converse(typing, showing(), &mut window(), untouched);
    assert_eq!(outcome.typing, Err(PairingError::NoCommonProtocol { ours, theirs }));
    assert_eq!(outcome.showing, Err(PairingError::NoCommonProtocol { ours: theirs, theirs: ours }));
}

#[test]
fn showing_side_checks_the_versions_even_if_the_typing_side_does_not() {
    let (ours, theirs) = (ProtocolRange::new(1, 2).expect("rises"), ProtocolRange::new(3, 4).expect("rises"));
    let later = Introduction::new("City", "0.1.0", theirs, &[]).expect("valid");
    let (mut typing, start) =
        Typing::start(&code(7), session(CITY, ALPS, 3), later, &[5; 64]).expect("other home");
    typing.us.me = introduction("City");
    let outcome = converse((typing, start), showing(), &mut window(), untouched);
    assert_eq!(outcome.showing, Err(PairingError::NoCommonProtocol { ours, theirs }));
}

#[test]
fn home_that_introduces_itself_with_other_versions_than_it_offered_is_refused() {
    let (mut windows, mut showing) = (window(), showing());
    let (mut typing, start) = typing(&code(7));
    let Ok(Step::Send(share)) = showing.receive(&start, &mut windows, 0) else { panic!("open") };
    let Ok(Step::Send(proof)) = typing.receive(&share) else { panic!("a share") };
    let Ok(Step::Send(proof)) = showing.receive(&proof, &mut windows, 0) else { panic!("a right code") };
    let lower = ProtocolRange::new(1, 1).expect("rises");
    typing.us.me = Introduction::new("City", "0.1.0", lower, &[]).expect("valid");
    let Ok(Step::Send(introduction)) = typing.receive(&proof) else { panic!("a right code") };
    let refused = showing.receive(&introduction, &mut windows, 0).err();
    assert_eq!(refused, Some(PairingError::Malformed("the versions offered differ")));
}

#[test]
fn home_does_not_pair_with_itself() {
    let typing = Typing::start(&code(7), session(ALPS, ALPS, 3), introduction("Alps"), &[5; 64]);
    assert_eq!(typing.err(), Some(PairingError::Myself));
    let showing = Showing::new(session(ALPS, ALPS, 3), introduction("Alps"), &[5; 64]);
    assert_eq!(showing.err(), Some(PairingError::Myself));
}

#[test]
fn nothing_secret_is_printed() {
    let outcome = converse(typing(&code(7)), showing(), &mut window(), untouched);
    let paired = format!("{:?}", outcome.typing.expect("paired"));
    assert!(paired.contains("PairSecret(..)"));
    let typing = typing(&code(7)).0;
    let printed = format!("{:?} {:?} {:?}", typing, showing(), code(7));
    assert_eq!(
        printed,
        format!(
            "Typing(Binding({CITY:?} with {ALPS:?})) Showing(Binding({ALPS:?} with {CITY:?})) Secret(..)"
        )
    );
}

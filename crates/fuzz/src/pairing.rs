//! A stranger at the pairing door, who knows the code or not.

use crosshome_core::{
    HomeId,
    pairing::{Binding, Code, Introduction, ProtocolRange, Showing, Step, Typing, Windows},
};

use crate::bytes::Bytes;

const VILLA: HomeId = HomeId([1; 32]);
const FLAT: HomeId = HomeId([2; 32]);

/// An honest pairing up to some message, in whose place the bytes come.
pub(crate) fn pairing(bytes: &[u8]) {
    let mut bytes = Bytes(bytes);
    let honest = bytes.below(6);
    let code = Code::new(&[4; 16]);
    let mut windows = Windows::default();
    windows.open(vec![code.secret()], 0, 300_000);
    let binding = |me, peer| Binding { exporter: [3; 32], me, peer };
    let showing = Showing::new(binding(VILLA, FLAT), introduction("Villa"), &[5; 64]);
    let mut showing = showing.expect("two homes");
    let typing = Typing::start(&code.secret(), binding(FLAT, VILLA), introduction("Flat"), &[6; 64]);
    let (mut typing, mut message) = typing.expect("two homes");
    for turn in 0..6 {
        if turn == honest {
            message = bytes.0.to_vec();
        }
        let step = match turn % 2 {
            0 => showing.receive(&message, &mut windows, 1_000),
            _ => typing.receive(&message),
        };
        message = match step {
            Ok(Step::Send(answer) | Step::Paired { send: Some(answer), .. }) => answer,
            Ok(Step::Paired { send: None, .. }) | Err(_) => return,
        };
    }
}

fn introduction(name: &str) -> Introduction {
    let protocols = ProtocolRange::new(1, 1).expect("a range");
    Introduction::new(name, "0.1.0", protocols, &["sync"]).expect("an introduction")
}

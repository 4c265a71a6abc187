//! Frames, versions, bodies and records as a peer or a disk could send them.

use crosshome_core::{
    EntityKey, HomeId, Space,
    body::Body,
    dot::{Actor, Dot},
    hlc::Hlc,
    record::{self, Place},
    wire::{Actors, Message, Offer, Said, decode_version, encode_version},
};
use minicbor::{Decoder, Encoder};

const VILLA: HomeId = HomeId([1; 32]);
const FLAT: HomeId = HomeId([2; 32]);
const CLOCK: Hlc = Hlc::at(1_800_000_000_000);

/// A message that is read can be written, and reads back as the same.
pub(crate) fn message(bytes: &[u8]) {
    if let Ok(message) = Message::decode(bytes) {
        assert_eq!(Message::decode(&message.encode()).expect("what was written can be read"), message);
    }
    _ = Message::decode_known(bytes);
}

/// The first message, where what stands before its body is right already.
pub(crate) fn hello(bytes: &[u8]) {
    message(&[&[0x82, 0x00], bytes].concat());
}

/// Two offers of one session, the second of which builds on the first.
pub(crate) fn offer(bytes: &[u8]) {
    let mut said = Said::default();
    let half = bytes.len() / 2;
    if Offer::decode(bytes, VILLA, FLAT, &mut said).is_ok() {
        _ = Offer::decode(bytes, VILLA, FLAT, &mut said);
    }
    _ = Offer::decode(&bytes[half..], VILLA, FLAT, &mut Said::default());
}

/// A version that is read whole can be written, and reads back as the same.
pub(crate) fn version(bytes: &[u8]) {
    let mut actors = Actors::default();
    [VILLA, FLAT].into_iter().for_each(|home| _ = actors.number(Actor::first(home)));
    let Ok(draft) = decode_version(&mut Decoder::new(bytes), CLOCK, &actors) else { return };
    let Some(version) = draft.complete(&[]) else { return };
    let mut out = Encoder::new(Vec::new());
    encode_version(&version, CLOCK, &mut actors, &mut out);
    let again = decode_version(&mut Decoder::new(out.writer()), CLOCK, &actors).expect("it was written here");
    assert_eq!(again.complete(&[]), Some(version));
}

/// A body that is taken keeps its bytes, and its groups make the same body again.
pub(crate) fn body(bytes: &[u8]) {
    let dot = Dot { actor: Actor::first(VILLA), hlc: CLOCK };
    let Ok(body) = Body::parse(bytes, dot) else { return };
    assert_eq!(body.as_bytes(), bytes);
    assert_eq!(Body::of(dot, body.groups(dot)), body);
    body.groups(dot).flat_map(|group| group.fields()).for_each(drop);
}

/// A record as a disk gives it back: only one whose checksum is right is read, and whatever it says can be shown.
pub(crate) fn record(bytes: &[u8]) {
    let key = EntityKey { space: Space::Home(VILLA), id: "light.hall".parse().expect("it is an id") };
    let place = Place { key, birth: 7, seq: 9 };
    let whole = record::decode(place.clone(), bytes);
    let Ok(entity) = record::recall(place, bytes) else { return assert!(whole.is_err()) };
    entity.siblings.iter().flat_map(|version| version.fields()).for_each(drop);
    _ = (entity.view(), entity.conflict());
}

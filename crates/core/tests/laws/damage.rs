//! What comes from outside, damaged or made up.

use super::*;

/// Real frames of a real exchange, as something to damage.
fn frames(entities: &[Entity]) -> Vec<Vec<u8>> {
    let (mut villa, mut flat) =
        (Replica::new(HOMES[0], Options::default()), Replica::new(HOMES[1], Options::default()));
    entities.iter().enumerate().for_each(|(at, entity)| {
        let id = format!("light.l{at}").parse().unwrap();
        let key = EntityKey { space: Space::Joint, id };
        villa.put_back([Entity { seq: at as u64 + 1, key, ..entity.clone() }]);
    });
    let me = Introduction { name: "villa", proto_low: 1 };
    let mut to_flat = Session::open(HOMES[1], true, &me, &villa, 5_000);
    let mut to_villa = Session::open(HOMES[0], true, &me, &flat, 5_000);
    let mut frames = Vec::new();
    for _ in 0..3 {
        while let Some(frame) = to_flat.offer(&villa) {
            to_villa.receive(&mut flat, &frame, 5_000).unwrap();
            frames.push(frame);
        }
        while let Some(frame) = to_villa.offer(&flat) {
            to_flat.receive(&mut villa, &frame, 5_000).unwrap();
            frames.push(frame);
        }
    }
    frames
}

#[derive(Clone, Copy, Debug)]
enum Damage {
    Flip(usize, u8),
    Cut(usize),
    Insert(usize, u8),
    Remove(usize),
    Copy(usize, usize),
}

fn any_damage() -> impl Strategy<Value = Damage> {
    let byte = prop_oneof![
        any::<u8>(),
        prop::sample::select(vec![0x1b, 0x3b, 0x5b, 0x7b, 0x9b, 0xbb, 0x9f, 0xff, 0])
    ];
    prop_oneof![
        (any::<usize>(), byte.clone()).prop_map(|(at, bits)| Damage::Flip(at, bits)),
        any::<usize>().prop_map(Damage::Cut),
        (any::<usize>(), byte).prop_map(|(at, byte)| Damage::Insert(at, byte)),
        any::<usize>().prop_map(Damage::Remove),
        (any::<usize>(), any::<usize>()).prop_map(|(from, to)| Damage::Copy(from, to)),
    ]
}

fn damaged(mut bytes: Vec<u8>, damage: &[Damage]) -> Vec<u8> {
    for what in damage {
        let len = bytes.len().max(1);
        match *what {
            Damage::Flip(at, bits) => bytes.iter_mut().skip(at % len).take(1).for_each(|byte| *byte ^= bits),
            Damage::Cut(at) => bytes.truncate(at % len),
            Damage::Insert(at, byte) => bytes.insert(at % len % (bytes.len() + 1), byte),
            Damage::Remove(at) if !bytes.is_empty() => {
                bytes.remove(at % len);
            }
            Damage::Remove(_) => {}
            Damage::Copy(from, to) => {
                let piece: Vec<_> = bytes.iter().skip(from % len).take(40).copied().collect();
                bytes.splice(to % len % (bytes.len() + 1)..to % len % (bytes.len() + 1), piece);
            }
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn damaged_frame_is_refused_or_harmless(
        entities in prop::collection::vec(any_entity(), 1..4),
        message in any_message(),
        which in any::<prop::sample::Index>(),
        damage in prop::collection::vec(any_damage(), 1..6),
    ) {
        let mut all = frames(&entities);
        all.push(message.encode());
        let frame = damaged(which.get(&all).clone(), &damage);
        let _ = Message::decode_known(&frame);
        if let Ok(offer) = Offer::decode(&frame, HOMES[0], HOMES[1], &mut Said::default()) {
            prop_assert!(offer.items.len() <= frame.len());
        }
        let mut flat = Replica::new(HOMES[1], Options::default());
        let me = Introduction { name: "flat", proto_low: 1 };
        let mut session = Session::open(HOMES[0], true, &me, &flat, 5_000);
        let _ = session.receive(&mut flat, &frame, 5_000);
        prop_assert_eq!(flat.table().len(Space::Home(HOMES[1])), 0);
    }

    #[test]
    fn damaged_record_and_body_are_refused_or_whole(
        entity in any_entity(),
        damage in prop::collection::vec(any_damage(), 1..6),
    ) {
        let bytes = damaged(record::encode(&entity), &damage);
        if let Ok(read) = record::decode(Place::of(&entity), &bytes) {
            prop_assert_eq!(read, entity.clone());
        }
        for version in entity.siblings.iter() {
            let bytes = damaged(version.body.as_bytes().to_vec(), &damage);
            if let Ok(body) = Body::parse(&bytes, version.dot) {
                prop_assert!(body.groups(version.dot).all(|group| group.fields().count() > 0));
            }
        }
    }

    #[test]
    fn garbage_is_refused_or_harmless(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Message::decode_known(&bytes);
        let _ = Offer::decode(&bytes, HOMES[0], HOMES[1], &mut Said::default());
        let _ = Body::parse(&bytes, dot(1));
        let key = EntityKey { space: Space::Joint, id: "light.hall".parse().unwrap() };
        let place = Place { key, birth: 1, seq: 1 };
        prop_assert!(record::decode(place, &bytes).is_err());
    }
}

#[test]
fn huge_announced_lengths_cost_nothing() {
    // [kind, {key: array or map of 2^32 - 1 items}] and the like
    for kind in 0..14u8 {
        for header in [0x9a, 0xba, 0x5a, 0x7a, 0x9b, 0xbb, 0x5b, 0x7b] {
            for key in 0..8u8 {
                let mut frame = vec![0x82, kind, 0xa1, key, header];
                frame.extend([0xff; 8]);
                let _ = Message::decode_known(&frame);
                let _ = Offer::decode(&frame, HOMES[0], HOMES[1], &mut Said::default());
            }
        }
    }
}

#[test]
fn offer_of_very_many_small_things_is_refused() {
    let item = [0xa2, 0, 0, 5, 0x80];
    let mut frame = vec![0x82, 1, 0xa1, 2, 0x9a, 0, 2, 0, 0];
    (0..200_000).for_each(|_| frame.extend(item));
    assert!(Offer::decode(&frame, HOMES[0], HOMES[1], &mut Said::default()).is_err());
}

#[test]
fn actor_is_sorted_into_a_vector_once() {
    let dots: BTreeSet<_> =
        (0..9u64).map(|n| Dot { actor: Actor::first(HOMES[n as usize % 3]), hlc: Hlc(n) }).collect();
    let forward: VersionVector = dots.iter().copied().collect();
    let backward: VersionVector = dots.iter().rev().copied().collect();
    assert_eq!(forward, backward);
    assert_eq!(forward.len(), 3);
}

use p256::elliptic_curve::sec1::ToSec1Point;
use pakery_crypto::Spake2P256;
use pakery_spake2::{PartyA, PartyB};
use proptest::prelude::*;

use super::*;

/// RFC 9382 appendix B, all four vectors for this suite.
struct Vector {
    identities: [&'static str; 2],
    w: &'static str,
    x: &'static str,
    y: &'static str,
    share_a: &'static str,
    share_b: &'static str,
    key: &'static str,
    proof_a: &'static str,
    proof_b: &'static str,
}

const VECTORS: [Vector; 4] = [
    Vector {
        identities: ["server", "client"],
        w: "2ee57912099d31560b3a44b1184b9b4866e904c49d12ac5042c97dca461b1a5f",
        x: "43dd0fd7215bdcb482879fca3220c6a968e66d70b1356cac18bb26c84a78d729",
        y: "dcb60106f276b02606d8ef0a328c02e4b629f84f89786af5befb0bc75b6e66be",
        share_a: "04a56fa807caaa53a4d28dbb9853b9815c61a411118a6fe516a8798434751470f9010153ac33d0d5f2047ffdb1a3e42c9b4e6be662766e1eeb4116988ede5f912c",
        share_b: "0406557e482bd03097ad0cbaa5df82115460d951e3451962f1eaf4367a420676d09857ccbc522686c83d1852abfa8ed6e4a1155cf8f1543ceca528afb591a1e0b7",
        key: "0e0672dc86f8e45565d338b0540abe69",
        proof_a: "58ad4aa88e0b60d5061eb6b5dd93e80d9c4f00d127c65b3b35b1b5281fee38f0",
        proof_b: "d3e2e547f1ae04f2dbdbf0fc4b79f8ecff2dff314b5d32fe9fcef2fb26dc459b",
    },
    Vector {
        identities: ["", "client"],
        w: "0548d8729f730589e579b0475a582c1608138ddf7054b73b5381c7e883e2efae",
        x: "403abbe3b1b4b9ba17e3032849759d723939a27a27b9d921c500edde18ed654b",
        y: "903023b6598908936ea7c929bd761af6039577a9c3f9581064187c3049d87065",
        share_a: "04a897b769e681c62ac1c2357319a3d363f610839c4477720d24cbe32f5fd85f44fb92ba966578c1b712be6962498834078262caa5b441ecfa9d4a9485720e918a",
        share_b: "04e0f816fd1c35e22065d5556215c097e799390d16661c386e0ecc84593974a61b881a8c82327687d0501862970c64565560cb5671f696048050ca66ca5f8cc7fc",
        key: "642f05c473c2cd79909f9a841e2f30a7",
        proof_a: "47d29e6666af1b7dd450d571233085d7a9866e4d49d2645e2df975489521232b",
        proof_b: "3313c5cefc361d27fb16847a91c2a73b766ffa90a4839122a9b70a2f6bd1d6df",
    },
    Vector {
        identities: ["server", ""],
        w: "626e0cdc7b14c9db3e52a0b1b3a768c98e37852d5db30febe0497b14eae8c254",
        x: "07adb3db6bc623d3399726bfdbfd3d15a58ea776ab8a308b00392621291f9633",
        y: "b6a4fc8dbb629d4ba51d6f91ed1532cf87adec98f25dd153a75accafafedec16",
        share_a: "04f88fb71c99bfffaea370966b7eb99cd4be0ff1a7d335caac4211c4afd855e2e15a873b298503ad8ba1d9cbb9a392d2ba309b48bfd7879aefd0f2cea6009763b0",
        share_b: "040c269d6be017dccb15182ac6bfcd9e2a14de019dd587eaf4bdfd353f031101e7cca177f8eb362a6e83e7d5e729c0732e1b528879c086f39ba0f31a9661bd34db",
        key: "005184ff460da2ce59062c87733c299c",
        proof_a: "bc9f9bbe99f26d0b2260e6456e05a86196a3307ec6663a18bf6ac825736533b2",
        proof_b: "c2370e1bf813b086dff0d834e74425a06e6390f48f5411900276dcccc5a297ec",
    },
    Vector {
        identities: ["", ""],
        w: "7bf46c454b4c1b25799527d896508afd5fc62ef4ec59db1efb49113063d70cca",
        x: "8cef65df64bb2d0f83540c53632de911b5b24b3eab6cc74a97609fd659e95473",
        y: "d7a66f64074a84652d8d623a92e20c9675c61cb5b4f6a0063e4648a2fdc02d53",
        share_a: "04a65b367a3f613cf9f0654b1b28a1e3a8a40387956c8ba6063e8658563890f46ca1ef6a676598889fc28de2950ab8120b79a5ef1ea4c9f44bc98f585634b46d66",
        share_b: "04589f13218822710d98d8b2123a079041052d9941b9cf88c6617ddb2fcc0494662eea8ba6b64692dc318250030c6af045cb738bc81ba35b043c3dcb46adf6f58d",
        key: "fc6374762ba5cf11f4b2caa08b2cd1b9",
        proof_a: "dfb4db8d48ae5a675963ea5e6c19d98d4ea028d8e898dad96ea19a80ade95dca",
        proof_b: "d0f0609d1613138d354f7e95f19fb556bf52d751947241e8c7118df5ef0ae175",
    },
];

fn scalar(text: &str) -> Scalar {
    let bytes: [u8; 32] = hex::decode(text).expect("hex").try_into().expect("32 bytes");
    Option::from(Scalar::from_repr(bytes.into())).expect("below the order")
}

fn share(point: ProjectivePoint) -> Share {
    point.to_affine().to_sec1_point(false).as_bytes().try_into().expect("65 bytes")
}

fn exchange(role: Role, random: [u8; 64]) -> Exchange {
    Exchange::new(role, &Password::new(Method::Code, b"123456784"), &random)
}

#[test]
fn vectors_of_rfc_9382_hold_on_both_sides() {
    for vector in VECTORS {
        let a = Exchange::with_scalar(Role::Typing, scalar(vector.w), scalar(vector.x));
        let b = Exchange::with_scalar(Role::Showing, scalar(vector.w), scalar(vector.y));
        assert_eq!(hex::encode(a.share()), vector.share_a);
        assert_eq!(hex::encode(b.share()), vector.share_b);

        let (to_a, to_b) = (*b.share(), *a.share());
        let identities = vector.identities.map(str::as_bytes);
        let a = a.finish(&to_a, identities, b"").expect("a point");
        let b = b.finish(&to_b, identities, b"").expect("a point");
        assert_eq!([hex::encode(a.key()), hex::encode(b.key())], [vector.key, vector.key]);
        assert_eq!([hex::encode(a.proof()), hex::encode(b.proof())], [vector.proof_a, vector.proof_b]);
        assert!(a.is_proven_by(b.proof()) && b.is_proven_by(a.proof()));
        assert!(!a.is_proven_by(a.proof()), "a reflected proof is none");
    }
}

#[test]
fn only_uncompressed_points_of_the_curve_are_taken() {
    let good = *exchange(Role::Showing, [1; 64]).share();
    assert!(decode(&good).is_some());

    let identity = [0; 65];
    let marked_identity = std::array::from_fn(|i| if i == 0 { UNCOMPRESSED } else { 0 });
    let mut beyond_the_field = [0xff; 65];
    beyond_the_field[0] = UNCOMPRESSED;
    let mut off_the_curve = good;
    off_the_curve[64] ^= 1;
    for bad in [identity, marked_identity, beyond_the_field, off_the_curve] {
        assert!(decode(&bad).is_none(), "{bad:02x?}");
    }
    for tag in (0..=255).filter(|tag| *tag != UNCOMPRESSED) {
        let mut tagged = good;
        tagged[0] = tag;
        assert!(decode(&tagged).is_none(), "{tag:#04x}");
    }
}

#[test]
fn share_that_makes_the_key_the_identity_is_refused() {
    // The blinding point times the password is the share of somebody whose own scalar is zero.
    let typing = exchange(Role::Typing, [1; 64]);
    let giveaway = share(blind(Role::Showing) * typing.password);
    assert!(typing.finish(&giveaway, [b"", b""], b"").is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn second_implementation_agrees(
        password: [u8; 16], x: [u8; 64], y: [u8; 64], a in "[a-z]{0,9}", b in "[a-z]{0,9}", context: Vec<u8>,
    ) {
        let (a, b) = (a.as_bytes(), b.as_bytes());
        let password = Password::new(Method::Invitation, &password);
        let typing = Exchange::new(Role::Typing, &password, &x);
        let showing = Exchange::new(Role::Showing, &password, &y);
        let (x, y) = (typing.secret, showing.secret);

        let (share_a, their_a) =
            PartyA::<Spake2P256>::start_with_scalar(&password.0, &x, a, b, &context).expect("starts");
        let (share_b, their_b) =
            PartyB::<Spake2P256>::start_with_scalar(&password.0, &y, a, b, &context).expect("starts");
        prop_assert_eq!((&share_a[..], &share_b[..]), (&typing.share()[..], &showing.share()[..]));

        let (to_typing, to_showing) = (*showing.share(), *typing.share());
        let ours = typing.finish(&to_typing, [a, b], &context).expect("a point");
        let theirs = their_b.finish(&to_showing).expect("a point");
        prop_assert_eq!(ours.key().as_slice(), theirs.session_key.as_bytes());
        prop_assert!(theirs.verify_peer_confirmation(ours.proof()).is_ok());

        let ours = showing.finish(&to_showing, [a, b], &context).expect("a point");
        let theirs = their_a.finish(&to_typing).expect("a point");
        prop_assert_eq!(ours.key().as_slice(), theirs.session_key.as_bytes());
        prop_assert!(theirs.verify_peer_confirmation(ours.proof()).is_ok());
    }

    #[test]
    fn any_65_bytes_are_a_point_or_refused(
        bytes in proptest::collection::vec(any::<u8>(), 65), tag in 0..8_u8,
    ) {
        let mut bytes: Share = bytes.try_into().expect("65 bytes");
        bytes[0] = tag;
        if let Some(point) = decode(&bytes) {
            prop_assert_eq!(share(point), bytes);
        }
    }

    #[test]
    fn another_password_context_or_identity_is_not_proven(other in 0..4_usize) {
        let typing = exchange(Role::Typing, [1; 64]);
        let wrong = Password::new(if other == 3 { Method::SharedKey } else { Method::Code }, b"123456784");
        let wrong = if other == 0 { Password::new(Method::Code, b"123456780") } else { wrong };
        let showing = Exchange::new(Role::Showing, &wrong, &[2; 64]);
        let (to_typing, to_showing) = (*showing.share(), *typing.share());
        let a = typing.finish(&to_typing, [b"alps", b"city"], b"E").expect("a point");
        let identities: [&[u8]; 2] = if other == 1 { [b"alp", b"scity"] } else { [b"alps", b"city"] };
        let b = showing.finish(&to_showing, identities, if other == 2 { b"F" } else { b"E" }).expect("a point");
        prop_assert!(!a.is_proven_by(b.proof()));
        prop_assert!(!b.is_proven_by(a.proof()));
    }
}

//! The five messages of pairing, in the form that goes over the link.
//!
//! Each is one CBOR map whose key 0 says which it is. Forms and examples stand in
//! PROTOCOL.md; the golden files under `tests/golden/pairing` are made from here.

use super::{
    Method, PairingError, ProtocolRange,
    fields::{Fields, written},
    spake2::Share,
};
use crate::defaults::PAIRING_MESSAGE_MAX;

/// One message, not yet judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Message {
    /// Typing side: begins.
    Start { method: Method, protocols: ProtocolRange, share: Share },
    /// Showing side: answers, and has counted the attempt.
    Share { protocols: ProtocolRange, share: Share },
    /// Either side, typing side first: proves to know the secret.
    Proof([u8; 32]),
    /// Either side, typing side first: an encoded introduction with its seal.
    Introduce { introduction: Vec<u8>, seal: [u8; 32] },
    /// Either side: no.
    Refused,
}

impl Message {
    /// Returns the message as it is sent.
    pub(super) fn encode(&self) -> Vec<u8> {
        written(|e| match self {
            Self::Start { method, protocols, share } => {
                e.map(5)?.u8(0)?.u8(1)?.u8(1)?.u8(method.number())?;
                e.u8(2)?.u16(protocols.low())?.u8(3)?.u16(protocols.high())?.u8(4)?.bytes(share)?.ok()
            }
            Self::Share { protocols, share } => {
                e.map(4)?.u8(0)?.u8(2)?;
                e.u8(2)?.u16(protocols.low())?.u8(3)?.u16(protocols.high())?.u8(4)?.bytes(share)?.ok()
            }
            Self::Proof(proof) => e.map(2)?.u8(0)?.u8(3)?.u8(1)?.bytes(proof)?.ok(),
            Self::Introduce { introduction, seal } => {
                e.map(3)?.u8(0)?.u8(4)?.u8(1)?.bytes(introduction)?.u8(2)?.bytes(seal)?.ok()
            }
            Self::Refused => e.map(1)?.u8(0)?.u8(5)?.ok(),
        })
    }

    /// Reads a message; one that is too long is not looked at.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, PairingError> {
        if bytes.len() > PAIRING_MESSAGE_MAX {
            return Err(PairingError::TooLong(bytes.len()));
        }
        let mut fields = Fields::new(bytes)?;
        let message = match fields.u16(0)? {
            1 => Self::Start {
                method: method(fields.u16(1)?)?,
                protocols: ProtocolRange::new(fields.u16(2)?, fields.u16(3)?)?,
                share: fields.bytes(4)?,
            },
            2 => Self::Share {
                protocols: ProtocolRange::new(fields.u16(2)?, fields.u16(3)?)?,
                share: fields.bytes(4)?,
            },
            3 => Self::Proof(fields.bytes(1)?),
            4 => Self::Introduce { introduction: fields.byte_vec(1)?, seal: fields.bytes(2)? },
            5 => Self::Refused,
            _ => return Err(PairingError::Malformed("unknown kind of message")),
        };
        fields.end()?;
        Ok(message)
    }

    /// Returns the kind, for an error about it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Start { .. } => "start",
            Self::Share { .. } => "share",
            Self::Proof(_) => "proof",
            Self::Introduce { .. } => "introduction",
            Self::Refused => "refusal",
        }
    }
}

fn method(number: u16) -> Result<Method, PairingError> {
    let known = u8::try_from(number).ok().and_then(Method::from_number);
    known.ok_or(PairingError::Malformed("unknown method"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::REFUSAL, *};

    fn messages() -> [Message; 5] {
        let protocols = ProtocolRange::new(1, 300).expect("rises");
        [
            Message::Start { method: Method::SharedKey, protocols, share: [7; 65] },
            Message::Share { protocols, share: [8; 65] },
            Message::Proof([9; 32]),
            Message::Introduce { introduction: vec![1; 300], seal: [2; 32] },
            Message::Refused,
        ]
    }

    #[test]
    fn every_message_is_read_back() {
        for message in messages() {
            assert_eq!(Message::decode(&message.encode()), Ok(message));
        }
    }

    #[test]
    fn refusal_is_the_published_constant() {
        assert_eq!(Message::Refused.encode(), REFUSAL);
    }

    #[test]
    fn message_cut_short_or_followed_by_more_is_malformed() {
        for bytes in messages().map(|message| message.encode()) {
            for length in 0..bytes.len() {
                let cut = Message::decode(&bytes[..length]);
                assert!(matches!(cut, Err(PairingError::Malformed(_))), "{length} of {bytes:02x?}");
            }
            let more = [bytes, vec![0]].concat();
            assert_eq!(Message::decode(&more), Err(PairingError::Malformed("bytes after the end")));
        }
    }

    #[test]
    fn unknown_fields_of_a_later_version_are_ignored() {
        let mut bytes = Message::Proof([9; 32]).encode();
        bytes[0] = 0xa3;
        bytes.extend_from_slice(&[0x18, 0x2a, 0x82, 0x01, 0xf6]);
        assert_eq!(Message::decode(&bytes), Ok(Message::Proof([9; 32])));
    }

    #[test]
    fn message_over_the_limit_is_not_looked_at() {
        let long = [Message::Refused.encode(), vec![0; PAIRING_MESSAGE_MAX]].concat();
        assert_eq!(Message::decode(&long), Err(PairingError::TooLong(PAIRING_MESSAGE_MAX + 3)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..5000)) {
            let _ = Message::decode(&bytes);
        }
    }
}

//! TLS 1.3 between two raw public keys, and nothing else.
//!
//! One version, one key exchange (X25519MLKEM768), one kind of signature (Ed25519), no
//! names, no tickets, no resumption (it would skip the pin check), no early data. A stranger who merely
//! knows a peer's public key must not learn whether it is pinned here: the
//! signature is checked first, then the pin, and every refusal sends the same alert.

use std::{
    sync::{Arc, LazyLock},
    thread,
};

use crosshome_core::HomeId;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, OtherError,
    PeerMisbehaved, ServerConfig, SignatureAlgorithm, SignatureScheme,
    client::{
        AlwaysResolvesClientRawPublicKeys, Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{
        CryptoProvider, WebPkiSupportedAlgorithms,
        aws_lc_rs::{cipher_suite, default_provider, kx_group},
        verify_tls13_signature_with_raw_key,
    },
    pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime},
    server::{
        AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    sign::{CertifiedKey, Signer, SigningKey},
    version::TLS13,
};

use super::{Door, Pins, Purpose, Target};
use crate::identity::{Identity, PeerKey};

impl Purpose {
    /// The name of this purpose in the TLS handshake.
    pub(super) fn alpn(self) -> &'static [u8] {
        match self {
            Self::Sync => b"crosshome/1",
            Self::Pair => b"crosshome-pair/1",
        }
    }
}

/// Draws the first randomness on a thread of its own, for it takes up to 90 ms: off the path of the start and of
/// the first handshake, which waits for it only when it comes sooner.
pub fn warm_up() {
    let draw = || {
        let mut byte = [0];
        // A failure shows again, with an error, in whatever needs randomness first.
        let _ = aws_lc_rs::rand::fill(&mut byte);
    };
    let _ = thread::Builder::new().name("random".into()).spawn(draw);
}

/// How this home answers those who ask for `purpose`.
pub(super) fn server_config(
    identity: &Identity,
    purpose: Purpose,
    pins: &Pins,
    door: &Door,
) -> Arc<ServerConfig> {
    let rule = match purpose {
        Purpose::Sync => Rule::Pinned(pins.clone()),
        Purpose::Pair => Rule::WhileOpen(door.clone()),
    };
    let mut config = ServerConfig::builder_with_provider(PROVIDER.clone())
        .with_protocol_versions(&[&TLS13])
        .expect("the provider has suites and groups of TLS 1.3")
        .with_client_cert_verifier(Arc::new(KeyCheck(rule)))
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(certified(identity))));
    config.alpn_protocols = vec![purpose.alpn().to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    config.ignore_client_order = !aes_in_hardware();
    Arc::new(config)
}

/// How this home calls `target`.
pub(super) fn client_config(identity: &Identity, target: Target, pins: &Pins) -> Arc<ClientConfig> {
    let rule = match target {
        Target::Sync(id) => Rule::PinnedAs(id, pins.clone()),
        Target::Pair(Some(id)) => Rule::Only(id),
        Target::Pair(None) => Rule::Anybody,
    };
    let mut config = ClientConfig::builder_with_provider(PROVIDER.clone())
        .with_protocol_versions(&[&TLS13])
        .expect("the provider has suites and groups of TLS 1.3")
        .dangerous() // the name rustls gives to every verifier but its own
        .with_custom_certificate_verifier(Arc::new(KeyCheck(rule)))
        .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(certified(identity))));
    config.alpn_protocols = vec![target.purpose().alpn().to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
    config.enable_early_data = false;
    Arc::new(config)
}

/// The name rustls asks for; it is neither sent nor compared.
pub(super) fn unsent_name() -> ServerName<'static> {
    ServerName::try_from("crosshome.invalid").expect("a valid name")
}

/// Why a proven key was not admitted; travels through rustls to [`super::ChannelError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("expected another key")]
    WrongKey { expected: HomeId, found: HomeId },
    #[error("key not pinned")]
    NotPinned(HomeId),
    #[error("pairing is closed")]
    DoorClosed,
}

#[derive(Debug)]
enum Rule {
    Pinned(Pins),
    WhileOpen(Door),
    PinnedAs(HomeId, Pins),
    Only(HomeId),
    Anybody,
}

impl Rule {
    fn judge(&self, key: &PeerKey) -> Result<(), Refusal> {
        match self {
            Self::Pinned(pins) if !pins.contains(key) => Err(Refusal::NotPinned(key.id())),
            Self::WhileOpen(door) if !door.is_open() => Err(Refusal::DoorClosed),
            Self::PinnedAs(expected, _) | Self::Only(expected) if *expected != key.id() => {
                Err(Refusal::WrongKey { expected: *expected, found: key.id() })
            }
            Self::PinnedAs(id, pins) if !pins.contains(key) => Err(Refusal::NotPinned(*id)),
            _ => Ok(()),
        }
    }
}

/// Checks the form of a peer's key, then its signature, then the rule.
#[derive(Debug)]
struct KeyCheck(Rule);

impl KeyCheck {
    fn form(key: &CertificateDer<'_>, others: &[CertificateDer<'_>]) -> Result<PeerKey, Error> {
        match PeerKey::from_spki(key) {
            Ok(key) if others.is_empty() => Ok(key),
            _ => Err(Error::InvalidCertificate(CertificateError::BadEncoding)),
        }
    }

    fn prove(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = Self::form(cert, &[])?;
        let spki = SubjectPublicKeyInfoDer::from(cert.as_ref());
        let algorithms = &PROVIDER.signature_verification_algorithms;
        let valid = verify_tls13_signature_with_raw_key(message, &spki, signature, algorithms)?;
        self.0.judge(&key).map_err(|refusal| CertificateError::Other(OtherError(Arc::new(refusal))))?;
        Ok(valid)
    }
}

fn no_tls12() -> Error {
    Error::PeerMisbehaved(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)
}

impl ServerCertVerifier for KeyCheck {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Self::form(end_entity, intermediates).map(|_| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.prove(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for KeyCheck {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Self::form(end_entity, intermediates).map(|_| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.prove(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// Lets rustls sign with the home's key without giving the key away.
#[derive(Debug)]
struct HomeSigner(Identity);

impl SigningKey for HomeSigner {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered.contains(&SignatureScheme::ED25519).then(|| Box::new(Self(self.0.clone())) as Box<dyn Signer>)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ED25519
    }
}

impl Signer for HomeSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(self.0.sign(message).to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

fn certified(identity: &Identity) -> Arc<CertifiedKey> {
    // With raw public keys the place of the certificate is taken by the bare key.
    let key = CertificateDer::from(identity.spki().to_vec());
    Arc::new(CertifiedKey::new(vec![key], Arc::new(HomeSigner(identity.clone()))))
}

static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
    let whole = default_provider();
    let mut cipher_suites = vec![
        cipher_suite::TLS13_AES_256_GCM_SHA384,
        cipher_suite::TLS13_AES_128_GCM_SHA256,
        cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    ];
    if !aes_in_hardware() {
        cipher_suites.rotate_right(1);
    }
    Arc::new(CryptoProvider {
        cipher_suites,
        kx_groups: vec![kx_group::X25519MLKEM768],
        signature_verification_algorithms: ed25519_of(&whole),
        ..whole
    })
});

fn ed25519_of(whole: &CryptoProvider) -> WebPkiSupportedAlgorithms {
    let mapping = whole.signature_verification_algorithms.mapping;
    let at = mapping.iter().position(|(scheme, _)| *scheme == SignatureScheme::ED25519);
    let at = at.expect("aws-lc verifies Ed25519");
    WebPkiSupportedAlgorithms { all: mapping[at].1, mapping: &mapping[at..=at] }
}

/// Small boards (Raspberry Pi 4 and older) lack AES instructions; there ChaCha20 is four times faster.
fn aes_in_hardware() -> bool {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    return std::arch::is_x86_feature_detected!("aes");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes");
    #[allow(unreachable_code)]
    false
}

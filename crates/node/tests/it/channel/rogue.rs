//! A client that crosshome would never be: rustls driven by hand, every setting free.

use std::{
    io::{self, Read, Write},
    sync::Arc,
};

use crosshome_node::identity::{Identity, Spki};
use futures_util::{SinkExt, StreamExt};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureAlgorithm, SignatureScheme,
    client::{
        AlwaysResolvesClientRawPublicKeys,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs},
    pki_types::{CertificateDer, ServerName, UnixTime},
    sign::{CertifiedKey, Signer, SigningKey},
};
use tokio::io::DuplexStream;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{ClientRequestBuilder, Message, http::Uri},
};

/// What a rogue client does otherwise; the default is what a crosshome does.
pub(super) struct Rogue {
    pub(super) groups: Vec<&'static dyn SupportedKxGroup>,
    pub(super) alpn: Vec<&'static [u8]>,
    /// The key it shows, and the identity it signs with; none shows no key.
    pub(super) key: Option<(Spki, Identity)>,
    pub(super) raw_keys: bool,
}

impl Rogue {
    pub(super) fn honest(identity: &Identity) -> Self {
        Self {
            groups: vec![aws_lc_rs::kx_group::X25519MLKEM768],
            alpn: vec![b"crosshome/1"],
            key: Some((identity.spki(), identity.clone())),
            raw_keys: true,
        }
    }

    /// Starts TLS without sending anything.
    pub(super) fn start(self) -> ClientConnection {
        let provider = CryptoProvider { kx_groups: self.groups, ..aws_lc_rs::default_provider() };
        let builder = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(TrustsAll { raw_keys: self.raw_keys }));
        let mut config = match self.key {
            None => builder.with_no_client_auth(),
            Some((shown, signer)) => {
                let key =
                    CertifiedKey::new(vec![CertificateDer::from(shown.to_vec())], Arc::new(Signs(signer)));
                builder.with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(Arc::new(
                    key,
                ))))
            }
        };
        config.alpn_protocols = self.alpn.iter().map(|name| name.to_vec()).collect();
        config.enable_sni = false;
        ClientConnection::new(Arc::new(config), ServerName::try_from("rogue.invalid").unwrap()).unwrap()
    }

    /// Does both handshakes; returns what this side made of the second.
    pub(super) async fn connect(self, stream: DuplexStream) -> (Connected, Result<(), Error>) {
        let mut connected = Connected { socket: upgrade(stream).await, tls: self.start() };
        let outcome = connected.shake().await;
        (connected, outcome)
    }
}

/// Upgrades to a WebSocket as a crosshome would.
pub(super) async fn upgrade(stream: DuplexStream) -> WebSocketStream<DuplexStream> {
    let uri = Uri::from_static("ws://villa:8765/v1/peer");
    let request = ClientRequestBuilder::new(uri).with_sub_protocol("crosshome.v1");
    client_async(request, stream).await.expect("the upgrade is as it should be").0
}

/// A rogue's connection.
pub(super) struct Connected {
    pub(super) socket: WebSocketStream<DuplexStream>,
    pub(super) tls: ClientConnection,
}

impl Connected {
    /// Sends bytes as application data, framed or not as the caller likes.
    pub(super) async fn send(&mut self, plain: &[u8]) {
        let mut rest = plain;
        while !rest.is_empty() {
            let taken = self.tls.writer().write(rest).unwrap();
            rest = &rest[taken..];
            self.ship().await;
        }
    }

    /// Returns why the other side ended it; `None` is an end without an alert.
    pub(super) async fn end(&mut self) -> Option<Error> {
        let mut sink = Vec::new();
        loop {
            match self.pump().await {
                Ok(true) => {}
                Ok(false) => return None,
                Err(err) => return Some(err),
            }
            let read = self.tls.reader().read_to_end(&mut sink);
            assert!(
                matches!(read, Err(err) if err.kind() == io::ErrorKind::WouldBlock),
                "an alert was expected"
            );
        }
    }

    async fn shake(&mut self) -> Result<(), Error> {
        self.ship().await;
        while self.tls.is_handshaking() {
            if !self.pump().await? {
                return Err(Error::General("closed without an alert".into()));
            }
            self.ship().await;
        }
        Ok(())
    }

    /// Sends what TLS has to say.
    pub(super) async fn ship(&mut self) {
        let mut bytes = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut bytes).unwrap();
        }
        if !bytes.is_empty() {
            // When the other side has hung up, reading tells why.
            let _ = self.socket.send(Message::binary(bytes)).await;
        }
    }

    async fn pump(&mut self) -> Result<bool, Error> {
        let Some(Ok(Message::Binary(bytes))) = self.socket.next().await else { return Ok(false) };
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            self.tls.read_tls(&mut rest).unwrap();
            self.tls.process_new_packets()?;
        }
        Ok(true)
    }
}

#[derive(Debug)]
struct TrustsAll {
    raw_keys: bool,
}

impl ServerCertVerifier for TrustsAll {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        self.raw_keys
    }
}

#[derive(Debug)]
struct Signs(Identity);

impl SigningKey for Signs {
    fn choose_scheme(&self, _offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        Some(Box::new(Self(self.0.clone())))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ED25519
    }
}

impl Signer for Signs {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(self.0.sign(message).to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

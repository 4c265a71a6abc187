//! Texts that people type, paste or scan, and values that come as JSON.

use crosshome_core::{
    EntityId, HomeId,
    conflict::Token,
    grant::Selector,
    json::{Json, Members},
    pairing::{Address, Code, Invitation, SharedKey},
    update::Update,
};

/// A canonical value stays what it is.
pub(crate) fn json(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(json) = text.parse::<Json>() {
        let canonical = json.as_str().to_owned();
        assert_eq!(canonical.parse::<Json>().expect("canonical values are values").as_str(), canonical);
    }
    if text.parse::<Members>().is_ok() {
        _ = Update::replace("on", &text);
    }
}

/// An invitation that is read makes a link that reads as the same.
pub(crate) fn invitation(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for link in [text.to_string(), format!("crosshome://pair/{text}")] {
        if let Ok(invitation) = Invitation::parse(&link) {
            let again = Invitation::parse(&invitation.link()).expect("its own link can be read");
            assert_eq!(again.addresses(), invitation.addresses());
            assert_eq!((again.home(), again.expires_s()), (invitation.home(), invitation.expires_s()));
        }
    }
}

/// Everything short that a text may stand for; what is read is shown as it was read.
pub(crate) fn names(bytes: &[u8]) {
    let text = &*String::from_utf8_lossy(bytes);
    if let Ok(id) = text.parse::<EntityId>() {
        assert_eq!(id.as_str(), text);
    }
    if let Ok(home) = text.parse::<HomeId>() {
        assert_eq!(home.to_string().parse(), Ok(home));
    }
    if let Ok(token) = text.parse::<Token>() {
        assert_eq!(token.to_string().parse(), Ok(token));
    }
    if let Ok(selector) = Selector::parse(text) {
        assert_eq!(Selector::parse(&selector.to_string()), Ok(selector));
    }
    if let Ok(code) = Code::parse(text) {
        assert!(Code::parse(&code.shown()).is_ok());
    }
    if let Ok(address) = text.parse::<Address>() {
        assert!(address.as_str().parse::<Address>().is_ok());
    }
    _ = SharedKey::parse(bytes);
}

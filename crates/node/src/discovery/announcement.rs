//! What a home says about itself by DNS-SD, and how the same is read from strangers.
//!
//! The TXT record carries `txtvers=1`, `id=`, `home_id=` (the name), `version=`, `proto=` and `caps=`; the port stands in
//! SRV. Whatever [`Announcement::read`] lets through is bounded and free of control characters, and
//! what [`Announcement::check`] refuses is never sent.
//!
//! ```
//! # use crosshome_node::discovery::Announcement;
//! let villa = Announcement::new("3fa9c1d27b0e4a55", "Villa", 8765);
//! let txt = villa.txt();
//! let pairs = txt.iter().map(|(key, value)| (*key, Some(value.as_bytes())));
//! assert_eq!(Announcement::read("Villa", 8765, pairs)?, villa);
//! # Ok::<(), crosshome_node::discovery::AnnouncementError>(())
//! ```

/// DNS-SD's name for homes that share.
pub const SERVICE_TYPE: &str = "_copilot._tcp.local.";

/// Version of the TXT record's layout.
const TXTVERS: &str = "1";
/// Characters of an id; a bech32m home id has 62.
const MAX_ID: usize = 64;
/// Bytes of a home's name: two DNS labels' worth.
const MAX_NAME: usize = 128;
/// Bytes of a software version.
const MAX_VERSION: usize = 64;
/// Capabilities, and bytes of each.
const MAX_CAPS: (usize, usize) = (16, 32);
/// Bytes of a TXT string without `caps=`.
const MAX_CAPS_TEXT: usize = 250;
/// Bytes of a DNS label.
const MAX_LABEL: usize = 63;
/// Strings in a TXT record of which ours has six: newer versions may add some.
const MAX_PAIRS: usize = 32;

/// What a home announces of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// Names the home: its home id, or sixteen hex digits of a Python service that runs alone.
    pub id: String,
    /// What people call the home.
    pub home_name: String,
    /// Where its sync listens.
    pub port: u16,
    /// Version of its software.
    pub version: String,
    /// Lowest and highest protocol version it speaks.
    pub proto: (u16, u16),
    /// What it can do, such as `sync`.
    pub caps: Vec<String>,
}

impl Announcement {
    /// Returns the announcement of a home that runs this software.
    pub fn new(id: impl Into<String>, home_name: impl Into<String>, port: u16) -> Self {
        Self {
            id: id.into(),
            home_name: home_name.into(),
            port,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            proto: (1, 1),
            caps: ["sync", "encryption", "shared_entities"].map(str::to_owned).to_vec(),
        }
    }

    /// Reads the announcement of another home from its instance name, its port and its TXT record.
    ///
    /// A record without name, version, protocol or capabilities stands for a plain one; a wrong value is refused.
    ///
    /// # Errors
    ///
    /// Everything that [`Announcement::check`] refuses, and a TXT record of another version or without an id.
    pub fn read<'a>(
        instance_name: &str,
        port: u16,
        pairs: impl IntoIterator<Item = (&'a str, Option<&'a [u8]>)>,
    ) -> Result<Self, AnnouncementError> {
        let mut read = Self {
            id: String::new(),
            home_name: instance_name.to_owned(),
            port,
            version: String::new(),
            proto: (1, 1),
            caps: Vec::new(),
        };
        for (count, (key, value)) in pairs.into_iter().enumerate() {
            if count == MAX_PAIRS {
                return Err(AnnouncementError::TooManyPairs);
            }
            read.take(key, value.unwrap_or_default())?;
        }
        read.check()?;
        Ok(read)
    }

    fn take(&mut self, key: &str, value: &[u8]) -> Result<(), AnnouncementError> {
        let text = |field| std::str::from_utf8(value).map_err(|_| AnnouncementError::NotText(field));
        match key.to_ascii_lowercase().as_str() {
            "txtvers" if text("txtvers")? != TXTVERS => return Err(AnnouncementError::Txtvers),
            "id" => self.id = text("id")?.to_owned(),
            "home_id" => self.home_name = text("home_id")?.to_owned(),
            "version" => self.version = text("version")?.to_owned(),
            "proto" => self.proto = read_proto(text("proto")?)?,
            "caps" => self.caps = read_caps(text("caps")?),
            _ => {}
        }
        Ok(())
    }

    /// Tells whether every part keeps within its bounds.
    ///
    /// # Errors
    ///
    /// The first part that is empty, too long, out of order or holds a control character.
    pub fn check(&self) -> Result<(), AnnouncementError> {
        check_text("id", &self.id, 4 * MAX_ID)?;
        check_text("home name", &self.home_name, MAX_NAME)?;
        if self.id.chars().count() > MAX_ID {
            return Err(AnnouncementError::TooLong("id", self.id.len()));
        }
        if self.id.chars().any(char::is_whitespace) {
            return Err(AnnouncementError::Unprintable("id"));
        }
        if !self.version.is_empty() {
            check_text("version", &self.version, MAX_VERSION)?;
        }
        if self.caps.len() > MAX_CAPS.0 {
            return Err(AnnouncementError::TooLong("caps", self.caps.len()));
        }
        for cap in &self.caps {
            check_text("capability", cap, MAX_CAPS.1)?;
        }
        let caps_text = self.caps.iter().map(|cap| cap.len() + 1).sum::<usize>();
        if caps_text > MAX_CAPS_TEXT {
            return Err(AnnouncementError::TooLong("caps", caps_text));
        }
        if self.caps.iter().any(|cap| cap.contains(',')) {
            return Err(AnnouncementError::Unprintable("capability"));
        }
        if self.proto.0 > self.proto.1 || self.proto.0 == 0 {
            return Err(AnnouncementError::Proto);
        }
        if self.port == 0 { Err(AnnouncementError::Port) } else { Ok(()) }
    }

    /// Returns the TXT record, key by key.
    pub fn txt(&self) -> [(&'static str, String); 6] {
        [
            ("txtvers", TXTVERS.to_owned()),
            ("id", self.id.clone()),
            ("home_id", self.home_name.clone()),
            ("version", self.version.clone()),
            ("proto", format!("{}-{}", self.proto.0, self.proto.1)),
            ("caps", self.caps.join(",")),
        ]
    }
}

/// Tells whether a home may ask for this instance name.
///
/// # Errors
///
/// When it is empty, too long or holds a control character.
pub(super) fn check_instance_name(name: &str) -> Result<(), AnnouncementError> {
    check_text("instance name", name, MAX_NAME)
}

/// Returns the instance name to ask for: the `attempt`th one has a number.
///
/// Dots and backslashes become look-alikes: mdns-sd reads them back unescaped and would then ask for
/// another name. The exact name of the home stands in TXT.
pub(super) fn instance_name(name: &str, attempt: u32) -> String {
    let suffix = if attempt > 1 { format!(" ({attempt})") } else { String::new() };
    let mut name = name.replace('.', "\u{2024}").replace('\\', "\u{29f5}");
    name.truncate(name.floor_char_boundary(MAX_LABEL - suffix.len()));
    name + &suffix
}

fn read_proto(text: &str) -> Result<(u16, u16), AnnouncementError> {
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let number = |digits: &str| digits.parse().map_err(|_| AnnouncementError::Proto);
    Ok((number(low)?, number(high)?))
}

/// At most one more than allowed is kept, which [`Announcement::check`] then refuses.
fn read_caps(text: &str) -> Vec<String> {
    text.split(',').filter(|cap| !cap.is_empty()).take(MAX_CAPS.0 + 1).map(str::to_owned).collect()
}

fn check_text(field: &'static str, text: &str, max: usize) -> Result<(), AnnouncementError> {
    if text.is_empty() {
        return Err(AnnouncementError::Missing(field));
    }
    if text.len() > max {
        return Err(AnnouncementError::TooLong(field, text.len()));
    }
    if text.chars().any(char::is_control) { Err(AnnouncementError::Unprintable(field)) } else { Ok(()) }
}

/// Why an announcement is neither sent nor believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnnouncementError {
    /// The layout of the TXT record is of another version.
    #[error("the txt record has another version than {TXTVERS}")]
    Txtvers,
    /// More strings than a TXT record of ours will ever have.
    #[error("the txt record has more than {MAX_PAIRS} entries")]
    TooManyPairs,
    /// A part is not UTF-8.
    #[error("{0} is no text")]
    NotText(&'static str),
    /// A part is missing or empty.
    #[error("{0} is empty")]
    Missing(&'static str),
    /// A part is longer than allowed.
    #[error("{0} is too long: {1}")]
    TooLong(&'static str, usize),
    /// A part has a character that must not be in it.
    #[error("{0} has a character that cannot be shown")]
    Unprintable(&'static str),
    /// The range of protocol versions makes no sense.
    #[error("proto is no range such as 1-2")]
    Proto,
    /// Nobody listens on port 0.
    #[error("port 0 is no port")]
    Port,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Announcement, AnnouncementError> {
        Announcement::read("Villa", 8765, pairs.iter().map(|(key, value)| (*key, Some(value.as_bytes()))))
    }

    #[test]
    fn id_alone_is_enough() {
        let read = read(&[("id", "0123456789abcdef")]).expect("plain");
        assert_eq!((read.home_name.as_str(), read.proto, read.port), ("Villa", (1, 1), 8765));
    }

    #[test]
    fn keys_are_read_in_any_case() {
        assert_eq!(read(&[("ID", "x"), ("Home_Id", "Alm")]).expect("plain").home_name, "Alm");
    }

    #[test]
    fn control_characters_in_names_are_refused() {
        for name in ["Vil\u{1b}[31mla", "a\nb", "\u{9b}x", "a\0"] {
            assert_eq!(
                read(&[("id", "x"), ("home_id", name)]),
                Err(AnnouncementError::Unprintable("home name"))
            );
        }
    }

    #[test]
    fn each_bound_is_kept() {
        let long = "x".repeat(255);
        assert_eq!(read(&[]), Err(AnnouncementError::Missing("id")));
        assert_eq!(read(&[("id", &long[..65])]), Err(AnnouncementError::TooLong("id", 65)));
        assert_eq!(read(&[("id", "a b")]), Err(AnnouncementError::Unprintable("id")));
        assert_eq!(
            read(&[("id", "x"), ("home_id", &long)]),
            Err(AnnouncementError::TooLong("home name", 255))
        );
        assert_eq!(read(&[("id", "x"), ("version", &long)]), Err(AnnouncementError::TooLong("version", 255)));
        assert_eq!(
            read(&[("id", "x"), ("caps", &"a,".repeat(100))]),
            Err(AnnouncementError::TooLong("caps", 17))
        );
        assert_eq!(read(&[("id", "x"), ("txtvers", "2")]), Err(AnnouncementError::Txtvers));
        for proto in ["2-1", "0-1", "", "1-", "-1", "1-99999", "a-b", "1-2-3"] {
            assert_eq!(read(&[("id", "x"), ("proto", proto)]), Err(AnnouncementError::Proto), "{proto}");
        }
    }

    #[test]
    fn port_zero_is_refused() {
        let pairs = [("id", Some(b"x".as_slice()))];
        assert_eq!(Announcement::read("Villa", 0, pairs), Err(AnnouncementError::Port));
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        let pairs = [("id", Some([0xff, 0xfe].as_slice()))];
        assert_eq!(Announcement::read("Villa", 1, pairs), Err(AnnouncementError::NotText("id")));
    }

    #[test]
    fn instance_name_fits_a_label_and_counts() {
        let villa = "ä".repeat(60);
        assert!(instance_name(&villa, 1).len() <= MAX_LABEL);
        assert!(
            instance_name(&villa, 12).ends_with("ä (12)") && instance_name(&villa, 12).len() <= MAX_LABEL
        );
        assert_eq!(instance_name("St. Anton", 1), "St\u{2024} Anton");
    }

    proptest! {
        #[test]
        fn garbage_never_passes_the_bounds(
            name in ".{0,80}",
            port: u16,
            pairs in prop::collection::vec(
                ("(id|home_id|version|proto|caps|txtvers|.{0,9})", prop::collection::vec(any::<u8>(), 0..200)),
                0..40,
            ),
        ) {
            let pairs = pairs.iter().map(|(key, value)| (key.as_str(), Some(value.as_slice())));
            if let Ok(read) = Announcement::read(&name, port, pairs) {
                prop_assert_eq!(read.check(), Ok(()));
                prop_assert!(read.id.chars().count() <= 64 && read.home_name.len() <= MAX_NAME);
                prop_assert!(read.txt().iter().all(|(key, value)| key.len() + value.len() < 255));
            }
        }

        #[test]
        fn what_is_written_is_read_back(
            id in "[!-~]{1,64}", home_name in "[^\\p{Cc}]{1,32}", port in 1..=u16::MAX,
            low in 1..9u16, more in 0..9u16, caps in prop::collection::vec("[a-z_]{1,12}", 0..16),
        ) {
            let sent = Announcement {
                id, home_name, port, version: "0.1.0".into(), proto: (low, low + more), caps,
            };
            let txt = sent.txt();
            let pairs = txt.iter().map(|(key, value)| (*key, Some(value.as_bytes())));
            prop_assert_eq!(Announcement::read("other", port, pairs), Ok(sent));
        }
    }
}

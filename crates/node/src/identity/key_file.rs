//! The key file: PKCS#8 PEM, 0600, in a 0700 folder.
//!
//! A key is made once, at the first start. Afterwards a missing or damaged file is an
//! error with a remedy, because a new key would make this home a stranger to all its
//! peers. While the key is passed on, the successor waits in `<name>.next`, and the old
//! key stays in `<name>.previous` until every peer has seen the statement.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
};

use aws_lc_rs::signature::Ed25519KeyPair;
use base64::{Engine, engine::general_purpose::STANDARD};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
use zeroize::Zeroizing;

use super::{Identity, Rotation, strongbox::Strongbox};

/// Whether a missing key is the first start or a loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// This home knows nobody yet: a missing key is made.
    First,
    /// Peers know this home: a missing key is an error.
    Existing,
}

/// Why this home cannot have its key; each message names the file and the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// Peers know this home, but its key is gone.
    #[error(
        "{0} is missing, but other homes know this home by that key: bring it back from a backup, \
         or start with an empty data directory and pair again"
    )]
    Missing(PathBuf),
    /// The file is there but holds no Ed25519 key in PKCS#8 PEM form.
    #[error("{0} is damaged: bring it back from a backup; it is never made anew by itself")]
    Damaged(PathBuf),
    /// Others may read the file or enter the folder.
    #[error("{path} is open to others (mode {mode:04o}): run chmod {want:o} {path}", path = path.display())]
    TooOpen {
        /// The file or folder.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// The mode it must have.
        want: u32,
    },
    /// The file or folder belongs to somebody else.
    #[error("{path} belongs to user {owner}, not to this one: run chown on it or choose another key_path", path = path.display())]
    NotOurs {
        /// The file or folder.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
    },
    /// The path ends in a link, a device or a folder.
    #[error("{0} is not a plain file: put the key itself there, links are not followed")]
    NotAFile(PathBuf),
    /// The operating system said no.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

pub(super) fn open(path: &Path, expect: Expect) -> Result<Identity, IdentityError> {
    let place = Strongbox::open(path, expect == Expect::First)?;
    match (place.read()?, expect) {
        (Some(pem), _) => from_pem(path, &pem),
        (None, Expect::Existing) => Err(IdentityError::Missing(path.to_owned())),
        (None, Expect::First) => make(path, &place),
    }
}

impl Identity {
    /// Makes (or finds, after a crash) the successor of this key beside it and states that it follows.
    ///
    /// Nothing changes yet: peers are told over links of the old key, then [`Identity::switch_over`] is called.
    ///
    /// # Errors
    ///
    /// As [`Identity::open`].
    pub fn rotate(&self, path: &Path) -> Result<(Identity, Rotation), IdentityError> {
        let successor = open(&beside(path, ".next"), Expect::First)?;
        let statement = Rotation::new(self, &successor);
        Ok((successor, statement))
    }

    /// Returns the successor that was made and is not used yet.
    ///
    /// # Errors
    ///
    /// As [`Identity::open`].
    pub fn successor(&self, path: &Path) -> Result<Option<Identity>, IdentityError> {
        if_there(open(&beside(path, ".next"), Expect::Existing))
    }

    /// Returns the key that this home had before the last change.
    ///
    /// # Errors
    ///
    /// As [`Identity::open`].
    pub fn predecessor(path: &Path) -> Result<Option<Identity>, IdentityError> {
        if_there(open(&beside(path, ".previous"), Expect::Existing))
    }

    /// Makes the successor the key of this home, in one step; the old key stays beside it as `.previous`.
    ///
    /// # Errors
    ///
    /// As [`Identity::open`]; [`IdentityError::Missing`] when no successor was made.
    pub fn switch_over(path: &Path) -> Result<Identity, IdentityError> {
        let next = beside(path, ".next");
        let successor = open(&next, Expect::Existing)?;
        let old = Strongbox::open(path, false)?;
        let pem = old.read()?.ok_or_else(|| IdentityError::Missing(path.to_owned()))?;
        Strongbox::open(&beside(path, ".previous"), false)?.replace(&pem)?;
        old.take_over(&next)?;
        Ok(successor)
    }
}

fn if_there(opened: Result<Identity, IdentityError>) -> Result<Option<Identity>, IdentityError> {
    match opened {
        Err(IdentityError::Missing(_)) => Ok(None),
        opened => opened.map(Some),
    }
}

/// For backups.
impl Identity {
    /// Returns the private key as its file holds it.
    pub(crate) fn pem(&self) -> Zeroizing<String> {
        to_pem(self)
    }

    /// Reads a private key as its file holds it; `path` is where it is said to stand.
    pub(crate) fn of_pem(path: &Path, pem: &[u8]) -> Result<Self, IdentityError> {
        from_pem(path, pem)
    }
}

/// Returns what a key file holds, whatever that is, if it is there.
pub(crate) fn key_as_it_is(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, IdentityError> {
    Strongbox::open(path, true)?.read()
}

/// Writes a key file, in place of the one that may be there.
pub(crate) fn put_key(path: &Path, pem: &[u8]) -> Result<(), IdentityError> {
    Strongbox::open(path, true)?.replace(pem)
}

/// Makes the key; when another process was faster, takes the one it made.
fn make(path: &Path, place: &Strongbox) -> Result<Identity, IdentityError> {
    let identity = Identity::generate();
    if place.write_new(to_pem(&identity).as_bytes())? {
        return Ok(identity);
    }
    open(path, Expect::Existing)
}

fn to_pem(identity: &Identity) -> Zeroizing<String> {
    let der = identity.pair.to_pkcs8v1().expect("a pair that signs can be written");
    let body = Zeroizing::new(STANDARD.encode(der.as_ref())); // 48 bytes: one line of 64 characters
    Zeroizing::new(format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", *body))
}

fn from_pem(path: &Path, pem: &[u8]) -> Result<Identity, IdentityError> {
    let damaged = || IdentityError::Damaged(path.to_owned());
    let der = PrivatePkcs8KeyDer::from_pem_slice(pem).map_err(|_| damaged())?;
    let der = Zeroizing::new(der);
    Ed25519KeyPair::from_pkcs8(der.secret_pkcs8_der()).map(Identity::from_pair).map_err(|_| damaged())
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt, symlink},
    };

    use super::*;

    fn home() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("home/sharing_key");
        (folder, path)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("it exists").permissions().mode() & 0o777
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
    }

    #[test]
    fn first_start_makes_a_key_that_stays() {
        let (_folder, path) = home();
        let made = Identity::open(&path, Expect::First).expect("makes it");
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no temporary file is left");
        for expect in [Expect::First, Expect::Existing] {
            assert_eq!(Identity::open(&path, expect).expect("opens it").id(), made.id());
        }
    }

    #[test]
    fn key_made_by_openssl_opens() {
        let (_folder, path) = home();
        Identity::open(&path, Expect::First).expect("makes the folder");
        let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
        fs::write(&path, pem).unwrap(); // the private key of RFC 8410 section 10.3
        let spki = Identity::open(&path, Expect::Existing).expect("opens it").spki();
        assert_eq!(hex::encode(&spki[12..16]), "19bf4409");
    }

    #[test]
    fn key_lost_is_an_error_that_names_the_file_and_the_remedy() {
        let (_folder, path) = home();
        let err = Identity::open(&path, Expect::Existing).unwrap_err();
        assert!(matches!(&err, IdentityError::Missing(at) if *at == path), "{err}");
        assert!(err.to_string().contains("backup"));
        assert!(!path.exists(), "it is never made anew");
    }

    #[test]
    fn damaged_key_is_an_error_and_stays_as_it_is() {
        for content in [
            &b""[..],
            b"nonsense",
            b"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQ==\n-----END PRIVATE KEY-----\n",
            &[b'x'; 100_000],
        ] {
            let (_folder, path) = home();
            Identity::open(&path, Expect::First).expect("makes it");
            fs::write(&path, content).unwrap();
            let err = Identity::open(&path, Expect::First).unwrap_err();
            assert!(matches!(err, IdentityError::Damaged(_)), "{err}");
            assert_eq!(fs::read(&path).unwrap(), content);
        }
    }

    #[test]
    fn key_or_folder_open_to_others_is_refused() {
        let (_folder, path) = home();
        Identity::open(&path, Expect::First).expect("makes it");
        for wide in [0o640, 0o604, 0o660] {
            set_mode(&path, wide);
            let err = Identity::open(&path, Expect::First).unwrap_err();
            assert!(err.to_string().contains(&format!("chmod 600 {}", path.display())), "{err}");
        }
        set_mode(&path, 0o600);
        set_mode(path.parent().unwrap(), 0o755);
        let err = Identity::open(&path, Expect::First).unwrap_err();
        assert!(matches!(err, IdentityError::TooOpen { mode: 0o755, want: 0o700, .. }), "{err}");
    }

    #[test]
    fn folder_others_may_read_is_closed_before_the_first_key_goes_in() {
        let (_folder, path) = home();
        fs::create_dir(path.parent().unwrap()).unwrap();
        set_mode(path.parent().unwrap(), 0o755);
        Identity::open(&path, Expect::First).expect("makes it");
        assert_eq!(mode(path.parent().unwrap()), 0o700);
    }

    #[test]
    fn folder_others_may_write_is_refused_even_at_first() {
        let (_folder, path) = home();
        fs::create_dir(path.parent().unwrap()).unwrap();
        set_mode(path.parent().unwrap(), 0o1777);
        let err = Identity::open(&path, Expect::First).unwrap_err();
        assert!(matches!(err, IdentityError::TooOpen { .. }), "{err}");
        assert_eq!(mode(path.parent().unwrap()), 0o777, "a shared folder is left alone");
    }

    #[test]
    fn link_in_place_of_the_key_is_not_followed() {
        let (_folder, path) = home();
        Identity::open(&path, Expect::First).expect("makes it");
        let elsewhere = path.with_file_name("elsewhere");
        fs::rename(&path, &elsewhere).unwrap();
        symlink(&elsewhere, &path).unwrap();
        let err = Identity::open(&path, Expect::Existing).unwrap_err();
        assert!(matches!(err, IdentityError::NotAFile(_)), "{err}");
        fs::remove_file(&elsewhere).unwrap(); // a dangling link must not be written through either
        assert!(Identity::open(&path, Expect::First).is_err());
        assert!(!elsewhere.exists());
    }

    #[test]
    fn folder_in_place_of_the_key_is_refused() {
        let (_folder, path) = home();
        fs::create_dir_all(&path).unwrap();
        set_mode(path.parent().unwrap(), 0o700);
        let err = Identity::open(&path, Expect::First).unwrap_err();
        assert!(matches!(err, IdentityError::NotAFile(_)), "{err}");
    }

    #[test]
    fn two_starts_at_once_agree_on_one_key() {
        let (_folder, path) = home();
        let ids: Vec<_> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| Identity::open(&path, Expect::First).map(|i| i.id())))
                .collect();
            starts.into_iter().map(|start| start.join().unwrap().expect("opens")).collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    }

    #[test]
    fn rotation_survives_a_crash_and_switches_in_one_step() {
        let (_folder, path) = home();
        let old = Identity::open(&path, Expect::First).expect("makes it");
        assert!(matches!(Identity::switch_over(&path), Err(IdentityError::Missing(_))));
        let (new, statement) = old.rotate(&path).expect("makes a successor");
        assert_eq!(Identity::open(&path, Expect::Existing).unwrap().id(), old.id(), "not switched yet");
        assert_eq!(old.rotate(&path).expect("finds it again").0.id(), new.id());
        assert!(Rotation::verify(&statement.to_bytes()).is_ok());

        assert_eq!(Identity::switch_over(&path).expect("switches").id(), new.id());
        assert_eq!(Identity::open(&path, Expect::Existing).unwrap().id(), new.id());
        assert_eq!(Identity::open(&beside(&path, ".previous"), Expect::Existing).unwrap().id(), old.id());
        assert!(!beside(&path, ".next").exists());
    }
}

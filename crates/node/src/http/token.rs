//! The API's bearer token: made at first start, kept in a file only its owner can read.

use std::{
    fmt, fs,
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

const BYTES: usize = 32;
const HEX: usize = 2 * BYTES;

/// The token of this home's API.
pub struct Token(Zeroizing<String>);

impl Token {
    /// Reads the token from its file, or makes both.
    ///
    /// # Errors
    /// The file cannot be read or made, others can read it, or it holds something else.
    pub fn load_or_make(path: &Path) -> Result<Self, TokenError> {
        match Self::load(path) {
            Err(TokenError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Self::make(path)
            }
            loaded => loaded,
        }
    }

    /// Reads the token from its file.
    ///
    /// # Errors
    /// As [`Token::load_or_make`].
    pub fn load(path: &Path) -> Result<Self, TokenError> {
        let at = |source| TokenError::File { path: path.to_owned(), source };
        let no_follow = OFlags::NOFOLLOW.bits().cast_signed();
        let file = fs::OpenOptions::new().read(true).custom_flags(no_follow).open(path).map_err(at)?;
        let mode = file.metadata().map_err(at)?.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(TokenError::Wide { path: path.to_owned(), mode });
        }
        let mut text = Zeroizing::new(String::with_capacity(HEX + 1));
        file.take(HEX as u64 + 2).read_to_string(&mut text).map_err(at)?;
        let hex = text.trim_end();
        if hex.len() != HEX || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(TokenError::Damaged(path.to_owned()));
        }
        Ok(Self(Zeroizing::new(hex.to_owned())))
    }

    /// Tells whether this is the token; takes the same time for every text of the right length.
    pub fn is(&self, given: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(given).into()
    }

    /// Returns the token, for the header of a request.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    fn make(path: &Path) -> Result<Self, TokenError> {
        let mut secret = Zeroizing::new([0; BYTES]);
        getrandom::fill(secret.as_mut_slice()).map_err(|_| TokenError::Randomness)?;
        let token = Self(Zeroizing::new(hex::encode(secret.as_slice())));
        token.keep(path).map_err(|source| TokenError::File { path: path.to_owned(), source })?;
        Ok(token)
    }

    /// Writes the whole file beside its place and moves it there, so that no reader sees half of it.
    fn keep(&self, path: &Path) -> io::Result<()> {
        let beside = path.with_extension(format!("new-{}", std::process::id()));
        // Left by a start that was cut off; in a container every start has the same process id.
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(self.0.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(beside, path)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The file could not be read or written.
    #[error("the token file {path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others may read it.
    #[error("the token file {path} is open to others (mode {mode:o}); run chmod 600 on it", path = path.display())]
    Wide {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It does not hold a token.
    #[error("the token file {path} is damaged; delete it and start again to get a new token", path = .0.display())]
    Damaged(PathBuf),
    /// The system gives no randomness.
    #[error("the system gives no randomness")]
    Randomness,
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn token_survives_a_restart_and_is_private() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("api_token");
        let made = Token::load_or_make(&path).expect("made");
        let again = Token::load_or_make(&path).expect("read");
        assert_eq!(made.reveal(), again.reveal());
        assert_eq!(fs::metadata(&path).expect("there").mode() & 0o777, 0o600);
    }

    #[test]
    fn token_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("api_token");
        Token::load_or_make(&path).expect("made");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("own file");
        assert!(matches!(Token::load_or_make(&path), Err(TokenError::Wide { mode: 0o640, .. })));
    }

    #[test]
    fn link_in_place_of_the_token_is_not_followed() {
        let dir = tempfile::tempdir().expect("a directory");
        let (real, link) = (dir.path().join("real"), dir.path().join("api_token"));
        Token::load_or_make(&real).expect("made");
        std::os::unix::fs::symlink(&real, &link).expect("a link");
        assert!(matches!(Token::load_or_make(&link), Err(TokenError::File { .. })));
    }

    #[test]
    fn only_the_whole_token_is_the_token() {
        let dir = tempfile::tempdir().expect("a directory");
        let token = Token::load_or_make(&dir.path().join("api_token")).expect("made");
        let text = token.reveal().to_owned();
        assert!(token.is(text.as_bytes()));
        assert!(!token.is(&text.as_bytes()[1..]));
        assert!(!token.is(b""));
    }

    #[test]
    fn damaged_token_is_not_replaced_silently() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("api_token");
        Token::load_or_make(&path).expect("made");
        fs::write(&path, "short").expect("own file");
        assert!(matches!(Token::load_or_make(&path), Err(TokenError::Damaged(_))));
    }
}
